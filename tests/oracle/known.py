"""Where real releases are known to do something else, and what is right instead."""

from __future__ import annotations

from collections.abc import Sequence

from tests.oracle.keyspace import Difference, Value, only_ours
from tests.oracle.releases import Release

PRIORITY_UNIT = 2**32
"""One step of priority in a score of ``prioritized``; below it is the order of one priority."""


def no_marker(release: Release, queue: str = "q") -> list[Difference]:
    """5.0.0 to 5.1.6 wake no worker after a retry: it sleeps up to drainDelay, 5 s."""
    if not (5, 0, 0) <= release.speaks < (5, 1, 7):
        return []
    # The worker that failed the jobs may have left one behind when it stopped.
    reason = "retry wrote no marker before 5.1.7"
    return [Difference(f"{queue}:marker", reason, only_ours([("0", 0.0)]), always=False)]


def honours_priority(release: Release) -> bool:
    """Since 6.3.15 a retried job with a priority goes to ``prioritized``."""
    return release.speaks >= (6, 3, 15)


def priority_ignored(
    release: Release, prioritized: Sequence[str], wait: Sequence[str]
) -> list[Difference]:
    """Before 6.3.15 jobs with a priority went to ``wait``, in front of all prioritized ones.

    Args:
        release: the release.
        prioritized: the jobs with a priority, in the order in which they should run.
        wait: what should be in ``wait``, head first.
    """
    if honours_priority(release):
        return []
    reason = "priority ignored by retry before 6.3.15"

    def in_order(official: Value | None, ours: Value | None) -> bool:
        return official is None and ours is not None and _members(ours) == list(prioritized)

    def without(official: Value | None, ours: Value | None) -> bool:
        left = list(ours[1]) if ours and isinstance(ours[1], list) else []
        return official is not None and left == list(wait)

    return [
        Difference("q:prioritized", reason, in_order),
        Difference("q:pc", reason, only_ours(str(len(prioritized)))),
        Difference("q:wait", reason, without),
    ]


def in_order_of_priority(jobs: Sequence[str]) -> Difference:
    """Before 5.0.0 nothing may show that ``prioritized`` is read; then a batch goes in its order.

    Args:
        jobs: the jobs in the order in which they should run.
    """

    def right(official: Value | None, ours: Value | None) -> bool:
        return official is not None and ours is not None and ours[1] == list(jobs)[::-1]

    return Difference("q:wait", "priority ignored by retry before 6.3.15", right)


def _members(value: Value) -> list[str]:
    assert isinstance(value[1], list)
    return [member for member, _ in value[1]]


def resets_unknown(release: Release, jobs: Sequence[str], *counters: str) -> list[Difference]:
    """Before 5.66.0 Job.retry had no options: only qtui resets counters there."""
    if release.speaks >= (5, 66, 0):
        return []

    def right(official: Value | None, ours: Value | None) -> bool:
        assert official is not None
        assert ours is not None
        assert isinstance(official[1], dict)
        fields = {name: value for name, value in official[1].items() if name not in counters}
        return fields == ours[1]

    reason = f"no options resetAttempts… before 5.66.0, so {counters} stay"
    return [Difference(f"q:{job}", reason, right) for job in jobs]


def default_length_written(release: Release) -> list[Difference]:
    """Since 5.1.7 a retry writes 10000 as the queue's length of events where none was set."""
    if release.speaks < (5, 1, 7):
        return []

    def right(official: Value | None, ours: Value | None) -> bool:
        fields = dict(ours[1]) if ours and isinstance(ours[1], dict) else {}
        return official is not None and official[1] == {**fields, "opts.maxLenEvents": "10000"}

    return [Difference("q:meta", "retry writes the default of a missing option", right)]
