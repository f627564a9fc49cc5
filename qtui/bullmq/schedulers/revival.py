"""The next iteration of a scheduler that has none: when, with which id, and the job itself. Pure.

As the release's own upsert makes it (upsertJobScheduler, ≥5.16.0; for repeatable jobs of 1.x to 5.x
addNextRepeatableJob), but for this: a scheduler keeps its rhythm and its count of iterations, and a
time that is still to come is not passed over. An upsert of 5.16.0 to 5.62 begins a period anew, and
later ones skip to the period after.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from qtui.bullmq.model import JobState
from qtui.bullmq.schedulers.cron import Uncomputable, is_time, next_time, parse, zone_of
from qtui.bullmq.schedulers.scheduler import Scheduler, positive, repeat_of, whole

SLOTS: Final = 32
"""Times that are tried if jobs have their ids already, as BullMQ ≥5.80.8 does."""

_OF_A_RUN: Final = frozenset(
    {"processedOn", "finishedOn", "returnvalue", "failedReason", "stacktrace", "progress"}
    | {"ats", "atm", "attemptsMade", "stc", "defa", "pb", "nrjid"}
)
"""Fields of a last iteration that the next one does not get from it."""


class Unrevivable(Exception):
    """Why a scheduler can't be given another iteration, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextIteration:
    """An iteration that is to be made."""

    id: str
    slot: int
    """The scheduler's score."""
    due: int
    """When it runs, in ms since the epoch."""
    fields: Mapping[str, str]
    """Its hash; empty if it is the lost one, which is put back."""
    count: int
    """Its number."""


def candidates(one: Scheduler, job: Mapping[str, str], now: int) -> Iterator[NextIteration]:
    """Yields iterations that a dead scheduler may get, the earliest first, at most `SLOTS`.

    Take the first whose id no job has.

    Args:
        one: the scheduler, read in full.
        job: the hash of its lost or finished iteration; empty if it is gone.
        now: the server's time in ms.

    Raises:
        Unrevivable: none can be made.
    """
    if not one.has_template and not job.get("opts"):
        raise Unrevivable(
            "its template is gone with its last iteration: the application has to add it again"
        )
    count = _count(one)
    if one.limit is not None and count > one.limit:
        raise Unrevivable(f"its limit of {one.limit} iterations is reached")
    found = False
    for slot in _slots(one, now):
        due = slot + one.shift
        if one.end_date is not None and due > one.end_date:
            break
        found = True
        yield _made(one, job, slot, due, count, now)
    if not found:
        raise Unrevivable("its end date is reached")


def _count(one: Scheduler) -> int:
    """The number of the next iteration: the lost one's, unless that has run."""
    last = one.iterations or 0
    ran = one.iteration is not None and (
        one.iteration.begun
        or (one.iteration.place.state is not None and one.iteration.place.state.is_finished)
    )
    return max(1, last + 1 if ran else last)


def _slots(one: Scheduler, now: int) -> Iterator[int]:
    at = whole(one.score)
    if at is None:
        raise Unrevivable("its time in repeat is not a number")
    if one.every:
        yield from _periods(one, at, now)
    elif one.pattern:
        yield from _times(one, at, now)
    else:
        raise Unrevivable("it has neither a pattern nor a period")


def _periods(one: Scheduler, at: int, now: int) -> Iterator[int]:
    """Times at a whole number of periods from the last, from now on."""
    every = one.every or 1
    missed = max(0, now - (at + one.shift))
    first = at + every * -(-missed // every)
    for place in range(SLOTS):
        yield first + place * every


def _times(one: Scheduler, at: int, now: int) -> Iterator[int]:
    try:
        pattern = parse(one.pattern)
        zone = zone_of(one.tz) if one.tz else _zone(one, at)
        after = max(now, one.start_date or 0)
        for _ in range(SLOTS):
            after = next_time(pattern, after, zone)
            yield after
    except Uncomputable as reason:
        raise Unrevivable(f"the next time of {one.pattern!r} is not certain: {reason}") from None


def _zone(one: Scheduler, at: int) -> tzinfo:
    """The time zone of a pattern that names none: its process's own, as its last time shows.

    Raises:
        Uncomputable: that time fits neither UTC nor the time zone of this machine.
    """
    pattern = parse(one.pattern)
    if is_time(pattern, at, UTC):
        return UTC
    here = datetime.fromtimestamp(time.time()).astimezone().tzinfo
    if here is not None and is_time(pattern, at, here):
        return here
    raise Uncomputable("it names no time zone, and its last time is not one of UTC")


def _made(
    one: Scheduler, job: Mapping[str, str], slot: int, due: int, count: int, now: int
) -> NextIteration:
    place = None if one.iteration is None else one.iteration
    lost = place is not None and place.place.state is None and not place.begun
    legacy_id = place.id.rpartition(":")[0] if one.legacy and place is not None else ""
    job_id = f"{legacy_id or f'repeat:{one.id}'}:{slot}"
    if lost and place is not None and place.id == job_id:
        return NextIteration(id=job_id, slot=slot, due=due, fields={}, count=count)
    fields = _from_template(one) if one.has_template else _from_last(job)
    opts = _object(fields["opts"])
    delay = max(0, due - now)
    repeat = dict(repeat_of(job.get("opts")))
    repeat |= _repeat(one, count) if one.has_template else {"count": count}
    opts |= {"jobId": job_id, "delay": delay, "timestamp": now, "prevMillis": slot}
    opts |= {"repeat": repeat}
    if not one.legacy:
        opts["repeatJobKey"] = one.id
    stamps = {"timestamp": str(now), "delay": str(delay), "opts": _packed(opts)}
    return NextIteration(id=job_id, slot=slot, due=due, fields={**fields, **stamps}, count=count)


def _from_last(job: Mapping[str, str]) -> dict[str, str]:
    """The hash of the last iteration, without what a run left in it."""
    return {name: value for name, value in job.items() if name not in _OF_A_RUN}


def _from_template(one: Scheduler) -> dict[str, str]:
    opts = _object(one.opts)
    priority = positive(opts.get("priority")) or 0
    fields = {"name": one.name, "data": one.data or "{}", "opts": one.opts or "{}"}
    fields |= {"priority": str(priority), "rjk": one.id}
    deduplication = opts.get("de")
    if isinstance(deduplication, dict) and isinstance(deduplication.get("id"), str):
        fields["deid"] = deduplication["id"]
    return fields


def _repeat(one: Scheduler, count: int) -> dict[str, object]:
    """What an iteration's options say about the repetition; ``offset`` only where it is added."""
    found: dict[str, object] = {"count": count}
    found |= {"every": one.every} if one.every else {"pattern": one.pattern}
    known: dict[str, object] = {
        "tz": one.tz or None,
        "limit": one.limit,
        "startDate": one.start_date,
        "endDate": one.end_date,
        "offset": one.offset if one.shift else None,
    }
    return found | {name: value for name, value in known.items() if value is not None}


def _object(text: str | None) -> dict[str, object]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _packed(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_dead(one: Scheduler) -> bool:
    """Whether its iteration is in no state or has finished, so that it may get another one."""
    place = None if one.iteration is None else one.iteration.place
    if place is None or place.state is JobState.COMPLETED or place.state is JobState.FAILED:
        return True
    return place.state is None and not place.unknown
