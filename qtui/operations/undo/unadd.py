"""Takes back that jobs were added: removes those that no worker has had; and that back again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import REFUSED, Unable
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.add import AddWriter, UnmakeWriter
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.add.add import MAKES_QUEUE
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.remove.wiped import WipedJobs
from qtui.operations.supply.pins import Pins
from qtui.operations.supply.selection import Chosen
from qtui.operations.supply.snapshots import read_snapshots
from qtui.operations.undo.inverse import Deed, Expected, sender
from qtui.operations.undo.restore import Restore
from qtui.verbs import Verb

_WAITING: Final = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED, JobState.DELAYED)
_RAN: Final = ("processedOn", "ats", "atm", "attemptsMade")
_ADDED: Final = ("name", "data", "opts")


class Unadd:
    """Removes added jobs that still wait, as they were added; and a queue that was made for one.

    Args:
        client: the server.
        header: the first line of the journal of the adding.
        writes: whether it may write.
    """

    effect = "unadd"
    done = "removed"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._writer = RemoveWriter(client) if writes else None
        self._made = header.options.get(MAKES_QUEUE) is True

    async def _find(self, deed: Deed) -> tuple[Result, JobState | None, Picked]:
        """What a removal would answer; and the state of a job that can go, and its pin."""
        picked = Picked(deed.id)
        found = await Reader(self._client).whereabouts(self._queue, [deed.id], reasons=False)
        where = found[deed.id]
        if not where.exists:
            return Result(deed.id, Code.NO_SUCH_JOB), None, picked
        [values] = await read_whole(self._client, [self._queue.job(deed.id)], [*_RAN, *_ADDED])
        now = dict(zip((*_RAN, *_ADDED), values, strict=True))
        why = ""
        if any(now[name] not in (None, "0") for name in _RAN):
            why = "has run since"
        elif any(now[name] != deed.snapshot.fields.get(name) for name in ("name", "data")):
            why = "was changed since"
        elif where.state is None or where.state not in _WAITING:
            why = f"does not wait any more: {where.words}"
        if why or where.state is None:
            return Result(deed.id, Code.NOT_IN_STATE, error=why), None, picked
        [row] = await Pins(self._client, self._queue, where.state).rows([deed.id])
        if row.score is None:
            return Result(deed.id, Code.NOT_IN_STATE, error="has run since"), None, picked
        return Result(deed.id, Code.DONE, "removed"), where.state, Picked(deed.id, row.score)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are; costs what `Reader.whereabouts` costs for each."""
        found = [await self._find(deed) for deed in deeds]
        return [Expected(result, arrived=result.code is Code.NO_SUCH_JOB) for result, _, _ in found]

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the whole jobs, as for any removal, each with its state."""
        jobs = []
        for deed in deeds:
            _, state, picked = await self._find(deed)
            if state is None:
                jobs.append(deed.snapshot)
                continue
            wiped = WipedJobs(state, children=False)
            chosen = Chosen(self._queue, state, (picked,))
            async for page in read_snapshots(self._client, chosen, wiped):
                pairs = zip(page.picks, page.values, strict=True)
                jobs += [
                    wiped.snapshot(one, values)._replace(state=state.value) for one, values in pairs
                ]
        return snapshot_lines(jobs, texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Removes them one after the other, each in one atomic step."""
        writer = sender(self._writer)
        results, note = [], ""
        for deed in deeds:
            result, state, picked = await self._find(deed)
            if state is not None:
                batch = await writer.remove(self._queue, state, [picked])
                [result] = batch.results
                note = note or batch.note
                if self._made and result.done:
                    note = note or await self._unmake()
            results.append(result)
        return Batch(results, note)

    async def _unmake(self) -> str:
        """Removes the queue, unless it was used since; returns Redis's error if it refuses that.

        An error that was raised would say of the job, too, that it is where it was.
        """
        try:
            # The first number of a queue is 1.
            return (await UnmakeWriter(self._client).unmake(self._queue, "1")).error
        except (REFUSED, Unable) as error:
            return str(error)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return result.error


class Readd:
    """Takes back that added jobs were removed: they return to where they waited.

    A queue that was made for one, and is gone with it, is made again.

    Args:
        client: the server.
        header: the first line of that undo's journal.
        writes: whether it may write.
    """

    effect = Verb.ADD.value
    done = "added again"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._header = header
        self._writes = writes

    def _restore(self, deed: Deed) -> Restore:
        """What restores a job of the state it was in."""
        state = deed.snapshot.state or JobState.WAITING.value
        return Restore(self._client, replace(self._header, state=state), self._writes)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are; costs what `Pins.rows` costs for each."""
        return [one for deed in deeds for one in await self._restore(deed).look([deed])]

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they will be again."""
        return snapshot_lines([one.snapshot for one in deeds], texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Restores them one after the other, each in one atomic step."""
        results, note = [], ""
        queue = QueueKey(self._header.queue, self._header.prefix)
        if self._header.options.get(MAKES_QUEUE) is True:
            [status] = await read_status(self._client, [queue])
            if not status.exists:
                await AddWriter(self._client).reserve(queue, may_be_new=True)
        for deed in deeds:
            batch = await self._restore(deed).send([deed])
            results += batch.results
            note = note or batch.note
        return Batch(results, note)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return Restore(self._client, replace(self._header, state="waiting"), False).why(result)
