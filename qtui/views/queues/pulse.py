"""The line above the list in words: why the queue does what it does, and how fast.

Where there is little room, the pieces that matter least are left out; what is wrong stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.reads.queues.rates import WINDOWS, Rates
from qtui.bullmq.verdicts.queue import QueueFacts, judge_queue
from qtui.bullmq.verdicts.verdict import LATE, Weight
from qtui.text import plain, rough
from qtui.views.queues.bursts import Burst
from qtui.views.queues.meter import TREND, Meter

SHOWN: Final = 60
"""Seconds over which the line's rates are counted."""

OLD: Final = 15_000
"""Milliseconds after which what was read is called old: it is read every few seconds."""

_STYLES: Final = {
    Weight.FINE: "faint",
    Weight.HELD: "warn",
    Weight.WRONG: "bad",
    Weight.UNKNOWN: "faint",
}

_COUNTED_BESIDE: Final = frozenset({"running", "starting", "idle", "no-queue"})
"""Verdicts that say no more than the counts of the states, which are shown below."""

_LONGEST: Final = 7 * 86_400
"""Seconds left above which no time is named: it would be a guess."""

_GROWS: Final = 10
"""Jobs by which a backlog grows within `TREND` seconds, at least, to be called growing; and it is
more than one in a hundred."""

_SHRINKS: Final = 5
"""Jobs by which it shrinks, at least, so that one can say how long it will last."""


_KEPT: Final = 80


@dataclass(frozen=True, slots=True)
class _Piece:
    words: str
    style: str
    worth: int
    """The least of them is left out first, but none from `_KEPT` on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known about the queue that is shown."""

    facts: QueueFacts
    rates: Rates | None = None
    meter: Meter | None = None
    burst: Burst | None = None
    old: float = 0
    """Milliseconds since it was read, unless nothing can have changed since."""

    def added(self, seconds: int) -> float | None:
        """Jobs added a second in a window."""
        return None if self.meter is None else self.meter.added(seconds)

    def failed(self, seconds: int) -> float | None:
        """Jobs failed a second in a window; by BullMQ's metrics where none is kept."""
        kept = None if self.rates is None else self.rates.failed[seconds]
        return self.meter.failed(seconds) if kept is None and self.meter is not None else kept

    def done(self, seconds: int) -> float | None:
        """Jobs completed a second in a window.

        Where none is kept, by BullMQ's metrics; without these it is what left the queue, if only a
        small part of that has failed.
        """
        kept = None if self.rates is None else self.rates.completed[seconds]
        if kept is not None or self.meter is None:
            return kept
        counted = self.meter.completed(seconds)
        if counted is not None:
            return counted
        gone, failed = self.meter.gone(seconds), self.failed(seconds) or 0
        return None if gone is None or failed > gone / 4 else gone - failed


def pulse(seen: Seen, *, now: float, room: int, beside: int = 0) -> list[tuple[str, str]]:
    """Returns burst, verdict and rates as pieces of text, each with the name of a style.

    Args:
        seen: what was read.
        now: ms since the epoch.
        room: cells; only what must not be left out may be longer.
        beside: cells of what follows, if there is room: rates over all windows leave it that.
    """
    pieces = list(_pieces(seen, now))
    whole = list(_pieces(seen, now, windows=True))
    if _width(whole) <= room - beside:
        pieces = whole
    while _width(pieces) > room:
        least = min(pieces, key=lambda one: one.worth)
        if least.worth >= _KEPT or len(pieces) == 1:
            break
        pieces.remove(least)
    separated: list[tuple[str, str]] = []
    for place, one in enumerate(pieces):
        separated += [(" · ", "faint")] if place else []
        separated.append((one.words, one.style))
    return separated


def _width(pieces: Sequence[_Piece]) -> int:
    return sum(len(one.words) for one in pieces) + 3 * max(0, len(pieces) - 1)


def _pieces(seen: Seen, now: float, *, windows: bool = False) -> Iterator[_Piece]:
    facts, verdict = seen.facts, judge_queue(seen.facts)
    burst = [] if seen.burst is None else [_Piece(seen.burst.words(now), "bad", 100)]
    is_over = seen.burst is not None and seen.burst.is_over(now)
    if not is_over:
        yield from burst
    if seen.old > OLD:
        quiet = verdict.code in _COUNTED_BESIDE
        words = "read" if quiet else f"{plain(verdict.words)},"
        yield _Piece(f"{words} {rough(seen.old)} ago", _STYLES[verdict.weight], 90)
        return
    rates = list(_all_rates(seen) if windows else _rates(seen))
    rest = [*rates, *_times(seen)]
    if verdict.code not in _COUNTED_BESIDE and not (verdict.weight is Weight.FINE and rest):
        worth = {Weight.WRONG: 90, Weight.HELD: 80}.get(verdict.weight, 30)
        yield _Piece(plain(verdict.words), _STYLES[verdict.weight], worth)
    if is_over:
        yield from burst
    if facts.due is not None and now - facts.due >= LATE and verdict.code != "late":
        yield _Piece(f"delayed {rough(now - facts.due)} late", "bad", 75)
    yield from rest


def _rates(seen: Seen) -> Iterator[_Piece]:
    """Over a minute; of what came in only where the rest has room."""
    added, done, failed = seen.added(SHOWN), seen.done(SHOWN), seen.failed(SHOWN)
    if added:
        yield _Piece(f"added {per_second(added)}", "faint", 20)
    if done:
        yield _Piece(f"done {per_second(done)}", "faint", 40)
    if failed:
        loud = failed >= (done or 0)
        yield _Piece(f"failed {per_second(failed)}", "bad" if loud else "faint", 70 if loud else 45)


def _all_rates(seen: Seen) -> Iterator[_Piece]:
    """Over every window, as `uptime` shows loads."""
    shown = []
    for name, rate in (("added", seen.added), ("done", seen.done), ("failed", seen.failed)):
        found = [rate(seconds) for seconds in WINDOWS]
        if rate(SHOWN):
            words = " ".join("?" if one is None else _number(one) for one in found)
            now = found[0] or 0
            loud = name == "failed" and now > 0 and now >= (seen.done(WINDOWS[0]) or 0)
            shown.append(_Piece(f"{name} {words}", "bad" if loud else "faint", 40))
    if shown:
        yield from shown
        yield _Piece("a second over 10 s, 1, 5 and 15 min", "faint", 10)


def all_rates(seen: Seen) -> str:
    """Returns the rates over every window in words; empty if nothing ends or comes in."""
    return " · ".join(one.words for one in _all_rates(seen))


def _times(seen: Seen) -> Iterator[_Piece]:
    """How long the backlog will last, and how long its oldest job has waited."""
    facts, growth = seen.facts, None if seen.meter is None else seen.meter.growth
    if growth is not None and facts.ready and facts.active:
        change = growth * TREND
        if change >= max(_GROWS, facts.ready / 100):
            yield _Piece(f"backlog grows {per_second(growth)}", "warn", 65)
        elif change <= -_SHRINKS and facts.ready / -growth < _LONGEST:
            yield _Piece(f"{rough(1000 * facts.ready / -growth)} left", "faint", 60)
    if facts.active and facts.ready and facts.next_since is not None:
        yield _Piece(f"oldest {rough(max(0, facts.now - facts.next_since))}", "faint", 50)


def per_second(rate: float) -> str:
    """A rate: ``1,200/s``, ``8/s``, ``0.2/s``, ``3/min``."""
    return f"{_number(rate)}/s" if rate >= 0.095 else f"{max(1, round(rate * 60))}/min"


def _number(rate: float) -> str:
    if rate >= 10:
        return f"{rate:,.0f}"
    return f"{rate:.1f}".removesuffix(".0") if rate >= 0.095 or rate == 0 else f"{rate:.2f}"
