"""A window over a list that moves all the time, and the person's place in it, which does not."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.demo.server import EmbeddedServer
from qtui.views.lists.job_list import MOST_HELD, ROWS_A_PAGE, JobList
from qtui.views.lists.listing import Moved
from tests.seeds import QUEUE, raw_list, raw_meta
from tests.views.worlds import World
from tests.wires import counted


async def test_a_list_that_was_not_read_is_empty(world: World) -> None:
    await world.add(3)
    assert (world.list.loaded, world.list.total, world.list.row(0)) == (False, 0, None)
    assert world.list.missing(0, 10) is None
    assert not await world.list.load(0, 10)


async def test_an_empty_list_is_read_too(world: World) -> None:
    assert await world.list.refresh(0, 20, None) == Moved(None, 0)
    assert (world.list.loaded, world.list.total) == (True, 0)
    assert not await world.list.load(0, 20)


@pytest.mark.parametrize("newest_first", [True, False])
async def test_any_window_is_loaded_a_page_at_a_time(
    server: EmbeddedServer, client: Redis, newest_first: bool
) -> None:
    await raw_meta(client)
    async with counted(server) as (counting, trips):
        world = World(counting, newest_first=newest_first)
        await world.add(1000)
        # Two connections, both there before anything is counted.
        await asyncio.gather(counting.ping(), counting.ping())
        trips.count = 0
        await world.list.refresh(0, 30, None)
        assert trips.count == 2  # the first time it is seen whether the set is compact
        assert len(world.shown()) == ROWS_A_PAGE
        for first in (0, 70, 95, 500, 480, 520, 980, 999, 250):
            trips.count = 0
            missing = world.list.missing(first, first + 30)
            assert await world.list.load(first, first + 30) == bool(missing)
            # The page, and at the same time a look at where a neighbour is.
            assert trips.count == (2 if missing else 0)
            assert world.list.missing(first, first + 30) is None
        world.assert_shows(world.order)


async def test_missing_names_what_wants_loading(world: World) -> None:
    await world.add(500)
    await world.list.refresh(0, 30, None)
    assert world.list.missing(0, 99) is None
    assert world.list.missing(-5, 40) is None
    assert world.list.missing(90, 110) == (100, 199)
    assert world.list.missing(490, 530) == (400, 499)
    assert world.list.missing(600, 700) is None


class TestAnchor:
    @pytest.mark.parametrize(("first", "place"), [(0, 5), (200, 210), (379, 399)])
    @pytest.mark.parametrize("new", [0, 1, 50, 150, 400])
    async def test_the_cursor_moves_down_with_its_job(
        self, world: World, first: int, place: int, new: int
    ) -> None:
        await world.add(400)
        await world.list.refresh(first, first + 20, None)
        await world.load_all(first, first + 20)
        anchor = world.order[place]
        await world.add(new)
        moved = await world.list.refresh(first, first + 20, anchor)
        assert moved == Moved(place + new, new)
        row = world.list.row(place + new)
        assert row is not None
        assert row.id == anchor
        world.assert_shows(world.order)
        # The window has moved with it, but for one at the top, which shows what is new.
        start = first + new if first else 0
        await world.load_all(start, start + 20)
        assert len([one for one in world.shown() if start <= one <= start + 20]) == 21

    async def test_the_cursor_moves_up_when_jobs_above_it_leave(self, world: World) -> None:
        await world.add(400)
        await world.list.refresh(200, 220, None)
        anchor = world.order[210]
        await world.remove(world.order[100:205])
        assert await world.list.refresh(200, 220, anchor) == Moved(105, -105)
        world.assert_shows(world.order)

    async def test_a_job_that_left_keeps_its_row_until_the_cursor_moves(self, world: World) -> None:
        await world.add(50)
        await world.list.refresh(0, 20, None)
        anchor = world.order[7]
        await world.remove([anchor])
        for _ in range(2):
            assert await world.list.refresh(0, 20, anchor) == Moved(7, 0)
            assert world.list.has_left(anchor)
            assert world.list.total == 50
            assert world.list.live_total == 49
            assert world.list.growth == 0
            world.assert_shows([*world.order[:7], anchor, *world.order[7:]])
        await world.add(3)
        # New ones come in above it.
        await world.list.refresh(0, 20, anchor)
        assert world.list.place(anchor) == 7
        assert await world.list.refresh(0, 20, world.order[2]) == Moved(2, 0)
        assert not world.list.has_left(anchor)
        world.assert_shows(world.order)

    async def test_windows_beyond_a_job_that_left_join_without_a_seam(self, world: World) -> None:
        await world.add(400)
        await world.list.refresh(0, 20, None)
        anchor = world.order[50]
        await world.remove([anchor])
        await world.list.refresh(0, 20, anchor)
        expected = [*world.order[:50], anchor, *world.order[50:]]
        for first in (90, 380, 200, 140):
            await world.load_all(first, first + 30)
        world.assert_shows(expected)
        assert {*range(90, 231), *range(380, 400)} <= set(world.shown())

    async def test_the_last_jobs_leave_with_the_cursor_on_one(self, world: World) -> None:
        await world.add(30)
        await world.list.refresh(0, 20, None)
        anchor = world.order[-1]
        await world.remove(world.order)
        assert await world.list.refresh(10, 29, anchor) == Moved(0, -29)
        world.assert_shows([anchor])
        assert await world.list.refresh(0, 20, None) == Moved(None, 0)
        assert world.list.total == 0

    async def test_a_job_that_failed_again_takes_the_cursor_along(self, world: World) -> None:
        await world.add(300)
        await world.list.refresh(200, 220, None)
        anchor = world.order[210]
        await world.client.zadd(QUEUE.key("failed"), {anchor: 10**6})
        world.order.remove(anchor)
        world.order.insert(0, anchor)
        moved = await world.list.refresh(200, 220, anchor)
        assert moved.anchor == 0
        world.assert_shows(world.order)

    async def test_a_cursor_whose_row_is_not_loaded_finds_its_job(self, world: World) -> None:
        await world.add(300)
        await world.list.refresh(0, 20, None)
        assert await world.list.refresh(0, 20, world.order[250]) == Moved(250, 0)
        assert await world.list.refresh(0, 20, "nope") == Moved(None, 0)

    async def test_it_stays_on_its_job_though_the_list_moves_while_it_is_read(
        self, world: World
    ) -> None:
        await world.add(150)
        await world.list.refresh(0, 20, None)
        anchor = world.order[10]
        moving = asyncio.Event()

        async def churn() -> None:
            while not moving.is_set():
                await world.add(1)

        churning = asyncio.ensure_future(churn())
        for _ in range(60):
            moved = await world.list.refresh(0, 20, anchor)
            assert moved.anchor is not None
            row = world.list.row(moved.anchor)
            assert row is not None
            assert row.id == anchor
            world.shown()
        moving.set()
        await churning


async def test_jobs_that_come_without_a_refresh_leave_no_seam(world: World) -> None:
    # As with --refresh 0, or frozen.
    await world.add(300)
    await world.list.refresh(0, 20, None)
    before = list(world.order)
    await world.add(37)
    for first in (100, 250, 180):
        await world.load_all(first, first + 30)
    world.assert_shows(before)


async def test_a_list_that_shrinks_without_a_refresh_ends_where_it_ends(world: World) -> None:
    await world.add(300)
    await world.list.refresh(0, 20, None)
    await world.remove(world.order[150:])
    await world.load_all(120, 140)
    await world.load_all(270, 299)
    assert max(world.shown()) == 149
    await world.list.refresh(270, 299, None)
    assert world.list.total == 150


async def test_memory_is_bounded_and_what_was_let_go_is_read_again(world: World) -> None:
    await world.add(MOST_HELD + 2500)
    await world.list.refresh(0, 30, None)
    for first in [*range(0, world.list.total, 150), 0, 40]:
        await world.load_all(first, first + 30)
        assert len(world.shown()) <= MOST_HELD + ROWS_A_PAGE
    world.assert_shows(world.order)
    assert 0 in world.shown()


async def test_loading_and_refreshing_at_once_never_mix_up_rows(world: World) -> None:
    await world.add(600)
    await world.list.refresh(0, 20, None)
    chance = random.Random(7)
    for _ in range(25):
        places = [chance.randrange(600) for _ in range(4)]
        await asyncio.gather(
            world.list.load(places[0], places[0] + 30),
            world.list.refresh(places[1], places[1] + 30, world.order[places[1]]),
            world.list.load(places[2], places[2] + 30),
            world.list.refresh(0, 30, None),
            world.add(1),
        )
        world.shown()
    await world.list.refresh(0, 20, None)
    world.assert_shows(world.order)


class TestListStates:
    async def test_a_marker_deep_in_the_list_is_an_empty_place(self, client: Redis) -> None:
        members = [f"a{n}" for n in range(150)] + ["0:1"] + [f"b{n}" for n in range(150)]
        await raw_list(client, "wait", members)
        jobs = JobList(Reader(client), QUEUE, JobState.WAITING)
        await jobs.refresh(0, 20, None)
        assert jobs.total == 301
        for first in (0, 100, 140, 200, 280):
            await jobs.load(first, first + 30)
            assert jobs.missing(first, first + 30) is None
        assert jobs.row(150) is None
        for place, member in enumerate(members):
            row = jobs.row(place)
            assert row is None or row.id == member

    async def test_an_id_that_is_there_twice_breaks_nothing(self, client: Redis) -> None:
        await raw_list(client, "wait", ["a", "b", "a", "c", "b"] * 60)
        jobs = JobList(Reader(client), QUEUE, JobState.WAITING)
        for first in (0, 100, 250, 0):
            await jobs.refresh(first, first + 20, "a")
            await jobs.load(first, first + 120)
            assert jobs.total == 300

    async def test_the_cursor_stays_on_its_job_while_others_come_and_go(
        self, client: Redis
    ) -> None:
        await raw_list(client, "wait", [f"j{n}" for n in range(200)])
        jobs = JobList(Reader(client), QUEUE, JobState.WAITING)
        await jobs.refresh(0, 20, None)
        for number in range(30):
            await client.lpush(QUEUE.key("wait"), f"new{number}")
            await client.rpop(QUEUE.key("wait"))
            moved = await jobs.refresh(0, 20, "j5")
            assert moved == Moved(6 + number, 1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    newest_first=st.booleans(),
    steps=st.lists(
        st.sampled_from(["add", "remove", "refresh", "refresh", "load", "load", "hold", "thaw"]),
        max_size=30,
    ),
)
async def test_after_a_refresh_the_list_always_agrees_with_redis(
    client: Redis, seed: int, newest_first: bool, steps: list[str]
) -> None:
    await client.flushall()
    world, chance = World(client, newest_first=newest_first), random.Random(seed)
    jobs = world.list
    await world.add(chance.randrange(400))
    # Places as they were at the last refresh, and whether anything has happened since.
    expected, moved_on = list(world.order), False
    await jobs.refresh(0, 20, None)
    for step in steps:
        first = chance.randrange(max(1, jobs.total))
        if step == "add":
            moved_on |= bool(await world.add(chance.choice([0, 1, 3, 120])))
        elif step == "remove" and world.order:
            await world.remove(chance.sample(world.order, min(len(world.order), 5)))
            moved_on = True
        elif step == "hold":
            # A retry: what was chosen leaves, and is known to have left.
            chosen = [one for place, one in world.shown().items() if not place % 3]
            await world.remove(set(chosen) & set(world.order))
            jobs.hold(chosen)
        elif step == "thaw":
            jobs.thaw()
        elif step == "load":
            await world.load_all(first, first + 25)
        elif step == "refresh":
            anchor = chance.choice([None, *world.shown().values()])
            was_held = jobs.held
            moved = await jobs.refresh(first, first + 25, anchor)
            if not was_held:
                expected, moved_on = list(world.order), False
                if anchor is not None:
                    assert moved.anchor is not None
                    if anchor not in expected:
                        expected.insert(moved.anchor, anchor)
                    assert expected[moved.anchor] == anchor
        if moved_on:
            # The places are not certain, but each job still is at one only.
            world.shown()
            assert jobs.total == len(expected)
        else:
            world.assert_shows(expected)
