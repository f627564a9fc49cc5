"""A state's jobs as a list of any length of which only a window is held. Knows no widgets.

The list in Redis moves all the time; the person's place in it must not. So places are found again
by job id: a refresh asks for the rank of an anchor (the job under the cursor) and moves the window
with it. When the anchor itself has left the state its row stays until it is released.

After a retry the list is *held*: rows that were loaded stay as they are, so that every result can
be read in its job's row, and what changed meanwhile is only counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reads.reader import Page, Reader
from qtui.views.lists.listing import Moved

ROWS_A_PAGE: Final = 100
"""Rows that are read at a time."""

MOST_HELD: Final = 3000
"""Rows in memory, a few hundred bytes each; the farthest from the window go first."""


_STILL: Final = Moved(None, 0)

_TRIES: Final = 3
"""How often something is asked again that may have moved meanwhile."""


class JobList:
    """One state of one queue, newest or oldest first."""

    def __init__(
        self, reader: Reader, queue: QueueKey, state: JobState, *, newest_first: bool = True
    ) -> None:
        self.queue = queue
        self.state = state
        self.newest_first = newest_first
        self.total = 0
        """Rows in the list, one that stays included."""
        self.loaded = False
        """Whether it has been read at all."""
        self.unread = ""
        """Why there are no rows, where the state's key holds another type."""
        self.held = False
        self.live_total = 0
        """Jobs in the state, as last read; differs from `total` while held."""
        self._reader = reader
        self._rows: dict[int, Row] = {}
        self._places: dict[str, int] = {}
        self._empty: set[int] = set()
        """Places that were read and found empty; they are not read again."""
        self._left: set[str] = set()
        # Rows are placed by their place when they were asked for: one reading at a time.
        self._lock = asyncio.Lock()

    def row(self, index: int) -> Row | None:
        """The row at a place, None where it is not loaded."""
        return self._rows.get(index)

    def place(self, job_id: str) -> int | None:
        """The place of a loaded job."""
        return self._places.get(job_id)

    def rows(self) -> Iterable[Row]:
        """Every loaded row, in no order."""
        return self._rows.values()

    def has_left(self, job_id: str) -> bool:
        """Whether the job has left the state but is still shown."""
        return job_id in self._left

    @property
    def growth(self) -> int:
        """By how many jobs the state has grown since the list was held; negative if it shrank."""
        return self.live_total - (self.total - len(self._left))

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """The part of a window that wants loading, widened to a page."""
        first, last = max(0, first), min(last, self.total - 1)
        known = self._rows.keys() | self._empty
        absent = [index for index in range(first, last + 1) if index not in known]
        if not absent:
            return None
        start, end = absent[0], absent[-1]
        while start > 0 and end - start < ROWS_A_PAGE - 1 and start - 1 not in self._rows:
            start -= 1
        while end < self.total - 1 and end - start < ROWS_A_PAGE - 1 and end + 1 not in self._rows:
            end += 1
        return start, end

    async def load(self, first: int, last: int) -> bool:
        """Reads what a window lacks; True if there was something to read.

        Places are those of the last refresh. If the list has moved since, what is read is placed by
        its neighbours, as far as they are known.

        Costs a page and one look-up of a rank at the same time, and one more page if it has moved.
        """
        async with self._lock:
            wanted = self.missing(first, last)
            if wanted is None:
                return False
            start, end = wanted
            expected, left = self._expected(start), len(self._left)
            page, offset = await asyncio.gather(
                self._page(expected, end - start + 1), self._offset(start)
            )
            if offset != expected:
                page = await self._page(offset, end - start + 1)
            if len(self._left) == left:  # else jobs have left since, and it is not known from where
                self._fill(start, end, self._placed(start, end, offset, page))
                self._evict(first, last)
            return True

    async def _page(self, offset: int, limit: int) -> Page:
        return await self._reader.page(
            self.queue, self.state, offset, limit, newest_first=self.newest_first
        )

    async def refresh(self, first: int, last: int, anchor: str | None) -> Moved:
        """Reads the window anew around the anchor. A list that is held stays as it is.

        Costs a page and one look-up of a rank.
        """
        async with self._lock:
            return await self._refresh(first, last, anchor)

    async def _refresh(self, first: int, last: int, anchor: str | None) -> Moved:
        if self.held:
            return _STILL
        before = self._places.get(anchor) if anchor is not None else None
        kept = self._rows.get(before) if before is not None else None
        rank, page = await self._around(first, last, anchor, before)
        if self.held:  # since this refresh began
            return _STILL
        self._rows.clear()
        self._places.clear()
        self._empty.clear()
        self._left.clear()
        self.loaded = True
        self.total = self.live_total = page.total
        self.unread = page.unread
        for place, row in page.placed():
            self._take(place, row)
        if anchor is None:
            return _STILL
        found = self._places.get(anchor, rank)
        if kept is None or before is None:
            return Moved(found, 0)
        if found is None:
            found = min(before, self.total)
            self._let_stay(found, kept)
        elif anchor not in self._places:
            self._take(found, kept)
        return Moved(found, found - before)

    async def _around(
        self, first: int, last: int, anchor: str | None, before: int | None
    ) -> tuple[int | None, Page]:
        """The anchor's rank, and the page that shows the window moved with it."""
        for _ in range(_TRIES):
            rank = None
            if anchor is not None:
                rank = await self._reader.rank(
                    self.queue, self.state, anchor, newest_first=self.newest_first
                )
            shift = rank - before if rank is not None and before is not None else 0
            start = 0 if first <= 0 else max(0, first + shift)
            size = max(ROWS_A_PAGE, last - first + 1 + (shift if start == 0 else 0))
            page = await self._page(start, min(size, 2 * ROWS_A_PAGE))
            # The list may have moved between the two answers.
            at_rank = [row.id for place, row in page.placed() if place == rank]
            if at_rank in ([], [anchor]):
                break
        return rank, page

    def hold(self, left: Iterable[str] = ()) -> None:
        """Freezes the rows; ``left`` are the jobs that a retry took out of the state."""
        self.held = True
        self._left.update(left)

    def thaw(self) -> None:
        """Ends the hold; the next refresh shows the current list."""
        self.held = False

    def _let_stay(self, index: int, row: Row) -> None:
        """Inserts a row that has left the state; the rows below move down by one."""
        below = sorted((place for place in self._rows if place >= index), reverse=True)
        for place in below:
            self._move(place, place + 1)
        self._left.add(row.id)
        self.total += 1
        self._take(index, row)

    def _move(self, place: int, to: int) -> None:
        row = self._rows.pop(place)
        self._rows[to] = row
        self._places[row.id] = to

    def _expected(self, place: int) -> int:
        """Where a place of ours is in Redis, if nothing but what we know of has moved."""
        gone = sum(self._places.get(one, place) < place for one in self._left)
        return place - gone

    async def _offset(self, place: int) -> int:
        """Where a place of ours is in Redis now, below 0 where it has left.

        The nearest loaded job that is still in its state decides. Where there is none, jobs are
        taken to have come and gone above: that is where the newest are.
        """
        known = sorted(
            (abs(index - place), index)
            for index, row in self._rows.items()
            if row.id not in self._left
        )
        for _, index in known[:_TRIES]:
            rank = await self._reader.rank(
                self.queue, self.state, self._rows[index].id, newest_first=self.newest_first
            )
            if rank is not None:
                return rank + self._expected(place) - self._expected(index)
        if self.state.is_list:
            return self._expected(place)
        loaded = sum(one in self._places for one in self._left)
        return self._expected(place) - (self.total - loaded - self.live_total)

    def _placed(self, start: int, end: int, offset: int, page: Page) -> list[tuple[int, Row]]:
        """The rows of a page with places of ours: those of jobs that have left are not theirs."""
        rows = self._rows
        gone = {at for at in range(start, end + 1) if at in rows and rows[at].id in self._left}
        places = [at for at in range(start, end + 1) if at not in gone]
        found = ((at - offset, row) for at, row in page.placed())
        return [(places[step], row) for step, row in found if 0 <= step < len(places)]

    def _fill(self, first: int, last: int, rows: Iterable[tuple[int, Row]]) -> None:
        """Takes rows at the places from ``first`` to ``last``; those without one are empty.

        What is loaded stays, and a job has one place: where the list has moved since the last
        refresh, that counts which was there before.
        """
        for place, row in rows:
            here = self._rows.get(place)
            free = here is None or here.id == row.id
            if free and first <= place <= last and self._places.get(row.id, place) == place:
                self._take(place, row)
        self._empty.update(place for place in range(first, last + 1) if place not in self._rows)

    def _take(self, place: int, row: Row) -> None:
        self._drop(place)
        self._rows[place] = row
        self._places[row.id] = place

    def _drop(self, place: int) -> None:
        row = self._rows.pop(place, None)
        # A broken list may hold an id twice.
        if row is not None and self._places.get(row.id) == place:
            del self._places[row.id]

    def _evict(self, first: int, last: int) -> None:
        if len(self._rows) <= MOST_HELD:
            return
        middle = (first + last) // 2
        farthest = sorted(self._rows, key=lambda place: abs(place - middle))
        for place in farthest[MOST_HELD // 2 :]:
            row = self._rows[place]
            # A row that has left the state cannot be read again.
            if row.id not in self._left:
                self._drop(place)
        self._empty.clear()
