"""`qtui doctor` names each fault with its effect and its remedy, and is 1 if there is one."""

from __future__ import annotations

from tests.cli.stage import connect, failed, invoke

RIGHTS = ("on", ">secret", "resetkeys", "~bull:*", "-@all", "+@read", "+ping", "+info")


def test_a_healthy_server_is_code_0(redis_url: str) -> None:
    failed(redis_url, 3)
    done = invoke("--redis", redis_url, "--read-only", "doctor")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "1 queue examined: 0 faults, 1 hint"
    assert "restart loses every job" in done.out


def test_a_fault_is_code_1_with_what_to_do(redis_url: str) -> None:
    failed(redis_url, 3)
    connect(redis_url).delete("bull:payments:2")
    done = invoke("--redis", redis_url, "doctor", "payments")
    assert done.code == 1
    assert "✗ payments: 1 id is in a state, but the job is gone" in done.out
    assert "    jobs      2\n" in done.out
    assert "    evidence  bull:payments:2: none\n" in done.out
    *_, finding, summary = invoke("--redis", redis_url, "doctor", "--json").objects
    assert {name: finding[name] for name in ("finding", "queue", "fault", "jobs", "sample")} == {
        "finding": "no-hash",
        "queue": "bull:payments",
        "fault": True,
        "jobs": 1,
        "sample": ["2"],
    }
    assert summary == {"summary": {"queues": 1, "faults": 1, "hints": 1}}


def test_a_server_that_evicts_keys_is_a_fault(redis_url: str) -> None:
    failed(redis_url, 1)
    client = connect(redis_url)
    client.config_set("maxmemory", 10**9)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = invoke("--redis", redis_url, "doctor")
    finally:
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    assert done.code == 1
    assert "✗ server: maxmemory-policy is allkeys-lru" in done.out


def test_a_user_who_may_only_read_is_told_which_right_is_lacking(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).execute_command("ACL", "SETUSER", "watcher", *RIGHTS)
    url = redis_url.replace("unix://", "unix://watcher:secret@")
    done = invoke("--redis", url, "doctor", "payments")
    connect(redis_url).execute_command("ACL", "DELUSER", "watcher")
    assert done.code == 0
    assert "this user lacks +client|list" in done.out
    assert "secret" not in done.out + done.err
