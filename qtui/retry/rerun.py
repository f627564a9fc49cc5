"""Carries the rerun of a flow out: ancestors are parked first, the jobs that run first come last.

A flow of up to `WHOLE` jobs goes in one atomic step. A larger one goes in several, in this order,
so that whenever it is cut off the flow waits, and the same rerun, planned anew, does the rest.

A reply that does not come says nothing of what the call did. Then the jobs are read: the call is
atomic, so while one that it releases stands where it was, it has done nothing yet and is sent
again. Parking twice does no harm, and each job is pinned to the finish at which it was seen, so
that no call can release it a second time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as LateReply

from qtui.bullmq.codes import Code, ForeignQueue, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.flow import Name, read_nodes
from qtui.bullmq.flow_writer import FlowWriter, Parked, Released
from qtui.bullmq.writer import Batch
from qtui.retry.journal import Journal
from qtui.retry.journal_lines import evidence_lines
from qtui.retry.journal_reading import JournalError
from qtui.retry.outcome import Outcome
from qtui.retry.plan import Resets
from qtui.retry.rerun_plan import RerunPlan
from qtui.retry.rerun_record import read_evidence

WHOLE: Final = 500
"""Jobs and children of which one call may keep Redis busy, for some 15 ms, so as to be atomic."""

PIECE: Final = 100
"""Jobs and children in one call of a larger flow: 3 ms."""

PATIENCE: Final = 30.0
"""Seconds for which it tries to read what a lost call did."""

_LOST: Final = (LostConnection, LateReply, OSError)


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of one job of the flow."""

    name: Name
    result: Result


@dataclass(frozen=True, slots=True)
class Call:
    """What one call carries."""

    parents: tuple[Parked, ...] = ()
    released: tuple[Released, ...] = ()

    def names(self) -> list[Name]:
        """Its jobs, in the order of the results."""
        names = [parent.name for parent in self.parents]
        return names + [
            Name(batch.queue, job.job_id) for batch in self.released for job in batch.jobs
        ]

    def pins(self) -> list[float | None]:
        """The score at which each was seen, None where it was in no finished state."""
        pins = [parent.score for parent in self.parents]
        return pins + [job.score for batch in self.released for job in batch.jobs]


def calls(plan: RerunPlan, whole: int = WHOLE, piece: int = PIECE) -> list[Call]:
    """The calls that carry a plan out, in order: one if it is small enough."""
    parents, released = plan.parents(), plan.released()
    size = sum(1 + len(parent.children) for parent in parents)
    size += sum(len(batch.jobs) for batch in released)
    if size <= whole:
        return [Call(tuple(parents), tuple(released))] if size else []
    return [*_park_calls(parents, piece), *_release_calls(released, piece)]


def _park_calls(parents: Sequence[Parked], piece: int) -> Iterator[Call]:
    some: list[Parked] = []
    size = 0
    for part in (part for parent in parents for part in _parts(parent, piece)):
        if some and size + 1 + len(part.children) > piece + 1:
            yield Call(tuple(some))
            some, size = [], 0
        some.append(part)
        size += 1 + len(part.children)
    if some:
        yield Call(tuple(some))


def _parts(parent: Parked, piece: int) -> Iterator[Parked]:
    """A parent with many children, several times over with some of them.

    Only the last part may release it. The first parks it, if it gives it a child to wait for.
    """
    pieces = range(0, max(1, len(parent.children)), piece)
    for start in pieces:
        more = start + piece < len(parent.children)
        yield replace(parent, children=parent.children[start : start + piece], more=more)


def _release_calls(released: Sequence[Released], piece: int) -> Iterator[Call]:
    for batch in released:
        for start in range(0, len(batch.jobs), piece):
            yield Call(released=(replace(batch, jobs=batch.jobs[start : start + piece]),))


class Rerun:
    """One rerun of a flow. Run it once.

    Args:
        client: where to read.
        writer: writes.
        plan: what is to be done; not a refused one.
        resets: which attempt counters are deleted.
        whole: the most jobs and children that go in one step.
        piece: how many go in one step where all are too many.
        patience: seconds for which it tries to read what a lost call did.
        evidence: is told each call before it is sent; what it raises ends the rerun with nothing
            sent of that call.
        record: opens the journal in which what a call wipes is written down before it is sent.
    """

    def __init__(
        self,
        client: Client,
        writer: FlowWriter,
        plan: RerunPlan,
        resets: Resets,
        *,
        whole: int = WHOLE,
        piece: int = PIECE,
        patience: float = PATIENCE,
        evidence: Callable[[Call], Awaitable[None]] | None = None,
        record: Callable[[Rerun], Journal] | None = None,
    ) -> None:
        self.plan = plan
        self.resets = resets
        self.journal: Journal | None = None
        self.is_over = False
        """Whether nothing more will be sent."""
        self.codes: Counter[Code] = Counter()
        self.notes: list[str] = []
        """Redis's words where a side effect (event, marker) was refused; each once."""
        self.lost = False
        """Whether it ended because nobody could tell what a call had done."""
        self._client = client
        self._writer = writer
        self._calls = calls(plan, whole, piece)
        self._patience = patience
        self._evidence = evidence
        self._record = record
        self._written: set[str] = set()
        self._why = ""
        self._stop = False

    @property
    def selected(self) -> int:
        """Jobs that are to run again."""
        return self.plan.jobs

    @property
    def rerun(self) -> int:
        """Jobs that were parked or released so far."""
        return self.codes[Code.RETRIED]

    def stop(self) -> None:
        """Ends it after the call that is under way; the same rerun again does the rest."""
        self._stop = True

    async def run(self) -> AsyncIterator[list[JobResult]]:
        """Does it, and yields the results call by call, ancestors first.

        It ends early when a job does not stand any more where it was seen: then nothing of that
        call was written, and the codes tell which jobs have changed.

        Raises:
            JournalError: evidence, or a code, could not be written; no further call was sent.
            ForeignQueue: a queue is not BullMQ's own or is gone; nothing of that call was written.
            redis.exceptions.ResponseError: Redis refused a call; nothing of it was written.
        """
        try:
            if self._record is not None:
                self.journal = await asyncio.to_thread(self._record, self)
            async with aclosing(self._carry_out()) as calls_done:
                async for told in calls_done:
                    yield told
        except (ForeignQueue, JournalError, RedisError, OSError) as reason:
            self._why = self._why or str(reason)
            raise
        finally:
            self.is_over = True
            self._write_end()

    async def _carry_out(self) -> AsyncGenerator[list[JobResult]]:
        for call in self._calls:
            if self._stop:
                return
            await self._write_evidence(call)
            results = await self._send(call)
            told = [
                JobResult(name, result)
                for name, result, more in zip(call.names(), results, _more(call), strict=True)
                if not more or not result.retried
            ]
            self.codes.update(one.result.code for one in told)
            after = self._write_codes(told)
            yield told
            if after is not None:
                raise after
            if not all(result.retried for result in results):
                self._why = "" if self.lost else "the flow had changed meanwhile"
                return

    # The journal

    async def _write_evidence(self, call: Call) -> None:
        """Sees to it that what a call wipes is on the disk; of a parent before its first part."""
        if self._evidence is not None:
            await self._evidence(call)
        if self.journal is None:
            return
        fresh = [
            (name, pin)
            for name, pin in zip(call.names(), call.pins(), strict=True)
            if name.key not in self._written
        ]
        self._written |= {name.key for name, _ in fresh}
        names, pins = [name for name, _ in fresh], [pin for _, pin in fresh]
        states = {step.node.key: step.node.state for step in self.plan.steps}
        found = await read_evidence(self._client, names, pins, states)
        await asyncio.to_thread(self.journal.evidence, evidence_lines(found))

    def _write_codes(self, told: Sequence[JobResult]) -> JournalError | None:
        """What went wrong with it: the results are told all the same."""
        if self.journal is not None:
            try:
                self.journal.codes(one.result._replace(job_id=one.name.key) for one in told)
            except JournalError as reason:
                return reason
        return None

    def write_outcomes(self, outcomes: Mapping[str, Outcome]) -> None:
        """Writes down what became of the jobs, by full key, and lets go of the journal."""
        final = {key: one for key, one in outcomes.items() if one.fate.is_final}
        try:
            if self.journal is not None and final:
                self.journal.outcomes(final)
                self._write_end()
        except JournalError as reason:
            self.notes.append(str(reason))
        finally:
            if self.journal is not None:
                self.journal.close()

    def _write_end(self) -> None:
        if self.journal is None:
            return
        phase = "connection lost" if self.lost else "stopped"
        try:
            done = self.rerun == self.selected
            self.journal.end("done" if done else phase, self.codes, "" if done else self._why)
        except JournalError as reason:
            self.notes.append(str(reason))

    async def _send(self, call: Call) -> Sequence[Result]:
        """The results of one call, whatever happens to the connection."""
        loop = asyncio.get_running_loop()
        deadline, pause = 0.0, 0.1
        while True:
            try:
                batch = await self._call(call)
            except _LOST:
                deadline = deadline or loop.time() + self._patience
                if call.released and await self._is_done(call, deadline):
                    return _done(call)
                if loop.time() >= deadline:
                    self.lost = True
                    return [Result(name.id, Code.UNKNOWN) for name in call.names()]
                await asyncio.sleep(pause)  # grows: reads pass, and calls are lost again and again
                pause = min(pause * 2, 2.0)
                continue
            if batch.note and batch.note not in self.notes:
                self.notes.append(batch.note)
            if not deadline or all(result.retried for result in batch.results):
                return batch.results
            # It was sent before, and that call may have come late: then this one found it done.
            return _done(call) if await self._is_done(call, deadline) else batch.results

    async def _call(self, call: Call) -> Batch:
        return await self._writer.rerun(
            call.parents,
            call.released,
            mode=self.plan.mode,
            reset_attempts_made=self.resets.made,
            reset_attempts_started=self.resets.started,
        )

    async def _is_done(self, call: Call, deadline: float) -> bool:
        """Whether none of the jobs stands where it was seen, so that the call was carried out.

        Of a call that releases jobs only these tell: a parent may be in several calls.
        """
        pins = dict(zip((name.key for name in call.names()), call.pins(), strict=True))
        telling = call.names()[len(call.parents) if call.released else 0 :]
        pinned = [name for name in telling if pins[name.key] is not None]
        loop = asyncio.get_running_loop()
        pause = 0.1
        while loop.time() < deadline:
            try:
                nodes = await read_nodes(self._client, pinned)
            except _LOST:
                await asyncio.sleep(pause)  # grows, so that a dead server is not hammered
                pause = min(pause * 2, 2.0)
                continue
            return not any(node.row.score == pins[node.key] for node in nodes)
        return False


def _done(call: Call) -> list[Result]:
    return [Result(name.id, Code.RETRIED) for name in call.names()]


def _more(call: Call) -> list[bool]:
    released = sum(len(batch.jobs) for batch in call.released)
    return [parent.more for parent in call.parents] + [False] * released
