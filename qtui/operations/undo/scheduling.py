"""Takes back a removal or a revival of schedulers."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.schedulers.state import SchedulerState
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.schedulers import SchedulerWriter
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.schedulers.changes import Reading, read_undo
from qtui.operations.undo.inverse import Deed, Expected, sender
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

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns whether the schedulers are as they were left; costs what `read_undo` costs."""
        found = []
        for deed in deeds:
            reading = await self._read(deed)
            before = SchedulerState.of(deed.id, deed.snapshot.fields)
            arrived = reading.change is None and reading.state.score == before.score
            found.append(Expected(reading.result, arrived=arrived))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the schedulers as they are, as for any change of them."""
        readings = [await self._read(deed) for deed in deeds]
        return snapshot_lines(
            [Snapshot(one.state.id, None, one.fields()) for one in readings], texts
        )

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Changes them one after the other, each in one atomic step."""
        writer = sender(self._writer)
        results, note = [], ""
        for deed in deeds:
            reading = await self._read(deed)
            if reading.change is None:
                results.append(reading.result)
                continue
            batch = await writer.change(self._queue, reading.change)
            results += [
                one._replace(target=self.done) if one.done else one for one in batch.results
            ]
            note = note or batch.note
        return Batch(results, note)

    def why(self, result: Result) -> str:
        """Returns in words why a scheduler was left alone."""
        return result.error
