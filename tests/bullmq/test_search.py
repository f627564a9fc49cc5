"""A walk over a state meets every job that stays exactly once, whatever the others do meanwhile."""

from __future__ import annotations

import random

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search import LARGEST, Walk

QUEUE = QueueKey.of("bull", "payments")
FAILED = QUEUE.key("failed")
BOTH_WAYS = pytest.mark.parametrize("sort_ro", [True, False])


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
