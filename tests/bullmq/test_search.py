"""A walk over a state meets every job that stays exactly once, whatever the others do meanwhile."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search import LARGEST, Walk
from qtui.demo.server import EmbeddedServer
from tests.wires import counted

QUEUE = QueueKey.of("bull", "payments")
FAILED = QUEUE.key("failed")
BOTH_WAYS = pytest.mark.parametrize("sort_ro", [True, False])
BOTH_DIRECTIONS = pytest.mark.parametrize("newest_first", [True, False])


async def seed(client: redis.asyncio.Redis, jobs: int) -> list[str]:
    """So many failed jobs, one a millisecond; their ids, newest first."""
    pipe = client.pipeline(transaction=False)
    for place in range(jobs):
        pipe.hset(QUEUE.job(str(place)), mapping={"name": f"n{place}", "failedReason": "boom"})
    pipe.zadd(FAILED, {str(place): 1000 + place for place in range(jobs)})
    await pipe.execute()
    return [str(place) for place in reversed(range(jobs))]


@BOTH_WAYS
async def test_a_still_state_is_met_in_order_with_the_fields_asked_for(
    any_client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    ids = await seed(any_client, 1300)
    walk = Walk(any_client, QUEUE, JobState.FAILED, ("name", "data"), rate=0, sort_ro=sort_ro)
    met = [one async for step in walk.steps() for one in step]
    assert [one.id for one in met] == ids
    assert met[0].fields == {"name": f"n{ids[0]}", "data": None}
    assert (walk.seen, walk.total) == (1300, 1300)


@BOTH_WAYS
@pytest.mark.parametrize("seed_number", range(6))
async def test_jobs_that_stay_are_met_once_while_others_come_and_go(
    client: redis.asyncio.Redis, sort_ro: bool, seed_number: int
) -> None:
    chance = random.Random(seed_number)
    ids = await seed(client, 4000)
    staying = {one for one in ids if chance.random() < 0.6}
    leaving = [one for one in ids if one not in staying]
    chance.shuffle(leaving)
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0, sort_ro=sort_ro)
    met: list[str] = []
    async for step in walk.steps():
        met += (one.id for one in step)
        newcomers = {f"new{len(met)}-{n}": 1e9 + len(met) for n in range(chance.randrange(1, 30))}
        await client.zadd(FAILED, newcomers)
        gone = [leaving.pop() for _ in range(min(len(leaving), chance.randrange(1, 250)))]
        if chance.random() < 0.3:  # a whole step leaves at once
            gone += (one.id for one in step)
            staying -= {one.id for one in step}
        if gone:
            await client.zrem(FAILED, *gone)
    assert len(met) == len(set(met)), "a job was met twice"
    assert staying <= set(met), "a job that stayed was passed over"


@BOTH_WAYS
async def test_bounds_leave_out_what_is_older_or_newer(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    await seed(client, 2000)
    walk = Walk(client, QUEUE, JobState.FAILED, (), bounds=(1500, 1600), rate=0, sort_ro=sort_ro)
    met = [one.id async for step in walk.steps() for one in step]
    assert met == [str(place) for place in range(600, 499, -1)]
    assert walk.total == 101


@BOTH_WAYS
async def test_lists_are_walked_without_their_markers(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    ids = [str(place) for place in range(1, 1200)]
    await client.rpush(QUEUE.key("wait"), "0:0", *ids, "0:1795000000000")
    walk = Walk(client, QUEUE, JobState.WAITING, ("name",), rate=0, sort_ro=sort_ro)
    assert [one.id async for step in walk.steps() for one in step] == ids


async def test_heavy_fields_make_the_steps_smaller(client: redis.asyncio.Redis) -> None:
    pipe = client.pipeline(transaction=False)
    for place in range(1500):
        pipe.hset(QUEUE.job(str(place)), "data", "x" * 20_000)
    pipe.zadd(FAILED, {str(place): place for place in range(1500)})
    await pipe.execute()
    walk = Walk(client, QUEUE, JobState.FAILED, ("data",), rate=0)
    sizes = [len(step) async for step in walk.steps()]
    assert sum(sizes) == 1500
    assert max(sizes[1:]) < LARGEST / 10


async def test_an_empty_or_absent_state_is_walked_at_once(client: redis.asyncio.Redis) -> None:
    for state in JobState:
        walk = Walk(client, QUEUE, state, ("name",))
        assert [step async for step in walk.steps()] == []


@BOTH_WAYS
@BOTH_DIRECTIONS
async def test_each_job_is_met_with_the_score_at_which_it_stands(
    any_client: redis.asyncio.Redis, sort_ro: bool, newest_first: bool
) -> None:
    ids = await seed(any_client, 1300)
    await any_client.zadd(FAILED, {ids[0]: 2299.5})
    walk = Walk(
        any_client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=newest_first,
        rate=0,
        sort_ro=sort_ro,
    )
    met = [one async for step in walk.steps() for one in step]
    assert [one.id for one in met] == (ids if newest_first else ids[::-1])
    assert [one.score for one in met if one.id == ids[0]] == [2299.5]
    assert all(one.score == 1000 + int(one.id) for one in met if one.id != ids[0])
    assert all(one.fields == {"name": f"n{one.id}"} for one in met)


@BOTH_WAYS
async def test_bounds_hold_for_the_oldest_first_too(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    await seed(client, 2000)
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        (),
        bounds=(1500, 2200),
        newest_first=False,
        rate=0,
        sort_ro=sort_ro,
    )
    met = [one.id async for step in walk.steps() for one in step]
    assert met == [str(place) for place in range(500, 1201)]
    assert walk.total == 701


@BOTH_WAYS
@pytest.mark.parametrize("seed_number", range(4))
async def test_the_oldest_first_meets_those_that_stay_once(
    client: redis.asyncio.Redis, sort_ro: bool, seed_number: int
) -> None:
    chance = random.Random(seed_number)
    ids = await seed(client, 4000)
    staying, leaving = set(ids), list(ids)
    chance.shuffle(leaving)
    walk = Walk(
        client, QUEUE, JobState.FAILED, ("name",), newest_first=False, rate=0, sort_ro=sort_ro
    )
    met: list[str] = []
    async for step in walk.steps():
        met += (one.id for one in step)
        await client.zadd(FAILED, {f"new{len(met)}": 1e9})
        gone = [leaving.pop() for _ in range(chance.randrange(1, 100))]
        if chance.random() < 0.5:  # as a campaign does it
            gone += (one.id for one in step)
        staying -= set(gone)
        await client.zrem(FAILED, *gone)
    old = [one for one in met if not one.startswith("new")]
    assert len(old) == len(set(old)), "a job was met twice"
    assert staying <= set(met), "a job that stayed was passed over"


@BOTH_WAYS
@BOTH_DIRECTIONS
@pytest.mark.parametrize("share", [1, 250])
async def test_jobs_that_come_back_at_another_place_do_not_lead_the_walk_astray(
    client: redis.asyncio.Redis, sort_ro: bool, newest_first: bool, share: int
) -> None:
    # A job on which the walk stands is retried and fails again: its place says nothing any more.
    ids = await seed(client, 3000)
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=newest_first,
        rate=0,
        sort_ro=sort_ro,
    )
    met: list[str] = []
    again: set[str] = set()
    async for step in walk.steps():
        met += (one.id for one in step)
        if len(met) < 3000:
            moved = [one.id for one in step][-share:]
            again.update(moved)
            await client.zadd(FAILED, {one: 1e6 + len(met) for one in moved})
    assert set(met) == set(ids), "a job that stayed was passed over"
    stayed = [one for one in met if one not in again]
    assert len(stayed) == len(set(stayed)), "a job that stayed was met twice"


@BOTH_WAYS
@BOTH_DIRECTIONS
async def test_jobs_that_come_in_ahead_of_the_walk_push_none_over_its_end(
    client: redis.asyncio.Redis, sort_ro: bool, newest_first: bool
) -> None:
    # The clocks of workers differ, so a job may fail anywhere, also where the walk has not been.
    ids = await seed(client, 2000)
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        bounds=(None, 2999.0),
        newest_first=newest_first,
        rate=0,
        sort_ro=sort_ro,
    )
    met: list[str] = []
    async for step in walk.steps():
        met += (one.id for one in step)
        if len(met) < 1000:
            at = 1000.5 if newest_first else 2998.5
            await client.zadd(FAILED, {f"new{len(met)}-{n}": at for n in range(100)})
    old = [one for one in met if not one.startswith("new")]
    assert len(old) == len(set(old)), "a job was met twice"
    assert set(ids) <= set(old), "a job that stayed was passed over"


@BOTH_WAYS
@BOTH_DIRECTIONS
@pytest.mark.parametrize("step_that_leaves", [0, 1, 2, 3])
async def test_among_jobs_of_one_moment_a_whole_step_may_leave(
    client: redis.asyncio.Redis, sort_ro: bool, newest_first: bool, step_that_leaves: int
) -> None:
    ids = await seed(client, 3000)
    await client.zadd(FAILED, dict.fromkeys(ids, 5.0))
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=newest_first,
        rate=0,
        sort_ro=sort_ro,
    )
    met: list[str] = []
    number = 0
    async for step in walk.steps():
        met += (one.id for one in step)
        assert all(set(one.fields) == {"name"} for one in step)
        if number == step_that_leaves:
            await client.zrem(FAILED, *(one.id for one in step))
        number += 1
    assert len(met) == len(set(met)), "a job was met twice"
    assert set(met) == set(ids), "a job that stayed was passed over"


@BOTH_WAYS
async def test_every_step_may_leave_as_it_is_met_even_at_one_moment(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    # What a campaign does to jobs that a bulk failed in one millisecond.
    ids = await seed(client, 3000)
    await client.zadd(FAILED, {one: 5.0 + (place > 1700) for place, one in enumerate(ids)})
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=False,
        rate=0,
        sort_ro=sort_ro,
    )
    met: list[str] = []
    async for step in walk.steps():
        met += (one.id for one in step)
        if step:
            await client.zrem(FAILED, *(one.id for one in step))
    assert sorted(met) == sorted(ids)
    assert await client.zcard(FAILED) == 0


async def test_a_list_whose_head_moves_is_walked_on_from_where_one_was(
    client: redis.asyncio.Redis,
) -> None:
    ids = [f"j{place}" for place in range(2000)]
    await client.rpush(QUEUE.key("wait"), *ids)
    walk = Walk(client, QUEUE, JobState.WAITING, (), rate=0)
    met: list[str] = []
    async for step in walk.steps():
        met += (one.id for one in step)
        await client.lpush(QUEUE.key("wait"), *(f"new{len(met)}-{n}" for n in range(30)))
        await client.rpop(QUEUE.key("wait"), 20)
    assert len(met) == len(set(met))
    assert set(ids[:1700]) <= set(met)


async def test_a_queue_that_is_deleted_meanwhile_ends_the_walk(
    client: redis.asyncio.Redis,
) -> None:
    await seed(client, 2000)
    met = 0
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0)
    async for step in walk.steps():
        met += len(step)
        await client.flushall()
    assert met == walk.seen < 2000


@BOTH_WAYS
async def test_a_state_of_a_wrong_type_is_told(client: redis.asyncio.Redis, sort_ro: bool) -> None:
    await client.set(FAILED, "junk")
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0, sort_ro=sort_ro)
    with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
        [step async for step in walk.steps()]


async def test_a_rate_holds_and_nothing_rests_behind_the_last_job(
    client: redis.asyncio.Redis,
) -> None:
    await seed(client, 1250)
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=2500)
    began = time.perf_counter()
    seen = [(time.perf_counter() - began, walk.seen) async for _ in walk.steps()]
    assert walk.seen == 1250
    # Before a step is met, the time of those before it has gone by.
    for (at, _), (_, before) in zip(seen[1:], seen, strict=False):
        assert at >= 0.98 * before / 2500
    slow = Walk(client, QUEUE, JobState.FAILED, (), rate=50)
    async with asyncio.timeout(1.0):
        async for step in slow.steps():
            if slow.seen == slow.total or len(step) >= LARGEST // 2:
                break
    await client.zremrangebyrank(FAILED, 0, -101)
    last = Walk(client, QUEUE, JobState.FAILED, (), rate=50)
    async with asyncio.timeout(1.0):
        assert [len(step) async for step in last.steps()] == [100]


async def test_a_step_is_one_round_trip(server: EmbeddedServer) -> None:
    async with counted(server) as (client, trips):
        await seed(client, 2250)
        trips.count = 0
        walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0)
        steps = [len(step) async for step in walk.steps()]
    assert steps == [250, 500, 500, 500, 500]
    assert trips.count == 2 + len(steps) + 1  # one to count, one to measure, one finds no more


async def test_the_walk_rests_between_steps_when_nobody_tells_it_a_rate(
    client: redis.asyncio.Redis,
) -> None:
    pipe = client.pipeline(transaction=False)
    for place in range(400):
        pipe.hset(QUEUE.job(str(place)), "data", "x" * 20_000)
    pipe.zadd(FAILED, {str(place): place for place in range(400)})
    await pipe.execute()

    async def took(rate: float | None) -> tuple[float, bool]:
        walk = Walk(client, QUEUE, JobState.FAILED, ("data",), rate=rate)
        rested = False

        async def look() -> None:
            nonlocal rested
            while True:
                rested = rested or walk.resting
                await asyncio.sleep(0)

        looking = asyncio.ensure_future(look())
        began = time.perf_counter()
        async for _ in walk.steps():
            pass
        looking.cancel()
        return time.perf_counter() - began, rested

    quick, _ = min([await took(0) for _ in range(3)])
    polite, rested = await took(None)
    assert rested
    assert polite > 2 * quick
