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
from qtui.bullmq.reads.queues.made import FIRST, is_as_made
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.add import AddWriter, UnmakeWriter, Unreserved
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

    The job goes first, then its queue: where only the job is gone, the queue is what is left to do.

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
        self._id = header.id

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
        return [await self._expected(deed) for deed in deeds]

    async def _expected(self, deed: Deed) -> Expected:
        result, _, _ = await self._find(deed)
        if result.code is not Code.NO_SUCH_JOB:
            return Expected(result)
        if self._made and await is_as_made(self._client, self._queue):
            return Expected(Result(deed.id, Code.DONE, "removed"), says="its empty queue removed")
        return Expected(result, arrived=True)

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the whole jobs, as for any removal, each with its state.

        None for a job that is gone: if an earlier process removed it, the journal has it whole.
        """
        jobs = []
        for deed in deeds:
            result, state, picked = await self._find(deed)
            if state is None:
                jobs += [] if result.code is Code.NO_SUCH_JOB else [deed.snapshot]
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
            if self._made and (result.done or result.code is Code.NO_SUCH_JOB):
                unmade = await self._unmake()
                if unmade.code is Code.REFUSED:
                    again = f"its empty queue is left, and `qtui undo {self._id}` removes it"
                    note = note or f"{unmade.error}: {again}"
                elif unmade.done and not result.done:
                    result = Result(deed.id, Code.DONE, "removed")
            results.append(result)
        return Batch(results, note)

    async def _unmake(self) -> Result:
        """Removes the queue, unless it was used since; `Code.REFUSED` if Redis refuses that.

        An error that was raised would say of the job, too, that it is where it was. Not so one of a
        server that takes no writes for now: this is sent again, and finds the job gone.
        """
        try:
            return await UnmakeWriter(self._client).unmake(self._queue, FIRST)
        except Unable:
            raise
        except REFUSED as error:
            return Result(self._queue.base, Code.REFUSED, error=str(error))

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
        self._queue = QueueKey(header.queue, header.prefix)
        self._writes = writes
        self._made = header.options.get(MAKES_QUEUE) is True

    def _restore(self, deed: Deed) -> Restore:
        """What restores a job of the state it was in."""
        state = deed.snapshot.state or JobState.WAITING.value
        return Restore(self._client, replace(self._header, state=state), self._writes)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are; costs what `Pins.rows` costs for each."""
        known = [await self._known(deed) for deed in deeds]
        return [one for deed in known for one in await self._restore(deed).look([deed])]

    async def _known(self, deed: Deed) -> Deed:
        """The deed; one without a code was carried out if the queue is gone, too, with its events.

        Those would say otherwise whether its job was removed, or has run.
        """
        if deed.target or not self._made or await self._exists():
            return deed
        return deed._replace(target="removed")

    async def _exists(self) -> bool:
        [status] = await read_status(self._client, [self._queue])
        return status.exists

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they will be again."""
        return snapshot_lines([one.snapshot for one in deeds], texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Restores them one after the other, each in one atomic step."""
        results, note = list[Result](), ""
        for deed in deeds:
            known = await self._known(deed)
            [expected] = await self._restore(known).look([known])
            refused = await self._make() if expected.result.done else ""
            if refused:
                results.append(Result(deed.id, Code.REFUSED, error=refused))
                continue
            batch = await self._restore(known).send([known])
            results += batch.results
            note = note or batch.note
        return Batch(results, note)

    async def _make(self) -> str:
        """Makes the queue if it went with its job; returns Redis's error if it refuses that."""
        if not self._made or await self._exists():
            return ""
        try:
            await AddWriter(self._client).reserve(self._queue, may_be_new=True)
        except Unreserved as error:
            return str(error)
        return ""

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return Restore(self._client, replace(self._header, state="waiting"), False).why(result)
