"""Sends batches, and finds out the truth of each, whatever happens to the connection.

A reply that does not come says nothing of what the batch did. So the jobs are read before anything
else happens. A batch is one atomic step: while any of its jobs stands where it was, the lost call
has done nothing yet, and the batch is sent again. That is safe even if the lost call is carried out
late, because each job is pinned to one finish. When the second call retries any of them, the lost
one had done nothing, and the codes tell the truth; when it finds none left, the lost one took them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as LateReply

from qtui.bullmq.ask import ask_one
from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reader import Reader
from qtui.bullmq.writer import Picked, Writer
from qtui.retry.plan import Resets

LARGEST: Final = 200
SMALLEST: Final = 10
AIM: Final = 0.001
"""Seconds for which one call should keep Redis busy."""

CALLS: Final = 5
"""Calls that were slow before the next ones are smaller."""

LOST: Final = (LostConnection, LateReply, OSError)
"""What is raised when nobody knows what became of a call."""


class OutOfReach(Exception):
    """The server could not be asked for too long; ``results`` are what is known of the batch."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__("the connection was lost")
        self.results = results


class Delivery:
    """The way of batches to one state of one queue.

    Args:
        client: where to read.
        writer: retries the jobs.
        queue: the queue.
        state: out of which state they are retried.
        resets: which counters are deleted.
        patience: seconds for which it tries to find out what a lost batch did.
        stopped: whether somebody wants it to end; then a lost batch is read, and not sent again.
    """

    def __init__(
        self,
        client: Client,
        writer: Writer,
        queue: QueueKey,
        state: JobState,
        resets: Resets,
        *,
        patience: float,
        stopped: Callable[[], bool],
    ) -> None:
        self.size = LARGEST // 4
        """Jobs that the next batch should have."""
        self.notes: list[str] = []
        """Redis's words where a side effect (event, marker) was refused; each once."""
        self.reading = False
        """Whether it finds out what a lost batch did."""
        self._client = client
        self._writer = writer
        self._queue = queue
        self._state = state
        self._resets = resets
        self._patience = patience
        self._stopped = stopped
        self._round_trip = 0.0
        self._each: deque[float] = deque(maxlen=CALLS)
        """Seconds that each job of the last calls took."""

    async def measure(self) -> float:
        """Seconds of a round trip that asks for nothing. Costs a PING."""
        start = time.perf_counter()
        await ask_one(self._client, "PING")
        self._round_trip = time.perf_counter() - start
        return self._round_trip

    async def send(self, batch: Sequence[Picked]) -> list[Result]:
        """Retries a batch; the result of each job, in order.

        Raises:
            OutOfReach: what the batch did could not be found out, at least not of every job.
            ForeignQueue: the queue is not BullMQ's own; nothing was written.
            redis.exceptions.ResponseError: Redis refused the batch; its jobs are where they were.
        """
        loop = asyncio.get_running_loop()
        seen: Sequence[Row] | None = None
        deadline, pause = 0.0, 0.1
        while True:
            start = time.perf_counter()
            try:
                answer = await self._writer.retry(
                    self._queue,
                    self._state,
                    batch,
                    reset_attempts_made=self._resets.made,
                    reset_attempts_started=self._resets.started,
                )
            except LOST:
                deadline = deadline or loop.time() + self._patience
                seen = await self._read(batch, deadline)
                if seen is None:
                    raise OutOfReach([Result(one.job_id, Code.UNKNOWN) for one in batch]) from None
                if not any(stands(one, row) for one, row in zip(batch, seen, strict=True)):
                    return judged(batch, seen)
                if self._stopped() or loop.time() >= deadline:
                    raise OutOfReach(_given_up(batch, seen)) from None
                await asyncio.sleep(pause)  # grows: reads pass, and calls are lost again and again
                pause = min(pause * 2, 2.0)
                continue
            self._adapt(answer.seconds, time.perf_counter() - start, len(batch))
            if answer.note and answer.note not in self.notes:
                self.notes.append(answer.note)
            results = list(answer.results)
            if seen is None or any(result.retried for result in results):
                return results
            return _doubted(batch, seen, results)

    async def _read(self, batch: Sequence[Picked], deadline: float) -> list[Row] | None:
        """The jobs as they are after a lost call; None if nobody could be asked for too long."""
        self.reading = True
        loop = asyncio.get_running_loop()
        pause = 0.1
        ids = [one.job_id for one in batch]
        while loop.time() < deadline:
            try:
                rows = await Reader(self._client).rows(self._queue, self._state, ids)
            except LOST:
                await asyncio.sleep(pause)  # grows, so that a dead server is not hammered
                pause = min(pause * 2, 2.0)
                continue
            self.reading = False
            return rows
        return None

    def _adapt(self, seconds: float, elapsed: float, jobs: int) -> None:
        """Fits the next batch to `AIM`, from the time that Redis needed for this one.

        Args:
            seconds: as the server tells, 0 where it can't.
            elapsed: as we saw it, with the round trip and waiting for others in it.
            jobs: in the batch.
        """
        self._round_trip = min(self._round_trip, elapsed)
        self._each.append(max(1e-7, (seconds or elapsed - self._round_trip) / jobs))
        # One that took long may only have waited for its turn; if all did, Redis is slow.
        self.size = max(SMALLEST, min(LARGEST, int(AIM / min(self._each)), self.size * 2))


def stands(one: Picked, row: Row) -> bool:
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
        if result.code in (Code.REFUSED, Code.FAILED_CHILD):
            found.append(result)
        elif stands(one, row):
            gone = result.code is Code.NO_SUCH_JOB
            found.append(Result(one.job_id, Code.UNKNOWN if gone else Code.RETRIED))
        else:
            found.append(_one_judged(one, row))
    return found


def _given_up(batch: Sequence[Picked], seen: Sequence[Row]) -> list[Result]:
    """What is known of a batch whose calls are lost again and again: the last may yet come."""
    return [
        Result(one.job_id, Code.UNKNOWN) if stands(one, row) else _one_judged(one, row)
        for one, row in zip(batch, seen, strict=True)
    ]


def judged(batch: Sequence[Picked], seen: Sequence[Row]) -> list[Result]:
    """What a lost call has done, told from the jobs as they were read after it."""
    return [_one_judged(one, row) for one, row in zip(batch, seen, strict=True)]


def _one_judged(one: Picked, row: Row) -> Result:
    """What a lost call has done with a job that reads like this afterwards."""
    if not one.pinned or row.score == one.score:
        return Result(one.job_id, Code.NO_SUCH_JOB if row.missing else Code.NOT_IN_STATE)
    # Gone: it ran and was removed, or somebody removed it before, or a restart lost it.
    return Result(one.job_id, Code.UNKNOWN if row.missing else Code.RETRIED)
