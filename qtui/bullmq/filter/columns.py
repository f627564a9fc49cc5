"""Jobs side by side, as a filter looks at them: a column of ids, one a field, one of scores. Pure.

To look at a column takes a fraction of what looking at job after job does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Indices: TypeAlias = Sequence[int]
"""Some of the jobs, by their places in the columns, which rise."""


@dataclass(slots=True)
class Columns:
    """Some jobs. All columns are of one length."""

    ids: Sequence[str]
    fields: Mapping[str, Sequence[str | None]]
    """By the hash's own names; None where a job has no such field. A column that is not there was
    not read, and counts as one of None."""
    scores: Sequence[float | None] | None = None
    """finishedOn of finished jobs, ms; None where the fields have it, or it is not needed."""
    _folded: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def texts(self, name: str) -> Sequence[str | None]:
        """The column of a field, or of the ids by the name of ``id``."""
        if name == "id":
            return self.ids
        column = self.fields.get(name)
        return [None] * len(self.ids) if column is None else column

    def folded(self, name: str, places: Indices) -> list[str]:
        """The texts at some places in lower case, empty where there are none.

        A whole column is folded once, however many terms look at it: of a long text that takes
        longer than to look for something in it.
        """
        whole = self._folded.get(name)
        if whole is None:
            column = self.texts(name)
            if len(places) < len(column):
                return [(column[at] or "").casefold() for at in places]
            whole = self._folded[name] = [(text or "").casefold() for text in column]
        return whole if len(places) == len(whole) else [whole[at] for at in places]


Pick: TypeAlias = Callable[[Columns, Indices], Indices]
"""Those of some places at which a term matches."""


def united(picks: Sequence[Pick]) -> Pick:
    """What any of them picks; the later ones look only at what the earlier ones left."""
    if len(picks) == 1:
        return picks[0]

    def either(jobs: Columns, places: Indices) -> Indices:
        found: set[int] = set()
        left = places
        for pick in picks:
            more = pick(jobs, left)
            if more:
                found.update(more)
                left = without(left, more)
        return sorted(found)

    return either


def without(places: Indices, others: Indices) -> Indices:
    """The places that are not among the others."""
    if not others:
        return places
    gone = set(others)
    return [at for at in places if at not in gone]
