"""The lines around the list: where we are, which queue, which state, what happens, which keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus
from qtui.text import count, plain, plural, short
from qtui.ui.widgets.cursor_list import fit, ink, strip


class Bar(Widget):
    """One line of segments: what is on the left, and what stays on the right."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "bar--strong",
        "bar--faint",
        "bar--bad",
        "bar--warn",
        "bar--key",
        "bar--badge",
    }

    DEFAULT_CSS = """
    Bar {
        height: 1;
        & > .bar--strong { text-style: bold; }
        & > .bar--faint { color: $text-muted; }
        & > .bar--bad { color: $text-error; text-style: bold; }
        & > .bar--warn { color: $text-warning; }
        & > .bar--key { color: $text-accent; text-style: bold; }
        & > .bar--badge { color: auto; background: $warning; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left: list[tuple[str, str]] = []
        self._right: list[tuple[str, str]] = []

    def say(self, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]] = ()) -> None:
        """Shows pieces of plain text, each with the name of a style (empty for none)."""
        if (list(left), list(right)) != (self._left, self._right):
            self._left, self._right = list(left), list(right)
            self.refresh()

    def part(self, name: str) -> Style:
        """The style that a piece names."""
        if not name:
            return Style()
        style = self.get_visual_style(f"bar--{name}").rich_style
        return style if name == "badge" else ink(style)

    def render_line(self, y: int) -> Strip:
        """The line."""
        return self.line_of(self._left, self._right)

    def line_of(self, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]]) -> Strip:
        """A line of pieces; what is on the left gives way."""
        width = self.size.width
        after = [Segment(words, self.part(name)) for words, name in right]
        room = max(0, width - sum(cell_len(words) for words, _ in right))
        line = Strip([Segment(words, self.part(name)) for words, name in left])
        if line.cell_length > room > 0:
            line = Strip([*line.crop(0, room - 1), Segment("…", self.part("faint"))])
        line = line.adjust_cell_length(room)
        return strip([*line, *after], width, self.rich_style)


_MOST_STATUS_LINES: Final = 3
_NO_STYLE: Final = "none"


class StatusLine(Bar):
    """A sentence on as many lines as it needs: what an error asks for is often at its end."""

    def on_resize(self) -> None:
        """Breaks the sentence anew."""
        self._fit()

    def say(self, left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]] = ()) -> None:
        """Shows pieces of plain text, on `_MOST_STATUS_LINES` lines at most."""
        super().say(left, right)
        self._fit()

    def render_line(self, y: int) -> Strip:
        """One of the lines."""
        lines = self._lines()
        return self.line_of(lines[y] if y < len(lines) else (), self._right if y == 0 else ())

    def _fit(self) -> None:
        self.styles.height = len(self._lines())

    def _lines(self) -> list[list[tuple[str, str]]]:
        """The pieces of each line."""
        width = self.size.width - sum(cell_len(words) for words, _ in self._right)
        if width < 20 or sum(cell_len(words) for words, _ in self._left) <= width:
            return [self._left]
        text = Text.assemble(*((words, name or _NO_STYLE) for words, name in self._left))
        lines = [
            [(line.plain[one.start : one.end], str(one.style)) for one in line.spans]
            for line in text.wrap(self.app.console, width - 1)
        ]
        shown, rest = lines[: _MOST_STATUS_LINES - 1], lines[_MOST_STATUS_LINES - 1 :]
        if rest:
            shown.append([piece for line in rest for piece in line])
        for line in shown[1:]:
            line.insert(0, (" ", _NO_STYLE))
        return [
            [(words, "" if name == _NO_STYLE else name) for words, name in line] for line in shown
        ]


Line: TypeAlias = tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]
"""The pieces on the left and on the right of a line, see `Bar.say`."""

_MOST_BANNERS: Final = 4


class Banners(Bar):
    """A line for each campaign, `_MOST_BANNERS` at most; gone while there is none."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []
        self.display = False

    def show(self, lines: Sequence[Line]) -> None:
        """Shows lines, in place of those before."""
        shown = list(lines[:_MOST_BANNERS])
        if len(lines) > len(shown):
            more = plural(len(lines) - len(shown) + 1, "more campaign")
            shown[-1] = ([(f" and {more}", "faint")], [])
        self._lines = shown
        self.display = bool(shown)
        self.styles.height = max(1, len(shown))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the lines."""
        return self.line_of(*self._lines[y]) if y < len(self._lines) else super().render_line(y)


_BY_WORTH: Final = (
    *(JobState.FAILED, JobState.WAITING, JobState.ACTIVE, JobState.DELAYED, JobState.COMPLETED),
    *(JobState.PRIORITIZED, JobState.PAUSED, JobState.WAITING_CHILDREN),
)
"""Which states get a name first, where not all can have one."""


_BESIDE: Final = "\u203a"
"""Between the key of a state without a name and its count: a colon would read as a time."""


class StateTabs(Bar):
    """The eight states with their counts; the one that is shown is highlighted.

    Where there is no room for all names, the states that hold jobs have theirs first. Nothing moves
    to and fro: of one queue, a state that held jobs once counts as one that does, and a count keeps
    the room that it needed once.
    """

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, state: JobState) -> None:
            self.state = state
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._status: QueueStatus | None = None
        self._state = JobState.FAILED
        self._ends: list[tuple[int, JobState]] = []
        self._held: set[JobState] = set()
        """States that hold jobs, or did since the queue is shown."""
        self._amounts: dict[tuple[JobState, bool], int] = {}
        """Cells of the counts, long and short."""

    def show(self, status: QueueStatus | None, state: JobState) -> None:
        """Shows a queue's counts."""
        if (status, state) == (self._status, self._state):
            return
        queue = self._status.queue if self._status is not None else None
        if status is None or status.queue != queue:
            self._held.clear()
            self._amounts.clear()
        self._status, self._state = status, state
        self._held |= {one for one in JobState if self._jobs(one) != 0}
        self.refresh()

    def _jobs(self, state: JobState) -> int | None:
        return self._status.counts.get(state) if self._status is not None else 0

    def _tab(self, state: JobState, *, named: bool, long: bool) -> str:
        """A tab with its state's name or without, its count in full or in at most five cells."""
        jobs, number = self._jobs(state), list(JobState).index(state) + 1
        amount = "?" if jobs is None else "·" if not jobs else count(jobs) if long else short(jobs)
        room = self._amounts[state, long] = max(self._amounts.get((state, long), 1), len(amount))
        if named:
            return f" {number} {state.value} {amount.ljust(room)}"
        return f" {number}{_BESIDE if jobs != 0 else ' '}{amount.ljust(room)}"

    def _named(self, width: int, *, long: bool) -> list[tuple[JobState, str]]:
        """The tabs, with as many names as fit: that of the state shown, those with jobs, others."""
        order = [self._state, *(one for one in _BY_WORTH if one in self._held), *_BY_WORTH]
        tabs = {state: self._tab(state, named=False, long=long) for state in JobState}
        is_full = False
        for state in dict.fromkeys(order):
            wanted = tabs | {state: self._tab(state, named=True, long=long)}
            fits = sum(map(cell_len, wanted.values())) <= width
            if state is self._state or (fits and (state in self._held or not is_full)):
                tabs = wanted
            else:
                is_full = True  # no empty state has a name where one that holds jobs has none
        return list(tabs.items())

    def render_line(self, y: int) -> Strip:
        """The tabs: a name for each state that holds jobs goes before counts in full."""
        width = self.size.width
        tabs = self._named(width, long=True)
        if any(state.value not in words for state, words in tabs if state in self._held):
            tabs = self._named(width, long=False)
        segments, end = [], 0
        self._ends = []
        for state, words in tabs:
            end += cell_len(words)
            self._ends.append((end, state))
            # The key is fainter than the name, so that a line of numbers reads as tabs.
            key, rest = (words[:2], words[2:]) if state is not self._state else ("", words)
            segments.append(Segment(key, self.part("key")))
            segments.append(Segment(rest, self._look(state)))
        return strip(segments, width, self.rich_style)

    def _look(self, state: JobState) -> Style:
        if state is self._state:
            return self.part("strong") + Style(reverse=True)
        has_jobs = self._status is not None and self._status.counts.get(state) != 0
        if state is JobState.FAILED and has_jobs:
            return self.part("bad")
        return Style() if has_jobs else self.part("faint")

    def on_click(self, event: events.Click) -> None:
        """Chooses the tab under the pointer."""
        for end, state in self._ends:
            if event.x < end:
                self.post_message(self.Chosen(state))
                return


class KeyBar(Bar):
    """What the next key can be: the actions of the part of the screen that has the focus."""

    def show(
        self, lead: str, keys: Sequence[tuple[str, str]], always: Sequence[tuple[str, str]]
    ) -> None:
        """Shows as many keys with their labels as fit, after the lead and before ``always``."""
        tail = [piece for one in always for piece in self._pieces(*one)]
        room = self.size.width - sum(cell_len(words) for words, _ in tail)
        pieces: list[tuple[str, str]] = [(f" {lead}   " if lead else " ", "strong")]
        for one in keys:
            more = [*pieces, *self._pieces(*one)]
            if sum(cell_len(words) for words, _ in more) <= room:  # a shorter one may fit
                pieces = more
        self.say(pieces, tail)

    @staticmethod
    def _pieces(key: str, label: str) -> list[tuple[str, str]]:
        return [(key, "key"), (f" {label}  ", "faint")]


_SLOW: Final = 0.1
"""Seconds from which a round trip is worth a look."""


def _milliseconds(seconds: float) -> str:
    """A round trip in ms: ``0.2``, ``12``, ``1,395``."""
    return f"{seconds * 1000:.1f}" if seconds < 0.01 else count(round(seconds * 1000))


def header(
    profile: str, where: str, server: str, round_trip: float | None, mode: str, room: int
) -> list[tuple[str, str]]:
    """The pieces of the top line's left side, in ``room`` cells: the address gives way first."""
    rest = " qtui " + (f" {profile} " if profile else "") + f" {server}  {mode}  ping 0000 ms "
    where = fit(plain(where), max(8, min(cell_len(plain(where)), room - cell_len(rest) - 2)))
    pieces = [(" qtui ", "strong")]
    if profile:
        pieces.append((f" {plain(profile)} ", "key"))
    pieces.append((f" {where} ", ""))
    pieces.append((f" {plain(server)} ", "faint"))
    if round_trip is not None:
        slow = round_trip >= _SLOW
        pieces.append((f" ping {_milliseconds(round_trip)} ms ", "warn" if slow else "faint"))
    pieces.append((f" {mode} ", "bad" if mode.startswith("lost") else "faint"))
    return pieces


def about(status: QueueStatus, workers: Mapping[QueueKey, int | None] | None) -> str:
    """The queue's release, its workers, and its concurrency limit."""
    version = plain(status.version).removeprefix("bullmq:")
    words = [f"{status.kind.value} {version}".strip()]
    if workers is not None and status.queue in workers:
        seen = workers[status.queue]
        some = plural(seen, "worker") if seen else "no worker seen"
        words.append("workers unknown: unnamed connections" if seen is None else some)
    if status.concurrency is not None:
        words.append(f"concurrency {status.concurrency}")
    return " · ".join(words)
