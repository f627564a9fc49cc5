"""A list of lines with a cursor, of any length: what the queue list and the job table share.

Only visible lines are drawn, and drawing never waits.
"""

from __future__ import annotations

import time
from typing import ClassVar, Final

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from qtui.ui.actions import Where
from qtui.ui.keys import bindings

_ENDS: Final = 9
"""Cells below which a text is cut at its end only."""

GAP: Final = 2
"""Blank cells between two columns."""

OLDER_EVERY: Final = 1.0
"""Seconds after which ages are looked at again: none changes faster."""


class CursorList(ScrollView, can_focus=True, inherit_bindings=False):
    """A scroll view with one head line, and a cursor that the keys of `Where.MOVE` move."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.MOVE))

    DEFAULT_CSS = """
    CursorList {
        background: $background;
        scrollbar-size-horizontal: 0;
        scrollbar-size-vertical: 1;
    }
    """

    cursor: reactive[int] = reactive(0, repaint=False)
    """The place of the cursor in the list."""

    moves: int = 0
    """How often a person has moved the cursor, or tried to."""

    class Opened(Message):
        """What is under the cursor was opened."""

        def __init__(self, control: CursorList) -> None:
            self._control = control
            super().__init__()

        @property
        def control(self) -> CursorList:
            """The list."""
            return self._control

    # What a list says of itself

    @property
    def length(self) -> int:
        """How many lines it has."""
        raise NotImplementedError

    def head(self, width: int) -> Strip:
        """The line above the list."""
        raise NotImplementedError

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One line of the list."""
        raise NotImplementedError

    def beyond(self, place: int, width: int) -> Strip:
        """A line behind the last one."""
        return Strip.blank(width, self.rich_style)

    has_foot: bool = False
    """Whether a line follows the list that stays visible when the list is scrolled."""

    def foot(self, width: int) -> Strip:
        """The line below the list, see `has_foot`."""
        raise NotImplementedError

    def ages(self, place: int, now: float) -> str:
        """What a line says of the time that has passed; ``now`` in ms since the epoch."""
        return ""

    def settle(self) -> None:
        """Is called when the cursor or the visible part has changed."""

    # Ages

    def on_mount(self) -> None:
        """Starts the timer that redraws ages; nothing is read for it."""
        self._ages: dict[int, str] = {}
        self.set_interval(OLDER_EVERY, self.grow_older)

    def grow_older(self) -> None:
        """Redraws the visible lines whose ages have changed; reads nothing."""
        now, (first, last) = time.time() * 1000, self.visible_range
        places = range(first, min(last + 1, self.length))
        before, self._ages = self._ages, {place: self.ages(place, now) for place in places}
        for place, words in self._ages.items():
            if words != before.get(place):
                self.refresh_line(place + 1)

    # The cursor

    @property
    def room(self) -> int:
        """How many lines of the list fit the screen."""
        return max(0, self.scrollable_content_region.height - 1 - self.has_foot)

    @property
    def visible_range(self) -> tuple[int, int]:
        """First and last place that can be seen."""
        first = self.scroll_offset.y
        return first, first + max(1, self.room) - 1

    def measure(self) -> None:
        """Fits the scroll bar and the cursor to the list's length."""
        self.virtual_size = Size(self.size.width, self.length + 1 + self.has_foot)
        self.set_reactive(CursorList.cursor, max(0, min(self.cursor, self.length - 1)))

    def reveal(self) -> None:
        """Scrolls as little as needed to make the cursor visible."""
        first, last = self.visible_range
        if self.cursor < first:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor > last and self.room > 0:
            self.scroll_to(y=self.cursor - self.room + 1, animate=False, immediate=True)

    def watch_cursor(self) -> None:
        """Keeps the cursor visible."""
        self.reveal()
        self.settle()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Lets the list know that other lines have come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self.settle()

    def _step(self, by: int) -> None:
        self.moves += 1
        self.cursor = max(0, min(self.cursor + by, self.length - 1))

    def action_cursor_down(self) -> None:
        """Moves to the next line."""
        self._step(1)

    def action_cursor_up(self) -> None:
        """Moves to the line before."""
        self._step(-1)

    def action_page_down(self) -> None:
        """Moves on by what fits the screen."""
        self._step(max(1, self.room - 1))

    def action_page_up(self) -> None:
        """Moves back by what fits the screen."""
        self._step(-max(1, self.room - 1))

    def action_cursor_home(self) -> None:
        """Moves to the first line."""
        self.moves += 1
        self.cursor = 0

    def action_cursor_end(self) -> None:
        """Moves to the last line."""
        self._step(self.length)

    def action_select(self) -> None:
        """Opens what is under the cursor."""
        if self.length:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        """A click selects, a double click opens."""
        place = self.scroll_offset.y + event.y - 1
        if 1 <= event.y <= self.room and place < self.length:
            self.moves += 1
            self.cursor = place
            if event.chain == 2:
                self.action_select()

    def on_resize(self) -> None:
        """Other lines may be visible."""
        self.measure()
        self.reveal()
        self.settle()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """One visible line: the head, a line of the list, or nothing."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self.head(width)
        place = self.scroll_offset.y + y - 1
        if self.has_foot and y == min(self.length - self.scroll_offset.y, self.room) + 1:
            return self.foot(width)
        if place >= self.length:
            return self.beyond(place, width)
        base = self.rich_style
        if place == self.cursor:
            name = "cursor" if self.has_focus else "cursor-blurred"
            base += self.get_visual_style(f"{self.PREFIX}--{name}").rich_style
        return self.line(place, width, base)

    def part(self, name: str) -> Style:
        """The style of one of the list's component classes, ``<prefix>--<name>``, as ink."""
        return ink(self.get_visual_style(f"{self.PREFIX}--{name}").rich_style)

    PREFIX: ClassVar[str] = "cursor-list"


def ink(style: Style) -> Style:
    """The style without its paper, for text on a line that may have another one."""
    return Style(
        color=style.color,
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        reverse=style.reverse,
    )


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly ``width`` cells, cut with an ellipsis where it is longer."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + "…"
    if right:
        return " " * (width - length) + text
    return set_cell_size(text, width)


def fit_ends(text: str, width: int) -> str:
    """`fit` that cuts the middle: names of queues differ at their ends as often as at the start."""
    if cell_len(text) <= width or width < _ENDS:
        return fit(text, width)
    tail = chop_cells(text[::-1], width // 3)[0][::-1]
    return fit(text, width - cell_len(tail)) + tail


def strip(segments: list[Segment], width: int, base: Style) -> Strip:
    """A line of exactly ``width`` cells over a base style."""
    return Strip(segments).apply_style(base).adjust_cell_length(width, base).crop(0, width)
