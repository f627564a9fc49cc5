"""A flow as lines: its jobs as a tree, and lines for children not read yet. No widgets.

Children are read on demand: a line says how many are not read, and `FlowRows.load` reads some of
them when the line becomes visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.family import Family, Queues, read_families
from qtui.bullmq.flow.lineage import Lineage, Node, OnFailure, Record, read_lineage, read_nodes
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.signature.headline import spoken
from qtui.text import count, plain, plural
from qtui.views.job_document import moment
from qtui.views.tone import Tone

CHILDREN_A_PAGE: Final = 100
"""Children read at a time."""

AGAIN: Final = 2000
"""Jobs read again on a refresh; others that were read before come back when they are visible."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the tree: a job, or with ``more`` that many of its children that are not read."""

    node: Node
    guides: str
    """The branch from its parent: ``│  ├─ ``."""
    parent: Node | None = None
    more: int = 0
    repeated: bool = False
    """Whether it is shown further up, with its children."""

    def is_same(self, other: Line) -> bool:
        """Whether both are the same job in the same place, in any state."""
        above, other_above = self.parent, other.parent
        return (
            self.node.key == other.node.key
            and (self.more > 0) == (other.more > 0)
            and (above.key if above else "") == (other_above.key if other_above else "")
        )


@dataclass(slots=True)
class _Branch:
    """The children of one job, as far as they are read."""

    family: Family
    keys: list[str] = field(default_factory=list)
    left: int = 0


class FlowRows:
    """The lines of one flow; see `read_flow`."""

    def __init__(self, client: Client, lineage: Lineage, queues: Queues) -> None:
        self.lineage = lineage
        self.lines: list[Line] = []
        self._client = client
        self._queues = queues
        self._nodes = {node.key: node for node in lineage.nodes}
        self._branches: dict[str, _Branch] = {}
        self._path = {above.key: below.key for above, below in pairwise(lineage.nodes)}
        self._build()

    @property
    def is_flow(self) -> bool:
        """Whether the job has a parent or children at all."""
        return len(self.lineage.nodes) > 1 or self.lineage.job.children.total > 0

    @property
    def jobs(self) -> int:
        """Jobs that are read."""
        return len(self._nodes)

    def node(self, key: str) -> Node | None:
        """A job as it was last read."""
        return self._nodes.get(key)

    # Reading

    async def load(self, lines: Sequence[Line]) -> None:
        """Reads children behind the first of these lines: one page, or those of some small ones.

        Costs what `read_families` or `Family.page` and `read_nodes` cost for `CHILDREN_A_PAGE`
        jobs.
        """
        wanted: list[Node] = []
        for line in lines:
            fresh = line.more and line.node.key not in self._branches
            if fresh and sum(one.children.total for one in wanted) + line.more <= CHILDREN_A_PAGE:
                wanted.append(line.node)
        if wanted:
            await self._load_small(wanted)
        elif first := next((line for line in lines if line.more), None):
            await self._load_page(first.node, CHILDREN_A_PAGE)
        self._build()

    async def _load_small(self, parents: Sequence[Node]) -> None:
        families = await read_families(self._client, parents, self._queues)
        names = [name for family in families for name in family]
        nodes = iter(await read_nodes(self._client, names))
        for parent, family in zip(parents, families, strict=True):
            branch = _Branch(Family(self._client, parent, self._queues))
            self._keep(branch, [next(nodes) for _ in family])
            branch.left = 0
            self._branches[parent.key] = branch

    async def _load_page(self, parent: Node, most: int) -> None:
        branch = self._branches.get(parent.key)
        if branch is None:
            branch = _Branch(Family(self._client, parent, self._queues))
        page = await branch.family.page(len(branch.keys), most)
        self._keep(branch, page)
        branch.left = max(0, branch.family.total - len(branch.keys)) if len(page) == most else 0
        self._branches[parent.key] = branch

    def _keep(self, branch: _Branch, nodes: Iterable[Node]) -> None:
        for node in nodes:
            branch.keys.append(node.key)
            self._nodes[node.key] = node

    async def load_path(self) -> None:
        """Reads the siblings of the requested job and of its ancestors."""
        for parent in self.lineage.nodes:
            if parent.children.total and parent.key not in self._branches:
                await self._load_page(parent, CHILDREN_A_PAGE)
        self._build()

    async def load_as(self, before: FlowRows) -> None:
        """Reads what an earlier reading of the flow had read, up to `AGAIN` jobs."""
        for key, branch in before._branches.items():
            node = self._nodes.get(key)
            if node is None or self.jobs >= AGAIN:
                continue
            read = len(self._branches[key].keys) if key in self._branches else 0
            while node.children.total and read < min(len(branch.keys), AGAIN):
                await self._load_page(node, min(CHILDREN_A_PAGE * 2, len(branch.keys) - read))
                if len(self._branches[key].keys) == read:
                    break
                read = len(self._branches[key].keys)
        self._build()

    async def look(self, keys: Iterable[str]) -> None:
        """Reads some jobs again, in place; costs what `read_nodes` costs."""
        names = [self._nodes[key].name for key in keys if key in self._nodes]
        self.update(await read_nodes(self._client, names) if names else ())

    def update(self, nodes: Iterable[Node]) -> None:
        """Takes in the current state of jobs; how their parents keep them stays."""
        for node in nodes:
            if (known := self._nodes.get(node.key)) is not None:
                self._nodes[node.key] = replace(node, name=known.name)
        self._build()

    # Lines

    def _build(self) -> None:
        met: set[str] = set()
        lines: list[Line] = []
        stack = [Line(self._nodes[self.lineage.root.key], "")]
        below = {"├─ ": "│  ", "└─ ": "   ", "": ""}
        while stack:
            line = stack.pop()
            if line.more:
                lines.append(line)
                continue
            key = line.node.key
            line = replace(line, repeated=key in met)
            lines.append(line)
            if key in met or line.node.row.missing:
                continue
            met.add(key)
            lead = line.guides[:-3] + below[line.guides[-3:]]
            children = list(self._children(line.node, lead))
            if children:
                last = children[-1]
                children[-1] = replace(last, guides=f"{lead}└─ ")
            stack += reversed(children)
        self.lines = lines

    def _children(self, node: Node, lead: str) -> Iterator[Line]:
        branch = self._branches.get(node.key)
        keys = list(branch.keys) if branch is not None else []
        left = branch.left if branch is not None else node.children.total
        on_path = self._path.get(node.key)
        if on_path is not None and on_path not in keys:
            keys.append(on_path)
            left -= self._nodes[on_path].name.record is not None and left > 0
        for key in keys:
            yield Line(self._nodes[key], f"{lead}├─ ", parent=node)
        if left > 0:
            yield Line(node, f"{lead}├─ ", parent=node, more=left)


async def read_flow(
    client: Client,
    queue: QueueKey,
    job_id: str,
    *,
    known: Iterable[QueueKey] = (),
    before: FlowRows | None = None,
) -> FlowRows:
    """A job's flow, as far as it is visible at first.

    Args:
        client: where to read.
        queue: the job's queue.
        job_id: any job of the flow.
        known: queues that are known, which helps to part keys whose ids hold colons.
        before: an earlier reading: as much is read again.

    Costs what `read_lineage` costs, and a page of children for each ancestor.

    Raises:
        FORBIDDEN: we may not look at one of the queues.
    """
    lineage = await read_lineage(client, queue, job_id)
    queues = Queues(client, [*known, *(node.queue for node in lineage.nodes)])
    rows = FlowRows(client, lineage, queues)
    if rows.is_flow:
        await rows.load_path()
        if before is not None:
            await rows.load_as(before)
    return rows


# What a line says ---------------------------------------------------------------------------------

_TONES: Final[Mapping[JobState | None, Tone]] = {
    JobState.FAILED: Tone.BAD,
    JobState.COMPLETED: Tone.GOOD,
    JobState.ACTIVE: Tone.BUSY,
}


def node_state(node: Node) -> tuple[str, Tone]:
    """A job's state in a word."""
    if node.row.missing:
        return "gone", Tone.FAINT
    return node.state or ("unknown" if node.unknown else "no state"), _TONES.get(
        node.state, Tone.PLAIN
    )


def node_words(line: Line) -> tuple[str, Tone]:
    """A job's error, or what it waits for; plain."""
    node, record = line.node, line.node.name.record
    if line.repeated:
        return "is shown above", Tone.FAINT
    if node.row.missing:
        return f"its parent keeps it as {record.words if record else '?'}", Tone.FAINT
    if node.state is JobState.FAILED:
        ignored = "(ignored) " if record is Record.IGNORED else ""
        return ignored + (spoken(node.row.failed_reason or "") or "no reason given"), Tone.BAD
    if node.doomed:
        return f"will fail: {spoken(node.deferred)}", Tone.BAD
    if node.unclear:
        return plain(node.unclear), Tone.BUSY
    if node.state is JobState.WAITING_CHILDREN:
        return f"waits for {plural(node.waits_for, 'child', 'children')}", Tone.FAINT
    if line.parent is not None and record is None and not line.parent.unread:
        return "removed from its parent", Tone.FAINT
    return "", Tone.PLAIN


def option_of(line: Line) -> str:
    """What the job's failure does to its parent; empty once the job is done."""
    node = line.node
    if line.parent is None or node.row.missing or node.state is JobState.COMPLETED:
        return ""
    return f"parent {node.on_failure.words}"


def node_in_full(line: Line) -> tuple[str, str, str]:
    """A job in three lines: id and queue, its place in the flow, and its error; plain."""
    node = line.node
    if line.more:
        return (
            f"{count(line.more)} children of {plain(node.key)} are not read",
            "enter reads on",
            "",
        )
    facts = [plain(node.key), plain(node.row.name) or "(no name)"]
    if node.row.finished_on and node.state is not None and node.state.is_finished:
        facts.append(f"{node.state} {moment(node.row.finished_on)}")
    return " · ".join(facts), " · ".join(_place(line)), node_words(line)[0]


def _kept(parent: Node, record: Record | None) -> str:
    if record is not None:
        return f"kept as {record.words}"
    return "how its parent keeps it is unknown" if parent.unread else "removed from its parent"


def _place(line: Line) -> Iterator[str]:
    node, record = line.node, line.node.name.record
    if line.parent is not None:
        option = _LONG.get(node.on_failure, "")
        yield f"if it fails, its parent {node.on_failure.words}" + (
            f" ({option})" if option else ""
        )
        yield _kept(line.parent, record)
    children = node.children
    counted = [
        f"{count(number)} {words}"
        for number, words in (
            (children.processed, "completed"),
            (children.pending, "pending"),
            (children.unsuccessful, "unsuccessful"),
            (children.ignored, "ignored"),
        )
        if number
    ]
    if counted:
        yield f"children: {', '.join(counted)}"


_LONG: Final = {
    OnFailure.FAIL: "failParentOnFailure",
    OnFailure.CONTINUE: "continueParentOnFailure",
    OnFailure.IGNORE: "ignoreDependencyOnFailure",
    OnFailure.REMOVE: "removeDependencyOnFailure",
}
