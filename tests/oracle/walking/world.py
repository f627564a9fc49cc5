"""The queue of a walk, and what is known of it: which jobs there are, and what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from tests.oracle.conftest import Drivers
from tests.oracle.keyspace import census, members
from tests.oracle.stage import Side

T = TypeVar("T")


class World:
    """What all who act in a walk share.

    Args:
        side: the queue, in the hands of the release that owns it.
        drivers: other releases.
        folder: where qtui's journals are.
    """

    def __init__(self, side: Side, drivers: Drivers, folder: Path) -> None:
        self.side = side
        self.drivers = drivers
        self.folder = folder
        self.client = side.client
        self.release = side.release
        self.queue = QueueKey.of("bull", side.queue)
        self.alive: set[str] = set()
        self.removed: set[str] = set()
        """Jobs that qtui has removed at some time, which an undo may bring back."""
        self.flows = 0
        """How many were added: ``p1``, ``p2``, …, with children ``p1-a`` and ``p1-b``."""
        self.scheduled = False
        self.steps: list[str] = []
        """What was done, for whoever reads a failure."""

    def key(self, suffix: str) -> str:
        """A key of the queue."""
        return self.side.key(suffix)

    def is_paused(self) -> bool:
        """Whether the queue is paused."""
        return bool(self.client.hexists(self.key("meta"), "paused"))

    def jobs_in(self, name: str) -> list[str]:
        """The jobs in a list or a sorted set, without markers."""
        return [one for one in members(self.client, self.key(name)) if not is_marker(one)]

    def ids(self, state: JobState) -> list[str]:
        """The jobs of a state."""
        return self.jobs_in(state.key)

    def census(self) -> dict[str, list[str]]:
        """The places of each job."""
        return census(self.client, self.side.queue)

    def there(self) -> set[str]:
        """The jobs that there are, but for iterations of schedulers."""
        return {id for id in self.census() if not id.startswith("repeat:")}

    def has_scheduler(self) -> bool:
        """Whether the scheduler of the walk is there."""
        return bool(self.client.exists(self.key("repeat:s1")))

    def run(self, work: Callable[[Redis], Awaitable[T]]) -> T:
        """What comes of a coroutine with a client."""

        async def run() -> T:
            async with self.side.connect() as client:
                return await work(client)

        return asyncio.run(run())
