"""Who works on which queue, told by the names that BullMQ gives its connections. Reads only."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from redis.asyncio.cluster import RedisCluster

from qtui.bullmq.ask import ask, text
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey

_NAME: Final = " name="


def _names(client_list: str) -> Counter[str]:
    """How many connections have which name."""
    rests = (line.partition(_NAME)[2] for line in client_list.splitlines())
    return Counter(name for rest in rests if (name := rest.partition(" ")[0]))


def count_workers(client_list: str, queues: Iterable[QueueKey]) -> dict[QueueKey, int]:
    """Workers per queue in a reply of CLIENT LIST.

    A worker's blocking connection is called ``<prefix>:<base64 of the queue's name>``, from 5.3.0
    on with ``:w:<worker name>`` behind it (Worker, clientName). The Python package 3.4 spells the
    name out and gives it to both of a worker's connections. Event listeners (``:qe``) are no
    workers; worker names with a blank never make it into the list.
    """
    names = _names(client_list)
    counts = {}
    for queue in queues:
        encoded = base64.b64encode(queue.name.encode("utf-8", "surrogateescape")).decode()
        by_node = _connections(names, f"{queue.prefix}:{encoded}")
        by_python = _connections(names, queue.base)
        counts[queue] = by_node + (by_python + 1) // 2
    return counts


def queues_of_workers(client_list: str, prefixes: Sequence[str]) -> set[QueueKey]:
    """The queues under the prefixes that connected workers name: known at once, but not all."""
    found: set[QueueKey] = set()
    for name in _names(client_list):
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


def _connections(names: Mapping[str, int], own: str) -> int:
    return sum(
        number for name, number in names.items() if name == own or name.startswith(own + ":w:")
    )


async def read_workers(client: Client, queues: Sequence[QueueKey]) -> dict[QueueKey, int] | None:
    """Workers seen per queue; None where CLIENT LIST is refused, and on a cluster.

    Zero is no proof: some ports and proxies set no name. Costs one CLIENT LIST, O(clients), about
    1 ms for a thousand of them; so ask on opening and then every ten seconds or more.
    """
    if isinstance(client, RedisCluster):
        return None  # each node has a list of its own, of which a pipeline can't ask
    [reply] = await ask(client, [("CLIENT", "LIST")])
    listed = text(reply)
    return None if listed is None else count_workers(listed, queues)
