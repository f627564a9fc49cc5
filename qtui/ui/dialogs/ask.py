"""A question that is answered with yes or no."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.content import Content
from typing_extensions import override

from qtui.ui.actions import Where
from qtui.ui.dialogs.base import GAP, Dialog
from qtui.ui.keys import bindings

_ARMED_AFTER: Final = 1.0
"""Seconds for which a question that opens by itself takes no answer: keys may be meant for what was
there before."""


class AskDialog(Dialog[bool]):
    """One question; ``y`` answers yes, anything that leaves answers no.

    Args:
        question: the question; plain text.
        yes: what yes does.
        no: what no does.
        unasked: whether it opens by itself, not by a key.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(Where.ASK))
    PARTS = (Where.ASK, Where.MOVE)
    SCROLLED = ("question",)

    DEFAULT_CSS = "AskDialog #frame { border: round $warning; }"

    def __init__(self, question: str, yes: str, no: str, *, unasked: bool = False) -> None:
        super().__init__()
        self._question, self._yes, self._no = question, yes, no
        self._armed_at = time.monotonic() + (_ARMED_AFTER if unasked else 0)

    @property
    def is_armed(self) -> bool:
        """Whether it takes an answer by now."""
        return time.monotonic() >= self._armed_at

    @property
    @override
    def title_text(self) -> str:
        """That an answer is needed."""
        return "Confirm"

    @override
    def parts(self) -> dict[str, Content]:
        """The question, and the two answers."""
        answers = GAP.join([self.hint("ask.yes", self._yes), self.hint("ask.no", self._no)])
        return {"question": Content(self._question), "answer": answers}

    def action_answer(self, yes: bool) -> None:
        """Closes the question."""
        if self.is_armed:
            self.answer(yes)
