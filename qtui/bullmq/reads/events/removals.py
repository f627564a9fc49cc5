"""Finds out from events whether jobs that are gone were removed, or ran and were deleted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import ask
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.log import entries_of

_MOST: Final = 10_000
"""Events read at most: as many as BullMQ keeps by default."""

_PAGE: Final = 200
"""Events in one command: a completed job's event carries its whole return value."""


async def removed_lately(client: Client, queue: QueueKey, ids: Collection[str]) -> set[str]:
    """Returns those of the jobs whose newest event is ``removed``.

    A job that ran and was deleted at its end (removeOnComplete) has others. One whose events were
    trimmed, or whose events can't be read, is not returned.

    Costs an XREVRANGE for each 200 events, until all jobs are met, for 10,000 events at most.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    left, found = set(ids), set[str]()
    end, read = "+", 0
    while left and read < _MOST:
        command = ("XREVRANGE", queue.key("events"), end, "-", "COUNT", _PAGE)
        [reply] = await ask(client, [command])
        entries = [] if isinstance(reply, RedisError) else entries_of(reply)
        if end != "+":
            entries = entries[1:]  # the last one of the page before
        for _, fields in entries:
            job_id = fields.get("jobId", "")
            if job_id in left:
                left.discard(job_id)
                if fields.get("event") == "removed":
                    found.add(job_id)
        if not entries:
            break
        end, read = entries[-1][0], read + len(entries)
    return found
