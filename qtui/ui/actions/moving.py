"""Moving in lists, documents and dialogs."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import AFTER_JOBS, Action, Where

MOVING: Final = (
    Action(
        id="move.down",
        keys=("j", "down"),
        does="cursor_down",
        label="down",
        help="move down one row",
        where=Where.MOVE,
    ),
    Action(
        id="move.up",
        keys=("k", "up"),
        does="cursor_up",
        label="up",
        help="move up one row",
        where=Where.MOVE,
    ),
    Action(
        id="move.page-down",
        keys=("pagedown", "ctrl+f"),
        does="page_down",
        label="page down",
        help="move down one page",
        where=Where.MOVE,
    ),
    Action(
        id="move.page-up",
        keys=("pageup", "ctrl+b"),
        does="page_up",
        label="page up",
        help="move up one page",
        where=Where.MOVE,
    ),
    Action(
        id="move.first",
        keys=("g", "home"),
        does="cursor_home",
        label="first",
        help="go to the first row",
        where=Where.MOVE,
    ),
    Action(
        id="move.last",
        keys=("G", "end"),
        does="cursor_end",
        label="last",
        help="go to the last row",
        where=Where.MOVE,
    ),
    Action(
        id="move.enter",
        keys=("enter",),
        does="select",
        label="open",
        help="open the row",
        where=Where.MOVE,
        bar=True,
        rank=AFTER_JOBS,
        says=lambda situation: situation.enter,
    ),
)
