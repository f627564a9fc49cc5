"""Makes text from Redis safe to show; all of it passes through here. Pure, imports nothing of qtui.

Job data may be hostile. Redis replies are decoded as UTF-8 with ``surrogateescape``, so that an id
that is not UTF-8 survives being sent back; `plain` makes any such text safe to show.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Joiners shape Persian, Indic and emoji text and have no power over a terminal.
_JOINERS: Final = "\u200c\u200d"
_KEPT: Final = frozenset(_JOINERS)
_AGES: Final = 1000 * 365 * 86_400_000
"""Milliseconds: a thousand years, more than any working clock can be off."""
_NO_BREAK_SPACES: Final = frozenset("\u00a0\u202f\u2007")


def _visible(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if char in _KEPT:
        return char
    if char in _NO_BREAK_SPACES or unicodedata.category(char) == "Zs":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"


_MAYBE_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


def _replace(match: re.Match[str]) -> str:
    return match.group() if match.group().isprintable() else _visible(match)


def plain(text: str) -> str:
    r"""One line that a terminal can only print.

    C0 controls become their pictures (``␛``), DEL ``␡``; C1 and bidi controls, lone surrogates,
    undecodable bytes and everything else without a glyph become ``\x9b``, ``\u202e``. Line feeds
    and tabs are controls too: split lines before, or use `lines`.
    """
    if text.isprintable():
        return text
    return _MAYBE_UNPRINTABLE.sub(_replace, text)


def lines(text: str) -> list[str]:
    """The lines of a longer text, each of them plain; tabs become four blanks."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return [plain(line) for line in text.split("\n")]


def first_line(text: str, limit: int = 400) -> str:
    """The first line that says something, plain and at most ``limit`` characters."""
    head = text[: limit * 4].lstrip("\r\n\t ")
    end = head.find("\n")
    if end >= 0:
        head = head[:end]
    return plain(head.replace("\t", " ").rstrip()[:limit])


def count(number: int) -> str:
    """``9120`` as ``9,120``."""
    return f"{number:,}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """``1 job``, ``9,120 jobs``."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"


def size(octets: int) -> str:
    """A size in bytes as ``812 B``, ``1.4 kB``, ``3.0 MB``; powers of 1000."""
    if octets < 1000:
        return f"{octets} B"
    value = float(octets)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95 or unit == "GB":
            return f"{value:.1f} {unit}"
    raise AssertionError("unreachable")


def age(milliseconds: float) -> str:
    """How long ago, in at most three digits and a unit: ``12s``, ``4m``, ``3h``, ``9d``, ``2y``.

    Times ahead of the clock (skew, delayed jobs) read ``in 5m``; impossible ones read ``?``.
    """
    if not abs(milliseconds) < _AGES:
        return "?"
    prefix = ""
    if milliseconds < -999:
        prefix, milliseconds = "in ", -milliseconds
    seconds = max(0, int(milliseconds // 1000))
    for limit, unit, letter in ((60, 1, "s"), (3600, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{prefix}{seconds // unit}{letter}"
    days = seconds // 86_400
    return f"{prefix}{days}d" if days < 1000 else f"{prefix}{days // 365}y"


def span(milliseconds: float) -> str:
    """A duration: ``7 ms``, ``1.4 s``, ``3 m 20 s``, ``2 h 5 m``, ``30 d 4 h``."""
    if not abs(milliseconds) < _AGES:
        return "?"
    if milliseconds < 1000:
        return f"{max(0, int(milliseconds))} ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} m"
    days, hours = divmod(hours, 24)
    return f"{count(days)} d {hours} h"


def rough(milliseconds: float) -> str:
    """A duration for a line that is read at a glance: ``40 s``, ``3 min``, ``5 h``, ``9 d``."""
    if not abs(milliseconds) < _AGES:
        return "?"
    seconds = max(0, round(milliseconds / 1000))
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{round(seconds / unit)} {name}"
    return f"{count(round(seconds / 86_400))} d"


_PIECE: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_IN_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds_of(text: str) -> int | None:
    """The milliseconds of a duration: ``300ms``, ``90s``, ``1h30m``, ``0``; None for other text."""
    text = text.replace(" ", "")
    pieces = _PIECE.findall(text)
    if text == "0":
        return 0
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        return None
    return round(sum(float(number) * _IN_MS[unit] for number, unit in pieces))


def short(number: int) -> str:
    """A count in at most five characters: ``9,120``, ``41k``, ``1.2M``."""
    if number < 10_000:
        return count(number)
    if number < 1_000_000:
        return f"{number // 1000}k"
    return f"{number / 1_000_000:.1f}M" if number < 100_000_000 else f"{number // 1_000_000}M"
