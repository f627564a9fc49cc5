"""The line above the list in words: why the queue does what it does, and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from qtui.bullmq.reads.queues.rates import Rates
from qtui.bullmq.verdicts.queue import QueueFacts, judge_queue
from qtui.bullmq.verdicts.verdict import Weight
from qtui.text import plain, span

SHOWN: Final = 60
"""Seconds over which the line's rates are counted."""

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


def pulse(facts: QueueFacts, rates: Rates | None) -> list[tuple[str, str]]:
    """Returns the verdict and the rates as pieces of text, each with the name of a style."""
    verdict, pieces = judge_queue(facts), list(_rates(facts, rates))
    quiet = verdict.code in _COUNTED_BESIDE or (verdict.weight is Weight.FINE and pieces)
    if not quiet:
        pieces.insert(0, (plain(verdict.words), _STYLES[verdict.weight]))
    separated = []
    for place, (words, style) in enumerate(pieces):
        separated += [(" · ", "faint")] if place else []
        separated.append((words, style))
    return separated


def _rates(facts: QueueFacts, rates: Rates | None) -> Iterator[tuple[str, str]]:
    if rates is None:
        return
    done, failed = rates.completed[SHOWN], rates.failed[SHOWN]
    if done:
        yield f"completed {per_second(done)}", "faint"
    if failed:
        yield f"failed {per_second(failed)}", "bad" if failed >= (done or 0) else "faint"
    together = rates.of(SHOWN)
    if together and facts.ready and facts.active and facts.ready / together < _LONGEST:
        yield f"{span(1000 * facts.ready / together)} left", "faint"
    if facts.active and facts.ready and facts.next_since is not None:
        yield f"oldest {span(max(0, facts.now - facts.next_since))}", "faint"


def per_second(rate: float) -> str:
    """A rate: ``1,200/s``, ``8/s``, ``0.2/s``, ``3/min``."""
    if rate >= 10:
        return f"{rate:,.0f}/s"
    if rate >= 0.095:
        return f"{rate:.1f}".removesuffix(".0") + "/s"
    return f"{max(1, round(rate * 60))}/min"
