"""Removals: jobs of one queue and state are deleted. An action for a campaign.

States: all. Wiped: the whole job (`wiped`). Script: `lua/remove.lua`. Forecast: `plan`.
Inverse: `operations.undo.restore`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from qtui.bullmq.codes import KEPT, REMOVED, Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import Row
from qtui.bullmq.reads.events.removals import removed_lately
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import Below, RemoveWriter
from qtui.operations.engine.action import Seen
from qtui.operations.remove.reasons import NO_UNDO
from qtui.operations.remove.wiped import WipedJobs, below_of, index_of, unread
from qtui.operations.supply.picked import PickedAction, PlannedJobs
from qtui.operations.supply.snapshots import SnapshotPage
from qtui.operations.supply.supply import Before
from qtui.text import plural
from qtui.verbs import Verb

CHILDREN: Final = "children"
WITHOUT_UNDO: Final = "without_undo"
"""The names of the options in a journal's header."""


class Remove(PickedAction):
    """The removal of a plan's jobs.

    Args:
        client: where to read.
        writer: removes the jobs.
        plan: the jobs: chosen ones, each with its pin, or a query on finished ones.
        children: whether the jobs below go too.
        without_undo: whether jobs go too that can't be read whole, so that they can't be restored.
        before: what earlier processes have done already.
    """

    verb = Verb.REMOVE

    def __init__(
        self,
        client: Client,
        writer: RemoveWriter,
        plan: PlannedJobs,
        *,
        children: bool = False,
        without_undo: bool = False,
        before: Before | None = None,
    ) -> None:
        self.wiped = WipedJobs(plan.selection.state, children)
        super().__init__(client, plan, before)
        self.writer = writer
        self.children = children
        self.without_undo = without_undo

    def options(self) -> Mapping[str, object]:
        """Returns what the user chose, for the journal's header."""
        chosen = {CHILDREN: self.children, WITHOUT_UNDO: self.without_undo}
        return {name: True for name, on in chosen.items() if on}

    async def send(self, picks: Sequence[Picked]) -> Batch:
        """Removes jobs, in one atomic step, without those below them."""
        return await self.writer.remove(self.queue, self.state, picks)

    async def carry(self, page: SnapshotPage) -> Batch:
        """Removes jobs with those below them. What could not be read whole stays, unless asked."""
        reasons = [] if self.without_undo else list(map(unread, page.values))
        if not any(reasons):
            return await self._with_below(page)
        sent = page.marked([not why for why in reasons])
        batch = await self._with_below(sent) if len(sent) else Batch([])
        answers = iter(batch.results)
        results = [
            Result(pick.job_id, Code.REFUSED, error=f"{NO_UNDO}: {why}") if why else next(answers)
            for pick, why in zip(page.picks, reasons, strict=True)
        ]
        return Batch(results, batch.note, batch.seconds)

    async def _with_below(self, page: SnapshotPage) -> Batch:
        below: list[Below] = []
        if self.children:
            for place, values in enumerate(page.values):
                below += below_of(place, values)
        places = list(map(index_of, page.values)) if self.state.is_list else ()
        batch = await self.writer.remove(self.queue, self.state, page.picks, below, places=places)
        if not below:
            return batch
        tops, others = batch.results[: len(page)], batch.results[len(page) :]
        pairs = zip(below, others, strict=True)
        gone = Counter(one.top for one, result in pairs if result.done)
        results = [
            one._replace(target=f"{one.target} with {plural(gone[place], 'job')} below it")
            if one.done and gone[place]
            else one
            for place, one in enumerate(tops)
        ]
        return Batch(results, batch.note, batch.seconds)

    def room(self, page: SnapshotPage, jobs: int) -> int:
        """Returns how many jobs one call may have, as those below them count too."""
        if not self.children:
            return jobs
        left = jobs
        for place, values in enumerate(page.values):
            left -= 1 + len(below_of(place, values))
            if left < 0:
                return max(1, place)
        return jobs

    def is_untouched(self, pick: Picked, row: Row) -> bool:
        """Whether a job is as it was picked; an id without a hash may be, too."""
        return pick.pinned and row.score == pick.score

    def result_of_lost(self, pick: Picked, row: Row) -> Result:
        """Returns what a lost call did to a job; for one that is gone see the events (`look`)."""
        if row.missing and row.score is None:
            return Result(pick.job_id, Code.UNKNOWN if pick.pinned else Code.NO_SUCH_JOB)
        return Result(pick.job_id, Code.NOT_IN_STATE)

    async def look(self, picks: Sequence[Picked]) -> Seen:
        """Reads jobs that a lost call, or an earlier process, may have removed.

        One that is gone was removed if its newest event says so; else it may have run, and was
        deleted at its end.
        """
        rows = await self.pins.rows([one.job_id for one in picks])
        # Removed between the reads of its fields and of its state, it looks like one elsewhere.
        torn = [row.id for row in rows if row.score is None and not row.missing]
        again = {row.id: row for row in await self.pins.rows(torn)} if torn else {}
        pairs = [(one, again.get(row.id, row)) for one, row in zip(picks, rows, strict=True)]
        results = [self.result_of_lost(one, row) for one, row in pairs]
        untouched = [self.is_untouched(one, row) for one, row in pairs]
        return Seen(untouched, await self._decided_by_events(results))

    async def corrected(
        self, picks: Sequence[Picked], seen: Seen, results: Sequence[Result]
    ) -> list[Result]:
        """Returns the true results of a call that was sent again.

        If it removed none, the lost call was carried out: a job that was there during the read and
        is gone now is one of those, if its events do not say otherwise.
        """
        if any(result.done for result in results):
            return list(results)
        found = []
        for was_there, known, result in zip(seen.untouched, seen.results, results, strict=True):
            if was_there and result.code is Code.NO_SUCH_JOB:
                found.append(Result(result.job_id, Code.UNKNOWN))
            else:
                found.append(result if was_there or result.code in KEPT else known)
        return await self._decided_by_events(found)

    async def _decided_by_events(self, results: Sequence[Result]) -> list[Result]:
        unknown = {one.job_id for one in results if one.code is Code.UNKNOWN}
        if not unknown:
            return list(results)
        removed = await removed_lately(self.client, self.queue, unknown)
        return [
            Result(one.job_id, Code.DONE, REMOVED) if one.job_id in removed else one
            for one in results
        ]
