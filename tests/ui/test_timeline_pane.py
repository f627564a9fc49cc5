"""The timeline above finished jobs, on the inspector: exact, and enter filters to its bars."""

from __future__ import annotations

import time

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.timeline import MINUTE, TimeWindow
from tests.seeds import raw_fields, raw_meta
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

Q = QueueKey.of("bull", "payments")


async def failures(client: redis.asyncio.Redis, minutes_ago: dict[str, float]) -> None:
    """Jobs that failed so long ago."""
    await raw_meta(client, Q)
    now = int(time.time() * 1000)
    for job_id, minutes in minutes_ago.items():
        at = int(now - minutes * MINUTE)
        await client.hset(Q.job(job_id), mapping=raw_fields() | {"finishedOn": at})
        await client.zadd(Q.key("failed"), {job_id: at})


OUTAGE = {f"j{place}": 30 + place / 100 for place in range(20)}


async def to_timeline(driver: Driver) -> None:
    """Moves the focus to the bars."""
    await driver.press("shift+tab")
    await driver.until(lambda: driver.inspector.focused is driver.inspector.timeline, "the bars")
    await driver.settle()


def shown(driver: Driver) -> list[str]:
    """The ids of the list shown."""
    jobs = driver.inspector.board.jobs
    assert jobs is not None
    rows = (jobs.row(place) for place in range(jobs.total))
    return [row.id for row in rows if row is not None]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_it_shows_the_peak_of_failures(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    await failures(client, OUTAGE | {"now": 0})
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("failed 21")
        line = driver.line_with("peak ")
        assert "█" in line
        assert "1 h" in driver.text()
        assert ("21 failed" in driver.text()) == (size[0] == 200)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_enter_filters_to_the_bar_under_the_cursor(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    await failures(client, OUTAGE | {"now": 0})
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("failed 21")
        await to_timeline(driver)
        for _ in range(70):
            first, last = driver.inspector.timeline.selection
            if driver.inspector.timeline._timeline is None:
                break
            if driver.inspector.timeline._timeline.jobs(first, last) > 1:
                break
            await driver.press("left")
        jobs = driver.inspector.timeline._timeline
        assert jobs is not None
        wanted = jobs.jobs(*driver.inspector.timeline.selection)
        assert wanted > 1
        await driver.press("enter")
        await driver.sees(f"{wanted} of ")
        found = driver.inspector.board.found
        assert found is not None
        assert found.total == wanted
        assert set(shown(driver)) <= set(OUTAGE)
        assert "/ after:" in driver.text()
        assert driver.inspector.focused is driver.inspector.table
        await driver.press("escape")
        assert driver.inspector.board.filter is None
        assert len(shown(driver)) == 21


async def test_several_bars_are_one_window(redis_url: str, client: redis.asyncio.Redis) -> None:
    await failures(client, OUTAGE | {"now": 0})
    async with inspector(redis_url) as driver:
        await driver.sees("failed 21")
        await to_timeline(driver)
        await driver.press("home", *["shift+right"] * 80, "enter")
        await driver.sees("21 of 21 match")


async def test_the_groups_take_the_window_too(redis_url: str, client: redis.asyncio.Redis) -> None:
    await failures(client, OUTAGE | {"now": 0})
    async with inspector(redis_url) as driver:
        await driver.sees("failed 21")
        await to_timeline(driver)
        await driver.press("end", "enter")
        await driver.sees("1 of 21 match")
        await driver.press("e")
        await driver.sees("1 group · 1 job ")
        assert "after:" in driver.line_with("1 group")


async def test_longer_and_shorter_windows(redis_url: str, client: redis.asyncio.Redis) -> None:
    await failures(client, {"old": 3 * 24 * 60, "yesterday": 20 * 60, "now": 1})
    async with inspector(redis_url, size=(200, 60)) as driver:
        await driver.sees("failed 3")
        await driver.sees("2 older")
        await to_timeline(driver)
        await driver.press("k")
        await driver.sees("24 h")
        await driver.sees("1 older")
        await driver.press("k")
        await driver.until(lambda: driver.inspector.timeline.window is TimeWindow.ALL, "all")
        await driver.until(lambda: "older" not in driver.text(), "all of them")
        await driver.press("j", "j", "j")
        await driver.sees("5 m")
        await driver.sees("2 older")


async def test_escape_leaves_it_before_it_drops_the_filter(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failures(client, OUTAGE)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 20")
        await driver.press("slash")
        await driver.press(*"error:boom", "enter")
        await driver.sees("20 of 20 match")
        await to_timeline(driver)
        await driver.press("escape")
        assert driver.inspector.focused is driver.inspector.table
        assert "20 of 20 match" in driver.text()
        await driver.press("escape")
        assert "match" not in driver.text()


async def test_it_grows_with_new_failures(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url, size=(200, 60), refresh=0.5) as driver:
        await driver.sees("2 failed")
        await fill(redis_url, "payments", 3)
        await driver.sees("5 failed")


async def test_only_finished_states_have_one(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("peak 2")
        await driver.press("3")
        assert not driver.inspector.timeline.display
        await driver.press("2")
        await driver.sees("0 completed")
        await driver.press("1")
        await driver.sees("peak 2")
