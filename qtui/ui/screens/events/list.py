"""The list of events: the newest first, and followed while the cursor is on it."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.bullmq.reads.events.feed import Missed, QueueEvent
from qtui.text import count, plain
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, fit_ends, strip
from qtui.views.lists.events import MOST_KEPT, EventLines, Line, details, missed_words, moment, tone
from qtui.views.tone import Tone

_ROOMY: Final = 110
"""Cells of a line that has room for milliseconds, and for long names and ids."""

_MILLISECONDS: Final = len(".000")

_QUEUE: Final = (12, 24)
_JOB: Final = (12, 36)
"""Cells of a queue's name and of a job's id at most, in a narrow and in a roomy line."""

_EVENT: Final = 17
"""Cells of an event's name at most: ``retries-exhausted``."""

_LEAST: Final = {"time": 8, "queue": 5, "event": 9, "job": 4}


class EventList(CursorList):
    """Events of one queue, or of several."""

    PREFIX = "event-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "event-list--head",
        "event-list--cursor",
        "event-list--cursor-blurred",
        "event-list--mark",
        "event-list--faint",
        "event-list--bad",
        "event-list--good",
        "event-list--busy",
    }

    DEFAULT_CSS = """
    EventList {
        height: 1fr;
        & > .event-list--head { color: $text-muted; }
        & > .event-list--cursor { background: $accent-muted; text-style: bold; }
        & > .event-list--cursor-blurred { background: $surface; }
        & > .event-list--mark { color: $text-accent; text-style: bold; }
        & > .event-list--faint { color: $text-muted; }
        & > .event-list--bad { color: $text-error; }
        & > .event-list--good { color: $text-success; }
        & > .event-list--busy { color: $text-warning; }
    }
    """

    class Moved(Message):
        """Another event is under the cursor, or other lines are visible."""

    def __init__(self, lines: EventLines, *, several: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines
        self._several = several
        self._words = "reading …"
        self._needs = dict(_LEAST)
        """Cells of the columns for what was seen so far, and so never less than before."""
        self._number: int | None = None
        self._pinned = False
        """Whether the cursor stays with the first line although it is on it."""
        self._newest = -1
        """The number of the newest line when the top was last visible."""
        self._seen = (-1, -1)

    @property
    def length(self) -> int:
        """How many events there are."""
        return len(self._lines)

    @property
    def under_cursor(self) -> Line | None:
        """The line under the cursor."""
        return self._lines[self.cursor] if self.cursor < len(self._lines) else None

    @property
    def follows(self) -> bool:
        """Whether what comes is shown, and takes the cursor with it."""
        return self.cursor == 0 and not self._pinned and not self._lines.frozen

    @property
    def newer(self) -> int:
        """How many events came since the top was last visible."""
        return self._lines.place(self._newest) or 0

    def grown(self, by: int, words: str) -> None:
        """Some lines were put before the others, which stay where they are on the screen.

        Args:
            by: how many; the cursor on the first line stays there.
            words: what an empty list says.
        """
        self._words = words
        top = self.scroll_offset.y
        if by and not self.follows:
            self.set_reactive(CursorList.cursor, self.cursor + by)
            self.measure()
            self.scroll_to(y=top + by, animate=False, immediate=True)
        else:
            self.measure()
        self.settle()
        self.refresh()

    def turned(self, number: int | None, words: str) -> None:
        """Other lines are shown; the cursor is on the one of this number, else on the first."""
        self._words = words
        place = self._lines.place(number) if number is not None else None
        self.set_reactive(CursorList.cursor, place or 0)
        self.measure()
        self.reveal()
        self.settle()
        self.refresh()

    def go(self, place: int) -> None:
        """Puts the cursor on a line, and keeps it there, also on the first."""
        self.moves += 1
        self.cursor = place
        self._pinned = True
        self.settle()

    def watch_cursor(self) -> None:
        """Whoever goes to the first line follows what comes."""
        self._pinned = False
        super().watch_cursor()

    def action_cursor_home(self) -> None:
        """Moves to the first line, and follows what comes."""
        self._pinned = False
        super().action_cursor_home()
        self.settle()

    def settle(self) -> None:
        """Notes which lines are visible, fits the columns, and posts `Moved` if they are others."""
        if not self.is_mounted:
            return
        first, last = self.visible_range
        if first == 0 and len(self._lines):
            self._newest = self._lines[0].number
        now = time.time() * 1000
        for place in range(first, min(last + 1, len(self._lines))):
            self._grow(self._lines[place].one, now)
        line = self.under_cursor
        number = line.number if line is not None else None
        top = self._lines[first].number if first < len(self._lines) else -1
        if number != self._number or (top, last) != self._seen:
            self._number, self._seen = number, (top, last)
            self.post_message(self.Moved())

    def _grow(self, one: QueueEvent | Missed, now: float) -> None:
        needs = self._needs
        needs["time"] = max(needs["time"], len(moment(one.at, now)) - _MILLISECONDS)
        needs["queue"] = max(needs["queue"], cell_len(plain(one.queue.name)))
        if isinstance(one, QueueEvent):
            needs["event"] = max(needs["event"], min(_EVENT, cell_len(plain(one.name))))
            needs["job"] = max(needs["job"], cell_len(plain(one.job_id)))

    def _columns(self, width: int) -> tuple[int, int, int, int, int]:
        """The width of time, queue, event, job, and what is left for the rest."""
        needs, roomy = self._needs, width >= _ROOMY
        times = needs["time"] + (_MILLISECONDS if roomy else 0)
        queue = min(needs["queue"], _QUEUE[roomy]) if self._several else 0
        job = min(needs["job"], _JOB[roomy])
        columns = [times, *([queue] if queue else []), needs["event"], job]
        return (
            times,
            queue,
            needs["event"],
            job,
            max(0, width - 1 - sum(columns) - GAP * len(columns)),
        )

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        times, queue, event, job, rest = self._columns(width)
        parts = [fit("time", times), *([fit("queue", queue)] if queue else [])]
        parts += [fit("event", event), fit("job", job), fit("name, reason or value", rest)]
        return strip(
            [Segment(" " + (" " * GAP).join(parts), self.part("head"))], width, self.rich_style
        )

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say, and what is said below the last event."""
        words = ""
        if place == 1 and not len(self._lines):
            words = self._words
        elif place == len(self._lines) and self._lines.dropped:
            words = f"only the latest {count(MOST_KEPT)} events are kept"
        if not words:
            return Strip.blank(width, self.rich_style)
        return strip([Segment(f"   {words}", self.part("faint"))], width, self.rich_style)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One event."""
        one = self._lines[place].one
        times, queue, event, job, rest = self._columns(width)
        at = moment(one.at, time.time() * 1000)
        if width < _ROOMY:
            at = at[:-_MILLISECONDS]
        gap = Segment(" " * GAP)
        segments = [
            Segment("▌" if place == self.cursor else " ", self.part("mark")),
            Segment(fit(at, times), self.part("faint")),
            gap,
        ]
        if queue:
            segments += [Segment(fit_ends(plain(one.queue.name), queue)), gap]
        if isinstance(one, Missed):
            words = fit(f"▲ {missed_words(one)}", event + job + rest + 2 * GAP)
            return strip([*segments, Segment(words, self.part("busy"))], width, base)
        look = self._look(tone(one))
        segments += [Segment(fit(plain(one.name), event), look), gap]
        segments += [Segment(fit(plain(one.job_id), job)), gap, *self._what(one, rest)]
        return strip(segments, width, base)

    def _what(self, one: QueueEvent, room: int) -> list[Segment]:
        """The job's name, and the reason, the value or where it came from."""
        name, said = plain(self._lines.names.get((one.queue, one.job_id), "")), details(one)
        look = self.part("bad" if "failedReason" in one.fields else "faint")
        if not name or name == said:
            return [Segment(fit(said or name, room), look if said != name else Style())]
        named = fit(name, min(cell_len(name), max(8, room // 3)))
        rest = max(0, room - cell_len(named) - GAP)
        return [Segment(named), Segment(" " * GAP), Segment(fit(said, rest), look)]

    def _look(self, of: Tone) -> Style:
        return Style() if of is Tone.PLAIN else self.part(of.value)
