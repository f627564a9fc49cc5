"""How long a campaign waits: for a server in trouble, and when it is asked to stop. No Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE: Final = 30.0
"""Seconds for which a campaign waits for a server that does not answer or takes no writes."""

LAST_CALL: Final = 0.7
"""Seconds that a call may still take once a stop was asked for."""

LAST_LOOK: Final = 1.1
"""Seconds after a stop in which what a call did may still be read."""

_FIRST, _LONGEST = 0.1, 1.0
"""Seconds between two tries."""


class Stop(asyncio.Event):
    """Set when a campaign is to end; from then on nothing that it awaits may take long."""

    def __init__(self) -> None:
        super().__init__()
        self._at: float | None = None
        self._limits: dict[asyncio.Timeout, float] = {}

    def set(self) -> None:
        """Asks for the end: what is awaited within `at_most` ends soon."""
        if self.is_set():
            return
        super().set()
        if self._limits:
            self._at = asyncio.get_running_loop().time()
        for limit, seconds in self._limits.items():
            limit.reschedule((self._at or 0.0) + seconds)

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[None]:
        """Ends what is done in it so many seconds after the stop; takes its time until then.

        Raises:
            TimeoutError: it was not done by then.
        """
        if self.is_set() and self._at is None:
            self._at = asyncio.get_running_loop().time()
        when = None if self._at is None else self._at + seconds
        async with asyncio.timeout_at(when) as limit:
            self._limits[limit] = seconds
            try:
                yield
            finally:
                del self._limits[limit]

    async def wait_for(self, seconds: float) -> bool:
        """Waits, but no longer than until the stop; whether that was asked for."""
        if seconds > 0 and not self.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.wait()
            except TimeoutError:
                pass
        return self.is_set()


class Patience:
    """One trouble, waited for with pauses that grow, so that a dead server is not hammered.

    Args:
        seconds: how long it is waited for.
        stop: ends the waiting.
    """

    def __init__(self, seconds: float, stop: Stop) -> None:
        self._stop = stop
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._pause = _FIRST

    @property
    def is_over(self) -> bool:
        """Whether it was waited for long enough, or is to stop."""
        return self._stop.is_set() or asyncio.get_running_loop().time() >= self._deadline

    async def wait(self) -> bool:
        """Waits before the next try; False where there is to be none."""
        left = self._deadline - asyncio.get_running_loop().time()
        await self._stop.wait_for(min(self._pause, left))
        self._pause = min(self._pause * 2, _LONGEST)
        return not self.is_over
