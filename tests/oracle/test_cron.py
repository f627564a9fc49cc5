"""The next time of a cron pattern is what the releases' own functions say."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from qtui.bullmq.schedulers.cron import Uncomputable, next_time, parse, zone_of
from tests.oracle.conftest import Drivers
from tests.oracle.releases import named

PATTERNS: Final = (
    *("* * * * * *", "*/7 * * * * *", "0 * * * *", "*/5 * * * *", "15,45 * * * *", "5/20 * * * *"),
    *("30 2 * * *", "0 0 * * *", "0 3 * * *", "59 23 * * *", "0 */6 * * *", "*/30 1-3 * * *"),
    *("10 30 9 * * MON-FRI", "0 9 * * 1-5", "0 12 * * 7", "0 12 * * sun,wed", "15 10 ? * 6"),
    *("0 0 1 * *", "0 0 31 * *", "0 0 29 2 *", "0 12 13 * 5", "0 0 1,15 * 3", "0 0 L * *"),
    *("0 0 1 jan,jul *", "0 4 8-14 * *", "0 18 * 3-11/2 *", "0 0 * * 5L", "0 9 * * 1#2"),
    *("@daily", "@hourly", "@weekly", "@monthly", "@yearly", "5 1", "*/2 2 * * *", "0 2,3 * * *"),
    *("0 0 */10 * *", "0 0 1-7 * 0", "* 2 * * *", "0 1 * * *", "30 1 * * *", "0 0 * * */2"),
)

NOT_IN_PYTHON: Final = ("0 0 * * 5L", "5 1")

REJECTED: Final = (
    *("61 * * * *", "* * * * * * *", "a b c d e", "0 0 30 2 *", "0 0 0 1 *", "*/0 * * * *"),
    *("5-1 * * * *", "0 0 * * 8", "H * * * *", "0 0 1-31 * 1", "0 0 1 * 1-7", "0 0 * * 1-7/4"),
)
"""Patterns that cron-parser 4 or 5 rejects, or about which they differ."""

_SLOW: Final = "QTUI_SLOW" in os.environ

ASKED: Final = ("4.18.3", "6.7.0", "python", *(("3.16.2", "5.58.1", "5.81.5") if _SLOW else ()))
"""Releases with cron-parser 4 and 5, and with croniter; all others have the first."""

ZONES: Final = ("UTC", "Europe/Berlin") + (
    (
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Sydney",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Pacific/Auckland",
    )
    if _SLOW
    else ()
)
"""Time zones with changes of the clocks to either side, with none, and off the hour."""

UNTIL: Final = 2028 if _SLOW else 2027


def _moments(zone: str) -> list[int]:
    """Moments spread over years, and some around each change of the clocks since 2026."""
    chance = random.Random(zone)
    first, last = datetime(2023, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    span = int((last - first).total_seconds() * 1000)
    found = [
        int(first.timestamp() * 1000) + chance.randrange(span) for _ in range(6 if _SLOW else 1)
    ]
    place, hour = ZoneInfo(zone), timedelta(hours=1)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    while at.year < UNTIL:
        if at.astimezone(place).utcoffset() != (at + hour).astimezone(place).utcoffset():
            changed = int((at + hour).timestamp() * 1000)
            found.append(changed - 3_600_001)
            found += [changed - 1, changed - 3_000_000, changed + 3_700_000] if _SLOW else []
        at += hour
    return found


@pytest.mark.parametrize("name", ASKED)
def test_the_next_time_is_the_release_s_own(drivers: Drivers, name: str) -> None:
    release = named(name)
    # The Python port's croniter is an hour off once a clock change lies in between.
    zones = ("UTC",) if release.is_python else ZONES
    asked = [(pattern, zone, at) for zone in zones for pattern in PATTERNS for at in _moments(zone)]
    theirs = drivers.get(release).call("next", asked=asked)
    wrong = []
    for (pattern, zone, at), said in zip(asked, theirs, strict=True):
        if release.is_python and pattern in NOT_IN_PYTHON:
            assert said is None
            continue
        ours = next_time(parse(pattern), at, zone_of(zone))
        if ours != said:
            times = f"{_shown(said, zone)}, ours {_shown(ours, zone)}"
            wrong.append(f"{pattern!r} after {_shown(at, zone)}: {times}")
    assert not wrong, "\n".join(wrong)


def test_patterns_that_a_release_rejects_are_not_computed(drivers: Drivers) -> None:
    asked = [(pattern, "UTC", 1_800_000_000_000) for pattern in REJECTED]
    answers = [drivers.get(named(name)).call("next", asked=asked) for name in ("4.18.3", "6.7.0")]
    for pattern, older, newer in zip(REJECTED, *answers, strict=True):
        assert older is None or newer is None or older != newer, pattern
        with pytest.raises(Uncomputable):
            next_time(parse(pattern), 1_800_000_000_000, zone_of("UTC"))


def test_a_time_zone_that_is_not_known_is_said_so() -> None:
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\0"):
        with pytest.raises(Uncomputable, match="time zone"):
            zone_of(name)


def _shown(at: int | None, zone: str) -> str:
    return "never" if at is None else str(datetime.fromtimestamp(at / 1000, ZoneInfo(zone)))
