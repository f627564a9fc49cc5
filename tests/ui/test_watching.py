"""What one who only watches sees: what is late or stalled is loud, what is normal is quiet."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio
from bullmq import Job, Queue
from rich.style import Style

from qtui.bullmq.model import JobState
from tests.ui.driver import Driver, inspector
from tests.ui.stage import Clock, working


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
