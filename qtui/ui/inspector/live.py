"""A screen that is kept fresh: loops that search, count and listen, and outlive a lost server.

The loops are workers of the group ``watch``. They never touch widgets; they call the hooks below.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from textual.screen import Screen
from textual.worker import Worker, WorkerError, WorkerState

from qtui.bullmq.connection.trouble import TROUBLE, is_refusal
from qtui.bullmq.keys import QueueKey
from qtui.text import plain
from qtui.ui.session import Session

_LAST_WORK: Final = 0.5
"""Seconds for which qtui's end waits for a campaign to write its last line."""

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0


async def last_words(worker: Worker[None] | None) -> None:
    """Waits, for a moment at most, until a worker that was cancelled is at its end."""
    if worker is not None:
        with contextlib.suppress(WorkerError, TimeoutError):
            async with asyncio.timeout(_LAST_WORK):
                await worker.wait()


class LiveScreen(Screen[None]):
    """Runs a `Poll` in the background and heals by itself when the server was away."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.poll = session.poll()
        self.lost = ""
        """Why the server does not answer; empty while it does."""
        self._refusals: set[str] = set()

    # Hooks

    def looked(self, changed: set[QueueKey]) -> None:
        """Counts were read; ``changed`` are the queues in which something happened."""
        raise NotImplementedError

    def connection_changed(self) -> None:
        """The server went away or came back, see `lost`."""
        raise NotImplementedError

    def say(self, words: str, tone: str = "") -> None:
        """Tells something in the status line; ``tone`` names a style of `Bar`."""
        raise NotImplementedError

    # Loops

    def start_watching(self) -> None:
        """Starts the loops; they end with the screen."""
        self.watch_with(self._search, "search")
        self.watch_with(self._count_for_ever, "count")
        if self.poll.hears:
            self.watch_with(self._listen_for_ever, "listen")

    def watch_with(self, loop: Callable[[], Awaitable[None]], name: str) -> None:
        """Runs one loop in the background."""
        self.run_worker(loop, name=name, group="watch", exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of ours must be seen, and must not take the screen away in an incident."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            self.log.error(event.worker.name, error)
            self.say(plain(f"a fault in qtui: {type(error).__name__}: {error}"), "bad")

    def in_background(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Does some work with the server, instead of what the group was doing."""
        task: Callable[[], Awaitable[bool]] = partial(self.attempt, work)
        self.run_worker(task, group=group, exclusive=True, exit_on_error=False)

    def is_busy(self, group: str) -> bool:
        """Whether the group is at work."""
        busy = (WorkerState.PENDING, WorkerState.RUNNING)
        return any(one.group == group and one.state in busy for one in self.workers)

    def cancel(self, group: str) -> None:
        """Ends what the group is doing."""
        self.workers.cancel_group(self, group)

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Does some work with the server; False, and `lost` says why, when it fails."""
        try:
            await work()
        except TROUBLE as error:
            words = self.session.explain(error)
            if is_refusal(error):
                self._say_refusal(words)
            else:
                self._set_lost(words)
            return False
        self._set_lost("")
        return True

    def _say_refusal(self, words: str) -> None:
        """One command was refused, the rest goes on: that is said once, and is no lost server."""
        if words not in self._refusals:
            self._refusals.add(words)
            self.say(words, "warn")

    def _set_lost(self, why: str) -> None:
        if why != self.lost:
            self.lost = why
            self.connection_changed()

    async def _insist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does some work, again and again with growing pauses until it succeeds."""
        pause = _FIRST_PAUSE
        while not await self.attempt(work):
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _search(self) -> None:
        await self._insist(self._search_once)
        self.poll.nudge()

    async def _search_once(self) -> None:
        known = 0
        async for found in self.poll.search():
            if found != known:
                known = found
                self.poll.nudge()
        await self._look()
        if not self.poll.worst_first():
            await self.poll.check_permission()
            await self.poll.look_elsewhere()
            await self._look()

    async def _look(self) -> None:
        self.looked(await self.poll.look())

    async def _count_for_ever(self) -> None:
        while True:
            await self.poll.pause()
            await self._insist(self._look)

    async def _listen_for_ever(self) -> None:
        while self.poll.hears:
            await self._insist(self.poll.listen)

    async def search_again(self) -> None:
        """Looks for new queues and reads all counts."""
        await self.attempt(self._search_once)
        await self.attempt(self._look)
