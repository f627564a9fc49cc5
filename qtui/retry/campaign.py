"""Carries a plan out: batch by batch, a result for every job, and never one job twice.

              ┌───────────── next batch ─────────────┐
    planned ──▶ sending ── reply ──▶ results ─────────┴──▶ done
                  │  ▲                   └── stop asked ──▶ stopped
          no reply│  │still where it was
                  ▼  │
               reading ── out of reach for too long ──▶ lost

A reply that does not come says nothing of what the batch did. So the jobs are read before anything
else happens: one that still stands in its state at the score of the plan was not retried and is
sent again; one that has left was retried. Sending again is safe even if the lost call is carried
out late, because each job is pinned to one finish.
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
from qtui.bullmq.reader import Reader
from qtui.bullmq.writer import Picked, Writer
from qtui.retry.plan import Plan, Resets

LARGEST: Final = 200
SMALLEST: Final = 10
AIM: Final = 0.002
"""Seconds for which one call should keep Redis busy."""

PATIENCE: Final = 30.0
"""Seconds for which a campaign tries to read what a lost batch did."""


class Phase(StrEnum):
    """How far a campaign is."""

    PLANNED = "planned"
    RUNNING = "running"
    READING = "reading what a lost batch did"
    DONE = "done"
    STOPPED = "stopped"
    LOST = "connection lost"


class Campaign:
    """One retry of many jobs. Run it once; ask it to stop at any time."""

    def __init__(self, client: Client, writer: Writer, plan: Plan, resets: Resets) -> None:
        self.plan = plan
        self.resets = resets
        self.phase = Phase.PLANNED
        self.codes: Counter[Code] = Counter()
        self.notes: list[str] = []
        """Redis's words where a side effect (event, marker) was refused; each once."""
        self._client = client
        self._reader = Reader(client)
        self._writer = writer
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
        """
        self.phase = Phase.RUNNING
        self._round_trip = await self._measure()
        picked = self.plan.picked
        done = 0
        while done < len(picked) and not self._stop and self.phase is Phase.RUNNING:
            batch = picked[done : done + self._size]
            results = await self._send(batch)
            done += len(batch)
            self.codes.update(result.code for result in results)
            yield results
        if self.phase is Phase.RUNNING:
            self.phase = Phase.DONE if done == len(picked) else Phase.STOPPED

    async def _measure(self) -> float:
        start = time.perf_counter()
        await self._client.ping()
        return time.perf_counter() - start

    async def _send(self, batch: Sequence[Picked]) -> list[Result]:
        """The results of one batch, whatever happens to the connection."""
        left, results = list(batch), dict[str, Result]()
        doubt = False
        while left:
            start = time.perf_counter()
            try:
                answer = await self._writer.retry(
                    self.plan.queue,
                    self.plan.state,
                    left,
                    reset_attempts_made=self.resets.made,
                    reset_attempts_started=self.resets.started,
                )
            except (LostConnection, LateReply, OSError):
                doubt = True
                remaining = await self._still_there(left)
                if remaining is None:
                    self.phase = Phase.LOST
                    results.update((one.job_id, Result(one.job_id, Code.UNKNOWN)) for one in left)
                    break
                there = set(remaining)
                results.update(
                    (one.job_id, Result(one.job_id, Code.RETRIED))
                    for one in left
                    if one not in there
                )
                left = remaining
                continue
            self._adapt(time.perf_counter() - start, len(left))
            if answer.note and answer.note not in self.notes:
                self.notes.append(answer.note)
            for one, result in zip(left, answer.results, strict=True):
                # The lost call came through after all, between the reading and this one.
                late = doubt and one.score is not None and result.code is Code.NOT_IN_STATE
                results[one.job_id] = Result(one.job_id, Code.RETRIED) if late else result
            left = []
        return [results[one.job_id] for one in batch]

    async def _still_there(self, batch: Sequence[Picked]) -> list[Picked] | None:
        """The jobs that a lost call has not moved; None if nobody could be asked for too long.

        Jobs that were never in the state (-1, -3) are counted as still there: sent again, they get
        the same code.
        """
        self.phase = Phase.READING
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + PATIENCE, 0.1
        while loop.time() < deadline:
            try:
                ids = [one.job_id for one in batch]
                rows = await self._reader.rows(self.plan.queue, self.plan.state, ids)
            except (LostConnection, LateReply, OSError):
                await asyncio.sleep(pause)  # grows, so that a dead server is not hammered
                pause = min(pause * 2, 2.0)
                continue
            self.phase = Phase.RUNNING
            return [
                one
                for one, row in zip(batch, rows, strict=True)
                if one.score is None or row.score == one.score
            ]
        return None

    def _adapt(self, elapsed: float, jobs: int) -> None:
        """Fits the next batch to `AIM`, from the time that this one took beyond a round trip."""
        self._round_trip = min(self._round_trip, elapsed)
        each = max(1e-7, (elapsed - self._round_trip) / jobs)
        self._size = max(SMALLEST, min(LARGEST, int(AIM / each), self._size * 2))
