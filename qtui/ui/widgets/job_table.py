"""The table of jobs: a million rows cost what fifty do.

It draws rows that are loaded and asks for those that are not; it never waits. Its cursor is a job
id: its place follows the job when the list changes.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.bullmq.model import JobState, Row
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, strip
from qtui.views.columns import HEADS, Cells, cells, share, stalled_words, when
from qtui.views.lists.listing import Listing
from qtui.views.lists.marks import Marks
from qtui.views.tone import Tone

if TYPE_CHECKING:
    from qtui.views.lists.verdict import Verdict

_MINUTE: Final = 60_000
_HOUR: Final = 3_600_000
_WIDEST_AGE: Final = 9
_MOST: Final = 40
"""Cells of an id or a name, at most; a UUID has 36."""

_RESULTS: Final = 28
"""Cells that a list has ready for the results of a retry, so that they move no column."""

_NARROW: Final = 50
"""Cells of a line in which there is no room for the attempts."""

_ROOMY: Final = 70
_ATTEMPTS: Final = "attempts"
"""Cells of a line in which there is room for this heading above its numbers."""

_SIGNS: Final = 3
"""Cells of the cursor's bar and the mark."""


@dataclass(slots=True)
class _Widths:
    """What the columns need in cells for the rows seen so far, and so never less than before."""

    id: int = 4
    name: int = 4
    attempts: int = 5
    when: int = 4
    what: int = 8

    def grow(self, row: Row, state: JobState, now: float) -> None:
        """Makes room for a row."""
        one = cells(row, state, now)
        self.id = max(self.id, min(_MOST, cell_len(one.id)))
        self.name = max(self.name, min(_MOST, cell_len(one.name)))
        least = _RESULTS if state.is_finished else cell_len(HEADS[state].what)
        self.what = max(self.what, least, cell_len(one.what))
        self.attempts = max(self.attempts, min(9, len(one.attempts)))
        self.when = max(self.when, min(_WIDEST_AGE, len(one.when)), len(HEADS[state].when))


class JobTable(CursorList):
    """A list of jobs of any length."""

    PREFIX = "job-table"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "job-table--head",
        "job-table--cursor",
        "job-table--cursor-blurred",
        "job-table--mark",
        "job-table--faint",
        "job-table--old",
        "job-table--fresh",
        "job-table--bad",
        "job-table--good",
        "job-table--busy",
    }

    DEFAULT_CSS = """
    JobTable {
        height: 1fr;
        & > .job-table--head { color: $text-muted; }
        & > .job-table--cursor { background: $accent-muted; text-style: bold; }
        & > .job-table--cursor-blurred { background: $surface; }
        & > .job-table--mark { color: $text-accent; text-style: bold; }
        & > .job-table--faint { color: $text-muted; }
        & > .job-table--old { color: $text-disabled; }
        & > .job-table--fresh { text-style: bold; }
        & > .job-table--bad { color: $text-error; }
        & > .job-table--good { color: $text-success; }
        & > .job-table--busy { color: $text-warning; }
    }
    """

    @dataclass
    class CursorMoved(Message):
        """Another job is under the cursor; None where there is none."""

        row: Row | None
        followed: bool = False
        """Whether it came by itself, as the newest one of a list that is followed."""

    @dataclass
    class Wanted(Message):
        """Some visible rows are not loaded."""

        first: int
        last: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._list: Listing | None = None
        self._marks = Marks()
        self._verdicts: Mapping[str, Verdict] = {}
        self._stalled: Set[str] = frozenset()
        self._widths = _Widths()
        self._cursor_id: str | None = None
        self._words = ""
        self._followed = False
        self._pinned = -1
        """The number of moves after which the cursor was pinned to its job."""

    # What it shows

    def show(
        self,
        jobs: Listing | None,
        marks: Marks,
        verdicts: Mapping[str, Verdict],
        stalled: Set[str] = frozenset(),
    ) -> None:
        """Shows another list, from its first row on.

        Args:
            jobs: the list.
            marks: its marks.
            verdicts: results of actions, by job id.
            stalled: the active jobs whose lock has expired.
        """
        self._list, self._marks, self._verdicts, self._stalled = jobs, marks, verdicts, stalled
        self._widths = _Widths()
        self._cursor_id = None
        self._pinned = -1
        self.set_reactive(CursorList.cursor, 0)
        self.scroll_to(0, 0, animate=False, immediate=True)
        self.rows_changed()

    def say(self, words: str) -> None:
        """What an empty table says; plain text."""
        self._words = words
        self.refresh()

    @property
    def length(self) -> int:
        """Rows in the list."""
        return self._list.total if self._list is not None else 0

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor, if it is loaded."""
        return self._list.row(self.cursor) if self._list is not None else None

    @property
    def cursor_id(self) -> str | None:
        """The id of the job that keys act on."""
        return self._cursor_id

    @property
    def follows(self) -> bool:
        """Whether the cursor is to stay on the first row, whichever job that is by then."""
        return self.cursor == 0 and self.scroll_offset.y == 0 and self._pinned != self.moves

    def pin(self) -> None:
        """From now on the cursor stays with its job, until it is moved."""
        self._pinned = self.moves

    def rows_changed(
        self, place: int | None = None, shift: int = 0, *, followed: bool = False
    ) -> None:
        """The list has other rows now.

        Args:
            place: the place of the cursor's job now, if that is known.
            shift: by how many rows it has moved. The view moves with it, so that the job stays
                where it is on the screen, but for a view from the top: there one sees new jobs
                come in until the cursor would leave the screen.
            followed: the newest job is under the cursor, whichever that is.
        """
        if place is not None:
            self.set_reactive(CursorList.cursor, place)
        self.measure()
        if shift and self.scroll_offset.y > 0:
            self.scroll_to(y=self.scroll_offset.y + shift, animate=False, immediate=True)
        self.reveal()
        self._followed = followed
        self.settle()
        self._followed = False
        self.refresh()

    def settle(self) -> None:
        """Tells who is under the cursor, fits the columns, and asks for rows that are missing."""
        if self._list is None:
            return
        self._grow(self._list)
        row = self.cursor_row
        if row is not None or self._list.total == 0:
            found = row.id if row is not None else None
            if found != self._cursor_id:
                self._cursor_id = found
                self.post_message(self.CursorMoved(row, self._followed))
        first, last = self.visible_range
        if self._list.missing(first, last):
            self.post_message(self.Wanted(first, last))

    def watch_cursor(self) -> None:
        """Forgets the job that was under the cursor, before anything acts on it."""
        if self.cursor_row is None:
            self._cursor_id = None
        super().watch_cursor()

    def _grow(self, jobs: Listing) -> None:
        first, last = self.visible_range
        now = time.time() * 1000
        for place in range(first, last + 1):
            row = jobs.row(place)
            if row is not None:
                self._widths.grow(row, jobs.state, now)

    # Ages

    def ages(self, place: int, now: float) -> str:
        """The text in the column of ages."""
        row = self._list.row(place) if self._list is not None else None
        return "" if row is None or self._list is None else when(row, self._list.state, now)

    def grow_older(self) -> None:
        """Draws the ages anew that have changed, and makes room for one that has grown."""
        super().grow_older()
        needed = max(map(len, self._ages.values()), default=0)
        if needed > self._widths.when:
            self._widths.when = min(_WIDEST_AGE, needed)
            self.refresh()

    # Drawing

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        if self._list is None:
            return Strip.blank(width, self.rich_style)
        heads, widths, columns = HEADS[self._list.state], self._widths, self._columns(width)
        words = [fit("id", columns.id), fit("name", columns.name)]
        if columns.attempts:  # where the heading would cost the error room, the numbers do
            heading = _ATTEMPTS if columns.attempts >= len(_ATTEMPTS) else ""
            words += [fit(heading, columns.attempts, right=True)]
        words += [fit(heads.when, widths.when, right=True), fit(heads.what, columns.what)]
        line = " " * _SIGNS + (" " * GAP).join(words)
        return strip([Segment(line, self.part("head"))], width, self.rich_style)

    def _columns(self, width: int) -> _Widths:
        """The columns as they share a line: the attempts give way where it is very narrow."""
        needed = self._widths
        attempts = needed.attempts if width >= _NARROW else 0
        if width >= _ROOMY:
            attempts = max(attempts, len(_ATTEMPTS))
        room = width - _SIGNS - needed.when - attempts - GAP * (4 if attempts else 3)
        ids, names = share(room, needed.id, needed.name, needed.what)
        return _Widths(ids, names, attempts, needed.when, max(0, room - ids - names))

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        lines = textwrap.wrap(self._words, max(20, width - 6)) if self.length == 0 else []
        if 1 <= place <= len(lines):
            words = Segment(f"   {lines[place - 1]}", self.part("faint"))
            return strip([words], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One job."""
        row = self._list.row(place) if self._list is not None else None
        if self._list is None or row is None:
            return strip([Segment("   …", self.part("faint"))], width, base)
        columns = self._columns(width)
        return strip(self._segments(self._list, row, place == self.cursor, columns), width, base)

    def _segments(self, jobs: Listing, row: Row, cursor: bool, widths: _Widths) -> list[Segment]:
        one = cells(row, jobs.state, time.time() * 1000)
        left = jobs.has_left(row.id)
        quiet = self.part("old") if left else Style()
        gap = Segment(" " * GAP)
        segments = [
            Segment("▌" if cursor else " ", self.part("mark")),
            Segment("● " if self._marks.cover(row) else "  ", self.part("mark")),
            Segment(fit(one.id, widths.id), quiet),
            gap,
            Segment(fit(one.name, widths.name), quiet),
            gap,
        ]
        if widths.attempts:
            attempts = fit(one.attempts, widths.attempts, right=True)
            segments += [Segment(attempts, quiet or self._attempts(row, jobs)), gap]
        stalled = row.id in self._stalled and not left
        aged = self.part("bad") if stalled else quiet or self._aged(one)
        segments += [Segment(fit(one.when, widths.when, right=True), aged), gap]
        verdict = self._verdicts.get(row.id)
        if verdict is not None:
            what, look = verdict.text, self._tone(verdict.tone)
        elif left:
            what, look = f"not in {jobs.state} any more", quiet
        elif stalled:
            what, look = stalled_words(row), self.part("bad")
        else:
            what, look = one.what, self._tone(one.tone)
        return [*segments, Segment(fit(what, widths.what), look)]

    def _attempts(self, row: Row, jobs: Listing) -> Style:
        used_up = jobs.state is JobState.FAILED and row.exhausted
        return self.part("bad" if used_up else "faint")

    def _aged(self, one: Cells) -> Style:
        """Red where it is late, bold where it is new, faint where it is yet to come or old."""
        age = one.milliseconds
        if one.late:
            return self.part("bad")
        if age is None or age > _HOUR:
            return self.part("old")
        return self.part("fresh" if 0 <= age < _MINUTE else "faint")

    def _tone(self, tone: Tone) -> Style:
        return Style() if tone is Tone.PLAIN else self.part(tone.value)
