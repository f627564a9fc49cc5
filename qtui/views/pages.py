"""A state's jobs as a list of any length of which only a window is held. Knows no widgets.

The list in Redis moves all the time; the person's place in it must not. So places are found again
by job id: a refresh asks for the rank of an anchor (the job under the cursor) and moves the window
with it. When the anchor itself has left the state it stays as a row of its own until it is let go.

After a retry the list is *held*: rows that were loaded stay as they are, so that every result can
be read where its job stood, and what changed meanwhile is only counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reader import Reader

PAGE: Final = 100
"""Rows that are read at a time."""

MOST_HELD: Final = 3000
"""Rows in memory, a few hundred bytes each; the farthest from the window go first."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a refresh did to the list."""

    anchor: int | None
    """Where the anchor stands now."""
    shift: int
    """By how many rows the anchor has moved down."""


_STILL: Final = Moved(None, 0)


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
        self.held = False
        self.live_total = 0
        """Jobs that the state holds now, as last told; differs from `total` while held."""
        self._reader = reader
        self._rows: dict[int, Row] = {}
        self._places: dict[str, int] = {}
        self._left: set[str] = set()
        self._stay: tuple[int, Row] | None = None
        # Rows are placed by where they stood when they were asked for: one reading at a time.
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
        """Whether the job is shown although it has left the state."""
        return job_id in self._left

    @property
    def changes(self) -> int:
        """Jobs that came or went since the list was held or frozen, at the least."""
        still_there = self.total - len(self._left)
        return abs(self.live_total - still_there)

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """The part of a window that wants loading, widened to a page."""
        first, last = max(0, first), min(last, self.total - 1)
        absent = [index for index in range(first, last + 1) if index not in self._rows]
        if not absent:
            return None
        middle = (absent[0] + absent[-1]) // 2
        start = min(absent[0], max(0, middle - PAGE // 2))
        return start, min(self.total - 1, max(absent[-1], start + PAGE - 1))

    async def load(self, first: int, last: int) -> bool:
        """Reads what a window lacks; True if there was something to read. Price: a page or two."""
        async with self._lock:
            wanted = self.missing(first, last)
            if wanted is None:
                return False
            start, end = wanted
            offset = await self._offset(start)
            page = await self._reader.page(
                self.queue, self.state, offset, end - start + 1, newest_first=self.newest_first
            )
            self._put(start, page.rows)
            self._evict(first, last)
            return True

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
        rank = None
        if anchor is not None:
            rank = await self._reader.rank(
                self.queue, self.state, anchor, newest_first=self.newest_first
            )
        shift = rank - before if rank is not None and before is not None else 0
        start = 0 if first <= 0 else max(0, first + shift)
        size = max(PAGE, last - first + 1 + (shift if start == 0 else 0))
        page = await self._reader.page(
            self.queue, self.state, start, min(size, 2 * PAGE), newest_first=self.newest_first
        )
        if self.held:  # since this refresh began
            return _STILL
        self._rows.clear()
        self._places.clear()
        self._left.clear()
        self._stay = None
        self.loaded = True
        self.total = self.live_total = page.total
        self._put(page.offset, page.rows)
        if kept is None or before is None or anchor is None:
            return _STILL
        if rank is not None:
            if rank not in self._rows:
                self._put(rank, [kept])
            return Moved(rank, shift)
        found = self._places.get(anchor)
        if found is None:
            found = min(before, self.total)
            self._let_stay(found, kept)
        return Moved(found, found - before)

    def hold(self, left: Iterable[str] = ()) -> None:
        """Keeps the rows as they are; ``left`` are those that a retry took out of the state."""
        self.held = True
        self._left.update(left)

    def thaw(self) -> None:
        """Lets go of what was held; the next refresh shows the list as it is."""
        self.held = False

    def release(self, job_id: str) -> bool:
        """Lets go of a row that stayed only for the cursor; True if the list wants a refresh."""
        return not self.held and self._stay is not None and self._stay[1].id != job_id

    def _let_stay(self, index: int, row: Row) -> None:
        """Inserts a row that has left the state; the rows below move down by one."""
        below = sorted((place for place in self._rows if place >= index), reverse=True)
        for place in below:
            self._move(place, place + 1)
        self._stay = (index, row)
        self._left.add(row.id)
        self.total += 1
        self._put(index, [row])

    def _move(self, place: int, to: int) -> None:
        row = self._rows.pop(place)
        self._rows[to] = row
        self._places[row.id] = to

    async def _offset(self, place: int) -> int:
        """Where the window at a place of ours begins in Redis.

        While held the two differ: jobs of ours have left, others have come. The nearest loaded job
        that is still in its state tells by how much.
        """
        if self._stay is not None and not self.held:
            return place - (1 if place > self._stay[0] else 0)
        if not self.held:
            return place
        known = sorted(
            (abs(index - place), index)
            for index, row in self._rows.items()
            if row.id not in self._left
        )
        for _, index in known[:3]:
            rank = await self._reader.rank(
                self.queue, self.state, self._rows[index].id, newest_first=self.newest_first
            )
            if rank is not None:
                low, high = sorted((index, place))
                left = sum(low <= self._places.get(one, -1) < high for one in self._left)
                steps = high - low - left
                return max(0, rank + (steps if place > index else -steps))
        return place

    def _put(self, start: int, rows: Iterable[Row]) -> None:
        for place, row in enumerate(rows, start):
            old = self._rows.get(place)
            if old is not None and self._places.get(old.id) == place:
                del self._places[old.id]
            self._rows[place] = row
            self._places[row.id] = place

    def _evict(self, first: int, last: int) -> None:
        if len(self._rows) <= MOST_HELD:
            return
        middle = (first + last) // 2
        farthest = sorted(self._rows, key=lambda place: abs(place - middle))
        for place in farthest[MOST_HELD // 2 :]:
            row = self._rows[place]
            if self.held and row.id in self._left:
                continue
            del self._rows[place]
            self._places.pop(row.id, None)
