"""The timeline above the list."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

TIMELINE: Final = (
    Action(
        id="timeline.earlier",
        keys=("left", "h"),
        does="earlier",
        label="earlier",
        help="go to the previous bar",
        where=Where.TIMELINE,
    ),
    Action(
        id="timeline.later",
        keys=("right", "l"),
        does="later",
        label="later",
        help="go to the next bar",
        where=Where.TIMELINE,
    ),
    Action(
        id="timeline.extend-earlier",
        keys=("shift+left",),
        does="extend(-1)",
        label="extend back",
        help="move the end of the range one bar back",
        where=Where.TIMELINE,
    ),
    Action(
        id="timeline.extend-later",
        keys=("shift+right",),
        does="extend(1)",
        label="extend forward",
        help="move the end of the range one bar forward",
        where=Where.TIMELINE,
    ),
    Action(
        id="timeline.first",
        keys=("g", "home"),
        does="first",
        label="oldest bar",
        help="go to the oldest bar",
        where=Where.TIMELINE,
    ),
    Action(
        id="timeline.last",
        keys=("G", "end"),
        does="last",
        label="newest bar",
        help="go to the newest bar",
        where=Where.TIMELINE,
    ),
    Action(
        id="timeline.longer",
        keys=("k", "up"),
        does="longer",
        label="longer",
        help="show a longer time: 5 min, 1 h, 24 h, all",
        where=Where.TIMELINE,
        bar=True,
    ),
    Action(
        id="timeline.shorter",
        keys=("j", "down"),
        does="shorter",
        label="shorter",
        help="show a shorter time",
        where=Where.TIMELINE,
        bar=True,
    ),
    Action(
        id="timeline.choose",
        keys=("enter",),
        does="choose",
        label="filter",
        help="filter the list to the selected bars",
        where=Where.TIMELINE,
        bar=True,
    ),
)
