"""A walk over a state that moves meets every job that stays exactly once, however it reads."""

from __future__ import annotations

import random

import pytest
import redis.asyncio

from qtui.bullmq.model import JobState
from qtui.bullmq.search.walk import Walk
from tests.bullmq.test_search import ANY_WAY, BOTH_DIRECTIONS, FAILED, QUEUE, Way, seed


@ANY_WAY
@pytest.mark.parametrize("seed_number", range(6))
async def test_jobs_that_stay_are_met_once_while_others_come_and_go(
    client: redis.asyncio.Redis, way: Way, seed_number: int
) -> None:
    chance = random.Random(seed_number)
    ids = await seed(client, 4000)
    staying = {one for one in ids if chance.random() < 0.6}
    leaving = [one for one in ids if one not in staying]
    chance.shuffle(leaving)
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0, **way)
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


@BOTH_DIRECTIONS
@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("seed_number", range(4))
async def test_what_moves_while_steps_are_read_ahead_does_no_harm(
    client: redis.asyncio.Redis, newest_first: bool, scored: bool, seed_number: int
) -> None:
    chance = random.Random(seed_number)
    at_once = 1 + 600 * (seed_number % 2)  # jobs that finished in one ms, more than a step has
    scores = {f"j{place}": 1000.0 + place // at_once for place in range(16_000)}
    await client.zadd(FAILED, scores)
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=newest_first,
        rate=0,
        ahead=True,
        scored=scored,
    )
    met: list[str] = []
    staying = set(scores)
    async for step in walk.steps():
        met += step.ids
        if chance.random() < 0.2:
            some = chance.sample(sorted(scores), 40)
            some += chance.choice(([], step.ids[-1:], step.ids[-100:], step.ids))
            staying.difference_update(some)
            if chance.random() < 0.5:
                await client.zrem(FAILED, *some)
            else:
                await client.zadd(FAILED, dict.fromkeys(some, chance.choice([1.0, 1e9, 1003.0])))
        if chance.random() < 0.2:
            at = chance.choice([1.0, 1e9, 1000.0 + 8000 // at_once])
            await client.zadd(FAILED, {f"new{len(met)}-{n}": at for n in range(40)})
    stayed = [one for one in met if one in staying]
    assert len(stayed) == len(set(stayed)), "a job that stayed was met twice"
    assert staying == set(stayed), "a job that stayed was passed over"


@ANY_WAY
@pytest.mark.parametrize("seed_number", range(4))
async def test_the_oldest_first_meets_those_that_stay_once(
    client: redis.asyncio.Redis, way: Way, seed_number: int
) -> None:
    chance = random.Random(seed_number)
    ids = await seed(client, 4000)
    staying, leaving = set(ids), list(ids)
    chance.shuffle(leaving)
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), newest_first=False, rate=0, **way)
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


@ANY_WAY
@BOTH_DIRECTIONS
@pytest.mark.parametrize("share", [1, 250])
async def test_jobs_that_come_back_at_another_place_do_not_lead_the_walk_astray(
    client: redis.asyncio.Redis, way: Way, newest_first: bool, share: int
) -> None:
    # The job that the walk has reached is retried and fails again: its place is void.
    ids = await seed(client, 3000)
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=newest_first,
        rate=0,
        **way,
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


@ANY_WAY
@BOTH_DIRECTIONS
async def test_a_job_at_its_old_place_may_have_gone_past_others(
    client: redis.asyncio.Redis, way: Way, newest_first: bool
) -> None:
    # At the walk's place nothing seems to have changed: as many left as the last job has passed.
    ids = await seed(client, 3000)
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), newest_first=newest_first, rate=0, **way)
    met: list[str] = []
    moved: set[str] = set()
    async for step in walk.steps():
        met += step.ids
        if len(step) > 3 and len(met) < 2900:
            last = step.ids[-1]
            moved.add(last)
            await client.zrem(FAILED, *step.ids[:3])
            await client.zincrby(FAILED, -3.5 if newest_first else 3.5, last)
    stayed = [one for one in met if one not in moved]
    assert len(stayed) == len(set(stayed)), "a job that stayed was met twice"
    assert set(met) == set(ids), "a job that stayed was passed over"


@ANY_WAY
@BOTH_DIRECTIONS
async def test_jobs_that_come_in_ahead_of_the_walk_push_none_over_its_end(
    client: redis.asyncio.Redis, way: Way, newest_first: bool
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
        **way,
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


@ANY_WAY
@BOTH_DIRECTIONS
@pytest.mark.parametrize("step_that_leaves", [0, 1, 2, 3])
async def test_among_jobs_of_one_moment_a_whole_step_may_leave(
    client: redis.asyncio.Redis, way: Way, newest_first: bool, step_that_leaves: int
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
        **way,
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


@ANY_WAY
async def test_every_step_may_leave_as_it_is_met_even_at_one_moment(
    client: redis.asyncio.Redis, way: Way
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
        **way,
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
