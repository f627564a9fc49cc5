"""The timeline of finished jobs: a line of bars with a cursor. It draws and knows nothing of Redis.

What it needs is asked for with `Timeline.WindowChanged`; the owner answers with `Timeline.show`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from qtui.bullmq.reads.queues.timeline import FinishCounts, TimeWindow
from qtui.ui.actions import Where
from qtui.ui.keys import bindings
from qtui.ui.widgets.cursor_list import fit, ink, strip
from qtui.views.timeline import NO_JOBS, Reading, column, is_steep

TALL: Final = 3
"""Lines with which it has bars of two lines, and a scale."""

_LABEL: Final = 5
"""Cells left of the bars, for the window's name."""

_NOTES: Final = ((100, 35), (50, 23), (30, 15))
"""Smallest width of the widget, and cells right of the bars for words in it."""

_WIDEST: Final = 4
"""Cells of a bar at most."""


class Timeline(Widget, can_focus=True):
    """One line of bars; where it is three lines high, two of bars and one with a scale."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.TIMELINE))

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "timeline--label",
        "timeline--bar",
        "timeline--failed",
        "timeline--none",
        "timeline--note",
        "timeline--cursor",
    }
    """
    | Class | Description |
    | :- | :- |
    | `timeline--label` | The window's name. |
    | `timeline--bar` / `timeline--failed` | The bars, and those of failed jobs. |
    | `timeline--none` | A bar of no jobs. |
    | `timeline--note` | The scale, and words that are not about the cursor. |
    | `timeline--cursor` | The bars under the cursor, and the words about them. |
    """

    DEFAULT_CSS = """
    Timeline {
        height: 1;
        background: $background;
        color: $foreground;
        & > .timeline--label { color: $text-muted; }
        & > .timeline--bar { color: $foreground 75%; }
        & > .timeline--failed { color: $text-error; }
        & > .timeline--none { color: $foreground 35%; }
        & > .timeline--note { color: $text-muted; }
        & > .timeline--cursor { text-style: bold; }
    }
    """

    class Chosen(Message):
        """Enter or a double click: these bars are wanted."""

        def __init__(self, timeline: Timeline, first: int, last: int, text: str) -> None:
            """Say what was chosen.

            Args:
                timeline: The widget.
                first: The first of the bars.
                last: The last of them.
                text: The filter that means their jobs, see `FinishCounts.filter_text`.
            """
            super().__init__()
            self.timeline, self.first, self.last, self.text = timeline, first, last, text

        @property
        def control(self) -> Timeline:
            """The widget, for the `on` decorator."""
            return self.timeline

    class WindowChanged(Message):
        """Another window is wanted, or another number of bars fits: read, and `Timeline.show`."""

        def __init__(self, timeline: Timeline, window: TimeWindow) -> None:
            """Say what is wanted.

            Args:
                timeline: The widget; `Timeline.room` is the number of bars.
                window: The window.
            """
            super().__init__()
            self.timeline, self.window = timeline, window

        @property
        def control(self) -> Timeline:
            """The widget, for the `on` decorator."""
            return self.timeline

    def __init__(self, window: TimeWindow = TimeWindow.HOUR, *, id: str | None = None) -> None:
        """An empty line; see `show`."""
        super().__init__(id=id)
        self._window, self._room = window, 0
        self._timeline: FinishCounts | None = None
        self._reading: Reading | None = None
        self._word = ""
        # Where the bars begin that are the cursor's ends; None is the newest bar, whichever it is.
        self._anchor: int | None = None
        self._cursor: int | None = None

    @property
    def window(self) -> TimeWindow:
        """The window that is wanted."""
        return self._window

    @property
    def room(self) -> int:
        """How many bars fit; 0 while it is not on the screen."""
        width = self.size.width
        return max(0, width - _LABEL - _notes(width))

    @property
    def selection(self) -> tuple[int, int]:
        """First and last bar under the cursor."""
        if self._timeline is None:
            return 0, 0
        newest = self._timeline.start + self._timeline.width * (len(self._timeline.counts) - 1)
        ends = (newest if end is None else end for end in (self._anchor, self._cursor))
        first, last = sorted(map(self._timeline.bar_at, ends))
        return first, last

    def show(self, timeline: FinishCounts, word: str) -> None:
        """Draws other data; the cursor stays at its moment.

        Args:
            timeline: what was read. Where its window is not the one wanted, more is expected.
            word: what became of the jobs: ``failed`` or ``completed``.
        """
        if (timeline, word) == (self._timeline, self._word):
            return
        self._timeline, self._word, self._reading = timeline, word, Reading(timeline, word)
        if self.has_focus:
            self._pin()
        self.refresh()

    @property
    def read_at(self) -> int:
        """When what it shows was asked for, ms since the epoch."""
        return self._timeline.now if self._timeline is not None else 0

    @property
    def bar_width(self) -> int:
        """The time that a bar covers, ms; 0 where nothing is shown, or everything."""
        if self._timeline is None or self._timeline.window is TimeWindow.ALL:
            return 0
        return self._timeline.width

    def clear(self) -> None:
        """Forgets data and cursor: it is about to show something else."""
        self._timeline = self._reading = self._anchor = self._cursor = None
        self.refresh()

    # The cursor

    def _pin(self) -> None:
        """From now on the cursor stays at its moment."""
        if self._timeline is not None and self._cursor is None and self._timeline.counts:
            self._go(len(self._timeline.counts) - 1)

    def _go(self, bar: int, *, extend: bool = False) -> None:
        if self._timeline is None or not self._timeline.counts:
            return
        bar = max(0, min(bar, len(self._timeline.counts) - 1))
        self._cursor = self._timeline.bounds(bar)[0]
        if not extend or self._anchor is None:
            self._anchor = self._cursor
        self.refresh()

    def _step(self, by: int, *, extend: bool = False) -> None:
        self._pin()
        if self._timeline is not None and self._cursor is not None:
            self._go(self._timeline.bar_at(self._cursor) + by, extend=extend)

    def action_earlier(self) -> None:
        """Move the cursor a bar back."""
        self._step(-1)

    def action_later(self) -> None:
        """Move the cursor a bar on."""
        self._step(1)

    def action_extend(self, by: int) -> None:
        """Take bars to the cursor on one side, or away from it."""
        self._step(by, extend=True)

    def action_first(self) -> None:
        """Move the cursor to the oldest bar."""
        self._go(0)

    def action_last(self) -> None:
        """Move the cursor to the newest bar."""
        if self._timeline is not None:
            self._go(len(self._timeline.counts) - 1)

    def action_choose(self) -> None:
        """Choose the bars under the cursor."""
        if self._timeline is not None and self._timeline.counts:
            first, last = self.selection
            self.post_message(
                self.Chosen(self, first, last, self._timeline.filter_text(first, last))
            )

    def action_longer(self) -> None:
        """Ask for the next longer window."""
        self._want(self._window.longer)

    def action_shorter(self) -> None:
        """Ask for the next shorter window."""
        self._want(self._window.shorter)

    def _want(self, window: TimeWindow) -> None:
        if window is not self._window:
            self._window = window
            self.post_message(self.WindowChanged(self, window))
            self.refresh()

    def on_focus(self) -> None:
        """Pins the cursor to a bar."""
        self._pin()
        self.refresh()

    def on_blur(self) -> None:
        """Hides the cursor; one on the newest bar follows that again."""
        # Left at the newest bar it follows that again.
        if self._timeline is not None and self.selection[0] == len(self._timeline.counts) - 1:
            self._anchor = self._cursor = None
        self.refresh()

    def on_hide(self) -> None:
        """Forgets its width, so that it asks for data when it is shown again."""
        self._room = 0  # so that it asks for data when it is shown again

    def on_resize(self) -> None:
        """Asks for as many bars as fit now."""
        if self.room != self._room:
            self._room = self.room
            self.post_message(self.WindowChanged(self, self._window))

    def on_click(self, event: events.Click) -> None:
        """Goes to the bar that was clicked; a double click filters to it."""
        offset = event.get_content_offset(self)
        if offset is None or event.button != 1 or self._timeline is None:
            return
        first, scale = self._layout(self._timeline)
        bar = first + (offset.x - _LABEL) // scale
        if offset.x >= _LABEL and bar < len(self._timeline.counts):
            self._go(bar)
            if event.chain == 2:
                self.action_choose()

    # Drawing

    def _layout(self, timeline: FinishCounts) -> tuple[int, int]:
        """The first bar that is drawn, and how many cells each has."""
        bars = max(1, len(timeline.counts))
        return max(0, bars - self.room), max(1, min(_WIDEST, self.room // bars))

    def render_line(self, y: int) -> Strip:
        """A line of bars between the window's name and words; or the scale."""
        width, tall = self.size.width, self.size.height >= TALL
        lines = 2 if tall else 1
        if y >= (TALL if tall else 1):
            return Strip.blank(width, self.rich_style)
        words = self._notes(y, lines)
        middle = self._bars(y, lines) if y < lines else self._scale()
        room = max(0, width - _LABEL - _notes(width))
        between = Strip(middle).adjust_cell_length(room) if words else Strip(middle)
        label = self._label() if y == lines - 1 else " " * _LABEL
        segments = [Segment(label, self._part("label")), *between, *words]
        return strip(segments, width, self.rich_style)

    def _label(self) -> str:
        awaited = self._timeline is None or self._timeline.window is not self._window
        name = self._window.value.replace(" min", " m")
        return fit(f"{name}…" if awaited else name, _LABEL)

    def _bars(self, y: int, lines: int) -> list[Segment]:
        timeline = self._timeline
        if timeline is None:
            return []
        start, cells = self._layout(timeline)
        first, last = self.selection if self.has_focus else (-1, -1)
        shown = self._shown(timeline)
        peak, steep = max(shown, default=0), is_steep(shown)
        failed = self._part("failed" if self._word == "failed" else "bar")
        faint, under = self._part("none"), Style(reverse=True)
        segments = []
        for bar, jobs in enumerate(shown, start):
            glyph = column(jobs, peak, lines, steep=steep)[y]
            style = failed if jobs > 0 else faint
            if first <= bar <= last:
                style += under
                # A full block in reverse would be a hole.
                glyph = "▇" if glyph == "█" and y == 0 else glyph
            text = glyph.ljust(cells) if glyph == NO_JOBS else glyph * cells
            segments.append(Segment(text, style))
        return segments

    def _shown(self, timeline: FinishCounts) -> Sequence[int]:
        """The jobs of the bars that are drawn."""
        return timeline.counts[self._layout(timeline)[0] :]

    def _scale(self) -> list[Segment]:
        if self._timeline is None or self._reading is None:
            return []
        return [Segment(self._reading.scale(*self._layout(self._timeline)), self._part("note"))]

    def _notes(self, y: int, lines: int) -> list[Segment]:
        """The words at the right: about the cursor where it is seen, else about all bars."""
        reading, room = self._reading, _notes(self.size.width) - 1
        if reading is None or room < 0:
            return []
        note = self._part("note")
        at_cursor = self.has_focus and y == lines - 1
        if at_cursor:
            texts, note = reading.bars(*self.selection), self._part("cursor")
        elif y == 0:
            texts = reading.peak()
            if self._timeline is not None and is_steep(self._shown(self._timeline)):
                texts = [*(f"{one} · log scale" for one in texts), f"{texts[-1]} · log", *texts]
        else:
            texts = reading.total() if y < lines else reading.outside()
        return [Segment(f" {_fitting(texts, room)}", note)]

    def _part(self, name: str) -> Style:
        return ink(self.get_visual_style(f"timeline--{name}").rich_style)


def _notes(width: int) -> int:
    """Cells for words in a widget of this width."""
    return next((cells for wide, cells in _NOTES if width >= wide), 0)


def _fitting(texts: Iterable[str], room: int) -> str:
    """The first text that fits; nothing is better than half a number."""
    return next((text for text in texts if len(text) <= room), "")
