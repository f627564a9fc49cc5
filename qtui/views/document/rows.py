"""Rows of a document: spans, their width in cells, and a tree that finds a row by its height."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from typing_extensions import override

from qtui.text import size

EVERYTHING: Final = 50_000
"""Rows that `Layout.unfold_all` opens at most; what is deeper opens by hand."""
FIRST_LOOK: Final = 40
GUTTER: Final = 2


class Style(StrEnum):
    """What a piece of a line is; the widget decides how it looks."""

    TEXT = "text"
    TITLE = "title"
    RULE = "rule"
    LABEL = "label"
    KEY = "key"
    STRING = "string"
    NUMBER = "number"
    LITERAL = "literal"
    PUNCTUATION = "punctuation"
    ERROR = "error"
    NOTE = "note"
    FRAME = "frame"
    LIBRARY = "library"


class Fold(StrEnum):
    """What a line offers: nothing to fold, something folded or open, or something to load."""

    NONE = "none"
    FOLDED = "folded"
    OPEN = "open"
    PENDING = "pending"


class Piece(NamedTuple):
    """A piece of a line; its text is plain."""

    style: Style
    text: str


# Pictures, and signs that have been wide since Unicode 16, which Python may not know.
_WIDER: Final = re.compile(
    "[\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d376\U0001f000-\U0001faff]"
)


class _Cells(dict[str, int]):
    """Width of a printable character in cells, never less than the terminal gives it."""

    def __missing__(self, char: str) -> int:
        if unicodedata.east_asian_width(char) in "WF" or _WIDER.match(char):
            cells = 2
        elif char == "\ufe0f":  # makes the sign before it an emoji of two cells
            cells = 1
        else:
            cells = 0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1
        self[char] = cells
        return cells


_CELLS: Final = _Cells()
ODD: Final = re.compile(r"[^ -\u02ff\u0370-\u0482\u2010-\u2027\u2400-\u2421\u2500-\u25fc]")


def cells_of(text: str) -> int:
    """Width of a plain text in terminal cells."""
    return len(text) if not ODD.search(text) else sum(map(_CELLS.__getitem__, text))


def row_ends(text: str, room: int, words: bool, breaks: Sequence[int]) -> list[int]:
    """Where each row of a text ends, no row wider than `room` cells; none starts after a break."""
    narrow = text.isascii() or not ODD.search(text)
    ends: list[int] = []
    start = 0
    for stop in (*breaks, len(text)):
        while start < stop:
            if narrow:
                end = min(stop, start + room)
            else:
                part = text[start : min(stop, start + 2 * room)]
                cells = list(accumulate(map(_CELLS.__getitem__, part)))
                end = start + max(1, bisect_right(cells, room))
            if words and end < stop:
                end = text.rfind(" ", (start + end) // 2, end) + 1 or end
            ends.append(end)
            start = end
    return ends or [0]


def _between(spans: Sequence[Piece], start: int, end: int) -> list[Piece]:
    taken: list[Piece] = []
    at = 0
    for style, text in spans:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            taken.append(Piece(style, piece))
        at += len(text)
    return taken


class Wrapped(NamedTuple):
    """Spans, and where in their text each row ends."""

    spans: list[Piece]
    ends: list[int]

    def row(self, number: int) -> list[Piece]:
        """The spans of one row."""
        return _between(self.spans, self.ends[number - 1] if number else 0, self.ends[number])

    def cut(self, rows: int, room: int, more: str) -> Wrapped:
        """The first rows only, and at the end of them how much there is."""
        last = min(rows, len(self.ends)) - 1
        start = self.ends[last - 1] if last else 0
        tail = clipped(self.row(last), room, more)
        ends = [*self.ends[:last], start + sum(len(span.text) for span in tail)]
        return Wrapped([*_between(self.spans, 0, start), *tail], ends)


def clipped(spans: list[Piece], room: int, more: str = "") -> list[Piece]:
    """The spans, or as much as fits with ``…``; `more` says that there is more, and how much."""
    text = "".join(span.text for span in spans)
    if not more and cells_of(text[: 4 * room]) <= room and len(text) <= 4 * room:
        return spans
    tail = f"… {more}".rstrip()
    end = row_ends(text[: 4 * room], max(1, room - cells_of(tail)), False, ())[0]
    return [*_between(spans, 0, end), Piece(Style.NOTE, tail)]


def octets(text: str | bytes) -> str:
    """The size of a text in Redis, in words: ``1.2 kB``."""
    if isinstance(text, str) and not text.isascii():
        text = text.encode("utf-8", "surrogatepass")
    return size(len(text))


Path: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Folds:
    """What the user folded and opened in one section; `budget` limits what opens by itself."""

    open: bool
    budget: int = FIRST_LOOK
    paths: dict[Path, bool] = field(default_factory=dict)


class TextNode:
    """Rows: `head` lines, one row for each of `count` children, `tail` lines.

    A child of another height has a node of its own in `inner`: finding the row at a height costs
    the depth of the tree, however many children there are.
    """

    __slots__ = ("_keys", "_starts", "count", "head", "height", "index", "inner", "parent", "tail")

    def __init__(
        self, parent: TextNode | None, index: int, count: int, head: int = 0, tail: int = 0
    ) -> None:
        self.parent, self.index, self.count, self.head, self.tail = parent, index, count, head, tail
        self.height = head + count + tail
        self.inner: dict[int, TextNode] = {}
        self._keys: list[int] = []
        self._starts: list[int] | None = []

    def draw(self, at: int) -> list[Piece]:
        """The row of child `at`, of the head (-1) or of the tail (`count`)."""
        raise NotImplementedError

    def state(self, at: int) -> Fold:
        """What the child at a row is, for folding."""
        return Fold.NONE

    def flip(self, at: int) -> int:
        """Fold or open the child at a row; returns the row where it is then."""
        return at

    def first(self, at: int) -> bool:
        """Whether a row is the first of what it shows."""
        return True

    def steps(self, at: int) -> tuple[int, ...]:
        """A bookmark of a row that survives a change of width."""
        return (at,)

    def seek(self, steps: tuple[int, ...]) -> int:
        """The row that a bookmark of `steps` points at."""
        return steps[0]

    def put(self, index: int, child: TextNode | None) -> None:
        """Sets the open child at an index, or with None closes it."""
        old = self.inner.pop(index, None)
        if child is not None:
            self.inner[index] = child
        self._grow((child.height if child else 1) - (old.height if old else 1))

    def recount(self, count: int) -> None:
        """Start over with this many children of one row each."""
        self.inner.clear()
        self.count = count
        self._grow(self.head + count + self.tail - self.height)

    def _grow(self, rows: int) -> None:
        node: TextNode | None = self
        while node is not None:
            node.height += rows
            node._starts = None
            node = node.parent

    def _first_rows(self) -> list[int]:
        if self._starts is None:
            self._keys, self._starts, extra = sorted(self.inner), [], 0
            for key in self._keys:
                self._starts.append(key + extra)
                extra += self.inner[key].height - 1
        return self._starts

    def child_at(self, row: int) -> tuple[int, TextNode | None, int]:
        """The child at a row below the head: its index, its node, and the row within that."""
        place = bisect_right(self._first_rows(), row) - 1
        if place < 0:
            return row, None, 0
        key = self._keys[place]
        node, within = self.inner[key], row - self._first_rows()[place]
        if within < node.height:
            return key, node, within
        return key + 1 + within - node.height, None, 0

    def row_of(self, index: int) -> int:
        """The row at which a child begins."""
        starts = self._first_rows()
        place = bisect_left(self._keys, index) - 1
        if place < 0:
            return self.head + index
        key = self._keys[place]
        return self.head + starts[place] + self.inner[key].height + index - key - 1


class WrappedText(TextNode):
    """One child that takes several rows."""

    __slots__ = ("_lead", "_wrapped")

    def __init__(self, parent: TextNode, index: int, wrapped: Wrapped, lead: str) -> None:
        super().__init__(parent, index, len(wrapped.ends))
        self._wrapped, self._lead = wrapped, lead

    @override
    def draw(self, at: int) -> list[Piece]:
        lead = f"{self._lead}  " if at else self._lead
        return [Piece(Style.TEXT, lead), *self._wrapped.row(at)]

    @override
    def first(self, at: int) -> bool:
        return at == 0
