"""Finds out from counters of jobs whether they last ran under BullMQ ≥5.0.0 or an older one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.ask import Command, Reply, ask_all, items, present, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import ran_modern
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import job_ran_modern

NEWEST: Final = 4
"""Jobs read per state; several, since the hash of the newest may be gone."""

PLACES: Final = 3
"""Commands of `newest`: one for each state in which jobs have run."""


def newest(queue: QueueKey) -> list[Command]:
    """Returns the commands that ask for the jobs that ran last: completed, failed, active."""
    return [
        ("ZREVRANGE", queue.key("completed"), 0, NEWEST - 1),
        ("ZREVRANGE", queue.key("failed"), 0, NEWEST - 1),
        ("LRANGE", queue.key("active"), 0, NEWEST - 1),
    ]


async def last_ran_modern(
    client: Client, queues: Sequence[QueueKey], found: Sequence[Reply]
) -> list[bool | None]:
    """Returns `QueueEvidence.ran_modern` of each queue, given the replies to `newest` in order.

    In each state the newest job whose counters are conclusive decides. Costs one round trip with at
    most 12 commands of O(1) a queue.

    Raises:
        redis.exceptions.NoPermissionError: the ACL forbids reading a job.
    """
    places = [
        (queue, [one for one in present(texts(reply)) if not is_marker(one)])
        for at, reply in enumerate(found)
        for queue in (queues[at // PLACES],)
    ]
    commands: list[Command] = [
        ("HMGET", queue.job(one), "ats", "atm", "attemptsMade")
        for queue, ids in places
        for one in ids
    ]
    replies = iter(await ask_all(client, commands) if commands else [])
    newest = []
    for _, ids in places:
        # Takes the replies for all ids, also those after the first conclusive one.
        seen = [_judge(next(replies)) for _ in ids]
        newest.append(next((one for one in seen if one is not None), None))
    return [ran_modern(newest[at : at + PLACES]) for at in range(0, len(newest), PLACES)]


def _judge(reply: Reply) -> bool | None:
    return job_ran_modern(*texts(reply)) if items(reply) else None


async def any_never_ran(client: Client, queue: QueueKey, ids: Sequence[str]) -> bool:
    """Whether one of the jobs exists and has never run. Costs one round trip; none without ids.

    Raises:
        redis.exceptions.NoPermissionError: the ACL forbids reading a job.
    """
    fields = ("timestamp", "ats", "atm", "attemptsMade", "stacktrace", "pb")
    if not ids:
        return False
    replies = await ask_all(client, [("HMGET", queue.job(one), *fields) for one in ids])
    for reply in replies:
        added, *traces = texts(reply) or [None]
        if added is not None and all(trace is None for trace in traces):
            return True
    return False
