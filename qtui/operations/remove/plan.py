"""What a removal will do, worked out before anything is written. Reads only.

A plan fixes its jobs: each is pinned to what it was when it was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from qtui.bullmq.codes import CLEARED, REMOVED, Code, Result, meaning, with_reason
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.hanging import Hanging, read_hanging
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState, QueueStatus, Row
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.signature.merging import merged, signature_of
from qtui.bullmq.writers.batch import NEVER, Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.remove.reasons import LOCKED, TOO_LARGE
from qtui.operations.remove.remove import Remove
from qtui.operations.supply.reading import fixed, is_fixed_by, selected_rows, states_elsewhere
from qtui.operations.supply.selection import Chosen, Query, Selection
from qtui.text import count, plain, plural
from qtui.verbs import Verb

CHILDREN_TOO: Final = "plan.children"
"""The toggle with which the jobs below go too."""

WITHOUT_UNDO: Final = "plan.without-undo"
"""The toggle with which jobs go that no undo could bring back."""

MOST_KINDS: Final = 1000
"""Most groups in a plan; every job may have another name and error."""

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
    """For code 0: why it stays; for -3 where it is, if that was read."""
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

    @property
    def result(self) -> Result:
        """The result that is expected."""
        return Result(
            self.row.id, self.code, self.target, "" if self.code is Code.DONE else self.why
        )


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
    """Predictions, counted. Grows with the number of groups and parents, not of jobs."""

    def __init__(self, state: JobState) -> None:
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
        self._kinds: Counter[tuple[str, str, Code, str]] = Counter()
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
        kind = (row.name, error, one.code, one.target or one.why)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = ("", "(other jobs)", one.code, "")
        self._kinds[kind] += 1
        if one.code is Code.CURRENT_ITERATION:
            self.schedulers[hanging.scheduler] += 1
        if one.code is not Code.DONE:
            return
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
        """Returns the parents that wait for no other job, so that they run next."""
        return [key for key, gone in self._left_by.items() if gone >= self._waited[key]]

    def kinds(self) -> list[tuple[tuple[str, str, Code, str], int]]:
        """The jobs grouped by name, error and fate, largest group first.

        Errors that differ in one word are one, as in error groups.
        """
        errors, kinds = Counter[str](), Counter[tuple[str, str, Code, str]]()
        for kind, jobs in self._kinds.items():
            errors[kind[1]] += jobs
        named = merged(errors)
        for (name, error, code, fate), jobs in self._kinds.items():
            kinds[name, named[error], code, fate] += jobs
        return kinds.most_common()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalPlan:
    """A removal as it would go now; an `ActionPlan`."""

    status: QueueStatus
    selection: Selection
    """The jobs, each pinned; or a query on finished ones."""
    tally: PredictionTally
    predictions: tuple[Prediction, ...] = ()
    """Job by job, for jobs chosen by id."""
    selected: int | None = None
    """Jobs that a campaign selected when it began, if this plan resumes it."""

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""
        return self.selection.queue

    @property
    def state(self) -> JobState:
        """The state out of which they are removed."""
        return self.selection.state

    @property
    def by_query(self) -> bool:
        """Whether its jobs come from a query, not yet turned into a list of ids."""
        return isinstance(self.selection, Query)

    @property
    def jobs(self) -> int:
        """Number of jobs in the selection."""
        return self.tally.jobs if self.selected is None else self.selected

    @property
    def refusal(self) -> str:
        """Why none of it can be carried out."""
        why = self.status.kind.refusal
        return f"Nothing will be removed: the queue is {why}." if why else ""

    @property
    def verb(self) -> Verb:
        """What it does."""
        return Verb.REMOVE

    def action(self, client: Client, options: PlanOptions) -> Remove:
        """Returns the action, with its own writer."""
        return Remove(
            client,
            RemoveWriter(client),
            self,
            children=CHILDREN_TOO in options.on,
            without_undo=WITHOUT_UNDO in options.on,
        )

    @property
    def results(self) -> tuple[Result, ...]:
        """What is expected job by job, for jobs chosen by id."""
        return tuple(one.result for one in self.predictions)

    def expected(self, options: PlanOptions) -> int:
        """Returns how many jobs are expected to have code 1."""
        return self.removable(options)

    def removable(self, options: PlanOptions) -> int:
        """Returns how many jobs are expected to go, without those below them."""
        stay = 0 if WITHOUT_UNDO in options.on else self.tally.large
        return self.tally.codes[Code.DONE] - stay

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does."""
        below = " and all below them" if CHILDREN_TOO in options.on and self.tally.children else ""
        return f"remove {plural(self.removable(options), 'job')}{below}"

    def confirmation(self, options: PlanOptions) -> str:
        """Returns what must be typed: the count, if it is large."""
        return count_to_type(self.removable(options))

    def lines(self, options: PlanOptions) -> list[PlanLine]:
        """Returns its jobs grouped by what happens to them, largest group first."""
        return [
            PlanLine(
                number=jobs,
                name=name,
                note=error,
                place=self._place(code, fate, options),
                refusal=self._stays(code, fate, options),
            )
            for (name, error, code, fate), jobs in self.tally.kinds()
        ]

    def _place(self, code: Code, fate: str, options: PlanOptions) -> str:
        return "" if self._stays(code, fate, options) else fate or REMOVED

    def _stays(self, code: Code, fate: str, options: PlanOptions) -> str:
        if code is Code.DONE:
            return ""
        if code is Code.REFUSED and fate:
            return f"{code.value} {fate}"
        why = fate if code is Code.NOT_IN_STATE else ""
        return f"{code.value} {with_reason(meaning(code, self.state), why)}"

    def warnings(self, options: PlanOptions) -> Iterator[str]:
        """What to know before confirming, in whole sentences; plain text."""
        if self.refusal:
            yield self.refusal
            return
        yield from self._consequences(CHILDREN_TOO in options.on)
        if self.tally.large:
            yield self._without_undo(WITHOUT_UNDO in options.on)
        yield from self._staying()

    def _consequences(self, children_too: bool) -> Iterator[str]:
        """What changes beside the jobs."""
        tally = self.tally
        if released := tally.released():
            loses = "parent loses the last child it waits for: it runs"
            lose = "parents lose the last children they wait for: they run"
            yield (
                f"{plural(len(released), loses, lose)} next, without the results of what is removed"
                f" ({_some(released)})."
            )
        if tally.children:
            yield self._children(children_too)
        if ids := list(tally.deduplications):
            freed = plural(len(ids), "deduplication id is", "deduplication ids are")
            yield f"{freed} released ({_some(ids)})."
        if tally.cleared:
            have = plural(tally.cleared, "id has", "ids have")
            yield f"{have} no job data: only the id is removed."

    def _staying(self) -> Iterator[str]:
        """Which jobs stay, and why."""
        tally = self.tally
        if tally.locked:
            they = plural(
                tally.locked, "job is locked by a worker: it", "jobs are locked by a worker: they"
            )
            stay = "stays" if tally.locked == 1 else "stay"
            yield f"{they} {stay} (0)."
        if tally.schedulers:
            held = plural(
                tally.schedulers.total(),
                "job is what a scheduler runs next: it stays (-8), else the scheduler",
                "jobs are what schedulers run next: they stay (-8), else the schedulers",
            )
            yield (
                f"{held} would never run again; remove the scheduler instead"
                f" ({_some(list(tally.schedulers))})."
            )
        gone, left = tally.codes[Code.NO_SUCH_JOB], tally.codes[Code.NOT_IN_STATE]
        if gone:
            yield f"{plural(gone, 'job is', 'jobs are')} gone already (-1)."
        if left:
            yield f"{plural(left, 'job is', 'jobs are')} not in {self.state} (-3)."

    def _without_undo(self, too: bool) -> str:
        large = plural(self.tally.large, "job is", "jobs are")
        if too:
            return f"{large} too large for the journal: they are removed for good."
        return f"{large} too large for the journal: they stay, since that could not be undone."

    def _children(self, too: bool) -> str:
        tally = self.tally
        parents = plural(tally.with_children, "job has", "jobs have")
        children = plural(tally.children, "child", "children")
        if too:
            what = "it and all jobs below it" if tally.children == 1 else "these and all below them"
            return f"{parents} {children}: {what} are removed too."
        stay = "stays and runs" if tally.children == 1 else "stay and run"
        return f"{parents} {children}, which {stay} without a parent."


def _some(names: Sequence[str]) -> str:
    """Names for people: ``a, b, c and 4 more``."""
    shown = ", ".join(plain(one) for one in names[:_NAMED])
    return shown + (f" and {count(len(names) - _NAMED)} more" if len(names) > _NAMED else "")


async def make_removal_plan(
    client: Client,
    selection: Selection,
    *,
    progress: Callable[[int, int], None] = lambda seen, total: None,
    report: Callable[[Sequence[Prediction]], None] = lambda predictions: None,
    rate: float | None = None,
) -> RemovalPlan:
    """Reads the selected jobs and what hangs on each, and predicts what a removal would do.

    Args:
        client: where to read.
        selection: which jobs, in any state.
        progress: called after each step with how many jobs have been read, and of how many.
        report: called with each prediction; the plan of a query does not keep them.
        rate: jobs a second that a query reads at most, see `qtui.bullmq.search.walk.Walk`.

    Costs what `chosen_rows` or a `Hunt` costs, and what `read_hanging` costs. A query on a state
    whose scores are no moments becomes the jobs that were seen: some 100 bytes a job.
    """
    queue, state = selection.queue, selection.state
    [status] = await read_status(client, [queue])
    tally = PredictionTally(state)

    async def predicted(rows: Sequence[Row]) -> list[Prediction]:
        known = iter(await read_hanging(client, queue, state, [row.id for row in rows if _is(row)]))
        found = [predict(row, next(known) if _is(row) else Hanging(), status) for row in rows]
        if not isinstance(selection, Chosen):
            return found
        elsewhere = await states_elsewhere(client, queue, rows)
        return [
            replace(one, why=elsewhere[one.row.id]) if one.row.id in elsewhere else one
            for one in found
        ]

    kept: list[Prediction] = []
    picked: list[Picked] = []
    async for rows, seen, total in selected_rows(client, selection, rate=rate):
        some = await predicted(rows)
        tally.add(some)
        report(some)
        if isinstance(selection, Chosen):
            kept += some
        if is_fixed_by(selection):
            picked += [one.picked for one in some]
        progress(seen, total)
    return RemovalPlan(
        status=status, selection=fixed(selection, picked), tally=tally, predictions=tuple(kept)
    )


def _is(row: Row) -> bool:
    """Whether there is a job on which something may hang."""
    return row.score is not None and not row.missing
