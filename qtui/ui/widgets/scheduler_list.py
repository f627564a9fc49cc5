"""The schedulers of a queue, the next to run first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.bullmq.schedulers.scheduler import Scheduler
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, fit_ends, strip
from qtui.views.lists.verdict import Verdict
from qtui.views.schedulers import HEADS, RIGHT, SchedulerCell, cells
from qtui.views.tone import Tone

_LEAST: Final = {"scheduler": 9, "job": 6, "schedule": 12, "next": 6, "last": 5, "runs": 6}
"""Cells of a column at the least; the state takes the rest."""

_MOST: Final = {"scheduler": 40, "job": 24, "schedule": 34, "next": 7, "last": 6, "runs": 12}

_GIVE: Final = (
    *(("scheduler", 20), ("job", 10), ("schedule", 18)),
    *(("job", 6), ("scheduler", 9), ("schedule", 12)),
)
"""Which columns give room to the state, and down to what."""

_STATE: Final = 32
"""Cells of the state at the least, where the screen has them."""


class SchedulerList(CursorList):
    """The schedulers of a queue, and what came of actions on them."""

    PREFIX = "scheduler-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "scheduler-list--head",
        "scheduler-list--cursor",
        "scheduler-list--cursor-blurred",
        "scheduler-list--mark",
        "scheduler-list--faint",
        "scheduler-list--bad",
        "scheduler-list--good",
        "scheduler-list--busy",
    }

    DEFAULT_CSS = """
    SchedulerList {
        height: 1fr;
        & > .scheduler-list--head { color: $text-muted; }
        & > .scheduler-list--cursor { background: $accent-muted; text-style: bold; }
        & > .scheduler-list--cursor-blurred { background: $surface; }
        & > .scheduler-list--mark { color: $text-accent; text-style: bold; }
        & > .scheduler-list--faint { color: $text-muted; }
        & > .scheduler-list--bad { color: $text-error; }
        & > .scheduler-list--good { color: $text-success; }
        & > .scheduler-list--busy { color: $text-warning; }
    }
    """

    @dataclass
    class Selected(Message):
        """The cursor is on another scheduler; None where there is none."""

        scheduler: Scheduler | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._schedulers: Sequence[Scheduler] = ()
        self._results: Mapping[str, Verdict] = {}
        self._words = "reading …"
        self._selected: str | None = None

    @property
    def scheduler(self) -> Scheduler | None:
        """The scheduler under the cursor."""
        return self._schedulers[self.cursor] if self.cursor < len(self._schedulers) else None

    @property
    def length(self) -> int:
        """How many there are."""
        return len(self._schedulers)

    def show(
        self, schedulers: Sequence[Scheduler], results: Mapping[str, Verdict], words: str
    ) -> None:
        """Shows schedulers; the cursor stays on the one that it is on.

        Args:
            schedulers: in order.
            results: by id, what came of an action; it takes the place of the state.
            words: what a list without any says.
        """
        at = self._selected
        self._schedulers, self._results, self._words = schedulers, results, words
        places = {one.id: place for place, one in enumerate(schedulers)}
        self.measure()
        if at is not None and at in places:
            self.cursor = places[at]
        self.settle()
        self.refresh()

    def settle(self) -> None:
        """Tells which scheduler is under the cursor, when it is another one."""
        found = self.scheduler.id if self.scheduler is not None else None
        if found != self._selected:
            self._selected = found
            self.post_message(self.Selected(self.scheduler))

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        widths = self._columns(width)
        parts = [
            fit(name, room, right=name in RIGHT) for name, room in zip(HEADS, widths, strict=True)
        ]
        return strip(
            [Segment(" " + (" " * GAP).join(parts), self.part("head"))], width, self.rich_style
        )

    def _columns(self, width: int) -> list[int]:
        """The width of each column: what it needs, within bounds; a narrow screen gives less."""
        names = HEADS[:-1]
        needs = {
            name: max((cell_len(cells(one)[at].text) for one in self._schedulers), default=0)
            for at, name in enumerate(names)
        }
        widths = {name: max(_LEAST[name], min(needs[name], _MOST[name])) for name in names}
        room = width - 1 - GAP * len(names)
        over = sum(widths.values()) + _STATE - room
        for name, least in _GIVE:
            less = max(0, min(over, widths[name] - least))
            widths[name] -= less
            over -= less
        state = max(8, room - sum(widths.values()))
        return [*widths.values(), state]

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._schedulers:
            text = Segment(f"   {self._words}", self.part("faint"))
            return strip([text], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def ages(self, place: int, now: float) -> str:
        """When it runs next, and when it ran last."""
        found = cells(self._schedulers[place], now)
        return f"{found[3].text} {found[4].text}"

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One scheduler."""
        one = self._schedulers[place]
        found = list(cells(one, time.time() * 1000))
        result = self._results.get(one.id)
        if result is not None:
            found[-1] = SchedulerCell(result.text, result.tone)
        segments = [Segment("▌" if place == self.cursor else " ", self.part("mark"))]
        for at, (cell, room) in enumerate(zip(found, self._columns(width), strict=True)):
            text = (
                fit_ends(cell.text, room)
                if at == 0
                else fit(cell.text, room, right=HEADS[at] in RIGHT)
            )
            gap = "" if at == len(found) - 1 else " " * GAP
            style = None if cell.tone is Tone.PLAIN else self.part(cell.tone.value)
            segments += [Segment(text, style), Segment(gap)]
        return strip(segments, width, base)
