"""Reads what may hold a job back besides a pause: rate limits and deduplication.

Values are returned as Redis holds them, text that may be garbage: callers parse them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from qtui.bullmq.ask import Command, Reply, ask, number, present, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import STALLS
from qtui.bullmq.reads.hashes import read_hashes
from qtui.bullmq.reads.queues.discovery import escaped, scan


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
    """Returns a queue's rate limits: those of its ``meta``, and those of its workers.

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
    """How often it has stalled (`STALLS`)."""
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
        since, before, *others = texts(fields) or [None] * len(asked)
        return JobLimits(since or before, *others)

    asked = (*STALLS, "deid", "rjk")
    return await read_hashes(client, [queue.job(one) for one in ids], asked, made)


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


class QueueLimits(NamedTuple):
    """A queue's limits, as Redis holds them; each is None if it is absent or was refused."""

    concurrency: str | None
    """``meta.concurrency`` (≥5.9.0): jobs that may be active at once, in all workers together."""
    rates: RateLimits
    active: int
    """Jobs that are active."""
    holders: tuple[str, ...]
    """The ids of up to `HOLDERS` of them, those that began last first."""


HOLDERS: Final = 20
"""Active jobs that are named as holders of a queue's concurrency."""


async def read_limits(client: Client, queue: QueueKey) -> QueueLimits:
    """Returns a queue's limits, and which jobs use its concurrency up.

    Costs two round trips of O(1) commands.
    """
    rates = await read_rate_limits(client, queue)
    concurrency, active, holders = await ask(
        client,
        [
            ("HGET", queue.key("meta"), "concurrency"),
            ("LLEN", queue.key("active")),
            ("LRANGE", queue.key("active"), 0, HOLDERS - 1),
        ],
    )
    ids = tuple(one for one in present(texts(holders)) if not is_marker(one))
    return QueueLimits(text(concurrency), rates, number(active) or 0, ids)


class DeduplicationKey(NamedTuple):
    """A deduplication id that is in use."""

    id: str
    owner: str
    """The job that an add with this id is a duplicate of."""
    left: int
    """Milliseconds until it expires; -1 if it does not."""
    has_next: bool
    """Whether a newer job is stored, to be added when that one ends."""
    exists: bool
    """Whether the owner still has a hash. If not, and if it does not expire, every add with this id
    is lost to a job that is gone (healed at the next add since 6.3.6)."""


async def find_deduplications(
    client: Client, queue: QueueKey, ids: Sequence[str] = ()
) -> AsyncIterator[list[DeduplicationKey]]:
    """Yields the deduplication ids in use (``de:``, ≥5.11.0), some at a time; each once.

    Args:
        client: where to read.
        queue: the queue.
        ids: only these; none for all, which costs a SCAN of the keyspace (`scan`) and four O(1)
            commands for each.
    """
    start, seen = queue.key("de:"), set[str]()
    if ids:
        yield await _deduplications(client, queue, list(dict.fromkeys(ids)))
        return
    async for keys in scan(client, f"{escaped(start)}*"):
        fresh = [key.removeprefix(start) for key in keys if key not in seen]
        seen.update(keys)
        if fresh:
            yield await _deduplications(client, queue, fresh)


async def _deduplications(
    client: Client, queue: QueueKey, ids: Sequence[str]
) -> list[DeduplicationKey]:
    commands: list[Command] = []
    for one in ids:
        key = queue.key(f"de:{one}")
        commands += [("GET", key), ("PTTL", key), ("EXISTS", queue.key(f"dn:{one}"))]
    replies = await ask(client, commands)
    rows = zip(ids, replies[::3], replies[1::3], replies[2::3], strict=True)
    held = [(one, text(owner), number(left), newer) for one, owner, left, newer in rows]
    known = [(one, owner, left, newer) for one, owner, left, newer in held if owner is not None]
    exist = await ask(client, [("EXISTS", queue.job(owner)) for _, owner, _, _ in known])
    return [
        DeduplicationKey(one, owner, -1 if left is None else left, newer == 1, found == 1)
        for (one, owner, left, newer), found in zip(known, exist, strict=True)
    ]
