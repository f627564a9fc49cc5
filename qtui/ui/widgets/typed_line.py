"""A line in which text is typed: a filter, a reason, a name that confirms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class TypedLine(Input):
    """One line of text between two others; it posts what was typed when it is entered."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("up", "older", show=False),
        Binding("down", "newer", show=False),
    ]

    DEFAULT_CSS = """
    TypedLine, TypedLine:focus {
        height: 1; border: none; padding: 0 1; background: $surface;
    }
    """

    @dataclass
    class Shown(Message):
        """It was opened or closed."""

        shown: bool

    @dataclass
    class Entered(Message):
        """The line is done."""

        text: str

    class Left(Message):
        """Nothing is to be changed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)
        self._past: list[str] = []
        self._at = 0

    def open(self, text: str, hint: str) -> None:
        """Asks for a line, beginning with a text; ``hint`` is shown while it is empty."""
        self.placeholder = hint
        self.value = text
        self.cursor_position = len(text)
        self._at = len(self._past)
        self.display = True
        self.post_message(self.Shown(True))
        # At once, not soon as `focus` does: keys that came in one go would act on the list.
        self.screen.set_focus(self)

    def take(self, event: events.Key) -> bool:
        """Takes a character that was on its way to the list when the line was opened.

        What comes over a slow line arrives in one go.
        """
        text = event.character or event.key
        if len(text) != 1 or not text.isprintable():
            return False
        self.insert_text_at_cursor(text)
        return True

    def column(self, position: int) -> int:
        """The cell of the screen's line that shows a character of the text."""
        before = cell_len(self.value[:position])
        return self.content_region.x + before - self.scroll_offset.x

    def close(self) -> None:
        """Takes the line away."""
        self.display = False
        self.post_message(self.Shown(False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The line is done."""
        event.stop()
        if self.value.strip() and self.value not in self._past:
            self._past.append(self.value)
        self.post_message(self.Entered(self.value))

    def action_leave(self) -> None:
        """Leaves all as it is."""
        self.post_message(self.Left())

    def action_older(self) -> None:
        """The line that was entered before."""
        self._recall(self._at - 1)

    def action_newer(self) -> None:
        """The line that was entered after."""
        self._recall(self._at + 1)

    def _recall(self, place: int) -> None:
        if 0 <= place < len(self._past):
            self._at = place
            self.value = self._past[place]
            self.cursor_position = len(self.value)
