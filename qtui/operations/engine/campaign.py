"""Executes an action: call by call, snapshot first, a result for every job, no job twice.

                  ┌────────────────── next call ──────────────────┐
    planned ─▶ admitted ─▶ snapshot ─▶ sending ─▶ codes written ──┴─▶ done
                │    ▲      written       │            │
     on hold:   │    │         │          │            ├─ stop asked ─────────▶ stopped
     rate or    │    │         │          │            ├─ the action objects ─▶ stopped
     waiting    │    │         │          │            └─ canary is sent
     side       │    └─────────┼──────────┼─ recovered ◀─ watching ─ failed ──▶ stopped
                │              │          ├─ no writes are taken for too long ▶ stopped
                └─ too slow    └ no room  └─ no answer for too long ──────────▶ lost
                       └──────────┴─────▶ stopped

The steps overlap: jobs are read while others are written to the journal, and those are written
while calls are sent. With a limit on the pace (rate, canary, waiting jobs) the steps take turns.

What is done to a job is in the action (`action`), what a lost call means in `sending`, when a call
may be sent in `pace`, whether others follow the first jobs in `canary`, whether too many of the
latest failed again in `brake`, how long to wait in `patience`, what is written down in `journal`.
If the connection is lost while jobs are read, they are read again. A retry whose process died is
resumed from its journal, see `resuming`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from enum import StrEnum
from functools import partial
from typing import Final, Generic, TypeVar

from qtui.bullmq.codes import Code, ForeignQueue, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin, read_origin
from qtui.bullmq.connection.trouble import LOST, Unable, is_refusal
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.operations.engine.action import JobAction, Load, TakesTurns
from qtui.operations.engine.brake import Brake
from qtui.operations.engine.canary import Canary
from qtui.operations.engine.pace import UNBOUNDED, Pace, Throttle, TooSlow
from qtui.operations.engine.patience import LAST_LOOK, PATIENCE, Patience, Stop
from qtui.operations.engine.prefetch import prefetched
from qtui.operations.engine.sending import Delivery, OutOfReach, Sent
from qtui.operations.journal.reading import JournalError
from qtui.operations.journal.writing import Journal
from qtui.text import first_line

A_co = TypeVar("A_co", bound=JobAction, covariant=True)
T = TypeVar("T")

BATCHES: Final = 8
"""Most calls whose snapshots are written at once: one fsync costs the same for one job as for
many."""

_RECORDED: Final = 1
"""Groups of jobs whose snapshots are written ahead, if nothing limits the pace."""


class Phase(StrEnum):
    """How far a campaign is."""

    PLANNED = "planned"
    RUNNING = "running"
    READING = "reading what a lost batch did"
    CHECKING = "reading again what a lost server took"
    WATCHING = "watching the canary"
    DONE = "done"
    STOPPED = "stopped"
    LOST = "connection lost"


VANISHED: Final = "the queue's keys are gone since (obliterated, or its database flushed)"
"""Why a campaign that has sent jobs finds no more of them."""


def _ignored() -> None:
    """Does nothing: the default for `Campaign.news`."""


class Campaign(Generic[A_co]):
    """Executes one action on many jobs. Run it once, stop it at any time, close it at the end.

    Args:
        client: where to read.
        action: the planned action.
        pace: how fast to send, and when to stop; None for no limits.
        record: opens the journal for snapshots; None for no journal.
        patience: seconds to wait for a server that does not answer or takes no writes.
    """

    def __init__(
        self,
        client: Client,
        action: A_co,
        pace: Pace | None = None,
        *,
        record: Callable[[Campaign[JobAction]], Journal] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.action = action
        self.pace = pace or UNBOUNDED
        self.patience = patience
        self.codes = Counter(action.before)
        self.why = ""
        """Why it stopped, unless on request."""
        self.gave_in = False
        """Whether it stopped since too many of its jobs failed again: it can be resumed."""
        self.refused = False
        """Whether it stopped because Redis refused it, or took no writes for too long."""
        self.journal: Journal | None = None
        self.news: Callable[[], None] = _ignored
        """Called when `phase`, `held` or `trouble` may have changed between two calls."""
        self.origin = Origin()
        """The server that answered last."""
        self.withdrawn = 0
        """Codes 1 that were voided, since the server that gave them lost their effect."""
        self._client = client
        self._phase = Phase.PLANNED
        self._record = record
        self._stop = Stop()
        self._throttle = None if action.queue is None else self._throttle_of(action, action.queue)
        self._brake = self._brake_of(action) if self.pace.brake else None
        self._delivery = Delivery(
            client, patience=patience, stop=self._stop, news=lambda: self.news()
        )
        self._begun = bool(self.codes)
        self._end: Exception | None = None
        """Why nothing more is sent, if so."""
        self._refused_whole = False
        """Whether it ended since the script found no queue of BullMQ's, and wrote nothing."""
        self._answered: deque[Sent] = deque()
        self._canary = Canary(self.pace, self._stop)

    def _throttle_of(self, action: JobAction, queue: QueueKey) -> Throttle:
        return Throttle(
            self._client,
            queue,
            self.pace,
            self._stop,
            news=lambda: self.news(),
            several=action.header().queue != queue.base,
        )

    def _brake_of(self, action: JobAction) -> Brake | None:
        follower = action.follower
        if follower is None:
            return None
        return Brake(follower, self.pace, self._stop, news=lambda: self.news())

    @property
    def phase(self) -> Phase:
        """The current phase."""
        if self._phase is Phase.RUNNING and self._delivery.reading:
            return Phase.READING
        return self._phase

    @property
    def held(self) -> str:
        """Why it is on hold though the server is well; empty while jobs are sent."""
        if self.is_over:
            return ""
        return self.question or ("" if self._throttle is None else self._throttle.held)

    @property
    def question(self) -> str:
        """Why it is on hold until `proceed` or `stop`: too many of its jobs failed again."""
        return "" if self._brake is None or self.is_over else self._brake.held

    def proceed(self) -> None:
        """Continues a campaign that its brake has put on hold."""
        if self._brake is not None:
            self._brake.release()

    def give_in(self) -> None:
        """Stops a campaign that its brake has put on hold; `why` says what the brake said."""
        self.why, self.gave_in = self.why or self.question, True
        self.stop()

    @property
    def trouble(self) -> str:
        """What is wrong with the server while the campaign waits for it; empty while it is well."""
        return "" if self.is_over else self._delivery.trouble

    @property
    def notes(self) -> list[str]:
        """Redis's errors about refused side effects (event, marker), each once."""
        return self._delivery.notes

    @property
    def selected(self) -> int:
        """Number of jobs in the plan."""
        return self.action.selected

    @property
    def decided(self) -> int:
        """Number of jobs with a result."""
        return self.codes.total()

    @property
    def done(self) -> int:
        """Number of jobs with code 1."""
        return self.codes[Code.DONE]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be sent."""
        return self._phase in (Phase.DONE, Phase.STOPPED, Phase.LOST)

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop, by a person or by its canary."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stops the campaign after the jobs whose snapshots are written: a few calls.

        If the server does not answer, it ends within two seconds.
        """
        self._stop.set()

    def heeding_stop(self) -> AbstractAsyncContextManager[None]:
        """Cancels what is awaited in it, such as following, soon after a stop (TimeoutError)."""
        return self._stop.at_most(LAST_LOOK)

    async def run(self) -> AsyncGenerator[Sequence[Result]]:
        """Executes the action, and yields the results call by call.

        Raises:
            JournalError: the journal could not be begun; nothing was sent.
            ForeignQueue: the queue is not BullMQ's own, or gone; nothing was written at all.
            REFUSED: Redis refused a call; its jobs are where they were.
            LOST: the server did not answer before the first call; one that is taken over waits for
                it, as between two calls.
        """
        self._phase = Phase.RUNNING
        finished = False
        try:
            await self._begin()
            async with aclosing(self._calls()) as calls:
                async for results in calls:
                    yield results
            finished = not self._stop.is_set() or self.decided == self.selected
        except OutOfReach as out:
            self._give_up(out)
        except _Objection as reason:
            self.why = str(reason)
        except ForeignQueue as reason:
            self._refused_whole = True
            # It was a BullMQ queue when the first jobs were sent.
            self.why = f"the queue is {reason}" if reason.kind is Kind.PRO else VANISHED
            if not self.done:
                self.why = str(reason)
                raise
        except (JournalError, TooSlow) as reason:
            if isinstance(reason, JournalError) and self.journal is None:
                raise
            self.why = str(reason)
        except LOST as reason:
            if not self._stop.is_set():
                self.why = first_line(str(reason))
                raise
        except Exception as reason:  # whatever ended it is its reason, and goes on up
            self.why, self.refused = first_line(str(reason)), is_refusal(reason)
            raise
        finally:
            while self._answered:  # results that were not yielded any more
                self._settle()
            if self._phase is not Phase.LOST:
                self._phase = Phase.DONE if finished else Phase.STOPPED
            self._write_end()
            await self.action.close()  # last, as it may be cancelled

    async def _begin(self) -> None:
        await self._insist(self._delivery.measure)
        async with self._stop.at_most(LAST_LOOK):
            await self.action.begin()
            found = await read_origin(self._client, self._key)
        if self.journal is None or not self.origin.is_known:
            self.origin = found
        if self._record is not None:
            self.journal = await asyncio.to_thread(self._record, self)

    @property
    def _key(self) -> str:
        """A key of its queue, by which a cluster finds the node."""
        header = self.action.header()
        return QueueKey(header.queue, header.prefix).key("meta")

    def _give_up(self, out: OutOfReach) -> None:
        if self._stop.is_set():
            return  # a stop was requested, and there was no time to find out more
        if out.condition:
            self.why, self.refused = out.condition, True
        else:
            self._phase = Phase.LOST

    async def finish(self, seconds: float) -> None:
        """Reads the outcomes of open jobs once more, for ``seconds`` at most, and closes."""
        try:
            await self.action.conclude(seconds)
        finally:
            self.close()

    def close(self) -> None:
        """Writes the outcomes of the jobs, and closes the journal.

        Open jobs are written as unknown, unless `finish` has read them.
        """
        if self.journal is None:
            return
        try:
            outcomes = self.action.outcomes()
            if outcomes is not None:
                self.journal.outcomes(outcomes)
                self._write_end(self.action.counts())
        except JournalError as reason:
            self.why = self.why or str(reason)
        finally:
            self.journal.close()

    def _write_end(self, outcomes: Mapping[str, int] | None = None) -> None:
        if self.journal is not None:
            try:
                self.journal.end(
                    self._phase.value, self.codes, self.why, outcomes, all_known=self._all_known
                )
            except JournalError as reason:
                self.why = self.why or str(reason)

    @property
    def _all_known(self) -> bool:
        """Whether the jobs without a code were certainly not sent, though it was cut short.

        Not so if a code could not be written, or if the call before was lost.
        """
        return self._refused_whole and self._end is None and not self._delivery.trouble

    # Sending

    async def _calls(self) -> AsyncGenerator[Sequence[Result]]:
        """Sends what is left, and again what a replaced server has lost, until all is done."""
        while True:
            async with aclosing(self._rounds()) as rounds:
                async for results in rounds:
                    yield results
            lost = await self._withdraw()
            if not lost:
                if self.decided < self.selected and await self._insist(self.action.vanished):
                    raise _Objection(VANISHED)
                if self._canary.has_jobs and not self._stop.is_set():  # no other job comes after it
                    await self._judge_canary()
                return
            yield []
            if self._stop.is_set():
                return

    async def _withdraw(self) -> int:
        """Voids the codes 1 that are lost if another server answers than at the start; how many.

        Waits while sentinels replace the master: the old one takes writes until they are done, and
        these writes are lost. The codes are taken back, here and in the journal.
        """
        patience = Patience(self.patience, self._stop)
        while True:
            origin = await self._insist(partial(read_origin, self._client, self._key))
            if (origin.is_settled and origin.is_master) or not await patience.wait():
                break
        if origin.is_same_as(self.origin) or not self.done:
            return 0
        before, self._phase = self._phase, Phase.CHECKING
        self.news()
        lost = await self._insist(self.action.lost)
        self._phase = before
        self.origin = origin
        if self.journal is not None:
            self.journal.withdraw(origin.members(), lost)
        self.action.withdraw(lost)
        self.codes[Code.DONE] -= len(lost)
        self.withdrawn += len(lost)
        return len(lost)

    async def _rounds(self) -> AsyncGenerator[Sequence[Result]]:
        """First the doubtful jobs, then the others, until all have a result or it is stopped.

        The snapshots of the next jobs are written while calls are sent, and each call is sent while
        the results of the one before are written.
        """
        while (known := await self._insist(self.action.judge_doubtful)) is not None:
            self._count(known)
            self._write_codes(known)
            yield known
            self._check_end()
        recorded = prefetched(self._recorded(), self._runs_ahead, most=_RECORDED)
        async with aclosing(recorded) as groups:
            async for group in groups:
                async with aclosing(prefetched(self._delivered(group))) as calls:
                    async for _ in calls:
                        yield self._settle()
                self._check_end()

    def _check_end(self) -> None:
        if self._end is not None:
            raise self._end

    def _runs_ahead(self) -> bool:
        """Whether it is certain by now that the next jobs will be sent as well."""
        if self._canary.is_open or self._throttle is None or self._stop.is_set():
            return False
        return self.pace.is_free

    async def _recorded(self) -> AsyncGenerator[Load]:
        """Yields jobs in groups that the pace admits, with snapshots on disk; all will be sent."""
        while (rest := await self._insist(self.action.next)) is not None:
            while rest is not None and len(rest):
                room = await self._admitted(rest)
                if self._stop.is_set():
                    return
                if not room:
                    break  # the jobs were put back
                group, rest = rest.cut(room)
                group.take()
                if self.journal is not None:
                    snapshot = partial(group.snapshot, self.journal.texts)
                    await self._write_snapshot(self.journal, await self._insist(snapshot))
                self._begun = True
                yield group

    @staticmethod
    async def _write_snapshot(journal: Journal, lines: bytes) -> None:
        """Returns when it is on disk, even if cancelled, since the thread can't be cancelled."""
        writing = asyncio.ensure_future(asyncio.to_thread(journal.snapshots, lines))
        try:
            await asyncio.shield(writing)
        finally:
            await asyncio.wait([writing])
            writing.exception()  # retrieved here, since a cancelled caller does not

    async def _admitted(self, jobs: Load) -> int:
        """Waits until the pace admits some of the jobs, and returns how many.

        0 if it was stopped, or if the jobs were put back, as another queue has room for its own.
        """
        if self._throttle is None:
            return len(jobs)
        wanted = min(BATCHES * self._delivery.size.jobs, len(jobs))
        if self._canary.is_open and not self._canary.room:
            await self._judge_canary()
            if self.why:
                self.stop()
        if self._canary.is_open:
            wanted = min(wanted, self._canary.room)
        elif self._brake is not None:
            await self._insist(self._brake.check)
        # Of several queues, that of these jobs.
        self._throttle.queue = self.action.queue or self._throttle.queue
        while not (room := await self._insist(partial(self._throttle.admit, wanted))):
            if self._stop.is_set() or await self._put_back(jobs, self._throttle):
                break
        return room

    async def _put_back(self, jobs: Load, throttle: Throttle) -> bool:
        """Whether it is another queue's turn, since too many jobs wait in that of these jobs."""
        if not isinstance(self.action, TakesTurns):
            return False
        turn = await self._insist(partial(throttle.with_room, self.action.others()))
        if turn is not None:
            self.action.put_back(jobs, turn)
        return turn is not None

    async def _delivered(self, group: Load) -> AsyncGenerator[None]:
        """Sends call after call, and queues the results of each, also of one that met trouble."""
        rest: Load | None = group
        while rest is not None and self._end is None:
            call, rest = rest.cut(self._delivery.size.share(len(rest)))
            left: Load | None = call
            while left is not None and self._end is None:
                try:
                    sent = await self._delivery.send(left)
                except OutOfReach as out:
                    self._end = out
                    if out.sent is None:
                        return
                    sent = out.sent
                if objection := sent.load.objection(sent.results):
                    self._end = self._end or _Objection(objection)
                left = sent.left
                self._answered.append(sent)
                yield

    def _settle(self) -> Sequence[Result]:
        """Counts and writes the results of one call."""
        sent = self._answered.popleft()
        results = sent.load.settle(sent.results)
        self._count(results)
        self._write_codes(results)
        return results

    def _count(self, results: Sequence[Result]) -> None:
        """Counts the results of a call."""
        others = [one.code for one in results if one.code is not Code.DONE]
        self.codes.update(others)
        if len(others) < len(results):
            self.codes[Code.DONE] += len(results) - len(others)
        self._canary.take(results)

    def _write_codes(self, results: Sequence[Result]) -> None:
        if self.journal is not None:
            try:
                self.journal.codes(results)  # waits for no disk: sooner done than by a thread
            except JournalError as reason:  # the results are yielded all the same
                self._end = self._end or reason

    async def _judge_canary(self) -> None:
        """Watches the canary, and sets `why` if too many of its jobs may have failed again."""
        self._phase = Phase.WATCHING
        self.why = await self._canary.judge(self.action.follower) or self.why
        self._phase = Phase.RUNNING

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeats a read, or what an action prepares, until the server is out of trouble.

        Raises:
            OutOfReach: the trouble lasted too long, or a stop was requested.
            LOST: the server has not answered once since the start.
        """
        if not self._begun:
            try:
                async with self._stop.at_most(LAST_LOOK):
                    return await work()
            except Unable:  # it answers
                pass
        return await self._delivery.insist(work)


class _Objection(Exception):
    """The action objects to sending any more."""
