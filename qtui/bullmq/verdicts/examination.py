"""An examination of some queues: their server, checks of a bounded price, and what is read whole.

Reads only. Jobs are read one by one where they are few, or where that was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Container, Iterable, Mapping, Sequence
from typing import Final

from qtui.bullmq.ask import ask_everywhere, number
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.reads.queues.discovery import escaped, scan
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.verdicts.checks import CONFIRMED_AFTER, check_queue
from qtui.bullmq.verdicts.finding import Finding
from qtui.bullmq.verdicts.server import check_server
from qtui.bullmq.verdicts.sweep import Sweep

SMALL: Final = 20_000
"""Jobs of a queue up to which all of them are read unasked, in about a second."""

IN_ALL: Final = 10 * SMALL
"""Jobs of all queues together up to which they are read unasked."""

FEW_KEYS: Final = 500_000
"""Keys of the server up to which all are looked at unasked, in about two seconds."""

_AT_ONCE: Final = 8
"""Queues that are checked side by side: each check waits between its two looks."""

_JOBS_A_SECOND: Final = 20_000
_KEYS_A_SECOND: Final = 250_000
"""What a throttled examination reads, for a price that is named beforehand."""


class Examination:
    """Finds what is wrong, queue by queue.

    Args:
        client: where to read.
        queues: the queues to examine, with their counts.
        prefixes: under which prefixes queues are looked for.
        deep: whether all jobs and all keys are read, however many there are.
        rate: jobs per second at most; 0 for no limit, None for the throttled pace.
        server: whether the server is examined too.
        pause: seconds between two looks of which the second confirms the first.

    Costs what `check_server` costs, one CLIENT LIST, and for each queue what `check_queue` costs.
    Then for each queue that is read whole what `Sweep` costs, and for all of them one SCAN of the
    keyspace for each prefix.
    """

    def __init__(
        self,
        client: Client,
        queues: Sequence[QueueStatus],
        *,
        prefixes: Sequence[str],
        deep: bool = False,
        rate: float | None = None,
        server: bool = True,
        pause: float = CONFIRMED_AFTER,
    ) -> None:
        self._client = client
        self._queues = {status.queue: _jobs(status) for status in queues}
        self._prefixes = prefixes
        self._deep = deep
        self._rate = rate
        self._server = server
        self._pause = pause
        self.findings: list[Finding] = []
        """What was found so far."""
        self.checked = 0
        """Queues that were checked."""
        self.reading: QueueKey | None = None
        """The queue whose jobs are being read one by one."""
        self.seen = 0
        """Jobs and keys that were read one by one."""
        self.skipped: dict[QueueKey, int] = {}
        """Queues whose jobs were not read one by one, and how many these are."""
        self.keys_skipped = 0
        """Keys of the server, if these were not looked at."""

    @property
    def queues(self) -> Collection[QueueKey]:
        """The queues to examine."""
        return self._queues.keys()

    @property
    def total(self) -> int:
        """How many queues there are to examine."""
        return len(self._queues)

    @property
    def price(self) -> float:
        """Seconds that the reading of what was skipped takes, about; 0 if nothing was."""
        return sum(self.skipped.values()) / _JOBS_A_SECOND + self.keys_skipped / _KEYS_A_SECOND

    async def steps(self) -> AsyncIterator[Sequence[Finding]]:
        """Examines; yields what each step has found, often nothing. Leave the loop to stop it.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        if self._server:
            yield self._found(await check_server(self._client, self._prefixes[0]))
        workers = await read_workers(self._client, list(self._queues)) or {}
        queues = list(self._queues)
        for first in range(0, len(queues), _AT_ONCE):
            some = queues[first : first + _AT_ONCE]
            found = await asyncio.gather(
                *(
                    check_queue(self._client, one, workers=workers.get(one), pause=self._pause)
                    for one in some
                )
            )
            self.checked += len(some)
            yield self._found(one for each in found for one in each)
        async for findings in self._sweep():
            yield findings
        self.reading = None

    def _found(self, findings: Iterable[Finding]) -> Sequence[Finding]:
        fresh = list(findings)
        self.findings += fresh
        return fresh

    async def _sweep(self) -> AsyncIterator[Sequence[Finding]]:
        """Reads the jobs of the queues that are read whole, then all keys."""
        sweeps: dict[QueueKey, Sweep] = {}
        others: dict[str, bool] = {}
        room = IN_ALL
        for queue, jobs in self._queues.items():
            if not self._deep and jobs > min(SMALL, room):
                self.skipped[queue] = jobs
                continue
            room -= jobs
            self.reading = queue
            sweep = Sweep(self._client, queue, rate=self._rate)
            async for met in sweep.walk():
                self.seen += met
                yield ()
            sweeps[queue] = sweep
        self.reading = None
        replies = await ask_everywhere(self._client, "DBSIZE")
        keys = sum(number(reply) or 0 for reply in replies)
        if keys > FEW_KEYS and not self._deep:
            self.keys_skipped = keys
        else:
            async for many in self._scan(sweeps, others):
                self.seen += many
                yield ()
        if sweeps:
            await asyncio.sleep(self._pause)
        mine = {queue.base for queue in sweeps}
        for queue, sweep in sweeps.items():
            base = queue.base

            def is_own(key: str, base: str = base) -> bool:
                return _queue_of(key, mine, others) == base

            yield self._found(await sweep.conclude(is_own))

    async def _scan(
        self, sweeps: dict[QueueKey, Sweep], others: dict[str, bool]
    ) -> AsyncIterator[int]:
        """Hands each key to the sweep of its queue; yields how many were looked at.

        Args:
            sweeps: those of the queues that are read whole.
            others: is filled with bases that are none of these, and whether they are queues.
        """
        for prefix in dict.fromkeys(queue.prefix for queue in sweeps):
            mine = {one.base: sweep for one, sweep in sweeps.items() if one.prefix == prefix}
            base = next(iter(mine)) if len(mine) == 1 else prefix
            async for keys in scan(self._client, f"{escaped(base)}:*"):
                await self._know(keys, prefix, mine, others)
                own: dict[str, list[str]] = {}
                for key in keys:
                    longest = _queue_of(key, mine, others)
                    if longest is not None:
                        own.setdefault(longest, []).append(key)
                for each, some in own.items():
                    await mine[each].take(some)
                yield len(keys)

    async def _know(
        self, keys: Sequence[str], prefix: str, mine: dict[str, Sweep], others: dict[str, bool]
    ) -> None:
        """Learns which other queues there are whose names begin like those of ours."""
        bases = {key.rpartition(":")[0] for key in keys if key.endswith((":meta", ":id"))}
        fresh = [
            QueueKey(one, prefix)
            for one in bases - mine.keys() - others.keys()
            if one.startswith(tuple(f"{base}:" for base in mine))
        ]
        for status in await read_status(self._client, fresh) if fresh else []:
            others[status.queue.base] = status.exists


def _queue_of(key: str, mine: Container[str], others: Mapping[str, bool]) -> str | None:
    """The base of the queue that a key belongs to, the longest that fits; None if it is no own."""
    base = key
    while base:
        base = base.rpartition(":")[0]
        if base in mine:
            return base
        if others.get(base):
            return None
    return None


def _jobs(status: QueueStatus) -> int:
    return sum(status.count(state) for state in JobState)
