"""When the jobs of a state finished: counts per bar, from the state's own scores. Reads only.

No job is read, and no worker needs metrics: `failed` and `completed` are scored with finishedOn
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
from qtui.bullmq.connection import Client
from qtui.bullmq.filter.terms import EPOCH
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

DAWN: Final = 1_262_304_000_000
"""2010, in ms: years before any queue of this kind. A lower score is garbage (0, seconds)."""

AHEAD: Final = HOUR
"""How far a worker's clock may be ahead of ours; a score beyond it is later than any bar."""

_STEPS: Final = (
    *(n * SECOND for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 28, 91, 182, 364)),
)


class TimeWindow(StrEnum):
    """How far back to look, from the shortest; the value is its name for people."""

    FIVE_MINUTES = "5 min"
    HOUR = "1 h"
    DAY = "24 h"
    ALL = "all"

    @property
    def span(self) -> int | None:
        """Its length in ms; None where the jobs decide."""
        return _SPANS[self]

    @property
    def longer(self) -> TimeWindow:
        """The next longer one, itself at the end."""
        windows = list(TimeWindow)
        return windows[min(windows.index(self) + 1, len(windows) - 1)]

    @property
    def shorter(self) -> TimeWindow:
        """The next shorter one, itself at the end."""
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
    """How many jobs of a state finished when. Times are ms since the epoch.

    ``total``, ``earlier`` and ``later`` together are all jobs of the state.
    """

    window: TimeWindow
    start: int
    """Where the first bar begins: a multiple of ``width``, so that bars stay what they are."""
    width: int
    """What each bar stands for, ms."""
    counts: tuple[int, ...]
    """Jobs per bar, the oldest first; one bar at least. The last one may still grow."""
    now: int
    """When it was asked for."""
    earlier: int = 0
    """Jobs that finished before the first bar; in `ALL` their scores are garbage."""
    later: int = 0
    """Jobs behind the last bar: a clock far ahead of ours, or garbage. In `ALL` also those
    that finished while it was read."""

    @property
    def end(self) -> int:
        """Where the last bar ends, exclusive."""
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
        """Where a bar begins (inclusive) and ends (exclusive)."""
        after = self.start + self.width * bar
        return after, after + self.width

    def bar_at(self, moment: float) -> int:
        """The bar of a moment; the first or last one where it is outside."""
        inside = max(self.start, min(moment, self.end - 1))
        return int((inside - self.start) // self.width)

    def jobs(self, first_bar: int, last_bar: int) -> int:
        """Jobs in these bars, both included."""
        return sum(self.counts[first_bar : last_bar + 1])

    def filter_text(self, first_bar: int, last_bar: int) -> str:
        """The filter that means the jobs of these bars, both included, and no others."""
        after, before = self.bounds(first_bar)[0], self.bounds(last_bar)[1]
        return f"after:{_moment(after)} before:{_moment(before)}"


def _moment(milliseconds: int) -> str:
    """A moment as filters have it, in the time zone of who reads it."""
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

    Each job is in one bar, in ``earlier`` or in ``later``. The last bar has ``now`` in it, or the
    newest job where a worker's clock is ahead of ours by up to a quarter of the window (at most
    `AHEAD`); with `ALL` the newest job decides alone, and the oldest one where it begins.

    Args:
        client: where to read.
        queue: the queue.
        state: failed or completed.
        window: how far back.
        bars: how many there may be; there will be fewer, of a width that people count in.
        now: ms since the epoch.

    Costs one round trip (`ALL`: two) with one ZCOUNT a bar, a quarter more for what may be
    ahead. ZCOUNT is O(log n): 1.2 to 3 µs of Redis' time a bar at 1,000,000 jobs, 0.1 ms in all
    for an hour of minutes, however many jobs a bar has. What moves meanwhile may be counted in two
    bars or in none.

    Raises:
        ValueError: the state's scores are no times.
        redis.exceptions.RedisError: the server could not be asked, or refused.
    """
    if not state.is_finished:
        raise ValueError(f"jobs in {state} have not finished")
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
    """The finest width that parts the span evenly into so many bars at most."""
    finest = _FINEST[window]
    fitting = (step for step in _STEPS if step >= finest and span % step == 0)
    return next((step for step in fitting if span // step <= bars), span)


def _width_between(oldest: int, newest: int, bars: int) -> int:
    """The finest width with which both moments are in so many bars at most."""
    return next(step for step in _widths() if newest // step - oldest // step < bars)


def _widths() -> Iterator[int]:
    yield from _STEPS
    for power in count(1):
        yield _STEPS[-1] * 2**power


async def _ends(client: Client, key: str, now: int) -> tuple[int, int]:
    """The oldest and the newest score that can be a time; twice now if there is none."""
    low, high, one = DAWN, now + AHEAD, ("WITHSCORES", "LIMIT", 0, 1)
    replies = await ask(
        client,
        [("ZRANGEBYSCORE", key, low, high, *one), ("ZREVRANGEBYSCORE", key, high, low, *one)],
    )
    oldest, newest = (_score(reply, now) for reply in replies)
    # The state may have moved between the two.
    return min(oldest, newest), newest


def _score(reply: Reply, default: int) -> int:
    _raise_if_refused(reply)
    found = next(iter(scores(reply).values()), None)
    return default if found is None or not isfinite(found) else int(found // 1)


async def _counts(client: Client, key: str, start: int, width: int, bars: int) -> list[int]:
    """Jobs before the bars, in each of them, and behind them."""
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
