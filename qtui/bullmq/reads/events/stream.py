"""Tells which queues have changed, from their event streams. Reads only.

Events say that something happened; what is in the queue now is read again from its keys, since
streams are trimmed and not every change emits one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from qtui.bullmq.ask import ask, ask_one
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey

LONGEST_WAIT: Final = 2000
"""Milliseconds for which a call blocks at most, below every read time-out."""


def can_wait(client: Client) -> bool:
    """Whether one connection can wait for all streams: on a cluster they lie on several nodes."""
    return not isinstance(client, RedisCluster)


async def wait_for_events(
    client: Client,
    queues: Sequence[QueueKey],
    milliseconds: int = LONGEST_WAIT,
    read_to: Mapping[QueueKey, str] | None = None,
) -> set[QueueKey]:
    """Waits until any of the queues has an event that is newer than the call; empty when none came.

    Events between two calls go unseen, so the counts want a look from time to time as well. Not so
    for the queues in ``read_to``, with the id of the last event that was read of each: newer ones
    are reported whenever they came. A key that should be a stream and is none is left out.

    Costs one XREAD that blocks a connection (not Redis), and one event a queue in the reply; where
    a key is no stream, a TYPE for each queue before.
    """
    names = {queue.key("events"): queue for queue in queues}
    since = {name: (read_to or {}).get(queue, "$") for name, queue in names.items()}
    milliseconds = max(1, min(milliseconds, LONGEST_WAIT))
    try:
        reply = await _read(client, since, milliseconds)
    except ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        kinds = await ask(client, [("TYPE", name) for name in names])
        streams = [
            name for name, kind in zip(names, kinds, strict=True) if kind in ("stream", "none")
        ]
        reply = await _read(client, {name: since[name] for name in streams}, milliseconds)
    return {names[name] for name in _streams(reply) if name in names}


async def _read(client: Client, since: Mapping[str, str], milliseconds: int) -> object:
    if not since:
        await asyncio.sleep(milliseconds / 1000)
        return None
    return await ask_one(
        client,
        *("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS"),
        *since,
        *since.values(),
    )


def _streams(reply: object) -> list[str]:
    """Names of the streams in a reply of XREAD, RESP2 or RESP3."""
    if isinstance(reply, Mapping):
        return [str(name) for name in reply]
    if isinstance(reply, list):
        return [str(pair[0]) for pair in reply if isinstance(pair, list | tuple) and pair]
    return []
