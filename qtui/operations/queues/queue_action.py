"""An action on whole queues, for a campaign: one queue after the other, one bounded step a call.

What is done to a queue is in its `QueueChange`. In results and journal a queue is named by its base
key. A change of several steps is safe to end after any of them, and the same change, begun again,
does the rest; so a campaign that was cut off is not resumed but planned anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from qtui.bullmq.codes import Code, ForeignQueue, QueueGone, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.queues import QueueStep
from qtui.operations.engine.action import Seen
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.verbs import QUEUES, Verb


class QueueChange(Protocol):
    """What an action does to one queue."""

    @property
    def queue(self) -> QueueKey:
        """The queue."""

    async def former(self) -> Mapping[str, str]:
        """Reads what the change replaces, for the journal and for an undo."""

    async def step(self) -> QueueStep:
        """Does the next step, atomically; repeat it while something is left.

        Raises:
            QueueGone, ForeignQueue: nothing was written.
            Unable, LOST, REFUSED: as `Load.send`.
        """

    async def is_unfinished(self) -> bool:
        """Whether the queue still is as the change found it, or half-way. Reads only."""


def queue_of(snapshot: Snapshot) -> QueueKey:
    """Returns the queue of a journal's line; `QueueChange.former` has its ``prefix``."""
    prefix = snapshot.fields.get("prefix") or snapshot.id.partition(":")[0]
    return QueueKey(snapshot.id, prefix)


async def finished(change: QueueChange) -> QueueStep:
    """Does all steps of a change, one after the other; returns the last.

    A queue that is gone, or not BullMQ's own, has a code like any other.

    Raises:
        Unable, LOST, REFUSED: as `Load.send`.
    """
    step = await coded(change)
    while step.left and step.result.done:
        step = await coded(change)
    return step


async def coded(change: QueueChange, name: str = "") -> QueueStep:
    """Does one step; a queue that is gone, or not BullMQ's own, has a code like any other."""
    name = name or change.queue.base
    try:
        return await change.step()
    except QueueGone as gone:
        return QueueStep(Result(name, Code.NO_SUCH_JOB, error=str(gone)))
    except ForeignQueue as foreign:
        return QueueStep(Result(name, Code.REFUSED, error=str(foreign)))


class QueueAction:
    """One change to each of some queues, or of things of which a queue has several.

    Args:
        verb: the action.
        changes: what to do, in order.
    """

    kind: ClassVar[str] = QUEUES
    """The kind of selection in the journal."""

    found_done: ClassVar[frozenset[Code]] = frozenset({Code.NOT_IN_STATE})
    """What a step answers that finds nothing to do."""

    def __init__(self, verb: Verb, changes: Sequence[QueueChange]) -> None:
        self.verb = verb
        self.changes = tuple(changes)
        self.before = Counter[Code]()
        self.queue = None
        self.follower = None
        self.left = 0
        """Jobs that are left to be moved or removed in the queue at hand after its last step; 0
        between queues."""
        self._todo = list(changes)
        self._written: set[str] = set()
        self._done: set[str] = set()

    @property
    def selected(self) -> int:
        """Number of queues in the plan."""
        return len(self.changes)

    def name_of(self, change: QueueChange) -> str:
        """Returns the name of what is changed in results and journal: the queue's base key."""
        return change.queue.base

    def assumed(self, change: QueueChange) -> Result:
        """Returns the result of a step whose reply was lost, and which was carried out."""
        return Result(self.name_of(change), Code.DONE)

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        first = self.changes[0].queue
        return Header(
            where="",
            queue=first.base,
            prefix=first.prefix,
            state="",
            selection=WrittenSelection(kind=self.kind, jobs=self.selected),
            action=self.verb.value,
        )

    def chosen(self) -> Sequence[Picked]:
        """Returns the queues."""
        return [Picked(self.name_of(one)) for one in self.changes]

    async def begin(self) -> None:
        """Nothing has to be known beside the plan."""

    async def lost(self) -> Sequence[Picked]:
        """Returns the queues with code 1 that are as they were before."""
        done = [one for one in self.changes if self.name_of(one) in self._done]
        return [Picked(self.name_of(one)) for one in done if await one.is_unfinished()]

    def withdraw(self, lost: Sequence[Picked]) -> None:
        """Hands these queues out again."""
        again = {one.job_id for one in lost}
        self._done -= again
        self._todo += [one for one in self.changes if self.name_of(one) in again]

    async def judge_doubtful(self) -> None:
        """None: a campaign that was cut off is planned anew."""

    async def next(self) -> QueueLoad | None:
        """Returns the queue at hand, until nothing of it is left, then the next one."""
        return QueueLoad(self, self._todo[0]) if self._todo else None

    async def vanished(self) -> bool:
        """No: each queue that is gone has a code."""
        return False

    async def conclude(self, seconds: float) -> None:
        """There is nothing to follow."""

    def outcomes(self) -> None:
        """None: there is nothing to follow."""

    def counts(self) -> None:
        """None: there is nothing to follow."""

    async def close(self) -> None:
        """Nothing is being read."""

    async def snapshot_of(self, change: QueueChange, texts: Texts | None) -> bytes:
        """Returns the journal line of a queue; empty for its later steps."""
        name = self.name_of(change)
        if name in self._written:
            return b""
        fields = await change.former()
        self._written.add(name)
        return snapshot_lines([Snapshot(name, None, fields)], texts)

    def settle(self, change: QueueChange, results: Sequence[Result]) -> Sequence[Result]:
        """Returns the result once nothing of the queue is left."""
        if not results or (self.left and results[0].done):
            return []  # the server refused it for now, or there is more to do
        self.left = 0
        self._todo = [one for one in self._todo if one is not change]
        self._done |= {one.job_id for one in results if one.done}
        return results


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """One queue, to be sent its next step."""

    action: QueueAction
    change: QueueChange

    def __len__(self) -> int:
        """One queue."""
        return 1

    @property
    def ids(self) -> list[str]:
        """Its name."""
        return [self.action.name_of(self.change)]

    def cut(self, jobs: int) -> tuple[QueueLoad, None]:
        """All of it."""
        return self, None

    def only(self, wanted: Sequence[bool]) -> QueueLoad:
        """All of it: the campaign asks so for a queue that the server refused for now."""
        return self

    def take(self) -> None:
        """The queue stays at hand until it is settled."""

    async def snapshot(self, texts: Texts | None) -> bytes:
        """Returns what the change replaces."""
        return await self.action.snapshot_of(self.change, texts)

    async def send(self) -> Batch:
        """Does one step."""
        self.action.left = 0
        step = await coded(self.change, self.action.name_of(self.change))
        self.action.left = step.left
        return Batch([step.result], step.note, step.seconds)

    async def look(self) -> Seen:
        """Reads the queue after a step whose reply was lost."""
        unfinished = await self.change.is_unfinished()
        return Seen([unfinished], [self.action.assumed(self.change)])

    async def correct(self, seen: Seen, results: Sequence[Result]) -> list[Result]:
        """A step that finds nothing to do, after a lost one, found what that one did."""
        gone = Code.NO_SUCH_JOB if self.action.verb is Verb.REMOVE_QUEUE else Code.NOT_IN_STATE
        if results[0].code in self.action.found_done | {gone}:
            return list(seen.results)
        return list(results)

    def settle(self, results: Sequence[Result]) -> Sequence[Result]:
        """Takes the result of the step."""
        return self.action.settle(self.change, results)

    def objection(self, results: Sequence[Result]) -> str:
        """Returns "": queues are independent."""
        return ""
