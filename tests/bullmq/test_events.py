"""Which queues have changed, read from their streams."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.stream import wait_for_events
from qtui.demo.server import EmbeddedServer
from tests.patience import AT_ONCE
from tests.seeds import job, real_queue

A, B, C = (QueueKey.of("bull", name) for name in "abc")


async def blocked(client: Redis, waiting: asyncio.Future[set[QueueKey]]) -> None:
    """Returns when a client waits for streams."""
    while not waiting.done() and not (await client.info("clients"))["blocked_clients"]:
        pass


async def test_a_real_job_is_heard_at_once(any_server: EmbeddedServer, any_client: Redis) -> None:
    ours = connect(parse_target(any_server.url), read_only=True)
    async with real_queue(any_server, B) as real:
        waiting = asyncio.ensure_future(wait_for_events(ours, [A, B, C]))
        await blocked(any_client, waiting)
        await real.add(job())
        assert await waiting == {B}
    await ours.aclose()


async def test_what_was_before_is_not_heard(client: Redis) -> None:
    await client.xadd(A.key("events"), {"event": "added"})
    assert await wait_for_events(client, [A, B], 1) == set()


async def test_several_queues_that_change_at_once_are_all_reported(client: Redis) -> None:
    waiting = asyncio.ensure_future(wait_for_events(client, [A, B, C]))
    await blocked(client, waiting)
    async with client.pipeline(transaction=True) as pipe:
        pipe.xadd(A.key("events"), {"event": "x"})
        pipe.xadd(C.key("events"), {"event": "x"})
        await pipe.execute()
    assert await waiting == {A, C}


async def test_a_key_that_is_no_stream_does_not_deafen_us_for_the_others(client: Redis) -> None:
    await client.set(A.key("events"), "junk")
    waiting = asyncio.ensure_future(wait_for_events(client, [A, B]))
    await blocked(client, waiting)
    await client.xadd(B.key("events"), {"event": "x"})
    assert await waiting == {B}


@pytest.mark.parametrize("queues", [[], [A]])
async def test_without_a_stream_the_time_passes_all_the_same(
    client: Redis, queues: list[QueueKey]
) -> None:
    # Or whoever listens in a loop would never sleep.
    await client.set(A.key("events"), "junk")
    start = time.perf_counter()
    assert await wait_for_events(client, queues, 50) == set()
    assert time.perf_counter() - start >= 0.05


async def test_no_wait_is_longer_than_a_read_may_take(server: EmbeddedServer) -> None:
    ours = connect(parse_target(server.url), read_only=True)
    start = time.perf_counter()
    assert await wait_for_events(ours, [A], 60_000) == set()
    assert time.perf_counter() - start < AT_ONCE
    assert await wait_for_events(ours, [A], 0) == set()
    await ours.aclose()
