"""`qtui doctor --fix` mends what it finds by actions that can be undone."""

from __future__ import annotations

import pytest
import redis

from tests.cli.stage import connect, failed, invoke


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    failed(redis_url, 3)
    return connect(redis_url)


def _no_hash(client: redis.Redis) -> None:
    client.delete("bull:payments:2")


def _stranded(client: redis.Redis) -> None:
    client.hset("bull:payments:9", mapping={"name": "a", "timestamp": "1", "data": "{}"})
    client.rpush("bull:payments:paused", "9")


def _endless_limit(client: redis.Redis) -> None:
    client.set("bull:payments:limiter", 2**53 - 1)


def _dead_dedup(client: redis.Redis) -> None:
    client.set("bull:payments:de:order-1", "gone")


def _no_state(client: redis.Redis) -> None:
    client.zrem("bull:payments:failed", "2")


FAULTS = {
    "no-hash": _no_hash,
    "no-state": _no_state,
    "stranded": _stranded,
    "endless-limit": _endless_limit,
    "dead-dedup": _dead_dedup,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_mended_and_can_be_undone(
    redis_url: str, client: redis.Redis, fault: str
) -> None:
    FAULTS[fault](client)
    assert _found(redis_url) == [fault]
    dry = invoke("--redis", redis_url, "doctor", "--fix", "--dry-run")
    assert (dry.code, _found(redis_url)) == (1, [fault])
    done = invoke("--redis", redis_url, "doctor", "--fix", "--yes")
    assert done.code == 0, done.out + done.err
    assert _found(redis_url) == []
    *_, entry = invoke("--redis", redis_url, "journal", "--json").objects
    assert entry["reason"] == "qtui doctor --fix"


def _found(url: str) -> list[str]:
    objects = invoke("--redis", url, "doctor", "payments", "--json").objects
    return [one["finding"] for one in objects if one.get("fault")]


def test_it_asks_and_read_only_mode_refuses(redis_url: str, client: redis.Redis) -> None:
    _no_hash(client)
    assert invoke("--redis", redis_url, "doctor", "--fix").code == 2
    assert invoke("--redis", redis_url, "--read-only", "doctor", "--fix", "--yes").code == 4
    assert invoke("--redis", redis_url, "doctor", "--yes").code == 2
    assert _found(redis_url) == ["no-hash"]
