"""Hashes of a queue that are beside its jobs and are none, as BullMQ 6.7.0 leaves them."""

from __future__ import annotations

import pytest

from tests.cli.stage import connect, failed, invoke

HASHES = {
    "repeat:s1": {"name": "tick", "every": "3600000", "offset": "0", "data": '{"a":1}', "ic": "2"},
    "repeat:s:2": {"name": "tock", "pattern": "0 0 * * *", "offset": "0", "ic": "1"},
    "dn:orders": {"name": "sync", "data": '{"n":2}', "opts": "{}", "jid": "7"},
    "metrics:completed": {"count": "4", "prevTS": "1795961332461", "prevCount": "1"},
    "metrics:failed": {"count": "1", "prevTS": "1795961332461", "prevCount": "0"},
    "1:processed": {"bull:other:5": '{"ok":true}'},
    "1:failed": {"bull:other:6": "boom"},
}


@pytest.fixture
def url(redis_url: str) -> str:
    """A queue with a failed job, those hashes, and a job of a scheduler that is in no state."""
    failed(redis_url, 1)
    with connect(redis_url) as client:
        for name, fields in HASHES.items():
            client.hset(f"bull:payments:{name}", mapping=fields)
        client.zadd("bull:payments:repeat", {"s1": 1795964932461})
        client.set("bull:payments:de:orders", "1")
        job = {"timestamp": "1795961332461", "name": "tick", "data": "{}", "opts": "{}"}
        client.hset("bull:payments:repeat:s1:1795964932461", mapping={**job, "rjk": "s1"})
    return redis_url


@pytest.mark.parametrize("name", [*HASHES, "de:orders", "meta", "id"])
def test_none_of_them_is_found_as_a_job(url: str, name: str) -> None:
    done = invoke("--redis", url, "show", "*", name)
    assert done.code == 1
    assert f'no job "{name}" in any of 1 queue' in done.err
    done = invoke("--redis", url, "show", "payments", name)
    assert (done.code, done.out) == (1, "")
    assert "not a job" in done.err
    done = invoke("--redis", url, "flow", "payments", name)
    assert (done.code, done.out) == (1, "")


def test_each_is_called_what_it_is(url: str) -> None:
    for name, words in (
        ("repeat:s1", "is a job scheduler"),
        ("dn:orders", "is a deduplicated job that is added after the one it duplicates"),
        ("metrics:failed", "is metrics"),
        ("1:processed", "is a key of the queue"),
    ):
        assert words in invoke("--redis", url, "show", "payments", name).err


@pytest.mark.parametrize("queue", ["*", "payments"])
def test_a_job_of_a_scheduler_is_one_wherever_it_is(url: str, queue: str) -> None:
    name = "repeat:s1:1795964932461"
    [found] = invoke("--redis", url, "show", queue, name, "--json").objects
    assert (found["id"], found["state"]) == (name, None)
    with connect(url) as client:
        client.delete(f"bull:payments:{name}")
        client.hset(f"bull:payments:{name}", "name", "tick")
        client.zadd("bull:payments:delayed", {name: 1})
    [found] = invoke("--redis", url, "show", queue, name, "--json").objects
    assert (found["id"], found["state"]) == (name, "delayed")
