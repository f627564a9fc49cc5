"""The deduplication keys of a queue: who holds each, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from qtui.bullmq.reads.limits import DeduplicationKey
from qtui.text import plain, span
from qtui.ui.widgets.cursor_list import GAP, CursorList, fit, fit_ends, strip
from qtui.views.limits import key_words

LOOKING: Final = "looking for deduplication keys …"
"""What the list shows until all were looked for."""

_EXPIRES: Final = 11
"""Cells of how long a key lives on."""


class KeyList(CursorList):
    """Deduplication keys, in the order of their ids."""

    PREFIX = "key-list"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "key-list--head",
        "key-list--cursor",
        "key-list--cursor-blurred",
        "key-list--mark",
        "key-list--faint",
        "key-list--bad",
    }

    DEFAULT_CSS = """
    KeyList {
        height: 1fr;
        & > .key-list--head { color: $text-muted; }
        & > .key-list--cursor { background: $accent-muted; text-style: bold; }
        & > .key-list--cursor-blurred { background: $surface; }
        & > .key-list--mark { color: $text-accent; text-style: bold; }
        & > .key-list--faint { color: $text-muted; }
        & > .key-list--bad { color: $text-error; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: Sequence[DeduplicationKey] = ()
        self._words = LOOKING

    @property
    def selected(self) -> DeduplicationKey | None:
        """The key under the cursor."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    @property
    def length(self) -> int:
        """How many keys there are."""
        return len(self._keys)

    def show(self, keys: Sequence[DeduplicationKey], words: str) -> None:
        """Shows keys; the cursor stays with its key. ``words`` are shown if there are none."""
        here = self.selected
        self._keys, self._words = keys, words
        if here is not None:
            place = next((at for at, one in enumerate(keys) if one.id == here.id), self.cursor)
            self.set_reactive(CursorList.cursor, place)
        self.measure()
        self.settle()
        self.refresh()

    def _columns(self, width: int) -> tuple[int, int]:
        """The widths of id and owner."""
        rest = max(0, width - 1 - _EXPIRES - 3 * GAP)
        return rest * 2 // 5, rest // 5

    def head(self, width: int) -> Strip:
        """The names of the columns."""
        ids, owners = self._columns(width)
        cells = [fit("dedup key", ids), fit("held by job", owners)]
        cells.append(fit("expires in", _EXPIRES, right=True))
        text = " " + (" " * GAP).join(cells)
        return strip([Segment(text, self.part("head"))], width, self.rich_style)

    def beyond(self, place: int, width: int) -> Strip:
        """What an empty list has to say."""
        if place == 1 and not self._keys:
            text = Segment(f"   {self._words}", self.part("faint"))
            return strip([text], width, self.rich_style)
        return Strip.blank(width, self.rich_style)

    def line(self, place: int, width: int, base: Style) -> Strip:
        """One key."""
        one, (ids, owners) = self._keys[place], self._columns(width)
        expires = "never" if one.left < 0 else span(one.left)
        segments = [
            Segment("▌" if place == self.cursor else " ", self.part("mark")),
            Segment(fit_ends(plain(one.id), ids) + " " * GAP),
            Segment(
                fit_ends(plain(one.owner), owners), Style() if one.exists else self.part("bad")
            ),
            Segment(" " * GAP + fit(expires, _EXPIRES, right=True) + " " * GAP),
            Segment(key_words(exists=one.exists, has_next=one.has_next), self.part("faint")),
        ]
        return strip(segments, width, base)
