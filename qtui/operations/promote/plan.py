"""What a promotion will do, worked out before anything is written. Reads only.

A plan fixes its jobs: each is pinned to the moment at which it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import QueueEvidence, speaks_modern
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus, Row
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.schedulers.iterations import current_iterations
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.operations.planning.brakes import THE_QUEUE, queue_brakes
from qtui.operations.planning.forecast import (
    Forecast,
    ForecastTally,
    forecasts_of,
    kept_together,
    located,
)
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.promote.promote import Promote
from qtui.operations.supply.reading import fixed, is_fixed_by, selected_rows, states_elsewhere
from qtui.operations.supply.selection import Chosen, Query, Selection
from qtui.text import plain, plural
from qtui.verbs import Verb

_NAMED = 3
"""Schedulers that a warning names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionPlan:
    """A promotion as it would go now; an `ActionPlan`."""

    status: QueueStatus
    selection: Selection
    """The jobs, each pinned to the moment it is due."""
    tally: ForecastTally
    workers: int | None
    """Workers seen on the queue; None where they can't be listed."""
    results: tuple[Result, ...] = ()
    """What is expected job by job, for jobs chosen by id."""
    schedulers: tuple[str, ...] = ()
    """Those whose current iterations are among the jobs."""
    by_query: bool = False
    """Whether a query found the jobs, so that their count is typed above a limit."""
    brakes: tuple[str, ...] = ()
    """What will stop or delay the runs, in sentences."""
    mistyped: tuple[str, ...] = ()
    """Suffixes of keys that are of another type than BullMQ's, so that no job can go there."""

    @property
    def verb(self) -> Verb:
        """What it does."""
        return Verb.PROMOTE

    def action(self, client: Client, options: PlanOptions) -> Promote:
        """Returns the action, with its own writer."""
        return Promote(client, PromoteWriter(client), self)

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""
        return self.selection.queue

    @property
    def state(self) -> JobState:
        """The state out of which they are promoted: delayed."""
        return self.selection.state

    @property
    def jobs(self) -> int:
        """Number of jobs in the selection."""
        return self.tally.jobs

    @property
    def refusal(self) -> str:
        """Why none of it can be carried out."""
        why = self.status.kind.refusal
        return f"Nothing will be promoted: the queue is {why}." if why else ""

    def expected(self, options: PlanOptions) -> int:
        """Returns how many jobs are expected to be promoted."""
        return self.tally.codes[Code.DONE]

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does."""
        return f"promote {plural(self.expected(options), 'job')}"

    def confirmation(self, options: PlanOptions) -> str:
        """Returns what must be typed: the count of a large query."""
        return count_to_type(self.expected(options)) if self.by_query else ""

    def lines(self, options: PlanOptions) -> list[PlanLine]:
        """Returns its jobs grouped by what happens to them, largest group first."""
        return [group.line(self.state) for group in self.tally.groups()]

    def warnings(self, options: PlanOptions) -> Iterator[str]:
        """What to know before confirming, in whole sentences; plain text."""
        if self.refusal:
            yield self.refusal
            return
        codes = self.tally.codes
        if codes[Code.DONE]:
            yield from self._condition()
            yield from self.brakes
        if codes[Code.CURRENT_ITERATION]:
            yield self._iterations(codes[Code.CURRENT_ITERATION])
        if self.mistyped and codes[Code.REFUSED]:
            keys = ", ".join(plain(self.queue.key(suffix)) for suffix in self.mistyped)
            yield f"Redis will refuse jobs (0): not of the type that BullMQ makes: {keys}."
        if gone := codes[Code.NO_SUCH_JOB]:
            yield f"{plural(gone, 'job is', 'jobs are')} gone (-1): nothing is left to run."
        if left := codes[Code.NOT_IN_STATE]:
            yield f"{plural(left, 'job is', 'jobs are')} not in {self.state} (-3)."

    def _condition(self) -> Iterator[str]:
        if self.status.paused:
            yield "The queue is paused: nothing runs until it is resumed."
        elif self.status.maxed:
            yield f"The global concurrency limit of {self.status.concurrency} is reached."
        if self.workers == 0:
            yield "No worker seen on this queue: the jobs wait until one connects."

    def _iterations(self, jobs: int) -> str:
        names = ", ".join(map(plain, self.schedulers[:_NAMED]))
        names += ", …" if len(self.schedulers) > _NAMED else ""
        held = plural(
            jobs,
            "job is what a scheduler runs next: it stays (-8), since promoting it would skip its",
            "jobs are what schedulers run next: they stay (-8), since promoting one would skip its",
        )
        return f"{held} scheduled time; run the scheduler now instead ({names})."


async def make_promotion_plan(
    client: Client,
    selection: Selection,
    *,
    progress: Callable[[int, int], None] = lambda seen, total: None,
    report: Callable[[Sequence[Result]], None] = lambda results: None,
    rate: float | None = None,
) -> PromotionPlan:
    """Reads the selected jobs and predicts what a promotion would do with each.

    Args:
        client: where to read.
        selection: which delayed jobs.
        progress: called after each step with how many jobs have been read, and of how many.
        report: called with what is expected of each job; the plan of a query does not keep it.
        rate: jobs a second that a query reads at most, see `qtui.bullmq.search.walk.Walk`.

    Costs what `selected_rows` costs, and some round trips more.

    Raises:
        ValueError: the state is not delayed.
    """
    queue, state = selection.queue, selection.state
    if state is not JobState.DELAYED:
        raise ValueError(f"{state} jobs can't be promoted, only delayed ones")
    [status] = await read_status(client, [queue])
    evidence = await Reader(client).evidence(queue)
    workers = await read_workers(client, [queue])
    tally, picked = ForecastTally(state), list[Picked]()
    results, schedulers = list[Result](), dict[str, None]()
    async for read in selected_rows(client, selection, rate=rate):
        iterations = await current_iterations(client, queue, [row.id for row in read.rows])
        some, evidence = _forecasts(read.rows, iterations, status, evidence)
        if isinstance(selection, Chosen):
            some = located(some, await states_elsewhere(client, queue, read.rows))
        tally.add(some)
        expected = [_result(one, iterations) for one in some]
        report(expected)
        schedulers |= dict.fromkeys(iterations.values())
        picked += [one.picked for one in some]
        results += expected if isinstance(selection, Chosen) else ()
        progress(read.seen, read.total)
    tally.keep_together()
    assert is_fixed_by(selection)
    brakes = await queue_brakes(client, status, tally.destined, THE_QUEUE) if picked else []
    return PromotionPlan(
        status=status,
        selection=fixed(selection, picked),
        tally=tally,
        workers=None if workers is None else workers[queue],
        results=tuple(results),
        schedulers=tuple(schedulers),
        by_query=isinstance(selection, Query),
        brakes=tuple(brakes),
        mistyped=tuple(sorted(evidence.mistyped)),
    )


def _forecasts(
    rows: Sequence[Row], iterations: dict[str, str], status: QueueStatus, evidence: QueueEvidence
) -> tuple[list[Forecast], QueueEvidence]:
    """What the script would do with jobs; one that has never run speaks as its queue does."""
    spoken = speaks_modern(evidence)
    known = [row._replace(modern=spoken) if row.modern is None else row for row in rows]
    here = [row for row in known if row.id not in iterations]
    found, evidence = forecasts_of(here, status, evidence)
    by_id = {one.row.id: one for one in kept_together(found)}
    return [
        by_id[row.id] if row.id in by_id else Forecast(row, Code.CURRENT_ITERATION, None)
        for row in known
    ], evidence


def _result(one: Forecast, iterations: dict[str, str]) -> Result:
    target = one.target.value if one.target else ""
    return Result(one.row.id, one.code, target, iterations.get(one.row.id, one.elsewhere))
