"""After a retry the rows stay as they are, so that every result can be read where its job was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Page, Reader
from qtui.views.lists.job_list import MOST_HELD, ROWS_A_PAGE, JobList
from qtui.views.lists.listing import Moved
from tests.seeds import QUEUE, raw_meta
from tests.views.worlds import World


async def test_rows_stay_where_their_jobs_stood(world: World) -> None:
    await world.add(300)
    await world.list.refresh(0, 20, None)
    before = list(world.order)
    retried = world.order[3:60:2]
    await world.remove(retried)
    world.list.hold(retried)
    assert await world.list.refresh(0, 20, before[4]) == Moved(None, 0)
    world.assert_shows(before)
    assert [world.list.has_left(one) for one in before[:6]] == [False] * 3 + [True, False, True]
    # What could not be seen before comes where it would have been.
    for first in (80, 250, 130):
        await world.load_all(first, first + 40)
    world.assert_shows(before)
    assert len(world.shown()) > 250


@pytest.mark.parametrize("newest_first", [True, False])
async def test_what_is_new_is_counted_and_moves_nothing(client: Redis, newest_first: bool) -> None:
    await raw_meta(client)
    world = World(client, newest_first=newest_first)
    await world.add(300)
    await world.list.refresh(0, 20, None)
    before = list(world.order)
    await world.remove(before[5:10])
    world.list.hold(before[5:10])
    world.list.live_total = len(world.order)
    assert world.list.growth == 0
    await world.add(40)
    world.list.live_total = len(world.order)
    assert world.list.growth == 40
    for first in (150, 270, 90):
        await world.load_all(first, first + 29)
    world.assert_shows(before)
    world.list.thaw()
    await world.list.refresh(0, 20, None)
    world.assert_shows(world.order)
    assert world.list.growth == 0


async def test_all_that_was_loaded_may_leave_and_much_that_was_not(world: World) -> None:
    await world.add(1000)
    await world.list.refresh(0, 20, None)
    before = list(world.order)
    await world.remove(before[:600])
    world.list.hold(before[:600])
    world.list.live_total = 400
    for first in (300, 700, 970, 590):
        await world.load_all(first, first + 29)
    world.assert_shows(before)
    # Who left unseen leaves an empty place, and the others are there.
    assert world.list.row(300) is None
    assert {*range(600, 620), *range(700, 730), *range(970, 1000)} <= set(world.shown())


async def test_a_list_that_is_empty_now_is_not_asked_forever(world: World) -> None:
    await world.add(500)
    await world.list.refresh(0, 20, None)
    await world.remove(world.order)
    world.list.hold()
    await world.load_all(200, 230)
    await world.load_all(0, 499)
    assert len(world.shown()) == ROWS_A_PAGE


async def test_a_refresh_that_was_under_way_does_not_wipe_results_away(world: World) -> None:
    await world.add(100)
    await world.list.refresh(0, 20, None)
    before = list(world.order)
    for steps in range(12):
        refreshing = asyncio.ensure_future(world.list.refresh(0, 20, before[5]))
        for _ in range(steps):
            await asyncio.sleep(0)
        world.list.hold([before[3]])
        await refreshing
        assert world.list.held
        assert world.list.has_left(before[3])
        world.assert_shows(before)
        world.list.thaw()
        await world.list.refresh(0, 20, before[5])
        assert not world.list.has_left(before[3])


class Interrupted(Reader):
    """Something happens between two reads."""

    happens: Callable[[], Awaitable[None]] | None = None
    ranked = asyncio.Event()

    async def rank(
        self, queue: QueueKey, state: JobState, job_id: str, *, newest_first: bool = True
    ) -> int | None:
        found = await super().rank(queue, state, job_id, newest_first=newest_first)
        self.ranked.set()
        return found

    async def page(
        self,
        queue: QueueKey,
        state: JobState,
        offset: int,
        limit: int,
        *,
        newest_first: bool = True,
    ) -> Page:
        if self.happens is not None:
            happens, self.happens = self.happens, None
            await self.ranked.wait()
            await happens()
        return await super().page(queue, state, offset, limit, newest_first=newest_first)


async def test_a_page_that_was_under_way_is_not_put_where_it_does_not_belong(
    client: Redis, world: World
) -> None:
    reader = Interrupted(client)
    world.list = JobList(reader, QUEUE, JobState.FAILED)
    await world.add(400)
    await world.list.refresh(0, 20, None)
    before = list(world.order)

    async def retry() -> None:
        await world.remove(before[:10])
        world.list.hold(before[:10])

    reader.happens, reader.ranked = retry, asyncio.Event()
    assert await world.list.load(200, 230)
    await world.load_all(200, 230)
    world.assert_shows(before)
    assert 215 in world.shown()


async def test_rows_that_have_left_are_never_let_go_however_far_one_walks(world: World) -> None:
    await world.add(MOST_HELD + 1000)
    await world.list.refresh(0, 30, None)
    before = list(world.order)
    await world.remove(before[:20])
    world.list.hold(before[:20])
    for first in range(100, world.list.total, 99):
        await world.load_all(first, first + 30)
    shown = world.shown()
    assert len(shown) <= MOST_HELD
    assert [shown[place] for place in range(20)] == before[:20]
    world.assert_shows(before)
