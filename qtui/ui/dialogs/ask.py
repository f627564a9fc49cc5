"""A question that is answered with yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from typing_extensions import override


class AskDialog(ModalScreen[bool]):
    """One question; ``y`` answers yes, anything that leaves answers no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    DEFAULT_CSS = """
    AskDialog { align: center middle; background: $background 60%; }
    AskDialog > Vertical {
        width: auto; max-width: 90%; height: auto;
        border: round $warning; padding: 1 2; background: $surface;
    }
    AskDialog Static { width: auto; }
    """

    def __init__(self, question: str, yes: str, no: str) -> None:
        super().__init__()
        self._question, self._yes, self._no = question, yes, no

    @override
    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._question))
            yield Static(
                Content.assemble(
                    "\n",
                    ("y", "bold $accent"),
                    f" {self._yes}     ",
                    ("esc", "bold $accent"),
                    f" {self._no}",
                )
            )

    def action_answer(self, yes: bool) -> None:
        """Closes the question."""
        self.dismiss(yes)
