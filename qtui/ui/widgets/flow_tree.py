"""A flow as a tree that one walks like a list; children are asked for when they come into sight."""

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

from qtui.bullmq.model import JobState
from qtui.text import age, count, plain
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, strip
from qtui.views.columns import attempts
from qtui.views.flow_rows import Line, node_state, node_words, option_of
from qtui.views.lists.verdict import Verdict
from qtui.views.tone import Tone

_WIDE: Final = 130
"""Width from which a column shows what each failure does to its parent."""

_NARROW: Final = 100
_OPTION: Final = len("parent continues without it")
_ATTEMPTS: Final = 5
_AGO: Final = 5
_ID: Final = 8
"""Cells that are left for an id, however deep in the tree."""

_LEAST: Final = 18
"""Cells of the tree at least."""


@dataclass(frozen=True, slots=True)
class _Widths:
    job: int
    name: int
    queue: int
    state: int
    option: int
    ago: int


class FlowTree(CursorList):
    """The jobs of a flow. Its cursor stays on its job while others are read."""

    PREFIX = "flow-tree"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "flow-tree--head",
        "flow-tree--cursor",
        "flow-tree--cursor-blurred",
        "flow-tree--mark",
        "flow-tree--faint",
        "flow-tree--plain",
        "flow-tree--bad",
        "flow-tree--good",
        "flow-tree--busy",
    }

    DEFAULT_CSS = """
    FlowTree {
        height: 1fr;
        & > .flow-tree--head { color: $text-muted; }
        & > .flow-tree--cursor { background: $accent-muted; text-style: bold; }
        & > .flow-tree--cursor-blurred { background: $surface; }
        & > .flow-tree--mark { color: $text-accent; text-style: bold; }
        & > .flow-tree--faint { color: $text-muted; }
        & > .flow-tree--bad { color: $text-error; }
        & > .flow-tree--good { color: $text-success; }
        & > .flow-tree--busy { color: $text-warning; }
    }
    """

    class Wanted(Message):
        """Some visible children are not read."""

    @dataclass
    class CursorMoved(Message):
        """The cursor moved to another line."""

        line: Line | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._verdicts: Mapping[str, Verdict] = {}
        self._asked = ""
        self._announced: Line | None = None
        self._fits: tuple[int, _Widths] | None = None

    def show(self, lines: Sequence[Line], asked: str, verdicts: Mapping[str, Verdict]) -> None:
        """Shows a newer reading.

        Args:
            lines: the tree.
            asked: key of the job from which one came; it is marked.
            verdicts: what a rerun has come to, by key.
        """
        here = self.line_at_cursor
        self._lines, self._asked, self._verdicts, self._fits = lines, asked, verdicts, None
        # A line of unread children leaves the cursor in its place, on the first that was read.
        if here is not None and not here.more:
            places = (at for at, one in enumerate(lines) if one.is_same(here))
            self.set_reactive(CursorList.cursor, next(places, self.cursor))
        self.measure()
        self.reveal()
        self.settle()
        self.refresh()

    def go_to(self, key: str) -> None:
        """Puts the cursor on a job."""
        self.cursor = next((at for at, one in enumerate(self._lines) if one.node.key == key), 0)

    @property
    def line_at_cursor(self) -> Line | None:
        """The line under the cursor."""
        return self._lines[self.cursor] if self.cursor < len(self._lines) else None

    @property
    def length(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    @property
    def visible_lines(self) -> Sequence[Line]:
        """What can be seen."""
        first, last = self.visible_range
        return self._lines[first : last + 1]

    def settle(self) -> None:
        """Asks for visible children, and posts where the cursor is."""
        if any(line.more for line in self.visible_lines):
            self.post_message(self.Wanted())
        if self.line_at_cursor != self._announced:
            self._announced = self.line_at_cursor
            self.post_message(self.CursorMoved(self._announced))

    # Drawing

    def _widths(self, width: int) -> _Widths:
        """Columns that fit what was read; they are measured once for each reading."""
        if self._fits is not None and self._fits[0] == width:
            return self._fits[1]
        lines = [line for line in self._lines if not line.more][:2000]
        job = max((cell_len(_job(line)) for line in lines), default=4) + 2
        name = max((cell_len(plain(line.node.row.name)) for line in lines), default=4)
        queue = max((cell_len(_queue(line)) for line in lines), default=0)
        state = max((len(node_state(line.node)[0]) for line in lines), default=6)
        option = max((len(option_of(line)) for line in lines), default=0)
        narrow, wide = width < _NARROW, width >= _WIDE
        found = _Widths(
            job=min(job, max(_LEAST, width // 3)),
            name=min(max(name, 4), 10 if narrow else 24),
            queue=min(max(queue, 5), 12 if narrow else 30) if queue else 0,
            state=min(state, 9 if narrow else 16),
            option=min(option, _OPTION) if wide else 0,
            ago=0 if narrow else _AGO,
        )
        self._fits = (width, found)
        return found

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        fits = self._widths(width)
        cells = [fit("   job", fits.job + 1), fit("name", fits.name)]
        cells += [fit("queue", fits.queue)] if fits.queue else []
        cells += [fit("", _ATTEMPTS)]  # a heading would take the room of ids
        cells += [fit("ago", fits.ago, right=True)] if fits.ago else []
        cells += [fit("if it fails", fits.option)] if fits.option else []
        cells += [fit("state", fits.state), "error"]
        text = (" " * GAP).join(cells)
        return strip([Segment(text, self.part("head"))], width, self.rich_style)

    def ages(self, place: int, now: float) -> str:
        """How long ago a job finished."""
        return _ago(self._lines[place], now)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One job, or a line of children not read."""
        line, fits = self._lines[place], self._widths(width)
        marked = line.node.key == self._asked and not line.more
        guides = _cut(line.guides, fits.job - 2 - min(_ID, cell_len(plain(line.node.id))))
        lead = [
            Segment("▌" if place == self.cursor else " ", self.part("mark")),
            Segment("● " if marked else "  ", self.part("mark")),
            Segment(guides, self.part("faint")),
        ]
        if line.more:
            words = f"… {count(line.more)} more"
            return strip([*lead, Segment(words, self.part("faint"))], width, base)
        room = max(1, fits.job - 2 - cell_len(guides))
        node, gap = line.node, " " * GAP
        bad = self.part("bad") if node.state is JobState.FAILED else Style()
        tried = "" if node.row.missing else attempts(node.row)
        segments = [
            *lead,
            Segment(fit(plain(node.id), room) + gap),
            Segment(fit(plain(node.row.name), fits.name) + gap),
            Segment(fit(_queue(line), fits.queue) + gap if fits.queue else "", self.part("faint")),
            Segment(fit(tried, _ATTEMPTS, right=True) + gap, bad),
        ]
        if fits.ago:
            ago = fit(_ago(line, time.time() * 1000), fits.ago, right=True)
            segments.append(Segment(ago + gap, self.part("faint")))
        if fits.option:
            segments.append(Segment(fit(option_of(line), fits.option) + gap, self.part("faint")))
        left = width - sum(segment.cell_length for segment in segments)
        return strip([*segments, *self._fate(line, fits.state, left)], width, base)

    def _fate(self, line: Line, room: int, left: int) -> list[Segment]:
        """State and error, or what a rerun has made of it, in the cells that are left."""
        verdict = self._verdicts.get(line.node.key)
        if verdict is not None:
            return [Segment(fit(verdict.text, left), self._ink(verdict.tone))]
        state, tone = node_state(line.node)
        what, what_tone = node_words(line)
        state = state.ljust(room) if len(state) <= room else state
        # Where there is little room its state is not said twice.
        said = len(state) > room and _waits(line)
        state = "" if said else state + " " * GAP
        what = fit(what, max(1, left - len(state)))
        return [Segment(state, self._ink(tone)), Segment(what, self._ink(what_tone))]

    def _ink(self, tone: Tone) -> Style:
        return Style() if tone is Tone.PLAIN else self.part(tone.value)


def _waits(line: Line) -> bool:
    """Whether what it waits for names its state already."""
    return line.node.state is JobState.WAITING_CHILDREN and not line.repeated


def _cut(guides: str, room: int) -> str:
    """Guides of a job deep down, cut so that its id is still visible."""
    return guides if len(guides) <= room else "…" + guides[-max(3, room - 1) :]


def _job(line: Line) -> str:
    return line.guides + plain(line.node.id)


def _queue(line: Line) -> str:
    """The queue, where it is another one than the parent's; the name alone for the usual prefix."""
    queue = line.node.queue
    if line.parent is not None and line.parent.queue == queue:
        return ""
    return plain(queue.base.removeprefix("bull:"))


def _ago(line: Line, now: float) -> str:
    finished = line.node.row.finished_on
    done = line.node.state is not None and line.node.state.is_finished
    return age(now - finished) if finished is not None and done else ""
