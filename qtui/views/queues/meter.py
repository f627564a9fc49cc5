"""How fast jobs come into a queue and leave it, from what was seen of it since it is watched."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.reads.queues.rates import WINDOWS, Rates
from qtui.bullmq.verdicts.queue import QueueFacts

LEAST: Final = 5.0
"""Seconds that have to be seen before anything is said of them."""

TREND: Final = 30
"""Seconds over which it is judged whether the backlog grows or shrinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    at: float
    """Seconds."""
    ready: int
    unfinished: int
    added: int | None
    completed: int | None
    failed: int | None


class Meter:
    """Counters of one queue as they were seen, at most one sample a second for 15 minutes."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    def note(self, facts: QueueFacts, rates: Rates) -> None:
        """Takes what was read of the queue at one moment."""
        now = facts.now / 1000
        if self._samples and self._samples[-1].at >= now:
            return
        self._samples.append(
            _Sample(
                at=now,
                ready=facts.ready,
                unfinished=facts.ready + facts.active + facts.delayed + facts.waiting_children,
                added=rates.added_ever,
                completed=rates.completed_ever,
                failed=rates.failed_ever,
            )
        )
        # One sample older than the longest window is where that window begins.
        while len(self._samples) > 1 and self._samples[1].at <= now - max(WINDOWS):
            self._samples.popleft()

    def added(self, seconds: int) -> float | None:
        """Jobs added a second over a window, or over what was seen of it; None if unknown."""
        ends = self._ends(seconds)
        return None if ends is None else _rate(ends, ends[0].added, ends[1].added)

    def gone(self, seconds: int) -> float | None:
        """Jobs a second that finished or were removed: what came in and is not there any more."""
        ends = self._ends(seconds)
        if ends is None:
            return None
        first, last = ends
        added = _rate(ends, first.added, last.added)
        if added is None:
            return None
        return max(0.0, added - _change(ends, first.unfinished, last.unfinished))

    def completed(self, seconds: int) -> float | None:
        """Jobs completed a second, by BullMQ's own metrics; None if unknown."""
        ends = self._ends(seconds)
        return None if ends is None else _rate(ends, ends[0].completed, ends[1].completed)

    def failed(self, seconds: int) -> float | None:
        """Jobs failed a second, by BullMQ's own metrics; None if unknown."""
        ends = self._ends(seconds)
        return None if ends is None else _rate(ends, ends[0].failed, ends[1].failed)

    @property
    def growth(self) -> float | None:
        """By how many jobs a second the backlog has grown lately; negative if it shrinks."""
        ends = self._ends(TREND)
        return None if ends is None else _change(ends, ends[0].ready, ends[1].ready)

    def _ends(self, seconds: int) -> tuple[_Sample, _Sample] | None:
        """The samples at both ends of a window; None if too little of it was seen."""
        if not self._samples:
            return None
        last = self._samples[-1]
        since = last.at - seconds
        inside = [one for one in self._samples if one.at >= since]
        first = inside[0]
        return (first, last) if last.at - first.at >= LEAST else None


def _change(ends: tuple[_Sample, _Sample], first: int, last: int) -> float:
    return (last - first) / (ends[1].at - ends[0].at)


def _rate(ends: tuple[_Sample, _Sample], first: int | None, last: int | None) -> float | None:
    """The change of a counter a second; None if it is unknown, or was set back."""
    if first is None or last is None or last < first:
        return None
    return _change(ends, first, last)
