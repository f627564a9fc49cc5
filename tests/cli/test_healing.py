"""`qtui doctor --fix` mends what it finds by actions that can be undone."""

from __future__ import annotations

import asyncio

import pytest
import redis
from bullmq import FlowProducer, Queue

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


def _dead_scheduler(client: redis.Redis) -> None:
    asyncio.run(_scheduler(client))
    [iteration] = map(str, client.zrange("bull:payments:delayed", 0, -1))
    client.delete("bull:payments:delayed", f"bull:payments:{iteration}")


async def _scheduler(client: redis.Redis) -> None:
    queue = Queue("payments", {"connection": _url(client)})
    await queue.upsertJobScheduler("nightly", {"pattern": "0 3 * * *", "tz": "UTC"}, "tick", {})
    await queue.close()


def _lost_child(client: redis.Redis) -> None:
    parent, child = asyncio.run(_flow(client))
    client.delete(f"bull:payments:{child}", "bull:payments:wait")
    client.zadd("bull:payments:waiting-children", {parent: 1_000})


async def _flow(client: redis.Redis) -> tuple[str, str]:
    producer = FlowProducer({"connection": _url(client)})
    one = {"queueName": "payments", "name": "kid", "data": {}}
    tree = await producer.add({**one, "name": "parent", "children": [one]})
    await producer.close()
    return tree["job"].id, tree["children"][0]["job"].id


def _url(client: redis.Redis) -> str:
    path: str = client.connection_pool.connection_kwargs["path"]
    return f"unix://{path}"


def _mixed_pause(client: redis.Redis) -> None:
    """As 5.x leaves a paused queue to which 6.x has added."""
    for job_id, place in (("8", "paused"), ("9", "wait")):
        one = f"bull:payments:{job_id}"
        client.hset(one, mapping={"name": "a", "timestamp": "1", "data": "{}"})
        client.rpush(f"bull:payments:{place}", job_id)
    client.hset("bull:payments:meta", "paused", "1")


FAULTS = {
    "dead-scheduler": _dead_scheduler,
    "lost-child": _lost_child,
    "mixed-pause": _mixed_pause,
    "no-hash": _no_hash,
    "no-state": _no_state,
    "stranded": _stranded,
    "endless-limit": _endless_limit,
    "dead-dedup": _dead_dedup,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_mended_and_its_undo_is_safe(
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
    undone = invoke("--redis", redis_url, "undo", "--yes")
    if fault == "stranded":
        assert (undone.code, _found(redis_url)) == (1, [])
        assert "it was not paused before: only its stranded jobs were brought back" in undone.out
        assert client.hget("bull:payments:meta", "paused") is None
    else:
        assert undone.code == 0
        # The undo of a resume pauses, in one way.
        assert _found(redis_url) == ([] if fault == "mixed-pause" else [fault])


def _found(url: str) -> list[str]:
    objects = invoke("--redis", url, "doctor", "payments", "--json").objects
    return [one["finding"] for one in objects if one.get("fault")]


def test_it_asks_and_read_only_mode_refuses(redis_url: str, client: redis.Redis) -> None:
    _no_hash(client)
    assert invoke("--redis", redis_url, "doctor", "--fix").code == 2
    assert invoke("--redis", redis_url, "--read-only", "doctor", "--fix", "--yes").code == 4
    assert invoke("--redis", redis_url, "doctor", "--yes").code == 2
    assert _found(redis_url) == ["no-hash"]


@pytest.mark.slow
def test_what_is_left_is_said_and_only_that_makes_it_fail(
    redis_url: str, client: redis.Redis
) -> None:
    _no_hash(client)
    client.zadd("bull:payments:completed", {"1": 1740800000000})  # and in failed: in two states
    done = invoke("--redis", redis_url, "doctor", "--fix", "--yes")
    assert done.code == 1
    assert "qtui: left: payments: 1 job is in two states at once" in done.err
    assert _found(redis_url) == ["two-states"]
    client.zrem("bull:payments:completed", "1")
    again = invoke("--redis", redis_url, "doctor", "--fix", "--yes", "--json")
    assert again.code == 0
