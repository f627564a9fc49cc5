"""When jobs came: counts in equal spans of time, few for any number of jobs. No widgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from qtui.bullmq.reads.queues.timeline import (
    DAWN,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    FinishCounts,
    TimeWindow,
)

MOST: Final = 200
"""Spans with jobs that are kept; with more, they become wider."""

_WIDTHS: Final = (
    *(n * SECOND for n in (1, 5, 15)),
    *(n * MINUTE for n in (1, 5, 15)),
    *(n * HOUR for n in (1, 4, 12)),
    *(n * DAY for n in (1, 7, 28, 364, 3_640)),
)
"""Each is a multiple of the one before, so that spans can be joined."""

_LATEST: Final = 1 << 43
"""A moment in the year 2248; higher ones are garbage."""


class Arrivals:
    """Counts moments, in ms since the epoch; those that can be no times are left out."""

    __slots__ = ("_counts", "_width")

    def __init__(self) -> None:
        self._width = _WIDTHS[0]
        self._counts: Counter[int] = Counter()

    def add(self, moments: Iterable[float]) -> None:
        """Counts more of them."""
        width = self._width
        self._counts.update([int(at // width) for at in moments if DAWN <= at < _LATEST])
        self._fit()

    def absorb(self, other: Arrivals) -> None:
        """Counts those of another one too, which is used no more."""
        while self._width < other._width:
            self._widen()
        while other._width < self._width:
            other._widen()
        self._counts += other._counts
        self._fit()

    def bars(self, most: int, now: float) -> FinishCounts | None:
        """Returns them in at most ``most`` bars, from the first to the last; None without any.

        Args:
            most: bars that fit, at least two.
            now: ms since the epoch, for the words about them.
        """
        if not self._counts:
            return None
        first = min(self._counts) * self._width
        last = max(self._counts) * self._width
        fitting = (one for one in _WIDTHS if one >= self._width)
        width = next((one for one in fitting if last // one - first // one < most), _WIDTHS[-1])
        start = first // width
        counts = [0] * (last // width - start + 1)
        for span, jobs in self._counts.items():
            counts[span * self._width // width - start] += jobs
        return FinishCounts(
            window=TimeWindow.ALL,
            start=start * width,
            width=width,
            counts=tuple(counts),
            now=int(now),
        )

    def _fit(self) -> None:
        while len(self._counts) > MOST and self._width < _WIDTHS[-1]:
            self._widen()

    def _widen(self) -> None:
        width = _WIDTHS[_WIDTHS.index(self._width) + 1]
        counts: Counter[int] = Counter()
        for span, jobs in self._counts.items():
            counts[span * self._width // width] += jobs
        self._width, self._counts = width, counts
