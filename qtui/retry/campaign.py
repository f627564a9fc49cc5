"""Carries a plan out: batch by batch, evidence first, a result for every job, no job twice.

                    ┌──────────────── next batch ────────────────┐
    planned ──▶ admitted ──▶ evidence ──▶ sending ──▶ results ───┴──▶ done
                  │   ▲      written        │            │
        held: rate,   │         │           │            ├─ stop asked ───────▶ stopped
        waiting side, │         │           │            └─ canary sent
        latency       │         │           │                   │
                  │   └─────────┼───────────┼──── recovered ◀─ watching ─ failed ▶ stopped
                  │             │           │
                  └─ too slow   └ no journal└─ out of reach for too long ──▶ lost
                         └──────────┴─────▶ stopped

What a lost call means is told in `delivery`, when a batch may go in `pace`, what became of the jobs
in `follow`. A lost connection while jobs are read only costs time: they are read again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.writer import Picked, Writer
from qtui.retry.delivery import LOST, Delivery, OutOfReach
from qtui.retry.pace import Pace, Throttle, TooSlow
from qtui.retry.plan import Plan, Resets
from qtui.retry.selection import Candidate, Chosen, Query, Selection, candidates

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds for which a campaign waits for a server that does not answer."""


class Phase(StrEnum):
    """How far a campaign is."""

    PLANNED = "planned"
    RUNNING = "running"
    READING = "reading what a lost batch did"
    WATCHING = "watching the canary"
    DONE = "done"
    STOPPED = "stopped"
    LOST = "connection lost"


class Campaign:
    """One retry of many jobs. Run it once; ask it to stop at any time.

    Args:
        client: where to read.
        writer: retries the jobs.
        plan: the jobs: chosen ones, each pinned to the finish at which it was seen, or a query.
        resets: which counters are deleted.
        pace: how fast, and when to stop by itself.
        patience: seconds for which it waits for a server that does not answer.
    """

    def __init__(
        self,
        client: Client,
        writer: Writer,
        plan: Plan,
        resets: Resets,
        pace: Pace | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.plan = plan
        self.resets = resets
        self.pace = pace or Pace()
        self.codes: Counter[Code] = Counter()
        self.why = ""
        """Why it stopped, if nobody asked it to."""
        self._phase = Phase.PLANNED
        self._client = client
        self._patience = patience
        self._stopping = asyncio.Event()
        self._throttle = Throttle(client, plan.queue, self.pace, self._stopping)
        self._delivery = Delivery(
            client,
            writer,
            plan.queue,
            plan.state,
            resets,
            patience=patience,
            stopped=self._stopping.is_set,
        )
        self._sent: set[int] = set()
        """Hashes of the ids that were sent: a clock that lags must not bring one back."""
        self._pins = (
            {one.job_id: one for one in plan.selection.jobs}
            if isinstance(plan.selection, Chosen)
            else {}
        )

    @property
    def phase(self) -> Phase:
        """How far it is."""
        if self._phase is Phase.RUNNING and self._delivery.reading:
            return Phase.READING
        return self._phase

    @property
    def held(self) -> str:
        """Why nothing is sent just now; empty while all goes on."""
        return self._throttle.held

    @property
    def notes(self) -> list[str]:
        """Redis's words where a side effect (event, marker) was refused; each once."""
        return self._delivery.notes

    @property
    def selected(self) -> int:
        """Jobs in the plan."""
        return self.plan.jobs

    @property
    def decided(self) -> int:
        """Jobs that have their result."""
        return self.codes.total()

    @property
    def retried(self) -> int:
        """Jobs that were put back to the waiting side."""
        return self.codes[Code.RETRIED]

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has asked it to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ends the campaign after the batch that is under way."""
        self._stopping.set()

    async def run(self) -> AsyncIterator[list[Result]]:
        """Retries the plan's jobs, oldest first, and yields the results batch by batch.

        Raises:
            ForeignQueue: the queue is not BullMQ's own; nothing was written.
            redis.exceptions.ResponseError: Redis refused a batch; its jobs are where they were.
            redis.exceptions.ConnectionError, TimeoutError: nobody answered before the first batch.
        """
        self._phase = Phase.RUNNING
        finished = False
        try:
            await self._delivery.measure()
            async for some in self._read():
                async for results in self._carry_out(self._picks(some)):
                    yield results
                if self._stopping.is_set():
                    break
            else:
                finished = True
        except OutOfReach:
            self._phase = Phase.LOST
        except TooSlow as reason:
            self.why = str(reason)
        finally:
            if self._phase is not Phase.LOST:
                self._phase = Phase.DONE if finished else Phase.STOPPED

    async def _carry_out(self, jobs: Sequence[Picked]) -> AsyncIterator[list[Result]]:
        """Sends jobs in batches that fit the pace."""
        done = 0
        while done < len(jobs):
            room = await self._insist(partial(self._throttle.admit, self._delivery.size))
            if self._stopping.is_set():
                return
            batch = jobs[done : done + room]
            try:
                results = await self._delivery.send(batch)
            except OutOfReach as lost:
                self._count(lost.results)
                yield lost.results
                raise
            done += len(batch)
            self._count(results)
            yield results

    def _count(self, results: Sequence[Result]) -> None:
        self.codes.update(result.code for result in results)
        self._sent.update(hash(result.job_id) for result in results)

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does some reading, again and again while the connection is lost.

        Raises:
            OutOfReach: the server does not answer for too long, or somebody wants it to end.
            redis.exceptions.ConnectionError, TimeoutError: it never answered at all.
        """
        loop = asyncio.get_running_loop()
        deadline, pause = 0.0, 0.1
        while True:
            try:
                return await work()
            except LOST:
                if not self.decided:
                    raise
                deadline = deadline or loop.time() + self._patience
                if loop.time() >= deadline or self._stopping.is_set():
                    raise OutOfReach([]) from None
                await self._throttle.wait(pause)  # grows, so that a dead server is not hammered
                pause = min(pause * 2, 2.0)

    # Reading

    async def _read(self) -> AsyncIterator[list[Candidate]]:
        """The jobs of the plan that were not sent yet, each once, oldest first."""
        while True:
            steps = candidates(self._client, self._left(), rate=0)
            lost = False
            while not lost:
                try:
                    some = await anext(steps)
                except StopAsyncIteration:
                    return
                except LOST:
                    await self._insist(self._delivery.measure)
                    lost = True
                else:
                    yield [one for one in some if hash(one.row.id) not in self._sent]

    def _left(self) -> Selection:
        """The plan's jobs, without those that were sent, so far as they are known one by one."""
        selection = self.plan.selection
        if isinstance(selection, Query):
            return selection
        left = (one for one in selection.jobs if hash(one.job_id) not in self._sent)
        return replace(selection, jobs=tuple(left))

    def _picks(self, some: Sequence[Candidate]) -> list[Picked]:
        """What is sent for each: a chosen job pinned as it was chosen, of a query as it is now."""
        if self._pins:
            return [self._pins[one.row.id] for one in some]
        # One without a score has left the state while it was read.
        return [Picked(one.row.id, one.row.score) for one in some if one.row.score is not None]
