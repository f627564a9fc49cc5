"""Groups of errors, the largest first; the cursor follows its group while counts grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from qtui.text import age, count
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, strip
from qtui.views.errors.groups import ErrorGroup, ErrorGroups, group_words

_NAMES: Final = 18
_MANY_NAMES: Final = 36
"""Cells of the names of jobs, and where there is much room."""

_ROOMY: Final = 110
"""Cells with which an error has room for more than a word before it."""


class GroupList(CursorList):
    """The groups of a hunt: count, share, first and last seen, names, the error."""

    PREFIX = "group-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "group-list--head",
        "group-list--cursor",
        "group-list--cursor-blurred",
        "group-list--mark",
        "group-list--faint",
        "group-list--bad",
        "group-list--new",
        "group-list--again",
    }

    DEFAULT_CSS = """
    GroupList {
        height: 1fr;
        & > .group-list--head { color: $text-muted; }
        & > .group-list--cursor { background: $accent-muted; text-style: bold; }
        & > .group-list--cursor-blurred { background: $surface; }
        & > .group-list--mark { color: $text-accent; text-style: bold; }
        & > .group-list--faint { color: $text-muted; }
        & > .group-list--bad { color: $text-error; }
        & > .group-list--new { color: $text-accent; text-style: bold; }
        & > .group-list--again { color: $text-warning; text-style: bold; }
    }
    """

    class Moved(Message):
        """The cursor moved to another group."""

    def __init__(
        self,
        marked: set[str],
        *,
        everywhere: bool,
        news: Callable[[ErrorGroup], tuple[str, str]],
        id: str | None = None,
    ) -> None:
        """An empty list; see `show`.

        Args:
            marked: the filters of the groups that are marked.
            everywhere: whether the groups are those of several queues.
            news: what is to be seen of a group before its error, and the style of that: ``new`` or
                ``again``.
            id: the widget's id.
        """
        super().__init__(id=id)
        self._news = news
        self.marked = marked
        """The filters of the groups that are marked."""
        self._everywhere = everywhere
        self._groups: Sequence[ErrorGroup] = ()
        self._counted = ErrorGroups()
        self._words = ""
        self._moved = False

    def show(self, counted: ErrorGroups, words: str) -> None:
        """Shows newer counts, the largest group first; ``words`` are what an empty list says."""
        here = self.group
        while here is not None and here.into is not None:  # it has become a part of another
            here = here.into
        groups = counted.largest_first()
        self._groups, self._counted, self._words = groups, counted, words
        # Until the user moves it, the cursor is on the largest.
        if self._moved and here is not None:
            wanted = here.filter
            places = (place for place, one in enumerate(groups) if one.filter == wanted)
            self.set_reactive(CursorList.cursor, next(places, self.cursor))
        self.measure()
        self.reveal()
        self.refresh()

    @property
    def group(self) -> ErrorGroup | None:
        """The group under the cursor."""
        return self._groups[self.cursor] if self.cursor < len(self._groups) else None

    @property
    def length(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def watch_cursor(self) -> None:
        """The user has moved the cursor (or the list has been mounted)."""
        self._moved = bool(self._groups)
        super().watch_cursor()
        self.post_message(self.Moved())

    # Drawing

    def _line(self, cells: Iterable[str]) -> str:
        return (" " * GAP).join(cells)

    def _widths(self, width: int) -> tuple[int, int, int]:
        """The width of counts, of queues, and of names: none where there is no room."""
        counts = max(5, len(count(self._counted.jobs)))
        queues = _NAMES if width < 140 else _MANY_NAMES
        queues = queues if self._everywhere and width >= 70 else 0
        # The lower half names them too.
        names = 0 if width < _ROOMY else _NAMES if width < 140 else _MANY_NAMES
        return counts, queues, names

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        counts, queues, names = self._widths(width)
        cells = [fit("jobs", counts, right=True), "share", "oldest", "newest"]
        cells += [fit("queues", queues)] if queues else []
        cells += [fit("names", names)] if names else []
        text = "   " + self._line([*cells, "error"])
        return strip([Segment(text, self.part("head"))], width, self.rich_style)

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._groups and self._words:
            text = Segment(f"   {self._words}", self.part("faint"))
            return strip([text], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def ages(self, place: int, now: float) -> str:
        """How long ago a group's first and last job failed."""
        return " ".join(_seen(self._groups[place], now))

    def _error(self, group: ErrorGroup, room: int, width: int) -> list[Segment]:
        """A group's error, behind what is to be seen of it beforehand."""
        words, tone = self._news(group)
        if words and width < _ROOMY:
            words = tone
        if not words:
            return [Segment(fit(group_words(group), room), self.part("bad"))]
        words = f"{words} · "
        error = fit(group_words(group), max(0, room - cell_len(words)))
        return [Segment(words, self.part(tone)), Segment(error, self.part("bad"))]

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One group."""
        group, now = self._groups[place], time.time() * 1000
        counts, queues, names = self._widths(width)
        percent = 100 * group.jobs / max(1, self._counted.jobs)
        share = f"{percent:.0f}%" if percent >= 1 else "<1%"
        faint = [fit(share, 5, right=True)]
        faint += [fit(words, 6, right=True) for words in _seen(group, now)]
        faint += [fit(group.some_queues(), queues)] if queues else []
        faint += [fit(group.some_names(), names)] if names else []
        marked = group.filter in self.marked
        facts = " " * GAP + self._line(faint) + " " * GAP
        room = max(0, width - 3 - counts - cell_len(facts))
        segments = [
            Segment("▌" if place == self.cursor else " ", self.part("mark")),
            Segment("● " if marked else "  ", self.part("mark")),
            Segment(fit(count(group.jobs), counts, right=True)),
            Segment(facts, self.part("faint")),
            *self._error(group, room, width),
        ]
        return strip(segments, width, base)


def _seen(group: ErrorGroup, now: float) -> list[str]:
    return ["?" if at is None else age(now - at) for at in group.seen]
