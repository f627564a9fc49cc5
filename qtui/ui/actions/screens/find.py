"""One search over all queues and states."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

FIND: Final = (
    Action(
        id="find.filter",
        keys=("slash", "F"),
        does="filter",
        label="search for",
        help="search for something else: an id, part of a name, or a filter",
        where=Where.FIND,
        bar=True,
    ),
    Action(
        id="find.refresh",
        keys=("ctrl+r", "f5"),
        does="again",
        label="search again",
        help="search again; a search that was stopped continues",
        where=Where.FIND,
    ),
)
