"""Failures grouped by error."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.needs import is_busy, no_marks, not_retriable
from qtui.ui.actions.screens.panes import other_pane
from qtui.verbs import Verb


def cannot_mark(situation: Situation) -> str:
    """Why groups can't be marked: marks are there to retry their jobs."""
    return no_marks(situation) or not_retriable(situation)


def cannot_retry(situation: Situation) -> str:
    """Why the marked groups, or the one under the cursor, can't be retried."""
    if not situation.groups:
        return "There is no group here."
    if situation.mixed:
        return "These are errors of many kinds; filter the list first."
    return not_retriable(situation) or is_busy(situation)


def cannot_retry_all(situation: Situation) -> str:
    """Why all groups, or the marked ones, can't be retried."""
    if situation.has_marks:
        return cannot_retry(situation)
    return not_retriable(situation) or is_busy(situation)


GROUPS: Final = (
    Action(
        id="groups.retry",
        keys=("r",),
        does="retry",
        label="retry",
        help="plan a retry of the marked groups, or of the group under the cursor",
        where=Where.GROUPS,
        dry="show the plan of a retry of the group under the cursor, as a dry run",
        dry_label="dry run",
        writes=True,
        verb=Verb.RETRY,
        bar=True,
        reason=cannot_retry,
    ),
    Action(
        id="groups.mark",
        keys=("space",),
        does="mark",
        label="mark",
        help="mark or unmark the group; pressed again, the next group too",
        where=Where.GROUPS,
        writes=True,
        verb=Verb.RETRY,
        bar=True,
        reason=cannot_mark,
    ),
    Action(
        id="groups.mark-all",
        keys=("a",),
        does="mark_all",
        label="mark all",
        help="mark all groups; if all are marked, unmark them",
        where=Where.GROUPS,
        writes=True,
        verb=Verb.RETRY,
        reason=cannot_mark,
    ),
    Action(
        id="groups.retry-all",
        keys=("R",),
        does="retry_all",
        label="retry all groups",
        help="plan a retry of all groups; if some are marked, of those",
        where=Where.GROUPS,
        dry="show the plan of a retry of all groups, as a dry run",
        dry_label="dry run of all",
        writes=True,
        verb=Verb.RETRY,
        bar=True,
        says=lambda situation: "" if situation.has_marks else "retry all groups",
        reason=cannot_retry_all,
    ),
    Action(
        id="groups.refresh",
        keys=("ctrl+r", "f5"),
        does="again",
        label="refresh",
        help="count again",
        where=Where.GROUPS,
    ),
    other_pane(
        id="groups.other-pane", where=Where.GROUPS, help="go to the list, or to the group below it"
    ),
)
