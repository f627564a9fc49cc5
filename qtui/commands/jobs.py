"""`qtui jobs`: a window of one state's jobs, in constant memory. Reads only."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.filter import Filter, FilterError, Subject
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reader import Page, Reader
from qtui.bullmq.search import Met, Walk, read_fields
from qtui.commands.find import find_queue
from qtui.commands.ndjson import row_object
from qtui.commands.output import Cell, Column, Table
from qtui.commands.run import USAGE, Place, Stop
from qtui.text import count, plain, plural
from qtui.views.columns import HEADS, Tone, cells

_PAGE: Final = 200
"""Jobs that are read in one go."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which jobs are asked for."""

    queue: str
    state: JobState
    limit: int
    offset: int
    newest_first: bool
    filter: Filter | None = None


def list_jobs(place: Place, window: Window, *, json: bool) -> int:
    """Prints the jobs of a window as they are read."""
    try:
        return place.ask(lambda client: _list(client, place, window, json=json))
    except FilterError as error:  # a pattern ran away, which nobody could know before
        raise Stop(f"--filter: {error}", USAGE) from None


async def _list(client: Client, place: Place, window: Window, *, json: bool) -> int:
    status = await find_queue(client, place.settings.prefixes, window.queue)
    table = Table(place.out, _columns(window.state))
    printed = total = 0
    pages = _matching if window.filter is not None else _pages
    async for page in pages(client, status.queue, window):
        if json:
            for row in page.rows:
                place.out.json(row_object(row, window.state))
        elif page.rows:
            now = time.time() * 1000
            table.write([_cells(row, window.state, now) for row in page.rows])
        printed, total = printed + len(page.rows), page.total
    if not json and not printed:
        beyond = f" beyond the first {count(window.offset)}" if window.offset else ""
        match = f" that match {plain(window.filter.source)}" if window.filter else ""
        place.err.line(f"no {window.state} jobs in {plain(status.queue.base)}{match}{beyond}")
    elif not json and place.out.is_terminal and printed < total:
        place.err.line(f"{count(printed)} of {plural(total, 'job')}; --limit N shows more")
    return 0


async def _pages(client: Client, queue: QueueKey, window: Window) -> AsyncIterator[Page]:
    """The pages of a window, in order.

    Jobs come and go meanwhile: one that was pushed over the border of two pages is not shown twice,
    one that was pulled over it is not shown.
    """
    reader = Reader(client)
    offset, left = window.offset, window.limit
    before: frozenset[str] = frozenset()
    while left > 0:
        page = await reader.page(
            queue, window.state, offset, min(left, _PAGE), newest_first=window.newest_first
        )
        fresh = tuple(row for row in page.rows if row.id not in before)
        yield Page(fresh, page.total, page.offset)
        if not page.rows:
            return
        before = frozenset(row.id for row in page.rows)
        offset, left = offset + len(page.rows), left - len(fresh)


async def _matching(client: Client, queue: QueueKey, window: Window) -> AsyncIterator[Page]:
    """The jobs that match, newest first, as a walk over the state finds them.

    The whole price is the walk's, see `Walk`; each job that matches is read once more, as a row.
    """
    wanted = window.filter
    assert wanted is not None
    reader = Reader(client)
    direct = wanted.exact_ids()
    skip, left = window.offset, window.limit
    async for step in _candidates(client, queue, window, wanted, direct):
        found = [one.id for one in step if wanted.matches(Subject(one.id, None, one.fields))]
        skipped = found[:skip]
        skip -= len(skipped)
        ids = found[len(skipped) : len(skipped) + left]
        if not ids:
            continue
        rows = await reader.rows(queue, window.state, ids)
        here = tuple(row for row in rows if row.score is not None or window.state.is_list)
        left -= len(here)
        yield Page(here, len(here), 0)
        if left <= 0:
            return


async def _candidates(
    client: Client,
    queue: QueueKey,
    window: Window,
    wanted: Filter,
    direct: frozenset[str] | None,
) -> AsyncIterator[list[Met]]:
    """The jobs that may match: those of the ids that the filter names, else the whole state."""
    names = sorted(wanted.needs)
    if direct is None:
        low, high = wanted.bounds()
        walk = Walk(client, queue, window.state, names, bounds=(low, high))
        async for step in walk.steps():
            yield step
        return
    ids = sorted(direct)
    for start in range(0, len(ids), _PAGE):
        some = ids[start : start + _PAGE]
        places = await Reader(client).whereabouts(queue, some)
        here = [one for one in some if places[one].state is window.state]
        yield await read_fields(client, queue, here, names)


def _columns(state: JobState) -> Sequence[Column]:
    heads = HEADS[state]
    tries, when = Column("tries", right=True), Column(heads.when, right=True)
    return Column("id"), Column("name"), tries, when, Column(heads.what)


def _cells(row: Row, state: JobState, now: float) -> Sequence[Cell]:
    one = cells(row, state, now)
    used_up = state is JobState.FAILED and row.exhausted and not row.missing
    tries = Cell(one.tries, Tone.BAD if used_up else Tone.PLAIN)
    return Cell(one.id), Cell(one.name), tries, Cell(one.when), Cell(one.what, one.tone)
