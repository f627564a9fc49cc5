"""The plan of a flow's rerun, made from what the flow looks like now. Reads only.

A job takes part in a rerun from failure if it failed, or waits for children, or waits only to be
failed, and if some job that takes part needs it. Jobs that are done, and what they had ignored, do
not. In a rerun from the start every job takes part whose hash is there.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from qtui.bullmq.connection.client import Client, slots_of
from qtui.bullmq.dialect import Destination, QueueEvidence, clamp_priority, destination
from qtui.bullmq.flow.family import Queues
from qtui.bullmq.flow.lineage import Lineage, Node, Record, read_lineage
from qtui.bullmq.flow.tree import FlowTooLarge, Tree, read_tree
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.operations.flow_rerun.plan import (
    MOST_NAMED,
    NOTHING_TO_RERUN,
    Part,
    RerunPlan,
    RerunStep,
    Start,
    finished,
    job_names,
    name_of,
)
from qtui.operations.planning.brakes import Destined, job_brakes, queue_brakes
from qtui.text import plain, plural

_NEEDED: Final = (Record.UNSUCCESSFUL, Record.PENDING)
_ALL: Final = (Record.UNSUCCESSFUL, Record.PENDING, Record.IGNORED, Record.PROCESSED)


def is_open(node: Node) -> bool:
    """Whether the job failed, waits for children, or waits only to be failed."""
    return node.state in (JobState.FAILED, JobState.WAITING_CHILDREN) or node.doomed


# From failure ---------------------------------------------------------------------------------


def _follow_failure(node: Node) -> Sequence[Record]:
    return (*_NEEDED, Record.IGNORED) if is_open(node) and not node.row.missing else ()


def _judge_failure(tree: Tree, drop_lost: bool) -> dict[str, RerunStep]:
    """The part that each job would have if its parent needed it, children before parents."""
    steps: dict[str, RerunStep] = {}
    for node in reversed(tree.nodes.values()):
        children = tree.children.get(node.key, [])
        dropped = _lost(children) if drop_lost else ()
        steps[node.key] = _failure_step(node, children, steps, dropped)
    return steps


def _lost(children: Sequence[Node]) -> tuple[Node, ...]:
    """Children that are gone though their parent needs them."""
    return tuple(one for one in children if one.row.missing and one.name.record in _NEEDED)


def _failure_step(
    node: Node, children: Sequence[Node], steps: dict[str, RerunStep], dropped: tuple[Node, ...]
) -> RerunStep:
    if node.row.missing:
        return RerunStep(node, Part.GONE)
    if not is_open(node):
        return RerunStep(node, Part.DONE if node.state is JobState.COMPLETED else Part.UNDER_WAY)
    there = [one for one in children if not one.row.missing]
    needed = [one for one in there if one.name.record is not Record.IGNORED]
    if node.state is JobState.WAITING_CHILDREN:
        misplaced = any(one.name.record is Record.UNSUCCESSFUL for one in needed)
        unrecorded = any(steps[one.key].part is Part.DONE for one in needed)
        again = any(steps[one.key].part.reruns for one in needed)
        if not (misplaced or unrecorded or again or dropped):
            return RerunStep(node, Part.UNDER_WAY)
    # It will run again, so what it had ignored gets another chance with it.
    waits = sum(steps[one.key].part is not Part.DONE for one in there)
    return RerunStep(node, Part.FOLLOWS if waits else Part.RUNS, tuple(there), waits, dropped)


def _select(tree: Tree, judged: dict[str, RerunStep], scope: Node) -> list[RerunStep]:
    """The steps of the jobs that are needed, ancestors first."""
    chosen = {scope.key}
    for key in tree.nodes:
        if key in chosen and judged[key].part.reruns:
            chosen |= {one.key for one in judged[key].returned}
            chosen |= {one.key for one in tree.children.get(key, []) if one.row.missing}
    return [step for key, step in judged.items() if key in chosen][::-1]


async def _from_failure(
    client: Client,
    lineage: Lineage,
    queues: Queues,
    progress: Callable[[int], None],
    drop_lost: bool,
) -> RerunPlan:
    standstill = RerunPlan(start=Start.FAILURE, lineage=lineage, scope=lineage.root)
    for scope in (node for node in lineage.nodes if is_open(node)):
        tree = await read_tree(client, scope, _follow_failure, queues=queues, progress=progress)
        steps = _select(tree, _judge_failure(tree, drop_lost), scope)
        if any(step.part.reruns for step in steps):
            return _failure_plan(lineage, scope, tree, steps, drop_lost)
        if not standstill.refusal:
            stuck = list(tree.nodes.values())
            lost = _needed_and_lost(tree, stuck)
            why = _unclear(stuck) or _lost_refusal(lost) or _nowhere_refusal(stuck)
            standstill = replace(standstill, scope=scope, refusal=why, lost=len(lost))
    if standstill.refusal:
        return standstill
    why = _unclear(lineage.nodes) or NOTHING_TO_RERUN
    ignored = sum(node.children.ignored for node in lineage.nodes)
    if ignored and why is NOTHING_TO_RERUN:
        why += f": {plural(ignored, 'failed child is', 'failed children are')} ignored by a parent"
    return replace(standstill, refusal=why)


def _needed_and_lost(tree: Tree, nodes: Iterable[Node]) -> list[Node]:
    """Children that are gone, of those jobs that are not done."""
    return [
        one for node in nodes if is_open(node) for one in _lost(tree.children.get(node.key, []))
    ]


def _unclear(nodes: Iterable[Node]) -> str:
    """Returns what Redis refused to show of one of the jobs, so that nothing can be planned."""
    return next((plain(node.unclear) for node in nodes if node.unclear), "")


def _lost_refusal(lost: Sequence[Node]) -> str:
    if not lost:
        return ""
    return (
        f"{job_names(lost)} is gone and can't run again; "
        "--drop-lost (a box in the screen's plan) reruns the flow without it"
    )


def _nowhere_refusal(nodes: Iterable[Node]) -> str:
    """A job in no state is run by nothing; how to bring it back."""
    nowhere = [node for node in nodes if node.state is None and not node.row.missing]
    if not nowhere:
        return ""
    return f"{job_names(nowhere)} is in no state: no worker runs it; {_way_back(nowhere[0])}"


def _way_back(node: Node) -> str:
    """The command that moves a job in no state to failed, so that it can be rerun."""
    command = shlex.join(["redis-cli", "ZADD", node.queue.key("failed"), "0", node.id])
    return f"{plain(command)} moves it to failed, where a rerun picks it up"


def _failure_plan(
    lineage: Lineage, scope: Node, tree: Tree, steps: Sequence[RerunStep], drop_lost: bool
) -> RerunPlan:
    again = [step for step in steps if step.part.reruns]
    chosen = [step.node for step in steps]
    lost = _needed_and_lost(tree, chosen)
    refusal = _unclear(chosen) or ("" if drop_lost else _lost_refusal(lost))
    taken = {step.node.key for step in steps}
    left = [
        node
        for node in tree.nodes.values()
        if node.state is JobState.FAILED and node.key not in taken
    ]
    shown = [*steps, *(RerunStep(node, Part.LEFT) for node in left)]
    done = sum(step.part is Part.DONE for step in steps)
    done += sum(step.node.children.processed for step in again)
    return RerunPlan(
        start=Start.FAILURE,
        lineage=lineage,
        scope=scope,
        steps=tuple(shown),
        done=done,
        refusal=refusal,
        notes=tuple(_failure_notes(lineage, scope, steps)),
        lost=len(lost),
    )


def _failure_notes(lineage: Lineage, scope: Node, steps: Sequence[RerunStep]) -> Iterator[str]:
    place = next(at for at, node in enumerate(lineage.nodes) if node.key == scope.key)
    if place:
        above = lineage.nodes[place - 1]
        yield (
            f"Only {name_of(scope)} and below is rerun: its parent {name_of(above)} is "
            f"{above.state or 'in no state'} and did not wait for it."
        )
    if lineage.note:
        yield f"Ancestors of {name_of(lineage.root)} were not read: {plain(lineage.note)}."
    ignored = [
        step.node for step in steps if step.node.name.record is Record.IGNORED and step.part.reruns
    ]
    if ignored:
        yield f"{job_names(ignored)} failed and its parent ignored that; it runs again."
    yield from _dropped_notes(steps)
    nowhere = [step.node for step in steps if step.node.state is None and not step.node.row.missing]
    if nowhere:
        yield (
            f"{job_names(nowhere)} is in no state: its parent will wait for it, but no worker "
            f"runs it; {_way_back(nowhere[0])}."
        )


def _dropped_notes(steps: Sequence[RerunStep]) -> Iterator[str]:
    dropped = [one for step in steps if step.part.reruns for one in step.dropped]
    if dropped:
        runs = "its parent runs" if len(dropped) == 1 else "their parents run"
        yield f"{job_names(dropped)} is gone: {runs} without it."


# From the start -------------------------------------------------------------------------------


def _follow_all(node: Node) -> Sequence[Record]:
    return () if node.row.missing else _ALL


def _start_refusal(nodes: Sequence[Node], lost: Sequence[Node]) -> str:
    return _unclear(nodes) or _lost_refusal(lost) or _nowhere_refusal(nodes)


def _busy(node: Node) -> bool:
    resting = (JobState.COMPLETED, JobState.FAILED, JobState.WAITING_CHILDREN)
    return node.state is not None and node.state not in resting


def _is_unreleased(node: Node) -> bool:
    """Whether a rerun from the start gave it back to its parent and did not come to release it."""
    return finished(node) and node.row.finished_on is None and node.name.record is Record.PENDING


def _start_steps(tree: Tree) -> list[RerunStep]:
    steps = []
    for node in tree.nodes.values():
        children = tree.children.get(node.key, [])
        there, lost = tuple(one for one in children if not one.row.missing), _lost(children)
        if node.row.missing:
            steps.append(RerunStep(node, Part.GONE))
        elif there:
            steps.append(RerunStep(node, Part.FOLLOWS, there, len(there), lost))
        else:
            steps.append(RerunStep(node, Part.RUNS, dropped=lost))
    return steps


def _resumed_steps(tree: Tree) -> list[RerunStep]:
    """What a rerun from the start still had to do when it was cut off.

    Its first call left the moment at the root. What finished before has not run since.
    """
    began = tree.root.row.score or 0
    parts: dict[str, Part] = {tree.root.key: Part.FOLLOWS}
    steps = []
    for node in tree.nodes.values():
        children = tree.children.get(node.key, [])
        fresh = parts[node.key] is Part.FOLLOWS and node.state is not JobState.WAITING_CHILDREN
        for child in children:
            parts[child.key] = _resumed_part(child, began, whole=fresh)
        back = tuple(one for one in children if parts[one.key].reruns)
        waits = len(back) + sum(parts[one.key] is Part.UNDER_WAY for one in children)
        part = parts[node.key]
        if part is Part.FOLLOWS and not back:
            waiting = node.state is JobState.WAITING_CHILDREN
            part = Part.UNDER_WAY if waiting else Part.RUNS
        lost = _lost(children)
        if lost and part is Part.UNDER_WAY and node.state is JobState.WAITING_CHILDREN:
            part = Part.FOLLOWS if waits else Part.RUNS
        steps.append(RerunStep(node, part, back, waits if back or lost else 0, lost))
    return steps


def _resumed_part(child: Node, began: float, *, whole: bool) -> Part:
    if child.row.missing:
        return Part.GONE
    if _busy(child):
        return Part.UNDER_WAY
    if child.state is JobState.WAITING_CHILDREN or whole or _is_unreleased(child):
        return Part.FOLLOWS
    return Part.FOLLOWS if (child.row.finished_on or 0) < began else Part.DONE


async def _from_start(
    client: Client,
    lineage: Lineage,
    queues: Queues,
    progress: Callable[[int], None],
    drop_lost: bool,
) -> RerunPlan:
    root = lineage.root
    tree = await read_tree(client, root, _follow_all, queues=queues, progress=progress)
    nodes = list(tree.nodes.values())
    lost = _lost(nodes)
    refusal = _start_refusal(nodes, () if drop_lost else lost)
    resumed = any(_is_unreleased(node) for node in nodes)
    busy = [node for node in nodes if _busy(node)]
    if busy and not resumed:
        states = Counter(str(node.state) for node in busy)
        counts = ", ".join(f"{number} {state}" for state, number in states.items())
        refusal = refusal or f"the flow is still running ({counts}): {job_names(busy)}"
    steps = _resumed_steps(tree) if resumed else _start_steps(tree)
    done = sum(step.part is Part.DONE for step in steps)
    return RerunPlan(
        start=Start.START,
        lineage=lineage,
        scope=root,
        steps=tuple(steps),
        done=done,
        refusal=refusal,
        notes=tuple(_start_notes(lineage, tree, steps, resumed)),
        lost=len(lost),
        resumed=resumed,
    )


def _start_notes(
    lineage: Lineage, tree: Tree, steps: Sequence[RerunStep], resumed: bool
) -> Iterator[str]:
    if resumed:
        yield "An earlier rerun of all jobs was cut off: this one runs what that one did not start."
    if lineage.note:
        yield f"Ancestors of {name_of(lineage.root)} were not read: {plain(lineage.note)}."
    yield from _dropped_notes(steps)
    for record, kept in ((Record.PROCESSED, "result"), (Record.IGNORED, "error")):
        gone = [s.node for s in steps if s.part is Part.GONE and s.node.name.record is record]
        if gone:
            yield f"{job_names(gone)} is gone and can't run again: its stored {kept} is kept."
    struck = [node for node in lineage.nodes if node.key not in tree.nodes]
    if struck:
        yield f"{job_names(struck)} is no longer a child of its parent and is not rerun."


# Both -----------------------------------------------------------------------------------------


async def make_rerun_plan(
    client: Client,
    queue: QueueKey,
    job_id: str,
    start: Start,
    *,
    known: Sequence[QueueKey] = (),
    progress: Callable[[int], None] = lambda seen: None,
    drop_lost: bool = False,
) -> RerunPlan:
    """Reads the flow of a job and plans what a rerun does with each job of it.

    Args:
        client: where to read.
        queue: the queue of the job.
        job_id: any job of the flow; its root is looked for upward.
        start: whether to rerun failed jobs only, or all jobs.
        known: queues that are known, which helps to part keys whose ids hold colons.
        progress: called with how many jobs have been read.
        drop_lost: whether parents are to run without children that are gone before they completed.

    Costs four round trips for each ancestor, and per generation one for every 250 jobs, three at
    most; for failed jobs only those jobs are read that are not done.

    Raises:
        LookupError: there is no such job.
        REFUSED: Redis refused to show one of the queues.
    """
    lineage = await read_lineage(client, queue, job_id)
    if lineage.job.row.missing:
        raise LookupError(f"no job {plain(job_id)} in {plain(queue.base)}")
    queues = Queues(client, [*known, *(node.queue for node in lineage.nodes)])
    make = _from_failure if start is Start.FAILURE else _from_start
    try:
        plan = await make(client, lineage, queues, progress, drop_lost)
    except FlowTooLarge as error:
        return RerunPlan(start=start, lineage=lineage, scope=lineage.root, refusal=str(error))
    return await _with_queues(client, plan)


async def _with_queues(client: Client, plan: RerunPlan) -> RerunPlan:
    """The plan with what is to be known of its queues; refused where one is not BullMQ's own."""
    again = plan.of(Part.RUNS, Part.FOLLOWS)
    queues = list(dict.fromkeys(step.node.queue for step in again))
    if not queues:
        return plan
    statuses = await read_status(client, queues)
    refusal = plan.refusal
    for status in statuses:
        if status.kind.refusal and not refusal:
            refusal = f"{plain(status.queue.base)} is {status.kind.refusal}"
    refusal = refusal or _slot_refusal(client, again)
    workers = await read_workers(client, queues)
    notes = plan.notes
    idle = [queue for queue in queues if workers is not None and workers[queue] == 0]
    if idle:
        names = ", ".join(plain(queue.base) for queue in idle[:MOST_NAMED])
        notes += (f"No worker seen on {names}: the jobs there wait until one connects.",)
    brakes: tuple[str, ...] = ()
    if not refusal:
        found = [await Reader(client).evidence(status.queue) for status in statuses]
        refusal = _type_refusal(statuses, found, again)
        brakes = () if refusal else await _brakes(client, statuses, found, again)
    return replace(plan, statuses=tuple(statuses), refusal=refusal, notes=notes, brakes=brakes)


def _type_refusal(
    statuses: Sequence[QueueStatus], found: Sequence[QueueEvidence], again: Sequence[RerunStep]
) -> str:
    """A key of another type than BullMQ's, in whose place a job would have to go."""
    for status, evidence in zip(statuses, found, strict=True):
        rows = [step.node.row for step in again if step.node.queue == status.queue]
        targets = (
            destination(evidence, row.id, modern=row.modern, priority=row.priority) for row in rows
        )
        if suffix := next(filter(None, map(evidence.obstacle, targets)), ""):
            return f"{plain(status.queue.key(suffix))} is not of the type that BullMQ makes"
    return ""


async def _brakes(
    client: Client,
    statuses: Sequence[QueueStatus],
    evidences: Sequence[QueueEvidence],
    again: Sequence[RerunStep],
) -> tuple[str, ...]:
    """Of each queue, what holds its jobs back, and of the jobs that run there first and later."""
    found: list[str] = []
    for status, evidence in zip(statuses, evidences, strict=True):
        nodes = [step.node for step in again if step.node.queue == status.queue]
        released = [step.node.row for step in again if step.is_released and step.node in nodes]
        prioritized = [
            row
            for row in released
            if destination(evidence, row.id, modern=row.modern, priority=row.priority)
            is Destination.PRIORITIZED
        ]
        in_front = sum(not clamp_priority(row.priority) for row in prioritized)
        destined = Destined(prioritized=len(prioritized), in_front=in_front)
        found += await queue_brakes(client, status, destined, plain(status.queue.base))
        of_jobs = await job_brakes(client, status.queue, [node.id for node in nodes])
        found += (f"{plain(status.queue.base)}: {sentence}" for sentence in of_jobs)
    return tuple(found)


def _slot_refusal(client: Client, steps: Sequence[RerunStep]) -> str:
    """A script can't write in two slots of a cluster; BullMQ's own scripts can't either."""
    keys = (key for one in steps for key in (one.node.key, one.node.queue.base))
    if len(slots_of(client, keys)) < 2:
        return ""
    return "the flow's queues are in different slots of the cluster: no script can write to both"
