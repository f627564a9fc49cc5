"""Puts a campaign on hold when too many of its latest jobs fail again. Knows no jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from qtui.operations.engine.pace import Pace
from qtui.operations.engine.patience import Stop
from qtui.operations.following.looking import Following
from qtui.operations.following.outcome import LATEST
from qtui.text import count, plural

FEWEST: Final = 20
"""Outcomes below which nothing is judged: a single failure among few says little."""

_LOOK: Final = 0.5
"""Seconds between two looks at the outcomes."""


class Brake:
    """Watches the outcomes of a campaign's latest jobs, and asks whether to continue.

    A job that is gone without an event counts as failed, as in a canary.

    Args:
        follower: follows the jobs.
        pace: the limit.
        stop: ends the hold when set.
        news: called when `held` has changed.
    """

    def __init__(
        self, follower: Following, pace: Pace, stop: Stop, *, news: Callable[[], None]
    ) -> None:
        self.held = ""
        """Why the campaign is on hold until `release`; empty while it is not."""
        self._follower = follower
        self._pace = pace
        self._stop = stop
        self._news = news
        self._released = asyncio.Event()
        self._looked = 0.0

    async def check(self) -> None:
        """Looks at the outcomes, and waits for `release` or a stop if too many are bad.

        Costs what `Follower.glance` costs, twice a second at most.

        Raises:
            LOST: the server did not answer.
        """
        if self._stop.is_set() or time.monotonic() - self._looked < _LOOK:
            return
        await self._follower.glance()
        self._looked = time.monotonic()
        if words := self._objection():
            await self._hold(words)

    def release(self) -> None:
        """Continues; only the outcomes from here on are judged."""
        self._follower.latest.clear()
        self._released.set()

    def _objection(self) -> str:
        latest = self._follower.latest
        bad = sum(latest)
        if len(latest) < FEWEST or 100 * bad <= self._pace.max_refail * len(latest):
            return ""
        last = "the last " if len(latest) == LATEST else ""
        limit = f"(limit {self._pace.max_refail:g} %)"
        return f"{count(bad)} of {last}{plural(len(latest), 'job')} failed again {limit}"

    async def _hold(self, words: str) -> None:
        self._released.clear()
        self.held = words
        self._news()
        waits = [asyncio.ensure_future(one.wait()) for one in (self._released, self._stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            self.held = ""
            self._news()
