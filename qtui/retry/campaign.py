"""Carries a plan out: batch by batch, a result for every job, and never one job twice.

              ┌───────────── next batch ─────────────┐
    planned ──▶ sending ── reply ──▶ results ─────────┴──▶ done
                  │  ▲                   └── stop asked ──▶ stopped
          no reply│  │still where they were
                  ▼  │
               reading ── out of reach for too long ──▶ lost

A reply that does not come says nothing of what the batch did. So the jobs are read before anything
else happens. A batch is one atomic step: while any of its jobs stands where it was, the lost call
has done nothing yet, and the batch is sent again. That is safe even if the lost call is carried out
late, because each job is pinned to one finish. When the second call retries any of them, the lost
one had done nothing, and the codes tell the truth; when it finds none left, the lost one took them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Final

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as LateReply

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.model import Row
from qtui.bullmq.reader import Reader
from qtui.bullmq.writer import Picked, Writer
from qtui.retry.plan import Plan, Resets

LARGEST: Final = 200
SMALLEST: Final = 10
AIM: Final = 0.002
"""Seconds for which one call should keep Redis busy."""

PATIENCE: Final = 30.0
"""Seconds for which a campaign tries to read what a lost batch did."""


_LOST: Final = (LostConnection, LateReply, OSError)


class Phase(StrEnum):
    """How far a campaign is."""

    PLANNED = "planned"
    RUNNING = "running"
    READING = "reading what a lost batch did"
    DONE = "done"
    STOPPED = "stopped"
    LOST = "connection lost"


class Campaign:
    """One retry of many jobs. Run it once; ask it to stop at any time.

    Args:
        client: where to read.
        writer: retries the jobs.
        plan: the jobs, each pinned to the finish at which it was seen.
        resets: which counters are deleted.
        patience: seconds for which it tries to read what a lost batch did.
    """

    def __init__(
        self,
        client: Client,
        writer: Writer,
        plan: Plan,
        resets: Resets,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.plan = plan
        self.resets = resets
        self.phase = Phase.PLANNED
        self.codes: Counter[Code] = Counter()
        self.notes: list[str] = []
        """Redis's words where a side effect (event, marker) was refused; each once."""
        self._client = client
        self._reader = Reader(client)
        self._writer = writer
        self._patience = patience
        self._stop = False
        self._size = LARGEST // 4
        self._round_trip = 0.0

    @property
    def selected(self) -> int:
        """Jobs in the plan."""
        return len(self.plan.forecasts)

    @property
    def decided(self) -> int:
        """Jobs that have their result."""
        return self.codes.total()

    @property
    def retried(self) -> int:
        """Jobs that were put back to the waiting side."""
        return self.codes[Code.RETRIED]

    def stop(self) -> None:
        """Ends the campaign after the batch that is under way."""
        self._stop = True

    async def run(self) -> AsyncIterator[list[Result]]:
        """Retries the plan's jobs, oldest first, and yields the results batch by batch.

        Raises:
            ForeignQueue: the queue is not BullMQ's own; nothing was written.
            redis.exceptions.ResponseError: Redis refused a batch; its jobs are where they were.
            redis.exceptions.ConnectionError, TimeoutError: nobody answered before the first batch.
        """
        self.phase = Phase.RUNNING
        picked = self.plan.picked
        done = 0
        try:
            self._round_trip = await self._measure()
            while done < len(picked) and not self._stop and self.phase is Phase.RUNNING:
                batch = picked[done : done + self._size]
                results = await self._send(batch)
                done += len(batch)
                self.codes.update(result.code for result in results)
                yield results
        finally:
            if self.phase is not Phase.LOST:
                self.phase = Phase.DONE if done == len(picked) else Phase.STOPPED

    async def _measure(self) -> float:
        start = time.perf_counter()
        await self._client.ping()
        return time.perf_counter() - start

    async def _send(self, batch: Sequence[Picked]) -> list[Result]:
        """The results of one batch, whatever happens to the connection."""
        loop = asyncio.get_running_loop()
        seen: Sequence[Row] | None = None
        deadline, pause = 0.0, 0.1
        while True:
            start = time.perf_counter()
            try:
                answer = await self._writer.retry(
                    self.plan.queue,
                    self.plan.state,
                    batch,
                    reset_attempts_made=self.resets.made,
                    reset_attempts_started=self.resets.started,
                )
            except _LOST:
                deadline = deadline or loop.time() + self._patience
                seen = await self._read(batch, deadline)
                if seen is None:
                    self.phase = Phase.LOST
                    return [Result(one.job_id, Code.UNKNOWN) for one in batch]
                if not any(_stands(one, row) for one, row in zip(batch, seen, strict=True)):
                    return [_judged(one, row) for one, row in zip(batch, seen, strict=True)]
                if self._stop or loop.time() >= deadline:
                    self.phase = Phase.LOST
                    return _given_up(batch, seen)
                await asyncio.sleep(pause)  # grows: reads pass, and calls are lost again and again
                pause = min(pause * 2, 2.0)
                continue
            self._adapt(time.perf_counter() - start, len(batch))
            if answer.note and answer.note not in self.notes:
                self.notes.append(answer.note)
            results = list(answer.results)
            if seen is None or any(result.retried for result in results):
                return results
            return _doubted(batch, seen, results)

    async def _read(self, batch: Sequence[Picked], deadline: float) -> list[Row] | None:
        """The jobs as they are after a lost call; None if nobody could be asked for too long."""
        self.phase = Phase.READING
        loop = asyncio.get_running_loop()
        pause = 0.1
        ids = [one.job_id for one in batch]
        while loop.time() < deadline:
            try:
                rows = await self._reader.rows(self.plan.queue, self.plan.state, ids)
            except _LOST:
                await asyncio.sleep(pause)  # grows, so that a dead server is not hammered
                pause = min(pause * 2, 2.0)
                continue
            self.phase = Phase.RUNNING
            return rows
        return None

    def _adapt(self, elapsed: float, jobs: int) -> None:
        """Fits the next batch to `AIM`, from the time that this one took beyond a round trip."""
        self._round_trip = min(self._round_trip, elapsed)
        each = max(1e-7, (elapsed - self._round_trip) / jobs)
        self._size = max(SMALLEST, min(LARGEST, int(AIM / each), self._size * 2))


def _stands(one: Picked, row: Row) -> bool:
    """Whether a job is where it was picked, so that a retry would move it."""
    return one.pinned and row.score == one.score and not row.missing


def _doubted(
    batch: Sequence[Picked], seen: Sequence[Row], results: Sequence[Result]
) -> list[Result]:
    """The truth about a batch that was sent again and found nothing to retry.

    So the lost call came through: before the jobs were read, while, or after. Jobs that stood where
    they were when they were read, and stand there no more, went with it too; those that Redis
    refuses to move stand there whatever comes.
    """
    found = []
    for one, row, result in zip(batch, seen, results, strict=True):
        if result.code is Code.REFUSED:
            found.append(result)
        elif _stands(one, row):
            gone = result.code is Code.NO_SUCH_JOB
            found.append(Result(one.job_id, Code.UNKNOWN if gone else Code.RETRIED))
        else:
            found.append(_judged(one, row))
    return found


def _given_up(batch: Sequence[Picked], seen: Sequence[Row]) -> list[Result]:
    """What is known of a batch whose calls are lost again and again: the last may yet come."""
    return [
        Result(one.job_id, Code.UNKNOWN) if _stands(one, row) else _judged(one, row)
        for one, row in zip(batch, seen, strict=True)
    ]


def _judged(one: Picked, row: Row) -> Result:
    """What a lost call has done with a job that reads like this afterwards."""
    if not one.pinned or row.score == one.score:
        return Result(one.job_id, Code.NO_SUCH_JOB if row.missing else Code.NOT_IN_STATE)
    # Gone: it ran and was removed, or somebody removed it before, or a restart lost it.
    return Result(one.job_id, Code.UNKNOWN if row.missing else Code.RETRIED)
