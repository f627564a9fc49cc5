"""Keeps the queues' counts fresh, at a low price and only while the screen needs them.

A look reads the counts of the visible queues and of those that had events; the others are read
every refresh, in turns if there are many. Events trigger a look, and a timer makes sure that
nothing is missed that emits none. The pause between two looks grows with the time they take, and
while nothing happens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from itertools import chain, islice
from typing import Final, NamedTuple, Protocol

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import FORBIDDEN
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind, QueueStatus
from qtui.bullmq.reads.events.changes import MOST_HEARD, Changes
from qtui.bullmq.reads.events.stream import can_wait
from qtui.bullmq.reads.ping import ping
from qtui.bullmq.reads.queues.discovery import discover
from qtui.bullmq.reads.queues.elsewhere import look_elsewhere
from qtui.bullmq.reads.queues.rates import Rates, read_rates
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.scripted.status import STEP, Statuses
from qtui.bullmq.reads.status import check_permission
from qtui.bullmq.verdicts.queue import QueueFacts, read_queue_facts
from qtui.views.queues.elsewhere import elsewhere_words
from qtui.views.queues.meter import Meter
from qtui.views.queues.pulse import SHOWN

SHORTEST_GAP: Final = 0.1
"""Least number of seconds between two looks triggered by events."""

GAP_IN_LOOKS: Final = 10
"""Least pause between two looks, in durations of one: a slow server is asked less often."""

A_LOOK: Final = 1_000
"""Queues that a look reads besides the visible ones: about 6 ms of a server's time, in pieces."""

CALM: Final = 5
"""Refreshes between two looks while nothing happens in queues whose events are heard.

That is how late a change shows that emits no event: jobs that are drained, a limit that is set."""

PING_EVERY: Final = 2.0
"""Seconds between two measurements of the round trip."""

SUBJECT_EVERY: Final = 1.0
"""Seconds between two looks at why the queue whose jobs are shown does what it does."""

STUDY_EVERY: Final = 60.0
"""Seconds between two such looks while nothing happens in that queue, and no job waits in it."""

WORKERS_EVERY: Final = 10.0
"""Seconds between two readings of CLIENT LIST."""


def _nothing() -> None:
    """No queue: the default for `Poll.subject`."""


class _Ranked(NamedTuple):
    """A queue among the others, the worst first; names differ, so statuses are never compared."""

    fewer_failed: int
    base: str
    status: QueueStatus


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
        """Who reads events now: one connection waits for all screens."""
        self.meter = Meter()
        """What was seen of it since it is shown."""
        self.searching = False
        self.hidden: list[QueueKey] = []
        """Queues that the last search met, of which this user may read nothing."""
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
        """Seconds that the last look took, but for queues that were read for the first time; of one
        at many queues those of a piece, between which others have their turn."""
        self._pinged_at = float("-inf")
        self._studied_at = float("-inf")
        self._deaf = False
        self._changes = Changes(client)
        self._heard: frozenset[QueueKey] = frozenset()
        """The queues whose events are waited for."""
        self._quiet = 0
        """Looks in a row in which nothing had changed."""
        self._by_event = False
        """Whether the pause was ended by events, before its time."""
        self._to_study = False
        """Whether something has changed in the queue that is shown since its facts were read."""
        self._worst_first: list[QueueStatus] | None = None
        self._ranked: list[_Ranked] = []
        self._unranked: dict[QueueKey, QueueStatus] = {}
        """Those of which the counts have changed since."""

    def worst_first(self) -> list[QueueStatus]:
        """The queues that exist: most failed jobs first, then by name.

        The same list as long as no status changes; not for changing it.
        """
        if self._worst_first is None:
            changed = {queue.base for queue in self._unranked}
            self._ranked = [one for one in self._ranked if one.base not in changed]
            self._ranked += [
                _Ranked(-status.failed, status.queue.base, status)
                for status in self._unranked.values()
                if status.exists
            ]
            self._unranked.clear()
            self._ranked.sort()
            self._worst_first = [one.status for one in self._ranked]
        return self._worst_first

    async def search(self) -> AsyncIterator[int]:
        """Looks for queues and yields how many are known after each slice of the keyspace."""
        if self._only:
            names = (QueueKey.of(prefix, one) for prefix in self._prefixes for one in self._only)
            self._queues.update(names)
            self._read_at.clear()
            yield len(self._queues)
            return
        self._read_at.clear()  # so that the next look reads them all
        self.searching, self.hidden = True, []
        read, hidden = self._counts.read, self.hidden.extend
        try:
            async for found in discover(self._client, self._prefixes, read, hidden=hidden):
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
        """Age of the oldest counts in seconds; 0 if there are none, or nothing happens.

        As long as nothing happens in queues whose events are heard, old counts are as good as new.
        """
        read_at = next(iter(self._read_at.values()), None)
        age = 0.0 if read_at is None else time.monotonic() - read_at
        return 0.0 if self._quiet and age < 2 * CALM * self.refresh else age

    @property
    def is_whole(self) -> bool:
        """Whether each look reads all queues."""
        return len(self._queues) <= A_LOOK

    @property
    def all_counted(self) -> bool:
        """Whether every queue that is known was read at least once."""
        return len(self.statuses) >= len(self._queues)

    async def look_elsewhere(self) -> None:
        """Finds out where queues are, if none was found. Costs a `look_elsewhere`."""
        if not self._only:
            found = await look_elsewhere(self._client, self._prefixes)
            self.elsewhere = elsewhere_words(found, self._prefixes)

    async def look(self) -> set[QueueKey]:
        """Reads counts; returns the queues whose counts changed.

        Costs what `Statuses` says for the visible queues, those with events, those never read, and
        of the others as many as `A_LOOK` leaves room for; those only every refresh where events
        have ended the pause. From time to time a PING and a CLIENT LIST, and what `_study` reads.
        """
        await self._ping()
        due, never = self._due()
        changed = self._changed & due.keys() | self._changed - self._queues
        self._changed -= changed
        start = time.perf_counter()
        statuses = await self._counts.read(list(due))
        # What is read for the first time is read as fast as it goes, once.
        whole = (time.perf_counter() - start) * (1 - never / max(1, len(due)))
        self.took = whole / max(1, len(due) / STEP)
        now = time.monotonic()
        for status in statuses:
            known = self.statuses.get(status.queue)
            if known is not status and known != status:
                changed.add(status.queue)
                self._unranked[status.queue] = status
                self._worst_first = None
                self.statuses[status.queue] = status
            self._read_at.pop(status.queue, None)
            self._read_at[status.queue] = now
        self._quiet = 0 if changed or never else self._quiet + 1
        await self._count_workers()
        await self._study(changed)
        return changed

    async def _study(self, changed: Collection[QueueKey]) -> None:
        """Reads facts and rates of the queue whose jobs are shown. Costs 33 commands at most.

        Where nothing has changed in it, and nothing will by itself, only the time is new.
        """
        queue = self.subject()
        same = self.facts is not None and self.facts.queue == queue
        age = time.monotonic() - self._studied_at
        self._to_study |= queue in changed
        if same and age < SUBJECT_EVERY:
            return
        if queue is None or queue not in self.statuses:
            self.facts = self.rates = None
            return
        workers = None if self.workers is None else self.workers.get(queue)
        self.meter = self.meter if same else Meter()
        due = self._to_study or self._lively or age >= self._study_every
        if same and self.facts is not None and not due:
            now = int(time.time() * 1000)
            self.facts = replace(self.facts, now=max(now, self.facts.now), workers=workers)
            if self.rates is not None:
                self.meter.note(self.facts, self.rates)
            return
        self.facts = await read_queue_facts(self._client, queue, workers=workers)
        [self.rates] = await read_rates(self._client, [queue])
        self.meter.note(self.facts, self.rates)
        self._studied_at = time.monotonic()
        self._to_study = False

    @property
    def _study_every(self) -> float:
        """Seconds between two studies; jobs that wait and are not taken want a reason."""
        facts = self.facts
        waits = facts is not None and facts.ready and not facts.paused
        return CALM * self.refresh * 0.9 if waits else STUDY_EVERY

    @property
    def _lively(self) -> bool:
        """Whether what is known of the queue that is shown changes even if it emits no event.

        A lock expires, a limit ends, a delayed job is late, and what ended drops out of the rates.
        """
        facts, rates = self.facts, self.rates
        if facts is None:
            return False
        late = facts.due is not None and facts.due <= int(time.time() * 1000)
        recent = rates is not None and rates.of(SHOWN) > 0
        return bool(facts.active or late or facts.limiter is not None or recent)

    def _due(self) -> tuple[dict[QueueKey, None], int]:
        """The queues to read now, and how many of them were never read."""
        all_read = len(self._read_at) == len(self._queues)
        never = set[QueueKey]() if all_read else self._queues - self._read_at.keys()
        due = dict.fromkeys(queue for queue in self.visible() if queue in self._queues)
        if self._changed:
            due |= dict.fromkeys(islice(sorted(self._changed & self._queues), A_LOOK))
        room = max(0, A_LOOK - sum(queue not in never for queue in due))
        if never:
            due |= dict.fromkeys(sorted(never))
        before = time.monotonic() - (self.refresh / 2 if self._by_event else 0)
        self._by_event = False
        others = (one for one, at in self._read_at.items() if at <= before and one not in due)
        due |= dict.fromkeys(islice(others, room))
        return due, len(never)

    async def _ping(self) -> None:
        if not self._queues or time.monotonic() - self._pinged_at < PING_EVERY:
            return
        self._pinged_at = time.monotonic()
        try:
            self.round_trip = await ping(self._client)
        except FORBIDDEN:
            self._pinged_at = float("inf")

    async def _count_workers(self) -> None:
        missing = self.workers is not None and len(self.workers) < len(self._queues)
        old = time.monotonic() - self._workers_at > WORKERS_EVERY
        if self._queues and (old or (missing and not self.searching)):
            self._workers_at = time.monotonic()
            self.workers = await read_workers(self._client, sorted(self._queues))

    @property
    def gap(self) -> float:
        """Seconds to wait at least before the next look."""
        return max(SHORTEST_GAP, GAP_IN_LOOKS * self.took)

    @property
    def patience(self) -> float:
        """Seconds until the next look if nothing happens; longer each time that nothing did."""
        if not self._quiet or not self.is_whole or self._lively or not self._hears_all:
            return self.refresh
        wait = self.refresh * min(2.0**self._quiet, CALM)
        facts = self.facts
        if facts is not None and facts.due is not None:  # a job that may be late then
            wait = min(wait, max(self.refresh, facts.due / 1000 - time.time()))
        return wait

    @property
    def heard(self) -> frozenset[QueueKey]:
        """The queues whose events are waited for."""
        return self._heard

    @property
    def _hears_all(self) -> bool:
        """Whether the events of all queues are waited for."""
        return self._queues <= self._heard

    def _listened_to(self) -> Iterator[QueueKey]:
        """The queues whose events are worth to wait for, the most important first.

        Bull's queues have none; one that is gone may come back.
        """
        seen = set[QueueKey]()
        ranked = (status.queue for status in self.worst_first())
        for queue in chain(self.visible(), ranked, self.statuses):
            status = self.statuses.get(queue)
            if queue not in seen and status is not None and status.kind is not Kind.BULL:
                seen.add(queue)
                yield queue

    async def pause(self) -> None:
        """Returns when the next look is due: after an event, a `nudge`, or the refresh time."""
        gap = self.gap
        await asyncio.sleep(gap)
        self._by_event = bool(self._changed)
        if self.refresh and self._changed:
            return
        try:
            wait = max(0.0, self.patience - gap) if self.refresh else None
            async with asyncio.timeout(wait):
                await self._nudge.wait()
                self._by_event = bool(self._changed)
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
        heard = list(islice(self._listened_to(), MOST_HEARD))
        self._heard = frozenset(heard)
        if not heard:
            await asyncio.sleep(SHORTEST_GAP)
            return
        hearer = self.hearer
        read_to = hearer.read_to if hearer is not None else None
        try:
            changed = await self._changes.wait(heard, read_to=read_to)
        except FORBIDDEN:
            self._deaf, self._heard = True, frozenset()
            return
        if changed:
            self.nudge(changed)
            if hearer is not None:
                hearer.heard(changed)
            await asyncio.sleep(SHORTEST_GAP)
