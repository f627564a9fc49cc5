"""The pace at which followed jobs are looked at, and the port of what follows them. No Redis."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from qtui.bullmq.connection.trouble import LOST
from qtui.operations.following.outcome import Outcome, OutcomeTally

_SHORTEST, _LONGEST = 0.1, 1.0
_PAUSE_WHEN_LOST: Final = 2.0
"""Seconds between two looks while the connection is lost."""
GRACE: Final = 2.0
"""Seconds after the deadline for ending a look and reading the open jobs once more."""


def never() -> bool:
    """Returns False: following ends only when the time is up."""
    return False


class Following(Protocol):
    """Follows what becomes of a campaign's jobs, in one queue (`Follower`) or several."""

    @property
    def undecided(self) -> int:
        """Number of followed jobs whose outcome is not final."""

    @property
    def mute(self) -> bool:
        """Whether there are no events to follow."""

    @property
    def latest(self) -> deque[bool]:
        """For each of the latest final outcomes, whether it failed again or is unknown."""

    @property
    def blind(self) -> str:
        """Redis's error if it refuses to read the jobs' states, else empty."""

    def of(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Returns the outcomes so far of those of these jobs that are followed."""

    def tally(self, ids: Sequence[str] | None = None) -> OutcomeTally:
        """Counts all jobs, or those of ``ids`` that are followed."""

    def final(self, ids: Sequence[str] | None = None) -> OutcomeTally:
        """As `tally`, for a verdict."""

    async def glance(self) -> None:
        """Reads what is new, and leaves the changes for `watch`."""

    async def settle(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> OutcomeTally:
        """Waits until all outcomes (of ``ids``) are final or the time is up."""

    def watch(
        self,
        seconds: float,
        stop: Callable[[], bool] = never,
        ids: Sequence[str] | None = None,
    ) -> AsyncIterator[set[str]]:
        """As `settle`, and yields the ids whose outcomes have changed."""

    async def conclude(self, seconds: float) -> bool:
        """Reads all that is left; returns whether the tally is now complete."""


async def looks(
    seconds: float,
    *,
    look: Callable[[], Awaitable[bool]],
    any_open: Callable[[], bool],
    stop: Callable[[], bool],
    conclude: Callable[[float], Awaitable[object]],
) -> AsyncGenerator[None]:
    """Looks again and again until no job is open or the time is up; yields after each look.

    Ten times a second while something changes, slowing down to once a second, and it pauses at
    least as long as a look took. Waits for a lost connection. Tries at least one look.

    Args:
        seconds: the longest time to look.
        look: reads what is new; returns whether there is likely more soon.
        any_open: whether a job has no final outcome.
        stop: checked between looks, every 0.1 s.
        conclude: is called when the time is up, with the seconds that it may take.
    """
    time = asyncio.get_running_loop().time
    deadline, pause = time() + seconds, _SHORTEST
    while True:
        start = time()
        try:
            async with asyncio.timeout_at(max(start, deadline) + GRACE):
                busy = await look()
        except LOST:
            pause = min(pause * 2, _PAUSE_WHEN_LOST)
        else:
            pause = _SHORTEST if busy else min(pause * 1.5, _LONGEST)
            pause = max(pause, time() - start)
        yield
        rested = min(time() + pause, deadline)
        while True:
            if stop() or not any_open():
                return
            if time() >= deadline:
                await conclude(deadline + GRACE - time())
                yield
                return
            if time() >= rested:
                break
            await asyncio.sleep(min(_SHORTEST, pause))
