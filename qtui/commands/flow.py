"""`qtui flow`: prints the flow that a job belongs to. Reads only; reruns are in `rerun`."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.family import Family, Queues
from qtui.bullmq.flow.lineage import Lineage, Node, OnFailure, Record, read_lineage
from qtui.bullmq.model import JobState
from qtui.bullmq.signature.headline import spoken
from qtui.commands.rerun import RerunRequest, rerun_flow
from qtui.commands.shared.find import find_queue, queue_key
from qtui.commands.shared.ndjson import row_object
from qtui.commands.shared.output import Cell, Column, Table
from qtui.commands.shared.run import DONE, NOT_ALL, CommandError, Workplace
from qtui.text import count, plain, plural
from qtui.views.columns import cells
from qtui.views.flow_rows import node_state
from qtui.views.tone import Tone

_PAGE: Final = 250
_MOST_CHILDREN: Final = 50
_MOST_LINES: Final = 1000


def show_flow(place: Workplace, request: RerunRequest) -> int:
    """Prints a job's flow, or reruns it."""
    if request.rerun is None:
        return place.ask(lambda client: _print_tree(client, place, request))
    return rerun_flow(place, request, request.rerun)


async def _print_tree(client: Client, place: Workplace, request: RerunRequest) -> int:
    status = await find_queue(client, place.settings.prefixes, request.queue)
    lineage = await read_lineage(client, status.queue, request.job_id)
    if lineage.job.row.missing:
        raise CommandError(f"no job {request.job_id} in {status.queue.base}", NOT_ALL)
    known = [queue_key(node.queue.base, place.settings.prefixes) for node in lineage.nodes]
    queues = Queues(client, [queue for queue in known if queue is not None])
    if request.json:
        async for depth, node, _ in _Walk(client, lineage, queues, sys.maxsize).jobs():
            if node is not None:
                place.out.json(node_object(node, depth))
        return DONE
    rows: list[tuple[Cell, ...]] = []
    cut = False
    async for depth, node, left_out in _Walk(client, lineage, queues, _MOST_CHILDREN).jobs():
        if cut := len(rows) == _MOST_LINES:
            break
        if node is None:
            rows.append((Cell(f"{'  ' * depth} … {count(left_out)} more", Tone.FAINT), *_BLANK))
        else:
            rows.append(_cells(node, depth, lineage, time.time() * 1000))
    Table(place.out, _COLUMNS).write(rows)
    if lineage.note:
        place.err.line(f"ancestors above are not shown: {plain(lineage.note)}")
    if cut:
        place.err.line(f"only the first {count(_MOST_LINES)} lines are shown; --json prints all")
    return DONE


class _Walk:
    """Every job of a flow with its depth, parents before their children.

    Visits the first ``most`` children of each parent, failed ones first, and always the child that
    leads to the requested job. A job that is met again is shown there without its children.
    """

    def __init__(self, client: Client, lineage: Lineage, queues: Queues, most: int) -> None:
        self._client = client
        self._lineage = lineage
        self._queues = queues
        self._most = most
        self._met: set[str] = set()

    async def jobs(self) -> AsyncIterator[tuple[int, Node | None, int]]:
        """Yields depth and job, or depth, None and how many children are left out there."""
        nodes = self._lineage.nodes
        async for one in self._visit(nodes[0], 0):
            yield one
        for depth, node in enumerate(nodes):
            # A parent that has removed the job from its dependencies does not lead to it.
            if node.key not in self._met:
                async for one in self._visit(node, depth):
                    yield one

    async def _visit(self, node: Node, depth: int) -> AsyncIterator[tuple[int, Node | None, int]]:
        yield depth, node, 0
        if node.key in self._met or node.row.missing:
            self._met.add(node.key)
            return
        self._met.add(node.key)
        family = Family(self._client, node, self._queues)
        shown: set[str] = set()
        while len(shown) < self._most and (
            page := await family.page(len(shown), min(_PAGE, self._most - len(shown)))
        ):
            for child in page:
                shown.add(child.key)
                async for one in self._visit(child, depth + 1):
                    yield one
        child_asked_for = self._below(node)
        if child_asked_for is not None and child_asked_for.key not in shown:
            shown.add(child_asked_for.key)
            async for one in self._visit(child_asked_for, depth + 1):
                yield one
        if family.total > len(shown):
            yield depth + 1, None, family.total - len(shown)

    def _below(self, node: Node) -> Node | None:
        """The child on the way to the requested job, if its parent still has it."""
        nodes = self._lineage.nodes
        for parent, child in pairwise(nodes):
            if parent.key == node.key and child.name.record is not None:
                return child
        return None


_COLUMNS: Final = (
    Column("job"),
    Column("name"),
    Column("queue"),
    Column("state"),
    Column("attempts", right=True),
    Column("when", right=True),
    Column("if it fails"),
    Column("error"),
)
_BLANK: Final = (Cell(""),) * (len(_COLUMNS) - 1)


def _cells(node: Node, depth: int, lineage: Lineage, now: float) -> tuple[Cell, ...]:
    state = node.state or JobState.WAITING
    one = cells(node.row, state, now)
    sign = "▌" if node.key == lineage.job.key else " "
    job = Cell(f"{'  ' * depth}{sign}{plain(node.id)}")
    parent = "" if not depth else f"parent {node.on_failure.words}"
    what, tone = _what(node)
    shown = Cell(*node_state(node))
    tried = Cell(one.attempts, Tone.BAD if state is JobState.FAILED else Tone.PLAIN)
    when = "" if node.state is None else one.when
    rest = (Cell(plain(node.queue.base)), shown, tried, Cell(when), Cell(parent), Cell(what, tone))
    return (job, Cell(one.name), *rest)


def _what(node: Node) -> tuple[str, Tone]:
    record = node.name.record
    if node.row.missing:
        return (
            f"the job is gone; its parent keeps it as {record.words if record else '?'}",
            Tone.FAINT,
        )
    if node.state is JobState.FAILED:
        ignored = "(ignored) " if record is Record.IGNORED else ""
        return ignored + (spoken(node.row.failed_reason or "") or "no reason given"), Tone.BAD
    if node.unclear:
        return plain(node.unclear), Tone.BUSY
    if node.doomed:
        return f"will fail: {spoken(node.deferred)}", Tone.BAD
    if node.state is JobState.WAITING_CHILDREN:
        return f"waits for {plural(node.waits_for, 'child', 'children')}", Tone.FAINT
    return "", Tone.PLAIN


def node_object(node: Node, depth: int) -> dict[str, object]:
    """A job of a flow as JSON: what a list says of it, and its place in the flow.

    ``record`` is how its parent keeps it; ``on_failure`` is what its failure does to its parent.
    """
    members = row_object(node.row, node.state or JobState.WAITING)
    return {
        **members,
        "state": node.state.value if node.state else None,
        "queue": node.queue.base,
        "depth": depth,
        "parent": {"queue": node.parent[0], "id": node.parent[1]} if node.parent else None,
        "record": node.name.record.words if node.name.record else None,
        "on_failure": _JSON_OPTIONS[node.on_failure],
        "deferred_failure": node.deferred or None,
        "children": asdict(node.children),
    } | ({"unknown": node.unclear} if node.unclear else {})


_JSON_OPTIONS: Final[Mapping[OnFailure, str]] = {
    option: option.name.lower() for option in OnFailure
}
