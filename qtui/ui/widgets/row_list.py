"""A list of rows in columns, of which one row is under the cursor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.ui.widgets.cursor_list import CursorList, fit, fit_ends, strip
from qtui.views.queues.rows import GAP, Column, Row, widths
from qtui.views.tone import Tone

R = TypeVar("R", bound=Row)


class RowList(CursorList, Generic[R]):
    """Rows of any kind; the cursor stays with its row by the row's key.

    Args:
        columns: what a row has.
        id: of the widget.
    """

    PREFIX = "row-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-list--head",
        "row-list--cursor",
        "row-list--cursor-blurred",
        "row-list--mark",
        "row-list--faint",
        "row-list--bad",
        "row-list--good",
        "row-list--busy",
    }

    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        & > .row-list--head { color: $text-muted; }
        & > .row-list--cursor { background: $accent-muted; text-style: bold; }
        & > .row-list--cursor-blurred { background: $surface; }
        & > .row-list--mark { color: $text-accent; text-style: bold; }
        & > .row-list--faint { color: $text-muted; }
        & > .row-list--bad { color: $text-error; }
        & > .row-list--good { color: $text-success; }
        & > .row-list--busy { color: $text-warning; }
    }
    """

    @dataclass
    class Selected(Message):
        """The cursor is on another row; None where there is none."""

        key: str | None

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._rows: Sequence[R] = ()
        self._needs = [cell_len(one.name) for one in columns]
        """The widest text of each column since the list was opened, so that none jumps."""
        self._words = ""
        self._selected: str | None = None

    @property
    def row(self) -> R | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def show(
        self, rows: Sequence[R], words: str, *, from_top: bool = False, key: str | None = None
    ) -> None:
        """Shows rows; the cursor stays with its row.

        Args:
            rows: in order.
            words: what a list without any says; plain text.
            from_top: whether the cursor stays on the first row instead, whichever that is.
            key: the row that gets the cursor, in place of the one that had it.
        """
        self._rows, self._words = rows, words
        self._measure_rows(rows)
        wanted = self._selected if key is None else key
        places = {one.key: place for place, one in enumerate(rows)}
        if from_top or wanted in places:
            self.set_reactive(CursorList.cursor, 0 if from_top else places[wanted or ""])
        self.measure()
        self.reveal()
        self.settle()
        self.refresh()

    def grown(self, fresh: Sequence[R], words: str) -> None:
        """Shows that some rows were added behind the others, in the sequence that is shown.

        Costs what is new, however many rows there are.
        """
        self._words = words
        self._measure_rows(fresh)
        self.measure()
        self.settle()
        self.refresh()

    def _measure_rows(self, rows: Sequence[R]) -> None:
        now = time.time() * 1000
        for row in rows:
            for place, cell in enumerate(row.cells(now)):
                self._needs[place] = max(self._needs[place], cell_len(cell.text))

    def settle(self) -> None:
        """Posted when another row is under the cursor."""
        found = self.row.key if self.row is not None else None
        if found != self._selected:
            self._selected = found
            self.post_message(self.Selected(found))

    def ages(self, place: int, now: float) -> str:
        """The row as it reads now."""
        return " ".join(cell.text for cell in self._rows[place].cells(now))

    # Drawing

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        rooms = widths(self._columns, self._needs, width - 1)
        names = zip(self._columns, rooms, strict=True)
        cells = [fit(one.name, room, right=one.right) for one, room in names if room]
        text = " " + (" " * GAP).join(cells)
        return strip([Segment(text, self.part("head"))], width, self.rich_style)

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._rows:
            return strip([Segment(f"   {self._words}", self.part("faint"))], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One row."""
        segments = [Segment("▌" if place == self.cursor else " ", self.part("mark"))]
        rooms = widths(self._columns, self._needs, width - 1)
        cells = self._rows[place].cells(time.time() * 1000)
        shown = [one for one in zip(self._columns, cells, rooms, strict=True) if one[2]]
        for at, (column, cell, room) in enumerate(shown):
            last = at == len(shown) - 1
            cut = column.right or last
            text = fit(cell.text, room, right=column.right) if cut else fit_ends(cell.text, room)
            style = None if cell.tone is Tone.PLAIN else self.part(cell.tone.value)
            segments.append(Segment(text, style))
            if not last:
                segments.append(Segment(" " * GAP))
        return strip(segments, width, base)
