"""Reads what hangs on jobs, so that removing them would change it. Reads only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.ask import Command, Reply, ask_all, exact, items, number, score, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.job import Children, parent_of
from qtui.bullmq.reads.scripted.wholes import LARGEST

_NAMES: Final = ("parentKey", "parent", "deid", "rjk")
_ITERATION: Final = re.compile(r"repeat:.*:(\d+)", re.DOTALL)
_COUNT: Final = dict(zip(Children.SUFFIXES, ("SCARD", "HLEN", "HLEN", "ZCARD"), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging:
    """What hangs on one job."""

    locked: bool = False
    """Whether a worker holds its lock."""
    scheduler: str = ""
    """The scheduler whose current iteration it is."""
    parent: str = ""
    """The full key of the parent that waits for it."""
    siblings: int = 0
    """Children that this parent waits for, the job included."""
    parent_waits: bool = False
    """Whether the parent is in ``waiting-children``, so that it runs when all of them are done."""
    children: int = 0
    """Jobs directly below it, as far as its keys still name them."""
    deduplication: str = ""
    """The deduplication id that it holds."""
    large: bool = False
    """Whether its data alone is too large for a snapshot."""


@dataclass(slots=True)
class _Job:
    """A job as far as it has been read."""

    id: str
    parent_key: str
    parent: tuple[str, str] | None
    deduplication: str
    scheduler: str
    due: str
    locked: bool
    large: bool
    has_children: bool


async def read_hanging(
    client: Client, queue: QueueKey, state: JobState | None, ids: Sequence[str]
) -> list[Hanging]:
    """Returns what hangs on each of some hundreds of jobs.

    Costs two round trips: three commands a job, and some more for those in flows, with
    deduplication, or of a scheduler. Locks are looked at where they live, in ``active``, and for
    jobs in no state (None).

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """
    jobs = await _read(client, queue, state, ids)
    commands: list[Command] = []
    at: list[int] = []
    for job in jobs:
        at.append(len(commands))
        commands += _about(queue, job)
    at.append(len(commands))
    replies = await ask_all(client, commands) if commands else []
    return [
        _hanging(queue, job, replies[start:end])
        for job, start, end in zip(jobs, at, at[1:], strict=False)
    ]


async def _read(
    client: Client, queue: QueueKey, state: JobState | None, ids: Sequence[str]
) -> list[_Job]:
    locks = state in (JobState.ACTIVE, None)
    commands: list[Command] = []
    for one in ids:
        key = queue.job(one)
        beside = (f"{key}:{suffix}" for suffix in Children.SUFFIXES)
        commands += [("HMGET", key, *_NAMES), ("HSTRLEN", key, "data"), ("EXISTS", *beside)]
        if locks:
            commands.append(("EXISTS", f"{key}:lock"))
    replies = await ask_all(client, commands) if commands else []
    width = 4 if locks else 3
    found = []
    for place, one in enumerate(ids):
        fields, size, beside_, *lock = replies[place * width : (place + 1) * width]
        parent_key, parent, deduplication, named = texts(fields) or [None] * len(_NAMES)
        due = _ITERATION.fullmatch(one)
        found.append(
            _Job(
                one,
                parent_key or "",
                parent_of(parent_key, parent) if parent_key else None,
                deduplication or "",
                named or "",
                due.group(1) if due else "",
                any(number(reply) for reply in lock),
                (number(size) or 0) > LARGEST,
                bool(number(beside_)),
            )
        )
    return found


def _about(queue: QueueKey, job: _Job) -> list[Command]:
    """The commands about one job, in the order in which `_hanging` takes the replies."""
    found: list[Command] = []
    if job.parent is not None:
        dependencies = f"{job.parent_key}:dependencies"
        base, parent_id = job.parent
        found += [("SISMEMBER", dependencies, queue.job(job.id)), ("SCARD", dependencies)]
        found.append(("ZSCORE", f"{base}:waiting-children", parent_id))
    if job.deduplication:
        found.append(("GET", queue.key(f"de:{job.deduplication}")))
    if job.due and job.scheduler:
        found.append(("ZSCORE", queue.key("repeat"), job.scheduler))
    elif job.due:
        found.append(("ZRANGEBYSCORE", queue.key("repeat"), job.due, job.due, "LIMIT", 0, 1))
    if job.has_children:
        found += [(_COUNT[suffix], queue.job(job.id, suffix)) for suffix in Children.SUFFIXES]
    return found


def _hanging(queue: QueueKey, job: _Job, replies: Sequence[Reply]) -> Hanging:
    left = iter(replies)
    parent, siblings, waits = "", 0, False
    if job.parent is not None:
        listed = number(next(left)) == 1
        siblings, waits = number(next(left)) or 0, score(next(left)) is not None
        parent = job.parent_key if listed else ""
    held = bool(job.deduplication) and text(next(left)) == job.id
    return Hanging(
        locked=job.locked,
        scheduler=_scheduler(job, next(left)) if job.due else "",
        parent=parent,
        siblings=siblings,
        parent_waits=waits,
        children=sum(number(reply) or 0 for reply in left),
        deduplication=job.deduplication if held else "",
        large=job.large,
    )


def _scheduler(job: _Job, reply: Reply) -> str:
    """The scheduler that waits for a job whose id says when it is due; as ``lua/remove.lua``."""
    if not job.scheduler:
        return next((one for one in texts(items(reply)) if one), "")
    due = score(reply)
    return job.scheduler if due is not None and exact(due) == exact(float(job.due)) else ""
