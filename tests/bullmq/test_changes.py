"""Which queues have events: each is reported once, also one that comes between two calls."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.changes import Changes
from qtui.demo.server import EmbeddedServer
from tests.bullmq.test_events import blocked

A, B, C = (QueueKey.of("bull", name) for name in "abc")
QUEUES = [A, B, C]
LONG = 30_000


async def happens(client: Redis, queue: QueueKey, times: int = 1) -> None:
    for _ in range(times):
        await client.xadd(queue.key("events"), {"event": "added", "jobId": "1"})


async def begun(client: Redis) -> Changes:
    changes = Changes(client)
    assert await changes.wait(QUEUES, 1) == set()
    return changes


async def test_what_happens_between_two_calls_is_reported_by_the_next(any_client: Redis) -> None:
    changes = await begun(any_client)
    for queue in (A, B, A, C):
        await happens(any_client, queue)
        assert await changes.wait(QUEUES, LONG) == {queue}
        assert await changes.wait(QUEUES, 1) == set()


async def test_many_events_are_reported_once(any_client: Redis) -> None:
    changes = await begun(any_client)
    await happens(any_client, A, 50)
    await happens(any_client, B, 3)
    assert await changes.wait(QUEUES, LONG) == {A, B}
    assert await changes.wait(QUEUES, 1) == set()


async def test_events_of_before_are_none_of_its_business(any_client: Redis) -> None:
    await happens(any_client, A)
    await asyncio.sleep(0.01)  # the next millisecond
    assert await Changes(any_client).wait(QUEUES, 1) == set()


async def test_queues_of_which_one_step_changes_two_are_both_reported(any_client: Redis) -> None:
    """A child's end writes into its parent's stream too; a blocked client hears of the first."""
    changes = await begun(any_client)
    waiting = asyncio.ensure_future(changes.wait(QUEUES, 2_000))
    await blocked(any_client, waiting)
    pipe = any_client.pipeline(transaction=True)
    pipe.xadd(A.key("events"), {"event": "completed"})
    pipe.xadd(B.key("events"), {"event": "waiting"})
    await pipe.execute()
    found = await waiting
    while found != {A, B}:
        more = await changes.wait(QUEUES, LONG)
        assert more
        found |= more
    assert await changes.wait(QUEUES, 1) == set()


async def test_a_stream_that_begins_anew_is_heard(any_client: Redis) -> None:
    changes = await begun(any_client)
    await happens(any_client, A)
    assert await changes.wait(QUEUES, LONG) == {A}
    await any_client.delete(A.key("events"))
    assert await changes.wait(QUEUES, 1) == set()
    await happens(any_client, A)
    assert await changes.wait(QUEUES, LONG) == {A}


async def test_what_somebody_else_has_not_read_is_reported_again(any_client: Redis) -> None:
    changes = await begun(any_client)
    await happens(any_client, A)
    behind = {A: "0-0"}
    for _ in range(3):
        assert await changes.wait(QUEUES, LONG, behind) == {A}
    assert await changes.wait(QUEUES, 1) == set()


async def test_what_somebody_else_has_read_is_reported_all_the_same(any_client: Redis) -> None:
    changes = await begun(any_client)
    await happens(any_client, A)
    last = (await any_client.xinfo_stream(A.key("events")))["last-generated-id"]
    assert await changes.wait(QUEUES, LONG, {A: last}) == {A}
    assert await changes.wait(QUEUES, 1, {A: last}) == set()


@pytest.mark.parametrize("events", [0, 40])
async def test_a_wait_costs_one_command_and_one_more_where_something_came(
    any_client: Redis, events: int
) -> None:
    changes = await begun(any_client)
    await happens(any_client, A, events)
    await any_client.config_resetstat()
    await changes.wait(QUEUES, 1)
    ran = await any_client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): one["calls"] for name, one in ran.items()}
    calls.pop("config|resetstat", None)
    assert calls == ({"xread": 1, "xrevrange": 1} if events else {"xread": 1})


async def test_a_user_who_may_not_ask_for_the_time_hears_all_the_same(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    words = ("on", ">secret", "~bull:*", "+@read")
    await any_client.execute_command("ACL", "SETUSER", "watcher", *words)
    url = any_server.url.replace("unix://", "unix://watcher:secret@")
    client = connect(parse_target(url), read_only=True)
    try:
        changes = Changes(client)
        waiting = asyncio.ensure_future(changes.wait(QUEUES, 2_000))
        await blocked(any_client, waiting)
        await happens(any_client, A)
        assert await waiting == {A}
        await happens(any_client, A)
        assert await changes.wait(QUEUES, LONG) == {A}
    finally:
        await client.aclose()
        await any_client.acl_deluser("watcher")
