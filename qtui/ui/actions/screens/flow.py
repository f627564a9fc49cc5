"""The flow of a job."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Situation, Where
from qtui.ui.actions.needs import nothing_to_stop
from qtui.ui.actions.screens.panes import other_pane
from qtui.verbs import Verb


def cannot_rerun(situation: Situation) -> str:
    """One rerun at a time."""
    return "A rerun is already running ({flow.stop} stops it)." if situation.running else ""


FLOW: Final = (
    Action(
        id="flow.rerun",
        keys=("r",),
        does="rerun",
        label="rerun",
        help="plan a rerun of the flow: its failed jobs only, or all jobs",
        where=Where.FLOW,
        dry="show the plan of a rerun of the flow, as a dry run",
        dry_label="dry run",
        writes=True,
        verb=Verb.RERUN,
        bar=True,
        reason=cannot_rerun,
    ),
    Action(
        id="flow.refresh",
        keys=("ctrl+r", "f5"),
        does="again",
        label="refresh",
        help="refresh the flow; rerun results stay",
        where=Where.FLOW,
    ),
    Action(
        id="flow.stop",
        keys=("x",),
        does="stop",
        label="stop",
        help="stop the rerun after the current call",
        where=Where.FLOW,
        writes=True,
        bar=True,
        reason=nothing_to_stop,
    ),
    other_pane(
        id="flow.other-pane", where=Where.FLOW, help="go to the tree, or to the job below it"
    ),
)
