"""The words above the list: what is wrong is loud, what the counts say already is left out."""

from __future__ import annotations

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.rates import WINDOWS, Rates
from qtui.bullmq.verdicts.queue import OldestActive, QueueFacts
from qtui.views.queues.pulse import per_second, pulse

NOW = 1_800_000_000_000


def facts(**members: object) -> QueueFacts:
    """A queue with one active job, at rest but for what is given."""
    known: dict[str, object] = {
        "queue": QueueKey.of("bull", "q"),
        "now": NOW,
        "exists": True,
        **dict.fromkeys(
            ("waiting", "prioritized", "paused_list", "delayed", "waiting_children"), 0
        ),
        "active": 1,
        **dict.fromkeys(("due", "paused_at", "concurrency", "limiter", "max", "next_id"), None),
        "paused": False,
        "limiter_left": -2,
        "marker": True,
        "last_event": NOW,
        "oldest": None,
        "next_since": None,
        "workers": 2,
    }
    return QueueFacts(**{**known, **members})  # type: ignore[arg-type]  # as loose as its callers


def rates(completed: float | None, failed: float | None) -> Rates:
    return Rates(completed=dict.fromkeys(WINDOWS, completed), failed=dict.fromkeys(WINDOWS, failed))


def words(pieces: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in pieces)


def test_a_queue_at_work_shows_its_rates_and_the_time_left() -> None:
    shown = pulse(facts(waiting=1440, next_since=NOW - 40_000), rates(7.8, 0.2))
    assert words(shown) == "completed 7.8/s · failed 0.2/s · 3 m 0 s left · oldest 40.0 s"
    assert {style for _, style in shown} == {"faint"}


def test_what_is_wrong_is_loud_and_first() -> None:
    shown = pulse(facts(active=0, waiting=312, workers=0), rates(None, None))
    assert shown == [("no worker is connected: 312 jobs wait", "bad")]
    oldest = OldestActive(id="7", processed_on=NOW - 54_000, lock_left=-2, stalls=0, exists=True)
    shown = pulse(facts(oldest=oldest), rates(1, None))
    assert shown[0][1] == "bad"
    assert words(shown).startswith("job 7 is active for 54.0 s, its lock has expired: ")
    assert words(shown).endswith(" · completed 1/s")


def test_more_failures_than_successes_are_loud() -> None:
    assert pulse(facts(), rates(0.1, 2)) == [
        ("completed 0.1/s", "faint"),
        (" · ", "faint"),
        ("failed 2/s", "bad"),
    ]


def test_a_pause_is_a_warning_and_an_idle_queue_says_nothing() -> None:
    shown = pulse(facts(paused=True, paused_at=NOW - 720_000, active=0, waiting=3), None)
    assert shown == [("paused for 12 m 0 s: 3 jobs wait", "warn")]
    assert pulse(facts(active=0), rates(0, 0)) == []
    shown = pulse(facts(active=0, delayed=1, due=NOW + 5_000), rates(0, None))
    assert shown == [("idle: the next delayed job is due in 5.0 s", "faint")]


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(1234.5, "1,234/s"), (12.3, "12/s"), (8.04, "8/s"), (0.2, "0.2/s"), (0.05, "3/min")],
)
def test_a_rate_in_words(rate: float, shown: str) -> None:
    assert per_second(rate) == shown
