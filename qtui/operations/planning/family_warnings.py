"""What a plain retry of jobs of flows would leave behind. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import QueueEvidence
from qtui.bullmq.flow.family import Queues, read_families
from qtui.bullmq.flow.lineage import Name, Node, Record, queue_of, read_nodes
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.operations.supply.kin import Kin
from qtui.text import (
    plain,
    plural,
)

MOST_FAMILIES: Final = 250
"""Jobs of a plan whose families are read, at most; the rest mostly resemble these."""


class Trouble(StrEnum):
    """What a retry leaves behind."""

    PARENT_STAYS_FAILED = "parent stays failed"
    PARENT_FAILS_AGAIN = "parent fails again"
    PARENT_IS_STUCK = "parent is stuck in active"
    UNKNOWN = "unknown"
    CHILD_LEFT = "a child is left behind"
    """The parent is retried with some of its children, and stays where it is for another (-9)."""


@dataclass(frozen=True, slots=True)
class FamilyWarning:
    """One trouble, and the jobs of the plan that would be in it."""

    trouble: Trouble
    jobs: tuple[str, ...]
    sentence: str
    """For the person who confirms; plain text. It suggests the flow rerun."""


def unlooked(why: str) -> FamilyWarning:
    """That Redis did not let the families be looked at, in its own words."""
    sentence = f"Unknown whether parents or children would be left behind: {plain(why)}."
    return FamilyWarning(Trouble.UNKNOWN, (), sentence)


async def family_warnings(
    client: Client,
    queue: QueueKey,
    rows: Sequence[Row],
    evidence: QueueEvidence,
    kin: Kin | None = None,
) -> list[FamilyWarning]:
    """What a plain retry of these finished jobs would leave behind in their flows.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        rows: the jobs, as the plan has read them; the first `MOST_FAMILIES` are looked at.
        evidence: the signs of the release that runs the queue.
        kin: which of them are retried with their children; none where it is left out.

    Costs what `read_nodes` costs, twice: seven round trips for a queue and its parents' queue;
    and for parents that are retried with children as much for up to `MOST_FAMILIES` other children.

    Raises:
        FORBIDDEN: we may not look at a queue of a parent.
    """
    looked = [row.id for row in rows if not row.missing][:MOST_FAMILIES]
    nodes = await read_nodes(client, [Name(queue, job_id) for job_id in looked])
    parents = await _parents(client, nodes)
    more = len(rows) > MOST_FAMILIES
    chosen = {node.key for node in nodes}
    kin = kin or Kin(queue)
    alone = [node for node in nodes if not kin.is_parent(node.id)]
    together = [node for node in nodes if kin.is_parent(node.id)]
    return [
        *_of_children(nodes, parents, chosen, more),
        *_of_parents(alone, evidence, more),
        *await _of_families(client, queue, together, kin),
    ]


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
            "rerun the flow's failed jobs instead.",
        )


def _of_parents(
    nodes: Sequence[Node], evidence: QueueEvidence, more: bool
) -> Iterator[FamilyWarning]:
    """Parents with children that are not done: their completion is refused (-4, -9)."""
    left = [
        node.id
        for node in nodes
        if _finished(node) and (node.children.pending or node.children.unsuccessful)
    ]
    if not left:
        return
    stuck = not _fails_again(evidence, [node for node in nodes if node.id in left])
    who = plural(len(left), "job is a parent", "jobs are parents")
    completed = any(node.state is JobState.COMPLETED for node in nodes)
    fails = "fails, its result lost" if completed else "fails again"
    ends = (
        "its completion is refused (-4), and it stays in active without a lock"
        if stuck
        else f"its completion is refused (-4, -9), and it {fails}"
    )
    yield FamilyWarning(
        Trouble.PARENT_IS_STUCK if stuck else Trouble.PARENT_FAILS_AGAIN,
        tuple(left),
        f"{_at_least(more)}{who} with unfinished children; retried alone, such a job runs, "
        f"{ends}: rerun the flow's failed jobs instead.",
    )


async def _of_families(
    client: Client, queue: QueueKey, nodes: Sequence[Node], kin: Kin
) -> list[FamilyWarning]:
    """Parents that are retried with some children, while another failed or is gone."""
    waiting = [node for node in nodes if node.children.pending or node.children.unsuccessful]
    bearable = [node for node in waiting if node.children.total <= MOST_FAMILIES]
    queues = Queues(client, [queue])
    families = await read_families(client, bearable, queues, (Record.UNSUCCESSFUL, Record.PENDING))
    here = {name.id for names in families for name in names if name.queue == queue}
    sent = {queue.job(one) for one in kin.selected(here)}
    others = {name.key: name for names in families for name in names if name.key not in sent}
    found = await read_nodes(client, list(others.values())[:MOST_FAMILIES])
    ended = {node.key for node in found if node.row.missing or _finished(node)}
    left = [
        node.id
        for node, names in zip(bearable, families, strict=True)
        if any(name.key in ended for name in names)
    ]
    if not left:
        return []
    who = plural(len(left), "parent has", "parents have")
    stays = "it is" if len(left) == 1 else "they are"
    sentence = (
        f"{who} a failed or missing child that is not part of this retry; {stays} "
        "not retried (-9): rerun the flow's failed jobs instead."
    )
    return [FamilyWarning(Trouble.CHILD_LEFT, tuple(left), sentence)]


def _fails_again(evidence: QueueEvidence, nodes: Sequence[Node]) -> bool:
    """Whether the worker fails a parent whose completion is refused: ≥5.56.9 does.

    The version is only a hint at the release, but what it decides here is a word.
    """
    if evidence.major is not None and evidence.version.startswith("bullmq:"):
        parts = evidence.version.removeprefix("bullmq:").split(".")
        numbers = [int(part) if part.isdigit() else 0 for part in (*parts, "0", "0")[:3]]
        return tuple(numbers) >= (5, 56, 9)
    # Without one: since 5.42.0 failed children are in `unsuccessful`, for which there is -9.
    return any(node.children.unsuccessful for node in nodes)


def _finished(node: Node) -> bool:
    return node.state is not None and node.state.is_finished


def _parent_key(node: Node) -> str:
    return "" if node.parent is None else ":".join(node.parent)


def _at_least(more: bool) -> str:
    return "At least " if more else ""
