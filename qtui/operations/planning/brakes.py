"""What will stop, delay or double a retried job's run, as its queue's keys show. Reads only.

BullMQ behaves the same after its own retry; the plan says it before it is done. Limits that live in
a worker's options alone (maxStalledCount, limiter.max, maxStartedAttempts) are in no key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import BY_HAND, Garbage, JobState, QueueStatus
from qtui.bullmq.reads.limits import (
    Deduplication,
    RateLimits,
    read_deduplications,
    read_job_limits,
    read_rate_limits,
)
from qtui.text import count, plural, span

LOOKED_AT: Final = 250
"""Jobs of a plan that are looked at one by one."""

THE_QUEUE: Final = "The queue"
"""The name of a plan's only queue in its sentences."""

LIMITED_WORKERS: Final = "workers with a limiter option start no job"
"""Whom a manual rate limit holds where the queue has no global one: no other worker reads it
(moveToActive, 2.x to 6.x)."""

_USUAL: Final = 5_000
"""Milliseconds of a rate limit's window up to which a plan does not mention it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destined:
    """How many of a plan's jobs go where; those in other keys don't matter here."""

    prioritized: int = 0
    in_front: int = 0
    """Those of them without a priority: see `qtui.bullmq.dialect`."""


async def queue_brakes(
    client: Client, status: QueueStatus, destined: Destined, name: str
) -> list[str]:
    """What holds a queue's jobs back besides a pause and its concurrency, in sentences.

    Args:
        client: where to read.
        status: the queue as it is.
        destined: where the plan's jobs go.
        name: the queue's, plain; `THE_QUEUE` where there is but one.

    Costs one round trip, three commands of O(1).
    """
    found = list(_of_lists(status, destined.in_front, name))
    found += _of_rates(name, await read_rate_limits(client, status.queue))
    ahead = status.count(JobState.WAITING) + status.count(JobState.PAUSED)
    if destined.prioritized and ahead:
        runs = "runs" if destined.prioritized == 1 else "run"
        found.append(
            f"{plural(destined.prioritized, 'prioritized job')} {runs} after the "
            f"{plural(ahead, 'waiting job')} without a priority."
        )
    return found


def _of_lists(status: QueueStatus, in_front: int, name: str) -> Iterator[str]:
    left = status.count(JobState.PAUSED)
    if left and not status.paused:
        yield (
            f"{plural(left, 'job is', 'jobs are')} stranded in the paused list of "
            f"{_within(name)}, which is not paused: no worker takes them until it is resumed again."
        )
    if in_front:
        goes = "job without a priority goes", "jobs without a priority go"
        them = "it" if in_front == 1 else "them"
        yield (
            f"{plural(in_front, *goes)} to prioritized while {_within(name)} is paused: BullMQ 5 "
            f"and 6 both see {them} there, and a resume neither loses nor strands {them}."
        )


def _within(name: str) -> str:
    """The name of a queue behind a preposition."""
    return name[:1].lower() + name[1:] if name == THE_QUEUE else name


def _of_rates(name: str, limits: RateLimits) -> Iterator[str]:
    garbage, within, left = Garbage(), _within(name), limits.left
    most, duration = garbage.number("max", limits.most), garbage.number("duration", limits.duration)
    started = garbage.number("limiter", limits.started)
    # Without an expiry it limits nothing (getRateLimitTTL, all releases).
    if started is not None and left is not None and left >= 0:
        ends = f"for another {span(left)}"
        if started >= BY_HAND and most is None:
            yield f"{name} is rate-limited manually {ends}: {LIMITED_WORKERS} meanwhile."
        elif started >= BY_HAND:
            yield f"{name} is rate-limited manually {ends}: no job starts meanwhile."
        elif most is not None and started >= most:
            yield f"The global rate limit of {within} is reached {ends}: no job starts meanwhile."
        elif left > _USUAL:
            yield (
                f"A rate limit of {within} has counted {plural(started, 'start')}, {ends}: "
                "a worker that has reached its limit starts no job meanwhile."
            )
    if most is not None and duration is not None:
        yield f"The global rate limit of {within} is {plural(most, 'job')} in {span(duration)}."


async def job_brakes(client: Client, queue: QueueKey, ids: Sequence[str]) -> list[str]:
    """What will end or double the runs of single jobs, in sentences.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        ids: the jobs to be retried; the first `LOOKED_AT` are looked at.

    Costs two round trips, three commands of O(1) a job.
    """
    looked = ids[:LOOKED_AT]
    jobs = list(zip(looked, await read_job_limits(client, queue, looked), strict=True))
    least = "At least " if len(ids) > LOOKED_AT else ""
    found = list(_of_stalls(least, [one.stalls for _, one in jobs]))
    shared = {job_id: one.deduplication for job_id, one in jobs if one.deduplication}
    dedups = list(dict.fromkeys(shared.values()))
    found += _of_duplicates(least, shared, await read_deduplications(client, queue, dedups))
    iterations = sum(one.scheduler is not None for _, one in jobs)
    if iterations:
        are = "job is an iteration" if iterations == 1 else "jobs are iterations"
        each = "it" if iterations == 1 else "each"
        found.append(
            f"{least}{count(iterations)} {are} of a job scheduler: {each} runs once more, and the "
            "schedule does not change."
        )
    return found


def _of_stalls(least: str, stalls: Sequence[str | None]) -> Iterator[str]:
    garbage = Garbage()
    stalled = sum((garbage.number("stc", one) or 0) > 0 for one in stalls)
    if stalled:
        again = "it stalls" if stalled == 1 else "one of them stalls"
        yield (
            f"{least}{plural(stalled, 'job has', 'jobs have')} stalled before (stc), and a retry "
            f"does not reset that: if {again} again, it fails without a run (maxStalledCount 1)."
        )


def _of_duplicates(
    least: str, shared: dict[str, str], owners: dict[str, Deduplication]
) -> Iterator[str]:
    """Deduplication (debounce before 5.17.0) looks at adds alone: a retry is never one."""
    together = Counter(shared.values())
    owned = sum(owners[dedup].owner not in (None, job_id) for job_id, dedup in shared.items())
    if owned:
        has = "job has" if owned == 1 else "jobs have"
        yield (
            f"{least}{count(owned)} {has} a deduplication id that another job holds now: "
            "both will run."
        )
    if twins := sum(number for number in together.values() if number > 1):
        yield f"{least}{count(twins)} jobs share a deduplication id: each of them will run."
    if kept := sum(one.has_next for one in owners.values()):
        waits = "id has" if kept == 1 else "ids have"
        yield (
            f"{least}{count(kept)} deduplication {waits} a newer job kept for later (dn:): "
            "it will run too."
        )
