"""Removing a queue with all that is in it: the plan, and the change in bounded steps.

States: all. Replaced: everything, for good: the journal keeps the queue's settings, schedulers and
counts, and no job, so that there is no undo. Script: `lua/obliterate.lua`. A removal that was cut
off leaves a paused queue with fewer jobs; the same command does the rest.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.reads.queues.leftovers import OWN_KEYS, Leftovers, leftovers, queues_inside
from qtui.bullmq.reads.queues.remains import Remains, read_family, read_remains
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.queues import ObliterateWriter, QueueStep
from qtui.operations.planning.proposal import PlanLine, PlanOptions
from qtui.operations.queues.queue_action import QueueAction
from qtui.text import count, plain, plural
from qtui.verbs import Verb

_ROUNDS: Final = 5
"""How often the jobs are removed again that were added meanwhile."""

_KEYS_A_CALL: Final = 500
"""Keys that belong to no state, deleted in one call."""

STRANGE: Final = 20
"""Keys that were left behind, named in the result."""


_FORCE = "use `qtui obliterate --force`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObliteratePlan:
    """What the removal of a queue will do."""

    status: QueueStatus
    force: bool
    """Whether active jobs go that workers hold, and workers may be connected."""
    workers: int | None
    """Workers connected; None if unknown."""
    locked: tuple[str, ...]
    """Active jobs whose lock a worker holds, the first ones."""
    schedulers: int
    remains: Remains
    """What the journal will keep."""
    parents: tuple[str, ...]
    """Parents in other queues that may run, as far as looked at."""
    children: tuple[str, ...]
    """Children in other queues that will have no parent, as far as looked at."""

    @property
    def queue(self) -> QueueKey:
        """The queue."""
        return self.status.queue

    @property
    def jobs(self) -> int:
        """How many queues it removes."""
        return int(self.code is Code.DONE)

    @property
    def code(self) -> Code:
        """What the removal will answer."""
        return Code.REFUSED if self.why else Code.DONE

    @property
    def why(self) -> str:
        """Why nothing is removed; empty if it is."""
        if self.status.kind.refusal:
            return self.status.kind.refusal
        if self.force:
            return ""
        if self.locked:
            jobs = plural(len(self.locked), "active job")
            return f"workers hold {jobs}, such as {self.locked[0]}: wait for the end, or {_FORCE}"
        if self.workers:
            workers = plural(self.workers, "worker is", "workers are")
            return f"{workers} connected: stop {'it' if self.workers == 1 else 'them'}, or {_FORCE}"
        return ""

    @property
    def headline(self) -> str:
        """What will be done, in a few words, with the queue's full key; plain."""
        return f"Remove {self._what(self.queue.base)}"

    @property
    def verb(self) -> Verb:
        """What it does."""
        return Verb.REMOVE_QUEUE

    @property
    def refusal(self) -> str:
        """Why it can't be removed; empty if it can. Plain."""
        return plain(f"{self.queue.name}: {self.why}.") if self.why else ""

    def go(self, options: PlanOptions | None = None) -> str:
        """Returns what confirming does; plain."""
        return f"remove {self._what(self.queue.name)}"

    def _what(self, queue: str) -> str:
        jobs = sum(self.status.count(state) for state in JobState)
        return f"{plain(queue)} and its {plural(jobs, 'job')}"

    def confirmation(self, options: PlanOptions | None = None) -> str:
        """Returns the queue's name, which must be typed."""
        return self.queue.name

    def contents(self) -> list[str]:
        """Returns what goes, in words; plain."""
        return [f"{count(one.number)} {one.name}" for one in self.lines()] + [
            "its settings, events, metrics and deduplication keys"
        ]

    def lines(self, options: PlanOptions | None = None) -> list[PlanLine]:
        """Returns a line for each state that holds jobs, and for the schedulers."""
        counts = [(state, self.status.count(state)) for state in JobState]
        found = [
            PlanLine(number=number, name=str(state), place="removed for good")
            for state, number in counts
            if number
        ]
        if self.schedulers:
            name = "scheduler" if self.schedulers == 1 else "schedulers"
            found.append(
                PlanLine(number=self.schedulers, name=name, place="kept in the journal only")
            )
        return found

    def warnings(self, options: PlanOptions | None = None) -> list[str]:
        """Returns what to know before, in sentences; plain."""
        return [plain(one) for one in _warnings(self)]

    def action(self, client: Client, options: PlanOptions | None = None) -> QueueAction:
        """Returns the action, with its own writer; not for a refused plan."""
        writer = ObliterateWriter(client)
        change = Obliteration(client, writer, self.queue, force=self.force)
        return QueueAction(Verb.REMOVE_QUEUE, [change])


async def plan_obliteration(
    client: Client, queue: QueueKey, *, force: bool = False
) -> ObliteratePlan:
    """Returns what the removal of a queue will do. Reads only.

    Costs some seven round trips; flows are looked at in a sample of the jobs.
    """
    [status] = await read_status(client, [queue])
    workers = await read_workers(client, [queue])
    remains = await read_remains(client, queue)
    family = await read_family(client, queue)
    return ObliteratePlan(
        status=status,
        force=force,
        workers=None if workers is None else workers[queue],
        locked=remains.locked,
        schedulers=remains.schedulers,
        remains=remains,
        parents=family.parents,
        children=family.children,
    )


def _warnings(plan: ObliteratePlan) -> Iterator[str]:
    yield "It can't be undone: the journal keeps settings, schedulers and counts, but no job."
    if plan.parents:
        yield (
            f"Parents in other queues wait for jobs of this one, such as {plan.parents[0]}: a "
            "parent that waits for no other child runs, without their results."
        )
    if plan.children:
        yield (
            f"Flow parents in this queue have children in other queues, such as {plan.children[0]}:"
            " these children stay, and run without a parent."
        )
    if plan.force and plan.locked:
        yield (
            f"Workers hold {plural(len(plan.locked), 'job')} of this queue: they run to their end, "
            "which is an error in the worker."
        )
    if plan.force and plan.workers:
        yield (
            f"{plural(plan.workers, 'worker is', 'workers are')} connected: a process that keeps "
            "running creates some of its keys again."
        )
    if not plan.status.paused:
        yield "The queue is paused first; if the removal is cut off, it stays paused."


@dataclass(slots=True)
class Obliteration:
    """The removal of one queue: jobs, then what is left, then its own keys."""

    client: Client
    writer: ObliterateWriter
    queue: QueueKey
    force: bool = field(kw_only=True)
    removed: int = 0
    """Jobs removed so far."""
    released: int = 0
    """Parents in other queues that run now."""
    strange: list[str] = field(default_factory=list)
    """Keys that BullMQ does not make, which are left."""
    _uncounted: bool = False
    """Whether the reply to a step was lost, which may have removed others."""
    _rounds: int = 0
    _sweep: AsyncIterator[Leftovers] | None = None
    _others: Sequence[QueueKey] = ()

    async def former(self) -> Mapping[str, str]:
        """Reads the settings, schedulers and counts."""
        [status] = await read_status(self.client, [self.queue])
        remains = await read_remains(self.client, self.queue)
        counts = {state.key: str(status.count(state)) for state in JobState if status.count(state)}
        found = {"prefix": self.queue.prefix, **counts}
        found |= {f"meta.{name}": text for name, text in remains.meta.items()}
        return found | {f"repeat:{name}": json.dumps(one) for name, one in remains.repeats.items()}

    async def step(self) -> QueueStep:
        """Removes some jobs; once none is left some other keys; once none is left its own."""
        if self._sweep is None:
            return await self._remove_jobs()
        try:
            async for some in self._sweep:
                new = [one for one in some.strange if one not in self.strange]
                self.strange += new[: STRANGE - len(self.strange)]
                if some.keys:
                    return await self._delete(some.keys)
        except BaseException:  # what is left of it can't be read on: begin again
            self._sweep = leftovers(self.client, self.queue, self._others)
            raise
        return await self._end()

    async def _remove_jobs(self) -> QueueStep:
        if self._rounds > _ROUNDS:
            why = "jobs are still being added: stop the processes that add them"
            return QueueStep(Result(self.queue.base, Code.REFUSED, error=why))
        step = await self.writer.remove_jobs(self.queue, force=self.force)
        if not step.result.done:
            return step
        removed, released = map(int, step.result.target.split())
        self.removed, self.released = self.removed + removed, self.released + released
        if not step.left:
            self._rounds += 1
            self._others = await queues_inside(self.client, self.queue)
            self._sweep = leftovers(self.client, self.queue, self._others)
        return self._going(step)

    async def _delete(self, keys: Sequence[str]) -> QueueStep:
        step = QueueStep(Result(self.queue.base, Code.DONE))
        for start in range(0, len(keys), _KEYS_A_CALL):
            step = await self.writer.sweep(self.queue, keys[start : start + _KEYS_A_CALL])
            if step.left:  # added meanwhile
                self._sweep = None
            if step.left or not step.result.done:
                break
        return self._going(step)

    async def _end(self) -> QueueStep:
        step = await self.writer.end(self.queue, [self.queue.key(one) for one in OWN_KEYS])
        if step.left or not step.result.done:
            self._sweep = None
            return self._going(step)
        return QueueStep(step.result._replace(target=self.words), 0, step.note, step.seconds)

    def _going(self, step: QueueStep) -> QueueStep:
        """The step, with something left to be done after it."""
        left = max(1, step.left) if step.result.done else 0
        return QueueStep(step.result, left, step.note, step.seconds)

    @property
    def words(self) -> str:
        """What was done, and what was left and why."""
        jobs = plural(self.removed, "job")
        parts = [f"at least {jobs}" if self._uncounted else jobs]
        if self.released:
            parts.append(f"{plural(self.released, 'parent')} in other queues released")
        if self.strange:
            names = ", ".join(self.strange[:3])
            parts.append(f"left, since BullMQ makes no such keys: {names}")
        return "; ".join(parts)

    async def is_unfinished(self) -> bool:
        """Whether any of its own keys is left. Asked after a step whose reply was lost."""
        self._uncounted = True
        [status] = await read_status(self.client, [self.queue])
        return status.exists
