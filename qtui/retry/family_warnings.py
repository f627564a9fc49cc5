"""What a plain retry of jobs of flows would leave behind, told before it is done. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.dialect import QueueEvidence
from qtui.bullmq.flow import Name, Node, queue_of, read_nodes
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.text import plural

MOST: Final = 250
"""Jobs of a plan that are looked at: what is true of one is seldom true of one alone."""


class Trouble(StrEnum):
    """What is left behind."""

    PARENT_STAYS_FAILED = "parent stays failed"
    PARENT_FAILS_AGAIN = "parent fails again"
    PARENT_IS_STUCK = "parent is stuck in active"


@dataclass(frozen=True, slots=True)
class FamilyWarning:
    """One trouble, and the jobs of the plan that would be in it."""

    trouble: Trouble
    jobs: tuple[str, ...]
    sentence: str
    """For whoever confirms; plain text. It names the rerun of the flow as the way out."""


async def family_warnings(
    client: Client,
    queue: QueueKey,
    rows: Sequence[Row],
    evidence: QueueEvidence,
) -> list[FamilyWarning]:
    """What a plain retry of these failed jobs would leave behind in their flows.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        rows: the jobs, as the plan has read them; the first `MOST` are looked at.
        evidence: what tells the release that runs the queue.

    Costs what `read_nodes` costs, twice: seven round trips for a queue and its parents' queue.

    Raises:
        redis.exceptions.NoPermissionError: we may not look at a queue of a parent.
    """
    looked = [row.id for row in rows if not row.missing][:MOST]
    nodes = await read_nodes(client, [Name(queue, job_id) for job_id in looked])
    parents = await _parents(client, nodes)
    more = len(rows) > MOST
    chosen = {node.key for node in nodes}
    return [*_of_children(nodes, parents, chosen, more), *_of_parents(nodes, evidence, more)]


async def _parents(client: Client, nodes: Sequence[Node]) -> dict[str, Node]:
    """The parents that are there, by full key."""
    names: dict[str, Name] = {}
    for node in nodes:
        if node.parent is not None:
            base, job_id = node.parent
            name = Name(queue_of(base, [node.queue]), job_id)
            names[name.key] = name
    found = await read_nodes(client, list(names.values())) if names else []
    return {node.key: node for node in found if not node.row.missing}


def _of_children(
    nodes: Sequence[Node], parents: dict[str, Node], chosen: set[str], more: bool
) -> Iterator[FamilyWarning]:
    """Children whose parent failed: no release brings a failed parent back by itself."""
    left = []
    failed = set()
    for node in nodes:
        key = _parent_key(node)
        parent = parents.get(key)
        if parent is None or key in chosen:
            continue
        if parent.state is JobState.FAILED or parent.doomed:
            left.append(node.id)
            failed.add(key)
    if left:
        who = plural(len(left), "job is a child", "jobs are children")
        whose = "a failed parent" if len(failed) == 1 else f"{len(failed)} failed parents"
        stays = "which stays failed" if len(failed) == 1 else "which stay failed"
        yield FamilyWarning(
            Trouble.PARENT_STAYS_FAILED,
            tuple(left),
            f"{_at_least(more)}{who} of {whose}, {stays} even if they complete: "
            "rerun the flow from failure instead.",
        )


def _of_parents(
    nodes: Sequence[Node], evidence: QueueEvidence, more: bool
) -> Iterator[FamilyWarning]:
    """Parents with children that are not done: their completion is refused (-4, -9)."""
    left = [
        node.id
        for node in nodes
        if node.state is JobState.FAILED and (node.children.pending or node.children.unsuccessful)
    ]
    if not left:
        return
    stuck = not _fails_again(evidence, [node for node in nodes if node.id in left])
    who = plural(len(left), "job is a parent", "jobs are parents")
    ends = (
        "its completion is refused (-4), and it stays in active without a lock"
        if stuck
        else "its completion is refused (-4, -9), and it fails again"
    )
    yield FamilyWarning(
        Trouble.PARENT_IS_STUCK if stuck else Trouble.PARENT_FAILS_AGAIN,
        tuple(left),
        f"{_at_least(more)}{who} of jobs that are not done; retried alone such a job runs, "
        f"{ends}: rerun the flow from failure instead.",
    )


def _fails_again(evidence: QueueEvidence, nodes: Sequence[Node]) -> bool:
    """Whether the worker fails a parent whose completion is refused: ≥5.56.9 does.

    The version is only a hint at the release, but what it decides here is a word.
    """
    if evidence.major is not None and evidence.version.startswith("bullmq:"):
        parts = evidence.version.removeprefix("bullmq:").split(".")
        numbers = [int(part) if part.isdigit() else 0 for part in (*parts, "0", "0")[:3]]
        return tuple(numbers) >= (5, 56, 9)
    # Without one: since 5.42.0 failed children stand in `unsuccessful`, for which there is -9.
    return any(node.children.unsuccessful for node in nodes)


def _parent_key(node: Node) -> str:
    return "" if node.parent is None else ":".join(node.parent)


def _at_least(more: bool) -> str:
    return "At least " if more else ""
