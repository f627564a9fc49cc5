"""Reads the names of jobs, which most events do not carry. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.ask import ask, text
from qtui.bullmq.connection.arrival import ReplyTooLarge, at_most
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey

_LONGEST: Final = 200
"""Characters of a name that are kept."""


async def read_names(
    client: Client, jobs: Sequence[tuple[QueueKey, str]]
) -> dict[tuple[QueueKey, str], str]:
    """Returns the name of each job, cut; empty where the job is gone or has none.

    Costs one round trip with an HGET a job; names that are huge together are not read.
    """
    found = dict.fromkeys(jobs, "")
    try:
        with at_most():
            replies = await ask(client, [("HGET", queue.job(one), "name") for queue, one in jobs])
    except ReplyTooLarge:
        return found
    return {job: (text(reply) or "")[:_LONGEST] for job, reply in zip(jobs, replies, strict=True)}
