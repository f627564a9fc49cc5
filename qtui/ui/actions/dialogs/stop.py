"""Which of several campaigns is to be stopped."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

STOP: Final = (
    Action(
        id="stop.leave",
        keys=("escape", "q"),
        does="leave",
        label="cancel",
        help="close the list; everything keeps running",
        where=Where.STOP,
    ),
)
