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

The steps overlap: the next jobs are read while others are written down, and these while batches are
sent; whatever bounds the pace (a rate, a canary, the waiting side) makes each wait for its turn.

Which jobs come is told in `supply`, what a lost call means in `delivery`, when a batch may go in
`pace`, what became of the jobs in `follow`, what is written down in `journal`. A lost connection
while jobs are read only costs time: they are read again. A campaign whose process died goes on from
its journal, see `record`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.writer import Writer
from qtui.retry.ahead import ahead
from qtui.retry.delivery import LOST, Delivery, OutOfReach
from qtui.retry.evidence import Page
from qtui.retry.follow import Follower
from qtui.retry.journal import Journal
from qtui.retry.journal_reading import JournalError
from qtui.retry.pace import Pace, Throttle, TooSlow, is_hopeless, verdict_on
from qtui.retry.plan import Plan, Resets
from qtui.retry.supply import Before, Supply

T = TypeVar("T")

BATCHES: Final = 8
"""Batches whose evidence is written at once at most: to wait for the disk costs one job as much."""

_RECORDED: Final = 1
"""Groups of jobs whose evidence is on disk before they are sent, where nothing holds them."""

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


def _ignored() -> None:
    """For a campaign that nobody watches."""


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
        self.follower.leave_out(self.retried)
        self._phase = Phase.PLANNED
        self._client = client
        self._patience = patience
        self._record = record
        self._stopping = asyncio.Event()
        self.news: Callable[[], None] = _ignored
        """Called when `held` may have changed between two calls."""
        self._throttle = Throttle(
            client, plan.queue, self.pace, self._stopping, news=lambda: self.news()
        )
        self._delivery = Delivery(
            client,
            writer,
            plan.queue,
            plan.state,
            resets,
            patience=patience,
            stopped=self._stopping.is_set,
        )
        self._supply = Supply(client, plan.selection, before, plan.kin)
        self._begun = bool(self.codes)
        self._trouble: Exception | None = None
        self._answered: deque[tuple[list[Result], list[str], list[float | None]]] = deque()
        self._canary: list[str] | None = [] if self.pace.canary else None
        """The jobs that went first, until they are judged."""

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
        """Ends the campaign after the jobs that are written down to be sent: some batches."""
        self._stopping.set()

    async def run(self) -> AsyncGenerator[list[Result]]:
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
            while self._answered:  # nobody asked for them any more
                self._settle()
            if self._phase is not Phase.LOST:
                self._phase = Phase.DONE if finished else Phase.STOPPED
            self._write_end()
            await self._supply.close()  # last, as it may be cancelled

    async def finish(self, seconds: float) -> None:
        """Reads once more what became of the open jobs, for some seconds at most, and closes."""
        try:
            if self.follower.looked:
                await self.follower.conclude(seconds)
        finally:
            self.close()

    def close(self) -> None:
        """Writes down what became of the jobs, and closes the journal.

        Jobs that were open are written down as unknown, unless `Follower.conclude` has read them.
        """
        if self.journal is None:
            return
        try:
            if self.follower.looked:
                self.journal.outcomes(self.follower.outcomes.final())
                self._write_end(self.follower.final().counts())
        except JournalError as reason:
            self.why = self.why or str(reason)
        finally:
            self.journal.close()

    def _write_end(self, outcomes: Mapping[str, int] | None = None) -> None:
        if self.journal is not None:
            try:
                self.journal.end(self._phase.value, self.codes, self.why, outcomes)
            except JournalError as reason:
                self.why = self.why or str(reason)

    # Sending

    async def _batches(self) -> AsyncGenerator[list[Result]]:
        """First what is in doubt, then what is left, until all is told or somebody stops it.

        The evidence of the next jobs is written while batches are sent, and each batch is sent
        while what came of the one before is written down.
        """
        while (known := await self._insist(self._supply.judge_doubtful)) is not None:
            self._answered.append((known, [], []))
            yield self._settle()
            if self._trouble is not None:
                raise self._trouble
        recorded = ahead(self._recorded(), self._runs_ahead, most=_RECORDED)
        async with aclosing(recorded) as groups:
            async for group in groups:
                async with aclosing(ahead(self._delivered(group))) as batches:
                    async for _ in batches:
                        yield self._settle()
                if self._trouble is not None:
                    raise self._trouble

    def _runs_ahead(self) -> bool:
        """Whether it is known now that the next jobs will be sent as well."""
        return self._canary is None and self._throttle.is_free and not self._stopping.is_set()

    async def _recorded(self) -> AsyncGenerator[Page]:
        """The jobs, in groups that the pace admits, whose evidence is on disk; all will be sent."""
        while (page := await self._insist(self._supply.page)) is not None:
            while page:
                room = await self._admitted(len(page))
                if self._stopping.is_set():
                    return
                group, page = page[:room], page[room:]
                self._supply.take(group.picks)
                if self.journal is not None:
                    await self._write_evidence(self.journal, await group.lines())
                self._begun = True
                yield group

    @staticmethod
    async def _write_evidence(journal: Journal, lines: bytes) -> None:
        """Returns when it is on disk; who is cancelled waits for that too, as a thread goes on."""
        writing = asyncio.ensure_future(asyncio.to_thread(journal.evidence, lines))
        try:
            await asyncio.shield(writing)
        finally:
            await asyncio.wait([writing])

    async def _admitted(self, jobs: int) -> int:
        """Waits until the pace lets some of these jobs go; how many, 0 if it was stopped."""
        wanted = min(BATCHES * self._delivery.size, jobs)
        if self._canary is not None and len(self._canary) >= self.pace.canary:
            await self._judge_canary(self._canary)
            self._canary = None
        if self._canary is not None:
            wanted = min(wanted, self.pace.canary - len(self._canary))
        while not (room := await self._insist(partial(self._throttle.admit, wanted))):
            if self._stopping.is_set():
                break
        return room

    async def _delivered(self, group: Page) -> AsyncGenerator[None]:
        """Sends batch after batch, and puts down what came of each; the last may meet trouble."""
        done = 0
        while done < len(group) and self._trouble is None:
            batch = group[done : done + self._delivery.size]
            done += len(batch)
            try:
                results = await self._delivery.send(batch.picks)
            except OutOfReach as out:
                self._trouble, results = out, out.results
            pins = [one.score for one in batch.picks]
            self._answered.append((results, batch.errors(), pins))
            yield

    def _settle(self) -> list[Result]:
        """Counts and writes down what came of one batch."""
        results, errors, pins = self._answered.popleft()
        self._count(results, errors, pins)
        try:
            self._write_codes(results)
        except JournalError as reason:  # they are told all the same
            self._trouble = self._trouble or reason
        return results

    def _count(
        self, results: Sequence[Result], errors: Sequence[str], pins: Sequence[float | None]
    ) -> None:
        """Takes the results of a batch, and the errors and scores that its jobs had before."""
        others = [one.code for one in results if one.code is not Code.RETRIED]
        self.codes.update(others)
        if len(others) < len(results):
            self.codes[Code.RETRIED] += len(results) - len(others)
        if self._canary is not None:
            self._canary += [one.job_id for one in results if one.retried]
        self.follower.add(results, errors, pins)

    def _write_codes(self, results: Sequence[Result]) -> None:
        if self.journal is not None:
            self.journal.codes(results)  # waits for no disk: sooner done than given to a thread

    async def _judge_canary(self, ids: Sequence[str]) -> None:
        """Watches the canary, and stops if too many of it may have failed again."""
        pace, follower = self.pace, self.follower
        self._phase = Phase.WATCHING

        def settled() -> bool:
            return self._stopping.is_set() or is_hopeless(follower.tally(ids), pace)

        await follower.settle(pace.canary_seconds, settled, ids)
        self._phase = Phase.RUNNING
        if not self._stopping.is_set():
            tally = follower.final(ids)
            self.why = verdict_on(tally, pace, mute=follower.mute, blind=follower.blind)
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
                if not self._begun:
                    raise
                deadline = deadline or loop.time() + self._patience
                if loop.time() >= deadline or self._stopping.is_set():
                    raise OutOfReach([]) from None
                await self._throttle.wait(pause)  # grows, so that a dead server is not hammered
                pause = min(pause * 2, 2.0)
