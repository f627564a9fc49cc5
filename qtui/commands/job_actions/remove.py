"""`qtui remove`: shows the plan, asks, removes the jobs, and prints each job's result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.commands.shared.picked import JobsCommand, JobsReport
from qtui.commands.shared.run import DONE, NOT_ALL, REDIS
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.remove.plan import (
    CHILDREN_TOO,
    WITHOUT_UNDO,
    Prediction,
    RemovalPlan,
    make_removal_plan,
)
from qtui.operations.remove.reasons import is_kept
from qtui.operations.remove.remove import Remove
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.supply.selection import Selection
from qtui.verbs import Verb


class RemovalReport(JobsReport):
    """Prints what became of jobs that were to be removed."""

    _kept = 0
    """Jobs that stay for a reason of their own, not since Redis refused."""

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
    progress: Callable[[int, int], None],
    report: Callable[[Sequence[Result]], None],
    rate: float | None,
) -> RemovalPlan:
    def results_of(predictions: Sequence[Prediction]) -> None:
        report([one.result for one in predictions])

    return await make_removal_plan(
        client, selection, progress=progress, report=results_of, rate=rate
    )


async def _resume(taken: Interrupted, client: Client) -> Campaign[Remove]:
    return await resume_removal(taken, client, RemoveWriter(client))


REMOVE: Final[JobsCommand[RemovalPlan]] = JobsCommand(
    verb=Verb.REMOVE, plan=_plan, resume=_resume, report=RemovalReport, preposition="from"
)
"""What `act_on_jobs` and `resume_jobs` need of a removal."""


def own_options(
    state: JobState, *, children: bool, without_undo: bool
) -> tuple[tuple[str, ...], PlanOptions]:
    """Returns the options of a removal: as the journal records them, and as its plan takes them.

    Args:
        state: the state of the jobs.
        children: whether the jobs below them go too.
        without_undo: whether jobs go too that no undo could bring back.
    """
    words = ["--state", state.value]
    words += ["--with-children"] if children else []
    words += ["--without-undo"] if without_undo else []
    on = {CHILDREN_TOO: children, WITHOUT_UNDO: without_undo}
    return tuple(words), PlanOptions(on=frozenset(name for name, is_on in on.items() if is_on))
