"""Finds the jobs that schedulers wait for: if one left, its scheduler would never run again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, ask_all, exact, items, score, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey

_ITERATION: Final = re.compile(r"repeat:.*:(\d{1,16})", re.DOTALL)


async def current_iterations(client: Client, queue: QueueKey, ids: Sequence[str]) -> dict[str, str]:
    """Returns by id the scheduler of each job that is a scheduler's current iteration.

    As ``lua/parts/iteration.lua``: the scheduler's next run is the time in the job's id. Costs
    nothing where no id is made like one's, else two round trips with a command for each such job.

    Raises:
        redis.exceptions.ResponseError: Redis refused to read a job.
    """
    due = {one: float(found[1]) for one in ids if (found := _ITERATION.fullmatch(one))}
    if not due:
        return {}
    replies = await ask_all(client, [("HGET", queue.job(one), "rjk") for one in due])
    named = {one: text(reply) for one, reply in zip(due, replies, strict=True)}
    repeat = queue.key("repeat")
    commands: list[Command] = []
    for job_id, at in due.items():
        name = named[job_id]
        if name is not None:
            commands.append(("ZSCORE", repeat, name))
        else:  # before 1.86.0 a job does not name it
            commands.append(("ZRANGEBYSCORE", repeat, exact(at), exact(at), "LIMIT", 0, 1))
    current: dict[str, str] = {}
    for (job_id, at), reply in zip(due.items(), await ask_all(client, commands), strict=True):
        if isinstance(reply, RedisError):
            continue
        name = named[job_id]
        if name is None:
            members = [text(one) for one in items(reply)]
            name = members[0] if members else None
            if name is not None:
                current[job_id] = name
        elif score(reply) == at:
            current[job_id] = name
    return current
