"""What a removal will do, worked out before anything is written. Reads only.

A plan fixes its jobs: each is pinned to what it was when it was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.hanging import Hanging, read_hanging
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus, Row
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.remove.forecast import Prediction, PredictionTally, predict
from qtui.operations.remove.remove import Remove
from qtui.operations.supply.reading import fixed, is_fixed_by, selected_rows, states_elsewhere
from qtui.operations.supply.selection import Chosen, Query, Selection
from qtui.text import plural
from qtui.verbs import Verb

CHILDREN_TOO: Final = "plan.children"
"""The toggle with which the jobs below go too."""

WITHOUT_UNDO: Final = "plan.without-undo"
"""The toggle with which jobs go that no undo could bring back."""


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
        return tuple(one.result() for one in self.predictions)

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
        return self.tally.lines(without_undo=WITHOUT_UNDO in options.on)

    def warnings(self, options: PlanOptions) -> Iterator[str]:
        """What to know before confirming, in whole sentences; plain text."""
        if self.refusal:
            yield self.refusal
            return
        yield from self.tally.consequences(children_too=CHILDREN_TOO in options.on)
        yield from self.tally.without_undo(too=WITHOUT_UNDO in options.on)
        yield from self.tally.staying()


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
    tally = PredictionTally(state, queue)

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
    above: dict[str, str] = {}
    start = queue.key("")
    async for rows, seen, total in selected_rows(client, selection, rate=rate):
        some = await predicted(rows)
        tally.add(some)
        report(some)
        if isinstance(selection, Chosen):
            kept += some
        if is_fixed_by(selection):
            picked += [one.picked for one in some]
            above |= {
                one.row.id: one.hanging.parent.removeprefix(start)
                for one in some
                if one.hanging.parent_waits and one.hanging.parent.startswith(start)
            }
        progress(seen, total)
    return RemovalPlan(
        status=status,
        selection=fixed(selection, _parents_first(picked, above)),
        tally=tally,
        predictions=tuple(kept),
    )


def _parents_first(picked: Sequence[Picked], above: Mapping[str, str]) -> Sequence[Picked]:
    """Returns the jobs with each behind its parent, if that one goes too.

    Else the parent would lose its last child in a call before its own, and run.

    Args:
        picked: the jobs.
        above: by id the parent that waits for a job.
    """
    by_id = {one.job_id: one for one in picked}
    if by_id.keys().isdisjoint(above.values()):
        return picked
    found: dict[str, Picked] = {}
    for one in picked:
        line: dict[str, Picked] = {}
        job_id = one.job_id
        while job_id in by_id and job_id not in found and job_id not in line:
            line[job_id] = by_id[job_id]
            job_id = above.get(job_id, "")
        found |= reversed(line.items())
    return list(found.values())


def _is(row: Row) -> bool:
    """Whether there is a job on which something may hang."""
    return row.score is not None and not row.missing
