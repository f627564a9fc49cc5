"""`qtui workers` lists who works on which queue."""

from __future__ import annotations

from tests.cli.stage import connect, failed, invoke


def test_a_job_whose_worker_is_gone(redis_url: str) -> None:
    failed(redis_url, 1)
    client = connect(redis_url)
    client.lpush("bull:payments:active", "7")
    client.hset("bull:payments:7", mapping={"name": "a\x1b[31m", "processedOn": "1", "stc": "2"})
    done = invoke("--redis", redis_url, "--read-only", "workers", "payments")
    assert done.code == 0
    row = done.out.splitlines()[1]
    assert row.split()[:2] == ["payments", "unknown"]
    assert "expired" in row
    assert "\x1b" not in done.out
    [worker] = invoke("--redis", redis_url, "workers", "--json").objects
    [job] = worker.pop("jobs")
    assert worker == {
        "queue": "bull:payments",
        "name": None,
        "token": None,
        "address": None,
        "connected_seconds": None,
        "waits": False,
    }
    assert (job["id"], job["locked"], job["lock_left_ms"], job["stalls"]) == ("7", False, None, 2)


def test_jobs_that_wait_for_a_worker_are_named(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).lpush("bull:payments:wait", "2")
    done = invoke("--redis", redis_url, "workers")
    assert done.out == ""
    assert done.err.splitlines() == ["payments: no worker seen, 1 job waits", "no worker seen"]


def test_a_user_without_the_connections_is_not_told_that_no_worker_is_there(redis_url: str) -> None:
    failed(redis_url, 1)
    client = connect(redis_url)
    client.lpush("bull:payments:active", "7")
    client.hset("bull:payments:7", mapping={"name": "a", "processedOn": "1"})
    client.lpush("bull:emails:wait", "2")
    client.hset("bull:emails:meta", "version", "bullmq:5.81.5")
    client.acl_setuser(
        "watcher", enabled=True, passwords=["+w"], keys=["bull:*"], categories=["+@read"]
    )
    url = redis_url.replace("//", "//watcher:w@", 1)
    done = invoke("--redis", url, "--read-only", "workers")
    client.acl_deluser("watcher")
    assert done.code == 0
    assert done.err.splitlines()[0] == "emails: workers unknown, 1 job waits"
    assert "no worker seen" not in done.err
    assert "grant it +client|list" in done.err
