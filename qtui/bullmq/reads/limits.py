"""Reads what may hold a job back besides a pause: rate limits and deduplication.

Values are returned as Redis holds them, text that may be garbage: callers parse them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qtui.bullmq.ask import Command, Reply, ask, number, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.hashes import read_hashes


class RateLimits(NamedTuple):
    """A queue's rate limits; each is None if it is absent or Redis refused the read."""

    started: str | None
    """``limiter``: jobs started in the current window, or a huge number: limited by hand."""
    left: int | None
    """Milliseconds left of this window; -1 if it does not expire, -2 if there is none."""
    most: str | None
    """``meta.max`` (≥5.60.0): jobs that may start per window."""
    duration: str | None
    """``meta.duration`` (≥5.60.0): length of a window in milliseconds."""


async def read_rate_limits(client: Client, queue: QueueKey) -> RateLimits:
    """Returns a queue's rate limits from its ``meta``, and what its workers used of their own.

    Costs one round trip, three commands of O(1).
    """
    used, left, limits = await ask(
        client,
        [
            ("GET", queue.key("limiter")),
            ("PTTL", queue.key("limiter")),
            ("HMGET", queue.key("meta"), "max", "duration"),
        ],
    )
    most, duration = texts(limits) or [None, None]
    return RateLimits(text(used), number(left), most, duration)


class JobLimits(NamedTuple):
    """The fields of a job that may fail its next run or duplicate it; each None if absent."""

    stalls: str | None
    """``stc``: how often it has stalled."""
    deduplication: str | None
    """``deid``: the id under which it was deduplicated."""
    scheduler: str | None
    """``rjk``: the job scheduler that made the job."""


async def read_job_limits(client: Client, queue: QueueKey, ids: Sequence[str]) -> list[JobLimits]:
    """Returns the limits of given jobs, in order. Costs one round trip, an HMGET a job.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """

    def made(_: int, fields: Reply, __: Sequence[Reply]) -> JobLimits:
        return JobLimits(*(texts(fields) or (None, None, None)))

    return await read_hashes(client, [queue.job(one) for one in ids], ("stc", "deid", "rjk"), made)


class Deduplication(NamedTuple):
    """The job that holds a deduplication id."""

    owner: str | None
    """The job that an add with this id is a duplicate of (``de:<id>``)."""
    has_next: bool
    """Whether a newer job is stored, to be added when that one ends (``dn:<id>``)."""


async def read_deduplications(
    client: Client, queue: QueueKey, ids: Sequence[str]
) -> dict[str, Deduplication]:
    """Returns the holder of each deduplication id. Costs one round trip, two O(1) commands each."""
    commands: list[Command] = []
    for one in ids:
        commands += [("GET", queue.key(f"de:{one}")), ("EXISTS", queue.key(f"dn:{one}"))]
    replies = await ask(client, commands) if commands else []
    pairs = zip(ids, replies[::2], replies[1::2], strict=True)
    return {one: Deduplication(text(owner), newer == 1) for one, owner, newer in pairs}
