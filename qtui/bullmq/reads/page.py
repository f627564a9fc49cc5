"""A page of a state: its rows, and their positions once a list's markers are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, number, scores
from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, row
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


def short_row(job_id: str, values: Sequence[str | None]) -> Row:
    """Returns a row with long texts cut short: a list may hold thousands of rows."""
    found = row(job_id, values or [None] * len(LIST_FIELDS))
    reason = found.failed_reason
    if len(found.parent_key) > _LONGEST_KEY:
        found = replace(found, parent_key="", garbled=(*found.garbled, "parentKey"))
    if len(found.name) <= KEPT and len(reason or "") <= KEPT:
        return found
    return replace(found, name=found.name[:KEPT], failed_reason=reason and cut_reason(reason, KEPT))


def marked(one: Row, kind: Reply) -> Row:
    """Marks a row without fields as missing or of the wrong type; ``kind`` is its key's type."""
    if kind == "none":
        return replace(one, missing=True)
    if kind is None or kind == "hash" or isinstance(kind, RedisError):
        return one
    return replace(one, garbled=(*one.garbled, "hash"))


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

    For a list, pass the rows of the part `with_room`, including markers; see `places`.
    """
    if not state.is_list:
        at = scores(bounds[1])
        rows = tuple(replace(one, score=at.get(one.id)) for one in found[: part.length])
        return Page(rows, number(bounds[0]) or 0, part.start)
    by_id = {one.id: one for one in found}
    placed = places([one.id for one in found], part, bounds)
    return Page(
        rows=tuple(by_id[member] for _, member in placed if not is_marker(member)),
        total=count_jobs(*bounds) or 0,
        offset=part.start,
        gaps=frozenset(place for place, member in placed if is_marker(member)),
    )
