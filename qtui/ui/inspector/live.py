"""A screen that is kept fresh: loops that search, count and listen, and outlive a lost server.

The loops are workers of the group ``watch``. They never touch widgets; they call the hooks below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from typing_extensions import override

from qtui.bullmq.connection.trouble import TROUBLE, is_refusal
from qtui.bullmq.keys import QueueKey
from qtui.ui.base import QtuiScreen
from qtui.ui.session import Session
from qtui.views.queues.bursts import Burst, Bursts
from qtui.views.queues.hidden import hidden_words

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0


class LiveScreen(QtuiScreen[None]):
    """Runs a `Poll` in the background and heals by itself when the server was away."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.poll = session.poll()
        self.bursts = Bursts(session.client)
        self.lost = ""
        """Why the server does not answer; empty while it does."""
        self._refusals: set[str] = set()

    # Hooks

    def looked(self, changed: set[QueueKey]) -> None:
        """Counts were read; ``changed`` are the queues in which something happened."""
        raise NotImplementedError

    def bursts_changed(self, begun: Sequence[Burst]) -> None:
        """Failures were counted; some bursts may have begun."""
        raise NotImplementedError

    def connection_changed(self) -> None:
        """The server went away or came back, see `lost`."""
        raise NotImplementedError

    def look_back(self) -> None:
        """Something was done that may be undone, or was undone."""
        raise NotImplementedError

    # Loops

    def start_watching(self) -> None:
        """Starts the loops; they end with the screen."""
        self.start(self._search, "watch")
        self.start(self._count_for_ever, "watch")
        if self.poll.hears:
            self.start(self._listen_for_ever, "watch")

    @override
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
        """Reports a refused command once: the server is not lost, and the rest still works."""
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
        if self.poll.hidden and self.poll.worst_first():
            self._say_refusal(f"Some queues are missing: {hidden_words(self.poll.hidden)}.")
        if not self.poll.worst_first():
            await self.poll.check_permission()
            await self.poll.look_elsewhere()
            await self._look()

    async def _look(self) -> None:
        changed = await self.poll.look()
        self.looked(changed)
        self.bursts_changed(await self.bursts.look(self.poll.statuses, changed))

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
