"""The words, times and heights of a timeline, as plain text. Knows no widgets and no colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import ceil, log
from typing import Final

from qtui.bullmq.reads.queues.timeline import DAY, HOUR, MINUTE, SECOND, FinishCounts
from qtui.text import count

NO_JOBS: Final = "·"
"""A bar of no jobs; one job is at least an eighth of a line."""

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_APART: Final = 3
_TO: Final = "\N{EN DASH}"

_STEPS: Final = (
    *(n * SECOND for n in (10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    DAY,
)
"""Steps between two times of the scale; if none fits, the step is a number of bars."""


_NEWS: Final = 10
"""Jobs of a bar that is worth seeing among the newest ones."""

_NEWEST: Final = 6
"""The part of the bars that are the newest ones: one in this many."""

_LOWEST: Final = 8
"""How many times a bar fits into the highest, from which on it looks like a bar of one job."""


def is_steep(counts: Sequence[int]) -> bool:
    """Whether an old peak hides news: many jobs among the newest bars, drawn like none.

    Then the bars are drawn by the logarithms of their jobs.
    """
    newest = counts[-max(1, len(counts) // _NEWEST) :]
    news = max(newest, default=0)
    return news >= _NEWS and news * _LOWEST < max(counts)


def column(jobs: int, peak: int, lines: int, *, steep: bool = False) -> str:
    """A bar of one cell's width, from the top line to the lowest; ``peak`` fills all lines.

    Args:
        jobs: the jobs of the bar.
        peak: those of the highest bar.
        lines: the height.
        steep: whether to draw by logarithms, see `is_steep`.
    """
    if jobs <= 0:
        return " " * (lines - 1) + NO_JOBS
    if steep:
        height = ceil(8 * lines * log(jobs + 1) / log(max(2, peak + 1)))
    else:
        height = -(-8 * lines * jobs // max(1, peak))
    eighths = max(1, min(8 * lines, height))
    return "".join(
        _EIGHTHS[max(0, min(8, eighths - 8 * below))] for below in range(lines - 1, -1, -1)
    )


def per(width: int) -> str:
    """The time of a bar of this many ms: ``min``, ``15 min``, ``7 d``."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if width >= unit and width % unit == 0:
            return name if width == unit else f"{width // unit} {name}"
    return f"{width / SECOND:g} s"


class Reading:
    """A timeline in words. Moments are in local time, all as short as they can be.

    Methods that return several texts say the same in fewer and fewer cells, so that one fits.

    Args:
        timeline: what was read.
        word: what became of the jobs: ``failed`` or ``completed``.
    """

    def __init__(self, timeline: FinishCounts, word: str) -> None:
        self._timeline, self._word = timeline, word
        start, now = _local(timeline.start), _local(timeline.now)
        recent = timeline.now - DAY <= timeline.start and timeline.end <= timeline.now + DAY
        same_year = start is not None and now is not None and start.year == now.year
        whole_days = timeline.width >= DAY
        self._date = "" if recent and not whole_days else "%m-%d" if same_year else "%Y-%m-%d"
        self._minutes = "" if whole_days else "%H:%M"
        self._seconds = ":%S" if timeline.width < MINUTE else ""

    def peak(self) -> list[str]:
        """The highest bar, or that there is none."""
        timeline = self._timeline
        jobs, later = count(timeline.peak), self.later()
        if not timeline.peak:
            none = f"0 {self._word}"
            older = f"{none} · {self.older()}" if timeline.earlier else none
            return [f"{older} · {later}" if later else older, older, none]
        when = self.moment(timeline.bounds(timeline.peak_bar)[0])
        most = f"peak {jobs} per {per(timeline.width)}, {when}"
        with_later = [f"{most} · {later}"] if later else []
        short = f"peak {jobs}/{per(timeline.width)}, {when}"
        shorter = [f"peak {jobs}, {when}", f"{jobs}, {when}", f"peak {jobs}"]
        return [*with_later, most, short, *shorter]

    def bars(self, first: int, last: int) -> list[str]:
        """When these bars were, both included, and their jobs."""
        after, before = self._timeline.bounds(first)[0], self._timeline.bounds(last)[1]
        jobs = count(self._timeline.jobs(first, last))
        span, start = self.span(after, before), self.moment(after)
        return [
            f"{span}  {jobs} {self._word}",
            f"{span} {jobs} {self._word}",
            f"{span} {jobs}",
            f"{start} {jobs}",
            jobs,
        ]

    def total(self) -> list[str]:
        """All bars together."""
        jobs = count(self._timeline.total)
        return [f"{jobs} {self._word}", jobs]

    def later(self) -> str:
        """How many are newer than the last bar, if any are."""
        return f"{count(self._timeline.later)} newer" if self._timeline.later else ""

    def older(self) -> str:
        """How many are older than the first bar, if any are."""
        return f"{count(self._timeline.earlier)} older" if self._timeline.earlier else ""

    def outside(self) -> list[str]:
        """How many are in no bar."""
        said = " · ".join(part for part in (self.older(), self.later()) if part)
        return [said, self.later()]

    def moment(self, milliseconds: int, *, seconds: bool = True) -> str:
        """A moment."""
        clock = self._minutes + (self._seconds if seconds else "")
        return _write(milliseconds, f"{self._date} {clock}")

    def span(self, after: int, before: int) -> str:
        """From a moment to another; ``now`` where the second one is yet to come."""
        start = self.moment(after)
        if after <= self._timeline.now < before:
            return f"{start}{_TO}now"
        first, last = _local(after), _local(before)
        if self._minutes and first and last and first.date() == last.date():
            return f"{start}{_TO}{_write(before, self._minutes + self._seconds)}"
        return f"{start}{_TO}{self.moment(before)}"

    def scale(self, first: int, cells: int) -> str:
        """Times below the bars from ``first`` on, each ``cells`` wide; ``now`` in its bar."""
        timeline = self._timeline
        width = (len(timeline.counts) - first) * cells
        current = timeline.bar_at(timeline.now)
        after, before = timeline.bounds(current)
        placed = {}
        if after <= timeline.now < before:
            # The last bar may be narrower than the word.
            placed[max(0, min((current - first) * cells, width - len("now")))] = "now"
        for bar, words in self._ticks(first, cells):
            at = (bar - first) * cells
            end = at + len(words)
            if end <= width and all(
                end + _APART <= place or place + len(other) + _APART <= at
                for place, other in placed.items()
            ):
                placed[at] = words
        line = ""
        for at, words in sorted(placed.items()):
            line = line.ljust(at) + words
        return line

    def _ticks(self, first: int, cells: int) -> Iterator[tuple[int, str]]:
        """Bars that begin at a round local time, and that time."""
        width, bars = self._timeline.width, len(self._timeline.counts)
        room = (len(self.moment(self._timeline.start, seconds=False)) + _APART) / cells
        steps = (step for step in _STEPS if step % width == 0 and step >= width * room)
        step = next(steps, 0)
        every = ceil(room)
        for bar in range(first, bars):
            start = self._timeline.bounds(bar)[0]
            when = _local(start)
            if when is None:
                return
            of_day = (when.hour * 60 + when.minute) * MINUTE + when.second * SECOND
            if (of_day % step if step else bar % every) == 0:
                yield bar, self.moment(start, seconds=0 < step < MINUTE)


def _local(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000)
    except (OverflowError, OSError, ValueError):
        return None


def _write(milliseconds: int, pattern: str) -> str:
    when = _local(milliseconds)
    return when.strftime(pattern).strip() if when else str(milliseconds)
