"""A page of a state: its rows, and their positions once a list's markers are left out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, number
from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, rows_of
from qtui.bullmq.reads.status import EDGE, count_jobs, ends, markers
from qtui.bullmq.reads.window import Range, scores_of
from qtui.bullmq.signature.headline import cut_reason

KEPT: Final = 2000
"""Characters of a name or an error that a row keeps; a list shows only one line of it."""


_LONGEST_KEY: Final = 10_000
"""Characters of a parent's key; a longer one is garbage, and is not kept."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a state: its rows, in order, and the total number of jobs in the state."""

    rows: tuple[Row, ...]
    total: int
    offset: int
    gaps: frozenset[int] = frozenset()
    """Positions taken by markers deep inside a list, not by jobs."""
    unread: str = ""
    """Why there are no rows, if the state's key has the wrong type."""

    def placed(self) -> Iterator[tuple[int, Row]]:
        """Yields the rows with their positions in the state."""
        places = (place for place in count(self.offset) if place not in self.gaps)
        return zip(places, self.rows, strict=False)


def short_row(job_id: str, values: Sequence[str | None], score: float | None = None) -> Row:
    """Returns a row with long texts cut short, from the values of `LIST_FIELDS`, or no values."""
    return short_rows((job_id,), columns_of([values]), (score,))[0]


def columns_of(jobs: Iterable[Sequence[str | None]]) -> dict[str, Sequence[str | None]]:
    """Returns `LIST_FIELDS` side by side, from the values of some jobs; none: all are absent."""
    absent = [None] * len(LIST_FIELDS)
    side_by_side = zip(*[values or absent for values in jobs], strict=True)
    return dict(zip(LIST_FIELDS, side_by_side, strict=True))


def short_rows(
    ids: Sequence[str],
    columns: Mapping[str, Sequence[str | None]],
    scores: Sequence[float | None] | None = None,
) -> list[Row]:
    """Returns jobs as `rows_of` does, with long texts cut: a list may hold thousands of them."""
    keys = columns["parentKey"]
    found = rows_of(
        ids,
        {
            **columns,
            "name": _cut(columns["name"], KEPT, lambda name: name[:KEPT]),
            "failedReason": _cut(columns["failedReason"], KEPT, lambda one: cut_reason(one, KEPT)),
            "parentKey": _cut(keys, _LONGEST_KEY, lambda _: None),
        },
        scores,
    )
    for at, one in enumerate(keys):
        if one is not None and len(one) > _LONGEST_KEY:
            found[at] = found[at]._replace(garbled=(*found[at].garbled, "parentKey"))
    return found


def _cut(
    column: Sequence[str | None], longest: int, cut: Callable[[str], str | None]
) -> Sequence[str | None]:
    """A column whose texts beyond a length are cut."""
    if max(map(len, filter(None, column)), default=0) <= longest:
        return column
    return [one if one is None or len(one) <= longest else cut(one) for one in column]


def marked(one: Row, kind: Reply) -> Row:
    """Marks a row without fields as missing or of the wrong type; ``kind`` is its key's type."""
    if kind == "none":
        return one._replace(missing=True)
    if kind is None or kind == "hash" or isinstance(kind, RedisError):
        return one
    return one._replace(garbled=(*one.garbled, "hash"))


def with_room(part: Range, state: JobState) -> Range:
    """The part; for a list, extended by the number of members that may be markers."""
    return part._replace(length=part.length + 2 * EDGE) if state.is_list else part


def bounds_of(key: str, state: JobState, part: Range) -> list[Command]:
    """Returns the commands to send along with a part: its length, and a list's ends or scores."""
    return ends(key) if state.is_list else [("ZCARD", key), scores_of(key, part)]


def places(members: Sequence[str], part: Range, bounds: Sequence[Reply]) -> list[tuple[int, str]]:
    """Returns the members of a list, read `with_room`, with their positions among its jobs.

    Markers near the ends take no position. One deep inside the list takes one, since it can't be
    known on other pages without reading the whole list, and pages must join.
    """
    length = number(bounds[0]) or 0
    known = markers(*bounds)
    if part.descending:
        known = {length - 1 - place for place in known}
    found, place = [], part.start - sum(one < part.start for one in known)
    for at, member in enumerate(members, part.start):
        if at in known and is_marker(member):
            continue
        if part.start <= place < part.start + part.length:
            found.append((place, member))
        place += 1
    return found


def page_of(found: list[Row], state: JobState, part: Range, bounds: Sequence[Reply]) -> Page:
    """Builds the page of a part from its rows in order and the replies to `bounds_of`.

    For a list, pass the rows of the part `with_room`, including markers; see `places`. For a sorted
    set they have their scores by then.
    """
    if not state.is_list:
        return Page(tuple(found[: part.length]), number(bounds[0]) or 0, part.start)
    by_id = {one.id: one for one in found}
    placed = places([one.id for one in found], part, bounds)
    return Page(
        rows=tuple(by_id[member] for _, member in placed if not is_marker(member)),
        total=count_jobs(*bounds) or 0,
        offset=part.start,
        gaps=frozenset(place for place, member in placed if is_marker(member)),
    )
