"""What the doctor has found."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.screens.panes import other_pane


def cannot_fix(situation: Situation) -> str:
    """A finding that an action mends is needed."""
    one = situation.finding
    if one is None:
        return "There is no finding here."
    if situation.running:
        return "Another action is still running on this queue."
    return "" if one.mend is not None else "No action of qtui fixes this: see what to do."


def nothing_unread(situation: Situation) -> str:
    """Something that was not read is needed to read it."""
    if situation.examining:
        return "Still examining ({doctor.stop} stops)."
    return "" if situation.unread else "All jobs and keys have been read."


def not_examining(situation: Situation) -> str:
    """An examination is needed to stop it."""
    return "" if situation.examining else "No examination is running."


DOCTOR: Final = (
    Action(
        id="doctor.fix",
        keys=("f",),
        does="fix",
        label="fix",
        help="plan the action that fixes what is under the cursor",
        where=Where.DOCTOR,
        dry="show the plan of what would fix it, as a dry run",
        dry_label="fix (dry run)",
        writes=True,
        bar=True,
        reason=cannot_fix,
    ),
    Action(
        id="doctor.deep",
        keys=("d",),
        does="deep",
        label="read all",
        help="examine again, with every job and key, however many there are",
        where=Where.DOCTOR,
        bar=True,
        reason=nothing_unread,
    ),
    Action(
        id="doctor.stop",
        keys=("x",),
        does="stop",
        label="stop",
        help="stop the examination; what it has found stays",
        where=Where.DOCTOR,
        bar=True,
        reason=not_examining,
    ),
    Action(
        id="doctor.again",
        keys=("ctrl+r", "f5"),
        does="again",
        label="examine again",
        help="examine again from the beginning",
        where=Where.DOCTOR,
    ),
    other_pane(
        id="doctor.other-pane",
        where=Where.DOCTOR,
        help="go to the list, or to the details below it",
    ),
)
