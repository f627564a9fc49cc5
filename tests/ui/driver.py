"""A small language for tests of the screen: press, settle, see.

Holds the one use of Textual's private interface: the lines of the screen as text.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from textual.pilot import Pilot
from textual.widget import Widget
from textual.worker import WorkerState

from qtui.bullmq.connection.client import identify, open_client, parse_target
from qtui.commands.inspector.session import make_session
from qtui.settings import Settings
from qtui.ui.app import QtuiApp
from qtui.ui.inspector.screen import Inspector
from qtui.ui.session import Session
from tests.patience import PATIENCE

_UNDER_WAY = (WorkerState.PENDING, WorkerState.RUNNING)


class Driver:
    """The app as a person sees it: keys in, lines out."""

    def __init__(self, app: QtuiApp, pilot: Pilot[None]) -> None:
        self.app = app
        self._pilot = pilot

    @property
    def inspector(self) -> Inspector:
        """The main screen, below any other."""
        return next(screen for screen in self.app.screen_stack if isinstance(screen, Inspector))

    def lines(self) -> list[str]:
        """What the screen shows."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    def text(self) -> str:
        """What the screen shows, in one piece."""
        return "\n".join(self.lines())

    def line_with(self, words: str) -> str:
        """The first line that holds the words."""
        found = [line for line in self.lines() if words in line]
        assert found, f"{words!r} is not on the screen:\n{self.text()}"
        return found[0]

    def row(self, job_id: str) -> str:
        """The line of a job in the table."""
        found = [line for line in self.lines() if re.search(rf"│[ ▌][ ●] {job_id} ", line)]
        assert found, f"job {job_id} is not in the list:\n{self.text()}"
        return found[0]

    async def press(self, *keys: str) -> None:
        """Presses keys and waits until what they started is done."""
        for key in keys:
            self.app.simulate_key(key)
        await self.settle()

    async def type(self, words: str) -> None:
        """Types words, key by key."""
        await self.press(*words)

    async def click(self, widget: Widget, offset: tuple[int, int]) -> None:
        """Clicks on a widget, this many columns and lines from its corner."""
        await self._pilot.click(widget, offset=offset)
        await self.settle()

    async def resize(self, columns: int, lines: int) -> None:
        """Gives the terminal another size."""
        await self._pilot.resize_terminal(columns, lines)
        await self.settle()

    async def settle(self) -> None:
        """Waits until nothing is under way but the loops that never end, and plans that wait."""
        await self.until(lambda: not self._busy(), "the workers' end")

    def _busy(self) -> list[str]:
        return [
            worker.group
            for worker in self.app.workers
            if worker.state in _UNDER_WAY
            and worker.group not in ("watch", "retry", "follow", "hunt")
        ]

    async def until(self, true: Callable[[], object], what: str = "it") -> None:
        """Waits for a condition, pumping messages, and fails after `PATIENCE`."""
        deadline = monotonic() + PATIENCE
        await self._pilot.pause()
        while not true():
            assert monotonic() < deadline, f"waited in vain for {what}:\n{self.text()}"
            await self._pilot.pause(0.02)
        await self._pilot.pause()

    async def sees(self, words: str) -> None:
        """Waits until the words are on the screen."""
        await self.until(lambda: words in self.text(), repr(words))


@asynccontextmanager
async def inspector(
    url: str,
    *,
    size: tuple[int, int] = (120, 36),
    journal: Path | None = None,
    theme_file: Path | None = None,
    typed_ahead: Sequence[str] = (),
    **settings: object,
) -> AsyncIterator[Driver]:
    """The inspector on a server, read for the first time, with a journal of its own if need be.

    ``typed_ahead`` are keys that are pressed before anything was read.
    """
    # Names and types of the settings are the tests' own; `replace` refuses unknown names.
    chosen = replace(Settings(), redis=url, **settings)  # type: ignore[arg-type]
    target = parse_target(url)
    client = await open_client(target, read_only=chosen.read_only)
    with TemporaryDirectory() as folder:
        place = journal or Path(folder)
        session = make_session(chosen, target, client, await identify(client), journal=place)
        async with _running(session, size, theme_file, typed_ahead) as driver:
            yield driver


@asynccontextmanager
async def _running(
    session: Session,
    size: tuple[int, int],
    theme_file: Path | None,
    typed_ahead: Sequence[str],
) -> AsyncIterator[Driver]:
    app = QtuiApp(session, theme_file=theme_file)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        for key in typed_ahead:
            app.simulate_key(key)
        poll = driver.inspector.poll
        await driver.until(lambda: poll.statuses or poll.elsewhere, "the first look")
        await driver.settle()
        yield driver
