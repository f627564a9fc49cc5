"""Counts the workers of each queue by the names that BullMQ gives its connections."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from redis.asyncio.cluster import RedisCluster

from qtui.bullmq.ask import ask_everywhere, primaries, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey

_NAME: Final = re.compile(r" name=(\S+)")
_COMMAND: Final = re.compile(r" cmd=(\S+)")

_WAITING: Final = frozenset({"bzpopmin", "brpoplpush", "blmove"})
"""Commands that only a worker's blocking connection sends; BullMQ ≥5.0.0 sends the first."""

_NAMELESS: Final = ""


class _Connections(NamedTuple):
    """The connections of a CLIENT LIST by name; ``""`` for those without one."""

    all: Counter[str]
    waiting: Counter[str]
    """Those whose latest command waits for a job, whether it still waits or has returned."""

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
    """Returns the workers per queue in a reply to CLIENT LIST; None for a queue where unknown.

    A worker's blocking connection is named ``<prefix>:<base64 of the queue's name>``, followed by
    ``:w:<worker name>`` since 5.3.0 (Worker, clientName). The ports for Python (≥2.19.3) and Elixir
    (≥1.2.4) use the plain name. Python names both connections of a worker, Elixir only the blocking
    one: so the number is half of them, or those that wait for jobs if these are more. Event
    listeners (``:qe``) are not workers. A worker name with a blank never appears in the list.

    .NET, older Python, and BullMQ for Node on a cluster (seen with 4.18.3 and 5.58.1, not with
    6.7.0) do not name their connections. So while any nameless connection waits for jobs of any
    queue, the number for a queue without visible workers is unknown, not 0.
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
    """Returns the queues under the prefixes that workers are connected to: fast, not complete."""
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
    """Returns the workers per queue, see `count_workers`; None if CLIENT LIST is refused.

    On a cluster each node lists its own clients; a worker blocks on the node that has the queue.

    Costs one CLIENT LIST, O(clients), about 1 ms for a thousand of them; on a cluster one for each
    primary. Call it when a screen opens, then at most every ten seconds.
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
    """The node with the keys that workers block on; None if the server is not a cluster."""
    if not isinstance(client, RedisCluster):
        return None
    return client.get_node_from_key(queue.key("marker"))
