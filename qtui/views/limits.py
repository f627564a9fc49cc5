"""A queue's limits in words, for the screen and the shell. No widgets."""

from __future__ import annotations

from collections.abc import Iterator

from qtui.operations.planning.brakes import LIMITED_WORKERS
from qtui.operations.queues.limits import Limits
from qtui.text import count, plain, plural, span


def key_words(*, exists: bool, has_next: bool) -> str:
    """What is odd about a deduplication key; empty if nothing is."""
    parts = [] if exists else ["the job is gone: adds with this id are dropped"]
    return " · ".join([*parts, "a newer job is stored"] if has_next else parts)


def limit_lines(limits: Limits) -> Iterator[tuple[str, str]]:
    """A queue's limits but for the deduplication keys, as rows of label and text; plain."""
    active = plural(limits.raw.active, "active job")
    if limits.concurrency is None:
        yield "concurrency", f"none · {active}"
    else:
        used = f"{count(limits.raw.active)} of {plural(limits.concurrency, 'job')} active"
        holders = plain(", ".join(limits.raw.holders))
        full = f" · used up by {holders}" if limits.maxed and holders else ""
        yield "concurrency", used + full
    if limits.most is None or limits.duration is None:
        yield "rate", "no global limit (workers may have their own)"
    else:
        yield "rate", f"{plural(limits.most, 'job')} in {span(limits.duration)}"
    if limits.started is not None:
        ends = f"ends in {span(limits.left)}"
        if limits.left < 0:
            ends = "does not expire, so it limits nothing"
        if limits.by_hand:
            whom = "no job starts" if limits.most is not None else LIMITED_WORKERS
            yield "limited", f"manually: {whom} · {ends}" if limits.left >= 0 else ends
        else:
            full = " · reached" if limits.reached else ""
            yield "window", f"{plural(limits.started, 'start')} · {ends}{full}"
