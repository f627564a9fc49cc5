"""The journal of past operations."""

from __future__ import annotations

from typing import Final

from qtui.text import plain, plural
from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.needs import is_busy
from qtui.ui.actions.screens.panes import other_pane
from qtui.verbs import NOUNS, RESUMABLE, Verb, verb_of


def cannot_resume(situation: Situation) -> str:
    """Why the operation under the cursor can't be resumed."""
    one = situation.campaign
    if situation.read_only:
        return "Read-only: actions are off."
    if one is None:
        return "There is no operation here."
    action = plain(one.header.action)
    if one.ended and one.phase == "done":
        is_retry = action == Verb.RETRY and not one.header.flow
        after = " (after a failover: qtui retry --resume)" if is_retry else ""
        noun = NOUNS.get(one.header.selection.kind, "job")
        return f"This {action} is complete: {plural(one.jobs, noun)}{after}."
    if situation.is_own and situation.stoppable:
        return f"This {action} is still running ({{app.back}}, then {{jobs.stop}} stops it)."
    if one.running and not situation.is_own:
        return f"Another qtui process runs or follows this {action}; end that one first."
    if one.header.flow:
        return "This was a rerun of a flow; rerun the flow to continue."
    if verb_of(one.header.action) not in RESUMABLE:
        return f"An interrupted {action} is not resumed: plan it again."
    return is_busy(situation)


def cannot_undo(situation: Situation) -> str:
    """Why the operation under the cursor can't be undone."""
    one = situation.campaign
    if one is None:
        return "There is no operation here."
    if situation.running or (one.under_way and not situation.is_own):
        return "It is still running: stop it first."
    return situation.no_undo and f"{situation.no_undo[:1].upper()}{situation.no_undo[1:]}."


JOURNAL: Final = (
    Action(
        id="journal.resume",
        keys=("r",),
        does="resume",
        label="resume",
        help="resume a retry, a promotion, a removal or an undo that was cut off or stopped",
        where=Where.JOURNAL,
        writes=True,
        bar=True,
        reason=cannot_resume,
    ),
    Action(
        id="journal.undo",
        keys=("u",),
        does="undo",
        label="undo",
        help="plan an undo of the operation",
        where=Where.JOURNAL,
        dry="show the plan of an undo of the operation, as a dry run",
        writes=True,
        verb=Verb.UNDO,
        bar=True,
        reason=cannot_undo,
    ),
    other_pane(
        id="journal.other-pane",
        where=Where.JOURNAL,
        help="go to the list, or to the details below it",
    ),
)
