"""A page of a state: its rows, and what markers in a list do to their places. Pure."""

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
"""Characters of a name or an error that a row keeps; what a list shows of it is a line."""


_LONGEST_KEY: Final = 10_000
"""Characters of a parent's key; a longer one is garbage, and a list does not hold it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a state: its rows, in order, and how many jobs the state holds in all."""

    rows: tuple[Row, ...]
    total: int
    offset: int
    gaps: frozenset[int] = frozenset()
    """Places in it that no job takes, but a marker deep inside a list."""
    unread: str = ""
    """Why there are no rows, where the state's key holds another type."""

    def placed(self) -> Iterator[tuple[int, Row]]:
        """The rows with their places."""
        places = (place for place in count(self.offset) if place not in self.gaps)
        return zip(places, self.rows, strict=False)


def short_row(job_id: str, values: Sequence[str | None]) -> Row:
    """A row, and of long texts only the beginning: a list may hold thousands of rows."""
    found = row(job_id, values or [None] * len(LIST_FIELDS))
    reason = found.failed_reason
    if len(found.parent_key) > _LONGEST_KEY:
        found = replace(found, parent_key="", garbled=(*found.garbled, "parentKey"))
    if len(found.name) <= KEPT and len(reason or "") <= KEPT:
        return found
    return replace(found, name=found.name[:KEPT], failed_reason=reason and cut_reason(reason, KEPT))


def marked(one: Row, kind: Reply) -> Row:
    """A row without fields, and what is the matter with it; ``kind`` is the type of its key."""
    if kind == "none":
        return replace(one, missing=True)
    if kind is None or kind == "hash" or isinstance(kind, RedisError):
        return one
    return replace(one, garbled=(*one.garbled, "hash"))


def with_room(part: Range, state: JobState) -> Range:
    """The part, and of a list as many members more as may be markers at its ends."""
    return part._replace(length=part.length + 2 * EDGE) if state.is_list else part


def bounds_of(key: str, state: JobState, part: Range) -> list[Command]:
    """What is asked beside a part: the length, and a list's ends or a set's scores."""
    return ends(key) if state.is_list else [("ZCARD", key), scores_of(key, part)]


def places(members: Sequence[str], part: Range, bounds: Sequence[Reply]) -> list[tuple[int, str]]:
    """Members of a list, read `with_room`, with the places of the part that they have as jobs.

    The markers at both ends take no place; one between them that goes unseen takes one, since pages
    must join without reading the whole list.
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
    """The page of a part, from its rows in order and the replies to `bounds_of`.

    For a list the rows are those of the part `with_room`, markers and all; see `places`.
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
