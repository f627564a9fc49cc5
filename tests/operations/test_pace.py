"""A campaign goes as fast as wanted, holds when enough wait, and stops when Redis gets slow."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import ONE_RESUME
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.pace import SECONDS_A_BATCH, Pace, Throttle, TooSlow
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.operations.campaigns import FAILED, codes, ours_to, plan_of, run
from tests.patience import AT_ONCE, PATIENCE
from tests.seeds import QUEUE, census, failed_jobs, raw_failed, real_queue, soon
from tests.wires import _reply, _request


async def all_failed(client: Client, pace: Pace) -> Campaign[Retry]:
    """A campaign over everything that has failed."""
    plan = await make_plan(client, await query(client, QUEUE, FAILED), rate=0)
    return Campaign(client, Retry(client, RetryWriter(client), plan, Resets()), pace, patience=10)


async def timed(campaign: Campaign[Retry]) -> list[tuple[float, int]]:
    """When each batch was reported, in seconds from the first, and how many jobs were before it."""
    found: list[tuple[float, int]] = []
    began, before = 0.0, 0
    async for batch in campaign.run():
        began = began or time.monotonic()
        found.append((time.monotonic() - began, before))
        before += len(batch)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "jobs"), [(150.0, 600), (400.0, 1500), (1500.0, 6000)])
@pytest.mark.parametrize("by_query", [True, False])
async def test_a_rate_is_never_exceeded_by_a_tenth(
    client: Redis, rate: float, jobs: int, by_query: bool
) -> None:
    ids = await raw_failed(client, map(str, range(jobs)))
    if by_query:
        campaign = await all_failed(client, Pace(rate=rate))
    else:
        plan = await plan_of(client, ids)
        campaign = Campaign(
            client, Retry(client, RetryWriter(client), plan, Resets()), Pace(rate=rate)
        )
    batches = await timed(campaign)
    assert campaign.done == jobs
    # The first slice is free, so the measurement begins behind it.
    start, first = next(one for one in batches if one[1] >= 0.1 * jobs)
    end, last = batches[-1]
    # A busy machine may be slower; it must not be idle.
    assert 0.4 * rate <= (last - first) / (end - start) <= 1.1 * rate
    # And nowhere a burst: in no second more than the rate, but for one slice at its edges.
    for at, (since, before) in enumerate(batches):
        within = [one for one in batches[at:] if one[0] < since + 1]
        assert within[-1][1] - before <= rate * (1 + 2 * SECONDS_A_BATCH)


async def test_a_rate_below_one_slice_is_one_job_at_a_time(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(9)))
    retry = Retry(client, RetryWriter(client), await plan_of(client, ids), Resets())
    campaign = Campaign(client, retry, Pace(rate=4.0))
    sizes = []
    began = time.monotonic()
    async for batch in campaign.run():
        sizes.append(len(batch))
    assert sizes == [1] * 9
    assert 1.7 <= time.monotonic() - began < AT_ONCE


async def test_a_pause_is_not_made_up_for_in_a_burst(client: Redis) -> None:
    await raw_failed(client, map(str, range(600)))
    campaign = await all_failed(client, Pace(rate=500))
    batches: list[tuple[float, int]] = []
    async for batch in campaign.run():
        batches.append((time.monotonic(), len(batch)))
        if len(batches) == 1:
            await client.execute_command("DEBUG", "SLEEP", "0.8")
    after = [(at - batches[1][0], size) for at, size in batches[1:]]
    assert sum(size for at, size in after if at < 0.5) <= 500 * (0.5 + 2 * SECONDS_A_BATCH)


async def test_a_stop_ends_the_wait_for_ones_turn(client: Redis) -> None:
    await raw_failed(client, map(str, range(10)))
    campaign = await all_failed(client, Pace(rate=0.05))
    found: list[Result] = []
    began = time.monotonic()
    async for batch in campaign.run():
        found += batch
        asyncio.get_running_loop().call_later(0.05, campaign.stop)
    assert time.monotonic() - began < AT_ONCE
    assert campaign.phase is Phase.STOPPED
    assert len(found) < 10


# The waiting side


@pytest.mark.slow
async def test_no_more_wait_than_may_while_a_worker_takes_them(server: EmbeddedServer) -> None:
    client = ours_to(server)
    watcher = ours_to(server)
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 400, attempts=1)
        campaign = await all_failed(client, Pace(max_waiting=25))
        most, held = 0, set[str]()
        found: list[Result] = []

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, await watcher.llen(QUEUE.key("wait")))
                if campaign.held:
                    held.add(campaign.held)

        async def carry_out() -> None:
            async for batch in campaign.run():
                found.extend(batch)

        watching = asyncio.ensure_future(watch())
        running = asyncio.ensure_future(carry_out())
        await soon(lambda: bool(held))
        assert len(found) == most == 25
        async with real.worker(concurrency=2) as ended:
            await running
            watching.cancel()
            await ended(400)
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
    assert most == 25
    assert all("limit 25" in one for one in held)
    assert campaign.held == ""
    await client.aclose()
    await watcher.aclose()


async def test_without_a_worker_it_holds_until_it_is_stopped(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(1, 101)))
    campaign = await all_failed(client, Pace(max_waiting=30))
    found: list[Result] = []

    async def stop() -> None:
        await soon(lambda: campaign.held != "")
        campaign.stop()

    stopping = asyncio.ensure_future(stop())
    async for batch in campaign.run():
        found += batch
    await stopping
    assert (campaign.phase, campaign.held) == (Phase.STOPPED, "")
    assert [one.job_id for one in found] == ids[:30]
    assert await client.llen(QUEUE.key("wait")) == 30


async def test_other_jobs_that_wait_count_too(client: Redis) -> None:
    await raw_failed(client, map(str, range(50)))
    await client.rpush(QUEUE.key("wait"), *(f"w{n}" for n in range(20)))
    await client.zadd(QUEUE.key("prioritized"), {f"p{n}": n for n in range(20)})
    stop = asyncio.Event()
    throttle = Throttle(client, QUEUE, Pace(max_waiting=45), stop)
    assert await throttle.admit(50) == 5
    await client.rpush(QUEUE.key("wait"), *(f"x{n}" for n in range(5)))
    assert await throttle.admit(50) == 0
    assert throttle.held == "45 jobs waiting (limit 45)"
    await client.delete(QUEUE.key("prioritized"))
    assert await throttle.admit(50) == 20
    assert throttle.held == ""


# Latency


@asynccontextmanager
async def slowed(server: EmbeddedServer, seconds: float) -> AsyncIterator[Redis]:
    """A client whose server is kept busy by another: each time for so long, with little between."""
    other, ours = ours_to(server), ours_to(server)

    async def keep_busy() -> None:
        while True:
            await other.execute_command("DEBUG", "SLEEP", str(seconds))

    busy: asyncio.Future[None] = asyncio.ensure_future(keep_busy())
    try:
        yield ours
    finally:
        busy.cancel()
        with suppress(asyncio.CancelledError):
            await busy
        await other.aclose()
        await ours.aclose()


@pytest.mark.slow
async def test_a_server_that_has_become_slow_stops_the_campaign(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, map(str, range(2000)))
    campaign = await all_failed(client, Pace(rate=200, max_latency=0.1))
    found: list[Result] = []
    async with slowed(server, 0.3):
        async with asyncio.timeout(PATIENCE):
            async for batch in campaign.run():
                found += batch
    assert campaign.phase is Phase.STOPPED
    assert "Redis latency" in campaign.why
    assert "exceeds the limit of 100 ms" in campaign.why
    assert 0 < len(found) < 2000
    places = await census(client)
    assert {one for one in ids if places[one] == ["wait"]} == set(codes(found))


async def test_a_single_slow_answer_stops_nothing(client: Redis, server: EmbeddedServer) -> None:
    await raw_failed(client, map(str, range(600)))
    other = ours_to(server)
    campaign = await all_failed(client, Pace(rate=300, max_latency=0.05))
    sleeping: list[asyncio.Future[object]] = []
    batches = 0
    async for _ in campaign.run():
        batches += 1
        if batches in (3, 8):
            sleeping.append(asyncio.ensure_future(other.execute_command("DEBUG", "SLEEP", "0.15")))
    await asyncio.gather(*sleeping)
    assert (campaign.phase, campaign.why) == (Phase.DONE, "")
    assert campaign.done == 600
    await other.aclose()


async def test_the_third_slow_look_in_a_row_is_too_slow_and_none_is_with_0(
    server: EmbeddedServer,
) -> None:
    delay = 0.0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(server.path)
        while request := await _request(reader):
            await asyncio.sleep(delay)  # the line is as slow as that
            up_writer.write(request)
            writer.write(await _reply(up_reader))
        up_writer.close()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with Redis(host="127.0.0.1", port=port, protocol=2, decode_responses=True) as far:
        await far.ping()
        throttle = Throttle(far, QUEUE, Pace(max_latency=0.05), asyncio.Event())
        delay = 0.1
        assert [await throttle.admit(7) for _ in range(2)] == [7, 7]
        delay = 0.0
        assert await throttle.admit(7) == 7  # it has recovered
        delay = 0.1
        throttle = Throttle(far, QUEUE, Pace(max_latency=0.05), asyncio.Event())
        assert [await throttle.admit(7) for _ in range(2)] == [7, 7]
        with pytest.raises(TooSlow, match="exceeds the limit of 50 ms"):
            await throttle.admit(7)
        careless = Throttle(far, QUEUE, Pace(max_latency=0), asyncio.Event())
        assert [await careless.admit(7) for _ in range(5)] == [7] * 5
    listener.close()


async def test_nothing_wanted_is_as_fast_as_batches_go(client: Redis) -> None:
    throttle = Throttle(client, QUEUE, Pace(), asyncio.Event())
    began = time.monotonic()
    assert [await throttle.admit(200) for _ in range(500)] == [200] * 500
    assert time.monotonic() - began < AT_ONCE


async def test_a_paused_queue_takes_any_number_and_holds_none(client: Redis) -> None:
    """More than one resume of BullMQ 6 moves; the queue is paused while they are sent."""
    ids = await raw_failed(client, [f"j{place}" for place in range(ONE_RESUME + 500)])
    campaign = await all_failed(client, Pace())
    batches = campaign.run()
    await anext(batches)
    waiting = await client.llen(QUEUE.key("wait"))
    await client.rpush(QUEUE.key("paused"), *(f"s{place}" for place in range(ONE_RESUME)))
    await client.hset(QUEUE.key("meta"), "paused", 1)
    async for _ in batches:
        assert not campaign.held
    assert (campaign.phase, campaign.done) == (Phase.DONE, len(ids))
    assert await client.llen(QUEUE.key("paused")) == ONE_RESUME
    assert await client.zcard(QUEUE.key("prioritized")) > 0
    places = await census(client)
    assert {places[one][0] for one in ids} <= {"wait", "prioritized"}
    assert sum(places[one] == ["wait"] for one in ids) >= waiting


async def test_max_waiting_counts_what_waits_in_a_paused_queue(client: Redis) -> None:
    await raw_failed(client, map(str, range(50)))
    await client.hset(QUEUE.key("meta"), "paused", 1)
    campaign = await all_failed(client, Pace(max_waiting=20))
    running = asyncio.create_task(run(campaign))
    await soon(lambda: campaign.held == "20 jobs waiting (limit 20)")
    campaign.stop()
    await running
    assert (campaign.done, await client.zcard(QUEUE.key("prioritized"))) == (20, 20)


async def test_room_is_found_behind_a_hundred_full_queues(client: Redis) -> None:
    queues = [QueueKey.of("bull", f"q{at}") for at in range(230)]
    full, free = queues[:-5], queues[-5:]
    pipe = client.pipeline(transaction=False)
    for one in full:
        pipe.rpush(one.key("wait"), "a", "b")
    await pipe.execute()
    throttle = Throttle(client, QUEUE, Pace(max_waiting=2), asyncio.Event())
    found = [await throttle.with_room(queues) for _ in range(4)]
    assert found == [None, None, free[0], free[0]]
    # It goes round: those at the beginning have room again.
    await client.delete(full[1].key("wait"))
    for one in free:
        await client.rpush(one.key("wait"), "a", "b")
    found = [await throttle.with_room(queues) for _ in range(2)]
    assert full[1] in found
