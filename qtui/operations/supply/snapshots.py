"""Reads what a retry wipes, oldest finish first, while jobs leave the state as they are met."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import compress
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.model import LIST_FIELDS
from qtui.bullmq.reads.fields import Fields, Values
from qtui.bullmq.reads.scores import lowest_first
from qtui.bullmq.signature.headline import reason_of
from qtui.bullmq.writer import Picked
from qtui.operations.engine.prefetch import prefetched
from qtui.operations.journal.lines import Snapshot, snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.supply.selection import Chosen, Query, Selection, hunt_for

SNAPSHOT_FIELDS: Final = (*LIST_FIELDS, "returnvalue", "stacktrace", "stc", "defa", "parent")
"""What a retry wipes or may change, and what tells which job it was."""

IDS_A_PAGE: Final = 1000
"""Jobs whose ids are read in one command: about 0.3 ms of Redis's time."""

_READY: Final = 4
"""Pages that are ready to be looked at, while others are."""

_FEW: Final = 10
"""Jobs of a page below which the next one is not read before it is asked for, see `Fields`."""

_BREATH: Final = 100
"""Jobs whose lines are made at a time: half a millisecond."""

_REASON: Final = SNAPSHOT_FIELDS.index("failedReason")
_STACK: Final = SNAPSHOT_FIELDS.index("stacktrace")


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """Jobs on their way, side by side: how each is to be sent, and what that wipes."""

    picks: Sequence[Picked]
    values: Sequence[Values]
    """Of the fields `SNAPSHOT_FIELDS`, in that order."""

    def __len__(self) -> int:
        return len(self.picks)

    def __getitem__(self, part: slice) -> SnapshotPage:
        """Some of them."""
        return SnapshotPage(self.picks[part], self.values[part])

    def only(self, wanted: Callable[[str], bool]) -> SnapshotPage:
        """Those with certain ids."""
        return self.marked([wanted(pick.job_id) for pick in self.picks])

    def marked(self, wanted: Sequence[bool]) -> SnapshotPage:
        """Some of them, by place."""
        return SnapshotPage(list(compress(self.picks, wanted)), list(compress(self.values, wanted)))

    def errors(self) -> list[str]:
        """The reason of each, empty where there is none; see `reason_of`."""
        return [reason_of(values[_REASON], values[_STACK]) or "" for values in self.values]

    async def lines(self, texts: Texts | None = None) -> bytes:
        """The lines of a journal that say all of it; others have their turn meanwhile."""
        found = []
        for start in range(0, len(self), _BREATH):
            rows = zip(
                self.picks[start : start + _BREATH],
                self.values[start : start + _BREATH],
                strict=True,
            )
            jobs = [Snapshot(one.job_id, one.score, _present(values)) for one, values in rows]
            found.append(snapshot_lines(jobs, texts))
            await asyncio.sleep(0)  # a turn for the screen, and for what is being sent
        return b"".join(found)


def _present(values: Values) -> dict[str, str]:
    pairs = zip(SNAPSHOT_FIELDS, values, strict=True)
    return {name: text for name, text in pairs if text is not None}


async def read_snapshots(client: Client, selection: Selection) -> AsyncGenerator[SnapshotPage]:
    """What a retry of a selection wipes, page by page; the next ones are read meanwhile.

    Each job comes with the score at which it is to be sent: a chosen one with that of its choice,
    one of a query as it stands now. Those of a query come oldest finish first; a job that stays
    until it is met is met once, whatever leaves the state meanwhile.

    Costs the `Fields` of each job; for a query with a filter its `Hunt`, for a whole state one
    ZRANGEBYSCORE for `IDS_A_PAGE` jobs.
    """
    if isinstance(selection, Chosen):
        picks = _chosen(selection)
    elif selection.filter is not None:
        picks = _matching(client, selection)
    else:
        picks = _whole_state(client, selection)
    heavy = False
    read = prefetched(_read(client, selection, picks), lambda: not heavy, most=_READY)
    async with aclosing(read) as pages:
        async for page in pages:
            heavy = len(page) < _FEW  # their values are large: no more are held than are sent
            yield page


async def _read(
    client: Client, selection: Selection, picks: AsyncGenerator[Sequence[Picked]]
) -> AsyncGenerator[SnapshotPage]:
    """Often nothing, where a filter matches little, so that somebody can stop it."""
    fields = Fields(client, selection.queue, SNAPSHOT_FIELDS)
    async with aclosing(picks):
        async for some in picks:
            if not some:
                yield SnapshotPage((), ())
            while some:
                values = await fields.first_of([one.job_id for one in some])
                part, some = some[: len(values)], some[len(values) :]
                yield SnapshotPage(part, values)


async def _chosen(selection: Chosen) -> AsyncGenerator[Sequence[Picked]]:
    for start in range(0, len(selection.jobs), IDS_A_PAGE):
        yield selection.jobs[start : start + IDS_A_PAGE]


async def _matching(client: Client, selection: Query) -> AsyncGenerator[Sequence[Picked]]:
    async for step in hunt_for(client, selection, (), rate=0).steps():
        # One without a score has left the state while it was read.
        yield [Picked(one.id, one.score) for one in step if one.score is not None]


async def _whole_state(client: Client, selection: Query) -> AsyncGenerator[Sequence[Picked]]:
    """Goes on where the last score was, not by places: the state shrinks as its jobs are retried.

    Jobs of one score come in the order of their ids. Those that were met before and still stand
    are passed over; a page that has no other makes the next one twice as large.
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
