"""The dialog that asks which of several campaigns is to be stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from typing_extensions import override

from qtui.ui.actions import Where
from qtui.ui.dialogs.base import Dialog, key_hint
from qtui.ui.keys import bindings
from qtui.views.running import Run

_MOST = 9


class StopDialog(Dialog[Run]):
    """Lists what is running; a digit answers with one of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.STOP),
        *(Binding(str(one), f"choose({one})", show=False) for one in range(1, _MOST + 1)),
    ]
    PARTS = (Where.STOP, Where.MOVE)
    WIDTH = 80
    SCROLLED = ("runs",)

    DEFAULT_CSS = "StopDialog #frame { border: round $warning; }"

    def __init__(self, runs: Sequence[Run]) -> None:
        super().__init__()
        self._runs = runs[:_MOST]

    @property
    @override
    def title_text(self) -> str:
        """What is asked."""
        return "Stop which?"

    @override
    def parts(self) -> dict[str, Content]:
        """The campaigns, each with its digit."""
        lines = [
            key_hint(str(number), f"{run.where}  {run.status()[0]}").truncate(
                self.room, ellipsis=True
            )
            for number, run in enumerate(self._runs, 1)
        ]
        return {
            "runs": Content("\n").join(lines),
            "answer": self.hint("stop.leave", "keep all running"),
        }

    def action_choose(self, number: int) -> None:
        """Answers with one of them."""
        if number <= len(self._runs):
            self.answer(self._runs[number - 1])
