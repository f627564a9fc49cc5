"""The jobs of a state that match a filter, in a list that grows while searching. No widgets.

It holds ids, and rows of the visible ones. Found jobs keep their places: a job that has left the
state since is shown as such, and jobs that finish later are added at their end of the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.scores import newest_score
from qtui.text import count, plural
from qtui.views.lists.job_list import MOST_HELD, ROWS_A_PAGE
from qtui.views.lists.listing import Moved, SearchStopped

if TYPE_CHECKING:
    from qtui.bullmq.filter import Filter
    from qtui.bullmq.search.hunt import Hunt
    from qtui.bullmq.search.steps import Step

MOST_FOUND: Final = 100_000
"""Jobs that the list holds; more are only counted, but a retry of all matches includes them."""


class FoundList:
    """What a filter finds in one state of one queue.

    Args:
        client: where to read.
        queue: the queue.
        state: the state.
        wanted: which jobs.
        newest_first: the order, which is that of the hunt.
        rate: jobs a second that the hunt looks at, see `qtui.bullmq.search.walk.Walk`.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        state: JobState,
        wanted: Filter,
        *,
        newest_first: bool = True,
        rate: float | None = None,
    ) -> None:
        self.queue = queue
        self.state = state
        self.newest_first = newest_first
        self.wanted = wanted
        self.total = 0
        self.found = 0
        """Jobs that match, as far as the hunt has come; more than `total` beyond `MOST_FOUND`."""
        self.searching = False
        self.finished = False
        """Whether every job was looked at."""
        self.loaded = False
        self.held = False
        self.live_total = 0
        self._held_at = 0
        self._client = client
        self._reader = Reader(client)
        self._rate = rate
        self._hunt = self._new_hunt()
        self._newest: float | None = None
        self._ids: list[str] = []
        self._places: dict[str, int] = {}
        self._rows: dict[str, Row] = {}
        self._left: set[str] = set()
        self._lock = asyncio.Lock()

    def _new_hunt(self, since: float | None = None) -> Hunt:
        from qtui.bullmq.search.hunt import Hunt

        return Hunt(
            self._client,
            self.queue,
            self.state,
            self.wanted,
            since=since,
            newest_first=self.newest_first or self.state.is_list,
            rate=self._rate,
            ahead=True,
            scored=False,
        )

    # What it shows

    def row(self, index: int) -> Row | None:
        """The row at a place, None where it is not loaded."""
        return self._rows.get(self._ids[index]) if 0 <= index < len(self._ids) else None

    def place(self, job_id: str) -> int | None:
        """The place of a job."""
        return self._places.get(job_id)

    def rows(self) -> Iterable[Row]:
        """Every loaded row, in no order."""
        return self._rows.values()

    def ids(self, most: int) -> list[str]:
        """The first jobs that were found."""
        return self._ids[:most]

    def has_left(self, job_id: str) -> bool:
        """Whether the job has left the state but is still shown."""
        return job_id in self._left

    @property
    def growth(self) -> int:
        """By how many jobs, matching or not, the state has grown since the list was held."""
        return self.live_total - self._held_at if self.held else 0

    @property
    def is_cut_off(self) -> bool:
        """Whether a hunt has begun that is neither under way nor at its end."""
        return self.loaded and not self.searching and not self.finished

    def words(self) -> str:
        """Progress, ``37 matches · searched 3,000 of 9,000``, or result, ``37 of 9,000 match``."""
        found, hunt = count(self.found), self._hunt
        matches = plural(self.found, "match", "matches")
        searched = f"searched {count(hunt.seen)} of {count(hunt.total)}"
        if self.searching:
            throttled = " (throttled)" if hunt.resting else ""
            return f"{matches} · {searched}{throttled}"
        if not self.finished:
            return f"stopped: {matches} · {searched}"
        return f"{found} of {count(max(hunt.seen, self.live_total))} match"

    # Finding

    async def search(self) -> AsyncGenerator[int]:
        """Hunts through the state, and yields after each step how many were found so far.

        After one that was cut off it looks at all jobs again, and what was found stays.

        Costs a `Hunt`, and a look at the newest score.

        Raises:
            SearchStopped: a pattern ran away.
        """
        if self.is_cut_off:
            self._hunt = self._new_hunt()
        self.searching = self.loaded = True
        try:
            self._newest = await self._read_newest()
            async for step in _steps(self._hunt):
                self._take(step.ids)
                yield self.found
            self.finished = True
        finally:
            self.searching = False

    async def _read_newest(self) -> float | None:
        """The newest score, -inf of an empty state; None of a list, which has none."""
        if self.state.is_list:
            return None
        return await newest_score(self._client, self.queue, self.state)

    def _take(self, ids: Sequence[str]) -> None:
        fresh = [one for one in ids if one not in self._places]
        self.found += len(fresh)
        for job_id in fresh[: MOST_FOUND - len(self._ids)]:
            self._places[job_id] = len(self._ids)
            self._ids.append(job_id)
        self.total = len(self._ids)

    async def _top_up(self) -> int:
        """Finds what has finished since; how many were put in front of the list."""
        since = self._newest
        if since is None or not self.finished:
            return 0
        newest = await self._read_newest()
        if newest is None or newest <= since:
            return 0
        hunt = self._new_hunt(since)
        met = [one async for step in _steps(hunt) for one in step.ids]
        fresh = [one for one in met if one not in self._places]
        self._newest = newest
        self.found += len(fresh)
        if self.newest_first:
            self._ids = [*fresh, *self._ids][:MOST_FOUND]
        else:
            self._ids = [*self._ids, *fresh][:MOST_FOUND]
        self._places = {job_id: place for place, job_id in enumerate(self._ids)}
        self.total = len(self._ids)
        return len(fresh) if self.newest_first else 0

    # Rows

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """The part of a window that is not loaded."""
        places = range(max(0, first), min(last, self.total - 1) + 1)
        absent = [place for place in places if self._ids[place] not in self._rows]
        return (absent[0], absent[-1]) if absent else None

    async def load(self, first: int, last: int) -> bool:
        """Reads what a window lacks; True if there was something to read. Costs a round trip."""
        async with self._lock:
            wanted = self.missing(first, last)
            if wanted is None:
                return False
            start, end = wanted
            await self._read(self._ids[start : max(end + 1, start + ROWS_A_PAGE)])
            self._evict((first + last) // 2)
            return True

    async def refresh(self, first: int, last: int, anchor: str | None) -> Moved:
        """Reads the window anew, and finds what has finished since. Held, it stays as it is.

        Costs a round trip, and a `Hunt` through what is new.

        Raises:
            SearchStopped: a pattern ran away.
        """
        async with self._lock:
            if self.held:
                return Moved(None, 0)
            shift = await self._top_up()
            place = self._places.get(anchor) if anchor is not None else None
            self._rows.clear()
            self._left.clear()
            start = max(0, first + shift) if first > 0 else 0
            await self._read(self._ids[start : start + max(ROWS_A_PAGE, last - first + 1 + shift)])
            if place is not None and self._ids[place] not in self._rows:
                await self._read([self._ids[place]])
            return Moved(place, shift)

    async def _read(self, ids: Sequence[str]) -> None:
        rows = await self._reader.rows(self.queue, self.state, ids) if ids else []
        for row in rows:
            self._rows[row.id] = row
            if row.score is None and not self.state.is_list:
                self._left.add(row.id)

    def _evict(self, middle: int) -> None:
        if len(self._rows) <= MOST_HELD:
            return
        farthest = sorted(self._rows, key=lambda job_id: abs(self._places[job_id] - middle))
        for job_id in farthest[MOST_HELD // 2 :]:
            del self._rows[job_id]

    def hold(self, left: Iterable[str] = ()) -> None:
        """Freezes the rows; ``left`` are the jobs that a retry took out of the state."""
        if not self.held:
            self.held, self._held_at = True, self.live_total
        self._left.update(left)

    def thaw(self) -> None:
        """Ends the hold."""
        self.held = False


async def _steps(hunt: Hunt) -> AsyncGenerator[Step]:
    """The steps of a hunt; what stops it is raised as `SearchStopped`."""
    from qtui.bullmq.filter import FilterError

    try:
        async for step in hunt.steps():
            yield step
    except FilterError as error:
        raise SearchStopped(error.message) from None
