"""Text that was sent to the clipboard, to be taken by hand where the terminal has dropped it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from typing_extensions import override

from qtui.text import plain, size
from qtui.ui.actions import Where
from qtui.ui.keys import actions_of, bindings
from qtui.ui.widgets.bars import Bar, KeyBar
from qtui.ui.widgets.document import DocumentView
from qtui.views.document import Document, Section, Text


class CopiedScreen(Screen[None]):
    """The whole text, without frames beside it.

    Args:
        text: what was sent.
        what: what that is, plain.
        notes: what may be in the way of the clipboard.
        instead: a command that prints the text; empty for none.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.APP))

    DEFAULT_CSS = """
    CopiedScreen {
        layout: vertical;
        & > #title, & > #keys { background: $surface; }
        & > #text { height: 1fr; }
    }
    """

    def __init__(self, text: str, what: str, notes: Sequence[str], instead: str) -> None:
        super().__init__()
        self._text = text
        self._what = what
        self._notes = notes
        self._instead = instead

    @override
    def compose(self) -> ComposeResult:
        yield Bar(id="title")
        yield DocumentView(id="text")
        yield Bar(id="notes")
        yield Bar(id="by-hand")
        yield Bar(id="instead")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Shows the text."""
        view = self.query_one(DocumentView)
        view.show(Document((Section(self._what, Text(self._text), note=size(len(self._text))),)))
        view.focus()
        self._say("title", " Sent to the clipboard  ", "strong")
        self._say("notes", " · ".join(self._notes), "warn")
        hand = "Not there? Select it here with shift+drag (Mac: option+drag)"
        self._say("by-hand", hand, "")
        self._say("instead", f"In a shell: {plain(self._instead)}" if self._instead else "", "")
        self._draw_keys()

    def on_resize(self) -> None:
        """Other keys may fit now."""
        self._draw_keys()

    def _say(self, name: str, words: str, tone: str) -> None:
        bar = self.query_one(f"#{name}", Bar)
        bar.display = bool(words)
        bar.say([(f" {words.strip()}", tone)])

    def _draw_keys(self) -> None:
        always = [one for one in actions_of(Where.APP, read_only=True) if one.bar]
        self.query_one(KeyBar).show("esc leaves", [], always, {})

    def action_back(self) -> None:
        """Leaves."""
        if self.is_current:
            self.dismiss(None)

    def action_back_or_quit(self) -> None:
        """Leaves."""
        self.action_back()

    def action_copy_command(self) -> None:
        """Nothing: what is here was copied already."""
