"""How fast a campaign goes, and when it holds or stops by itself. Knows no jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.ping import ping
from qtui.bullmq.reads.status import read_status
from qtui.operations.following.outcome import OutcomeTally
from qtui.text import count

SECONDS_A_BATCH: Final = 0.2
"""Seconds for which one batch lasts at most when a rate is kept: small batches, evenly spread."""

_SHORTEST, _LONGEST = 0.1, 1.0
"""Seconds between two looks at a waiting side that takes no more."""

_LOOK: Final = 1.0
"""Seconds between two measurements of the latency."""

_SLOW_LOOKS: Final = 3
"""Slow answers in a row that stop a campaign; one alone may be anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What whoever retries wants of the campaign's speed."""

    rate: float | None = None
    """Jobs a second at most; None for as fast as Redis takes batches of 1 ms."""
    canary: int = 0
    """Jobs that are retried first, and watched, before the others follow; 0 for none."""
    canary_seconds: float = 60.0
    """How long they are watched at most."""
    max_refail: float = 10.0
    """Per cent of the canary's jobs that may have failed again or be of unknown end."""
    max_waiting: int | None = None
    """Jobs that may wait in the queue; while there are more, nothing is sent. None for any."""
    max_latency: float = 1.0
    """Seconds of a round trip; above it the campaign stops. 0 for any."""

    @property
    def is_free(self) -> bool:
        """Whether nothing but Redis itself bounds the speed."""
        return self.rate is None and self.max_waiting is None


UNBOUNDED: Final = Pace(max_latency=0)
"""No bounds, and nothing is measured."""


class TooSlow(Exception):
    """Redis answers slower than the bound, several times in a row."""


class Throttle:
    """Says when the next batch may go, and how large it may be.

    Args:
        client: where to look.
        queue: whose waiting jobs are counted.
        pace: what is wanted.
        stop: set when the campaign is to end; no wait lasts longer.
        news: called when `held` has changed.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        pace: Pace,
        stop: asyncio.Event,
        *,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        self.held = ""
        """Why nothing is sent just now; empty while jobs are sent."""
        self._news = news
        self._client = client
        self._queue = queue
        self._pace = pace
        self._stop = stop
        self._pause = _SHORTEST
        self._due = 0.0
        self._looked = 0.0
        self._slow = 0

    async def admit(self, wanted: int) -> int:
        """Waits for the rate, and says how many of the jobs ``wanted`` may be sent now.

        0 when it was stopped, or when enough jobs wait; then it has waited a moment: ask again.

        Costs a PING a second, and a reading of the queue's counts where its waiting jobs matter.

        Raises:
            TooSlow: Redis has become slower than the bound.
        """
        await self._check_latency()
        room = await self._room(wanted)
        if self._pace.rate and room:
            room = min(room, max(1, int(self._pace.rate * SECONDS_A_BATCH)))
            await self.wait(self._due - time.monotonic())
            # A pause that lasted longer than it should is not made up for in a burst.
            self._due = max(self._due, time.monotonic() - SECONDS_A_BATCH) + room / self._pace.rate
        return 0 if self._stop.is_set() else room

    async def wait(self, seconds: float) -> None:
        """Waits, but no longer than until somebody stops the campaign."""
        if seconds <= 0 or self._stop.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _room(self, wanted: int) -> int:
        """How many jobs the waiting side still takes; where it takes none, after a pause."""
        room, why = wanted, ""
        if self._pace.max_waiting is not None:
            room, why = await self._room_below(self._pace.max_waiting, wanted)
        if room:
            self._hold("")
            self._pause = _SHORTEST
            return room
        self._hold(why)
        await self.wait(self._pause)
        self._pause = min(2 * self._pause, _LONGEST)
        if self._stop.is_set():
            self._hold("")
        return 0

    async def _room_below(self, most: int, wanted: int) -> tuple[int, str]:
        [status] = await read_status(self._client, [self._queue])
        why = f"{status.waiting:,} jobs wait, {most:,} may"
        return min(wanted, max(0, most - status.waiting)), why

    def _hold(self, why: str) -> None:
        if why != self.held:
            self.held = why
            self._news()

    async def _check_latency(self) -> None:
        if not self._pace.max_latency or time.monotonic() - self._looked < _LOOK:
            return
        took = await ping(self._client)
        self._slow = self._slow + 1 if took > self._pace.max_latency else 0
        # After a slow answer the next batch is preceded by a look of its own.
        self._looked = 0.0 if self._slow else time.monotonic()
        if self._slow >= _SLOW_LOOKS:
            most = self._pace.max_latency * 1000
            raise TooSlow(f"Redis answers in {took * 1000:,.0f} ms, at most {most:,.0f} are wanted")


def verdict_on(tally: OutcomeTally, pace: Pace, *, mute: bool = False, blind: str = "") -> str:
    """Why the others should not follow a canary that came to this; empty if they may.

    They may only if the canary would pass even should every job of it that is not known to have
    completed or failed again turn out to have failed again.

    Args:
        tally: the canary's jobs, all of them.
        pace: the limit, and how long the canary was watched.
        mute: the queue's events tell nothing, so that the end of a removed job is unknown.
        blind: Redis's words where it does not show in which state jobs are.
    """
    jobs = tally.followed + tally.beyond
    failed, removed = (tally.failed_again, "failed again"), (tally.gone, _removed(mute))
    if _exceeds(tally.failed_again, jobs, pace):
        parts = [failed]
    elif _exceeds(tally.failed_again + tally.gone, jobs, pace):
        parts = [failed, removed]
    elif _exceeds(tally.failed_again + tally.unproven, jobs, pace):
        still = [(tally.active, "still running"), (tally.waiting, "still waiting")]
        still += [(tally.delayed, "delayed"), (tally.undone, "back where they were")]
        hidden = f"hidden by Redis ({blind})" if blind else "unknown"
        parts = [failed, removed, *still, (tally.unknown, hidden), (tally.beyond, "not followed")]
    else:
        return ""
    (first, what), *others = [part for part in parts if part[0]]
    words = [f"canary: {count(first)} of {count(jobs)} {what}"]
    words += [f"{count(number)} {word}" for number, word in others]
    if len(parts) > 2:
        words[-1] += f" after {pace.canary_seconds:g} s"
    if what == removed[1] and first == jobs:
        return f"{words[0]}: cannot be judged"
    return f"{', '.join(words)} (limit {pace.max_refail:g} %)"


def _removed(mute: bool) -> str:
    unknown = "the queue keeps no events" if mute else "no event says how they ended"
    return f"jobs were removed and {unknown}"


def is_hopeless(tally: OutcomeTally, pace: Pace) -> bool:
    """Whether a canary that came to this can't pass any more, whatever becomes of its open jobs."""
    return _exceeds(tally.failed_again + tally.gone, tally.followed + tally.beyond, pace)


def _exceeds(bad: int, jobs: int, pace: Pace) -> bool:
    return 100 * bad > pace.max_refail * jobs
