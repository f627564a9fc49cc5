"""Hands out the jobs that an action is to send, each once, even if the connection is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Container,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import replace
from itertools import compress
from typing import NamedTuple, TypeAlias

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import LOST
from qtui.bullmq.writers.batch import Picked
from qtui.operations.engine.action import Seen
from qtui.operations.supply.kin import Held, Kin, read_kin
from qtui.operations.supply.selection import CHOSEN_AT_ONCE, Chosen, Query, Selection
from qtui.operations.supply.snapshots import EMPTY, SnapshotPage, Wiped, read_snapshots


class Before(NamedTuple):
    """What earlier processes of the campaign did."""

    sent: Container[str]
    """Ids that must not be sent again."""
    doubtful: Sequence[Picked]
    """Jobs that may have been sent: their state is read before anything else is done."""
    codes: Counter[Code]
    """The codes of the other jobs."""
    parents: Collection[str] = ()
    """Full keys of the parents of jobs that were sent."""
    retried: Mapping[str, float] = {}
    """By id, the pin of each job with code 1."""


Look: TypeAlias = Callable[[Sequence[Picked]], Awaitable[Seen]]
"""Reads jobs that may have been sent: whether each is as it was picked, or what was done to it."""


class Supply:
    """The jobs of a selection that are left to send. If a call raises LOST, call it again.

    Args:
        client: where to read.
        selection: which jobs.
        before: what earlier processes have done already.
        kin: which of the jobs are parents of others; None if that is still to be read.
        wiped: what the action wipes of each.
        look: reads jobs that may have been sent.
    """

    def __init__(
        self,
        client: Client,
        selection: Selection,
        before: Before | None,
        kin: Kin | None,
        *,
        wiped: Wiped,
        look: Look,
    ) -> None:
        self._client = client
        self._selection = selection
        self._wiped = wiped
        self._reader = wiped.reader(client, selection.queue)
        self._look = look
        self._sent = before.sent if before is not None else None
        self._doubtful = list(before.doubtful) if before is not None else []
        self._unsent: list[SnapshotPage] = []
        self._pages: AsyncGenerator[SnapshotPage] | None = None
        self._taken: set[int] = set()
        """Hashes of ids sent: a job that fails again by a clock that lags must not come again."""
        self._parents = before.parents if before is not None else ()
        self._held = None if kin is None else Held(kin, selection.queue)
        self._at_parents = False
        """Whether all jobs but the parents have been handed out."""
        self._reading: tuple[Kin, AsyncGenerator[None]] | None = None

    async def judge_doubtful(self) -> list[Result] | None:
        """Returns the results of some doubtful jobs that were sent; None when none are left.

        Jobs that are still as they were picked were not sent: `page` hands them out first. Costs a
        look at `CHOSEN_AT_ONCE` jobs, and `read_snapshots` of those still there.
        """
        some = self._doubtful[:CHOSEN_AT_ONCE]
        if not some:
            return None
        seen = await self._look(some)
        left = replace(self._all_chosen, jobs=tuple(compress(some, seen.untouched)))
        pages = read_snapshots(self._client, left, self._wiped, self._reader)
        self._unsent += [page async for page in pages]
        self.take(some)
        del self._doubtful[:CHOSEN_AT_ONCE]
        return list(compress(seen.results, [not untouched for untouched in seen.untouched]))

    @property
    def _all_chosen(self) -> Chosen:
        """The queue and state of the selection, for jobs named one by one."""
        return Chosen(self._selection.queue, self._selection.state, ())

    def doubt(self, picks: Iterable[Picked]) -> None:
        """Adds jobs that may have to be sent again; `judge_doubtful` reads them."""
        self._doubtful += picks

    def take(self, picks: Iterable[Picked]) -> None:
        """Marks jobs as being sent: `page` does not return them again."""
        picks = list(picks)
        self._taken.update([hash(one.job_id) for one in picks])
        if self._held is not None:
            self._held.take(picks)

    async def page(self) -> SnapshotPage | None:
        """Returns the next jobs that were not taken, oldest first; None at the end.

        A page may be empty before the end. Parents of other jobs come last, see
        `qtui.operations.supply.kin`.
        """
        if self._held is None:
            return await self._read_kin()
        if self._unsent:
            return self._held.hold(self._unsent.pop(0))
        if not self._at_parents:
            page = await self._next(self._left)
            if page is not None:
                return self._held.hold(self._fresh(page))
            self._at_parents = True
            await self.close()
        parents = tuple(self._held.next())
        if not parents:
            return None
        page = await self._next(lambda: replace(self._all_chosen, jobs=parents))
        if page is None:
            self._pages = None
        return page or EMPTY

    async def _next(self, selection: Callable[[], Selection]) -> SnapshotPage | None:
        """The next page of the selection; begins to read it if needed."""
        if self._pages is None:
            self._pages = read_snapshots(self._client, selection(), self._wiped, self._reader)
        try:
            return await anext(self._pages, None)
        except LOST:
            self._pages = None
            raise

    async def _read_kin(self) -> SnapshotPage:
        """Reads parents, in steps, for a plan that was started before all of them were read."""
        if self._reading is None:
            kin = Kin(self._selection.queue)
            for full_key in self._parents:
                kin.add_parent(full_key)
            self._reading = kin, read_kin(self._client, self._selection, kin)
        kin, steps = self._reading
        try:
            async for _ in steps:
                return EMPTY
        except LOST:
            self._reading = None
            raise
        self._held = Held(kin, self._selection.queue)
        return EMPTY

    async def close(self) -> None:
        """Stops reading."""
        if self._reading is not None:
            await self._reading[1].aclose()
        if self._pages is not None:
            await self._pages.aclose()
        self._pages = None

    def _left(self) -> Selection:
        """The selection, without the jobs that were taken if they were chosen one by one."""
        if isinstance(self._selection, Query):
            return self._selection
        left = tuple(one for one in self._selection.jobs if not self._was_taken(one.job_id))
        return replace(self._selection, jobs=left)

    def _fresh(self, page: SnapshotPage) -> SnapshotPage:
        hashes = map(hash, page.ids)
        if self._sent is None and self._taken.isdisjoint(hashes):
            return page
        return page.only(lambda job_id: not self._was_taken(job_id))

    def _was_taken(self, job_id: str) -> bool:
        return hash(job_id) in self._taken or (self._sent is not None and job_id in self._sent)
