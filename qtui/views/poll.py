"""Keeps the queues' counts fresh: cheaply, only while somebody looks, and never in a hurry.

One pipelined round trip tells the counts of every queue. Events say when a look is worth it; a
timer makes sure that nothing is missed. The gap between two looks grows with the round-trip time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from redis.exceptions import NoPermissionError

from qtui.bullmq.connection import Client
from qtui.bullmq.discovery import discover
from qtui.bullmq.events import can_wait, wait_for_events
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.status import check_permission, read_status
from qtui.bullmq.workers import read_workers

SHORTEST_GAP: Final = 0.1
"""Seconds between two looks that events ask for."""

GAP_IN_ROUND_TRIPS: Final = 10
"""A slow server is looked at less often: no more than a tenth of its time."""

WORKERS_EVERY: Final = 10.0
"""Seconds between two readings of CLIENT LIST."""


class Poll:
    """What is known of all queues, and the loops that keep it so.

    Args:
        client: where to read.
        prefixes: where queues are looked for.
        only: names of queues; when given, nothing is searched.
        refresh: seconds between two looks, 0 for none but those that somebody asks for.
    """

    def __init__(
        self, client: Client, prefixes: Sequence[str], only: Sequence[str], refresh: float
    ) -> None:
        self.refresh = refresh
        self.statuses: dict[QueueKey, QueueStatus] = {}
        self.workers: dict[QueueKey, int | None] | None = {}
        """Workers seen on each queue; None where the server does not say."""
        self.round_trip: float | None = None
        """Seconds that the last look took."""
        self.searching = False
        self._client = client
        self._prefixes = tuple(prefixes)
        self._only = tuple(only)
        self._queues: set[QueueKey] = set()
        self._workers_at = 0.0
        self._nudge = asyncio.Event()
        self._changed: set[QueueKey] = set()
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
            yield len(self._queues)
            return
        self.searching = True
        try:
            async for found in discover(self._client, self._prefixes):
                self._queues.update(found)
                yield len(self._queues)
        finally:
            self.searching = False

    async def check_permission(self) -> None:
        """Sees whether we may read at all, where no queue was found.

        Raises:
            redis.exceptions.NoPermissionError: this user may not look at such keys.
        """
        names = self._only or ("",)
        queues = [QueueKey.of(prefix, name) for prefix in self._prefixes for name in names]
        await check_permission(self._client, queues)

    async def look(self) -> set[QueueKey]:
        """Reads every queue's counts; the queues in which something changed since the last look."""
        changed, self._changed = self._changed, set()
        queues = sorted(self._queues)
        start = time.perf_counter()
        statuses = await read_status(self._client, queues) if queues else []
        if queues:
            self.round_trip = time.perf_counter() - start
        for status in statuses:
            if self.statuses.get(status.queue) != status:
                changed.add(status.queue)
            self.statuses[status.queue] = status
        unseen = self.workers is not None and any(queue not in self.workers for queue in queues)
        if queues and (unseen or time.monotonic() - self._workers_at > WORKERS_EVERY):
            self._workers_at = time.monotonic()
            self.workers = await read_workers(self._client, queues)
        return changed

    async def pause(self) -> None:
        """Returns when the next look is due: an event came, somebody asked, or time is up."""
        gap = max(SHORTEST_GAP, GAP_IN_ROUND_TRIPS * (self.round_trip or 0))
        await asyncio.sleep(gap)
        try:
            async with asyncio.timeout(max(0.0, self.refresh - gap) if self.refresh else None):
                await self._nudge.wait()
        except TimeoutError:
            pass
        self._nudge.clear()

    def nudge(self, changed: Iterable[QueueKey] = ()) -> None:
        """Asks for a look as soon as it is due."""
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
        try:
            changed = await wait_for_events(self._client, known)
        except NoPermissionError:
            self._deaf = True
            return
        if changed:
            self.nudge(changed)
            await asyncio.sleep(SHORTEST_GAP)
