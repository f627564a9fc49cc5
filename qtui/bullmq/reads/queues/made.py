"""Reads whether a queue is as the add of its first job left it, apart from that job."""

from __future__ import annotations

from typing import Final

from qtui.bullmq.ask import Command, ask_all, fields_of, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import SCRIPT_KEYS, QueueKey
from qtui.bullmq.reads.events.log import entries_of

FIRST: Final = "1"
"""The number of a queue's first job."""

_OWN_EVENTS: Final = frozenset({"added", "waiting", "delayed", "removed", "undone"})
_READ: Final = 100
_LEFT: Final = frozenset({"meta", "id", "events", "marker", "pc"})
"""The keys that an empty queue has."""


async def is_as_made(client: Client, queue: QueueKey) -> bool:
    """Whether a queue is empty, has had one job, and was not used otherwise since.

    As ``lua/unmake.lua`` decides it. Costs one round trip.

    Raises:
        redis.exceptions.RedisError: a command was refused, or the server did not answer.
    """
    states = [one for one in SCRIPT_KEYS if one not in _LEFT]
    commands: list[Command] = [("EXISTS", queue.key(one)) for one in states]
    commands += [("HGETALL", queue.key("meta")), ("GET", queue.key("id"))]
    commands.append(("XRANGE", queue.key("events"), "-", "+", "COUNT", _READ))
    *found, meta, number, events = await ask_all(client, commands)
    if any(found) or text(number) != FIRST:
        return False
    if set(fields_of(meta) or ()) != {"opts.maxLenEvents"}:
        return False
    return all(fields.get("event") in _OWN_EVENTS for _, fields in entries_of(events))
