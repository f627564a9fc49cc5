"""Fills in empty failedReasons from the jobs' stacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.ask import ask, number, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.signature.headline import reason_of, says_something

_LONGEST: Final = 100_000
"""Largest stacktrace, in bytes, that is read; if it is longer the reason stays empty."""

_AT_ONCE: Final = 1_000_000
"""Bytes read in one round trip, about."""


async def fill_reasons(
    client: Client, queue: QueueKey, ids: Sequence[str], reasons: Sequence[str | None]
) -> list[str | None]:
    """Returns the failedReasons, each without words replaced by what the job's stack says.

    Costs nothing if all have words; else an HSTRLEN and an HGET for each job whose reason has none.
    """
    found = list(reasons)
    mute = [
        at
        for at, one in enumerate(reasons)
        # Nearly every reason begins with a letter, which is seen sooner than asked.
        if one is not None and not one[:1].isalnum() and not says_something(one)
    ]
    if not mute:
        return found
    sizes = await ask(client, [("HSTRLEN", queue.job(ids[at]), "stacktrace") for at in mute])
    known = {at: number(size) or 0 for at, size in zip(mute, sizes, strict=True)}
    some: list[int] = []
    for at, size in known.items():
        if not 2 < size <= _LONGEST:
            continue
        some.append(at)
        if sum(known[one] for one in some) >= _AT_ONCE:
            await _read(client, queue, ids, some, found)
            some = []
    await _read(client, queue, ids, some, found)
    return found


async def _read(
    client: Client,
    queue: QueueKey,
    ids: Sequence[str],
    places: Sequence[int],
    found: list[str | None],
) -> None:
    if places:
        replies = await ask(client, [("HGET", queue.job(ids[at]), "stacktrace") for at in places])
        for at, reply in zip(places, replies, strict=True):
            found[at] = reason_of(found[at], text(reply))
