"""Finds the queues under a prefix by one SCAN of the keyspace, slice by slice."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias

from qtui.bullmq.ask import ask_everywhere, ask_one, items, present, primaries, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.queues.workers import queues_of_workers
from qtui.bullmq.reads.status import read_status

KEYS_A_SCAN: Final = 1000
"""Keys that one SCAN call visits, about 0.3 ms of Redis's time."""

_GLOB: Final = re.compile(r"([*?\[\]\\^])")


def _candidates(keys: Iterable[str], prefix: str) -> set[QueueKey]:
    """The queues to which a ``meta`` or ``id`` among the keys may belong.

    A name never starts with a colon: ``<prefix>::relay:…`` belongs to 6.x's publish/subscribe.
    """
    found = set()
    for key in keys:
        base, _, suffix = key.rpartition(":")
        name = base[len(prefix) + 1 :]
        if suffix in ("meta", "id") and name and not name.startswith(":"):
            found.add(QueueKey(base, prefix))
    return found


def escaped(text: str) -> str:
    """Returns the pattern that matches this text alone."""
    return _GLOB.sub(r"\\\1", text)


async def scan(client: Client, pattern: str) -> AsyncIterator[list[str]]:
    """SCAN over the whole keyspace, on a cluster over each primary."""
    for node in await primaries(client):
        cursor = "0"
        while True:
            start = time.perf_counter()
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_A_SCAN)
            cursor, keys = _cursor_and_keys(await ask_one(client, *command, node=node))
            yield keys
            if cursor == "0":
                break
            # Leaves at least half of a busy server's time to others.
            await asyncio.sleep(time.perf_counter() - start)


def _cursor_and_keys(reply: object) -> tuple[str, list[str]]:
    if isinstance(reply, list | tuple) and len(reply) == 2:
        return str(reply[0]), present(texts(items(list(reply[1]))))
    raise TypeError(f"SCAN answered {type(reply).__name__}")


Read: TypeAlias = Callable[[Sequence[QueueKey]], Awaitable[list[QueueStatus]]]
"""Reads the status of queues, in order."""


def _ignore(queues: Iterable[QueueKey]) -> None:
    """Takes no notice of queues."""


async def discover(
    client: Client,
    prefixes: Sequence[str],
    read: Read | None = None,
    *,
    hidden: Callable[[Iterable[QueueKey]], None] = _ignore,
) -> AsyncIterator[list[QueueKey]]:
    """Yields the queues as they are found, each once; an empty list for a slice without any.

    Candidates are keys ``<prefix>:<name>:meta`` and ``…:id`` (workers and ports write no meta).
    `qtui.bullmq.reads.status.read_status` confirms each, which excludes job hashes, relay keys and
    half-deleted queues. With nested prefixes (``bull`` and ``bull:eu``) a queue belongs to the
    longest.

    The queues of connected workers come first, taken from the names of their connections (Worker,
    clientName), so that the list is not empty while a large keyspace is searched.

    Args:
        client: where to read.
        prefixes: where to look.
        read: reads the status of candidates; `read_status` if None.
        hidden: is called with candidates of which this user may read no key: SCAN shows them.

    Costs one CLIENT LIST, one SCAN of the keyspace for each prefix, `KEYS_A_SCAN` keys a call, and
    a few commands for each candidate; on a cluster the same on each primary. Leave the loop to stop
    it.
    """
    read = read or partial(read_status, client)
    seen: set[QueueKey] = set()
    clients = "\n".join(text(one) or "" for one in await ask_everywhere(client, "CLIENT", "LIST"))
    named = sorted(queues_of_workers(clients, prefixes))
    if named:
        found = [status.queue for status in await read(named) if status.exists]
        seen.update(found)
        yield found
    for prefix in sorted(set(prefixes), key=len, reverse=True):
        pattern = escaped(prefix) + ":*:[im][de]*"
        async for keys in scan(client, pattern):
            fresh = sorted(_candidates(keys, prefix) - seen)
            seen.update(fresh)
            statuses = await read(fresh) if fresh else []
            hidden(status.queue for status in statuses if status.hidden)
            yield [status.queue for status in statuses if status.exists]
