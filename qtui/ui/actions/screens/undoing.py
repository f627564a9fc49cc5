"""Taking back what was done on a screen over the inspector."""

from __future__ import annotations

from qtui.ui.actions.action import LATE, Action, Where
from qtui.ui.actions.needs import no_journal, undo_if_any
from qtui.verbs import Verb


def undo_last(*, id: str, where: Where) -> Action:
    """The action that plans an undo of the last operation, as on the inspector."""
    return Action(
        id=id,
        keys=("U",),
        does="undo",
        label="undo",
        help="plan an undo of the last operation",
        where=where,
        dry="show the plan of an undo of the last operation, as a dry run",
        writes=True,
        verb=Verb.UNDO,
        bar=True,
        rank=LATE,
        says=undo_if_any,
        reason=no_journal,
    )
