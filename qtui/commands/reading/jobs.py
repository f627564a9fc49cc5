"""`qtui jobs`: lists jobs of one queue and state, or of all. Reads only, in constant memory."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import REFUSED, is_wrong_type
from qtui.bullmq.filter import Filter, FilterError
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, QueueStatus, Row, rows_of
from qtui.bullmq.reads.job import find_job
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.hunt import Hunt
from qtui.commands.shared.find import ALL_QUEUES, find_queue, find_queues, say_none
from qtui.commands.shared.ndjson import hash_fields, picked_lines, row_object
from qtui.commands.shared.output import Cell, Column, ProgressLine, Table
from qtui.commands.shared.run import REDIS, USAGE, CommandError, Workplace
from qtui.text import count, plain, plural
from qtui.views.columns import HEADS, cells
from qtui.views.tone import Tone

_PAGE: Final = 200
"""Jobs read per page."""

_LOOKED_UP: Final = 20
"""Ids that are looked up in every queue; more are looked up state by state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRequest:
    """Which jobs to list."""

    queue: str
    """A queue's name, its full key, or `ALL_QUEUES`."""
    states: tuple[JobState, ...]
    limit: int
    offset: int
    newest_first: bool
    filter: Filter | None = None
    fields: tuple[str, ...] = ()
    """Members to print as JSON, see `ndjson.EXPORT_FIELDS`; empty for those of a list."""

    @property
    def in_words(self) -> str:
        """``failed jobs``, or ``jobs`` for every state."""
        return f"{self.states[0]} jobs" if len(self.states) == 1 else "jobs"


@dataclass(slots=True)
class _Rest:
    """Jobs still to skip and to print, counted across all queues and states."""

    offset: int
    limit: int
    unread: str = ""
    """Why some jobs could not be read."""

    def part(self, found: int) -> slice:
        """Which of the next jobs are to be printed."""
        skipped = min(self.offset, found)
        self.offset -= skipped
        end = min(found, skipped + self.limit)
        self.limit -= end - skipped
        return slice(skipped, end)


def list_jobs(place: Workplace, window: JobsRequest, *, json: bool) -> int:
    """Prints the requested jobs as they are read, queue by queue and state by state."""
    try:
        return place.ask(lambda client: _list(client, place, window, json=json))
    except FilterError as error:  # a regular expression ran away
        raise CommandError(f"--filter: {error}", USAGE) from None


async def _list(client: Client, place: Workplace, window: JobsRequest, *, json: bool) -> int:
    prefixes, everywhere = place.settings.prefixes, window.queue == ALL_QUEUES
    if everywhere:
        found = await find_queues(client, prefixes, place.settings.queues, err=place.err)
        if not found and not place.settings.queues:
            await say_none(client, place.err, prefixes)
            return 0
        # By name: an order by counts could change between two pages of --offset.
        statuses = sorted(found, key=lambda status: status.queue.base)
        statuses = await _having(client, statuses, window.filter)
    else:
        statuses = [await find_queue(client, prefixes, window.queue)]
    rest, printed, total = _Rest(window.offset, window.limit), 0, 0
    table = Table(place.out, _columns(window, everywhere=everywhere))
    progress = _Progress(len(statuses))
    for at, status, state in _lists(statuses, window.states):
        total += status.count(state)
        # Those without a count are read too: that says why there is none.
        if not rest.limit or (everywhere and status.counts.get(state) == 0):
            continue
        progress.queue, progress.place = status.queue, at
        try:
            if window.fields:
                await _export(client, place, status.queue, state, window, rest, progress)
                continue
            async for rows in _rows(client, place, status.queue, state, window, rest, progress):
                printed += len(rows)
                progress.clear()
                if json:
                    for one in rows:
                        place.out.json(_object(one, status.queue, state))
                elif rows:
                    now = time.time() * 1000
                    before = _before(status.queue, state, window, everywhere=everywhere)
                    table.write([[*before, *_cells(row, state, now)] for row in rows])
        except REFUSED as error:
            if not everywhere:
                raise
            key = status.queue.key(state.key)
            why = "holds another type of key" if is_wrong_type(error) else "is refused by Redis"
            rest.unread = rest.unread or f"{key} {why}"
        finally:
            progress.clear()
    if rest.unread:
        place.err.line(f"qtui: {plain(rest.unread)}")
        return REDIS
    if not json and not printed:
        beyond = f" beyond the first {count(window.offset)}" if window.offset else ""
        match = f" that match {plain(window.filter.source)}" if window.filter else ""
        where = "any queue" if everywhere else plain(statuses[0].queue.base)
        place.err.line(f"no {window.in_words} in {where}{match}{beyond}")
    elif not json and place.out.is_terminal and printed < total and window.filter is None:
        place.err.line(f"{count(printed)} of {plural(total, 'job')}; --limit N shows more")
    return 0


def _lists(
    statuses: Sequence[QueueStatus], states: Sequence[JobState]
) -> Iterator[tuple[int, QueueStatus, JobState]]:
    """Each state of each queue, with the queue's place among them."""
    for place, status in enumerate(statuses):
        for state in states:
            yield place, status, state


async def _having(
    client: Client, statuses: list[QueueStatus], wanted: Filter | None
) -> list[QueueStatus]:
    """The queues that can have a job that matches: where ids are named, those that have one.

    Costs a `find_job` for each id that is named.
    """
    ids = wanted.exact_ids() if wanted is not None else None
    if ids is None or len(ids) > _LOOKED_UP:
        return statuses
    having: set[QueueKey] = set()
    for one in ids:
        found = await find_job(client, [status.queue for status in statuses], one)
        having.update(found.refused, (queue for queue, _ in found.places))
    return [status for status in statuses if status.queue in having]


class _Progress:
    """How far a search is, on a line of the terminal that is gone when something is printed."""

    def __init__(self, queues: int) -> None:
        self.queue: QueueKey | None = None
        """The queue that is searched now."""
        self.place = 0
        self._queues = queues
        self._line = ProgressLine()

    def show(self, hunt: Hunt) -> None:
        """Shows the progress of a search."""
        words = f"searched {count(hunt.seen)} of {plural(hunt.total, 'job')}"
        if self._queues > 1 and self.queue is not None:
            where = f"queue {count(self.place + 1)} of {count(self._queues)}"
            words = f"{where}: {plain(self.queue.name)} · {words}"
        self._line.say(words)

    def clear(self) -> None:
        """Erases the line."""
        self._line.clear()


def _object(one: Row, queue: QueueKey, state: JobState) -> dict[str, object]:
    members = row_object(one, state)
    return {"id": members.pop("id"), "queue": queue.base, **members}


def _rows(
    client: Client,
    place: Workplace,
    queue: QueueKey,
    state: JobState,
    window: JobsRequest,
    rest: _Rest,
    progress: _Progress,
) -> AsyncIterator[Sequence[Row]]:
    if window.filter is None:
        return _pages(client, queue, state, window, rest)
    return _matching(client, queue, state, window, rest, place.settings.scan_rate, progress)


async def _export(
    client: Client,
    place: Workplace,
    queue: QueueKey,
    state: JobState,
    window: JobsRequest,
    rest: _Rest,
    progress: _Progress,
) -> None:
    """Prints the picked fields of any number of jobs as they are found, in constant memory.

    Costs a `Hunt` that reads what is picked; its steps shrink where payloads are large.
    """
    hunt = Hunt(
        client,
        queue,
        state,
        window.filter,
        fields=hash_fields(window.fields),
        newest_first=window.newest_first,
        rate=place.settings.scan_rate,
        ahead=True,
        scored=False,
    )
    everywhere, where = window.queue == ALL_QUEUES, dict[str, str]()
    if everywhere or "queue" in window.fields:
        where["queue"] = queue.base
    if everywhere or len(window.states) > 1:
        where["state"] = state.value
    reader = Reader(client)
    async for step in hunt.steps():
        part = step[rest.part(len(step))]
        rows = await reader.mark_missing(queue, rows_of(part.ids, part.fields))
        if rows:
            progress.clear()
        for lines in picked_lines(rows, state, part.fields, window.fields, where):
            place.out.write(lines)
        if not rest.limit:
            break
        progress.show(hunt)


async def _pages(
    client: Client, queue: QueueKey, state: JobState, window: JobsRequest, rest: _Rest
) -> AsyncIterator[Sequence[Row]]:
    """The requested jobs page by page, in order.

    Jobs come and go meanwhile: one that moves from this page to the next is not shown twice, one
    that moves the other way is missed.
    """
    reader = Reader(client)
    offset, before = rest.offset, frozenset[str]()
    while rest.limit:
        page = await reader.page(
            queue, state, offset, min(rest.limit, _PAGE), newest_first=window.newest_first
        )
        rest.offset = max(0, rest.offset - page.total)
        rest.unread = rest.unread or page.unread
        if not page.rows:
            return
        rest.offset = 0
        rows = [row for row in page.rows if row.id not in before]
        yield rows[rest.part(len(rows))]
        before = frozenset(row.id for row in page.rows)
        offset += len(page.rows)


async def _matching(
    client: Client,
    queue: QueueKey,
    state: JobState,
    window: JobsRequest,
    rest: _Rest,
    rate: float | None,
    progress: _Progress,
) -> AsyncIterator[Sequence[Row]]:
    """The jobs that match, as a `Hunt` finds them; each is then read as a row.

    The price is that of the hunt.
    """
    reader = Reader(client)
    hunt = Hunt(
        client,
        queue,
        state,
        window.filter,
        newest_first=window.newest_first,
        rate=rate,
        ahead=True,
        scored=False,
    )
    async for step in hunt.steps():
        ids = step.ids[rest.offset :][: rest.limit]
        rest.offset -= min(rest.offset, len(step))
        if not ids:
            progress.show(hunt)
            continue
        rows = await reader.rows(queue, state, ids)
        here = [row for row in rows if row.score is not None or state.is_list]
        rest.limit -= len(here)
        yield here
        if not rest.limit:
            return


def _before(
    queue: QueueKey, state: JobState, window: JobsRequest, *, everywhere: bool
) -> Sequence[Cell]:
    cells = [Cell(plain(queue.base))] if everywhere else []
    return [*cells, Cell(state)] if len(window.states) > 1 else cells


def _columns(window: JobsRequest, *, everywhere: bool) -> Sequence[Column]:
    heads = HEADS[window.states[0]]
    when, what = heads.when, heads.what
    before = [Column("queue")] if everywhere else []
    if len(window.states) > 1:
        before, when, what = [*before, Column("state")], "when", "error or result"
    job = Column("id"), Column("name"), Column("attempts", right=True)
    return [*before, *job, Column(when, right=True), Column(what)]


def _cells(row: Row, state: JobState, now: float) -> Sequence[Cell]:
    one = cells(row, state, now)
    used_up = state is JobState.FAILED and row.exhausted and not row.missing
    attempts = Cell(one.attempts, Tone.BAD if used_up else Tone.PLAIN)
    when = Cell(one.when, Tone.BAD if one.late else Tone.PLAIN)
    return Cell(one.id), Cell(one.name), attempts, when, Cell(one.what, one.tone)
