"""Counts the workers of each queue by the names that BullMQ gives its connections."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from redis.asyncio.cluster import RedisCluster

from qtui.bullmq.ask import ask_everywhere, primaries, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey

WAITING: Final = frozenset({"bzpopmin", "brpoplpush", "blmove"})
"""Commands that only a worker's blocking connection sends; BullMQ ≥5.0.0 sends the first."""

_PART: Final = re.compile(r"(\S+?)=(\S*)")

_NAMELESS: Final = ""
_NAMED: Final = ":w:"
"""The separator between what names the queue and the worker's own name."""


class Connection(NamedTuple):
    """A line of CLIENT LIST."""

    name: str
    """Empty if it has none."""
    address: str
    age: int | None
    """Seconds since it was made."""
    waits: bool
    """Whether its latest command waits for a job, whether it still waits or has returned."""


def connections_in(client_list: str) -> list[Connection]:
    """Returns the connections in a reply to CLIENT LIST."""
    found = []
    for line in client_list.splitlines():
        parts = dict(_PART.findall(line))
        age = parts.get("age", "")
        found.append(
            Connection(
                name=parts.get("name", _NAMELESS),
                address=parts.get("addr", ""),
                age=int(age) if age.isdigit() else None,
                waits=parts.get("cmd") in WAITING,
            )
        )
    return found


def name_by_node(queue: QueueKey) -> str:
    """Returns what node names a worker's connection, before ``:w:`` and the worker's own name."""
    encoded = base64.b64encode(queue.name.encode("utf-8", "surrogateescape")).decode()
    return f"{queue.prefix}:{encoded}"


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
    connections = connections_in(client_list)
    every = _by_owner(one.name for one in connections)
    waiting = _by_owner(one.name for one in connections if one.waits)
    counts: dict[QueueKey, int | None] = {}
    for queue in queues:
        by_node, spelt_out = every[name_by_node(queue)], every[queue.base]
        seen = by_node + max((spelt_out + 1) // 2, waiting[queue.base])
        counts[queue] = seen if seen or not waiting[_NAMELESS] else None
    return counts


def queues_of_workers(client_list: str, prefixes: Sequence[str]) -> set[QueueKey]:
    """Returns the queues under the prefixes that workers are connected to: fast, not complete."""
    found: set[QueueKey] = set()
    for name in {one.name for one in connections_in(client_list)}:
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


def _by_owner(names: Iterable[str]) -> Counter[str]:
    """How many connections each owner has: a name, or what is before a ``:w:`` in one."""
    found: Counter[str] = Counter()
    for name, number in Counter(names).items():
        found[name] += number
        end = name.find(_NAMED)
        while end >= 0:
            found[name[:end]] += number
            end = name.find(_NAMED, end + 1)
    return found


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
