"""The queues, worst first: failed jobs, backlog and active jobs; all states where there is room."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.text import count, plain, rough, short
from qtui.ui.widgets.cursor_list import CursorList, fit, fit_ends, strip
from qtui.views.lists.painting import Painting
from qtui.views.queues.bursts import Burst
from qtui.views.queues.sums import Sums
from qtui.views.queues.trends import MOST, SLOT, Trends
from qtui.views.timeline import column

_FAINT_DOT: Final = "·"

_NARROW: Final = 30
"""Cells of a line in which only the failed jobs are counted, unless all names are short."""

_NARROW_SCREEN: Final = 110
"""Cells of a screen below which one number of each queue has to do."""

_WIDE_SCREEN: Final = 180
"""Cells of a screen on which the queues have what they need, but for the list of jobs."""

_JOBS: Final = 84
"""Cells of the list of jobs on a wide screen, at least: as many as it has on one of 120."""

_SPARK: Final = 12
"""Cells of a sparkline for which room is asked."""

_LEAST_SPARK: Final = 6
_MOST_SPARK: Final = MOST


@dataclass(frozen=True, slots=True)
class _Column:
    """A number of each queue."""

    title: str
    room: int
    """Cells."""
    states: tuple[JobState, ...]
    """Whose jobs are counted."""

    @property
    def is_bad(self) -> bool:
        return self.states == (JobState.FAILED,)

    def count(self, status: QueueStatus) -> int | None:
        """The jobs of a queue; None if they can't be counted."""
        counts = [status.counts.get(state) for state in self.states]
        known = [one for one in counts if one is not None]
        return sum(known) if known else None


_WAITING: Final = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED)
_FEW: Final = (
    _Column("failed", 7, (JobState.FAILED,)),
    _Column("backlog", 8, _WAITING),  # prioritized and paused jobs are waiting, too
    _Column("active", 7, (JobState.ACTIVE,)),
)


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
        "queue-list--spark",
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
        & > .queue-list--spark { color: $text-muted; }
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
        self._trends = Trends()
        self._rooms = {state: len(state.value) for state in JobState}
        """Cells of the counts of each state, and so never less than before."""
        self._longest = 0
        """Cells of the longest name that was there, with the signs before it."""
        self._layout: tuple[int, tuple[int, int, tuple[_Column, ...]]] | None = None
        """The columns of a width; None where they have to be found anew."""
        self._measured: set[str] = set()
        """The base keys of the queues whose names were measured."""
        self._sums = Sums()
        self._total: QueueStatus | None = None
        """The counts of all queues together."""
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
        continues = self.painting.continues(self._selected, self.moves)
        if continues and self.cursor == self.length - 1:
            return
        if continues:
            self.action_cursor_down()
        here = self._selected
        if here is None:
            return
        if not continues:
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
        if statuses is not self._statuses:
            self._count(statuses)
        self._searching = searching
        self._statuses = statuses
        if self.marks and not searching:
            self.marks &= {status.queue for status in statuses}
        if self._touched and (selected := self._selected) is not None:
            bases = (status.queue.base for status in statuses)
            place = next((at for at, base in enumerate(bases) if base == selected.base), None)
            if place is not None:
                self.set_reactive(CursorList.cursor, place)
        self.measure()
        self.settle()
        self.refresh()

    def show_bursts(self, bursts: Mapping[QueueKey, Burst]) -> None:
        """Shows in which queues many jobs failed a moment ago."""
        words = {queue: one.short for queue, one in bursts.items()}
        if words != self._bursts:
            self._bursts = words
            self.refresh()

    def note(self, statuses: Mapping[QueueKey, QueueStatus], changed: Collection[QueueKey]) -> None:
        """Takes newer counts of the queues that have changed into their sparklines."""
        self._trends.note(statuses, changed, time.monotonic())
        if changed:
            self.refresh()

    def ages(self, place: int, now: float) -> str:
        """The time of the newest bar of its sparkline, where it has one."""
        queue = self._statuses[place].queue
        return str(time.monotonic() // SLOT) if self._trends.knows(queue) else ""

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

    def _count(self, statuses: Sequence[QueueStatus]) -> None:
        """Adds up the counts of all queues, and makes room for the largest and for new names."""
        self.has_foot, self._layout = len(statuses) > 1, None
        for status in statuses:
            if status.queue.base not in self._measured:
                self._measured.add(status.queue.base)
                width = cell_len(plain(status.queue.name)) + len(" ‖ ")
                self._longest = max(self._longest, width)
        self._sums.take(statuses)
        self._total = None
        if not statuses:
            return
        sums = self._sums.counts
        for state, jobs in sums.items():
            self._rooms[state] = max(self._rooms[state], len(count(jobs or 0)))
        self._total = replace(statuses[0], counts=sums)

    # Drawing

    @property
    def _all(self) -> tuple[_Column, ...]:
        """A column for every state."""
        return tuple(_Column(state.value, self._rooms[state] + 1, (state,)) for state in JobState)

    @property
    def _name_room(self) -> int:
        """Cells that the names need; while there are none, the title."""
        return self._longest or len(" Queues 0 …")

    def fit_screen(self) -> None:
        """Gives long names what a wide screen has to spare; never takes it back."""
        screen = self.app.size.width
        narrow = screen < _NARROW_SCREEN
        least, most = (22, 26) if narrow else (36, screen * 3 // 10)
        if screen >= _WIDE_SCREEN:
            most = screen - _JOBS
        wanted = max(least, min(self._wanted_width(narrow=narrow, most=most), most))
        now = self.styles.width
        if now is None or not least <= now.value <= max(least, most) or wanted > now.value:
            self.styles.width = wanted

    def _wanted_width(self, *, narrow: bool, most: int) -> int:
        """Cells in which no queue's name is cut: beside every state, some of them, or one.

        Args:
            narrow: whether the screen is so narrow that one number has to do.
            most: the cells that there are; a sparkline has what is left of them.
        """
        if narrow:
            return self._name_room + _cells(_FEW[:1]) + 1
        whole = self._name_room + _cells(self._all) + 1
        if whole <= most:
            return min(most, whole + 1 + _SPARK)
        return self._name_room + _cells(_FEW) + 1 + 1 + _SPARK

    def _columns(self, width: int) -> tuple[int, int, tuple[_Column, ...]]:
        """The width of the name, of the sparkline, and the numbers that fit beside them."""
        if self._layout is None or self._layout[0] != width:
            self._layout = width, self._lay_out(width)
        return self._layout[1]

    def _lay_out(self, width: int) -> tuple[int, int, tuple[_Column, ...]]:
        least = _FEW[:1] if width < _NARROW else _FEW[:2]
        ways = (self._all, _FEW, _FEW[:2], _FEW[:1])
        fitting = (one for one in ways if width - 1 - _cells(one) >= self._name_room)
        columns = max(next(fitting, least), least, key=len)
        name = width - 1 - _cells(columns)
        spark = min(_MOST_SPARK, name - self._name_room - 1)
        spark = spark if spark >= _LEAST_SPARK and len(columns) > 1 else 0
        return name - spark, spark, columns

    def head(self, width: int) -> Strip:
        """How many queues, and what the numbers are."""
        name, spark, columns = self._columns(width)
        more = " …" if self._searching else ""
        queues = f" Queues {len(self._statuses)}{more}"
        # Where all names are short, the count of queues has some of the sparkline's room.
        left = max(name, cell_len(queues)) if spark else name
        words = fit(queues, left)
        words += fit(f"last {_span(spark)}", name + spark - left, right=True) if spark else ""
        words += "".join(fit(one.title, one.room, right=True) for one in columns)
        return strip([Segment(words, self.part("head"))], width, self.rich_style)

    def foot(self, width: int) -> Strip:
        """All queues together."""
        name, spark, columns = self._columns(width)
        segments = [Segment(fit(" all queues", name + spark), self.part("head"))]
        if self._total is not None:
            segments += self._numbers(self._total, columns)
        return strip(segments, width, self.rich_style)

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._statuses and self._words:
            return strip([Segment(f" {self._words}", self.part("faint"))], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One queue."""
        status = self._statuses[place]
        name, spark, columns = self._columns(width)
        mark = "●" if status.queue in self.marks else " "
        words = ("‖ " if status.paused else "") + plain(status.queue.name)
        burst = self._bursts.get(status.queue, "")
        # A burst has the end of the name's room, or some of the sparkline's, where that is free.
        room = name - 1 + spark - cell_len(words) - 1
        beside = cell_len(burst) if burst and cell_len(burst) <= room else 0
        taken = max(0, beside - (name - 1 - cell_len(words)) + 1) if beside else 0
        numbers = self._numbers(status, columns)
        if burst and not beside:  # in place of how many have ever failed
            numbers[0] = Segment(fit(burst, columns[0].room, right=True), self.part("burst"))
        segments = [
            Segment(mark, self.part("mark")),
            Segment(fit_ends(words, name - 1 - beside + taken)),
            Segment(burst if beside else "", self.part("burst")),
            *self._sparkline(status.queue, spark - taken),
            *numbers,
        ]
        return strip(segments, width, base)

    def _sparkline(self, queue: QueueKey, cells: int) -> list[Segment]:
        """How many jobs ended of late, in red where most of them failed."""
        if not self._trends.knows(queue):
            return [Segment(" " * cells)]
        slots = self._trends.of(queue, max(0, cells), time.monotonic())
        peak = max((one.jobs for one in slots), default=0)
        return [
            Segment(
                column(one.jobs, peak, 1) if one.jobs else " ",
                self.part("bad" if one.is_bad else "spark"),
            )
            for one in slots
        ]

    def _numbers(self, status: QueueStatus, columns: Sequence[_Column]) -> list[Segment]:
        faint, bad = self.part("faint"), self.part("bad")
        segments = []
        for one in columns:
            number = one.count(status)
            words = "?" if number is None else _FAINT_DOT if number == 0 else count(number)
            if number and len(words) >= one.room:
                words = short(number)
            style = faint if not number else bad if one.is_bad else Style()
            segments.append(Segment(fit(words, one.room, right=True), style))
        return segments


def _cells(columns: Sequence[_Column]) -> int:
    return sum(one.room for one in columns)


def _span(bars: int) -> str:
    """The time that a sparkline covers."""
    return rough(1000 * SLOT * bars).replace(" min", "m").replace(" s", "s")
