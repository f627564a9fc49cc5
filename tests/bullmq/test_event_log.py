"""A queue's events from a moment on: each once, in order, and whether any were missed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.reads.events.log import MOST_EVENTS, Event, EventLog
from qtui.bullmq.reads.page import KEPT
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, Fields

EVENTS = QUEUE.key("events")
NAMES = ("waiting", "failed", "completed")


@pytest.fixture
async def ours(any_server: EmbeddedServer) -> AsyncIterator[Client]:
    """A connection that sends nothing but reads."""
    client = connect(parse_target(any_server.url), read_only=True)
    yield client
    await client.aclose()


async def put(client: Redis, *ids: str, name: str = "waiting", **more: str) -> None:
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        fields: Fields = {"event": name, "jobId": job_id}
        pipe.xadd(EVENTS, fields | dict(more.items()))
    await pipe.execute()


async def began(ours: Client) -> EventLog:
    log = EventLog(ours, QUEUE, NAMES)
    await log.begin()
    return log


async def test_events_after_the_beginning_are_reported_once(
    ours: Client, any_client: Redis
) -> None:
    await put(any_client, "old")
    log = await began(ours)
    assert (await log.read()).events == ()
    await put(any_client, "a", prev="failed")
    await put(any_client, "b", name="progress", data="{}")
    await any_client.xadd(EVENTS, {"event": "drained"})
    await any_client.xadd(EVENTS, {"odd": "one"})
    await put(any_client, "\udcff", name="failed", failedReason="x" * 3000)
    part = await log.read()
    assert part.events == (
        Event("waiting", "a", "failed"),
        Event("failed", "\udcff", error="x" * KEPT),
    )
    assert (part.whole, part.at_end, part.read) == (True, True, 5)
    part = await log.read()
    assert (part.events, part.whole, part.at_end, part.read) == ((), True, True, 0)


async def test_many_events_come_in_bounded_parts(ours: Client, any_client: Redis) -> None:
    await put(any_client, "old")
    log = await began(ours)
    ids = [str(number) for number in range(5 * MOST_EVENTS)]
    await put(any_client, *ids)
    seen: list[str] = []
    sizes: list[int] = []
    while True:
        part = await log.read()
        assert part.whole
        seen += [event.job_id for event in part.events]
        sizes.append(part.read)
        if part.at_end:
            break
    assert seen == ids
    assert max(sizes) == MOST_EVENTS - 1  # the last one of the part before is read again
    assert len(sizes) < 12


async def test_of_heavy_events_fewer_are_read_at_once(ours: Client, any_client: Redis) -> None:
    await put(any_client, "old")
    log = await began(ours)
    ids = [str(number) for number in range(200)]
    await put(any_client, *ids, name="completed", returnvalue="x" * 50_000)
    parts = [await log.read()]
    while not parts[-1].at_end:
        parts.append(await log.read())
    assert [event.job_id for part in parts for event in part.events] == ids
    assert parts[0].read == 99  # what they weigh is not known yet
    assert {part.read for part in parts[1:-1]} == {18, 19}


async def test_a_trimmed_stream_is_not_taken_for_a_whole_one(
    ours: Client, any_client: Redis
) -> None:
    await put(any_client, "old", "older", "oldest")
    log = await began(ours)
    await put(any_client, "a", "b")
    await any_client.xtrim(EVENTS, maxlen=3, approximate=False)  # the last one read is still there
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["a", "b"], True)
    await put(any_client, "c", "d", "e")
    await any_client.xtrim(EVENTS, maxlen=2, approximate=False)
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["d", "e"], False)
    assert (await log.read()).whole
    await any_client.xtrim(EVENTS, maxlen=0, approximate=False)
    assert [(await log.read()).whole for _ in range(2)] == [False, False]
    await put(any_client, "f")
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["f"], False)


async def test_a_stream_that_is_made_anew_is_read_on(ours: Client, any_client: Redis) -> None:
    # Not in the millisecond in which it is made anew: ids are times.
    await any_client.xadd(EVENTS, {"event": "waiting", "jobId": "old"}, id="1000-0")
    log = await began(ours)
    await any_client.delete(EVENTS)
    assert not (await log.read()).whole
    await put(any_client, "a")
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["a"], False)
    assert (await log.read()).whole


async def test_of_a_queue_without_events_all_that_come_are_reported(
    ours: Client, any_client: Redis
) -> None:
    log = await began(ours)
    # Nobody knows whether events came and were trimmed at once.
    assert not (await log.read()).whole
    await put(any_client, "a", "b")
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["a", "b"], False)
    await put(any_client, "c")
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["c"], True)


async def test_a_key_of_a_wrong_type_is_said_and_heals(ours: Client, any_client: Redis) -> None:
    await any_client.set(EVENTS, "junk")
    log = await began(ours)
    assert "WRONGTYPE" in log.refusal
    part = await log.read()
    assert (part.whole, part.at_end) == (False, True)
    await any_client.delete(EVENTS)
    await put(any_client, "before it could be read")
    assert not (await log.read()).whole
    assert log.refusal == ""
    await put(any_client, "a")
    part = await log.read()
    assert ([event.job_id for event in part.events], part.whole) == (["a"], True)


async def test_a_stream_that_an_acl_forbids_is_said(server: EmbeddedServer, client: Redis) -> None:
    await client.acl_setuser(
        "deaf", enabled=True, passwords=["+secret"], categories=["+@all"], commands=["-xrange"],
        keys=["*"],
    )  # fmt: skip
    theirs = Redis.from_url(server.url, username="deaf", password="secret", decode_responses=True)
    try:
        await put(client, "old")
        log = await began(theirs)
        await put(client, "a")
        assert not (await log.read()).whole
        assert "no permissions to run the 'xrange' command" in log.refusal
        with pytest.raises(ResponseError):
            await theirs.xrange(EVENTS)
        await client.acl_setuser("deaf", commands=["+xrange"])
        # What was there since the beginning is still known.
        part = await log.read()
        assert ([event.job_id for event in part.events], part.whole) == (["a"], True)
    finally:
        await theirs.aclose()
        await client.acl_deluser("deaf")
