"""Who works on which queue, told by the names that BullMQ gives its connections. Reads only."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from qtui.bullmq.ask import ask, text
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey

_NAME: Final = " name="


def count_workers(client_list: str, queues: Iterable[QueueKey]) -> dict[QueueKey, int]:
    """Workers per queue in a reply of CLIENT LIST.

    A worker's blocking connection is called ``<prefix>:<base64 of the queue's name>``, from 5.3.0
    on with ``:w:<worker name>`` behind it (Worker, clientName). The Python package 3.4 spells the
    name out and gives it to both of a worker's connections. Event listeners (``:qe``) are no
    workers; worker names with a blank never make it into the list.
    """
    names: dict[str, int] = {}
    for line in client_list.splitlines():
        _, found, rest = line.partition(_NAME)
        name = rest.partition(" ")[0] if found else ""
        if name:
            names[name] = names.get(name, 0) + 1
    counts = {}
    for queue in queues:
        encoded = base64.b64encode(queue.name.encode("utf-8", "surrogateescape")).decode()
        by_node = _connections(names, f"{queue.prefix}:{encoded}")
        by_python = _connections(names, queue.base)
        counts[queue] = by_node + (by_python + 1) // 2
    return counts


def _connections(names: Mapping[str, int], own: str) -> int:
    return sum(
        number for name, number in names.items() if name == own or name.startswith(own + ":w:")
    )


async def read_workers(client: Client, queues: Sequence[QueueKey]) -> dict[QueueKey, int] | None:
    """Workers seen per queue; None where CLIENT LIST is refused.

    Zero is no proof: some ports and proxies set no name. Costs one CLIENT LIST, O(clients), about
    1 ms for a thousand of them; so ask on opening and then every ten seconds or more.
    """
    [reply] = await ask(client, [("CLIENT", "LIST")])
    listed = text(reply)
    return None if listed is None else count_workers(listed, queues)
