"""The plan of a retry."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where


def cannot_go(situation: Situation) -> str:
    """Why the plan can't be carried out."""
    if situation.read_only:
        return "READ-ONLY: this is a dry run, nothing will be written"
    if not situation.planned:
        return "The plan is still being read."
    return "" if situation.jobs else "There is nothing to retry."


PLAN: Final = (
    Action(
        id="plan.reset-made",
        keys=("m",),
        does="toggle_made",
        label="reset attempts made",
        help="give the job all its attempts again",
        where=Where.PLAN,
        bar=True,
    ),
    Action(
        id="plan.reset-started",
        keys=("s",),
        does="toggle_started",
        label="reset attempts started",
        help="reset the number of starts, which maxStartedAttempts limits (BullMQ ≥5.59)",
        where=Where.PLAN,
        bar=True,
    ),
    Action(
        id="plan.rate",
        keys=("t",),
        does="rate",
        label="rate",
        help="jobs per second: no limit, 10, 50, 200 or 1,000",
        where=Where.PLAN,
        bar=True,
    ),
    Action(
        id="plan.canary",
        keys=("c",),
        does="canary",
        label="canary",
        help="retry some jobs first and go on only if they do well: none, 20 or 100",
        where=Where.PLAN,
        bar=True,
    ),
    Action(
        id="plan.go",
        keys=("y",),
        does="go",
        label="retry",
        help="start the retry",
        where=Where.PLAN,
        writes=True,
        bar=True,
        reason=cannot_go,
    ),
    Action(
        id="plan.leave",
        keys=("escape", "q"),
        does="leave",
        label="cancel",
        help="close the plan; nothing is changed",
        where=Where.PLAN,
        bar=True,
    ),
)
