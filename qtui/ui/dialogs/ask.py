"""A question that is answered with yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from typing_extensions import override

from qtui.ui.actions import Where
from qtui.ui.dialogs.base import GAP, Dialog, key_hint
from qtui.ui.keys import bindings


class AskDialog(Dialog[bool]):
    """One question; ``y`` answers yes, anything that leaves answers no."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.ASK))
    PARTS = (Where.ASK, Where.MOVE)
    SCROLLED = ("question",)

    DEFAULT_CSS = "AskDialog #frame { border: round $warning; }"

    def __init__(self, question: str, yes: str, no: str) -> None:
        super().__init__()
        self._question, self._yes, self._no = question, yes, no

    @property
    @override
    def title_text(self) -> str:
        """That an answer is needed."""
        return "Confirm"

    @override
    def parts(self) -> dict[str, Content]:
        """The question, and the two answers."""
        answers = GAP.join([key_hint("y", self._yes), key_hint("esc", self._no)])
        return {"question": Content(self._question), "answer": answers}

    def action_answer(self, yes: bool) -> None:
        """Closes the question."""
        self.answer(yes)
