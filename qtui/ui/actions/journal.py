"""The journal of past retries."""

from __future__ import annotations

from typing import Final

from qtui.text import plural
from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.needs import is_busy


def cannot_resume(situation: Situation) -> str:
    """Why the retry under the cursor can't be resumed."""
    one = situation.campaign
    if situation.read_only:
        return "Read-only: retries are off."
    if one is None:
        return "There is no retry here."
    if one.ended and one.phase == "done":
        after = "" if one.header.flow else " (after a failover: qtui retry --resume)"
        return f"This retry is complete: {plural(one.jobs, 'job')}{after}."
    if situation.is_own and situation.stoppable:
        return "This retry is still running (esc, then x stops it)."
    if one.running and not situation.is_own:
        return "Another qtui process runs or follows this retry; end that one first."
    if one.header.flow:
        return "This was a rerun of a flow; rerun the flow to continue."
    return is_busy(situation)


JOURNAL: Final = (
    Action(
        id="journal.resume",
        keys=("r",),
        does="resume",
        label="resume",
        help="resume a retry that was cut off or stopped",
        where=Where.JOURNAL,
        writes=True,
        bar=True,
        reason=cannot_resume,
    ),
    Action(
        id="journal.other-pane",
        keys=("tab", "shift+tab"),
        does="app.focus_next",
        label="other pane",
        help="go to the list, or to the details below it",
        where=Where.JOURNAL,
    ),
)
