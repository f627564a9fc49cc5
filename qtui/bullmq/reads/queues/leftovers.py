"""Finds the keys of a queue that no state names, for its removal. Reads only.

BullMQ's own obliterate (script obliterate, 1.15.0 to 6.7.0) leaves such keys behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.ask import Command, ask, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import SCRIPT_KEYS, QueueKey
from qtui.bullmq.reads.queues.discovery import discover, escaped, scan

OWN_KEYS: Final = (
    *SCRIPT_KEYS,
    *("stalled", "stalled-check", "limiter", "wait:added"),
    *(f"metrics:{state}{data}" for state in ("completed", "failed") for data in ("", ":data")),
)
"""A queue's own keys, by suffix: they go last."""

_STARTS: Final = ("de:", "dn:", "repeat:", "limiter:", "metrics:")
_BESIDE: Final = {
    "logs": "list",
    "dependencies": "set",
    "processed": "hash",
    "failed": "hash",
    "unsuccessful": "zset",
    "lock": "string",
}
"""Keys beside a job's hash, and their types; see `lua/parts/jobkeys.lua`."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Some keys under a queue's base key."""

    keys: tuple[str, ...]
    """Those that are its own: of jobs in no state, of deduplication, of schedulers."""
    strange: tuple[str, ...]
    """Those that BullMQ does not make."""


async def queues_inside(client: Client, queue: QueueKey) -> list[QueueKey]:
    """Returns the queues whose names begin with this one's and a colon (older releases allow it).

    Costs what `discover` costs.
    """
    start = queue.key("")
    found = [one async for some in discover(client, [queue.prefix]) for one in some]
    return [one for one in found if one.base.startswith(start)]


async def leftovers(
    client: Client, queue: QueueKey, others: Sequence[QueueKey]
) -> AsyncIterator[Leftovers]:
    """Yields the keys under a queue's base key but for its own ones, some at a time.

    Args:
        client: where to read.
        queue: the queue.
        others: queues whose keys begin alike; they are left out.

    Costs a SCAN of the keyspace, and two O(1) commands for each key.
    """
    start, own = queue.key(""), {queue.key(suffix) for suffix in OWN_KEYS}
    starts = tuple(one.key("") for one in others)
    async for found in scan(client, f"{escaped(start)}*"):
        keys = [one for one in dict.fromkeys(found) if one not in own]
        keys = [one for one in keys if not (starts and one.startswith(starts))]
        if keys:
            yield await _sorted(client, start, keys)


async def _sorted(client: Client, start: str, keys: Sequence[str]) -> Leftovers:
    commands: list[Command] = []
    for key in keys:
        commands += [("TYPE", key), ("HEXISTS", key, "timestamp")]
    replies = await ask(client, commands)
    ours: list[str] = []
    strange: list[str] = []
    for key, kind, stamped in zip(keys, replies[::2], replies[1::2], strict=True):
        suffix = key.removeprefix(start)
        beside = _BESIDE.get(suffix.rpartition(":")[2]) if ":" in suffix else None
        known = stamped == 1 or suffix.startswith(_STARTS)
        known = known or (beside is not None and text(kind) == beside)
        (ours if known else strange).append(key)
    return Leftovers(tuple(ours), tuple(strange))
