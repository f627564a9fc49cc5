"""What a colour means. Imports nothing, since it is used before the first screen is painted."""

from __future__ import annotations

from enum import StrEnum


class Tone(StrEnum):
    """What a cell's colour means; the text says it too."""

    PLAIN = "plain"
    BAD = "bad"
    GOOD = "good"
    BUSY = "busy"
    FAINT = "faint"
