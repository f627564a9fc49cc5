"""`qtui jobs`: a window of one state's jobs, in constant memory. Reads only."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.hunt import Hunt
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, row
from qtui.bullmq.reader import Page, Reader
from qtui.commands.find import find_queue
from qtui.commands.ndjson import hash_fields, picked_object, row_object
from qtui.commands.output import Cell, Column, Table
from qtui.commands.run import REDIS, USAGE, Place, Stop
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
    fields: tuple[str, ...] = ()
    """What of each job is printed as JSON, see `ndjson.FIELDS`; empty for what a list shows."""


def list_jobs(place: Place, window: Window, *, json: bool) -> int:
    """Prints the jobs of a window as they are read."""
    try:
        return place.ask(lambda client: _list(client, place, window, json=json))
    except FilterError as error:  # a pattern ran away, which nobody could know before
        raise Stop(f"--filter: {error}", USAGE) from None


async def _list(client: Client, place: Place, window: Window, *, json: bool) -> int:
    status = await find_queue(client, place.settings.prefixes, window.queue)
    if window.fields:
        return await _export(client, place, status.queue, window)
    table = Table(place.out, _columns(window.state))
    printed, total, unread = 0, 0, ""
    rate = place.settings.scan_rate
    pages = (
        _pages(client, status.queue, window)
        if window.filter is None
        else _matching(client, status.queue, window, rate)
    )
    async for page in pages:
        if json:
            for one in page.rows:
                place.out.json(row_object(one, window.state))
        elif page.rows:
            now = time.time() * 1000
            table.write([_cells(row, window.state, now) for row in page.rows])
        printed, total = printed + len(page.rows), page.total
        unread = unread or page.unread
    if unread:
        place.err.line(f"qtui: {plain(unread)}")
        return REDIS
    if not json and not printed:
        beyond = f" beyond the first {count(window.offset)}" if window.offset else ""
        match = f" that match {plain(window.filter.source)}" if window.filter else ""
        place.err.line(f"no {window.state} jobs in {plain(status.queue.base)}{match}{beyond}")
    elif not json and place.out.is_terminal and printed < total:
        place.err.line(f"{count(printed)} of {plural(total, 'job')}; --limit N shows more")
    return 0


async def _export(client: Client, place: Place, queue: QueueKey, window: Window) -> int:
    """Prints picked fields of any number of jobs as they are met, in constant memory.

    Costs the `Hunt`, with the payloads that are wanted; steps get smaller where those are large.
    """
    hunt = Hunt(
        client,
        queue,
        window.state,
        window.filter,
        fields=(*LIST_FIELDS, *hash_fields(window.fields)),
        newest_first=window.newest_first,
        rate=place.settings.scan_rate,
        ahead=True,
        scored=False,
    )
    first, end, place_of = window.offset, window.offset + window.limit, 0
    if window.limit:
        async for step in hunt.steps():
            rows = [row(one.id, [one.fields[name] for name in LIST_FIELDS]) for one in step]
            whole = await Reader(client).mark_missing(queue, rows)
            for one, met in zip(whole, step, strict=True):
                if first <= place_of < end:
                    place.out.json(picked_object(one, window.state, met.fields, window.fields))
                place_of += 1
            if place_of >= end:
                break
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
        yield replace(page, rows=fresh)
        if not page.rows:
            return
        before = frozenset(row.id for row in page.rows)
        offset, left = offset + len(page.rows), left - len(fresh)


async def _matching(
    client: Client, queue: QueueKey, window: Window, rate: float | None
) -> AsyncIterator[Page]:
    """The jobs that match, as a hunt finds them; each is read once more, as a row.

    The whole price is the hunt's, see `Hunt`.
    """
    reader = Reader(client)
    hunt = Hunt(
        client,
        queue,
        window.state,
        window.filter,
        newest_first=window.newest_first,
        rate=rate,
        ahead=True,
        scored=False,
    )
    skip, left = window.offset, window.limit
    async for step in hunt.steps():
        found = [one.id for one in step]
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


def _columns(state: JobState) -> Sequence[Column]:
    heads = HEADS[state]
    tries, when = Column("tries", right=True), Column(heads.when, right=True)
    return Column("id"), Column("name"), tries, when, Column(heads.what)


def _cells(row: Row, state: JobState, now: float) -> Sequence[Cell]:
    one = cells(row, state, now)
    used_up = state is JobState.FAILED and row.exhausted and not row.missing
    tries = Cell(one.tries, Tone.BAD if used_up else Tone.PLAIN)
    return Cell(one.id), Cell(one.name), tries, Cell(one.when), Cell(one.what, one.tone)
