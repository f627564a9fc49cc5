"""The timeline: every job in one bar, and bars that stay what they are."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.queues.timeline import (
    AHEAD,
    DAWN,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    FinishCounts,
    TimeWindow,
    read_timeline,
)
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, failed_jobs, job, real_queue
from tests.wires import counted

NOW = 1_795_317_121_661
"""2026-11-22 03:12:01.661, UTC."""

FAILED = QUEUE.key("failed")
GARBAGE = (0.0, -1.0, 1.7e9, 1e18, -1e18, math.inf, -math.inf, float(DAWN - 1), NOW + 2.0 * HOUR)

SCORES = st.one_of(
    st.integers(NOW - 10 * MINUTE, NOW),
    st.integers(NOW - 62 * MINUTE, NOW + 20 * MINUTE),
    st.integers(NOW - 3 * DAY, NOW + AHEAD),
    st.integers(DAWN, NOW),
    st.sampled_from(GARBAGE),
    st.floats(allow_nan=False),
)


async def seed(client: Redis, scores: Iterable[float]) -> None:
    await client.delete(FAILED)
    members = {f"j{place}": score for place, score in enumerate(scores)}
    if members:
        await client.zadd(FAILED, members)


async def read(
    client: Redis, window: TimeWindow = TimeWindow.HOUR, bars: int = 60, now: float = NOW
) -> FinishCounts:
    return await read_timeline(client, QUEUE, JobState.FAILED, window, bars, now=now)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=st.lists(SCORES, max_size=40),
    window=st.sampled_from(TimeWindow),
    bars=st.integers(0, 200),
    now=st.sampled_from([NOW, NOW + 0.5, NOW - NOW % DAY, 1.0]),
)
async def test_every_job_is_counted_once(
    client: Redis, scores: list[float], window: TimeWindow, bars: int, now: float
) -> None:
    await seed(client, scores)
    timeline = await read(client, window, bars, now)
    assert timeline.total + timeline.earlier + timeline.later == len(scores)
    assert 1 <= len(timeline.counts) <= max(1, bars)
    assert timeline.start % timeline.width == 0
    for bar, jobs in enumerate(timeline.counts):
        after, before = timeline.bounds(bar)
        assert jobs == sum(after <= score < before for score in scores)
    assert timeline.earlier == sum(score < timeline.start for score in scores)
    assert timeline.peak == timeline.counts[timeline.peak_bar] == max(timeline.counts)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=st.lists(st.integers(NOW - 2 * DAY, NOW), max_size=40),
    window=st.sampled_from(list(TimeWindow)[:3]),
    bars=st.integers(1, 120),
    later=st.integers(0, DAY),
)
async def test_bars_stay_what_they_are_while_time_passes(
    client: Redis, scores: list[int], window: TimeWindow, bars: int, later: int
) -> None:
    await seed(client, scores)
    first = await read(client, window, bars)
    await client.zadd(FAILED, {"new": NOW + later})
    second = await read(client, window, bars, NOW + later)
    assert (first.width, len(first.counts)) == (second.width, len(second.counts))
    old = {first.bounds(bar): jobs for bar, jobs in enumerate(first.counts)}
    new = {second.bounds(bar): jobs for bar, jobs in enumerate(second.counts)}
    changed = {bounds for bounds in old.keys() & new.keys() if old[bounds] != new[bounds]}
    assert changed <= {first.bounds(len(first.counts) - 1)}
    after, before = second.bounds(len(second.counts) - 1)
    assert after <= NOW + later < before


@pytest.mark.parametrize(
    ("window", "bars", "width", "number"),
    [
        (TimeWindow.FIVE_MINUTES, 200, 5 * SECOND, 60),
        (TimeWindow.FIVE_MINUTES, 59, 10 * SECOND, 30),
        (TimeWindow.FIVE_MINUTES, 20, 15 * SECOND, 20),
        (TimeWindow.FIVE_MINUTES, 1, 5 * MINUTE, 1),
        (TimeWindow.HOUR, 200, MINUTE, 60),
        (TimeWindow.HOUR, 30, 2 * MINUTE, 30),
        (TimeWindow.HOUR, 19, 5 * MINUTE, 12),
        (TimeWindow.HOUR, 0, HOUR, 1),
        (TimeWindow.DAY, 200, 15 * MINUTE, 96),
        (TimeWindow.DAY, 80, 20 * MINUTE, 72),
        (TimeWindow.DAY, 50, 30 * MINUTE, 48),
        (TimeWindow.DAY, 30, HOUR, 24),
        (TimeWindow.DAY, 1, DAY, 1),
    ],
)
async def test_widths_are_those_that_people_count_in(
    client: Redis, window: TimeWindow, bars: int, width: int, number: int
) -> None:
    timeline = await read(client, window, bars)
    assert (timeline.width, len(timeline.counts)) == (width, number)


async def test_a_bar_begins_at_its_first_millisecond_and_ends_before_the_next_bar(
    client: Redis,
) -> None:
    minute = NOW - NOW % MINUTE
    await seed(client, [minute - MINUTE - 1, minute - MINUTE, minute - 1, minute, NOW])
    assert (await read(client)).counts[-3:] == (1, 2, 2)


async def test_all_goes_from_the_oldest_job_to_the_newest(client: Redis) -> None:
    begin = NOW - 400 * DAY
    await seed(client, [begin, begin + 90 * SECOND, begin + 100 * SECOND, *GARBAGE])
    timeline = await read(client, TimeWindow.ALL, 60)
    assert timeline.width == 2 * SECOND
    assert timeline.start <= begin < timeline.start + timeline.width
    assert timeline.counts[0] == timeline.counts[-1] == 1
    assert (timeline.total, timeline.earlier, timeline.later) == (3, 6, 3)


async def test_what_a_clock_ahead_pushes_out_is_earlier(client: Redis) -> None:
    await seed(client, range(NOW - 59 * MINUTE, NOW + 1, MINUTE))
    assert (await read(client)).counts == (1,) * 60
    await client.zadd(FAILED, {"ahead": NOW + 14 * MINUTE})
    timeline = await read(client)
    assert timeline.counts == (*[1] * 46, *[0] * 13, 1)
    assert (timeline.earlier, timeline.later) == (14, 0)


async def test_all_may_span_years(client: Redis) -> None:
    await seed(client, [DAWN, NOW])
    for bars in (1, 2, 10, 100):
        timeline = await read(client, TimeWindow.ALL, bars)
        assert timeline.counts[0] + timeline.counts[-1] * (len(timeline.counts) > 1) == 2
        assert len(timeline.counts) <= bars


@pytest.mark.parametrize("scores", [(), GARBAGE])
async def test_all_of_nothing_is_an_empty_bar_at_now(
    client: Redis, scores: tuple[float, ...]
) -> None:
    await seed(client, scores)
    timeline = await read(client, TimeWindow.ALL)
    assert timeline.counts == (0,)
    assert timeline.start <= NOW < timeline.end
    assert timeline.earlier + timeline.later == len(scores)


@pytest.mark.parametrize(
    ("window", "ahead", "shown"),
    [
        (TimeWindow.FIVE_MINUTES, 70 * SECOND, True),
        (TimeWindow.FIVE_MINUTES, 2 * MINUTE, False),
        (TimeWindow.HOUR, 14 * MINUTE, True),
        (TimeWindow.HOUR, 20 * MINUTE, False),
        (TimeWindow.DAY, 55 * MINUTE, True),
        (TimeWindow.DAY, 2 * HOUR, False),
        (TimeWindow.ALL, 55 * MINUTE, True),
        (TimeWindow.ALL, 2 * HOUR, False),
    ],
)
async def test_a_clock_ahead_of_ours_is_followed_within_reason(
    client: Redis, window: TimeWindow, ahead: int, shown: bool
) -> None:
    await seed(client, [NOW, NOW + ahead])
    timeline = await read(client, window)
    assert timeline.later == (not shown)
    assert timeline.counts[timeline.bar_at(NOW)] == 1
    assert timeline.counts[-1] == 1


async def test_the_filter_of_bars_means_their_jobs_and_no_others(client: Redis) -> None:
    await seed(client, range(NOW - 6 * MINUTE, NOW, 777))
    for window in TimeWindow:
        timeline = await read(client, window, 50)
        last = len(timeline.counts) - 1
        for first, end in ((0, 0), (last // 2, last), (last, last), (0, last)):
            bounds = parse_filter(timeline.filter_text(first, end)).bounds()
            assert bounds == (timeline.bounds(first)[0], timeline.bounds(end)[1])
            after, before = bounds
            assert timeline.jobs(first, end) == await client.zcount(
                FAILED, str(after), f"({before}"
            )


@given(
    start=st.integers(-(10**13), 10**14),
    width=st.integers(1, 10**9),
    first=st.integers(0, 200),
    more=st.integers(0, 200),
)
def test_the_filter_of_bars_has_their_bounds(start: int, width: int, first: int, more: int) -> None:
    timeline = FinishCounts(
        window=TimeWindow.ALL, start=start, width=width, counts=(0,) * 401, now=NOW
    )
    text = timeline.filter_text(first, first + more)
    assert parse_filter(text).bounds() == (
        timeline.bounds(first)[0],
        timeline.bounds(first + more)[1],
    )


def test_a_moment_outside_is_in_the_nearest_bar() -> None:
    timeline = FinishCounts(
        window=TimeWindow.HOUR, start=10_000, width=1000, counts=(1, 2, 3), now=NOW
    )
    moments = (-math.inf, 9999, 10_000, 10_999, 11_000, 12_999, 13_000, 1e300, math.inf)
    assert [timeline.bar_at(moment) for moment in moments] == [0, 0, 0, 0, 1, 2, 2, 2, 2]


def test_windows_grow_and_shrink_in_order() -> None:
    assert [window.longer for window in TimeWindow] == [*list(TimeWindow)[1:], TimeWindow.ALL]
    assert [window.shorter for window in TimeWindow] == [
        TimeWindow.FIVE_MINUTES,
        *list(TimeWindow)[:-1],
    ]


@pytest.mark.parametrize(
    ("window", "trips"), [(window, 2 if window is TimeWindow.ALL else 1) for window in TimeWindow]
)
async def test_it_costs_one_round_trip_and_two_where_the_jobs_decide(
    server: EmbeddedServer, client: Redis, window: TimeWindow, trips: int
) -> None:
    await seed(client, [NOW - MINUTE, NOW])
    async with counted(server) as (counting, made):
        await read(counting, window, 120)
        assert made.count == trips


async def test_jobs_of_bullmq_are_where_they_finished(
    server: EmbeddedServer, client: Redis
) -> None:
    before = time.time() * 1000
    async with real_queue(server) as real:
        await failed_jobs(real, 3)
        await real.add(job(), job())
        await real.work(2)
    now = time.time() * 1000
    for state, jobs in ((JobState.FAILED, 3), (JobState.COMPLETED, 2)):
        timeline = await read_timeline(client, QUEUE, state, TimeWindow.FIVE_MINUTES, 60, now=now)
        run = timeline.bar_at(before), timeline.bar_at(now)
        assert (timeline.jobs(*run), timeline.total) == (jobs, jobs)


async def test_a_refusal_is_raised(client: Redis) -> None:
    await client.set(FAILED, "no set")
    for window in TimeWindow:
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await read(client, window)


async def test_only_finished_jobs_have_a_timeline(client: Redis) -> None:
    for state in JobState:
        if not state.is_finished:
            with pytest.raises(ValueError, match="not finished"):
                await read_timeline(client, QUEUE, state, TimeWindow.HOUR, 60, now=NOW)
