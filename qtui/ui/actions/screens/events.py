"""The events of a queue, or of all queues."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where
from qtui.ui.actions.screens.panes import other_pane

EVENTS: Final = (
    Action(
        id="events.filter",
        keys=("slash",),
        does="filter",
        label="filter",
        help="show only the events that match; name= is the name of the event",
        where=Where.EVENTS,
        bar=True,
    ),
    Action(
        id="events.next-failure",
        keys=("n",),
        does="next_failure",
        label="next failure",
        help="go down to the next failed or stalled event",
        where=Where.EVENTS,
        bar=True,
    ),
    Action(
        id="events.freeze",
        keys=("z",),
        does="freeze",
        label="freeze",
        help="freeze the events and count what comes; press again to resume",
        where=Where.EVENTS,
        bar=True,
        says=lambda situation: "resume" if situation.frozen else "freeze",
    ),
    Action(
        id="events.refresh",
        keys=("ctrl+r", "f5"),
        does="refresh_now",
        label="refresh",
        help="read what is new, and show it; ends a freeze",
        where=Where.EVENTS,
    ),
    other_pane(
        id="events.other-pane",
        where=Where.EVENTS,
        help="go to the list, or to the details below it",
    ),
)
