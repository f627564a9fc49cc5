"""The children of a flow's node: their names as they are needed, the jobs page by page. Reads only.

A parent keeps its children by full key in two sets and two hashes. The values of the hashes (return
values, reasons) may be huge and are not read. Which part of a full key is the queue and which the
id is decided by the queues that exist: an id may hold colons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from redis.exceptions import ResponseError

from qtui.bullmq.ask import Command, ask_all, present, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.lineage import Name, Node, Record, queue_of, read_nodes
from qtui.bullmq.keys import QueueKey, split_job_key

WHOLE_FAMILY: Final = 20_000
"""Children in one of a parent's keys that are named in one go, and shown in the order of their ids;
20,000 names take 3 ms of Redis's time. Beyond, they come in pieces and in Redis's own order."""

_PIECE: Final = 1000

_WITH_VALUES: Final = 50
"""Names in one piece of a hash where each comes with its value."""

_ROUND: Final = 5000
"""Names in one round trip, for many parents at once."""

_MOST_PARTS: Final = 12
"""Colons of a base key that are thought of; an id may hold thousands of them."""

ATTENTION: Final = (Record.UNSUCCESSFUL, Record.IGNORED, Record.PENDING, Record.PROCESSED)
"""The order in which children are listed: those that went wrong first."""

_COUNTED: Final[Mapping[Record, str]] = {
    Record.UNSUCCESSFUL: "unsuccessful",
    Record.IGNORED: "ignored",
    Record.PENDING: "pending",
    Record.PROCESSED: "processed",
}


class Queues:
    """Which queues there are, so that full keys can be parted; remembers what it has asked.

    Args:
        client: where to ask.
        known: queues that are known already.
    """

    def __init__(self, client: Client, known: Iterable[QueueKey] = ()) -> None:
        self._client = client
        self._known = {queue.base: queue for queue in known}
        self._unknown: set[str] = set()

    def get(self, base: str) -> QueueKey:
        """The queue of a base key."""
        return self._known.setdefault(base, queue_of(base))

    async def part(self, keys: Sequence[str]) -> list[tuple[QueueKey, str]]:
        """Queue and id of each full key.

        A key with two colons can be parted in one way. In others the longest base is taken that is
        a queue's, as BullMQ itself parts at the last colon; where none is, the last colon parts.

        Costs one round trip where bases are met that were not asked for before.
        """
        unclear = {base for key in keys for base in _bases(key)} - self._known.keys()
        unclear -= self._unknown
        # A base that could not be parted in another way needs no question.
        unclear = {
            base for key in keys if len(_bases(key)) > 1 for base in _bases(key) if base in unclear
        }
        if unclear:
            asked = sorted(unclear)
            kinds = await ask_all(self._client, [("TYPE", f"{base}:meta") for base in asked])
            for base, kind in zip(asked, kinds, strict=True):
                if kind == "hash":
                    self._known[base] = queue_of(base)
                else:
                    self._unknown.add(base)
        return [self._part(key) for key in keys]

    def _part(self, key: str) -> tuple[QueueKey, str]:
        for base in _bases(key):
            if base in self._known:
                return self._known[base], key[len(base) + 1 :]
        base, job_id = split_job_key(key)
        return self.get(base), job_id


def _bases(key: str) -> list[str]:
    """What may be the base of a full key, longest first: a prefix, a colon and a name at least."""
    parts = key.split(":")
    last = min(len(parts) - 1, _MOST_PARTS)
    return [":".join(parts[:end]) for end in range(last, 1, -1)]


async def read_families(
    client: Client, nodes: Sequence[Node], queues: Queues, records: Sequence[Record] = ATTENTION
) -> list[list[Name]]:
    """Names of all children of many nodes, in their order, many nodes in one round trip.

    Costs a round trip for every 5,000 children or 250 nodes, and what `Queues.part` costs. Whoever
    asks keeps the nodes to those whose children are bearable in all.
    """
    found: dict[str, dict[str, Record]] = {node.key: {} for node in nodes}
    for some in _rounds(nodes, records):
        commands = [_whole(node, record) for node, record in some]
        replies = await ask_all(client, commands)
        for (node, record), reply in zip(some, replies, strict=True):
            for full in sorted(_members(reply), key=_by_id):
                found[node.key].setdefault(full, record)
    for node in nodes:
        for record in (one for one in records if _counted(node, one) > WHOLE_FAMILY):
            family = Family(client, node, queues, [record])
            for name in await family.names(0, _counted(node, record) + WHOLE_FAMILY):
                found[node.key].setdefault(name.key, record)
    keys = list(dict.fromkeys(full for members in found.values() for full in members))
    parted = dict(zip(keys, await queues.part(keys), strict=True))
    return [
        [Name(*parted[full], record) for full, record in found[node.key].items()] for node in nodes
    ]


def _rounds(
    nodes: Sequence[Node], records: Sequence[Record]
) -> Iterable[list[tuple[Node, Record]]]:
    """The reads of each round trip: a bounded number of names, and of commands."""
    wanted = [
        (node, record)
        for node in nodes
        for record in records
        if 0 < _counted(node, record) <= WHOLE_FAMILY
    ]
    some: list[tuple[Node, Record]] = []
    names = 0
    for one in wanted:
        count = _counted(*one)
        if some and (names + count > _ROUND or len(some) == _PIECE):
            yield some
            some, names = [], 0
        some.append(one)
        names += count
    if some:
        yield some


class Family:
    """The children of one node. Pages may be asked for in any order; names are read up to them.

    Args:
        client: where to read.
        node: the parent.
        queues: parts full keys; one for a whole tree.
        records: which of the parent's keys are read, and in which order.
    """

    def __init__(
        self,
        client: Client,
        node: Node,
        queues: Queues,
        records: Sequence[Record] = ATTENTION,
    ) -> None:
        self.node = node
        self.total = sum(_counted(node, record) for record in records)
        """Children that the parent knew of when it was read."""
        self._client = client
        self._queues = queues
        self._left = list(records)
        self._cursor = 0
        self._names: dict[str, Name] = {}
        self._novalues = True

    async def names(self, offset: int, limit: int) -> list[Name]:
        """Names of children from ``offset`` on, fewer at the end.

        Costs one or two round trips for up to `WHOLE_FAMILY` names that were not read before.

        Raises:
            redis.exceptions.NoPermissionError: we may not look at the parent.
        """
        while self._left and len(self._names) < offset + limit:
            await self._more()
        return list(self._names.values())[offset : offset + limit]

    async def page(self, offset: int, limit: int) -> list[Node]:
        """Children from ``offset`` on; costs what `names` and `read_nodes` cost.

        One whose hash is gone is a node that says so (``row.missing``).
        """
        return await read_nodes(self._client, await self.names(offset, limit))

    async def _more(self) -> None:
        record = self._left[0]
        key = self.node.queue.job(self.node.id, record)
        count = _counted(self.node, record)
        if not count:
            keys: list[str] = []
            self._left.pop(0)
        elif count <= WHOLE_FAMILY:
            [reply] = await ask_all(self._client, [_whole(self.node, record)])
            keys = sorted(_members(reply), key=_by_id)
            self._left.pop(0)
        else:
            keys = await self._piece(record, key)
            if not self._cursor:
                self._left.pop(0)
        new = [one for one in dict.fromkeys(keys) if one not in self._names]
        for full, (queue, job_id) in zip(new, await self._queues.part(new), strict=True):
            self._names[full] = Name(queue, job_id, record)

    async def _piece(self, record: Record, key: str) -> list[str]:
        if record is Record.UNSUCCESSFUL:
            start = self._cursor
            [reply] = await ask_all(self._client, [("ZRANGE", key, start, start + _PIECE - 1)])
            found = present(texts(reply))
            self._cursor = start + len(found) if len(found) == _PIECE else 0
            return found
        self._cursor, found = await self._scan(record, key)
        return found

    async def _scan(self, record: Record, key: str) -> tuple[int, list[str]]:
        if record is Record.PENDING:
            cursor, members = await self._client.sscan(key, self._cursor, count=_PIECE)
            return int(cursor), [str(one) for one in members]
        if self._novalues:
            try:
                cursor, names = await self._client.hscan(
                    key, self._cursor, count=_PIECE, no_values=True
                )
                return int(cursor), [str(one) for one in names]
            except ResponseError:
                # Before Redis 7.4 and Valkey 8 the values come along, so fewer at a time.
                self._novalues = False
        cursor, pairs = await self._client.hscan(key, self._cursor, count=_WITH_VALUES)
        return int(cursor), [str(one) for one in pairs]


def _whole(node: Node, record: Record) -> Command:
    key = node.queue.job(node.id, record)
    match record:
        case Record.PENDING:
            return ("SMEMBERS", key)
        case Record.UNSUCCESSFUL:
            return ("ZRANGE", key, 0, -1)
        case _:
            return ("HKEYS", key)


def _members(reply: object) -> list[str]:
    """The names in a reply; redis-py makes a set of SMEMBERS where the server speaks RESP3."""
    return [str(one) for one in reply] if isinstance(reply, list | set) else []


def _by_id(full: str) -> tuple[int, str]:
    """Sorts keys of one queue as BullMQ counts ids, 9 before 10."""
    return len(full), full


def _counted(node: Node, record: Record) -> int:
    count: int = getattr(node.children, _COUNTED[record])
    return count
