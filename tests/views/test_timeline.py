"""A timeline in words: moments, scales, and the heights of bars."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from qtui.bullmq.reads.queues.timeline import DAY, HOUR, MINUTE, SECOND, FinishCounts, TimeWindow
from qtui.views.timeline import Reading, column, is_steep, per

NOW = 1_795_317_121_661
"""2026-11-22 03:12:01.661, UTC."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "start", "width", "bars", "moments"),
    [
        ("UTC", NOW - HOUR, MINUTE, 60, ("02:12", "02:12~02:13")),
        ("America/New_York", NOW - HOUR, MINUTE, 60, ("21:12", "21:12~21:13")),
        ("UTC", NOW - 5 * MINUTE, 5 * SECOND, 60, ("03:07:01", "03:07:01~03:07:06")),
        ("UTC", NOW - 3 * DAY, MINUTE, 60, ("11-19 03:12", "11-19 03:12~03:13")),
        ("UTC", NOW - 3 * DAY, 12 * HOUR, 6, ("11-19 03:12", "11-19 03:12~15:12")),
        ("UTC", NOW - 3 * DAY, 22 * HOUR, 4, ("11-19 03:12", "11-19 03:12~11-20 01:12")),
        ("UTC", NOW - 90 * DAY, DAY, 91, ("08-24", "08-24~08-25")),
        ("UTC", NOW - 900 * DAY, 28 * DAY, 33, ("2024-06-05", "2024-06-05~2024-07-03")),
        ("UTC", NOW - 900 * DAY, HOUR, 33, ("2024-06-05 03:12", "2024-06-05 03:12~04:12")),
    ],
)
def test_moments_are_as_short_as_they_can_be(
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    start: int,
    width: int,
    bars: int,
    moments: tuple[str, str],
) -> None:
    facts = FinishCounts(
        window=TimeWindow.ALL, start=start, width=width, counts=(1,) * bars, now=NOW
    )
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        reading = Reading(facts, "failed")
        span = reading.span(*facts.bounds(0)).replace("\N{EN DASH}", "~")
        assert (reading.moment(start), span) == moments


@pytest.mark.parametrize(
    ("facts", "cells", "scale"),
    [
        (
            FinishCounts(
                window=TimeWindow.ALL,
                start=NOW // DAY * DAY - 900 * DAY,
                width=30 * DAY,
                counts=(1,) * 31,
                now=NOW,
            ),
            1,
            "2024-06-05   2025-06-30     now",
        ),
        (
            FinishCounts(
                window=TimeWindow.ALL,
                start=NOW // DAY * DAY - 80 * DAY,
                width=DAY,
                counts=(1,) * 20,
                now=NOW,
            ),
            2,
            "09-03   09-07   09-11   09-15   09-19",
        ),
        (
            FinishCounts(
                window=TimeWindow.DAY,
                start=NOW // HOUR * HOUR - 23 * HOUR,
                width=HOUR,
                counts=(1,) * 24,
                now=NOW,
            ),
            2,
            "04:00   08:00   12:00   16:00   20:00        now",
        ),
        (
            FinishCounts(
                window=TimeWindow.FIVE_MINUTES,
                start=NOW // MINUTE * MINUTE,
                width=5 * SECOND,
                counts=(1,) * 60,
                now=NOW + MINUTE,
            ),
            1,
            "03:12       now         03:14       03:15       03:16",
        ),
    ],
    ids=["years", "days", "a day", "a clock ahead"],
)
def test_the_scale_has_round_times(facts: FinishCounts, cells: int, scale: str) -> None:
    assert Reading(facts, "failed").scale(0, cells) == scale


def test_a_burst_is_seen_beside_an_old_peak() -> None:
    hour = [0] * 60
    hour[20], hour[58] = 20_000, 160
    assert is_steep(hour)
    assert [column(jobs, 20_000, 1, steep=True) for jobs in (0, 1, 160, 20_000)] == list("·▁▅█")
    assert [column(jobs, 20_000, 2, steep=True) for jobs in (1, 160, 20_000)] == [" ▂", "▁█", "██"]
    hour[58] = 9  # not worth it
    assert not is_steep(hour)
    hour[58] = 2_500  # an eighth of the peak is seen anyway
    assert not is_steep(hour)
    hour[40], hour[58] = 160, 0  # old
    assert not is_steep(hour)
    assert not is_steep([0])


def test_columns_and_units() -> None:
    assert [column(jobs, 512, 1) for jobs in (0, 1, 64, 65, 511, 512)] == list("·▁▁▂██")
    assert [column(jobs, 512, 2) for jobs in (0, 1, 256, 257, 512)] == [
        " ·",
        " ▁",
        " █",
        "▁█",
        "██",
    ]
    widths = (SECOND, 5 * SECOND, MINUTE, 90 * SECOND, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 7)
    units = "1 s 5 s min 90 s 15 min h 6 h d 7 d 0.007 s"
    assert " ".join(per(width) for width in widths) == units
