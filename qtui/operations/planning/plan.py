"""What a retry will do, worked out before anything is written. Reads only.

A plan fixes its jobs: each is pinned to the finish at which it was seen, so that a job which fails
again meanwhile is not retried by the campaign that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import REFUSED
from qtui.bullmq.dialect import Destination, QueueEvidence
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, QueueStatus, Row
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.scores import count_up_to
from qtui.bullmq.reads.status import read_status
from qtui.operations.planning.brakes import THE_QUEUE, job_brakes, queue_brakes
from qtui.operations.planning.family_warnings import (
    MOST_FAMILIES,
    FamilyWarning,
    family_warnings,
    unlooked,
)
from qtui.operations.planning.forecast import (
    Forecast,
    ForecastTally,
    after_children,
    barred,
    by_age,
    forecasts_of,
    kept_together,
    located,
)
from qtui.operations.planning.groups import PlanGroup
from qtui.operations.supply.kin import Kin
from qtui.operations.supply.reading import states_elsewhere
from qtui.operations.supply.selection import (
    Chosen,
    Query,
    Selection,
    chosen_rows,
    hunt_for,
    met_rows,
)
from qtui.text import first_line, plain, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Resets:
    """Which attempt counters a retry deletes."""

    made: bool = False
    started: bool = False

    def words(self) -> list[str]:
        """What is reset, as the plans call it."""
        named = (("made", self.made), ("started", self.started))
        return [f"reset attempts {name}" for name, on in named if on]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A retry as it would go now."""

    status: QueueStatus
    selection: Selection
    """The chosen jobs oldest finish first, each pinned to it; or the query."""
    tally: ForecastTally
    workers: int | None
    """Workers seen on the queue; None where they can't be listed."""
    forecasts: tuple[Forecast, ...] = ()
    """Job by job, for chosen ones; a query's are reported as they are read, see `make_plan`."""
    selected: int | None = None
    """Jobs that a campaign selected when it began, if this plan resumes it."""
    families: tuple[FamilyWarning, ...] = ()
    """What it would leave behind in flows, as far as they were looked at."""
    kin: Kin | None = None
    """Which of its jobs are parents of others among them; None where not all were read."""
    after_children: int = 0
    """Parents of others among them, each of which runs after its children."""

    mistyped: tuple[str, ...] = ()
    """Suffixes of keys that are of another type than BullMQ's, so that no job can go there."""
    brakes: tuple[str, ...] = ()
    """What will stop, delay or double a run, in sentences; see
    `qtui.operations.planning.brakes`.
    """

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""
        return self.selection.queue

    @property
    def state(self) -> JobState:
        """The state out of which they are retried."""
        return self.selection.state

    @property
    def jobs(self) -> int:
        """Jobs in the selection."""
        return self.tally.jobs if self.selected is None else self.selected

    @property
    def by_query(self) -> bool:
        """Whether a query found the jobs, so that their count is typed above a limit."""
        return isinstance(self.selection, Query)

    def count(self, code: Code) -> int:
        """Jobs that are expected to end with ``code``."""
        return self.tally.codes[code]

    def groups(self) -> list[PlanGroup]:
        """The jobs grouped by name, error and fate, largest group first."""
        return self.tally.groups()

    @property
    def relative(self) -> str | None:
        """A job whose flow shows what it would leave behind; None where nothing is."""
        return next((job_id for one in self.families for job_id in one.jobs), None)

    def warnings(self, resets: Resets) -> Iterator[str]:
        """What to know before confirming, in whole sentences; plain text."""
        if self.status.kind.refusal:
            yield f"Nothing will be retried: the queue is {self.status.kind.refusal}."
        exhausted = self.tally.exhausted
        if exhausted and not resets.made:
            yield used_up(exhausted)
        if retried := self.count(Code.DONE):
            if self.state is JobState.COMPLETED:
                lose = plural(
                    retried, "job loses its return value", "jobs lose their return values"
                )
                yield f"{lose}; the journal keeps a copy."
            if self.after_children:
                runs = "runs after its" if self.after_children == 1 else "run after their"
                yield f"{plural(self.after_children, 'parent')} {runs} children."
            yield from (one.sentence for one in self.families)
            yield from self._condition()
            yield from self.brakes
            # Where nothing is retried, the groups and the answer say all of this.
            if gone := self.count(Code.NO_SUCH_JOB):
                yield f"{plural(gone, 'job is', 'jobs are')} gone (-1) and cannot be retried."
            if left := self.count(Code.NOT_IN_STATE):
                yield f"{plural(left, 'job is', 'jobs are')} not in {self.state} (-3)."
        if self.mistyped and self.count(Code.REFUSED):
            keys = ", ".join(plain(self.queue.key(suffix)) for suffix in self.mistyped)
            yield f"Redis will refuse jobs (0): not of the type that BullMQ makes: {keys}."

    def _condition(self) -> Iterator[str]:
        if self.status.paused:
            yield "The queue is paused: nothing runs until it is resumed."
        elif self.status.maxed:
            yield f"The global concurrency limit of {self.status.concurrency} is reached."
        if self.workers == 0:
            yield "No worker seen on this queue: the jobs wait until one connects."


def used_up(jobs: int) -> str:
    """Returns the warning about jobs whose attempts are used up, one or more."""
    have = plural(jobs, "job has used up its", "jobs have used up their")
    runs = "it runs" if jobs == 1 else "they run"
    return f"{have} attempts: {runs} once more, and a failure is final."


class _Sample:
    """Jobs of a plan whose families are looked at: first those that are known to have one."""

    def __init__(self) -> None:
        self._parents: list[Row] = []
        self._children: list[Row] = []
        self._others: list[Row] = []

    def add(self, forecasts: Iterable[Forecast]) -> None:
        """Takes as many as are needed, and one more to know whether there are more."""
        if len(self._others) > MOST_FAMILIES:  # as good as always: only families are of interest
            waits = Destination.WAITING_CHILDREN
            forecasts = [one for one in forecasts if one.row.parent_key or one.target is waits]
        for one in forecasts:
            some = self._children if one.row.parent_key else self._others
            if one.target is Destination.WAITING_CHILDREN:
                some = self._parents
            most = MOST_FAMILIES // 2 if some is self._parents else MOST_FAMILIES
            if one.code is Code.DONE and len(some) <= most:
                some.append(one.row)

    @property
    def ids(self) -> list[str]:
        """The jobs that it has taken."""
        return [row.id for row in (*self._parents, *self._children, *self._others)]

    async def warnings(
        self, client: Client, selection: Selection, evidence: QueueEvidence, kin: Kin
    ) -> tuple[FamilyWarning, ...]:
        """What a retry would leave behind, or that Redis did not let it be looked at."""
        rows = [*self._parents, *self._children, *self._others]
        try:
            return tuple(await family_warnings(client, selection.queue, rows, evidence, kin))
        except REFUSED as error:
            return (unlooked(first_line(str(error))),)


async def _brakes(
    client: Client, status: QueueStatus, tally: ForecastTally, sample: _Sample
) -> tuple[str, ...]:
    if not sample.ids:
        return ()
    of_queue = await queue_brakes(client, status, tally.destined, THE_QUEUE)
    return (*of_queue, *await job_brakes(client, status.queue, sample.ids))


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a plan rests on beside its jobs."""

    client: Client
    status: QueueStatus
    evidence: QueueEvidence
    workers: int | None

    @classmethod
    async def read(cls, client: Client, queue: QueueKey) -> _Ground:
        """Reads it."""
        [status] = await read_status(client, [queue])
        evidence = await Reader(client).evidence(queue)
        workers = await read_workers(client, [queue])
        return cls(client, status, evidence, None if workers is None else workers[queue])


async def make_plan(
    client: Client,
    selection: Selection,
    *,
    progress: Callable[[int, int], None] = lambda seen, total: None,
    report: Callable[[Sequence[Forecast]], None] = lambda forecasts: None,
    early: Callable[[Plan], None] = lambda plan: None,
    rate: float | None = None,
) -> Plan:
    """Reads the selected jobs and predicts what a retry would do with each.

    Args:
        client: where to read.
        selection: which jobs.
        progress: called after each step with how many jobs have been read, and of how many.
        report: called with each forecast; the plan of a query does not keep them.
        early: called with the plan of a whole state before its jobs are read: how many they are is
            known at once, and its tally grows while they are read.
        rate: jobs a second that a query reads at most, see `qtui.bullmq.search.walk.Walk`.

    Costs what `chosen_rows` or a `Hunt` costs, what `family_warnings` costs, and ten round trips
    more.

    Raises:
        ValueError: jobs in that state can't be retried.
    """
    if not selection.state.is_finished:
        raise ValueError(f"{selection.state} jobs can't be retried, only completed and failed ones")
    ground = await _Ground.read(client, selection.queue)
    if isinstance(selection, Query):
        return await _of_query(ground, selection, progress, report, early, rate)
    return await _of_chosen(ground, selection, progress, report)


async def _of_query(
    ground: _Ground,
    selection: Query,
    progress: Callable[[int, int], None],
    report: Callable[[Sequence[Forecast]], None],
    early: Callable[[Plan], None],
    rate: float | None,
) -> Plan:
    client, queue, evidence = ground.client, selection.queue, ground.evidence
    tally, sample, kin = ForecastTally(selection.state), _Sample(), Kin(queue)
    if selection.filter is None:
        early(
            Plan(
                status=ground.status,
                selection=selection,
                tally=tally,
                workers=ground.workers,
                selected=await count_up_to(client, queue, selection.state, selection.until),
            )
        )
    hunt = hunt_for(client, selection, LIST_FIELDS, rate=rate, ahead=True)
    async for step in hunt.steps():
        rows = await met_rows(client, selection, step)
        here = [one for one in rows if one.score is not None]
        kin.add([one.id for one in here], [one.parent_key for one in here])
        found, evidence = forecasts_of(here, ground.status, evidence)
        found = after_children(kept_together(found), kin)
        tally.add(found)
        sample.add(found)
        report(found)
        progress(hunt.seen, hunt.total)
    tally.keep_together()
    families = await sample.warnings(client, selection, evidence, kin)
    return Plan(
        status=ground.status,
        selection=selection,
        tally=tally,
        workers=ground.workers,
        families=families,
        kin=kin,
        after_children=kin.parents,
        mistyped=tuple(sorted(evidence.mistyped)),
        brakes=await _brakes(client, ground.status, tally, sample),
    )


async def _of_chosen(
    ground: _Ground,
    selection: Chosen,
    progress: Callable[[int, int], None],
    report: Callable[[Sequence[Forecast]], None],
) -> Plan:
    client, queue = ground.client, selection.queue
    tally, sample, kin = ForecastTally(selection.state), _Sample(), Kin(queue)
    chosen: list[Row] = []
    async for some in chosen_rows(client, selection):
        chosen += some
        progress(len(chosen), len(selection.jobs))
    forecasts, evidence = forecasts_of(sorted(chosen, key=by_age), ground.status, ground.evidence)
    forecasts = located(forecasts, await states_elsewhere(client, queue, chosen))
    done = [one.row for one in forecasts if one.code is Code.DONE]
    kin.add([one.id for one in done], [one.parent_key for one in done])
    ordered = after_children(kept_together(forecasts), kin)
    sample.add(ordered)
    families = await sample.warnings(client, selection, evidence, kin)
    ordered = barred(ordered, families)
    tally.add(ordered)
    report(ordered)
    return Plan(
        status=ground.status,
        selection=replace(selection, jobs=tuple(one.picked for one in ordered)),
        tally=tally,
        workers=ground.workers,
        forecasts=tuple(ordered),
        families=families,
        kin=kin,
        after_children=sum(one.target is Destination.WAITING_CHILDREN for one in ordered),
        mistyped=tuple(sorted(evidence.mistyped)),
        brakes=await _brakes(client, ground.status, tally, sample),
    )
