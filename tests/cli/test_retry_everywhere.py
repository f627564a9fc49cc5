"""`qtui retry '*'` retries what matches in all queues: one campaign, one journal."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
import redis

from tests.cli.stage import command, connect, digest, failed, invoke, many_failed, places, run


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return connect(redis_url)


def test_all_queues_are_retried_by_one_campaign(redis_url: str, client: redis.Redis) -> None:
    for name, jobs in (("payments", 3), ("emails", 2), ("emails:eu", 1)):
        failed(redis_url, jobs, name=name)
    client.hset("bull:emails:2", "failedReason", "other")
    before = digest(redis_url)
    asked = ("--redis", redis_url, "retry", "*", "--filter", "error:timeout")
    dry = invoke(*asked, "--dry-run", "--json")
    assert (dry.code, dry.summary["selected"], dry.summary["codes"]["1"]) == (0, 5, 5)
    assert digest(redis_url) == before
    done = invoke(*asked, "--yes", "--json", "--reason", "the provider is back")
    assert done.code == 0
    found = {(one["queue"], one["id"]): one["code"] for one in done.objects[:-1]}
    assert found == {
        **{("bull:payments", str(number)): 1 for number in (1, 2, 3)},
        ("bull:emails", "1"): 1,
        ("bull:emails:eu", "1"): 1,
    }
    assert done.summary["retried"] == 5
    assert client.zrange("bull:emails:failed", 0, -1) == ["2"]
    [one] = invoke("journal", "--json").objects
    assert (one["id"], one["queue"], one["reason"]) == (
        done.summary["journal"],
        "bull:*",
        "the provider is back",
    )
    assert one["selection"] == {"kind": "queries", "jobs": 5, "filter": "error:timeout"}
    lines = invoke("journal", one["id"], "--json").objects
    wiped = [line for line in lines if line["type"] == "job"]
    assert {line["id"] for line in wiped} == {f"{queue}:{job_id}" for queue, job_id in found}
    again = invoke(*asked, "--yes")
    assert (again.code, "no failed jobs in bull:*" in again.err) == (0, True)


def test_it_is_undone_in_all_queues_and_that_can_be_undone_too(
    redis_url: str, client: redis.Redis
) -> None:
    jobs = {"payments": 3, "emails": 2, "emails:eu": 2}
    for name, number in jobs.items():
        failed(redis_url, number, name=name)
    done = invoke("--redis", redis_url, "retry", "*", "--all", "--yes", "--json")
    assert done.summary["retried"] == 7
    undone = invoke("--redis", redis_url, "undo", done.summary["journal"], "--yes", "--json")
    assert (undone.code, undone.summary["done"]) == (0, 7), undone
    for name, number in jobs.items():
        assert client.zcard(f"bull:{name}:failed") == number
        assert not client.exists(f"bull:{name}:wait")
        assert client.hget(f"bull:{name}:1", "failedReason") == "Timeout of 5000ms exceeded"
    again = invoke("--redis", redis_url, "undo", undone.summary["journal"], "--yes", "--json")
    assert (again.code, again.summary["done"]) == (0, 7), again
    assert [client.llen(f"bull:{name}:wait") for name in jobs] == [3, 2, 2]


def test_results_of_several_queues_are_aligned_and_undone_by_whole_keys(redis_url: str) -> None:
    failed(redis_url, 1, name="a")
    failed(redis_url, 1, name="much-longer")
    done = invoke("--redis", redis_url, "retry", "*", "--all", "--yes")
    heads, *rows = done.out.splitlines()[:3]
    assert {row.index("1  ") for row in rows} == {heads.index("id")}
    bare = invoke("--redis", redis_url, "undo", "last", "1", "--yes")
    assert bare.code == 1
    assert "give the whole key of a job" in bare.err
    whole = invoke("--redis", redis_url, "undo", "last", "bull:a:1", "--yes", "--json")
    assert (whole.code, whole.summary["done"]) == (0, 1)


def test_the_plan_names_the_queues(redis_url: str) -> None:
    failed(redis_url, 3)
    failed(redis_url, 1, name="emails")
    done = invoke("--redis", redis_url, "retry", "*", "--all", "--dry-run")
    lines = done.err.splitlines()
    assert lines[0] == "Retry 4 failed jobs in 2 queues"
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["3", "bull:payments", "charge"],
        ["1", "bull:emails", "charge"],
    ]
    assert "▲ payments, emails: 4 jobs have used up their attempts" in done.err
    assert done.out.splitlines()[-1] == "4 of 4 jobs would be retried"


@pytest.mark.parametrize("args", [("1",), ("1", "--canary", "5"), ()])
def test_what_does_not_go_with_several_queues_is_refused(
    redis_url: str, args: tuple[str, ...]
) -> None:
    done = invoke("--redis", redis_url, "retry", "*", *args, "--yes")
    assert (done.code, done.out) == (2, "")


def test_one_that_was_killed_is_resumed_and_each_job_is_retried_once(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    names = {"payments": [f"p{at}" for at in range(200)], "emails": [f"e{at}" for at in range(300)]}
    for name, ids in names.items():
        many_failed(redis_url, ids, name)
    asked = ("--redis", redis_url, "retry", "*", "--all", "--yes", "--json")
    with subprocess.Popen(
        command(*asked, "--rate", "400"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        for _ in range(330):  # into the second queue
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert client.zcard("bull:emails:failed") == 0
    assert 0 < client.zcard("bull:payments:failed") < 200
    [cut] = invoke("journal", "--json").objects
    assert cut["phase"] == "unfinished"
    done = run("--redis", redis_url, "retry", "--resume", cut["id"], "--json")
    assert (done.code, done.summary["retried"], done.summary["selected"]) == (0, 500, 500)
    for name, ids in names.items():
        assert places(redis_url, name) == sorted(ids)
        assert client.llen(f"bull:{name}:wait") == len(ids)


def test_a_canary_that_nothing_runs_stops_it_and_the_rest_can_be_resumed(
    redis_url: str, client: redis.Redis
) -> None:
    failed(redis_url, 6)
    failed(redis_url, 6, name="emails")
    how = ("--all", "--yes", "--json", "--canary", "4", "--canary-time", "0.3", "--follow", "5")
    done = invoke("--redis", redis_url, "retry", "*", *how)
    assert (done.code, done.summary["retried"]) == (1, 4)
    assert "stopped: canary: 4 of 4 jobs waiting after 0.3 s" in done.err
    assert [client.zcard(f"bull:{one}:failed") for one in ("payments", "emails")] == [4, 4]
    assert done.summary["outcomes"]["waiting"] == 4
    again = invoke(
        *("--redis", redis_url, "retry", "--resume", done.summary["journal"], "--json"),
    )
    assert (again.code, again.summary["retried"]) == (1, 8), again.err
