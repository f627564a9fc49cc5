"""Past campaigns, newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.bullmq.codes import Code
from qtui.operations.journal.reading import Summary
from qtui.text import age, count, plain
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, fit_ends, strip
from qtui.views.campaigns import campaign_words, phase_of, queue_name

_WIDTHS = (20, 5, 16, 9)
"""Cells of id, age, queue and jobs retried; how it ended and what was retried take the rest."""

_WHAT = 12
"""Cells of what was retried, at the least."""


class CampaignList(CursorList):
    """The campaigns of a journal folder."""

    PREFIX = "campaign-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "campaign-list--head",
        "campaign-list--cursor",
        "campaign-list--cursor-blurred",
        "campaign-list--mark",
        "campaign-list--faint",
        "campaign-list--bad",
    }

    DEFAULT_CSS = """
    CampaignList {
        height: 1fr;
        & > .campaign-list--head { color: $text-muted; }
        & > .campaign-list--cursor { background: $accent-muted; text-style: bold; }
        & > .campaign-list--cursor-blurred { background: $surface; }
        & > .campaign-list--mark { color: $text-accent; text-style: bold; }
        & > .campaign-list--faint { color: $text-muted; }
        & > .campaign-list--bad { color: $text-error; }
    }
    """

    @dataclass
    class Selected(Message):
        """The cursor moved to another campaign; None where there is none."""

        campaign: Summary | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._campaigns: Sequence[Summary] = ()
        self._words = "reading …"
        self._selected = ""

    @property
    def campaign(self) -> Summary | None:
        """The campaign under the cursor."""
        return self._campaigns[self.cursor] if self.cursor < len(self._campaigns) else None

    @property
    def length(self) -> int:
        """How many campaigns there are."""
        return len(self._campaigns)

    def show(self, campaigns: Sequence[Summary], words: str) -> None:
        """Shows campaigns; ``words`` are what an empty list says."""
        self._campaigns, self._words = campaigns, words
        self.measure()
        self.settle()
        self.refresh()

    def settle(self) -> None:
        """Tells which campaign is under the cursor, when it is another one."""
        found = self.campaign.id if self.campaign is not None else ""
        if found != self._selected:
            self._selected = found
            self.post_message(self.Selected(self.campaign))

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        names, widths = ("id", "  ago", "queue", "done"), self._columns(width)
        cells = [fit(name, room) for name, room in zip(names, widths, strict=True)]
        text = (" " * GAP).join(
            [" " + cells[0], *cells[1:3], cells[3].strip().rjust(9), "selection"]
        )
        return strip([Segment(text, self.part("head"))], width, self.rich_style)

    def _columns(self, width: int) -> tuple[int, int, int, int]:
        """`_WIDTHS`, with room for the longest name of a queue where there is as much."""
        queue = max((cell_len(queue_name(one.header)) for one in self._campaigns), default=0)
        ending = max((len(phase_of(one)) for one in self._campaigns), default=0) + GAP
        ids, ages, least, jobs = _WIDTHS
        rest = width - 1 - ids - ages - jobs - 4 * GAP - ending - _WHAT
        return ids, ages, max(least, min(queue, rest)), jobs

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._campaigns:
            text = Segment(f"   {self._words}", self.part("faint"))
            return strip([text], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def ages(self, place: int, now: float) -> str:
        """How long ago a campaign began."""
        began = self._campaigns[place].header.at
        return age(now - began) if began else "?"

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One campaign."""
        one = self._campaigns[place]
        header, phase = one.header, phase_of(one)
        ago = self.ages(place, time.time() * 1000)
        retried = count(one.codes.get(Code.DONE, 0))
        ids, ages, queues, jobs = self._columns(width)
        cells = [
            fit(one.id, ids),
            fit(ago, ages, right=True),
            fit_ends(queue_name(header), queues),
            fit(retried, jobs, right=True),
        ]
        ending = f"  {plain(phase)}{', undone' if one.undone_by else ''}"
        left = width - 1 - ids - ages - queues - jobs - len(cells) * GAP
        what = campaign_words(header)
        if cell_len(what) + cell_len(ending) > left:  # how it ended is always shown
            what = fit(what, max(0, left - cell_len(ending)))
        fine = phase in ("done", "running")
        segments = [
            Segment("▌" if place == self.cursor else " ", self.part("mark")),
            Segment((" " * GAP).join(cells) + " " * GAP),
            Segment(what, self.part("faint")),
            Segment(ending, self.part("faint" if fine else "bad")),
        ]
        return strip(segments, width, base)
