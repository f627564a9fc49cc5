"""The plan of a rerun."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.dialogs.plan import no_reason


def cannot_go(situation: Situation) -> str:
    """Why the plan can't be carried out."""
    if situation.dry:
        return f"{situation.dry}: this is a dry run; nothing will be written"
    if not situation.planned:
        return "The plan is still being read."
    return "" if situation.jobs else "There is nothing to rerun."


def no_lost_children(situation: Situation) -> str:
    """Children whose job is gone are needed to leave them out."""
    return "" if situation.lost_children else "No child of this flow is gone."


RERUN: Final = (
    Action(
        id="rerun.start",
        keys=("tab",),
        does="turn",
        label="failed or all",
        help="switch between all jobs and failed jobs only",
        where=Where.RERUN,
        bar=True,
    ),
    Action(
        id="rerun.reset-made",
        keys=("m",),
        does="toggle_made",
        label="reset attempts made",
        help="reset attempts made to 0: each job gets all its attempts again",
        where=Where.RERUN,
        bar=True,
    ),
    Action(
        id="rerun.reset-started",
        keys=("s",),
        does="toggle_started",
        label="reset attempts started",
        help="reset attempts started to 0, which maxStartedAttempts limits (BullMQ ≥5.59)",
        where=Where.RERUN,
        bar=True,
    ),
    Action(
        id="rerun.drop-lost",
        keys=("d",),
        does="toggle_lost",
        label="drop lost children",
        help="let parents run without the children whose job is gone",
        where=Where.RERUN,
        bar=True,
        reason=no_lost_children,
    ),
    Action(
        id="rerun.reason",
        keys=("R",),
        does="reason",
        label="reason",
        help="type a reason, which the journal keeps",
        where=Where.RERUN,
        bar=True,
        reason=no_reason,
    ),
    Action(
        id="rerun.go",
        keys=("y",),
        does="go",
        label="rerun",
        help="start the rerun",
        where=Where.RERUN,
        writes=True,
        bar=True,
        reason=cannot_go,
    ),
    Action(
        id="rerun.leave",
        keys=("escape", "q"),
        does="leave",
        label="cancel",
        help="close the plan; nothing is changed",
        where=Where.RERUN,
        bar=True,
    ),
)
