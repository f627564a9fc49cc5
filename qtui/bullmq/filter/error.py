"""What is wrong with a filter, and where. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

from qtui.text import plain

_BEFORE: Final = 48
_AFTER: Final = 24
"""Characters of a long filter that are shown on either side of the mistake."""


class FilterError(ValueError):
    """A filter that cannot be understood, or one that had to be stopped.

    Attributes:
        message: what is wrong and what was expected, fit to be shown.
        position: the character of the filter's text that it is about, counted from 0; the length of
            the text where something is missing at its end.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position

    def pointed(self, text: str) -> str:
        """Two lines: the filter (of a long one the part around the mistake), and a caret below.

        Args:
            text: the filter that was parsed.
        """
        start = max(0, self.position - _BEFORE)
        end = self.position + _AFTER
        before = ("…" if start else "") + plain(text[start : self.position])
        after = plain(text[self.position : end]) + ("…" if end < len(text) else "")
        return f"{before}{after}\n{' ' * _width(before)}^"


def in_quotes(text: str) -> str:
    """A piece of the filter in quotes, for a message."""
    return f"“{plain(text if len(text) <= 24 else text[:23] + '…')}”"


def _width(text: str) -> int:
    """Columns of a terminal that ``text`` takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
