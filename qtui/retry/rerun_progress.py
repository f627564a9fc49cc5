"""What has become of a rerun so far: how many of its jobs are done, and what failed. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.flow import Node, read_nodes
from qtui.bullmq.model import JobState
from qtui.retry.rerun_plan import Part, RerunPlan, Start
from qtui.text import count, plural

CHUNK: Final = 250
"""Jobs that are read in one round trip."""


@dataclass(frozen=True, slots=True)
class RerunProgress:
    """How far a rerun has come."""

    plan: RerunPlan
    completed: int = 0
    failed: tuple[Node, ...] = ()
    """Jobs that failed again; with their ancestors, where their option says so."""
    gone: int = 0
    """Jobs that ran and were removed, or were removed by somebody."""

    @property
    def is_over(self) -> bool:
        """Whether every job that runs again is decided."""
        return self.completed + len(self.failed) + self.gone >= self.plan.jobs

    @property
    def words(self) -> str:
        """For a banner: ``resumed from 2 failed jobs; 3 of 5 done``."""
        first = len(self.plan.of(Part.RUNS))
        begun = f"resumed from {plural(first, 'failed job')}"
        if self.plan.start is Start.START:
            begun = "rerun from the start"
        done = f"{count(self.completed + self.gone)} of {count(self.plan.jobs)} done"
        failed = f", {count(len(self.failed))} failed" if self.failed else ""
        return f"{begun}; {done}{failed}"


async def read_progress(client: Client, plan: RerunPlan) -> RerunProgress:
    """Looks at the jobs that a plan runs again, after it was carried out.

    A job counts when it has finished anew: at another score than the one that the plan saw.

    Costs what `read_nodes` costs for every `CHUNK` of them.

    Raises:
        redis.exceptions.NoPermissionError: we may not look at one of the queues.
    """
    before = {step.node.key: step.node for step in plan.of(Part.RUNS, Part.FOLLOWS)}
    names = [node.name for node in before.values()]
    completed = gone = 0
    failed: list[Node] = []
    for start in range(0, len(names), CHUNK):
        for node in await read_nodes(client, names[start : start + CHUNK]):
            was = before[node.key]
            anew = (node.state, node.row.score) != (was.state, was.row.score)
            completed += anew and node.state is JobState.COMPLETED
            gone += node.row.missing
            if anew and node.state is JobState.FAILED:
                failed.append(node)
    return RerunProgress(plan, completed, tuple(failed), gone)
