"""A walk over a state meets every job in order, at the price and the pace that it states."""

from __future__ import annotations

import asyncio
import time
from typing import TypedDict

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.walk import LARGEST_STEP, Walk
from qtui.demo.server import EmbeddedServer
from tests.servers import way
from tests.wires import counted

QUEUE = QueueKey.of("bull", "payments")
FAILED = QUEUE.key("failed")
BOTH_WAYS = pytest.mark.parametrize("sort_ro", [True, False])


class Way(TypedDict, total=False):
    """How a walk reads; what it promises is the same."""

    ahead: bool
    scored: bool


ANY_WAY = pytest.mark.parametrize(
    "way",
    [
        Way(),
        Way(scored=False),
        Way(ahead=True),
        Way(ahead=True, scored=False),
    ],
    ids=lambda way: " ".join(way) or "plain",
)
BOTH_DIRECTIONS = pytest.mark.parametrize("newest_first", [True, False])


async def seed(client: redis.asyncio.Redis, jobs: int) -> list[str]:
    """So many failed jobs, one a millisecond; their ids, newest first."""
    pipe = client.pipeline(transaction=False)
    for place in range(jobs):
        pipe.hset(QUEUE.job(str(place)), mapping={"name": f"n{place}", "failedReason": "boom"})
    pipe.zadd(FAILED, {str(place): 1000 + place for place in range(jobs)})
    await pipe.execute()
    return [str(place) for place in reversed(range(jobs))]


@ANY_WAY
async def test_a_still_state_is_met_in_order_with_the_fields_asked_for(
    any_client: redis.asyncio.Redis, way: Way
) -> None:
    ids = await seed(any_client, 1300)
    walk = Walk(any_client, QUEUE, JobState.FAILED, ("name", "data"), rate=0, **way)
    met = [one async for step in walk.steps() for one in step]
    assert [one.id for one in met] == ids
    assert met[0].fields == {"name": f"n{ids[0]}", "data": None}
    assert (walk.seen, walk.total) == (1300, 1300)


async def test_scores_that_are_not_needed_are_not_read(client: redis.asyncio.Redis) -> None:
    ids = await seed(client, 3000)

    async def scores_read(scored: bool) -> tuple[list[float | None], int]:
        await client.config_resetstat()
        walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0, scored=scored)
        met = [one async for step in walk.steps() for one in step]
        assert [one.id for one in met] == ids
        assert all(one.fields == {"name": f"n{one.id}"} for one in met)
        sent = (await client.info("stats"))["total_net_output_bytes"]
        return [one.score for one in met], sent

    scores, dear = await scores_read(scored=True)
    none, cheap = await scores_read(scored=False)
    assert scores == [1000.0 + int(one) for one in ids]
    assert none[0] is None
    assert cheap < 0.7 * dear


@BOTH_WAYS
async def test_bounds_leave_out_what_is_older_or_newer(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    await way(client, sort_ro=sort_ro)
    await seed(client, 2000)
    walk = Walk(client, QUEUE, JobState.FAILED, (), bounds=(1500, 1600), rate=0)
    met = [one.id async for step in walk.steps() for one in step]
    assert met == [str(place) for place in range(600, 499, -1)]
    assert walk.total == 101


@BOTH_WAYS
async def test_lists_are_walked_without_their_markers(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    await way(client, sort_ro=sort_ro)
    ids = [str(place) for place in range(1, 1200)]
    await client.rpush(QUEUE.key("wait"), "0:0", *ids, "0:1795000000000")
    walk = Walk(client, QUEUE, JobState.WAITING, ("name",), rate=0)
    assert [one.id async for step in walk.steps() for one in step] == ids


@pytest.mark.parametrize(("characters", "jobs"), [(100, 500), (4_000, 200), (40_000, 25)])
async def test_a_step_is_as_large_as_the_fields_let_it_be(
    client: redis.asyncio.Redis, characters: int, jobs: int
) -> None:
    pipe = client.pipeline(transaction=False)
    for place in range(1500):
        pipe.hset(QUEUE.job(str(place)), "data", "x" * characters)
    pipe.zadd(FAILED, {str(place): place for place in range(1500)})
    await pipe.execute()
    walk = Walk(client, QUEUE, JobState.FAILED, ("data",), rate=0)
    sizes = [len(step) async for step in walk.steps()]
    assert sum(sizes) == 1500
    # The first steps find out; the last one has what is left.
    assert {*sizes[4:-1]} == {jobs}, sizes


async def test_payloads_are_weighed_in_a_small_step_first(client: redis.asyncio.Redis) -> None:
    await seed(client, 1500)
    walk = Walk(client, QUEUE, JobState.FAILED, ("stacktrace",), rate=0)
    assert [len(step) async for step in walk.steps()][:4] == [50, 100, 200, 400]
    later = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0)
    sizes = []
    async for step in later.steps():
        sizes.append(len(step))
        later.fields = ("name", "data")
    assert sizes[:4] == [250, 50, 100, 200]


async def test_many_fields_make_the_steps_smaller(client: redis.asyncio.Redis) -> None:
    await seed(client, 1500)
    walk = Walk(client, QUEUE, JobState.FAILED, [f"f{one}" for one in range(29)], rate=0)
    assert {len(step) async for step in walk.steps()} == {100}


async def test_an_empty_or_absent_state_is_walked_at_once(client: redis.asyncio.Redis) -> None:
    for state in JobState:
        walk = Walk(client, QUEUE, state, ("name",))
        assert [step async for step in walk.steps()] == []


@BOTH_WAYS
@BOTH_DIRECTIONS
async def test_each_job_is_met_with_its_score(
    any_client: redis.asyncio.Redis, sort_ro: bool, newest_first: bool
) -> None:
    await way(any_client, sort_ro=sort_ro)
    ids = await seed(any_client, 1300)
    await any_client.zadd(FAILED, {ids[0]: 2299.5})
    walk = Walk(
        any_client,
        QUEUE,
        JobState.FAILED,
        ("name",),
        newest_first=newest_first,
        rate=0,
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
    await way(client, sort_ro=sort_ro)
    await seed(client, 2000)
    walk = Walk(
        client,
        QUEUE,
        JobState.FAILED,
        (),
        bounds=(1500, 2200),
        newest_first=False,
        rate=0,
    )
    met = [one.id async for step in walk.steps() for one in step]
    assert met == [str(place) for place in range(500, 1201)]
    assert walk.total == 701


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
async def test_a_state_of_a_wrong_type_is_reported(
    client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    await way(client, sort_ro=sort_ro)
    await client.set(FAILED, "junk")
    walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=0)
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
            if slow.seen == slow.total or len(step) >= LARGEST_STEP // 2:
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
    # One to count, one to measure, one to see that the set is not compact, one finds no more.
    assert trips.count == 3 + len(steps) + 1


async def test_the_walk_rests_between_steps_without_a_rate(
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


async def test_a_polite_walk_says_so_while_its_steps_are_looked_at(
    client: redis.asyncio.Redis,
) -> None:
    await seed(client, 1250)
    for rate, says in ((2500, [False, True, True]), (0, [False, False, False])):
        walk = Walk(client, QUEUE, JobState.FAILED, ("name",), rate=rate)
        said = [walk.resting async for step in walk.steps() if step]
        assert said == says
        assert not walk.resting
