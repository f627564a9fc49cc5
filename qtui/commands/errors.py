"""`qtui errors`: the failures of a queue by what they have in common. Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search import Walk
from qtui.commands.find import find_queue
from qtui.commands.output import Cell, Column, Table
from qtui.commands.run import Place
from qtui.text import age, count, plain, plural
from qtui.views.columns import Tone
from qtui.views.groups import FIELDS, ErrorGroup, ErrorGroups, grouped

_NAMES: Final = 3
"""Names of jobs that a line of the table has room for."""


def list_errors(place: Place, queue: str, state: JobState, *, json: bool) -> int:
    """Prints the groups, largest first, when the whole state has been read."""
    return place.ask(lambda client: _list(client, place, queue, state, json=json))


async def _list(client: Client, place: Place, queue: str, state: JobState, *, json: bool) -> int:
    """Costs a `Walk` over the state, at the polite pace."""
    status = await find_queue(client, place.settings.prefixes, queue)
    groups = await _read(client, place, status.queue, state)
    found = groups.largest_first()
    if json:
        for group in found:
            place.out.json(group_object(group, groups.jobs))
    elif found:
        share = Column("share", right=True)
        heads = [Column("jobs", right=True), share, Column("last", right=True), Column("names")]
        table = Table(place.out, [*heads, Column("sample"), Column("error")])
        now = time.time() * 1000
        table.write([list(_cells(group, groups.jobs, now)) for group in found])
    else:
        place.err.line(f"no {state} jobs in {plain(status.queue.base)}")
    return 0


async def _read(client: Client, place: Place, queue: QueueKey, state: JobState) -> ErrorGroups:
    walk = Walk(client, queue, state, FIELDS)
    groups, said = ErrorGroups(), 0.0
    async for latest in grouped(walk):
        groups = latest
        now = time.monotonic()
        if place.err.is_terminal and said and now - said > 1:
            said = now
            place.err.line(f"{count(walk.seen)} of {plural(walk.total, 'job')} seen …")
        said = said or now
    return groups


def group_object(group: ErrorGroup, jobs: int) -> dict[str, object]:
    """A group as JSON: shares are parts of 1, times ms since the epoch."""
    return {
        "signature": group.signature,
        "count": group.jobs,
        "share": round(group.jobs / jobs, 4),
        "first_seen": group.first,
        "last_seen": group.last,
        "names": dict(group.names.most_common()),
        "sample": group.sample,
    }


def _cells(group: ErrorGroup, jobs: int, now: float) -> Iterator[Cell]:
    yield Cell(count(group.jobs))
    yield Cell(f"{100 * group.jobs / jobs:.0f}%", Tone.FAINT)
    yield Cell("?" if group.last is None else age(now - group.last))
    names = [plain(name) or "(no name)" for name, _ in group.names.most_common(_NAMES)]
    more = len(group.names) - len(names)
    yield Cell(", ".join(names) + (f" +{more}" if more else ""))
    yield Cell(plain(group.sample))
    yield Cell(plain(group.signature) or "(other errors)", Tone.BAD)
