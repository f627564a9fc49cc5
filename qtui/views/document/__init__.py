"""A job's details as one long document of styled lines.

Knows neither Redis nor widgets. A line is made plain, cut and styled only when it is drawn, and
costs the same in a document of ten lines as of a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qtui.text import plain, size
from qtui.views.document.json_rows import Branch, JsonValue, parse_json
from qtui.views.document.prose import LONG, Lines, Prose, prose_of
from qtui.views.document.rows import (
    EVERYTHING,
    GUTTER,
    Fold,
    Folds,
    Piece,
    Style,
    TextNode,
    WrappedText,
    cells_of,
    clipped,
)
from qtui.views.document.sections import (
    Body,
    Json,
    Log,
    Pairs,
    Pending,
    Section,
    Stack,
    Text,
)

__all__ = [
    "EVERYTHING",
    "LONG",
    "Body",
    "Document",
    "Fold",
    "Json",
    "Layout",
    "Log",
    "Mark",
    "Pairs",
    "Pending",
    "Piece",
    "Section",
    "Stack",
    "Style",
    "Text",
]

_NARROWEST: Final = 16  # cells; a pane that is narrower shows less than all


class _Parsed(NamedTuple):
    notice: str
    prose: Prose | None
    value: JsonValue = None


def _parsed(body: Body) -> _Parsed:
    if isinstance(body, Pending):
        return _Parsed("", None)
    if not isinstance(body, Json) or not body.text:
        return _Parsed("", prose_of(body))
    good, value, notice = parse_json(body.text)
    return _Parsed(notice, None if good else prose_of(body), value)


class _Chapter(TextNode):
    """A section: its title, and when open what is wrong with it, its body, what is not loaded."""

    __slots__ = ("_document", "_rows", "_width", "section")

    def __init__(self, parent: TextNode, index: int, document: Document, width: int) -> None:
        super().__init__(parent, index, 0, head=1)
        self._document, self._width = document, width
        self.section = document.sections[index]
        self._rows: list[str | Pending | None] = []

    def fill(self) -> None:
        section, folds = self.section, self._document.folds(self.section)
        self._rows = []
        if folds.open:
            parsed = self._document.parsed(self.index)
            pending = section.body if isinstance(section.body, Pending) else None
            self._rows += [parsed.notice] if parsed.notice else []
            self._rows += [pending, section.more] if section.more else [pending]
        self.recount(len(self._rows))
        if None not in self._rows:
            return
        at = self._rows.index(None)
        node: Lines | Branch
        if parsed.prose is not None:
            node = Lines(self, at, parsed.prose, folds, self._width)
            self.put(at, node)
            node.fill()
        else:
            node = Branch(self, at, [parsed.value], (), folds, self._width)
            self.put(at, node)
            node.fill(folds.budget)

    def draw(self, at: int) -> list[Piece]:
        if at < 0:
            return self._title()
        row = self._rows[at]
        if isinstance(row, Pending):
            much = size(row.size) if row.size >= 0 else "more" if at else "this"
            spans = [Piece(Style.NOTE, f"{much} not loaded: enter loads all")]
        else:
            spans = [Piece(Style.ERROR, f"▲ {plain(row or '')}")]
        return clipped(spans, self._width - GUTTER)

    def pending(self, index: int) -> Pending | None:
        row = self._rows[index]
        return row if isinstance(row, Pending) else None

    def state(self, at: int) -> Fold:
        return Fold.PENDING if self.pending(at) else Fold.NONE

    def _title(self) -> list[Piece]:
        opened = self._document.folds(self.section).open
        room = max(1, self._width - GUTTER - 3)
        title = clipped([Piece(Style.TITLE, plain(self.section.title))], room)
        note = [Piece(Style.NOTE, f" {plain(self.section.note)} ")] if self.section.note else []
        left = room - sum(cells_of(span.text) for span in (*title, *note))
        if left < 0:
            note, left = [], room - sum(cells_of(span.text) for span in title)
        sign = Piece(Style.RULE, "─ ") if opened else Piece(Style.NOTE, "▸ ")
        rule = Piece(Style.RULE, f" {'─' * (left + 2 - bool(note))}")
        return [sign, *title, rule, *note, *([Piece(Style.RULE, "─")] if note else [])]


class _Root(TextNode):
    """All sections."""

    __slots__ = ("_document",)

    def __init__(self, document: Document, width: int) -> None:
        super().__init__(None, 0, len(document.sections))
        self._document = document
        for index in range(self.count):
            chapter = _Chapter(self, index, document, width)
            self.put(index, chapter)
            chapter.fill()

    def state(self, at: int) -> Fold:
        folds = self._document.folds(self._document.sections[at])
        return Fold.OPEN if folds.open else Fold.FOLDED

    def flip(self, at: int) -> int:
        folds = self._document.folds(self._document.sections[at])
        folds.open = not folds.open
        self.chapter(at).fill()
        return at

    def chapter(self, index: int) -> _Chapter:
        chapter = self.inner[index]
        assert isinstance(chapter, _Chapter)
        return chapter


class Document:
    """Sections, and what the user folded in them.

    Args:
        sections: From top to bottom.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        self.sections = tuple(sections)
        self._folds: dict[str, Folds] = {}
        self._known: dict[int, _Parsed] = {}
        self._layout: Layout | None = None

    def resume(self, previous: Document) -> None:
        """Take over folds and parsed bodies from an earlier document about the same thing."""
        self._folds, self._layout = previous._folds, None
        before = {section.title: index for index, section in enumerate(previous.sections)}
        for index, section in enumerate(self.sections):
            old = before.get(section.title)
            if old in previous._known and previous.sections[old].body == section.body:
                self._known[index] = previous._known[old]

    def prepare(self) -> None:
        """Parse all open sections; `layout` does so too, but this may run in a thread before."""
        for index, section in enumerate(self.sections):
            if self.folds(section).open:
                self.parsed(index)

    def layout(self, width: int) -> Layout:
        """The lines at a width in cells; the last layout is kept."""
        if self._layout is None or self._layout.width != width:
            self._layout = Layout(self, width)
        return self._layout

    def folds(self, section: Section) -> Folds:
        """What is folded in a section: for this module."""
        return self._folds.setdefault(section.title, Folds(open=not section.folded))

    def parsed(self, index: int) -> _Parsed:
        """A section's body, parsed once: for this module."""
        if index not in self._known:
            self._known[index] = _parsed(self.sections[index].body)
        return self._known[index]


class Mark(NamedTuple):
    """A place in a document: see `Layout.mark`."""

    title: str
    steps: tuple[int, ...]


class Layout:
    """The lines of a document at one width, 0 to `height` - 1, made by `Document.layout`."""

    def __init__(self, document: Document, width: int) -> None:
        self.width = width
        self._document = document
        self._root = _Root(document, max(_NARROWEST, width))

    @property
    def height(self) -> int:
        """How many lines there are now."""
        return self._root.height

    def line(self, y: int) -> list[Piece]:
        """A line; its first span is the margin of two cells, all of it at most `width` cells.

        Raises:
            IndexError: There is no such line.
        """
        node, at = self._locate(y)
        if isinstance(node, _Chapter) and at < 0:
            return node.draw(at)
        holder, index = _holder(node, at)
        sign = node.first(at) and holder.state(index) in (Fold.FOLDED, Fold.PENDING)
        return [Piece(Style.NOTE, "▸ " if sign else "  "), *node.draw(at)]

    def fold_at(self, y: int) -> Fold:
        """What `toggle` would act on at a line."""
        holder, index = _holder(*self._locate(y))
        return holder.state(index)

    def toggle(self, y: int) -> int:
        """Fold or open what is at a line; returns the line where it is now."""
        holder, index = _holder(*self._locate(y))
        return self._y(holder, holder.flip(index))

    def section_at(self, y: int) -> int:
        """The index of the section to which a line belongs."""
        return self._root.child_at(y)[0]

    def pending_at(self, y: int) -> Pending | None:
        """What Enter would load at a line: a text not read yet, or the rest of a section."""
        node, at = self._locate(y)
        if not isinstance(node, _Chapter):
            return None
        if at < 0:
            body = node.section.body
            return body if isinstance(body, Pending) else None
        return node.pending(at)

    def top_of(self, section: int) -> int:
        """The line of a section's title."""
        return self._root.row_of(section)

    def fold_all(self, section: int) -> None:
        """Fold all of a section's JSON and its long lines; the section itself opens."""
        self._reset(section, 0)

    def unfold_all(self, section: int) -> None:
        """Open all of a section, shallowest first, up to `EVERYTHING` rows of JSON."""
        self._reset(section, EVERYTHING)

    def mark(self, y: int) -> Mark:
        """A bookmark of a line that survives another width and a newer document."""
        node, at = self._locate(y)
        steps = node.steps(at)
        while node.parent is not None:
            steps = (node.index, *steps)
            node = node.parent
        return Mark(self._document.sections[steps[0]].title, steps[1:])

    def find(self, mark: Mark) -> int | None:
        """The line of a mark, or of what is left of it; None if its section is gone."""
        titles = [section.title for section in self._document.sections]
        if mark.title not in titles:
            return None
        node: TextNode = self._root.chapter(titles.index(mark.title))
        for done, step in enumerate(mark.steps):
            if step not in node.inner:
                return self._y(node, node.seek(mark.steps[done:]))
            node = node.inner[step]
        return self._y(node, -1)

    def _reset(self, section: int, budget: int) -> None:
        folds = self._document.folds(self._document.sections[section])
        folds.open, folds.budget = True, budget
        folds.paths.clear()
        self._root.chapter(section).fill()

    def _locate(self, y: int) -> tuple[TextNode, int]:
        """The node that draws a line, and which of its rows it is: see `TextNode.draw`."""
        if not 0 <= y < self.height:
            raise IndexError(f"line {y} of {self.height}")
        node: TextNode = self._root
        while True:
            row = y - node.head
            if row < 0:
                return node, -1
            if y >= node.height - node.tail:
                return node, node.count
            index, inner, y = node.child_at(row)
            if inner is None:
                return node, index
            node = inner

    def _y(self, node: TextNode, at: int) -> int:
        if at < 0:
            y = 0
        elif at >= node.count:
            y = node.height - 1
        else:
            y = node.row_of(at)
        while node.parent is not None:
            y += node.parent.row_of(node.index)
            node = node.parent
        return y


def _holder(node: TextNode, at: int) -> tuple[TextNode, int]:
    """The node that can fold what a row shows, and which of its children that is."""
    if node.parent is not None and (isinstance(node, WrappedText) or not 0 <= at < node.count):
        return node.parent, node.index
    return node, at
