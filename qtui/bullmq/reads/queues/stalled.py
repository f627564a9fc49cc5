"""Reads which active jobs are stalled: still active, but no worker holds their lock any more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from qtui.bullmq.ask import ask, number, present, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Row

AT_LEAST: Final = 5_000
"""Milliseconds that a job is active before it can be called stalled."""

_OLDEST: Final = 1_000
"""Active jobs, from the oldest on, that are looked at."""


async def read_stalled(
    client: Client, queue: QueueKey, rows: Iterable[Row], *, now: float
) -> set[str]:
    """Returns the ids of those active jobs whose lock (``<id>:lock``) has expired.

    Every release and port takes the lock away in the script that takes the job out of ``active``,
    so a job without a lock that is in ``active`` afterwards has lost its worker.

    Args:
        client: where to read.
        queue: the queue.
        rows: jobs that were active when their list was read.
        now: ms since the epoch.

    Costs one round trip with one EXISTS a job; where a lock is missing, another one with an LRANGE
    of at most 1,000 ids.
    """
    jobs = [
        row.id
        for row in rows
        if row.processed_on is not None and now - row.processed_on >= AT_LEAST
    ]
    if not jobs:
        return set()
    locks = await ask(client, [("EXISTS", queue.job(one, "lock")) for one in jobs])
    unlocked = {one for one, lock in zip(jobs, locks, strict=True) if number(lock) == 0}
    if not unlocked:
        return set()
    [active] = await ask(client, [("LRANGE", queue.key("active"), -_OLDEST, -1)])
    return unlocked.intersection(present(texts(active)))
