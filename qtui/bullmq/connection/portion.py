"""How many jobs are read at once: as many as come in replies of a bearable size. Knows no jobs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qtui.bullmq.connection.arrival import BEARABLE, ReplyTooLarge, at_most

T = TypeVar("T")

HEAVY: Final = 600_000
"""Bytes of replies above which the next read of what a campaign wipes is for fewer jobs."""


class Portion:
    """How many jobs the next read is for, by the size of the replies to the one before.

    Args:
        first: jobs of the first read.
        most: jobs of any read.
        fewest: jobs that are read at once however large they are.
        usual: bytes of replies above which the next read is for fewer jobs.
        alone: bytes of replies that the fewest may have; all others may have `BEARABLE`.
    """

    def __init__(
        self,
        *,
        first: int,
        most: int,
        fewest: int = 1,
        usual: int = HEAVY,
        alone: int = sys.maxsize,
    ) -> None:
        self.jobs = first
        """Jobs of the next read, at most."""
        self._most = most
        self._fewest = fewest
        self._usual = usual
        self._alone = alone

    async def read(self, jobs: int, read: Callable[[int], Awaitable[T]]) -> T:
        """Reads this many jobs, or the first of them: again for fewer if they come in too much.

        Args:
            jobs: how many there are.
            read: reads that many of them.

        Raises:
            ReplyTooLarge: the fewest come in more than they may.
        """
        while True:
            some = min(jobs, self.jobs)
            try:
                with at_most(BEARABLE if some > self._fewest else self._alone) as reply:
                    found = await read(some)
            except ReplyTooLarge:
                if some <= self._fewest:
                    raise
                self.jobs = max(self._fewest, some // 4)
            else:
                self._adapt(some, reply.taken)
                return found

    def _adapt(self, jobs: int, octets: int) -> None:
        if octets > self._usual:
            self.jobs = max(self._fewest, jobs * self._usual // octets)
        elif jobs == self.jobs and octets < self._usual // 2:
            self.jobs = min(self._most, 2 * self.jobs)
