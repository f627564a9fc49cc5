"""Bursts: many more failures in the last seconds than is usual in a queue, and of which error.

They are looked for where something has changed, so that idle queues cost nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.queues.failures import RECENT, read_failures, read_latest_error
from qtui.text import count, plain, rough

LEAST: Final = 10
"""Failures in `RECENT` ms below which there is no burst."""

TIMES: Final = 4
"""How many times the usual number a burst is."""

KEPT: Final = 120_000
"""Milliseconds for which a burst is shown after its end."""

_OVER: Final = 10_000
"""Milliseconds without new failures after which a burst is over, and its age is said."""

_EVERY: Final = 1.0
"""Seconds between two looks at the same queue."""

_ERROR_EVERY: Final = 2.0
"""Seconds between two looks at the errors of the same burst."""

_ERRORS: Final = 5
"""Queues whose errors are read in one look, those with most failures first."""


@dataclass(slots=True, kw_only=True)
class Burst:
    """A burst of failures in a queue. Times are ms since the epoch."""

    queue: QueueKey
    failed: int
    """Jobs that failed in its worst `RECENT` ms."""
    seen: float
    """When it was last under way."""
    error: str = ""
    """The signature of most of its failures; empty while unknown. May hold foreign text."""

    @property
    def short(self) -> str:
        """How many failed: ``+160``."""
        return f"+{count(self.failed)}"

    def is_over(self, now: float) -> bool:
        """Whether it has come to its end."""
        return now - self.seen >= _OVER

    def words(self, now: float) -> str:
        """``+160 failed in 20 s · getaddrinfo EAI_AGAIN``; plain."""
        ago = now - self.seen
        when = f", {rough(ago)} ago" if self.is_over(now) else ""
        error = f" · {plain(self.error)}" if self.error else ""
        return f"{self.short} failed in {RECENT // 1000} s{when}{error}"


class Bursts:
    """Finds bursts in all queues.

    Args:
        client: where to read.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: dict[QueueKey, Burst] = {}
        self._due: set[QueueKey] = set()
        self._counts: dict[QueueKey, deque[tuple[float, int]]] = {}
        """Failed jobs of each queue at moments of the last `RECENT` ms."""
        self._newest: dict[QueueKey, float] = {}
        """The newest failure of each queue that was read."""
        self._looked_at = 0.0
        self._known: set[QueueKey] = set()
        """Queues that were looked at before."""
        self._read_at: dict[QueueKey, float] = {}
        self._unread: set[QueueKey] = set()
        """Queues with a burst that has grown since its errors were read."""
        self._error_at: dict[QueueKey, float] = {}

    def of(self, queue: QueueKey | None, now: float) -> Burst | None:
        """Returns the burst of a queue that is under way, or was within `KEPT` ms."""
        found = self._found.get(queue) if queue is not None else None
        return found if found is not None and now - found.seen < KEPT else None

    def all(self, now: float) -> dict[QueueKey, Burst]:
        """Returns the bursts of all queues."""
        return {queue: one for queue, one in self._found.items() if now - one.seen < KEPT}

    async def look(
        self, statuses: Mapping[QueueKey, QueueStatus], changed: Iterable[QueueKey]
    ) -> list[Burst]:
        """Looks for bursts in the queues whose counts have changed; returns those that began.

        A burst that was there when its queue was looked at for the first time has not begun now.

        Args:
            statuses: the counts of all queues.
            changed: those whose counts have changed.

        Costs a `read_failures` of the queues that hold failed jobs, each at most once a second,
        and for at most five bursts, once in two seconds each, a `read_latest_error`.
        """
        now, clock = time.time() * 1000, time.monotonic()
        for queue in changed:
            if queue in statuses:
                self._count(queue, statuses[queue].failed, now)
                self._due.add(queue)
        self._looked_at = now
        wanted = [
            queue
            for queue in sorted(self._due)
            if clock - self._read_at.get(queue, float("-inf")) >= _EVERY
        ]
        self._due.difference_update(wanted)
        failing = [one for one in wanted if one in statuses and statuses[one].failed]
        known, begun = self._known.copy(), []
        self._known.update(wanted)
        found = await read_failures(self._client, failing, now=now)
        for queue, failures in zip(failing, found, strict=True):
            self._read_at[queue] = clock
            grown = self._growth(queue) if failures.newest > self._newest.get(queue, 0) else 0
            self._newest[queue] = max(failures.newest, self._newest.get(queue, 0))
            failed = max(failures.recent, grown)
            if failed < max(LEAST, TIMES * failures.usual):
                continue
            before = self.of(queue, now)
            if before is None:
                self._found[queue] = Burst(queue=queue, failed=failed, seen=now)
                begun += [self._found[queue]] if queue in known else []
            else:
                before.failed, before.seen = max(failed, before.failed), now
        await self._read_errors(now, clock)
        return begun

    def _count(self, queue: QueueKey, failed: int, now: float) -> None:
        """Notes a count; the one before still held when the queues were last looked at."""
        counts = self._counts.setdefault(queue, deque())
        if counts:
            counts.append((self._looked_at, counts[-1][1]))
        counts.append((now, failed))
        while counts[0][0] < now - RECENT:
            counts.popleft()

    def _growth(self, queue: QueueKey) -> int:
        """By how many the failed jobs have grown in the last `RECENT` ms, while they were seen.

        For workers whose clock is wrong, so that their scores do not say what is recent.
        """
        counts = self._counts.get(queue, ())
        least = min((failed for _, failed in counts), default=0)
        return max((counts[-1][1] if counts else 0) - least, 0)

    async def _read_errors(self, now: float, clock: float) -> None:
        self._unread |= {queue for queue, one in self._found.items() if one.seen == now}
        due = [
            self._found[queue]
            for queue in self._unread
            if clock - self._error_at.get(queue, float("-inf")) >= _ERROR_EVERY
        ]
        for one in sorted(due, key=lambda one: -one.failed)[:_ERRORS]:
            self._error_at[one.queue] = clock
            self._unread.discard(one.queue)
            one.error = await read_latest_error(self._client, one.queue)
