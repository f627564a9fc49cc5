"""Limits how long a campaign waits for a server in trouble, and after a stop. Knows no Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PATIENCE: Final = 30.0
"""Seconds that a campaign waits for a server that does not answer or takes no writes."""

LAST_CALL: Final = 0.7
"""Seconds that a call may still take after a stop."""

LAST_LOOK: Final = 1.1
"""Seconds that reading the effect of a call may still take after a stop."""

_FIRST, _LONGEST = 0.1, 1.0
"""Seconds between two attempts: the first pause, and the longest."""


class Stop(asyncio.Event):
    """An event that is set to stop a campaign, and that then limits what the campaign awaits."""

    def __init__(self) -> None:
        super().__init__()
        self._at: float | None = None
        self._limits: dict[asyncio.Timeout, float] = {}

    def set(self) -> None:
        """Requests the stop: what is awaited within `at_most` ends soon."""
        if self.is_set():
            return
        super().set()
        if self._limits:
            self._at = asyncio.get_running_loop().time()
        for limit, seconds in self._limits.items():
            limit.reschedule((self._at or 0.0) + seconds)

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[None]:
        """Cancels its body ``seconds`` after the stop; no limit before that.

        Raises:
            TimeoutError: the body was not finished by then.
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
        """Waits, but not beyond the stop; returns whether that was requested."""
        if seconds > 0 and not self.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.wait()
            except TimeoutError:
                pass
        return self.is_set()


class Patience:
    """Waits for one trouble to end, with growing pauses, so that a dead server is not hammered.

    Args:
        seconds: the longest time to wait in all.
        stop: ends the waiting.
    """

    def __init__(self, seconds: float, stop: Stop) -> None:
        self._stop = stop
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._pause = _FIRST

    @property
    def is_over(self) -> bool:
        """Whether the time is up, or a stop was requested."""
        return self._stop.is_set() or asyncio.get_running_loop().time() >= self._deadline

    async def wait(self) -> bool:
        """Pauses before the next attempt; returns False if there should be none."""
        left = self._deadline - asyncio.get_running_loop().time()
        await self._stop.wait_for(min(self._pause, left))
        self._pause = min(self._pause * 2, _LONGEST)
        return not self.is_over
