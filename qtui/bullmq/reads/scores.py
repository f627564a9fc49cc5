"""Reads a state's scores: the newest, and jobs by score. For sorted sets; lists have no scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from qtui.bullmq.ask import Command, Reply, ask_all, exact, items, number, score, scores, unrefused
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState


async def newest_score(client: Client, queue: QueueKey, state: JobState) -> float:
    """Returns the highest score in a state (ms since 1970 for finished jobs), -inf if it is empty.

    Workers write scores by their own clocks, so "by now" is this score, not our clock. Costs one
    command of O(log n).

    Raises:
        redis.exceptions.ResponseError: Redis refused the read, or the key is not a sorted set.
    """
    key = queue.key(state.key)
    [newest] = await ask_all(client, [("ZREVRANGE", key, 0, 0, "WITHSCORES")])
    known = next(iter(scores(unrefused(newest)).values()), None)
    return -math.inf if known is None else known


async def count_up_to(client: Client, queue: QueueKey, state: JobState, highest: float) -> int:
    """Returns how many jobs of a state have at most this score. Costs one O(log n) command.

    Raises:
        redis.exceptions.ResponseError: as `newest_score`.
    """
    [reply] = await ask_all(client, [("ZCOUNT", queue.key(state.key), "-inf", exact(highest))])
    return number(unrefused(reply)) or 0


async def lowest_first(
    client: Client, queue: QueueKey, state: JobState, lowest: float, highest: float, most: int
) -> Mapping[str, float]:
    """Returns the first ``most`` ids between two scores, both included, with their scores.

    In order of score; ids with the same score are in the order of their bytes. Costs one
    ZRANGEBYSCORE, 0.3 ms for a thousand ids.

    Raises:
        redis.exceptions.ResponseError: as `newest_score`.
    """
    between = ("ZRANGEBYSCORE", queue.key(state.key), exact(lowest), exact(highest))
    [reply] = await ask_all(client, [(*between, "WITHSCORES", "LIMIT", 0, most)])
    found = scored_members(unrefused(reply))
    return {member: at for member, at in found.items() if at is not None}


class Finish(NamedTuple):
    """Whether and when a job has finished, as its queue shows it."""

    completed: float | None
    """Its score in ``completed``, None where it is not in it."""
    failed: float | None
    exists: bool
    """Whether its hash is there."""


async def read_finishes(client: Client, jobs: Iterable[tuple[QueueKey, str]]) -> Sequence[Finish]:
    """How jobs of any queues have finished, in order. Costs one round trip, three commands a job.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """
    commands: list[Command] = []
    for queue, job_id in jobs:
        commands.append(("ZSCORE", queue.key(JobState.COMPLETED.key), job_id))
        commands.append(("ZSCORE", queue.key(JobState.FAILED.key), job_id))
        commands.append(("EXISTS", queue.job(job_id)))
    replies = await ask_all(client, commands) if commands else []
    return [
        Finish(score(completed), score(failed), exists != 0)
        for completed, failed, exists in zip(
            replies[::3], replies[1::3], replies[2::3], strict=True
        )
    ]


def scores_in_order(ids: Sequence[str], reply: Reply) -> list[float | None]:
    """Returns the scores of members, one each, from a WITHSCORES reply about the same places.

    None for a member that is not in it: the state moved in between.
    """
    parts = cast("list[str]", items(reply))
    if parts[::2] == ids:
        try:
            return list(map(float, parts[1::2]))
        except (TypeError, ValueError):
            pass
    known = scored_members(reply)
    return [known.get(one) for one in ids]


def scored_members(reply: Reply) -> dict[str, float | None]:
    """As `scores`, some times faster for the flat replies of RESP2 that have nothing amiss."""
    parts = cast("list[str]", items(reply))
    try:
        return dict(zip(parts[::2], map(float, parts[1::2]), strict=True))
    except (TypeError, ValueError):
        return scores(reply)
