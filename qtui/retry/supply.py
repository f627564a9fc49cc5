"""The jobs that a campaign is to send, each handed out once, whatever is lost meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection import Client
from qtui.bullmq.reader import Reader
from qtui.bullmq.writer import Picked
from qtui.retry.delivery import LOST, judged, stands
from qtui.retry.evidence import Page, evidence
from qtui.retry.journal_tally import Ids
from qtui.retry.selection import CHUNK, Chosen, Query, Selection


class Before(NamedTuple):
    """What a campaign did in the process that began it."""

    sent: Ids
    """Ids that are not to be sent again."""
    doubtful: Sequence[Picked]
    """Jobs that may have been sent: they are read before anything else is done."""
    codes: Counter[Code]
    """The codes of the others."""


class Supply:
    """What is left of a selection. Where a call raises that the connection was lost, call again.

    Args:
        client: where to read.
        selection: which jobs.
        before: what another process has done of it already.
    """

    def __init__(self, client: Client, selection: Selection, before: Before | None) -> None:
        self._client = client
        self._selection = selection
        self._sent = before.sent if before is not None else None
        self._doubtful = list(before.doubtful) if before is not None else []
        self._stand: list[Page] = []
        self._pages: AsyncGenerator[Page] | None = None
        self._taken: set[int] = set()
        """Hashes of ids: a clock that lags must not bring one back."""

    async def judge_doubtful(self) -> list[Result] | None:
        """What became of some jobs that may have been sent, and None in the end.

        Those that stand where they stood were not; `page` hands them out before all others.
        Costs the rows of `CHUNK` jobs, and the `evidence` of those.
        """
        some = self._doubtful[:CHUNK]
        if not some:
            return None
        queue, state = self._selection.queue, self._selection.state
        seen = await Reader(self._client).rows(queue, state, [one.job_id for one in some])
        pairs = list(zip(some, seen, strict=True))
        gone = [pair for pair in pairs if not stands(*pair)]
        left = Chosen(queue, state, tuple(pick for pick, row in pairs if stands(pick, row)))
        self._stand += [page async for page in evidence(self._client, left)]
        self.take(some)
        del self._doubtful[:CHUNK]
        return judged([pick for pick, _ in gone], [row for _, row in gone])

    def take(self, picks: Iterable[Picked]) -> None:
        """These are on their way: none of them comes again."""
        self._taken.update([hash(one.job_id) for one in picks])

    async def page(self) -> Page | None:
        """The next jobs that nobody took, oldest first, often none; None in the end."""
        if self._stand:
            return self._stand.pop(0)
        if self._pages is None:
            self._pages = evidence(self._client, self._left())
        try:
            page = await anext(self._pages, None)
        except LOST:
            self._pages = None
            raise
        return None if page is None else self._fresh(page)

    async def close(self) -> None:
        """Stops reading."""
        if self._pages is not None:
            await self._pages.aclose()

    def _left(self) -> Selection:
        """The selection without what was taken, so far as its jobs are known one by one."""
        if isinstance(self._selection, Query):
            return self._selection
        left = tuple(one for one in self._selection.jobs if not self._was_taken(one.job_id))
        return replace(self._selection, jobs=left)

    def _fresh(self, page: Page) -> Page:
        hashes = [hash(one.job_id) for one in page.picks]
        if self._sent is None and self._taken.isdisjoint(hashes):
            return page
        return page.only(lambda job_id: not self._was_taken(job_id))

    def _was_taken(self, job_id: str) -> bool:
        return hash(job_id) in self._taken or (self._sent is not None and job_id in self._sent)
