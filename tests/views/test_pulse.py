"""The words above the list: what is wrong is loud, what the counts say already is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.rates import WINDOWS, Rates
from qtui.bullmq.verdicts.queue import OldestActive, QueueFacts
from qtui.views.queues.bursts import Burst
from qtui.views.queues.meter import Meter
from qtui.views.queues.pulse import Seen, per_second, pulse

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


def metered(growth: float, *, seconds: int = 40, added: int = 0, **members: object) -> Meter:
    """A meter that has seen a backlog of 1,000 jobs grow by this many a second."""
    meter = Meter()
    for second in range(seconds + 1):
        at = facts(now=NOW + 1000 * (second - seconds), waiting=int(1000 + growth * second))
        counted: dict[str, int] = {name: second * int(str(by)) for name, by in members.items()}
        ever = replace(rates(None, None), added_ever=7 + added * second)
        meter.note(at, replace(ever, **counted))  # type: ignore[arg-type]  # as loose as `facts`
    return meter


def shown(seen: Seen, *, room: int = 200, later: int = 0) -> list[tuple[str, str]]:
    return pulse(seen, now=NOW + later, room=room)


def words(pieces: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in pieces)


def test_a_queue_at_work_shows_its_rates_and_the_time_left() -> None:
    busy = facts(waiting=1440, next_since=NOW - 40_000)
    found = shown(Seen(facts=busy, rates=rates(7.8, 0.2), meter=metered(-8)), room=60)
    assert words(found) == "done 7.8/s · failed 0.2/s · 3 min left · oldest 40 s"
    assert {style for _, style in found} == {"faint"}


def test_time_left_minds_what_comes_in_and_a_backlog_that_grows_has_none() -> None:
    busy = facts(waiting=1200)
    found = shown(Seen(facts=busy, rates=rates(7, None), meter=metered(5, added=12)), room=70)
    assert words(found) == "added 12/s · done 7/s · backlog grows 5/s"
    assert found[-1][1] == "warn"
    steady = Seen(facts=busy, rates=rates(7, None), meter=metered(0.01))
    assert words(shown(steady, room=20)) == "done 7/s"
    too_short = Seen(facts=busy, rates=rates(7, None), meter=metered(-8, seconds=3))
    assert words(shown(too_short, room=20)) == "done 7/s"


def test_a_wide_screen_has_the_rates_of_every_window() -> None:
    counted = Rates(
        completed={10: 12.4, 60: 8.0, 300: 7.5, 900: None}, failed=dict.fromkeys(WINDOWS, 0.2)
    )
    seen = Seen(facts=facts(waiting=9), rates=counted, meter=metered(0, added=2))
    assert words(shown(seen)) == (
        "added 2 2 2 2 · done 12 8 7.5 1.8 · failed 0.2 0.2 0.2 0.2"
        " · a second over 10 s, 1, 5 and 15 min"
    )


def test_what_matters_least_gives_way_where_there_is_little_room() -> None:
    busy = facts(waiting=1440, next_since=NOW - 40_000)
    seen = Seen(facts=busy, rates=rates(7.8, 9), meter=metered(-8, added=3))
    for room, line in (
        (70, "added 3/s · done 7.8/s · failed 9/s · 3 min left · oldest 40 s"),
        (60, "done 7.8/s · failed 9/s · 3 min left · oldest 40 s"),
        (40, "failed 9/s · 3 min left · oldest 40 s"),
        (30, "failed 9/s · 3 min left"),
        (12, "failed 9/s"),
        (3, "failed 9/s"),
    ):
        assert words(shown(seen, room=room)) == line
    wrong = Seen(facts=facts(active=0, waiting=312, workers=0), rates=rates(7.8, 9))
    assert words(shown(wrong, room=10)) == "no worker is connected: 312 jobs wait"


def test_a_queue_that_keeps_no_completed_job_is_counted_by_metrics_or_by_what_is_gone() -> None:
    by_metrics = metered(0, added=9, completed_ever=4, failed_ever=1)
    seen = Seen(facts=facts(waiting=9), rates=rates(None, None), meter=by_metrics)
    assert (seen.done(60), seen.failed(60)) == (4.0, 1.0)
    seen = Seen(facts=facts(waiting=9), rates=rates(None, 1), meter=metered(2, added=9))
    assert seen.done(60) == 6.0
    seen = Seen(facts=facts(waiting=9), rates=rates(None, 7), meter=metered(0, added=7))
    assert seen.done(60) is None


def test_what_is_wrong_is_loud_and_first() -> None:
    found = shown(Seen(facts=facts(active=0, waiting=312, workers=0), rates=rates(None, None)))
    assert found == [("no worker is connected: 312 jobs wait", "bad")]
    oldest = OldestActive(id="7", processed_on=NOW - 54_000, lock_left=-2, stalls=0, exists=True)
    found = shown(Seen(facts=facts(oldest=oldest), rates=rates(1, None)), room=120)
    assert found[0][1] == "bad"
    assert words(found).startswith("job 7 is active for 54.0 s, its lock has expired: ")
    assert words(found).endswith(" · done 1/s")


def test_a_burst_comes_before_all_else() -> None:
    burst = Burst(queue=facts().queue, failed=1160, seen=NOW, error="getaddrinfo EAI_AGAIN \x1b[2J")
    idle = Seen(facts=facts(active=0, waiting=312, workers=0), burst=burst)
    found = shown(idle)
    assert found[0] == ("+1,160 failed in 20 s · getaddrinfo EAI_AGAIN ␛[2J", "bad")
    assert words(found[2:]).startswith("no worker is connected")
    assert words(shown(idle, room=60)) == words(found)
    over = words(shown(idle, later=14_000))
    assert over.startswith(
        "no worker is connected: 312 jobs wait · +1,160 failed in 20 s, 14 s ago"
    )


def test_a_job_that_is_overdue_is_named_beside_another_verdict() -> None:
    paused = facts(paused=True, active=0, waiting=3, delayed=1, due=NOW - 660_000)
    found = shown(Seen(facts=paused))
    assert words(found) == "paused: 3 jobs wait · delayed 11 min late"
    assert [style for _, style in found] == ["warn", "faint", "bad"]


def test_what_was_read_long_ago_says_so_and_gives_no_rates() -> None:
    busy = Seen(
        facts=facts(waiting=9, next_since=NOW - 40_000), rates=rates(7.8, 0.2), old=4_800_000
    )
    assert words(shown(busy)) == "read 80 min ago"
    found = shown(replace(busy, facts=facts(active=0, waiting=312, workers=0)))
    assert found == [("no worker is connected: 312 jobs wait, 80 min ago", "bad")]


def test_more_failures_than_successes_are_loud() -> None:
    assert shown(Seen(facts=facts(), rates=rates(0.1, 2)), room=25) == [
        ("done 0.1/s", "faint"),
        (" · ", "faint"),
        ("failed 2/s", "bad"),
    ]


def test_a_pause_is_a_warning_and_an_idle_queue_says_nothing() -> None:
    found = shown(Seen(facts=facts(paused=True, paused_at=NOW - 720_000, active=0, waiting=3)))
    assert found == [("paused for 12 m 0 s: 3 jobs wait", "warn")]
    assert shown(Seen(facts=facts(active=0), rates=rates(0, 0))) == []
    found = shown(Seen(facts=facts(active=0, delayed=1, due=NOW + 5_000), rates=rates(0, None)))
    assert found == [("idle: the next delayed job is due in 5.0 s", "faint")]


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(1234.5, "1,234/s"), (12.3, "12/s"), (8.04, "8/s"), (0.2, "0.2/s"), (0.05, "3/min")],
)
def test_a_rate_in_words(rate: float, shown: str) -> None:
    assert per_second(rate) == shown
