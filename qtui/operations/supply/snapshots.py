"""Reads what an action wipes, lowest score first, from a state that shrinks as jobs leave it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import compress
from typing import Final, Protocol

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.fields import Fields, Values, family_of
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS
from qtui.bullmq.reads.scores import lowest_first
from qtui.bullmq.writers.batch import Picked
from qtui.operations.engine.prefetch import prefetched
from qtui.operations.journal.facts import Snapshot
from qtui.operations.journal.lines import column_lines, snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.supply.selection import Chosen, Query, Selection, hunt_for

SNAPSHOT_FIELDS: Final = (*LIST_FIELDS, "returnvalue", "stacktrace", "stc", "defa", "parent")
"""Fields that a retry wipes or may change, and those that identify the job."""

IDS_A_PAGE: Final = 1000
"""Jobs whose ids are read in one command: about 0.3 ms of Redis's time."""

_READY: Final = 4
"""Pages that are read ahead."""

_FEW: Final = 10
"""A page of fewer jobs has large ones (see `Fields`), and the next is not read ahead."""

_BREATH: Final = 200
"""Jobs whose lines are made without a pause: half a millisecond."""


class JobReader(Protocol):
    """Reads of jobs of one queue what an action wipes."""

    async def first_of(self, ids: Sequence[str]) -> list[Values]:
        """Returns the values of the first given jobs, in order; at least one.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """


class Wiped(Protocol):
    """What an action wipes of a job: how it is read, and how it is written down."""

    def reader(self, client: Client, queue: QueueKey) -> JobReader:
        """Returns what reads it."""

    def snapshot(self, pick: Picked, values: Values) -> Snapshot:
        """Returns a job as the journal keeps it, from the values that were read."""

    def lines(
        self, picks: Sequence[Picked], values: Sequence[Values], texts: Texts | None
    ) -> bytes:
        """Returns jobs as lines of the journal, see `snapshot_lines`."""
        return snapshot_lines(map(self.snapshot, picks, values), texts)


@dataclass(frozen=True, slots=True)
class WipedFields(Wiped):
    """Fields of a job's hash, and what its parent's keys hold about it."""

    names: tuple[str, ...]
    family: bool = False
    """Whether the values of a job end with its `family_of`; `names` must have ``parentKey``."""

    def reader(self, client: Client, queue: QueueKey) -> Fields:
        """Returns what reads them: some 3 µs of Redis's time a job, see `Fields`."""
        return Fields(client, queue, self.names, family=self.family)

    def snapshot(self, pick: Picked, values: Values) -> Snapshot:
        """Returns a job with those of its fields that exist."""
        pairs = zip(self.names, values, strict=False)
        fields = {name: text for name, text in pairs if text is not None}
        return Snapshot(pick.job_id, pick.score, fields, "", self._family(values))

    def lines(
        self, picks: Sequence[Picked], values: Sequence[Values], texts: Texts | None
    ) -> bytes:
        """Returns the same for many jobs, side by side."""
        columns = dict(zip(self.names, zip(*values, strict=True), strict=False))
        return column_lines(picks, columns, list(map(self._family, values)), texts)

    def _family(self, values: Values) -> dict[str, str] | None:
        return family_of(values[-1]) if self.family else None


RETRY_WIPES: Final = WipedFields(SNAPSHOT_FIELDS, family=True)
"""What a retry wipes."""


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """Jobs to be sent: how each was picked, and what the action wipes, in parallel sequences."""

    picks: Sequence[Picked]
    values: Sequence[Values]
    """As `wiped` reads them."""
    wiped: Wiped = RETRY_WIPES

    def __len__(self) -> int:
        return len(self.picks)

    @property
    def ids(self) -> list[str]:
        """The ids of its jobs."""
        return [one.job_id for one in self.picks]

    def __getitem__(self, part: slice) -> SnapshotPage:
        """Returns a part of the page."""
        return SnapshotPage(self.picks[part], self.values[part], self.wiped)

    def only(self, wanted: Callable[[str], bool]) -> SnapshotPage:
        """Returns the jobs whose ids are wanted."""
        return self.marked(list(map(wanted, self.ids)))

    def marked(self, wanted: Sequence[bool]) -> SnapshotPage:
        """Returns the jobs at the positions that are true."""
        picks, values = compress(self.picks, wanted), compress(self.values, wanted)
        return SnapshotPage(list(picks), list(values), self.wiped)

    async def lines(self, texts: Texts | None = None) -> bytes:
        """Returns the page as journal lines; yields to the event loop while it makes them."""
        found = []
        for start in range(0, len(self), _BREATH):
            part = self[start : start + _BREATH]
            found.append(self.wiped.lines(part.picks, part.values, texts))
            await asyncio.sleep(0)  # a turn for the screen, and for what is being sent
        return b"".join(found)


EMPTY: Final = SnapshotPage((), ())
"""A page without jobs."""


async def read_snapshots(
    client: Client,
    selection: Selection,
    wiped: Wiped = RETRY_WIPES,
    reader: JobReader | None = None,
) -> AsyncGenerator[SnapshotPage]:
    """Yields what an action on a selection wipes, page by page, and reads ahead.

    Each job has the score at which it is to be sent: a chosen one that of its choice, one of a
    query its current one. Jobs of a query come oldest finish first; one that stays in the state
    comes exactly once, even while others leave.

    Args:
        client: where to read.
        selection: the jobs.
        wiped: what the action wipes.
        reader: made by ``wiped`` for the queue; give the same one for all jobs that leave one after
            the other, see `read_picked`.

    Costs the ``wiped`` of each job; for a query with a filter its `Hunt`, for a whole state one
    ZRANGEBYSCORE for `IDS_A_PAGE` jobs.
    """
    if isinstance(selection, Chosen):
        picks = _chosen(selection)
    elif selection.filter is not None:
        picks = _matching(client, selection)
    else:
        picks = _whole_state(client, selection)
    heavy = False
    reader = reader or wiped.reader(client, selection.queue)
    read = prefetched(_read(reader, picks, wiped), lambda: not heavy, most=_READY)
    async with aclosing(read) as pages:
        async for page in pages:
            heavy = len(page) < _FEW  # their values are large: hold only what is being sent
            yield page


async def read_picked(
    reader: JobReader, picks: Sequence[Picked], wiped: Wiped
) -> AsyncGenerator[SnapshotPage]:
    """Yields what an action wipes of the given jobs, in order; costs the ``wiped`` of each.

    Args:
        reader: made by ``wiped``; it knows where in a list the last jobs were, and which leave it.
        picks: the jobs.
        wiped: what the action wipes.
    """
    while picks:
        values = await reader.first_of([one.job_id for one in picks])
        part, picks = picks[: len(values)], picks[len(values) :]
        yield SnapshotPage(part, values, wiped)


async def _read(
    reader: JobReader, picks: AsyncGenerator[Sequence[Picked]], wiped: Wiped
) -> AsyncGenerator[SnapshotPage]:
    """Yields empty pages too, if a filter matches little, so that the caller can stop."""
    async with aclosing(picks):
        async for some in picks:
            if not some:
                yield EMPTY
            while some:
                values = await reader.first_of([one.job_id for one in some])
                part, some = some[: len(values)], some[len(values) :]
                yield SnapshotPage(part, values, wiped)


async def _chosen(selection: Chosen) -> AsyncGenerator[Sequence[Picked]]:
    for start in range(0, len(selection.jobs), IDS_A_PAGE):
        yield selection.jobs[start : start + IDS_A_PAGE]


async def _matching(client: Client, selection: Query) -> AsyncGenerator[Sequence[Picked]]:
    async for step in hunt_for(client, selection, (), rate=0).steps():
        # A job without a score has left the state during the read.
        scores = step.scores or ()
        yield [Picked(*one) for one in zip(step.ids, scores, strict=True) if one[1] is not None]


async def _whole_state(client: Client, selection: Query) -> AsyncGenerator[Sequence[Picked]]:
    """Continues from the last score, not by position: the state shrinks as its jobs are retried.

    Jobs with the same score come in the order of their ids. Those that came before and are still
    there are skipped; if a page has no others, the next one is twice as large.
    """
    queue, state, until = selection.queue, selection.state, selection.until
    last, alike, size = -math.inf, set[str](), IDS_A_PAGE
    while True:
        met = await lowest_first(client, queue, state, last, until, size)
        at_end = len(met) < size
        fresh = [Picked(*one) for one in met.items() if one[0] not in alike]
        if fresh:
            yield fresh
            last = met[fresh[-1].job_id]
            alike = {one for one, at in met.items() if at == last}
        if at_end:
            return
        size = IDS_A_PAGE if fresh else 2 * size
