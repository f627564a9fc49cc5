"""Schedulers as rows of a list, and one in full. Without widgets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from qtui.bullmq.schedulers.scheduler import Condition, Scheduler
from qtui.operations.schedulers.words import condition, iteration_place, moment, schedule, until
from qtui.text import age, count, plain
from qtui.views.document import Json, Pairs, Section
from qtui.views.tone import Tone

HEADS: Final = ("scheduler", "job", "schedule", "next", "last", "runs", "state")
"""The columns of a list of schedulers; the last one takes what is left of a line."""

RIGHT: Final = frozenset({"next", "last", "runs"})
"""Those that are aligned right."""

_TONES: Final = {
    Condition.SCHEDULED: Tone.FAINT,
    Condition.RUNNING: Tone.PLAIN,
    Condition.LATE: Tone.BAD,
    Condition.DEAD: Tone.BAD,
    Condition.ENDED: Tone.FAINT,
    Condition.UNKNOWN: Tone.BUSY,
}


class SchedulerCell(NamedTuple):
    """A cell of a list; plain text."""

    text: str
    tone: Tone = Tone.PLAIN


def cells(one: Scheduler, now: float | None = None) -> tuple[SchedulerCell, ...]:
    """Returns a scheduler as a row of `HEADS`. What is as it should be is faint.

    Args:
        one: the scheduler.
        now: the time that ages are counted from, in ms; None for when it was read.
    """
    found, at = one.condition, one.now if now is None else now
    waits = found in (Condition.SCHEDULED, Condition.LATE)
    late = found is Condition.LATE
    due = one.iteration.due if one.iteration is not None else one.next
    next_ = age(at - due) if waits and due is not None else "·"
    last = "·" if one.last is None else age(at - one.last)
    runs = "·" if not one.iterations else _runs(one)
    state = condition(one)
    if found is Condition.SCHEDULED:
        state = iteration_place(one)
    return (
        SchedulerCell(plain(one.id)),
        SchedulerCell(plain(one.name), Tone.PLAIN),
        SchedulerCell(schedule(one)),
        SchedulerCell(next_, Tone.BAD if late else Tone.PLAIN),
        SchedulerCell(last, Tone.FAINT),
        SchedulerCell(runs, Tone.FAINT),
        SchedulerCell(("▲ " if _TONES[found] is Tone.BAD else "") + state, _TONES[found]),
    )


def _runs(one: Scheduler) -> str:
    made = count(one.iterations or 0)
    return made if one.limit is None else f"{made}/{count(one.limit)}"


_FIRST: Final = (Condition.DEAD, Condition.LATE)


def worst_first(schedulers: Iterable[Scheduler]) -> list[Scheduler]:
    """Returns the dead ones first, then the late ones, then the others as they were given."""

    def rank(one: Scheduler) -> int:
        found = one.condition
        return _FIRST.index(found) if found in _FIRST else len(_FIRST)

    return sorted(schedulers, key=rank)


def sections(one: Scheduler) -> list[Section]:
    """Returns a scheduler, read in full, as a document."""
    found = [Section("scheduler", Pairs(tuple(_facts(one))), note=condition(one))]
    if one.iteration is not None:
        found.append(Section("iteration", Pairs(tuple(_iteration(one)))))
    for name, text in (("data", one.data), ("opts", one.opts)):
        if text:
            found.append(Section(f"template {name}", Json(text)))
    return found


def _facts(one: Scheduler) -> Iterator[tuple[str, str]]:
    yield "id", plain(one.id)
    yield "job", plain(one.name)
    yield "schedule", schedule(one)
    if one.pattern and not one.tz:
        yield "time zone", "none: that of the process that computes it"
    if one.every and one.offset:
        yield "offset", f"{count(one.offset)} ms"
    yield "next", f"{moment(one.next)}  {until(one.next, one.now)}"
    if one.last is not None:
        yield "last", f"{moment(one.last)}  {until(one.last, one.now)}"
    if one.iterations:
        yield "iterations", _runs(one)
    for label, date in (("start date", one.start_date), ("end date", one.end_date)):
        if date is not None:
            yield label, moment(date)
    if one.legacy:
        yield "kind", "repeatable job of BullMQ 1.x to 5.x; 6.x does not run it"


def _iteration(one: Scheduler) -> Iterator[tuple[str, str]]:
    job = one.iteration
    assert job is not None
    yield "id", plain(job.id)
    yield "state", iteration_place(one)
    if job.due is not None:
        yield "due", f"{moment(job.due)}  {until(job.due, one.now)}"
    if job.processed is not None:
        yield "started", f"{moment(job.processed)}  {until(job.processed, one.now)}"


def scheduler_object(one: Scheduler, *, whole: bool = False) -> dict[str, object]:
    """Returns a scheduler as JSON. Times in ms since the epoch; null for what is not known.

    ``whole`` adds the template: data as JSON, or as text where it is not.
    """
    job = one.iteration
    found: dict[str, object] = {
        "queue": one.queue.base,
        "id": one.id,
        "name": one.name,
        "legacy": one.legacy,
        "pattern": one.pattern or None,
        "every": one.every,
        "tz": one.tz or None,
        "next": one.next,
        "last": one.last,
        "iterations": one.iterations,
        "limit": one.limit,
        "start_date": one.start_date,
        "end_date": one.end_date,
        "condition": one.condition.value,
        "late": one.late,
        "iteration": None,
    }
    if job is not None:
        state = job.place.state
        found["iteration"] = {
            "id": job.id,
            "state": None if state is None else state.value,
            "due": job.due,
            "processed_on": job.processed,
        }
    if whole:
        found["template"] = {"data": _parsed(one.data), "opts": _parsed(one.opts)}
    return found


def _parsed(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text
