"""Takes back what was done to schedulers: a removal, a revival, and a job that was run now."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.schedulers.state import SchedulerState
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.schedulers import SchedulerWriter
from qtui.operations.journal.lines import Header, Snapshot, snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.schedulers.changes import Reading, read_undo
from qtui.operations.supply.pins import Pins
from qtui.operations.undo.inverse import Deed, Standing
from qtui.verbs import Verb

_WAITING = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED, JobState.DELAYED)


class Unreschedule:
    """Gives schedulers back the time and the iteration that they had; its own inverse.

    One that was removed comes back with its iteration, in the place that it had; the iteration that
    a revival made goes, unless it has begun.

    Args:
        client: the server.
        header: the first line of the journal of the change.
        writes: whether it may write.
    """

    effect = Verb.SCHEDULERS.value
    done = "as before"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._writer = SchedulerWriter(client) if writes else None

    async def _read(self, deed: Deed) -> Reading:
        return await read_undo(self._client, self._queue, deed.id, deed.snapshot.fields)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Standing]:
        """Returns whether the schedulers are as they were left; costs what `read_undo` costs."""
        found = []
        for deed in deeds:
            reading = await self._read(deed)
            before = SchedulerState.of(deed.id, deed.snapshot.fields)
            arrived = reading.change is None and reading.state.score == before.score
            found.append(Standing(reading.result, arrived=arrived))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the schedulers as they are, as for any change of them."""
        readings = [await self._read(deed) for deed in deeds]
        return snapshot_lines(
            [Snapshot(one.state.id, None, one.fields()) for one in readings], texts
        )

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Changes them one after the other, each in one atomic step."""
        if self._writer is None:
            raise RuntimeError("an undo that was only planned sends nothing")
        results, note = [], ""
        for deed in deeds:
            reading = await self._read(deed)
            if reading.change is None:
                results.append(reading.result)
                continue
            batch = await self._writer.change(self._queue, reading.change)
            results += [
                one._replace(target=self.done) if one.done else one for one in batch.results
            ]
            note = note or batch.note
        return Batch(results, note)

    def why(self, result: Result) -> str:
        """Returns in words why a scheduler was left alone."""
        return result.error


class Unrun:
    """Removes the jobs that were made to run schedulers now, if no worker has had them.

    Args:
        client: the server.
        header: the first line of the journal of the change.
        writes: whether it may write.
    """

    effect = "scheduler-unrun"
    done = "removed"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._writer = RemoveWriter(client) if writes else None

    async def _find(self, deed: Deed) -> tuple[Result, JobState | None, Picked]:
        """What a removal would answer, and the job with its place."""
        job_id, picked = deed.id, Picked(deed.id)
        found = await Reader(self._client).whereabouts(self._queue, [job_id], reasons=False)
        where = found[job_id]
        if not where.exists:
            return Result(deed.id, Code.NO_SUCH_JOB), None, picked
        if where.state in _WAITING and where.state is not None:
            [row] = await Pins(self._client, self._queue, where.state).rows([job_id])
            if row.score is not None and not row.attempts_made and not row.attempts_started:
                return Result(deed.id, Code.DONE), where.state, Picked(job_id, row.score)
        why = f"it has run: {where.words}"
        return Result(deed.id, Code.NOT_IN_STATE, error=why), None, picked

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Standing]:
        """Returns where the jobs are; costs what `Reader.whereabouts` costs for each."""
        found = [await self._find(deed) for deed in deeds]
        return [Standing(result, arrived=result.code is Code.NO_SUCH_JOB) for result, _, _ in found]

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns a line a job: its template is still the scheduler's."""
        return snapshot_lines([Snapshot(deed.id, None, {}) for deed in deeds], texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Removes them one after the other, each in one atomic step."""
        if self._writer is None:
            raise RuntimeError("an undo that was only planned sends nothing")
        results, note = [], ""
        for deed in deeds:
            result, state, picked = await self._find(deed)
            if state is not None:
                batch = await self._writer.remove(self._queue, state, [picked])
                [result] = batch.results
                note = note or batch.note
            results.append(result)
        return Batch(results, note)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return result.error
