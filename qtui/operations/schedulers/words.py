"""Schedulers and their times in words, for plans, lists and the screen. Plain text."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from qtui.bullmq.model import JobState
from qtui.bullmq.schedulers.scheduler import Condition, Scheduler
from qtui.text import count, plain, span

_PLACES: Final = {
    JobState.DELAYED: "in delayed",
    JobState.WAITING: "waiting",
    JobState.PAUSED: "in paused",
    JobState.PRIORITIZED: "prioritized",
    JobState.ACTIVE: "active",
    JobState.WAITING_CHILDREN: "waiting for children",
    JobState.COMPLETED: "completed, and made no next one",
    JobState.FAILED: "failed, and made no next one",
}


def schedule(one: Scheduler) -> str:
    """When it runs: ``every 5 m``, ``0 3 * * * Europe/Berlin``."""
    if one.every:
        return f"every {_period(one.every)}"
    if not one.pattern:
        return "?"
    return plain(f"{one.pattern} {one.tz}".strip())


def _period(milliseconds: int) -> str:
    """A period in its largest unit that fits: ``1 h``, ``90 s``, ``1500 ms``."""
    for unit, length in _UNITS:
        if milliseconds % length == 0:
            return f"{count(milliseconds // length)} {unit}"
    return f"{count(milliseconds)} ms"


_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))


def moment(milliseconds: int | None) -> str:
    """A time in the reader's time zone, to the second: ``2026-11-29 18:30:00``."""
    if milliseconds is None:
        return "?"
    try:
        return datetime.fromtimestamp(milliseconds / 1000).isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return "?"


def until(milliseconds: int | None, now: int) -> str:
    """How far a time is from now: ``in 3 h 5 m``, ``2 m ago``."""
    if milliseconds is None:
        return "?"
    left = milliseconds - now
    return f"in {span(left)}" if left > 0 else f"{span(-left)} ago"


def iteration_place(one: Scheduler) -> str:
    """Where its iteration is: ``in delayed``, ``in no state``, ``gone``."""
    if one.iteration is None:
        return "gone"
    place = one.iteration.place
    if place.state is not None:
        return _PLACES[place.state]
    return plain(place.words)


def condition(one: Scheduler) -> str:
    """Its condition in a few words: ``dead: its iteration is gone``, ``late by 3 m``."""
    found = one.condition
    if found is Condition.DEAD:
        return f"dead: iteration {iteration_place(one)}"
    if found is Condition.LATE:
        paused = ", the queue is paused" if one.paused else ""
        return f"late by {span(one.late)}{paused}"
    if found is Condition.ENDED:
        reached = one.limit is not None and (one.iterations or 0) >= one.limit
        return f"ended: {'limit' if reached else 'end date'} reached"
    if found is Condition.UNKNOWN and one.iteration is not None:
        return f"unknown: {plain(one.iteration.place.unknown)}"
    return str(found)
