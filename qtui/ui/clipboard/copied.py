"""Text that was sent to the clipboard, to be taken by hand where the terminal has dropped it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from typing_extensions import override

from qtui.text import plain, size
from qtui.ui.actions import Situation, Where
from qtui.ui.base import QtuiScreen
from qtui.ui.keys import bindings
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, KeyBar
from qtui.ui.widgets.document import DocumentView
from qtui.views.document import Document, Section, Text


class CopiedScreen(QtuiScreen[None]):
    """The whole text, without frames beside it.

    Args:
        session: the connection.
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

    def __init__(
        self, session: Session, text: str, what: str, notes: Sequence[str], instead: str
    ) -> None:
        super().__init__(session)
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
        self._show("title", " Sent to the clipboard (terminals do not confirm it)", "strong")
        self._show("notes", " · ".join(self._notes), "warn")
        hand = "Nothing to paste? Select the text here with shift+drag (Mac: option+drag)."
        self._show("by-hand", hand, "")
        self._show("instead", f"In a shell: {plain(self._instead)}" if self._instead else "", "")
        self.draw_keys()

    def _show(self, name: str, words: str, tone: str) -> None:
        bar = self.query_one(f"#{name}", Bar)
        bar.display = bool(words)
        bar.say([(f" {words.strip()}", tone)])

    @override
    def situation(self) -> Situation:
        """What is here was copied already."""
        return Situation(has_command=False)

    @override
    def key_lead(self) -> str:
        """The way out."""
        return f"{self.key('app.back')} closes"

    def action_back(self) -> None:
        """Leaves."""
        if self.is_current:
            self.dismiss(None)

    def action_back_or_quit(self) -> None:
        """Leaves."""
        self.action_back()
