"""Flows: jobs that wait for the jobs below them, across queues and prefixes. Reads only.

A job names its parent in its own hash, and its children in keys beside it that hold their full
keys: `qtui.bullmq.flow.family` reads those page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, ask_all, number, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, Garbage, JobState, is_true
from qtui.bullmq.model import Row as Row
from qtui.bullmq.reads.hashes import by_weight, read_hashes
from qtui.bullmq.reads.job import Children, may_be_job, parent_of
from qtui.bullmq.reads.lists import InList, find_in_lists, refused
from qtui.bullmq.reads.page import marked, short_row
from qtui.bullmq.reads.reader import Reader, Whereabouts
from qtui.bullmq.reads.reasons import fill_reasons

NODES_AT_ONCE: Final = 250
"""Jobs that one call of `read_nodes` is given, where there are many."""

DEEPEST: Final = 100
"""Ancestors that are followed upward; a flow of real life has three."""

_SETS: Final = Children.SUFFIXES
_COUNT: Final = ("SCARD", "HLEN", "HLEN", "ZCARD")


class Record(StrEnum):
    """How a parent keeps a child: the key beside its hash that holds the child's full key."""

    PENDING = "dependencies"
    """Not finished, or failed without an option, so that the parent waits forever."""
    PROCESSED = "processed"
    """Completed, and its return value kept."""
    IGNORED = "failed"
    """Failed with ``idof`` or ``cpof``, and its reason kept (≥5.2.0)."""
    UNSUCCESSFUL = "unsuccessful"
    """Failed with ``fpof`` (≥5.42.0): the parent can't complete while it is there."""

    @property
    def words(self) -> str:
        """For people."""
        return "ignored" if self is Record.IGNORED else self.name.lower()


class OnFailure(StrEnum):
    """What a child's final failure does to its parent; of several options BullMQ takes the first.

    A release older than an option keeps it, and acts as if there was none.
    """

    FAIL = "fpof"
    """failParentOnFailure, ≥2.1.0."""
    CONTINUE = "cpof"
    """continueParentOnFailure, ≥5.47.0."""
    IGNORE = "idof"
    """ignoreDependencyOnFailure, ≥5.2.0."""
    REMOVE = "rdof"
    """removeDependencyOnFailure, ≥4.4.0."""
    WAIT = ""

    @property
    def words(self) -> str:
        """For people, as the end of "if it fails, its parent"."""
        return _ON_FAILURE[self]


_ON_FAILURE: Final = {
    OnFailure.FAIL: "fails too",
    OnFailure.CONTINUE: "continues at once",
    OnFailure.IGNORE: "continues without it",
    OnFailure.REMOVE: "drops it",
    OnFailure.WAIT: "waits for it",
}
_LONG: Final = {
    OnFailure.FAIL: "failParentOnFailure",
    OnFailure.CONTINUE: "continueParentOnFailure",
    OnFailure.IGNORE: "ignoreDependencyOnFailure",
    OnFailure.REMOVE: "removeDependencyOnFailure",
}


@dataclass(frozen=True, slots=True)
class Name:
    """A job of a flow by name, and how its parent keeps it (None: by no parent, or not at all)."""

    queue: QueueKey
    id: str
    record: Record | None = None

    @property
    def key(self) -> str:
        """The full key, under which the parent knows it: its identity in the flow."""
        return self.queue.job(self.id)


@dataclass(frozen=True, slots=True)
class Node:
    """A job in its flow, at one moment."""

    name: Name
    state: JobState | None
    """None: its hash is gone (``row.missing``), or it is in no state."""
    row: Row
    """Its score is the one in its state, where that is a sorted set."""
    children: Children
    """How many there are; `qtui.bullmq.flow.family` reads them."""
    parent: tuple[str, str] | None = None
    """Base key and id of its parent, as it says itself."""
    on_failure: OnFailure = OnFailure.WAIT
    deferred: str = ""
    """``defa`` (≥5.49.2): the worker that takes it will fail it with this reason, unrun."""
    unknown: str = ""
    """Why its state is unknown, where Redis refused to show it."""
    unread: tuple[str, ...] = ()
    """Why its children are not all known: each key that could not be read, in words."""

    @property
    def key(self) -> str:
        """The full key."""
        return self.name.key

    @property
    def queue(self) -> QueueKey:
        """The queue that it belongs to."""
        return self.name.queue

    @property
    def id(self) -> str:
        """The job's id."""
        return self.name.id

    @property
    def where(self) -> str:
        """Its state in a word; of one that is gone and one in no state too."""
        if self.row.missing:
            return "gone"
        return self.state or ("unknown" if self.unknown else "in no state")

    @property
    def unclear(self) -> str:
        """What Redis refused to show of it, so that nothing can be decided; empty if nothing."""
        if self.unknown and not self.row.missing:
            return f"the state of {self.key} is unknown: {self.unknown}"
        return "; ".join(self.unread)

    @property
    def waits_for(self) -> int:
        """Children that have to end before it runs."""
        return self.children.pending if self.state is JobState.WAITING_CHILDREN else 0

    @property
    def doomed(self) -> bool:
        """Whether it waits for a worker only to be failed by it, unrun."""
        waiting = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED)
        return bool(self.deferred) and self.state in waiting


def queue_of(base: str, known: Iterable[QueueKey] = ()) -> QueueKey:
    """The queue of a base key: a known one, or else parted at its last colon."""
    for queue in known:
        if queue.base == base:
            return queue
    return QueueKey(base, base.rpartition(":")[0])


async def read_nodes(client: Client, names: Sequence[Name]) -> list[Node]:
    """The jobs of these names, in order, in any queues.

    Costs for each queue among them three to five round trips, with some fifteen commands of O(1) a
    job, and an LPOS for each list where jobs are in one: O(n), but of a list of more than 10,000
    only the two ends are searched. A job that is at neither and nowhere else is taken to wait in
    it, since to know better would cost Redis milliseconds a job. What replaces LPOS where that
    is refused: see `qtui.bullmq.reads.lists`.

    Raises:
        redis.exceptions.ResponseError: Redis refused to show one of the queues (an ACL, a
            renamed command); a key of another type is reported with its job.
    """
    byqueue: dict[QueueKey, list[str]] = {}
    for name in names:
        byqueue.setdefault(name.queue, []).append(name.id)
    found: dict[str, Node] = {}
    for queue, ids in byqueue.items():
        for part in by_weight(list(dict.fromkeys(ids))):
            for node in await _read_queue(client, queue, part):
                found[node.key] = node
    return [replace(found[name.key], name=name) for name in names]


async def _read_queue(client: Client, queue: QueueKey, ids: Sequence[str]) -> list[Node]:
    places = await _places(client, queue, ids)

    def made(at: int, fields: Reply, beside: Sequence[Reply]) -> Node:
        return _node(Name(queue, ids[at]), places[ids[at]], [fields, *beside])

    def family(key: str) -> Sequence[Command]:
        counts = ((verb, f"{key}:{suffix}") for verb, suffix in zip(_COUNT, _SETS, strict=True))
        return [("TYPE", key), *counts]

    names = (*LIST_FIELDS, "parent", "defa")
    nodes = await read_hashes(client, [queue.job(one) for one in ids], names, made, family)
    written = [node.row.failed_reason for node in nodes]
    reasons = await fill_reasons(client, queue, ids, written)
    return [
        node if reason == was else replace(node, row=node.row._replace(failed_reason=reason))
        for node, was, reason in zip(nodes, written, reasons, strict=True)
    ]


def _node(name: Name, place: Whereabouts, replies: Sequence[Reply]) -> Node:
    fields, kind, *counts = replies
    *values, parent, deferred = texts(fields) or [None] * (len(LIST_FIELDS) + 2)
    row = marked(short_row(name.id, values, place.score), _blank(fields, kind))
    nowhere = place.state is None and not place.unknown
    if nowhere and not may_be_job(name.id, marked=row.timestamp is not None):
        row = row._replace(missing=True)
    held = Garbage().options(parent)
    beside = dict(zip((name.queue.job(name.id, one) for one in _SETS), counts, strict=True))
    options = Garbage().options(values[LIST_FIELDS.index("opts")])
    return Node(
        name=name,
        state=place.state,
        row=row,
        children=Children(*(number(count) or 0 for count in counts)),
        parent=parent_of(row.parent_key, parent),
        on_failure=_on_failure(held, options),
        deferred=deferred or "",
        unknown=place.unknown,
        unread=tuple(
            refused(reply, "", key)
            for key, reply in beside.items()
            if isinstance(reply, RedisError)
        ),
    )


def _blank(fields: Reply, kind: Reply) -> Reply:
    """The type of the key if that is why there are no fields."""
    return kind if isinstance(fields, RedisError) or not any(texts(fields)) else "hash"


def _on_failure(parent: Mapping[str, object], options: Mapping[str, object]) -> OnFailure:
    """The child's option: in its parent JSON since 5.x, in its options before."""
    for option in _LONG:
        named = (parent.get(option), options.get(option), options.get(_LONG[option]))
        if any(is_true(value) for value in named):
            return option
    return OnFailure.WAIT


async def _places(client: Client, queue: QueueKey, ids: Sequence[str]) -> Mapping[str, Whereabouts]:
    """The states of jobs of one queue, without searching long lists from end to end."""
    reader = Reader(client)
    places = await reader.whereabouts(queue, ids, [JobState.ACTIVE], reasons=False)
    left = [one for one in ids if places[one].state is None and places[one].exists]
    if not left:
        return places
    lists = (JobState.WAITING, JobState.PAUSED)
    found: dict[str, Whereabouts] = dict(places)
    for job_id, place in (await find_in_lists(client, queue, left, lists, ends=True)).items():
        if place.state is None and not place.unknown:
            place = InList(place.crowded)
        found[job_id] = places[job_id].in_list(place)
    nowhere = [one for one in left if found[one].state is None and not found[one].unknown]
    if nowhere:
        # It may have moved from a place not yet looked at to one that had been.
        found |= await reader.whereabouts(queue, nowhere, reasons=False)
    return found


@dataclass(frozen=True, slots=True)
class Lineage:
    """A job and its ancestors."""

    nodes: tuple[Node, ...]
    """From the root down to the job itself."""
    note: str = ""
    """Why the way up ends below a parent that is named: it is gone, or the flow goes in circles."""

    @property
    def root(self) -> Node:
        """The uppermost job that is there."""
        return self.nodes[0]

    @property
    def job(self) -> Node:
        """The job from which the way up began."""
        return self.nodes[-1]


async def read_lineage(client: Client, queue: QueueKey, job_id: str) -> Lineage:
    """The job and its ancestors up to the root, through queues and prefixes.

    Each of them but the root knows how its parent keeps it. Costs four round trips a generation.

    Raises:
        redis.exceptions.ResponseError: Redis refused to show one of the queues.
    """
    [node] = await read_nodes(client, [Name(queue, job_id)])
    nodes, seen, note = [node], {node.key}, ""
    while (parent := await _parent(client, nodes[0])) is not None:
        if parent.key in seen:
            note = f"{parent.key} is its own ancestor"
            break
        if parent.row.missing:
            note = f"its parent {parent.key} is gone"
            break
        if len(nodes) > DEEPEST:
            note = f"more than {DEEPEST} generations"
            break
        seen.add(parent.key)
        child = nodes[0]
        record = await read_record(client, parent, child)
        nodes[0] = replace(child, name=replace(child.name, record=record))
        nodes.insert(0, parent)
    return Lineage(tuple(nodes), note)


async def _parent(client: Client, node: Node) -> Node | None:
    if node.parent is None:
        return None
    base, job_id = node.parent
    [parent] = await read_nodes(client, [Name(queue_of(base, [node.queue]), job_id)])
    return parent


async def read_record(client: Client, parent: Node, child: Node) -> Record | None:
    """How a parent keeps a child, None where it has struck it off. Costs one round trip."""
    key = child.key
    replies = await ask_all(
        client,
        [
            ("SISMEMBER", parent.queue.job(parent.id, Record.PENDING), key),
            ("HEXISTS", parent.queue.job(parent.id, Record.PROCESSED), key),
            ("HEXISTS", parent.queue.job(parent.id, Record.IGNORED), key),
            ("ZSCORE", parent.queue.job(parent.id, Record.UNSUCCESSFUL), key),
        ],
    )
    places = (Record.PENDING, Record.PROCESSED, Record.IGNORED)
    for record, reply in zip(places, replies, strict=False):
        if reply == 1:
            return record
    unsuccessful = replies[3]
    if unsuccessful is not None and not isinstance(unsuccessful, RedisError):
        return Record.UNSUCCESSFUL
    return None
