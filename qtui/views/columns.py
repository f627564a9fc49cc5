"""The cells of the job table as plain text. Knows neither widths nor colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qtui.bullmq.model import JobState, Row
from qtui.bullmq.signature.headline import says_something, spoken
from qtui.bullmq.verdicts.verdict import LATE
from qtui.text import age, count, plain, size
from qtui.views.tone import Tone

_DELAY_SCORE: Final = 4096
"""Scores in delayed are due times in ms, multiplied by this (all releases)."""


def share(room: int, id: int, name: int, what: int) -> tuple[int, int]:
    """The widths of id and name, next to a third column that takes what they leave.

    The third column (the error) matters most and may have up to half of the room. Id and name share
    the rest by need: if it is too little, neither takes room from the other that it does not need.

    Args:
        room: cells for all three.
        id: cells that the ids need.
        name: cells that the names need.
        what: cells that the third column needs.
    """
    left = max(0, room - min(what, room // 2))
    if id + name <= left:
        return id, name
    if id <= left // 2:
        return id, left - id
    if name <= left // 2:
        return left - name, name
    return left - left // 2, left // 2


@dataclass(frozen=True, slots=True)
class Heads:
    """The headings of the two columns whose meaning depends on the state."""

    when: str
    what: str


HEADS: Final = {
    JobState.FAILED: Heads("ago", "error"),
    JobState.COMPLETED: Heads("ago", "return value"),
    JobState.WAITING: Heads("age", "last error"),
    JobState.ACTIVE: Heads("for", "last error"),
    JobState.DELAYED: Heads("due", "last error"),
    JobState.PRIORITIZED: Heads("age", "priority"),
    JobState.WAITING_CHILDREN: Heads("since", "last error"),
    JobState.PAUSED: Heads("age", "last error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One row of the table."""

    id: str
    name: str
    attempts: str
    when: str
    milliseconds: float | None
    """The age behind ``when``, so that old jobs can look old; negative where it is yet to come."""
    late: bool
    """Whether it should have run by now."""
    what: str
    tone: Tone


def _milliseconds(row: Row, state: JobState, now: float) -> float | None:
    match state:
        case JobState.FAILED | JobState.COMPLETED:
            since: float | None = row.finished_on if row.finished_on is not None else row.score
        case JobState.ACTIVE:
            since = row.processed_on
        case JobState.DELAYED:
            since = row.score / _DELAY_SCORE if row.score is not None else None
        case JobState.WAITING_CHILDREN:
            since = row.score
        case _:
            since = row.timestamp
    return None if since is None else now - since


def _what(row: Row, state: JobState) -> tuple[str, Tone]:
    if row.missing:
        return "the job's hash is gone; only its id is left", Tone.FAINT
    if state is JobState.COMPLETED:
        if row.returnvalue is None and row.returnvalue_size:
            return f"({size(row.returnvalue_size)})", Tone.FAINT
        return plain(row.returnvalue or ""), Tone.PLAIN
    if state is JobState.PRIORITIZED:
        return count(row.priority), Tone.PLAIN
    if state is JobState.FAILED and not says_something(row.failed_reason or ""):
        return "no reason given", Tone.FAINT
    tone = Tone.BAD if state is JobState.FAILED else Tone.FAINT
    return spoken(row.failed_reason or ""), tone


def attempts(row: Row) -> str:
    """Attempts made of those allowed: ``2/3``; unreadable values are ``?``."""
    made = "?" if {"attemptsMade", "atm"} & set(row.garbled) else str(row.attempts_made)
    allowed = "?" if "opts" in row.garbled else str(row.attempts)
    return f"{made}/{allowed}"


def when(row: Row, state: JobState, now: float) -> str:
    """How long a job has been in its state, or when it is due; ``now`` in ms since the epoch.

    ``11m``; of a delayed job ``in 11m``, or ``11m late``.
    """
    since = _milliseconds(row, state, now)
    if since is None:
        return "" if row.missing else "?"
    words = age(since)
    return f"{words} late" if _is_late(state, since) and words != "?" else words


def _is_late(state: JobState, since: float | None) -> bool:
    return state is JobState.DELAYED and since is not None and since >= LATE


def stalled_words(row: Row) -> str:
    """What is said of an active job whose lock has expired, in place of its last error."""
    last = spoken(row.failed_reason or "")
    return "stalled: its lock has expired" + (f" · {last}" if last else "")


def cells(row: Row, state: JobState, now: float) -> Cells:
    """The cells of a job in a list of ``state``; ``now`` in ms since the epoch."""
    since = _milliseconds(row, state, now)
    what, tone = _what(row, state)
    return Cells(
        id=plain(row.id) + (" ↑" if row.parent_key else ""),
        name="" if row.missing else plain(row.name) or "(no name)",
        attempts="" if row.missing else attempts(row),
        when=when(row, state, now),
        milliseconds=since,
        late=_is_late(state, since),
        what=what,
        tone=tone,
    )
