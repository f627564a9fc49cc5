"""Rows of a list about queues, such as its workers or what is wrong with it. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from qtui.views.tone import Tone

GAP: Final = 2
"""Blank cells between two columns."""


class Cell(NamedTuple):
    """A cell of a list; plain text."""

    text: str
    tone: Tone = Tone.PLAIN


NOTHING: Final = Cell("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: how much room it takes, in cells. The last one takes what is left of a line.

    Unless it is aligned right.
    """

    name: str
    least: int
    most: int
    right: bool = False
    since: int = 0
    """Width of the list from which the column is shown."""


class Row(Protocol):
    """A line of a list."""

    @property
    def key(self) -> str:
        """What the cursor stays with when rows come and go."""

    def cells(self, now: float) -> Sequence[Cell]:
        """Returns a cell for each column; ``now`` in ms since the epoch."""


def widths(columns: Sequence[Column], needs: Sequence[int], room: int) -> list[int]:
    """Returns the width of each column of a line; 0 for those that are not shown.

    Args:
        columns: the columns.
        needs: what each would need for its longest text, in cells.
        room: cells of the whole line.
    """
    shown = [place for place, one in enumerate(columns) if room >= one.since]
    found = [0] * len(columns)
    for place in shown:
        one = columns[place]
        found[place] = max(one.least, min(needs[place], one.most))
    *others, last = shown
    left = room - GAP * (len(shown) - 1)
    over = sum(found) - left
    while over > 0:
        # The widest gives first, so that columns which need little keep all of it.
        giving = [place for place in others if found[place] > columns[place].least]
        if not giving:
            break
        found[max(giving, key=lambda place: found[place] - columns[place].least)] -= 1
        over -= 1
    rest = max(0, left - sum(found[place] for place in others))
    found[last] = min(rest, found[last]) if columns[last].right else rest
    return found
