"""The queues that have a job of one id."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

PLACES: Final = (
    Action(
        id="places.leave",
        keys=("escape", "q"),
        does="leave",
        label="cancel",
        help="close the list; nothing is changed",
        where=Where.PLACES,
    ),
)
