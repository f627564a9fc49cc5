"""What ended in a queue of late, slot by slot, from nothing but its counts."""

from __future__ import annotations

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.views.queues.trends import MOST, SLOT, Trends

QUEUE = QueueKey.of("bull", "q")


def note(trends: Trends, now: float, *, completed: int | None, failed: int | None) -> None:
    counts = {JobState.COMPLETED: completed, JobState.FAILED: failed}
    trends.note({QUEUE: QueueStatus(QUEUE, counts)}, [QUEUE], now)


def bars(trends: Trends, bars: int, now: float) -> list[tuple[int, int]]:
    return [(one.completed, one.failed) for one in trends.of(QUEUE, bars, now)]


def test_what_was_there_before_has_not_ended_now() -> None:
    trends = Trends()
    note(trends, 100, completed=5000, failed=400)
    assert bars(trends, 2, 100) == [(0, 0), (0, 0)]
    assert not trends.knows(QUEUE)


def test_each_slot_holds_what_ended_in_it() -> None:
    trends = Trends()
    note(trends, 100, completed=50, failed=4)
    note(trends, 102, completed=53, failed=4)
    note(trends, 109, completed=54, failed=10)
    note(trends, 131, completed=54, failed=12)
    assert bars(trends, 4, 135) == [(4, 6), (0, 0), (0, 0), (0, 2)]
    assert [one.is_bad for one in trends.of(QUEUE, 4, 135)] == [True, False, False, True]
    assert bars(trends, 3, 151) == [(0, 2), (0, 0), (0, 0)]


def test_jobs_that_are_retried_or_removed_are_no_bars() -> None:
    trends = Trends()
    note(trends, 100, completed=50, failed=40)
    note(trends, 101, completed=0, failed=10)
    note(trends, 102, completed=None, failed=12)
    assert bars(trends, 1, 102) == [(0, 2)]


def test_no_more_is_kept_than_is_shown() -> None:
    trends = Trends()
    for slot in range(3 * MOST):
        note(trends, slot * SLOT, completed=slot, failed=0)
    assert len(trends._slots[QUEUE]) == MOST
    trends.note({}, [QUEUE], 0)
