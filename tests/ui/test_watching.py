"""What one who only watches sees: what is late or stalled is loud, what is normal is quiet."""

from __future__ import annotations

import asyncio
import re

import pytest
import redis.asyncio
from bullmq import Job, Queue
from rich.style import Style

from qtui.bullmq.model import JobState
from tests.ui.driver import Driver, inspector
from tests.ui.stage import Clock, fill, working


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for what is drawn and for what is late."""
    return Clock(monkeypatch)


def style_of(driver: Driver, words: str) -> Style:
    """The style of the first piece of the job table that holds the words."""
    table = driver.inspector.table
    for y in range(table.size.height):
        for piece in table.render_line(y):
            if words in piece.text and piece.style is not None:
                return piece.style
    raise AssertionError(f"{words!r} is not in the table:\n{driver.text()}")


def part(driver: Driver, name: str) -> Style:
    return driver.inspector.table.part(name)


@pytest.mark.slow
async def test_a_late_job_is_red_and_a_future_one_is_dim(redis_url: str, clock: Clock) -> None:
    source = Queue("mail", {"connection": redis_url})
    await source.add("soon", {}, {"delay": 30_000})
    await source.add("later", {}, {"delay": 40 * 86_400_000 + 3_600_000})
    await source.close()
    async with inspector(redis_url) as driver:
        await driver.press("5")
        await driver.until(lambda: driver.inspector.table.length == 2, "the delayed jobs")
        assert " in 40d " in driver.line_with(" later ")
        assert style_of(driver, "in 40d").color == part(driver, "faint").color
        clock.forward(0.2)
        await driver.sees("11m late")
        assert style_of(driver, "11m late").color == part(driver, "bad").color
        await driver.press("z")  # a list that is frozen becomes later, too
        clock.forward(2)
        await driver.sees("2h late")


@pytest.mark.slow
async def test_an_active_job_without_its_lock_is_red_and_called_stalled(
    redis_url: str, client: redis.asyncio.Redis, clock: Clock
) -> None:
    source = Queue("mail", {"connection": redis_url})
    job = await source.add("send", {}, {})
    await source.close()
    started = asyncio.Event()

    async def hang(job: Job, token: str) -> object:
        started.set()
        await asyncio.sleep(3600)
        return None

    async with inspector(redis_url) as driver:
        await driver.press("4")
        async with working(redis_url, "mail", hang, lockDuration=60_000) as worker:
            await started.wait()
            await driver.until(lambda: driver.inspector.table.length == 1, "the active job")
            clock.forward(0.5)
            await driver.sees("30m")
            assert "stalled" not in driver.row(job.id)
            assert style_of(driver, "30m").color != part(driver, "bad").color
            for task in worker.processing:
                task.cancel()
        # Its worker is gone; nothing in Redis changes but that the lock comes to its end.
        await client.pexpire(f"bull:mail:{job.id}:lock", 1)
        await driver.until(lambda: "stalled: its lock" in driver.row(job.id), "stalled")
        assert style_of(driver, "30m").color == part(driver, "bad").color
        assert driver.inspector.board.state is JobState.ACTIVE


@pytest.mark.slow
async def test_the_first_row_is_the_newest_job_until_a_key_is_about_it(redis_url: str) -> None:
    first = await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        table = driver.inspector.table
        await driver.until(lambda: table.cursor_id == first[-1], "the newest job")
        second = await fill(redis_url, "payments", 4)
        await driver.until(lambda: table.cursor_id == second[-1], "the newer job")
        await driver.until(lambda: driver.inspector.job.id == second[-1], "its details")
        assert table.cursor == 0
        assert "newer" not in driver.text()
        await driver.press("space")
        third = await fill(redis_url, "payments", 5)
        await driver.sees("▲ 5 newer (g)")
        assert (table.cursor, table.cursor_id) == (5, second[-1])
        assert "●" in driver.row(second[-1])
        await driver.press("g")
        assert table.cursor_id == third[-1]
        assert "newer" not in driver.text()
        fourth = await fill(redis_url, "payments", 1)
        await driver.until(lambda: table.cursor_id == fourth[-1], "the newest job again")


@pytest.mark.slow
async def test_elsewhere_the_cursor_stays_on_its_job_and_newer_ones_are_counted(
    redis_url: str,
) -> None:
    ids = await fill(redis_url, "payments", 60)
    async with inspector(redis_url, size=(80, 24)) as driver:
        table = driver.inspector.table
        await driver.press("G")
        await driver.until(lambda: table.cursor_id == ids[0], "the oldest job")
        await fill(redis_url, "payments", 40)
        await driver.sees("▲ 40 newer (g)")
        assert table.cursor_id == ids[0]
        await driver.press("k")
        assert "▲ 40 newer (g)" in driver.text()
        await driver.press("o")
        assert "newer" not in driver.text()
        await fill(redis_url, "payments", 2)
        await driver.until(lambda: table.length == 102, "the new jobs")
        assert "newer" not in driver.text()


async def test_a_click_is_about_the_job_that_is_seen(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        table = driver.inspector.table
        await driver.click(table, (8, 1))
        assert table.cursor == 0
        await fill(redis_url, "payments", 2)
        await driver.sees("▲ 2 newer (g)")
        assert table.cursor_id == ids[-1]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_burst_shows_in_the_title_and_in_its_queue(
    redis_url: str, size: tuple[int, int]
) -> None:
    await fill(redis_url, "payments", 12, name="old")
    await fill(redis_url, "mail", 1)
    async with inspector(redis_url, size=size) as driver:
        await driver.until(lambda: driver.inspector.board.queue, "a queue")
        await fill(redis_url, "payments", 60, error=lambda at: "getaddrinfo EAI_AGAIN")
        await driver.sees("failed in 20 s · getadd")
        assert re.search(r" payments +\+\d+ failed in", driver.line_with("failed in 20 s"))
        row = driver.inspector.queues.render_line
        await driver.until(lambda: re.search(r"payments +\+\d+ .*72", row(1).text), "the burst")
        await fill(redis_url, "mail", 30, error=lambda at: "Timeout of 5000ms exceeded")
        await driver.until(
            lambda: re.search(r"mail: \+\d+ failed in 20 s · Timeout", driver.text()), "the other"
        )


async def test_the_queues_count_all_states_on_a_wide_screen_and_add_them_up(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "mail", 1)
    await client.zadd("bull:payments:failed", {f"x{place}": 1 for place in range(40_003)})
    source = Queue("mail", {"connection": redis_url})
    await source.add("later", {}, {"delay": 10**8})
    await source.close()
    async with inspector(redis_url, size=(200, 60)) as driver:
        queues = driver.inspector.queues
        await driver.until(lambda: queues.length == 2, "both queues")

        def line(y: int) -> list[str]:
            return queues.render_line(y).text.split()

        assert line(0)[-8:] == [state.value for state in JobState]
        assert line(1)[-8:] == ["40,005", *"·······"]
        assert line(2)[-8:] == ["1", "·", "·", "·", "1", "·", "·", "·"]
        assert line(3) == ["all", "queues", "40,006", "·", "·", "·", "1", "·", "·", "·"]
        await driver.resize(120, 36)
        assert line(3) == ["all", "queues", "40,006", "·", "·"]
        await driver.resize(80, 24)
        assert line(3) == ["all", "queues", "40,006"]
        await driver.press("escape")
        await driver.press("G")
        assert queues.cursor == 1, "the sum is no queue"


async def test_the_sum_stays_below_a_list_that_is_scrolled(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    for place in range(40):
        await client.hset(f"bull:q{place}:meta", "opts.maxLenEvents", "100")
        await client.zadd(f"bull:q{place}:failed", {"1": 1})
    async with inspector(redis_url, size=(80, 24)) as driver:
        queues = driver.inspector.queues
        await driver.until(lambda: queues.length == 40, "the queues")
        await driver.press("escape")
        for key, seen in (("g", " q0 "), ("G", " q9 ")):
            await driver.press(key)
            lines = [queues.render_line(y).text for y in range(queues.size.height)]
            assert any(seen in one for one in lines[1:-1])
            assert lines[-1].split() == ["all", "queues", "40"]


async def test_a_sparkline_shows_what_ends_and_is_red_where_most_of_it_fails(
    redis_url: str,
) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url, size=(200, 60)) as driver:
        queues = driver.inspector.queues
        await driver.until(lambda: queues.length == 1, "the queue")
        await fill(redis_url, "payments", 4)

        def bars() -> list[Style | None]:
            pieces = queues.render_line(1)
            return [one.style for one in pieces if one.text.strip(" ") and one.text in "▁▂▃▄▅▆▇█"]

        await driver.until(bars, "a bar")
        style = bars()[0]
        assert style is not None
        assert style.color == queues.part("bad").color


async def test_a_title_that_was_read_long_ago_says_how_long(redis_url: str, clock: Clock) -> None:
    source = Queue("mail", {"connection": redis_url})
    await source.add("send", {}, {})
    await source.close()
    async with inspector(redis_url, refresh=0) as driver:
        await driver.sees("no worker is connected: 1 job waits")
        clock.forward(seconds=4_800)
        await driver.sees(", 80 min ago")
