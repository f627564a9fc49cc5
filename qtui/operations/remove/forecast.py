"""What a removal is expected to do with jobs of one state, or of none, and in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.codes import CLEARED, NO_STATE, REMOVED, Code, Result, meaning, with_reason
from qtui.bullmq.flow.hanging import Hanging
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState, QueueStatus, Row
from qtui.bullmq.signature.merging import signature_of
from qtui.bullmq.writers.batch import NEVER, Picked
from qtui.operations.planning.groups import Alike, Groups
from qtui.operations.planning.proposal import PlanLine
from qtui.operations.remove.reasons import LOCKED, TOO_LARGE
from qtui.text import count, plain, plural

MOST_PARENTS: Final = 100_000
"""Parents that are remembered; of further ones it is not said whether they run."""

_NAMED: Final = 3
"""Parents, schedulers and deduplication ids that a warning names."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a removal is expected to do with one job."""

    row: Row
    """With its pin as the score; None if it is not in the state."""
    code: Code
    why: str = ""
    """For code 0: why it stays; for -3 where it is, if that was read; for 1 `TOO_LARGE` or nothing:
    then it goes only if it may go without an undo."""
    hanging: Hanging = field(default_factory=Hanging)

    @property
    def picked(self) -> Picked:
        """The job, pinned to what was seen. One that was not in the state is sent for its code."""
        return Picked(self.row.id, NEVER if self.row.score is None else self.row.score)

    @property
    def target(self) -> str:
        """What becomes of it, as the result will say; empty if it stays."""
        if self.code is not Code.DONE:
            return ""
        return CLEARED if self.row.missing else REMOVED

    def result(self, *, without_undo: bool = False) -> Result:
        """Returns the result that is expected."""
        if self.code is not Code.DONE:
            return Result(self.row.id, self.code, error=self.why)
        if self.why and not without_undo:
            return Result(self.row.id, Code.REFUSED, error=self.why)
        return Result(self.row.id, self.code, self.target)


def predict(row: Row, hanging: Hanging, status: QueueStatus) -> Prediction:
    """Returns what the script would do with a job that reads like this."""
    if row.score is None:
        return Prediction(row, Code.NO_SUCH_JOB if row.missing else Code.NOT_IN_STATE)
    if row.missing and is_marker(row.id):  # a wake-up in a list
        return Prediction(row._replace(score=None), Code.NO_SUCH_JOB)
    if status.kind.refusal or "hash" in row.garbled:
        return Prediction(row, Code.REFUSED, "", hanging)
    if hanging.locked:
        return Prediction(row, Code.REFUSED, LOCKED, hanging)
    if hanging.scheduler:
        return Prediction(row, Code.CURRENT_ITERATION, hanging.scheduler, hanging)
    return Prediction(row, Code.DONE, TOO_LARGE if hanging.large else "", hanging)


class PredictionTally:
    """Predictions, counted. Grows with the number of groups and parents, not of jobs.

    Args:
        state: the state of the jobs; None for jobs in none.
        queue: their queue, to recognise a parent that is removed too.
    """

    def __init__(self, state: JobState | None, queue: QueueKey | None = None) -> None:
        self.codes: Counter[Code] = Counter()
        self.locked = 0
        self.large = 0
        """Jobs that no undo could bring back; they have code 1."""
        self.cleared = 0
        self.with_children = 0
        self.children = 0
        """Jobs directly below those."""
        self.schedulers: Counter[str] = Counter()
        self.deduplications: Counter[str] = Counter()
        self._state = state
        self._queue = queue
        self._groups = Groups()
        self._parents: set[str] = set()
        """Full keys of the jobs that wait for children, and go."""
        self._left_by: Counter[str] = Counter()
        """By parent the children of the selection that it waits for."""
        self._waited: dict[str, int] = {}

    def add(self, some: Sequence[Prediction]) -> None:
        """Counts more of them."""
        for one in some:
            self._add(one)

    def _add(self, one: Prediction) -> None:
        row, hanging = one.row, one.hanging
        self.codes[one.code] += 1
        self.locked += one.why == LOCKED
        error = ""
        if self._state is JobState.FAILED:
            error = plain(signature_of(row.failed_reason or ""))
        self._groups.add(Alike(row.name, error, one.code, one.target, one.why))
        if one.code is Code.CURRENT_ITERATION:
            self.schedulers[hanging.scheduler] += 1
        if one.code is not Code.DONE:
            return
        if self._queue is not None and self._state is JobState.WAITING_CHILDREN:
            self._parents.add(self._queue.job(row.id))
        self.large += one.why == TOO_LARGE
        self.cleared += row.missing
        self.with_children += hanging.children > 0
        self.children += hanging.children
        if hanging.deduplication:
            self.deduplications[hanging.deduplication] += 1
        if hanging.parent and hanging.parent_waits and len(self._waited) < MOST_PARENTS:
            self._left_by[hanging.parent] += 1
            self._waited[hanging.parent] = hanging.siblings

    @property
    def jobs(self) -> int:
        """How many were counted."""
        return self.codes.total()

    def released(self) -> list[str]:
        """Returns the parents that wait for no other job, so that they run next.

        Not those that are removed too: they go before their children.
        """
        return [
            key
            for key, gone in self._left_by.items()
            if gone >= self._waited[key] and key not in self._parents
        ]

    # For people

    def lines(self, *, without_undo: bool) -> list[PlanLine]:
        """Returns the jobs grouped by what happens to them, largest group first.

        Args:
            without_undo: whether jobs go too that no undo could bring back.
        """
        found = []
        for one in self._groups.groups():
            stays = self._stays(one.code, one.why, without_undo)
            found.append(
                PlanLine(
                    number=one.jobs,
                    name=one.name,
                    note=one.error,
                    place="" if stays else one.place or REMOVED,
                    refusal=stays,
                )
            )
        return found

    def _stays(self, code: Code, why: str, without_undo: bool) -> str:
        if code is Code.DONE:
            stays = why == TOO_LARGE and not without_undo
            return f"{Code.REFUSED.value} {TOO_LARGE}" if stays else ""
        if code is Code.REFUSED and why:
            return f"{code.value} {why}"
        elsewhere = why if code is Code.NOT_IN_STATE else ""
        return f"{code.value} {with_reason(meaning(code, self._state or NO_STATE), elsewhere)}"

    def consequences(self, *, children_too: bool) -> Iterator[str]:
        """What changes beside the jobs, in whole sentences; plain text."""
        if released := self.released():
            loses = "parent loses the last child it waits for: it runs"
            lose = "parents lose the last children they wait for: they run"
            yield (
                f"{plural(len(released), loses, lose)} next, without the results of what is removed"
                f" ({_some(released)})."
            )
        if self.children:
            yield self._children_words(children_too)
        if ids := list(self.deduplications):
            freed = plural(len(ids), "deduplication id is", "deduplication ids are")
            yield f"{freed} released ({_some(ids)})."
        if self.cleared:
            have = plural(self.cleared, "id has", "ids have")
            yield f"{have} no job data: only the id is removed."

    def _children_words(self, too: bool) -> str:
        parents = plural(self.with_children, "job has", "jobs have")
        children = plural(self.children, "child", "children")
        if too:
            what = "it and all jobs below it" if self.children == 1 else "these and all below them"
            return f"{parents} {children}: {what} are removed too."
        stay = "stays and runs" if self.children == 1 else "stay and run"
        return f"{parents} {children}, which {stay} without a parent."

    def without_undo(self, *, too: bool) -> Iterator[str]:
        """Which jobs no undo could bring back, and whether they go `too`."""
        if not self.large:
            return
        large = plural(self.large, "job is", "jobs are")
        if too:
            go = "it is" if self.large == 1 else "they are"
            yield f"{large} too large for the journal: {go} removed for good."
        else:
            stay = "it stays" if self.large == 1 else "they stay"
            yield f"{large} too large for the journal: {stay}, since that could not be undone."

    def staying(self) -> Iterator[str]:
        """Which jobs stay, and why, in whole sentences; plain text."""
        if self.locked:
            they = plural(
                self.locked, "job is locked by a worker: it", "jobs are locked by a worker: they"
            )
            stay = "stays" if self.locked == 1 else "stay"
            yield f"{they} {stay} (0)."
        if self.schedulers:
            held = plural(
                self.schedulers.total(),
                "job is what a scheduler runs next: it stays (-8), else the scheduler",
                "jobs are what schedulers run next: they stay (-8), else the schedulers",
            )
            yield (
                f"{held} would never run again; remove the scheduler instead"
                f" ({_some(list(self.schedulers))})."
            )
        gone, left = self.codes[Code.NO_SUCH_JOB], self.codes[Code.NOT_IN_STATE]
        if gone:
            yield f"{plural(gone, 'job is', 'jobs are')} gone already (-1)."
        if left:
            words = meaning(Code.NOT_IN_STATE, self._state or NO_STATE)
            yield f"{plural(left, 'job is', 'jobs are')} {words} (-3)."


def _some(names: Sequence[str]) -> str:
    """Names for people: ``a, b, c and 4 more``."""
    shown = ", ".join(plain(one) for one in names[:_NAMED])
    return shown + (f" and {count(len(names) - _NAMED)} more" if len(names) > _NAMED else "")
