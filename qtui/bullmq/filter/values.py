"""Values of terms as written in a filter: bare, quoted, or a pattern. Pure; knows no terms."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from qtui.bullmq.filter.error import FilterError
from qtui.bullmq.filter.pattern import LONGEST_PATTERN

QUOTES: Final = "\"'"

_PLAIN: Final = re.compile(r"[\w.@/#$%&*+,;?^~{}\[\]\\-]+")
_BARE_PIECE: Final = re.compile(r"[^\s|()]+|[()]")
_PATTERN_PIECE: Final = re.compile(r"\\\S|\[\^?\]?(?:\\\S|[^\\\]\s])*\]|\S")


class Value(NamedTuple):
    """A value, and where it came from."""

    text: str
    """Without its quotes."""
    start: int
    """Its first character (or quote) in the filter."""
    end: int
    """The first character behind it (or its closing quote)."""
    quote: str = ""

    def place(self, offset: int) -> int:
        """The place in the filter of the character ``offset`` of the text."""
        if not self.quote:
            return self.start + offset
        return self.start + 1 + offset + self.text.count(self.quote, 0, offset)


def quoted(text: str) -> str:
    """A text as the value of a term: as it is if it can be, else in quotes.

    `f"error:{quoted(text)}"` is a filter for any text that is not empty.
    """
    if _PLAIN.fullmatch(text):
        return text
    quote = "'" if '"' in text and "'" not in text else '"'
    return quote + text.replace(quote, quote * 2) + quote


def read(filter_text: str, at: int) -> Value:
    """The value that begins at ``at``; empty if none does.

    A bare one goes to the next blank, ``|``, or bracket that it did not open; those that it opens
    it closes, so that any filter can be put in brackets. In quotes a quote is written twice, and
    nothing else is special.

    Raises:
        FilterError: quotes or brackets that are not closed, or nothing in quotes.
    """
    if filter_text[at : at + 1] in QUOTES and at < len(filter_text):
        return _in_quotes(filter_text, at)
    return _bare(filter_text, at, len(filter_text), _BARE_PIECE)


def read_pattern(filter_text: str, at: int) -> Value:
    """As `read`, but what is bare goes to the next blank: ``|`` and brackets belong to it.

    Raises:
        FilterError: as `read`, or it is too long.
    """
    if filter_text[at : at + 1] in QUOTES and at < len(filter_text):
        return _in_quotes(filter_text, at)
    # Bounded: a class that is never closed is looked for at each of its brackets.
    limit = at + LONGEST_PATTERN + 1
    return _bare(filter_text, at, min(limit, len(filter_text)), _PATTERN_PIECE)


def _bare(filter_text: str, at: int, limit: int, pieces: re.Pattern[str]) -> Value:
    end, brackets = at, list[int]()
    while piece := pieces.match(filter_text, end, limit):
        if piece[0] == "(":
            brackets.append(end)
        elif piece[0] == ")":
            if not brackets:
                break
            brackets.pop()
        end = piece.end()
    # A pattern that was cut off is refused for its length.
    if brackets and (end < limit or limit == len(filter_text)):
        message = "this ( is not closed before the next blank; quotes hold such a text together"
        raise FilterError(message, brackets[-1])
    return Value(filter_text[at:end], at, end)


def _in_quotes(filter_text: str, at: int) -> Value:
    quote = filter_text[at]
    end = filter_text.find(quote, at + 1)
    while end >= 0 and filter_text[end + 1 : end + 2] == quote:
        end = filter_text.find(quote, end + 2)
    if end < 0:
        raise FilterError(f"this {quote} is never closed", at)
    if end == at + 1:
        raise FilterError("expected a text between the quotes", end)
    return Value(filter_text[at + 1 : end].replace(quote * 2, quote), at, end + 1, quote)
