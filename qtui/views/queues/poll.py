"""Keeps the queues' counts fresh, at a low price and only while the screen needs them.

One pipelined round trip reads the counts of the visible queues and of those that had events; if
there are many queues, the others take turns. Events trigger a look, and a timer makes sure that
nothing is missed. The pause between two looks grows with the time they take.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import FORBIDDEN
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.events.stream import can_wait, wait_for_events
from qtui.bullmq.reads.ping import ping
from qtui.bullmq.reads.queues.discovery import discover
from qtui.bullmq.reads.queues.elsewhere import look_elsewhere
from qtui.bullmq.reads.queues.rates import Rates, read_rates
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.scripted.status import Statuses
from qtui.bullmq.reads.status import check_permission
from qtui.bullmq.verdicts.queue import QueueFacts, read_queue_facts
from qtui.views.queues.elsewhere import elsewhere_words

SHORTEST_GAP: Final = 0.1
"""Least number of seconds between two looks triggered by events."""

GAP_IN_LOOKS: Final = 10
"""Least pause between two looks, in durations of a look: a slow server is asked less often."""

A_LOOK: Final = 200
"""Queues that a look reads besides the visible ones: about 60 ms of a server's time."""

PING_EVERY: Final = 2.0
"""Seconds between two measurements of the round trip."""

SUBJECT_EVERY: Final = 1.0
"""Seconds between two looks at why the queue whose jobs are shown does what it does."""

WORKERS_EVERY: Final = 10.0
"""Seconds between two readings of CLIENT LIST."""


def _nothing() -> None:
    """No queue: the default for `Poll.subject`."""


class Hearer(Protocol):
    """Reads the events themselves, as soon as the poll hears that there are some."""

    @property
    def read_to(self) -> Mapping[QueueKey, str]:
        """The id of the last event that it has read, by queue."""

    def heard(self, queues: Collection[QueueKey]) -> None:
        """Some queues have events, newer than those in `read_to`."""


class Poll:
    """What is known about all queues, and the loops that keep it current.

    Args:
        client: where to read.
        prefixes: where queues are looked for.
        only: names of queues; when given, nothing is searched.
        refresh: seconds between two looks; with 0 only `nudge` causes a look.
    """

    def __init__(
        self, client: Client, prefixes: Sequence[str], only: Sequence[str], refresh: float
    ) -> None:
        self.refresh = refresh
        self.statuses: dict[QueueKey, QueueStatus] = {}
        self.workers: dict[QueueKey, int | None] | None = {}
        """Workers seen on each queue; None where the server does not say."""
        self.round_trip: float | None = None
        """Seconds that the last PING took; None where it was refused, or not sent so far."""
        self.visible: Callable[[], Iterable[QueueKey]] = tuple
        """The queues that every look reads."""
        self.subject: Callable[[], QueueKey | None] = _nothing
        """The queue whose jobs are shown."""
        self.facts: QueueFacts | None = None
        """What decides why that queue does what it does."""
        self.rates: Rates | None = None
        """How fast its jobs end."""
        self.hearer: Hearer | None = None
        """Who reads events now: they are waited for on one connection, whoever wants them."""
        self.searching = False
        self.elsewhere = ""
        """Advice where to find queues, if a search found none; empty while that is unknown."""
        self._client = client
        self._counts = Statuses(client)
        self._prefixes = tuple(prefixes)
        self._only = tuple(only)
        self._queues: set[QueueKey] = set()
        self._workers_at = 0.0
        self._nudge = asyncio.Event()
        self._changed: set[QueueKey] = set()
        self._read_at: dict[QueueKey, float] = {}
        """When each queue's counts were read, by the monotonic clock; the oldest first."""
        self.took = 0.0
        """Seconds that the last look took, but for queues that were read for the first time."""
        self._pinged_at = float("-inf")
        self._studied_at = float("-inf")
        self._deaf = False

    def worst_first(self) -> list[QueueStatus]:
        """The queues that exist: most failed jobs first, then by name."""
        known = (status for status in self.statuses.values() if status.exists)
        return sorted(known, key=lambda status: (-status.failed, status.queue.base))

    async def search(self) -> AsyncIterator[int]:
        """Looks for queues and yields how many are known after each slice of the keyspace."""
        if self._only:
            names = (QueueKey.of(prefix, one) for prefix in self._prefixes for one in self._only)
            self._queues.update(names)
            self._read_at.clear()
            yield len(self._queues)
            return
        self._read_at.clear()  # so that the next look reads them all
        self.searching = True
        try:
            async for found in discover(self._client, self._prefixes):
                self._queues.update(found)
                yield len(self._queues)
        finally:
            self.searching = False

    async def check_permission(self) -> None:
        """Checks, if no queue was found, whether the ACL lets us read any.

        Raises:
            FORBIDDEN: this user may not look at such keys.
        """
        names = self._only or ("",)
        queues = [QueueKey.of(prefix, name) for prefix in self._prefixes for name in names]
        await check_permission(self._client, queues)

    @property
    def oldest(self) -> float:
        """Age of the oldest counts in seconds; 0 if there are none."""
        read_at = next(iter(self._read_at.values()), None)
        return 0.0 if read_at is None else time.monotonic() - read_at

    @property
    def is_whole(self) -> bool:
        """Whether each look reads all queues."""
        return len(self._queues) <= A_LOOK

    @property
    def all_counted(self) -> bool:
        """Whether every queue that is known was read at least once."""
        return self._queues <= self.statuses.keys()

    async def look_elsewhere(self) -> None:
        """Finds out where queues are, if none was found. Costs a `look_elsewhere`."""
        if not self._only:
            found = await look_elsewhere(self._client, self._prefixes)
            self.elsewhere = elsewhere_words(found, self._prefixes)

    async def look(self) -> set[QueueKey]:
        """Reads counts; returns the queues whose counts changed.

        Costs one round trip for the visible queues, those with events, those never read, and of
        the others as many as `A_LOOK` leaves room for; a PING and a CLIENT LIST from time to time,
        and once a second what `_study` reads.
        """
        await self._ping()
        due, never = self._due()
        changed = self._changed - (self._queues - set(due))
        self._changed -= changed
        start = time.perf_counter()
        statuses = await self._counts.read(due)
        # What is read for the first time is read as fast as it goes, once.
        self.took = (time.perf_counter() - start) * (1 - never / max(1, len(due)))
        for status in statuses:
            if self.statuses.get(status.queue) != status:
                changed.add(status.queue)
            self.statuses[status.queue] = status
            self._read_at.pop(status.queue, None)
            self._read_at[status.queue] = time.monotonic()
        await self._count_workers()
        await self._study()
        return changed

    async def _study(self) -> None:
        """Reads facts and rates of the queue whose jobs are shown. Costs 30 commands at most."""
        queue = self.subject()
        same = self.facts is not None and self.facts.queue == queue
        if same and time.monotonic() - self._studied_at < SUBJECT_EVERY:
            return
        if queue is None or queue not in self.statuses:
            self.facts = self.rates = None
            return
        workers = None if self.workers is None else self.workers.get(queue)
        self.facts = await read_queue_facts(self._client, queue, workers=workers)
        [self.rates] = await read_rates(self._client, [queue])
        self._studied_at = time.monotonic()

    def _due(self) -> tuple[list[QueueKey], int]:
        """The queues to read now, and how many of them were never read."""
        never = self._queues - self._read_at.keys()
        due = dict.fromkeys(queue for queue in self.visible() if queue in self._queues)
        due |= dict.fromkeys(islice(sorted(self._changed & self._queues), A_LOOK))
        room = max(0, A_LOOK - sum(queue not in never for queue in due))
        due |= dict.fromkeys(sorted(never))
        due |= dict.fromkeys(islice((one for one in self._read_at if one not in due), room))
        return list(due), len(never)

    async def _ping(self) -> None:
        if not self._queues or time.monotonic() - self._pinged_at < PING_EVERY:
            return
        self._pinged_at = time.monotonic()
        try:
            self.round_trip = await ping(self._client)
        except FORBIDDEN:
            self._pinged_at = float("inf")

    async def _count_workers(self) -> None:
        queues = sorted(self._queues)
        unseen = self.workers is not None and any(queue not in self.workers for queue in queues)
        if queues and (unseen or time.monotonic() - self._workers_at > WORKERS_EVERY):
            self._workers_at = time.monotonic()
            self.workers = await read_workers(self._client, queues)

    @property
    def gap(self) -> float:
        """Seconds to wait at least before the next look."""
        return max(SHORTEST_GAP, GAP_IN_LOOKS * self.took)

    async def pause(self) -> None:
        """Returns when the next look is due: after an event, a `nudge`, or the refresh time."""
        gap = self.gap
        await asyncio.sleep(gap)
        if self.refresh and (self._changed or not self.is_whole):
            return  # others are waiting for their turn
        try:
            async with asyncio.timeout(max(0.0, self.refresh - gap) if self.refresh else None):
                await self._nudge.wait()
        except TimeoutError:
            pass
        self._nudge.clear()

    def nudge(self, changed: Iterable[QueueKey] = ()) -> None:
        """Requests a look as soon as the pause allows."""
        self._changed.update(changed)
        self._nudge.set()

    @property
    def hears(self) -> bool:
        """Whether events are listened to, so that changes show at once."""
        return bool(self.refresh) and can_wait(self._client) and not self._deaf

    async def listen(self) -> None:
        """Waits for events, for some seconds at most, and asks for a look when one came."""
        known = [status.queue for status in self.worst_first()]
        if not known:
            await asyncio.sleep(SHORTEST_GAP)
            return
        hearer = self.hearer
        read_to = hearer.read_to if hearer is not None else None
        try:
            changed = await wait_for_events(self._client, known, read_to=read_to)
        except FORBIDDEN:
            self._deaf = True
            return
        if changed:
            self.nudge(changed)
            if hearer is not None:
                hearer.heard(changed)
            await asyncio.sleep(SHORTEST_GAP)
