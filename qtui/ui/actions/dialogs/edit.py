"""What of a job is to be edited."""

from __future__ import annotations

from typing import Final

from qtui.bullmq.model import JobState
from qtui.ui.actions.action import Action, Situation, Where


def not_delayed(situation: Situation) -> str:
    """Only a delayed job has a delay that can be changed."""
    if situation.state is JobState.DELAYED:
        return ""
    return "Only a delayed job has a delay that can be changed."


EDIT: Final = (
    Action(
        id="edit.data",
        keys=("e",),
        does="data",
        label="data",
        help="edit the data in $VISUAL or $EDITOR; then its plan opens",
        where=Where.EDIT,
        writes=True,
        bar=True,
    ),
    Action(
        id="edit.priority",
        keys=("p",),
        does="priority",
        label="priority",
        help="type a new priority: 0 for none, 1 runs first; then its plan opens",
        where=Where.EDIT,
        writes=True,
        bar=True,
    ),
    Action(
        id="edit.delay",
        keys=("d",),
        does="delay",
        label="delay",
        help="type when a delayed job becomes due, from now: 90s, 1h30m; then its plan opens",
        where=Where.EDIT,
        writes=True,
        bar=True,
        reason=not_delayed,
    ),
    Action(
        id="edit.leave",
        keys=("escape", "q"),
        does="leave",
        label="cancel",
        help="close the dialog; nothing is changed",
        where=Where.EDIT,
        bar=True,
    ),
)
