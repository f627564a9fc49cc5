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


def test_a_server_that_is_nearly_full_is_a_fault(redis_url: str) -> None:
    failed(redis_url, 1)
    client = connect(redis_url)
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) * 102 // 100)
    try:
        done = invoke("--redis", redis_url, "doctor", "--json")
    finally:
        client.config_set("maxmemory", 0)
    assert "memory" in {one.get("finding") for one in done.objects if one.get("fault")}


def test_a_replica_is_a_hint(redis_url: str) -> None:
    failed(redis_url, 1)
    client = connect(redis_url)
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        done = invoke("--redis", redis_url, "doctor", "payments", "--json")
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")
    found = {one.get("finding"): one.get("fault") for one in done.objects}
    assert found["replica"] is False
    assert done.code == 0


def test_with_the_right_to_read_alone_it_finds_the_same_and_says_what_is_lacking(
    redis_url: str,
) -> None:
    failed(redis_url, 3)
    client = connect(redis_url)
    client.delete("bull:payments:2")
    rights = ("on", ">secret", "resetkeys", "~bull:*", "-@all", "+@read")
    client.execute_command("ACL", "SETUSER", "reader", *rights)
    url = redis_url.replace("unix://", "unix://reader:secret@")
    try:
        done = invoke("--redis", url, "--read-only", "doctor", "payments", "--json")
        why = invoke("--redis", url, "--read-only", "why", "payments", "1")
        workers = invoke("--redis", url, "--read-only", "workers", "payments")
    finally:
        client.execute_command("ACL", "DELUSER", "reader")
    found = {one["finding"]: one for one in done.objects if "finding" in one}
    assert found["no-hash"]["sample"] == ["2"]
    assert found["rights"]["words"] == "this user lacks +ping +info +client|list"
    assert done.code == 1
    assert "failed " in why.out
    assert "grant it +client|list" in workers.err


def test_a_user_who_may_only_read_is_told_which_right_is_lacking(redis_url: str) -> None:
    failed(redis_url, 1)
    connect(redis_url).execute_command("ACL", "SETUSER", "watcher", *RIGHTS)
    url = redis_url.replace("unix://", "unix://watcher:secret@")
    done = invoke("--redis", url, "doctor", "payments")
    connect(redis_url).execute_command("ACL", "DELUSER", "watcher")
    assert done.code == 0
    assert "this user lacks +client|list" in done.out
    assert "secret" not in done.out + done.err
