"""When a cron pattern is due next, as BullMQ's cron-parser says. Pure; knows no connection.

BullMQ 1.x to 5.x use cron-parser 2 to 4, 6.x uses 5, the Python port croniter. Patterns on which
these disagree are refused (`Uncomputable`) and not guessed. What all node releases have in common:

* Six fields with the seconds first; missing fields come from ``0 * * * * *``, from the left.
* If day of month and day of week are both restricted, a day matches if either does.
* A time that a clock change skips is due after the gap, as if the clock had not been changed. About
  a midnight that is skipped they disagree.
* A time that a clock change repeats is due once, the first time, unless every hour matches.

Source: the releases' own functions (``getNextMillis``, ``defaultRepeatStrategy``), which
`tests/oracle/test_cron.py` asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

_DAYS: Final = 366 * 9
"""Days searched: 29 February is at most eight years away."""

_LONGEST: Final = 1024
"""Longest pattern in characters that cron-parser 5 accepts."""

_NAMED: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@minutely": "0 * * * * *",
    "@secondly": "* * * * * *",
    "@weekdays": "0 0 0 * * 1-5",
    "@weekends": "0 0 0 * * 0,6",
}

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART: Final = re.compile(r"(?:(\*|\?)|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,4}))?", re.ASCII)
_LAST: Final = re.compile(r"([0-7])L", re.ASCII)
_NTH: Final = re.compile(r"([0-7])#([1-5])", re.ASCII)


class Uncomputable(ValueError):
    """The next time of a pattern is not certain; the message says why, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A cron pattern as sets of numbers."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    any_day: bool
    any_weekday: bool
    last_day: bool = False
    """Whether the last day of a month matches: ``L``."""
    last_weekday: int | None = None
    """The weekday whose last one in a month matches: ``5L``."""
    nth: int | None = None
    """Which of a month's `weekdays` matches: ``5#2``; None for all."""

    def includes(self, day: date) -> bool:
        """Whether the pattern has times on this day."""
        if day.month not in self.months:
            return False
        by_day = day.day in self.days or (self.last_day and _left(day) == 0)
        if self.any_weekday:
            return self.any_day or by_day
        weekday = day.isoweekday() % 7
        by_weekday = weekday in self.weekdays and self.nth in (None, (day.day + 6) // 7)
        by_weekday = by_weekday or (weekday == self.last_weekday and _left(day) < 7)
        return by_weekday if self.any_day else by_day or by_weekday


def _left(day: date) -> int:
    """The days of its month that come after a day."""
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (following - day).days - 1


def parse(text: str) -> Pattern:
    """Returns a pattern.

    Raises:
        Uncomputable: cron-parser rejects it, or its releases differ about it.
    """
    text = _NAMED.get(text, text)
    atoms = text.split()
    if not atoms or len(atoms) > 6 or len(text) > _LONGEST:
        raise Uncomputable("not a cron pattern of up to six fields")
    atoms = ["0", "*", "*", "*", "*", "*"][: 6 - len(atoms)] + atoms
    second, minute, hour, day, month, weekday = atoms
    any_day, any_weekday = day in ("*", "?"), weekday in ("*", "?")
    last_day = day == "L"
    days = frozenset[int]() if last_day else frozenset(_numbers(day, 1, 31, asks=True))
    weekdays, last_weekday, nth = _weekdays(weekday)
    restricted = not any_day and not any_weekday
    if restricted and (len(days) > 27 or len(weekdays) == 7):
        raise Uncomputable("BullMQ's releases differ about a full range beside another day field")
    if restricted and (nth is not None or last_weekday is not None):
        raise Uncomputable("BullMQ's releases differ about # and L beside a day of the month")
    months = frozenset(_numbers(_named(month, _MONTHS, 1), 1, 12))
    if days and any_weekday and not any(min(days) <= _LENGTHS[one - 1] for one in months):
        raise Uncomputable("no month has such a day")
    return Pattern(
        seconds=_numbers(second, 0, 59),
        minutes=_numbers(minute, 0, 59),
        hours=_numbers(hour, 0, 23),
        days=days,
        months=months,
        weekdays=weekdays,
        any_day=any_day,
        any_weekday=any_weekday,
        last_day=last_day,
        last_weekday=last_weekday,
        nth=nth,
    )


_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _weekdays(text: str) -> tuple[frozenset[int], int | None, int | None]:
    """The weekdays, the one whose last matches, and which one of a month matches."""
    text = _named(text, _WEEKDAYS, 0)
    if last := _LAST.fullmatch(text):
        return frozenset(), int(last[1]) % 7, None
    if nth := _NTH.fullmatch(text):
        return frozenset({int(nth[1]) % 7}), None, int(nth[2])
    for part in text.split(","):
        _, _, step = part.partition("/")
        if step and int(step or 1) > 1 and not part.startswith("*") and "-" not in part:
            raise Uncomputable("BullMQ's releases differ about a weekday with an open step")
        if step and "-7/" in part:
            raise Uncomputable("BullMQ's releases differ about a step up to weekday 7")
    return frozenset(one % 7 for one in _numbers(text, 0, 7, asks=True)), None, None


def _named(text: str, names: tuple[str, ...], first: int) -> str:
    def number(found: re.Match[str]) -> str:
        name = found[0].lower()
        if name not in names:
            raise Uncomputable(f"{name!r} is neither a month nor a weekday")
        return str(names.index(name) + first)

    return re.sub(r"[A-Za-z]{3}", number, text)


def _numbers(text: str, least: int, most: int, *, asks: bool = False) -> tuple[int, ...]:
    """The numbers of one field, sorted; ``?`` only in the day fields."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or (match[1] == "?" and not asks):
            raise Uncomputable(f"{part!r} is not a number, range or step that every release reads")
        _, start, end, step = match.groups()
        low = least if start is None else int(start)
        high = int(end) if end else (most if start is None or step else low)
        by = 1 if step is None else int(step)
        if not least <= low <= high <= most or by < 1:
            raise Uncomputable(f"{part!r} is out of range")
        found.update(range(low, high + 1, by))
    return tuple(sorted(found))


def zone_of(name: str) -> tzinfo:
    """Returns a time zone by its IANA name.

    Raises:
        Uncomputable: this machine does not know it.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise Uncomputable(f"the time zone {name!r} is not known here") from None


def next_time(pattern: Pattern, after: int, zone: tzinfo) -> int:
    """Returns the first time of a pattern after a moment. Times are ms since the epoch.

    Raises:
        Uncomputable: there is none within nine years.
    """
    # As dates, since a day may begin twice, or in the middle of an hour.
    try:
        day = datetime.fromtimestamp(after / 1000, zone).date()
        for _ in range(_DAYS):
            if pattern.includes(day):
                found = [one for one in _times(pattern, day, after, zone) if one > after]
                if found:
                    return min(found)
            day += timedelta(days=1)
    except (OverflowError, OSError, ValueError):
        pass
    raise Uncomputable("it has no time within nine years")


def is_time(pattern: Pattern, at: int, zone: tzinfo) -> bool:
    """Whether a moment, in ms since the epoch, is one of the pattern's times."""
    try:
        return next_time(pattern, at - 1, zone) == at
    except Uncomputable:
        return False


def _times(pattern: Pattern, day: date, after: int, zone: tzinfo) -> Iterator[int]:
    """The first time after a moment in each hour of a day that matches."""
    hours = len(pattern.hours)
    for hour in pattern.hours:
        for fold in (0, 1):
            start = datetime(day.year, day.month, day.day, hour, tzinfo=zone, fold=fold)
            skipped = _is_skipped(start)
            if fold and (hours < 24 or skipped or not _is_repeated(start)):
                continue
            if skipped and hours == 24:
                continue
            if skipped and _is_skipped(start.replace(hour=0)):
                raise Uncomputable("BullMQ's releases differ about a midnight that clocks skip")
            begins = int(start.astimezone(UTC).timestamp()) * 1000
            wanted = (after - begins) // 1000
            if (within := _within(pattern, wanted)) is not None:
                yield begins + within * 1000


def _within(pattern: Pattern, after: int) -> int | None:
    """The first second of an hour that matches, after a given one; None if there is none."""
    for minute in pattern.minutes:
        if minute * 60 + 59 > after:
            for second in pattern.seconds:
                if minute * 60 + second > after:
                    return minute * 60 + second
    return None


def _is_repeated(local: datetime) -> bool:
    """Whether the clocks show this time twice; it is not skipped."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def _is_skipped(local: datetime) -> bool:
    """Whether the clocks never show this time."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != local.replace(
        tzinfo=None, fold=0
    )
