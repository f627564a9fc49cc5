"""Limits a campaign's speed, and decides when it pauses or stops by itself. Knows no jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.ping import ping
from qtui.bullmq.reads.status import read_status
from qtui.operations.following.outcome import LATEST
from qtui.text import count, plain, plural

SECONDS_A_BATCH: Final = 0.2
"""Seconds' worth of jobs in one batch at most when a rate is set: small batches, evenly spread."""

_SHORTEST, _LONGEST = 0.1, 1.0
"""Seconds between two counts of the waiting jobs while there are too many."""

_LOOK: Final = 1.0
"""Seconds between two measurements of the latency."""

_LOOKED_AT: Final = 100
"""Queues of which the waiting jobs are counted at once, to find one that is not full."""

_SLOW_LOOKS: Final = 3
"""Slow replies in a row that stop a campaign; a single one may have any cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The limits on a campaign's speed, as the user set them."""

    rate: float | None = None
    """Most jobs per second; None for as fast as Redis takes batches of 1 ms."""
    canary: int = 0
    """Jobs to send first, whose outcomes decide whether the others follow; 0 for no canary."""
    canary_seconds: float = 60.0
    """Longest time to wait for the outcomes of the canary."""
    max_refail: float = 10.0
    """Most per cent of the canary's jobs that may fail again or have an unknown outcome."""
    brake: bool = False
    """Whether `max_refail` holds for the latest jobs all along, not only for a canary."""
    max_waiting: int | None = None
    """Most jobs waiting in the queue; while there are more, nothing is sent. None: no limit."""
    max_latency: float = 1.0
    """Longest round trip in seconds; above it the campaign stops. 0: no limit."""

    def words(self) -> list[str]:
        """The limits that differ from the default, as people read them."""
        usual, found = Pace(), []
        if self.rate:
            found.append(self.rate_words)
        if self.canary:
            found.append(f"canary: {self.canary_words} within {self.canary_seconds:g} s")
        if self.brake:
            found.append(self.brake_words)
        if self.max_waiting is not None:
            found.append(f"on hold above {plural(self.max_waiting, 'waiting job')}")
        if self.max_latency != usual.max_latency:
            limit = f"above {self.max_latency * 1000:,.0f} ms" if self.max_latency else "at no"
            found.append(f"stop {limit} Redis latency")
        return found

    @property
    def rate_words(self) -> str:
        """The most jobs per second."""
        return f"at most {self.rate:,g} jobs/s" if self.rate else "no rate limit"

    @property
    def canary_words(self) -> str:
        """How many jobs are retried first, and when the rest follows."""
        if not self.canary:
            return "no canary"
        return f"first {count(self.canary)}, continue if ≤ {self.max_refail:g} % fail again"

    @property
    def brake_words(self) -> str:
        """When it goes on hold; empty where it never does."""
        if not self.brake:
            return ""
        return f"on hold if over {self.max_refail:g} % of the last {LATEST} fail again"

    @property
    def is_free(self) -> bool:
        """Whether only Redis itself limits the speed."""
        return self.rate is None and self.max_waiting is None and not self.brake


UNBOUNDED: Final = Pace(max_latency=0)
"""No limits; not even the latency is measured."""


class TooSlow(Exception):
    """Redis's latency exceeded the limit several times in a row."""


class Throttle:
    """Decides when the next batch may be sent, and how large it may be.

    Args:
        client: where to read.
        queue: the queue whose waiting jobs are counted, at first.
        pace: the limits.
        stop: ends every wait when set.
        news: called when `held` has changed.
        several: whether there are other queues, so that `held` names the one that is counted.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        pace: Pace,
        stop: asyncio.Event,
        *,
        news: Callable[[], None] = lambda: None,
        several: bool = False,
    ) -> None:
        self._several = several
        self.held = ""
        """Why the campaign is on hold; empty while jobs are sent."""
        self._news = news
        self._client = client
        self.queue = queue
        """The queue whose waiting jobs are counted."""
        self._pace = pace
        self._stop = stop
        self._pause = _SHORTEST
        self._due = 0.0
        self._looked = 0.0
        self._slow = 0
        self._first = 0
        """The place of the queue at which `with_room` looks first."""

    async def admit(self, wanted: int) -> int:
        """Waits for the rate, and returns how many of ``wanted`` jobs may be sent now.

        0 if it was stopped, or if too many jobs are waiting; it has paused then: call it again.

        Costs a PING a second, and a `read_status` of the queue if ``max_waiting`` is set.

        Raises:
            TooSlow: Redis's latency exceeds the limit.
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
        """Waits, but not beyond a stop of the campaign."""
        if seconds <= 0 or self._stop.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _room(self, wanted: int) -> int:
        """How many more jobs may wait in the queue; if none, returns 0 after a pause."""
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
        [status] = await read_status(self._client, [self.queue])
        where = f" in {plain(self.queue.base)}" if self._several else ""
        why = f"{plural(status.waiting, 'job')} waiting{where} (limit {count(most)})"
        return min(wanted, max(0, most - status.waiting)), why

    async def with_room(self, queues: Sequence[QueueKey]) -> QueueKey | None:
        """Returns one of these queues in which more jobs may wait; None if there is none.

        Of more than `_LOOKED_AT` it looks at so many a call, in turns: where none of these has
        room, the next call goes on with those after them.

        Costs a `read_status` of `_LOOKED_AT`, if ``max_waiting`` is set.
        """
        most = self._pace.max_waiting
        if most is None or not queues:
            return None
        self._first = self._first % len(queues) if len(queues) > _LOOKED_AT else 0
        some = [*queues[self._first :], *queues[: self._first]][:_LOOKED_AT]
        found = await read_status(self._client, some)
        room = next((one.queue for one in found if one.waiting < most), None)
        if room is None:
            self._first += _LOOKED_AT
        return room

    def _hold(self, why: str) -> None:
        if why != self.held:
            self.held = why
            self._news()

    async def _check_latency(self) -> None:
        if not self._pace.max_latency or time.monotonic() - self._looked < _LOOK:
            return
        took = await ping(self._client)
        self._slow = self._slow + 1 if took > self._pace.max_latency else 0
        # After a slow reply the latency is measured again before the next batch.
        self._looked = 0.0 if self._slow else time.monotonic()
        if self._slow >= _SLOW_LOOKS:
            most = self._pace.max_latency * 1000
            raise TooSlow(
                f"Redis latency {took * 1000:,.0f} ms exceeds the limit of {most:,.0f} ms"
            )
