"""Ages grow while nothing is read: in lists that are held, frozen or idle."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import redis.asyncio
from rich.style import Style
from textual.app import App, ComposeResult
from textual.strip import Strip

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.ui.flow.screen import FlowScreen
from qtui.ui.screens.errors import ErrorsScreen
from qtui.ui.screens.journal import JournalScreen
from qtui.ui.widgets.cursor_list import CursorList
from tests.ui.driver import Driver, inspector
from tests.ui.flows import failed_report
from tests.ui.stage import Clock, fill


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for what is drawn; what waits for something has the monotonic one."""
    return Clock(monkeypatch)


async def grows_old(driver: Driver, line: str, clock: Clock) -> None:
    """Waits until hours that pass show in a line."""
    for more, age in ((5, " 5h "), (4, " 9h ")):
        clock.forward(more)
        await driver.until(partial(_reads, driver, line, age), age)


def _reads(driver: Driver, line: str, age: str) -> bool:
    return age in driver.line_with(line)


@pytest.mark.slow
@pytest.mark.parametrize("keys", [(), ("z",), ("r", "y")])
async def test_a_list_ages(redis_url: str, clock: Clock, keys: tuple[str, ...]) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, refresh=0) as driver:
        for key in keys:
            await driver.press(key)
        if "y" in keys:
            await driver.sees("✔ waiting")
        await grows_old(driver, " charge ", clock)


@pytest.mark.slow
async def test_details_age(redis_url: str, clock: Clock) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, refresh=0) as driver:
        await driver.press("enter")
        for more, age in ((5, " 5h"), (4, " 9h")):
            clock.forward(more)
            await driver.until(partial(_reads, driver, "created", age), age)
            assert age in driver.line_with("finished")


@pytest.mark.slow
async def test_groups_age(redis_url: str, clock: Clock) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, refresh=0) as driver:
        await driver.press("e")
        assert isinstance(driver.app.screen, ErrorsScreen)
        await grows_old(driver, "100%", clock)


@pytest.mark.slow
async def test_a_flow_ages(redis_url: str, client: redis.asyncio.Redis, clock: Clock) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, refresh=0) as driver:
        driver.inspector.lists.go(
            QueueKey.of("bull", "render"), JobState.FAILED, parse_filter("id=bad-1")
        )
        await driver.until(lambda: driver.inspector.table.cursor_id == "bad-1", "the job")
        await driver.press("f")
        assert isinstance(driver.app.screen, FlowScreen)
        await grows_old(driver, "bad-1", clock)


@pytest.mark.slow
async def test_the_journal_ages(redis_url: str, clock: Clock, tmp_path: Path) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, journal=tmp_path) as driver:
        await driver.press("r")
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        await driver.press("L")
        assert isinstance(driver.app.screen, JournalScreen)
        await grows_old(driver, "1 job by id  ", clock)


@pytest.mark.slow
async def test_looking_again_at_ages_reads_nothing(
    redis_url: str, client: redis.asyncio.Redis, clock: Clock
) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, refresh=0) as driver:
        before = await _commands(client)
        await grows_old(driver, " charge ", clock)
        assert await _commands(client) - before == Counter({"info": 1})


async def _commands(client: redis.asyncio.Redis) -> Counter[str]:
    stats = await client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()})


class _Lines(CursorList):
    """A thousand lines, of which one has an age that changes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor-list--cursor", "cursor-list--cursor-blurred"}

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []
        self.now = "1m"

    @property
    def length(self) -> int:
        return 1000

    def head(self, width: int) -> Strip:
        return Strip.blank(width)

    def ages(self, place: int, now: float) -> str:
        assert place < 100, "what is not visible has no age to draw"
        return self.now if place == 3 else "2y"

    def line(self, place: int, width: int, base: Style) -> Strip:
        self.drawn.append(place)
        return Strip.blank(width)


async def test_only_lines_whose_age_reads_otherwise_are_drawn_anew() -> None:
    class Small(App[None]):
        def compose(self) -> ComposeResult:
            yield _Lines()

    async with Small().run_test(size=(80, 24)) as pilot:
        lines = pilot.app.query_one(_Lines)
        lines.grow_older()
        await pilot.pause()
        lines.drawn.clear()
        lines.grow_older()
        await pilot.pause()
        assert lines.drawn == []
        lines.now = "2m"
        lines.grow_older()
        await pilot.pause()
        assert lines.drawn == [3]
