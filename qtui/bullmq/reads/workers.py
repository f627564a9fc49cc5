"""Who works on which queue, told by the names that BullMQ gives its connections. Reads only."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from redis.asyncio.cluster import RedisCluster

from qtui.bullmq.ask import ask_everywhere, primaries, text
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey

_NAME: Final = re.compile(r" name=(\S+)")
_COMMAND: Final = re.compile(r" cmd=(\S+)")

_WAITING: Final = frozenset({"bzpopmin", "brpoplpush", "blmove"})
"""What a worker's blocking connection sends, 5.x on the first; no other connection does."""

_NAMELESS: Final = ""


class _Connections(NamedTuple):
    """The connections of a CLIENT LIST by name; those without one are called ``""``."""

    all: Counter[str]
    waiting: Counter[str]
    """Those whose latest command was one that waits for a job, whether they still do or not."""

    @classmethod
    def of(cls, client_list: str) -> _Connections:
        found = cls(Counter(), Counter())
        for line in client_list.splitlines():
            name, command = _NAME.search(line), _COMMAND.search(line)
            called = name[1] if name else _NAMELESS
            found.all[called] += 1
            found.waiting[called] += bool(command and command[1] in _WAITING)
        return found


def count_workers(client_list: str, queues: Iterable[QueueKey]) -> dict[QueueKey, int | None]:
    """Workers per queue in a reply of CLIENT LIST; None where it can't tell.

    A worker's blocking connection is called ``<prefix>:<base64 of the queue's name>``, from 5.3.0
    on with ``:w:<worker name>`` behind it (Worker, clientName). The ports for Python (≥2.19.3) and
    Elixir (≥1.2.4) spell the name out; Python gives it to both connections of a worker, Elixir to
    the blocking one only, so those that wait for jobs decide where they are more than half. Event
    listeners (``:qe``) are no workers; worker names with a blank never make it into the list.

    .NET, older Python, and on a cluster BullMQ for Node too (seen with 4.18.3 and 5.58.1, not with
    6.7.0) name no connection. So a queue of which no worker is seen has an unknown
    number of them while a nameless connection waits for jobs, of whichever queue.
    """
    connections = _Connections.of(client_list)
    nameless = connections.waiting[_NAMELESS]
    counts: dict[QueueKey, int | None] = {}
    for queue in queues:
        encoded = base64.b64encode(queue.name.encode("utf-8", "surrogateescape")).decode()
        by_node = _called(connections.all, f"{queue.prefix}:{encoded}")
        spelt_out = _called(connections.all, queue.base)
        waiting = _called(connections.waiting, queue.base)
        seen = by_node + max((spelt_out + 1) // 2, waiting)
        counts[queue] = seen if seen or not nameless else None
    return counts


def queues_of_workers(client_list: str, prefixes: Sequence[str]) -> set[QueueKey]:
    """The queues under the prefixes that connected workers name: known at once, but not all."""
    found: set[QueueKey] = set()
    for name in _Connections.of(client_list).all:
        for prefix in prefixes:
            if not name.startswith(f"{prefix}:"):
                continue
            own = name[len(prefix) + 1 :].partition(":")[0]
            try:
                decoded = base64.b64decode(own, validate=True).decode("utf-8")
            except (ValueError, UnicodeDecodeError):
                decoded = ""
            found.update(QueueKey.of(prefix, one) for one in (own, decoded) if one)
    return found


def _called(names: Mapping[str, int], own: str) -> int:
    return sum(
        number for name, number in names.items() if name == own or name.startswith(own + ":w:")
    )


async def read_workers(
    client: Client, queues: Sequence[QueueKey]
) -> dict[QueueKey, int | None] | None:
    """Workers seen per queue, see `count_workers`; None where CLIENT LIST is refused.

    On a cluster each node lists its own clients; a worker blocks on the one that has the queue.

    Costs one CLIENT LIST, O(clients), about 1 ms for a thousand of them, of a cluster one of each
    primary; so ask on opening and then every ten seconds or more.
    """
    nodes = await primaries(client)
    replies = await ask_everywhere(client, "CLIENT", "LIST")
    listed = {node: text(reply) for node, reply in zip(nodes, replies, strict=True)}
    counts: dict[QueueKey, int | None] = {}
    for node, clients in listed.items():
        if clients is None:
            return None
        own = (queue for queue in queues if _owner(client, queue) == node)
        counts.update(count_workers(clients, own))
    return {queue: counts.get(queue) for queue in queues}


def _owner(client: Client, queue: QueueKey) -> object:
    """The node that has the keys workers block on; None where the server is no cluster."""
    if not isinstance(client, RedisCluster):
        return None
    return client.get_node_from_key(queue.key("marker"))
