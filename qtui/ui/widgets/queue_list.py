"""The queues, worst first: failed jobs, backlog, and active jobs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.text import count, plain
from qtui.ui.widgets.cursor_list import CursorList, fit, fit_ends, strip
from qtui.views.lists.marks import Painting
from qtui.views.queues.bursts import Burst

_FAINT_DOT: Final = "·"
_NUMBERS: Final = ((7, 8, 7), (7, 8), (7,))
"""Cells of the numbers and their headings: with much room, with some, and with little."""

_NARROW: Final = 30
"""Cells of a line in which only the failed jobs are counted, unless all names are short."""


class QueueList(CursorList):
    """All queues with their counts. The cursor follows its queue when the order changes."""

    PREFIX = "queue-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "queue-list--head",
        "queue-list--cursor",
        "queue-list--cursor-blurred",
        "queue-list--mark",
        "queue-list--bad",
        "queue-list--burst",
        "queue-list--faint",
    }

    DEFAULT_CSS = """
    QueueList {
        & > .queue-list--head { color: $text-muted; }
        & > .queue-list--cursor { background: $accent-muted; text-style: bold; }
        & > .queue-list--cursor-blurred { background: $surface; text-style: bold; }
        & > .queue-list--mark { color: $text-accent; text-style: bold; }
        & > .queue-list--bad { color: $text-error; }
        & > .queue-list--burst { color: $text-error; text-style: bold; }
        & > .queue-list--faint { color: $text-disabled; }
    }
    """

    @dataclass
    class Selected(Message):
        """The cursor moved to another queue; None where there is none."""

        queue: QueueKey | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._statuses: Sequence[QueueStatus] = ()
        self._selected: QueueKey | None = None
        self._words = ""
        self._bursts: dict[QueueKey, str] = {}
        """How many failed, in words, in the queues with a burst of failures."""
        self.marks: set[QueueKey] = set()
        """The marked queues: those that an action on queues is about."""
        self.painting = Painting()
        """Presses of the key that marks; any other key ends a row of them."""
        self._touched = False
        self._searching = False
        self._selected_at = math.inf

    @property
    def length(self) -> int:
        """How many queues there are."""
        return len(self._statuses)

    @property
    def selected(self) -> QueueKey | None:
        """The queue under the cursor."""
        return self._selected

    @property
    def visible_queues(self) -> list[QueueKey]:
        """The queues that can be seen, from the top."""
        first, last = self.visible_range
        return [status.queue for status in self._statuses[first : last + 1]]

    def toggle_mark(self) -> None:
        """Marks the queue under the cursor, or takes its mark away; again, does so to the next."""
        goes_on = self.painting.goes_on(self._selected, self.moves)
        if goes_on and self.cursor == self.length - 1:
            return
        if goes_on:
            self.action_cursor_down()
        here = self._selected
        if here is None:
            return
        if not goes_on:
            self.painting.marking = here not in self.marks
        self.marks = self.marks | {here} if self.painting.marking else self.marks - {here}
        self.painting.painted(here, self.moves)
        self.refresh()

    def mark_all(self) -> None:
        """Marks all queues, or none where all are marked."""
        everything = {status.queue for status in self._statuses}
        self.marks = set() if self.marks >= everything else everything
        self.refresh()

    def unmark(self) -> None:
        """Takes every mark away."""
        self.marks = set()
        self.refresh()

    def touch(self) -> None:
        """From now on the cursor stays with its queue; until then it is on the worst."""
        self._touched = True

    def touch_by_key(self, pressed_at: float) -> None:
        """The same, for a key pressed since the queue is selected (seconds, monotonic clock).

        One that was typed ahead was not meant for the queue that happened to be found first.
        """
        if pressed_at > self._selected_at:
            self.touch()

    def watch_cursor(self) -> None:
        """The user has moved the cursor (or the list has been mounted)."""
        if self.length:
            self.touch()
        super().watch_cursor()

    def show(self, statuses: Sequence[QueueStatus], *, searching: bool = False) -> None:
        """Shows newer counts, in the given order; ``searching``: there may be more queues."""
        self._searching = searching
        self._statuses = statuses
        if not searching:
            self.marks &= {status.queue for status in statuses}
        places = {status.queue: place for place, status in enumerate(statuses)}
        if self._touched and self._selected in places:
            self.set_reactive(CursorList.cursor, places[self._selected])
        self.measure()
        self.settle()
        self.refresh()

    def show_bursts(self, bursts: Mapping[QueueKey, Burst]) -> None:
        """Shows in which queues many jobs failed a moment ago."""
        words = {queue: one.short for queue, one in bursts.items()}
        if words != self._bursts:
            self._bursts = words
            self.refresh()

    def select(self, queue: QueueKey) -> None:
        """Puts the cursor on a queue without posting `Selected`."""
        self._selected = queue
        self.touch()
        self.show(self._statuses, searching=self._searching)
        self.reveal()

    def say(self, words: str) -> None:
        """Sets what an empty list says; not for foreign text."""
        self._words = words
        self.refresh()

    def settle(self) -> None:
        """Posts which queue is under the cursor, when it is another one."""
        queue = self._statuses[self.cursor].queue if self._statuses else None
        if queue != self._selected:
            self._selected = queue
            self._selected_at = time.monotonic()
            self.post_message(self.Selected(queue))

    # Drawing

    def wanted_width(self, *, narrow: bool) -> int:
        """Cells in which no queue's name is cut; on a narrow screen beside one number only."""
        return self._longest + sum(_NUMBERS[-1] if narrow else _NUMBERS[0]) + 1

    @property
    def _longest(self) -> int:
        names = (plain(status.queue.name) for status in self._statuses)
        return max((cell_len(name) for name in names), default=0) + len(" ‖ ")

    def _columns(self, width: int) -> tuple[int, tuple[int, ...]]:
        """The width of the name, and of the numbers that fit beside it."""
        least = _NUMBERS[-1] if width < _NARROW else _NUMBERS[1]
        fitting = (one for one in _NUMBERS if width - 1 - sum(one) >= self._longest)
        numbers = max(next(fitting, least), least, key=len)
        return width - 1 - sum(numbers), numbers

    def head(self, width: int) -> Strip:
        """How many queues, and what the numbers are."""
        name, numbers = self._columns(width)
        more = " …" if self._searching else ""
        words = fit(f" Queues {len(self._statuses)}{more}", name)
        titles = ("failed", "backlog", "active")  # prioritized and paused jobs are waiting, too
        words += "".join(
            fit(title, room, right=True) for title, room in zip(titles, numbers, strict=False)
        )
        return strip([Segment(words, self.part("head"))], width, self.rich_style)

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._statuses and self._words:
            return strip([Segment(f" {self._words}", self.part("faint"))], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One queue."""
        status = self._statuses[place]
        name, rooms = self._columns(width)
        sign = "‖ " if status.paused else ""
        failed = status.counts.get(JobState.FAILED)
        active = status.counts.get(JobState.ACTIVE)
        mark = "●" if status.queue in self.marks else " "
        words, burst = f"{sign}{plain(status.queue.name)}", self._bursts.get(status.queue, "")
        beside = cell_len(burst) if cell_len(words) + 1 + cell_len(burst) < name else 0
        segments = [
            Segment(mark, self.part("mark")),
            Segment(fit_ends(words, name - 1 - beside)),
            Segment(burst if beside else "", self.part("burst")),
        ]
        for place_of, (number, room) in enumerate(
            zip((failed, status.waiting, active), rooms, strict=False)
        ):
            segments.append(self._number(number, room, bad=place_of == 0))
        if burst and not beside:  # where the name needs the room, in place of how many ever failed
            segments[3] = Segment(fit(burst, rooms[0], right=True), self.part("burst"))
        return strip(segments, width, base)

    def _number(self, number: int | None, room: int, *, bad: bool) -> Segment:
        if number is None:
            return Segment(fit("?", room, right=True), self.part("faint"))
        if number == 0:
            return Segment(fit(_FAINT_DOT, room, right=True), self.part("faint"))
        return Segment(fit(short(number), room, right=True), self.part("bad") if bad else Style())


def short(number: int) -> str:
    """A count in at most five characters: ``9,120``, ``41k``, ``1.2M``."""
    if number < 10_000:
        return count(number)
    if number < 1_000_000:
        return f"{number // 1000}k"
    return f"{number / 1_000_000:.1f}M" if number < 100_000_000 else f"{number // 1_000_000}M"
