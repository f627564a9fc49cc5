"""Carries a plan out: batch by batch, evidence first, a result for every job, no job twice.

                  ┌───────────────── next batch ──────────────────┐
    planned ─▶ admitted ─▶ evidence ─▶ sending ─▶ codes written ──┴─▶ done
                │    ▲      written       │            │
     held: rate │    │         │          │            ├─ stop asked ─────────▶ stopped
     or waiting │    │         │          │            └─ canary is sent
     side       │    └─────────┼──────────┼─ recovered ◀─ watching ─ failed ──▶ stopped
                │              │          │
                └─ too slow    └ no room  └─ nobody answers for too long ─▶ lost
                       └──────────┴─────▶ stopped

What a lost call means is told in `delivery`, when a batch may go in `pace`, what became of the jobs
in `follow`, what is written down in `journal`. A lost connection while jobs are read only costs
time: they are read again. A campaign whose process died goes on from its journal, see `resume`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.reader import Reader
from qtui.bullmq.steps import Met
from qtui.bullmq.writer import Picked, Writer
from qtui.retry.delivery import LOST, Delivery, OutOfReach, judged, stands
from qtui.retry.follow import Follower
from qtui.retry.journal import Journal
from qtui.retry.journal_lines import Evidence
from qtui.retry.journal_reading import JournalError
from qtui.retry.journal_tally import Ids
from qtui.retry.pace import Pace, Throttle, TooSlow, verdict_on
from qtui.retry.plan import Plan, Resets
from qtui.retry.selection import CHUNK, Chosen, Query, Selection, evidence

T = TypeVar("T")

BATCHES: Final = 8
"""Batches whose evidence is written at once: to wait for the disk takes as long for one job."""

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


class Before(NamedTuple):
    """What a campaign did in the process that began it."""

    sent: Ids
    """Ids that are not to be sent again."""
    doubtful: Sequence[Picked]
    """Jobs that may have been sent: they are read before anything else is done."""
    codes: Counter[Code]
    """The codes of the others."""


class _Item(NamedTuple):
    """A job on its way."""

    pick: Picked
    fields: Mapping[str, str | None]
    """What its retry wipes."""


class Campaign:
    """One retry of many jobs. Run it once; ask it to stop at any time; close it in the end.

    Args:
        client: where to read.
        writer: retries the jobs.
        plan: the jobs: chosen ones, each pinned to the finish at which it was seen, or a query.
        resets: which counters are deleted.
        pace: how fast, and when to stop by itself.
        record: opens the journal that evidence is written to; None for none.
        before: what another process has done of it already.
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
        record: Callable[[Campaign], Journal] | None = None,
        before: Before | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.plan = plan
        self.resets = resets
        self.pace = pace or Pace()
        self.codes = Counter(before.codes) if before is not None else Counter[Code]()
        self.why = ""
        """Why it stopped, if nobody asked it to."""
        self.journal: Journal | None = None
        self.follower = Follower(client, plan.queue, plan.state)
        """What becomes of the jobs that it retries."""
        self._phase = Phase.PLANNED
        self._client = client
        self._patience = patience
        self._record = record
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
        self._before = before
        self._sent: set[int] = set()
        """Hashes of the ids that were sent: a clock that lags must not bring one back."""
        self._canary: list[str] | None = [] if self.pace.canary else None
        """The jobs that went first, until they are judged."""
        chosen = plan.selection.jobs if isinstance(plan.selection, Chosen) else ()
        self._pins = {one.job_id: one for one in chosen}

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
    def is_over(self) -> bool:
        """Whether nothing more will be sent."""
        return self._phase in (Phase.DONE, Phase.STOPPED, Phase.LOST)

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop, by somebody or by its canary."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ends the campaign after the batch that is under way."""
        self._stopping.set()

    async def run(self) -> AsyncIterator[list[Result]]:
        """Retries the plan's jobs, oldest first, and yields the results batch by batch.

        Raises:
            JournalError: the record could not be begun; nothing was sent.
            ForeignQueue: the queue is not BullMQ's own; nothing was written.
            redis.exceptions.ResponseError: Redis refused a batch; its jobs are where they were.
            redis.exceptions.ConnectionError, TimeoutError: nobody answered before the first batch.
        """
        self._phase = Phase.RUNNING
        finished = False
        try:
            await self._delivery.measure()
            await self.follower.begin()
            if self._record is not None:
                self.journal = await asyncio.to_thread(self._record, self)
            async with aclosing(self._batches()) as batches:
                async for results in batches:
                    yield results
            finished = not self._stopping.is_set()
        except OutOfReach:
            self._phase = Phase.LOST
        except (JournalError, TooSlow) as reason:
            if isinstance(reason, JournalError) and self.journal is None:
                raise
            self.why = str(reason)
        finally:
            if self._phase is not Phase.LOST:
                self._phase = Phase.DONE if finished else Phase.STOPPED
            self._write_end()

    def close(self) -> None:
        """Writes down what became of the jobs so far, and lets go of the journal."""
        if self.journal is None:
            return
        try:
            final = {
                job_id: one for job_id, one in self.follower.outcomes.items() if one.fate.is_final
            }
            if final:
                self.journal.outcomes(final)
                self._write_end()
        except JournalError as reason:
            self.why = self.why or str(reason)
        finally:
            self.journal.close()

    def _write_end(self) -> None:
        if self.journal is not None:
            try:
                self.journal.end(self._phase.value, self.codes, self.why)
            except JournalError as reason:
                self.why = self.why or str(reason)

    # Sending

    async def _batches(self) -> AsyncGenerator[list[Result]]:
        """First what is in doubt, then what is left, until all is told or somebody stops it."""
        doubtful = self._before.doubtful if self._before is not None else ()
        for start in range(0, len(doubtful), CHUNK):
            some = doubtful[start : start + CHUNK]
            known, items = await self._insist(partial(self._look_up, some))
            self._count([], known)
            yield known
            self._write_codes(known)
            async for results in self._carry_out(items):
                yield results
        async with aclosing(self._items()) as steps:
            async for items in steps:
                async for results in self._carry_out(items):
                    yield results
                if self._stopping.is_set():
                    return

    async def _carry_out(self, items: Sequence[_Item]) -> AsyncIterator[list[Result]]:
        """Sends jobs in batches that fit the pace."""
        done = 0
        while done < len(items):
            if self._canary is not None and len(self._canary) >= self.pace.canary:
                await self._judge_canary(self._canary)
                self._canary = None
            wanted = min(BATCHES * self._delivery.size, len(items) - done)
            if self._canary is not None:
                wanted = min(wanted, self.pace.canary - len(self._canary))
            room = await self._insist(partial(self._throttle.admit, wanted))
            if self._stopping.is_set():
                return
            async for results in self._send(items[done : done + room]):
                yield results
            done += room

    async def _send(self, items: Sequence[_Item]) -> AsyncIterator[list[Result]]:
        """Sends jobs that may go: their evidence is on disk at once, then they go in batches."""
        if self.journal is not None:
            found = [Evidence(one.pick.job_id, one.pick.score, one.fields) for one in items]
            await asyncio.to_thread(self.journal.evidence, found)
        done = 0
        while done < len(items):
            batch = items[done : done + self._delivery.size]
            done += len(batch)
            after: Exception | None = None
            try:
                results = await self._delivery.send([one.pick for one in batch])
            except OutOfReach as out:
                results, after = out.results, out
            self._count(batch, results)
            try:
                self._write_codes(results)
            except JournalError as reason:  # they are told all the same
                after = after or reason
            yield results
            if after is not None:
                raise after

    def _count(self, batch: Sequence[_Item], results: Sequence[Result]) -> None:
        self.codes.update(result.code for result in results)
        self._sent.update(hash(result.job_id) for result in results)
        retried = [result.job_id for result in results if result.retried]
        if self._canary is not None:
            self._canary += retried
        self.follower.add(
            results, {one.pick.job_id: one.fields.get("failedReason") or "" for one in batch}
        )

    def _write_codes(self, results: Sequence[Result]) -> None:
        if self.journal is not None:
            self.journal.codes(results)  # waits for no disk: sooner done than given to a thread

    async def _judge_canary(self, ids: Sequence[str]) -> None:
        """Waits until the canary's jobs are decided, and stops if too many failed again."""
        pace, follower = self.pace, self.follower
        self._phase = Phase.WATCHING

        def settled() -> bool:
            failed = follower.tally(ids).failed_again
            return self._stopping.is_set() or failed > len(ids) * pace.max_refail / 100

        tally = await follower.settle(pace.canary_seconds, settled, ids)
        self._phase = Phase.RUNNING
        if not self._stopping.is_set():
            self.why = verdict_on(tally, pace)
            if self.why:
                self.stop()

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

    async def _items(self) -> AsyncGenerator[list[_Item]]:
        """The jobs of the plan that were not sent yet, each once, oldest first."""
        while True:
            try:
                async with aclosing(evidence(self._client, self._left())) as steps:
                    async for some in steps:
                        yield [item for item in map(self._item, some) if item is not None]
                return
            except LOST:
                await self._insist(self._delivery.measure)

    def _item(self, seen: Met) -> _Item | None:
        """A chosen job pinned as it was chosen, one of a query as it is now; None to pass it."""
        if self._was_sent(seen.id):
            return None
        if self._pins:
            return _Item(self._pins[seen.id], seen.fields)
        # One without a score has left the state while it was read.
        return None if seen.score is None else _Item(Picked(seen.id, seen.score), seen.fields)

    def _was_sent(self, job_id: str) -> bool:
        if hash(job_id) in self._sent:
            return True
        return self._before is not None and job_id in self._before.sent

    def _left(self) -> Selection:
        """The plan's jobs, without those that were sent, so far as they are known one by one."""
        selection = self.plan.selection
        if isinstance(selection, Query):
            return selection
        left = tuple(one for one in selection.jobs if not self._was_sent(one.job_id))
        return replace(selection, jobs=left)

    async def _look_up(self, picks: Sequence[Picked]) -> tuple[list[Result], list[_Item]]:
        """What became of jobs that may have been sent, and those of them that were not retried."""
        queue, state = self.plan.queue, self.plan.state
        seen = await Reader(self._client).rows(queue, state, [one.job_id for one in picks])
        pairs = list(zip(picks, seen, strict=True))
        gone = [pair for pair in pairs if not stands(*pair)]
        pins = {pick.job_id: pick for pick, row in pairs if stands(pick, row)}
        steps = evidence(self._client, Chosen(queue, state, tuple(pins.values())))
        items = [_Item(pins[one.id], one.fields) async for step in steps for one in step]
        return judged([pick for pick, _ in gone], [row for _, row in gone]), items
