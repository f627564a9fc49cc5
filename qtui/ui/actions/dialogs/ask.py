"""A question that is answered with yes or no."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

ASK: Final = (
    Action(
        id="ask.yes",
        keys=("y",),
        does="answer(True)",
        label="yes",
        help="answer yes",
        where=Where.ASK,
    ),
    Action(
        id="ask.no",
        keys=("escape", "n", "q"),
        does="answer(False)",
        label="no",
        help="answer no; nothing is done",
        where=Where.ASK,
    ),
)
