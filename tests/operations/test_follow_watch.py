"""Follows until all are decided, within a time and at a known price."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import OutcomeTally
from tests.operations.following import EVENTS, FAILED, began, retried, retry, run
from tests.patience import AT_ONCE, PATIENCE
from tests.seeds import (
    QUEUE,
    raw_failed,
    soon,
)
from tests.wires import counted, open_proxy

# Until all are decided


async def test_it_continues_when_the_connection_is_lost_for_a_while(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return False

    async with (
        open_proxy(any_server) as proxy,
        proxy.client() as ours,
        retried(any_server, any_client, ours, 3) as (real, ids, follower),
    ):
        proxy.away = True
        settling = asyncio.ensure_future(follower.settle(PATIENCE, stop))
        await run(real, 3, {ids[0]: "boom"})
        await soon(lambda: asked > 3)
        assert follower.undecided == 3
        proxy.away = False
        tally = await settling
        assert (tally.completed, tally.failed_again) == (2, 1)


async def test_without_an_answer_the_time_is_up_all_the_same(
    server: EmbeddedServer, client: Redis
) -> None:
    async with (
        open_proxy(server) as proxy,
        proxy.client() as ours,
        retried(server, client, ours, 1) as (_, _, follower),
    ):
        proxy.away = True
        start = time.perf_counter()
        assert await follower.settle(0.5) == OutcomeTally(waiting=1)
        assert 0.5 <= time.perf_counter() - start < AT_ONCE


async def test_it_waits_for_a_canary_alone_and_stops_when_asked(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    async with retried(any_server, any_client, ours, 4) as (real, ids, follower):
        start = time.perf_counter()
        assert await follower.settle(PATIENCE, lambda: True) == OutcomeTally(waiting=4)
        assert await follower.settle(0) == OutcomeTally(waiting=4)
        assert time.perf_counter() - start < AT_ONCE
        settling = asyncio.ensure_future(follower.settle(PATIENCE, ids=ids[:2]))
        await run(real, 2, {ids[0]: "boom"})
        canary = await settling
        assert (canary.decided, canary.failed_again, canary.followed) == (2, 1, 2)


async def test_changes_come_as_they_happen(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    async with retried(any_server, any_client, ours, 3) as (real, ids, follower):
        seen: set[str] = set()
        running = asyncio.ensure_future(run(real, 3))
        async for changed in follower.watch(PATIENCE):
            assert changed
            seen |= changed
        await running
        assert seen == set(ids)


# What it costs


async def test_a_look_with_nothing_new_is_one_command(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    ids = await raw_failed(any_client, [str(number) for number in range(1, 301)])
    async with counted(any_server) as (ours, trips):
        follower = await began(ours)
        follower.add(await retry(any_client, ids))
        await follower.look()
        trips.count = 0
        await follower.look()
        assert trips.count == 1
        # A chunk of states, and an LPOS in active for those that are in no set.
        await any_client.delete(EVENTS)
        await asyncio.sleep(0.5)  # the least time between two readings of states
        trips.count = 0
        await follower.look()
        assert trips.count == 1 + 3
        assert follower.tally() == OutcomeTally(waiting=300)
    stats = await any_client.info("commandstats")
    assert stats["cmdstat_lpos"]["calls"] == 300
    longest = max(stats[name]["usec_per_call"] for name in ("cmdstat_lpos", "cmdstat_xrange"))
    assert longest < 2500


@pytest.mark.slow
async def test_several_looks_share_a_longer_reading_of_states(client: Redis) -> None:
    ids = await raw_failed(client, [str(number) for number in range(1, 6001)])
    follower, start = await began(client, most=9000), time.monotonic()
    for place in range(0, 6000, 200):
        follower.add(await retry(client, ids[place : place + 200]))
    await client.delete(EVENTS, QUEUE.key("wait"), *map(QUEUE.job, ids[5500:]))
    await soon(lambda: time.monotonic() - start > 1)  # it is due; the more jobs, the later
    await follower.look()
    assert (follower.behind, follower.undecided) == (True, 6000)
    assert await follower.look() == set(ids[5500:])
    assert (follower.behind, follower.undecided) == (False, 5500)


@pytest.mark.slow
async def test_a_look_is_bounded_however_many_events_there_are(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    ids = await raw_failed(any_client, ["1"])
    await any_client.hset(QUEUE.key("meta"), "opts.maxLenEvents", "1000000")
    await any_client.xadd(EVENTS, {"event": "added", "jobId": "1"})
    async with counted(any_server) as (ours, trips):
        follower = await began(ours)
        pipe = any_client.pipeline(transaction=False)
        for number in range(30_000):
            pipe.xadd(EVENTS, {"event": "active", "jobId": f"other{number}"})
        await pipe.execute()
        follower.add(await retry(any_client, ids))
        trips.count = 0
        assert await follower.look() == set()
        # Pages of events; a busy machine takes so long that states are read once more too.
        assert trips.count in (20, 20 + 3)
        assert follower.behind
        await any_client.xadd(EVENTS, {"event": "completed", "jobId": "1"})
        await follower.settle(PATIENCE)
        assert follower.tally() == OutcomeTally(completed=1)
        assert not follower.behind


async def test_a_followed_job_costs_little_memory(client: Redis) -> None:
    jobs = 50_000
    results = [Result(str(number), Code.DONE, "wait") for number in range(jobs)]
    errors = [f"Timeout after {number % 90} ms" for number in range(jobs)]
    follower = Follower(client, QUEUE, FAILED)
    tracemalloc.start()
    try:
        follower.add(results, errors)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / jobs < 200
