"""Counts the jobs of a state by when they finished, in bars, from the scores of the sorted set.

No job is read, and workers need no metrics: the scores in `failed` and `completed` are finishedOn
(moveToFinished, all releases).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import count, pairwise
from math import isfinite
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, ask, number, scores
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

DAWN: Final = 1_262_304_000_000
"""2010, in ms: years before BullMQ and Bull. A lower score is garbage (0, seconds)."""

AHEAD: Final = HOUR
"""How far, in ms, a worker's clock may be ahead of ours; higher scores count as ``later``."""

_STEPS: Final = (
    *(n * SECOND for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 28, 91, 182, 364)),
)


class TimeWindow(StrEnum):
    """How far back a timeline goes, shortest first; the value is its name on screen."""

    FIVE_MINUTES = "5 min"
    HOUR = "1 h"
    DAY = "24 h"
    ALL = "all"

    @property
    def span(self) -> int | None:
        """Its length in ms; None for `ALL`, where the jobs decide."""
        return _SPANS[self]

    @property
    def longer(self) -> TimeWindow:
        """The next longer window; the longest returns itself."""
        windows = list(TimeWindow)
        return windows[min(windows.index(self) + 1, len(windows) - 1)]

    @property
    def shorter(self) -> TimeWindow:
        """The next shorter window; the shortest returns itself."""
        windows = list(TimeWindow)
        return windows[max(windows.index(self) - 1, 0)]


_SPANS: Final = {
    TimeWindow.FIVE_MINUTES: 5 * MINUTE,
    TimeWindow.HOUR: HOUR,
    TimeWindow.DAY: DAY,
    TimeWindow.ALL: None,
}

_FINEST: Final = {
    TimeWindow.FIVE_MINUTES: 5 * SECOND,
    TimeWindow.HOUR: MINUTE,
    TimeWindow.DAY: 15 * MINUTE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishCounts:
    """Jobs of a state per bar of finish time. Times are ms since the epoch.

    ``total``, ``earlier`` and ``later`` add up to all jobs of the state.
    """

    window: TimeWindow
    start: int
    """Start of the first bar: a multiple of ``width``, so that a refresh keeps the bars' bounds."""
    width: int
    """Length of a bar, ms."""
    counts: tuple[int, ...]
    """Jobs per bar, oldest first; at least one bar. The last one may still grow."""
    now: int
    """When the timeline was requested."""
    earlier: int = 0
    """Jobs that finished before the first bar; with `ALL` their scores are garbage."""
    later: int = 0
    """Jobs after the last bar: a clock far ahead of ours, or garbage. With `ALL` also those
    that finished during the read."""

    @property
    def end(self) -> int:
        """End of the last bar, exclusive."""
        return self.start + self.width * len(self.counts)

    @property
    def total(self) -> int:
        """Jobs in all bars."""
        return sum(self.counts)

    @property
    def peak(self) -> int:
        """Jobs in the highest bar."""
        return max(self.counts, default=0)

    @property
    def peak_bar(self) -> int:
        """The first of the highest bars."""
        return self.counts.index(self.peak) if self.counts else 0

    def bounds(self, bar: int) -> tuple[int, int]:
        """Returns the start (inclusive) and end (exclusive) of a bar."""
        after = self.start + self.width * bar
        return after, after + self.width

    def bar_at(self, moment: float) -> int:
        """Returns the bar that holds a moment; the first or last if it is outside."""
        inside = max(self.start, min(moment, self.end - 1))
        return int((inside - self.start) // self.width)

    def jobs(self, first_bar: int, last_bar: int) -> int:
        """Returns the number of jobs in these bars, both included."""
        return sum(self.counts[first_bar : last_bar + 1])

    def filter_text(self, first_bar: int, last_bar: int) -> str:
        """Returns the filter that matches exactly the jobs of these bars, both included."""
        after, before = self.bounds(first_bar)[0], self.bounds(last_bar)[1]
        return f"after:{_moment(after)} before:{_moment(before)}"


def _moment(milliseconds: int) -> str:
    """A moment as filters write it, in the local time zone."""
    from qtui.bullmq.filter.terms import EPOCH

    moment = EPOCH + timedelta(milliseconds=milliseconds)
    local = moment.astimezone()
    if (local.utcoffset() or timedelta()).seconds % 60:  # as before there were time zones
        local = moment
    precise = "milliseconds" if milliseconds % 1000 else "seconds"
    return local.isoformat(timespec=precise).replace("+00:00", "Z")


async def read_timeline(
    client: Client, queue: QueueKey, state: JobState, window: TimeWindow, bars: int, *, now: float
) -> FinishCounts:
    """Counts the jobs of a finished state by when they finished.

    Each job is in one bar, in ``earlier`` or in ``later``. The last bar holds ``now``, or the
    newest job if a worker's clock is ahead of ours by up to a quarter of the window (at most
    `AHEAD`). With `ALL` the bars reach from the oldest to the newest job.

    Args:
        client: where to read.
        queue: the queue.
        state: failed or completed.
        window: how far back.
        bars: the most bars to return; usually fewer, since their width is a round unit of time.
        now: ms since the epoch.

    Costs one round trip (`ALL`: two) with one ZCOUNT a bar, and a quarter more for clocks that are
    ahead. ZCOUNT is O(log n): 1.2 to 3 µs of Redis's time a bar at 1,000,000 jobs, 0.1 ms in all
    for an hour in minutes, however many jobs a bar has. A job that moves during the read may be
    counted in two bars or in none.

    Raises:
        ValueError: the state's scores are not times.
        redis.exceptions.RedisError: the server did not answer, or refused.
    """
    if not state.is_finished:
        raise ValueError(f"{state} jobs have not finished")
    key, moment, bars = queue.key(state.key), int(now), max(1, bars)
    span = window.span
    if span is None:
        oldest, newest = await _ends(client, key, moment)
        width = _width_between(oldest, newest, bars)
        start, length, ahead = oldest - oldest % width, newest // width - oldest // width + 1, 0
    else:
        width = _width_of(window, span, bars)
        length, ahead = span // width, min(AHEAD, span // 4) // width
        start = (moment // width - length + 1) * width
    earlier, *counts, later = await _counts(client, key, start, width, length + ahead)
    shift = next((at for at in range(ahead, 0, -1) if counts[length + at - 1]), 0)
    return FinishCounts(
        window=window,
        start=start + shift * width,
        width=width,
        counts=tuple(counts[shift : shift + length]),
        now=moment,
        earlier=earlier + sum(counts[:shift]),
        later=later,
    )


def _width_of(window: TimeWindow, span: int, bars: int) -> int:
    """The finest width that divides the span evenly into at most ``bars`` bars."""
    finest = _FINEST[window]
    fitting = (step for step in _STEPS if step >= finest and span % step == 0)
    return next((step for step in fitting if span // step <= bars), span)


def _width_between(oldest: int, newest: int, bars: int) -> int:
    """The finest width that covers both moments with at most ``bars`` bars."""
    return next(step for step in _widths() if newest // step - oldest // step < bars)


def _widths() -> Iterator[int]:
    yield from _STEPS
    for power in count(1):
        yield _STEPS[-1] * 2**power


async def _ends(client: Client, key: str, now: int) -> tuple[int, int]:
    """The oldest and the newest score that can be a time; ``now`` twice if there is none."""
    low, high, one = DAWN, now + AHEAD, ("WITHSCORES", "LIMIT", 0, 1)
    replies = await ask(
        client,
        [("ZRANGEBYSCORE", key, low, high, *one), ("ZREVRANGEBYSCORE", key, high, low, *one)],
    )
    oldest, newest = (_score(reply, now) for reply in replies)
    # The state may have changed between the two commands.
    return min(oldest, newest), newest


def _score(reply: Reply, default: int) -> int:
    _raise_if_refused(reply)
    found = next(iter(scores(reply).values()), None)
    return default if found is None or not isfinite(found) else int(found // 1)


async def _counts(client: Client, key: str, start: int, width: int, bars: int) -> list[int]:
    """Jobs before the bars, in each of them, and after them."""
    edges = [start + width * bar for bar in range(bars + 1)]
    commands: list[Command] = [("ZCOUNT", key, "-inf", f"({edges[0]}")]
    commands += (("ZCOUNT", key, after, f"({before}") for after, before in pairwise(edges))
    commands.append(("ZCOUNT", key, edges[-1], "+inf"))
    replies = await ask(client, commands)
    for reply in replies:
        _raise_if_refused(reply)
    return [number(reply) or 0 for reply in replies]


def _raise_if_refused(reply: Reply) -> None:
    if isinstance(reply, RedisError):
        raise reply
