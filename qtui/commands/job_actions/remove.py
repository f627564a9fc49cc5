"""`qtui remove`: shows the plan, asks, removes the jobs, and prints each job's result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import REFUSED
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.places import states_of
from qtui.bullmq.reads.reader import Whereabouts
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.commands.shared.find import find_queue
from qtui.commands.shared.picked import (
    JobsCommand,
    JobsReport,
    JobsRequest,
    act_on_jobs,
    act_on_plan,
    begin_report,
)
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS, USAGE, CommandError, Workplace
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.remove.forecast import Prediction
from qtui.operations.remove.plan import (
    CHILDREN_TOO,
    WITHOUT_UNDO,
    RemovalPlan,
    make_removal_plan,
)
from qtui.operations.remove.reasons import is_kept
from qtui.operations.remove.remove import Remove
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.remove.stray import StrayPlan, make_stray_plan
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.supply.selection import Selection
from qtui.verbs import Verb

_SOUGHT: Final = 250
"""Most ids that are looked for in all states."""


class RemovalReport(JobsReport):
    """Prints what became of jobs that were to be removed."""

    _kept = 0
    """Jobs that are kept for their own reason, not because Redis refused."""

    @property
    def code(self) -> int:
        """The exit code, if nothing cut the campaign short."""
        if self._codes[Code.REFUSED] > self._kept:
            return REDIS
        return DONE if self._codes[Code.DONE] == self.selected else NOT_ALL

    def results(self, results: Iterable[Result]) -> None:
        """Prints results and flushes them."""
        results = list(results)
        self._kept += sum(map(is_kept, results))
        super().results(results)

    @property
    def summary(self) -> str:
        """The counts as one line."""
        return super().summary.replace("refused by Redis (0)", "kept (0)")


async def _plan(
    client: Client,
    selection: Selection,
    *,
    without_undo: bool = False,
    progress: Callable[[int, int], None],
    report: Callable[[Sequence[Result]], None],
    rate: float | None,
) -> RemovalPlan:
    def results_of(predictions: Sequence[Prediction]) -> None:
        report([one.result(without_undo=without_undo) for one in predictions])

    return await make_removal_plan(
        client, selection, progress=progress, report=results_of, rate=rate
    )


async def _resume(taken: Interrupted, client: Client) -> Campaign[Remove]:
    return await resume_removal(taken, client, RemoveWriter(client))


REMOVE: Final[JobsCommand[RemovalPlan]] = JobsCommand(
    verb=Verb.REMOVE, plan=_plan, resume=_resume, report=RemovalReport, preposition="from"
)
"""What `act_on_jobs` and `resume_jobs` need of a removal."""


def remove_ids(place: Workplace, request: JobsRequest) -> int:
    """Removes jobs given by id from the state that they are in; returns the exit code.

    Raises:
        CommandError: they are in different states, or it is not certain in which.
    """
    begin_report(place, REMOVE, request)

    async def find(client: Client) -> dict[str, Whereabouts]:
        status = await find_queue(client, place.settings.prefixes, request.queue)
        return await states_of(client, status.queue, request.ids)

    if len(request.ids) > _SOUGHT:
        raise CommandError(
            f"more than {_SOUGHT} ids: pass --state, to look for them in one state only", USAGE
        )
    try:
        found = place.ask(find)
    except REFUSED as error:
        raise CommandError(f"pass --state: {error}", NOT_ALL) from None
    there = {job_id: one for job_id, one in found.items() if one.state or one.exists}
    states = {one.state for one in there.values()}
    if len(states) > 1:
        where = ", ".join(f"{job_id} {one.words}" for job_id, one in there.items())
        raise CommandError(
            f"the jobs are in different states ({where}): give the ids of one state", USAGE
        )
    state = next(iter(states), None)
    words, options = own_options(
        state,
        children=CHILDREN_TOO in request.options.on,
        without_undo=WITHOUT_UNDO in request.options.on,
    )
    return remove_from(place, replace(request, state=state, words=words, options=options))


def remove_from(place: Workplace, request: JobsRequest) -> int:
    """Removes jobs from the state in the request, or such as are in none.

    Raises:
        CommandError: they are in none, and those below them are to go too.
    """
    without_undo = WITHOUT_UNDO in request.options.on
    if request.state is not None:
        plan = partial(_plan, without_undo=without_undo)
        return act_on_jobs(place, replace(REMOVE, plan=plan), request)
    if CHILDREN_TOO in request.options.on:
        raise CommandError(
            "--with-children takes jobs that are in a state: remove the children by their ids",
            USAGE,
        )
    report = begin_report(place, REMOVE, request)

    async def read(client: Client) -> StrayPlan:
        status = await find_queue(client, place.settings.prefixes, request.queue)
        return await make_stray_plan(client, status.queue, request.ids, without_undo=without_undo)

    strays = place.ask(read)
    if request.dry_run:
        report.results(strays.results)
    return act_on_plan(place, REMOVE, strays, request, report)


def own_options(
    state: JobState | None, *, children: bool, without_undo: bool
) -> tuple[tuple[str, ...], PlanOptions]:
    """Returns the options of a removal: as the journal records them, and as its plan takes them.

    Args:
        state: the state of the jobs.
        children: whether the jobs below them go too.
        without_undo: whether jobs go too that no undo could bring back.
    """
    words = ["--state", state.value] if state else []
    words += ["--with-children"] if children else []
    words += ["--without-undo"] if without_undo else []
    on = {CHILDREN_TOO: children, WITHOUT_UNDO: without_undo}
    return tuple(words), PlanOptions(on=frozenset(name for name, is_on in on.items() if is_on))
