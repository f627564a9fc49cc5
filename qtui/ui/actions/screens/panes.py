"""What screens of a list and what is below it share."""

from __future__ import annotations

from qtui.ui.actions.action import Action, Where


def other_pane(*, id: str, where: Where, help: str) -> Action:
    """The action that goes from the list to what is below it, and back."""
    return Action(
        id=id,
        keys=("tab", "shift+tab"),
        does="app.focus_next",
        label="other pane",
        help=help,
        where=where,
    )
