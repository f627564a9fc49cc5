"""The removal of stray jobs: such as have a hash, and are in no state. Plan and action.

Each is one call. Written down: the whole job, as for any removal (`wiped`). Script:
`lua/remove.lua`. Inverse: `operations.undo.restore`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import REMOVED, Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.hanging import Hanging, read_hanging
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.events.removals import removed_lately
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.remove.forecast import Prediction, PredictionTally, predict
from qtui.operations.remove.reasons import NO_UNDO
from qtui.operations.remove.wiped import WipedJobs, unread
from qtui.operations.supply.pins import NoState
from qtui.operations.supply.single import Judged, SingleAction
from qtui.text import count, plural
from qtui.verbs import Verb

_AT_ONCE: Final = 250
"""Jobs read in one round trip."""

_WIPED: Final = WipedJobs(None, children=False)


class RemoveStray(SingleAction[Picked]):
    """The removal of jobs that are in no state, each pinned to its stamp.

    Args:
        client: where to read.
        writer: removes them.
        queue: their queue.
        jobs: the jobs.
        without_undo: whether jobs go too that can't be read whole, so that they can't be restored.
    """

    verb = Verb.REMOVE

    def __init__(
        self,
        client: Client,
        writer: RemoveWriter,
        queue: QueueKey,
        jobs: Sequence[Picked],
        *,
        without_undo: bool = False,
    ) -> None:
        super().__init__(queue, jobs)
        self._client = client
        self._writer = writer
        self._without_undo = without_undo
        self._jobs = len(jobs)
        self._reader = _WIPED.reader(client, queue)
        self._unread: dict[str, str] = {}
        """By id why a job could not be read whole."""

    def id_of(self, job: Picked) -> str:
        """Returns its id."""
        return job.job_id

    def header(self) -> Header:
        """Returns the first line of the journal, without address and command."""
        return Header(
            where="",
            queue=self.queue.base,
            prefix=self.queue.prefix,
            state="",
            selection=WrittenSelection(kind="ids", jobs=self._jobs),
            action=self.verb.value,
        )

    async def snapshot_of(self, job: Picked) -> Snapshot:
        """Returns the whole job."""
        [values] = await self._reader.first_of([job.job_id])
        self._unread[job.job_id] = unread(values)
        return _WIPED.snapshot(job, values)

    async def send(self, job: Picked) -> Batch:
        """Removes it, in one atomic step; one that could not be read whole stays, unless asked."""
        if (why := self._unread.get(job.job_id)) and not self._without_undo:
            return Batch([Result(job.job_id, Code.REFUSED, error=f"{NO_UNDO}: {why}")])
        return await self._writer.remove(self.queue, None, [job])

    async def judge(self, job: Picked) -> Judged:
        """Reads whether it is still there; one that is gone was removed if its events say so."""
        [row] = await NoState(self._client, self.queue).rows([job.job_id])
        untouched = job.pinned and row.score == job.score
        if not row.missing:
            return Judged(untouched, Result(job.job_id, Code.NOT_IN_STATE))
        removed = await removed_lately(self._client, self.queue, [job.job_id])
        if removed:
            return Judged(False, Result(job.job_id, Code.DONE, REMOVED))
        return Judged(False, Result(job.job_id, Code.UNKNOWN))


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayPlan:
    """The removal of jobs in no state as it would go now; an `ActionPlan`."""

    status: QueueStatus
    predictions: tuple[Prediction, ...]
    """Job by job; a row's score is its pin, None if the job is in a state, or gone."""
    tally: PredictionTally
    without_undo: bool = False
    by_query: bool = False

    verb = Verb.REMOVE

    @property
    def queue(self) -> QueueKey:
        """Their queue."""
        return self.status.queue

    @property
    def jobs(self) -> int:
        """Number of jobs that were named."""
        return len(self.predictions)

    @property
    def refusal(self) -> str:
        """Why none of it can be carried out."""
        why = self.status.kind.refusal
        return f"Nothing will be removed: the queue is {why}." if why else ""

    @property
    def results(self) -> Sequence[Result]:
        """What is expected job by job."""
        return [one.result(without_undo=self.without_undo) for one in self.predictions]

    def expected(self, options: PlanOptions) -> int:
        """Returns how many jobs are expected to go."""
        return self.tally.codes[Code.DONE] - (0 if self.without_undo else self.tally.large)

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does."""
        return f"remove {plural(self.expected(options), 'job')}"

    def confirmation(self, options: PlanOptions) -> str:
        """Returns what must be typed: the count, if it is large."""
        return count_to_type(self.expected(options))

    def lines(self, options: PlanOptions) -> Sequence[PlanLine]:
        """Returns its jobs grouped by name and what happens to them, largest group first."""
        return self.tally.lines(without_undo=self.without_undo)

    def warnings(self, options: PlanOptions) -> Iterator[str]:
        """What to know before confirming, in whole sentences; plain text."""
        if self.refusal:
            yield self.refusal
            return
        if jobs := self.expected(options):
            are, them = ("job is", "it") if jobs == 1 else ("jobs are", "them")
            yield f"{count(jobs)} {are} in no state: no worker would ever run {them}."
        yield from self.tally.consequences(children_too=False)
        yield from self.tally.without_undo(too=self.without_undo)
        yield from self.tally.staying()

    def action(self, client: Client, options: PlanOptions) -> RemoveStray:
        """Returns the action, with a writer of its own."""
        picked = [one.picked for one in self.predictions]
        return RemoveStray(
            client, RemoveWriter(client), self.queue, picked, without_undo=self.without_undo
        )


async def make_stray_plan(
    client: Client, queue: QueueKey, ids: Sequence[str], *, without_undo: bool = False
) -> StrayPlan:
    """Reads the jobs, and predicts what their removal would do.

    Costs what `NoState.rows` and `read_hanging` cost for each 250 of them.
    """
    [status] = await read_status(client, [queue])
    ids, found = list(dict.fromkeys(ids)), list[Prediction]()
    for start in range(0, len(ids), _AT_ONCE):
        rows = await NoState(client, queue).rows(ids[start : start + _AT_ONCE])
        strays = [row.id for row in rows if row.score is not None]
        hanging = dict(zip(strays, await read_hanging(client, queue, None, strays), strict=True))
        found += [predict(row, hanging.get(row.id, Hanging()), status) for row in rows]
    tally = PredictionTally(None)
    tally.add(found)
    return StrayPlan(
        status=status, predictions=tuple(found), tally=tally, without_undo=without_undo
    )
