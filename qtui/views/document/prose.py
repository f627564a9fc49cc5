"""Bodies that are lines of text, wrapped when they are drawn."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from typing_extensions import override

from qtui.text import plain
from qtui.views.document.rows import (
    EVERYTHING,
    GUTTER,
    ODD,
    Fold,
    Folds,
    Piece,
    Style,
    TextNode,
    Wrapped,
    cells_of,
    clipped,
    octets,
    row_ends,
)
from qtui.views.document.sections import Json, Log, Pairs, Stack, Text

LONG: Final = 2_000
"""Characters above which a line of text shows only its first rows until it is unfolded."""
_CUT_ROWS: Final = 3
_WORD_WRAPPED: Final = 200_000  # characters of a section; more is wrapped anywhere
_REMEMBERED: Final = 500  # wrapped lines kept, of each section
_LABEL_CELLS: Final = 24

_FRAME: Final = re.compile(r'\s+at |\s+File "')
_LIBRARY: Final = re.compile(r"node_modules|node:|\(internal/|site-packages|/lib/python|<frozen ")


@dataclass(frozen=True, slots=True)
class Prose:
    """A body that is lines of text, not yet plain; `labels` are as many as the lines, or none."""

    lines: Sequence[str]
    labels: Sequence[str] = ()
    right: bool = False
    style: Style = Style.TEXT
    frames: int = -1  # the first line that is a stack frame; -1: this is no stack

    def style_of(self, index: int) -> Style:
        """The style of a line: the error, frames of the application, frames of libraries."""
        head = self.lines[index][:400]
        if self.frames < 0:
            return self.style
        if not _FRAME.match(head):
            return Style.ERROR if index < self.frames else Style.TEXT
        return Style.LIBRARY if _LIBRARY.search(head) else Style.FRAME


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


def _labelled(rows: Iterator[tuple[str, str]], right: bool) -> Prose:
    lines: list[str] = []
    labels: list[str] = []
    for label, value in rows:
        parts = _split(value) if "\n" in value else [value]
        lines += parts
        labels += (label, *[""] * (len(parts) - 1))
    return Prose(lines, labels, right)


def prose_of(body: Text | Stack | Json | Pairs | Log) -> Prose:
    """The lines of a body, with their labels where it has some."""
    match body:
        case Pairs(rows) if rows:
            return _labelled(iter(rows), right=False)
        case Log(entries, first) if entries:
            return _labelled(((str(n), e) for n, e in enumerate(entries, first)), right=True)
        case Pairs() | Log() | Text("") | Stack("") | Json(""):
            return Prose(("none",), style=Style.NOTE)
        case Text(text) | Json(text):
            return Prose(_split(text))
        case Stack(text):
            lines = _split(text)
            found = (i for i, line in enumerate(lines) if _FRAME.match(line))
            return Prose(lines, frames=next(found, len(lines)))


class Lines(TextNode):
    """Lines of text, wrapped at the width of the layout; very long ones cut until opened.

    Each line is one child here. Its rows are counted first, mostly without reading its characters;
    it is wrapped when it is drawn.
    """

    __slots__ = ("_drawn", "_folds", "_label", "_prose", "_room", "_tops", "_words")

    def __init__(
        self, parent: TextNode, index: int, prose: Prose, folds: Folds, width: int
    ) -> None:
        super().__init__(parent, index, 1)
        self._prose, self._folds = prose, folds
        widest = max((cells_of(plain(label[:_LABEL_CELLS])) for label in prose.labels), default=0)
        self._label = min(widest, _LABEL_CELLS, width // 3)
        self._room = width - GUTTER - (self._label + 2 if prose.labels else 0)
        self._words = sum(map(len, prose.lines)) <= _WORD_WRAPPED
        self._drawn: dict[int, Wrapped] = {}
        self._tops: list[int] = []

    def fill(self) -> None:
        """Counts the rows of every line, and opens the long ones if everything was asked for."""
        room, lines = self._room, self._prose.lines
        if self._folds.budget == EVERYTHING:
            for line, raw in enumerate(lines):
                if len(raw) > LONG:
                    self._folds.paths.setdefault((line,), True)
        rows = (
            1 if len(raw) <= room and raw.isascii() and raw.isprintable() else self._rows(line)
            for line, raw in enumerate(lines)
        )
        self._drawn.clear()
        self._tops = list(accumulate(rows, initial=0))
        self.recount(self._tops[-1])

    def _rows(self, line: int) -> int:
        raw = self._prose.lines[line]
        if self._words or len(raw) > LONG:
            return len(self._wrapped(line).ends)
        if raw.isascii():
            cells, room = len(raw) + 3 * raw.count("\t"), self._room
        else:
            text = plain(raw.replace("\t", "    "))
            cells, room = len(text), self._room // 2 if ODD.search(text) else self._room
        return max(1, -(-cells // room))

    def _wrapped(self, line: int) -> Wrapped:
        if (known := self._drawn.get(line)) is not None:
            return known
        raw, room = self._prose.lines[line], self._room
        cut = len(raw) > LONG and not self._folds.paths.get((line,))
        text = plain((raw[: 4 * room] if cut else raw).replace("\t", "    "))
        spans = [Piece(self._prose.style_of(line), text)]
        if self._words or len(raw) > LONG:
            wrapped = Wrapped(spans, row_ends(text, room, True, ()))
        else:
            step = room // 2 if ODD.search(text) else room
            wrapped = Wrapped(spans, [*range(step, len(text), step), len(text)])
        if cut:
            wrapped = wrapped.cut(_CUT_ROWS, room, octets(raw))
        if len(self._drawn) > _REMEMBERED:
            self._drawn.clear()
        self._drawn[line] = wrapped
        return wrapped

    @override
    def steps(self, at: int) -> tuple[int, ...]:
        line = bisect_right(self._tops, at) - 1
        return line, at - self._tops[line]

    @override
    def seek(self, steps: tuple[int, ...]) -> int:
        line = max(0, min(steps[0], len(self._tops) - 2))
        row = steps[1] if len(steps) > 1 else 0
        return self._tops[line] + max(0, min(row, self._tops[line + 1] - self._tops[line] - 1))

    @override
    def draw(self, at: int) -> list[Piece]:
        line, row = self.steps(at)
        text = self._wrapped(line).row(row)
        return [self._lead(line, row), *text] if self._prose.labels else text

    def _lead(self, line: int, row: int) -> Piece:
        label = plain(self._prose.labels[line][:_LABEL_CELLS]) if row == 0 else ""
        shown = "".join(s.text for s in clipped([Piece(Style.LABEL, label)], self._label))
        blanks = " " * (self._label - cells_of(shown))
        if self._prose.right:
            return Piece(Style.NOTE, f"{blanks}{shown}  ")
        return Piece(Style.LABEL, f"{shown}{blanks}  ")

    @override
    def first(self, at: int) -> bool:
        return self.steps(at)[1] == 0

    @override
    def state(self, at: int) -> Fold:
        line = self.steps(at)[0]
        if len(self._prose.lines[line]) <= LONG:
            return Fold.NONE
        return Fold.OPEN if self._folds.paths.get((line,)) else Fold.FOLDED

    @override
    def flip(self, at: int) -> int:
        line, state = self.steps(at)[0], self.state(at)
        if state is not Fold.NONE:
            self._folds.paths[(line,)] = state is Fold.FOLDED
            self._drawn.pop(line, None)
            change = len(self._wrapped(line).ends) - (self._tops[line + 1] - self._tops[line])
            self._tops[line + 1 :] = [top + change for top in self._tops[line + 1 :]]
            self.recount(self._tops[-1])
        return self._tops[line]
