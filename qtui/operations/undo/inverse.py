"""The port between undo and the actions: what an action brings so that it can be taken back.

An operation has an *effect*: the id of its action, or for an undo the name that its inverse gives
to what it did. `registry.INVERSES` maps an effect to the inverse that takes it back. An inverse
names the effect that it has itself, so an undo is undone by the same rule: retry -> unretry, and
unretry -> retry. An inverse that is its own inverse (edit, limits) names the effect that it undoes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.writers.batch import Batch
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import JournalLine
from qtui.operations.journal.texts import Texts

W = TypeVar("W")


def sender(writer: W | None) -> W:
    """Returns the writer of an undo that is carried out; one that is only planned has none."""
    if writer is None:
        raise RuntimeError("an undo that was only planned sends nothing")
    return writer


class Deed(NamedTuple):
    """One job (or queue) that an operation changed, by its journal."""

    snapshot: Snapshot
    """What the operation wiped."""
    target: str
    """Where it put the job: the target of its code. Empty if the journal has no code for it, since
    the operation was cut off; it may have been carried out then."""
    line: JournalLine
    """The whole ``job`` line, for members that only one action writes."""
    goes_with: Callable[[str], bool]
    """Whether the job of an id is taken back in the same operation as this one."""

    @property
    def id(self) -> str:
        """The job as results and journal name it."""
        return self.snapshot.id


async def read_ids(deeds: Sequence[Deed]) -> None:
    """Reads what `Deed.goes_with` knows, in a thread: a large journal takes a while."""
    if deeds:
        await asyncio.to_thread(deeds[0].goes_with, "")


class Expected(NamedTuple):
    """What an undo of one job would do now, found by reading."""

    result: Result
    """What `Inverse.send` would answer now: 1 and where the job would go, or why it is left
    alone."""
    arrived: bool = False
    """Whether it is where the inverse puts it: it was undone already."""
    says: str = ""
    """What it puts back, for the plan, where that says more than `Inverse.done`."""


class Inverse(Protocol):
    """Takes back one effect. Made for a journal; keeps nothing between calls."""

    @property
    def effect(self) -> str:
        """The effect that it has itself: a key of `registry.INVERSES`."""

    @property
    def done(self) -> str:
        """What becomes of a job, for the plan: ``back to failed``."""

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now, in order. Reads only; for plans, and after a lost call.

        It may be optimistic where a read is expensive (a place in a long list): `send` decides.
        """

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns journal lines of what `send` wipes: all that the undo of this undo needs."""

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Takes the effect back, in one atomic step, with a code for each job.

        A job is changed only if it is still as the operation left it, so that sending twice does no
        harm: 1 undone, -1 gone, -3 has moved on, 0 refused.

        Raises:
            LOST, REFUSED, Unable: as `qtui.operations.engine.action.Load.send`.
        """

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone; empty if the code says it."""


@runtime_checkable
class ComesAfter(Protocol):
    """An inverse that takes jobs back after others of the same operation."""

    def after(self, deed: Deed) -> Sequence[str]:
        """Returns which jobs, by id, come before this one if they are taken back as well."""


MakeInverse: TypeAlias = Callable[[Client, Header, bool], Inverse]
"""Makes an inverse from a connection, the header of the journal to undo, and whether it may write:
only then it makes a writer."""
