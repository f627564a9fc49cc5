"""What has become of a rerun so far: how many of its jobs are done, and what failed. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.lineage import NODES_AT_ONCE, Node, read_nodes
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.scores import read_finishes
from qtui.bullmq.signature.headline import spoken
from qtui.operations.flow_rerun.plan import Part, RerunPlan
from qtui.operations.following.outcome import Fate, Outcome
from qtui.text import count

_LIGHT: Final = 1000
"""Jobs of which only their end is looked for in one round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunProgress:
    """How far a rerun has come."""

    plan: RerunPlan
    completed: int = 0
    failed: tuple[Node, ...] = ()
    """Jobs that failed again; with their ancestors, where their option says so."""
    gone: int = 0
    """Jobs that ran and were removed, or that another client removed."""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """The jobs as they were seen last, by full key; of many jobs only those that are decided."""

    @property
    def is_over(self) -> bool:
        """Whether every job that runs again is decided."""
        return self.completed + len(self.failed) + self.gone >= self.plan.jobs

    def outcomes(self) -> dict[str, Outcome]:
        """What has become of each job, by full key."""
        seen = {step.node.key: step.node for step in self.plan.steps}
        fates = {key: fate_of(node, seen[key]) for key, node in self.nodes.items()}
        return {
            key: Outcome(fate, _error(self.nodes[key]) if fate is Fate.FAILED_AGAIN else "")
            for key, fate in fates.items()
        }

    @property
    def words(self) -> str:
        """For a banner: ``rerun: 3 of 5 completed · 1 failed again``."""
        parts = [f"rerun: {count(self.completed)} of {count(self.plan.jobs)} completed"]
        parts += [f"{count(len(self.failed))} failed again"] if self.failed else []
        parts += [f"{count(self.gone)} removed (outcome unknown)"] if self.gone else []
        return " · ".join(parts)


def _error(node: Node) -> str:
    return spoken(node.row.failed_reason or "")


async def read_progress(
    client: Client, plan: RerunPlan, before: RerunProgress | None = None
) -> RerunProgress:
    """Looks at the jobs that a plan runs again, after it was carried out.

    A job counts when it has finished anew: at another score than the one that the plan saw.

    Args:
        client: where to read.
        plan: what was carried out.
        before: an earlier look: jobs that had finished then are not looked at again.

    Costs what `read_nodes` costs for up to `NODES_AT_ONCE` of them. Where more are left it costs
    three commands of O(1) a job, and `read_nodes` for those that have finished or are gone.

    Raises:
        FORBIDDEN: we may not look at one of the queues.
    """
    seen = {step.node.key: step.node for step in plan.of(Part.RUNS, Part.FOLLOWS)}
    nodes = {
        key: node
        for key, node in (before.nodes if before is not None else {}).items()
        if fate_of(node, seen[key]).is_final
    }
    left = [node for key, node in seen.items() if key not in nodes]
    names = [
        node.name for node in (left if len(left) <= NODES_AT_ONCE else await _ended(client, left))
    ]
    for start in range(0, len(names), NODES_AT_ONCE):
        nodes |= {
            node.key: node
            for node in await read_nodes(client, names[start : start + NODES_AT_ONCE])
        }
    fates = {key: fate_of(node, seen[key]) for key, node in nodes.items()}
    counted = Counter(fates.values())
    failed = tuple(nodes[key] for key in seen if fates.get(key) is Fate.FAILED_AGAIN)
    return RerunProgress(
        plan=plan,
        completed=counted[Fate.COMPLETED],
        failed=failed,
        gone=counted[Fate.GONE],
        nodes=nodes,
    )


async def _ended(client: Client, before: Sequence[Node]) -> list[Node]:
    """Those of many jobs that have finished anew, or are gone."""
    found: list[Node] = []
    for start in range(0, len(before), _LIGHT):
        some = before[start : start + _LIGHT]
        finishes = await read_finishes(client, [(node.queue, node.id) for node in some])
        for node, (completed, failed, exists) in zip(some, finishes, strict=True):
            anew = any(
                at is not None and (state, at) != (node.state, node.row.score)
                for state, at in ((JobState.COMPLETED, completed), (JobState.FAILED, failed))
            )
            if anew or not exists:
                found.append(node)
    return found


_FATES: Final = {
    JobState.COMPLETED: Fate.COMPLETED,
    JobState.FAILED: Fate.FAILED_AGAIN,
    JobState.ACTIVE: Fate.ACTIVE,
    JobState.DELAYED: Fate.DELAYED,
}


def fate_of(node: Node, before: Node) -> Fate:
    """Returns the fate of a job that was ``before`` when its rerun was planned."""
    if node.row.missing:
        return Fate.GONE
    if (node.state, node.row.score) == (before.state, before.row.score) or node.state is None:
        return Fate.WAITING
    return _FATES.get(node.state, Fate.WAITING)
