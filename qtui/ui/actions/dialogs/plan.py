"""The plans of all actions but reruns: what their dialogs share, and the options of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from qtui.ui.actions.action import Action, Situation, Where


def cannot_go(situation: Situation) -> str:
    """Why the plan can't be carried out."""
    if situation.dry:
        return f"{situation.dry}: this is a dry run; nothing will be written"
    if not situation.planned:
        return "The plan is still being read."
    return "" if situation.jobs else "There is nothing to do."


def no_reason(situation: Situation) -> str:
    """Why no reason can be given: only what is carried out has one."""
    return "Read-only: nothing is written." if situation.read_only else ""


def offered(option: str) -> Callable[[Situation], str]:
    """The reason of an option, by its id, which only some plans have."""

    def reason(situation: Situation) -> str:
        return "" if option in situation.options else "This plan has no such option."

    return reason


PLAN: Final = (
    Action(
        id="plan.reset-made",
        keys=("m",),
        does="toggle_made",
        label="reset attempts made",
        help="reset attempts made to 0: each job gets all its attempts again",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.reset-made"),
    ),
    Action(
        id="plan.reset-started",
        keys=("s",),
        does="toggle_started",
        label="reset attempts started",
        help="reset attempts started to 0, which maxStartedAttempts limits (BullMQ ≥5.59)",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.reset-started"),
    ),
    Action(
        id="plan.children",
        keys=("b",),
        does="option('plan.children')",
        label="jobs below",
        help="also remove children, and their children",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.children"),
    ),
    Action(
        id="plan.without-undo",
        keys=("w",),
        does="option('plan.without-undo')",
        label="without undo",
        help="also remove jobs too large for the journal; they cannot be brought back",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.without-undo"),
    ),
    Action(
        id="plan.and-retry",
        keys=("a",),
        does="option('plan.and-retry')",
        label="and retry",
        help="retry the job in the same step",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.and-retry"),
    ),
    Action(
        id="plan.rate",
        keys=("t",),
        does="rate",
        label="rate",
        help="change the rate: no limit, 10, 50, 200 or 1,000 jobs per second",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.rate"),
    ),
    Action(
        id="plan.canary",
        keys=("c",),
        does="canary",
        label="canary",
        help="change the canary, the jobs that are retried and judged first: none, 20 or 100",
        where=Where.PLAN,
        bar=True,
        reason=offered("plan.canary"),
    ),
    Action(
        id="plan.reason",
        keys=("R",),
        does="reason",
        label="reason",
        help="type a reason, which the journal keeps",
        where=Where.PLAN,
        bar=True,
        reason=no_reason,
    ),
    Action(
        id="plan.go",
        keys=("y",),
        does="go",
        label="go",
        help="carry out the plan",
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
