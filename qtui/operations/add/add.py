"""Adds a job. An action for a campaign.

Written down: the job as it is added. Script: `lua/add.lua`. Forecast: `plan`. Inverse:
`qtui.operations.undo.unadd`.

Before it is written down its id is reserved: the queue's counter of ids goes up by one, as it does
for an add that fails. So a job whose reply was lost is found by its id, and made once. One that ran
and was removed at once is known by its event ``added``. A call is good for `WINDOW` seconds only,
and after a lost reply the job is looked for when they are over: no late call adds it again.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import Unable, condition_of
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.editable import read_editable
from qtui.bullmq.new_job.options import NewJob
from qtui.bullmq.reads.events.log import EventLog
from qtui.bullmq.writers.add import AddWriter, Unreserved
from qtui.bullmq.writers.batch import Batch
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.supply.single import Judged, SingleAction
from qtui.verbs import Verb

WINDOW: Final = 5.0
"""Seconds after which the server no longer adds a job: as long as a reply is waited for."""

MAKES_QUEUE: Final = "makes_queue"
"""The option in a journal's header that says that the queue did not exist before."""

_NEVER: Final = {
    "number": "the server lost the id that was reserved: nothing was added, try again",
    "late": "the server took the call too late: nothing was added, try again",
}


def _milliseconds() -> float:
    return time.monotonic() * 1000


class Numbered:
    """A job that is being added, with the number reserved for it."""

    def __init__(self, job: NewJob) -> None:
        self.job = job
        self.number = ""
        self.clock = 0.0
        """The server's time in ms, less ours in ms."""
        self.until = 0.0
        """Our time at which a call that was sent is too late."""

    @property
    def id(self) -> str:
        """Its id: its own, or the number reserved for it."""
        return self.job.job_id or self.number


class Add(SingleAction[Numbered]):
    """The adding of a job.

    Args:
        client: where to read.
        writer: adds it.
        queue: the queue to which it is added.
        job: the job.
        copied: the id of the job from which it was made; empty for none.
        may_be_new: whether the queue is made if no key of it exists.
        makes_queue: whether none existed when it was planned, so that an undo removes the queue.
        window: seconds for which a call is good.
    """

    def __init__(
        self,
        client: Client,
        writer: AddWriter,
        queue: QueueKey,
        job: NewJob,
        *,
        copied: str = "",
        may_be_new: bool = False,
        makes_queue: bool = False,
        window: float = WINDOW,
    ) -> None:
        self.job = Numbered(job)
        super().__init__(queue, [self.job])
        self._copied = copied
        self._may_be_new = may_be_new
        self._makes_queue = may_be_new and makes_queue
        self._client = client
        self._writer = writer
        self._window = window
        self._added = EventLog(client, queue, ("added",))
        self._whole = True
        """Whether no event can have been missed."""
        self._made = False

    async def begin(self) -> None:
        """Notes the end of the queue's events, so that the one of this job is not missed."""
        await self._added.begin()

    def id_of(self, job: Numbered) -> str:
        """Returns the job's id."""
        return job.id

    def header(self) -> Header:
        """Returns the first line of the journal."""
        return Header(
            where="",
            queue=self.queue.base,
            prefix=self.queue.prefix,
            state="",
            selection=WrittenSelection(kind="ids", jobs=1),
            action=(Verb.DUPLICATE if self._copied else Verb.ADD).value,
            options=(
                ({"copied": self._copied} if self._copied else {})
                | ({MAKES_QUEUE: True} if self._makes_queue else {})
            ),
        )

    async def prepared(self, job: Numbered) -> Numbered:
        """Reserves the job's id, if that was not done yet.

        Raises:
            Unable: the server takes no writes for now.
        """
        refused = await self._reserve(job)
        if condition := condition_of(refused):
            raise Unable(refused, condition)
        return job

    async def _reserve(self, job: Numbered) -> str:
        """Redis's error if it refuses to reserve the job's id; empty if it has one."""
        if job.number:
            return ""
        try:
            reserved = await self._writer.reserve(self.queue, may_be_new=self._may_be_new)
        except Unreserved as error:
            return str(error)
        job.number = reserved.number
        # The reply took some time, so that the server's clock is not earlier than this.
        job.clock = reserved.now - _milliseconds()
        return ""

    async def snapshot_of(self, job: Numbered) -> Snapshot:
        """Returns the job as it is added."""
        new = job.job
        fields = {"name": new.name, "data": new.data, "opts": new.opts}
        fields |= {"delay": str(new.delay), "priority": str(new.priority)}
        if new.timestamp is not None:
            fields["timestamp"] = str(new.timestamp)
        return Snapshot(job.id, None, fields)

    async def send(self, job: Numbered) -> Batch:
        """Adds it, in one atomic step."""
        if refused := await self._reserve(job):
            return Batch([Result(job.id, Code.REFUSED, error=refused)])
        job.until = _milliseconds() + self._window * 1000
        batch = await self._writer.add(
            self.queue,
            job.job,
            job.number,
            may_be_new=self._may_be_new,
            until=math.floor(job.until + job.clock),
        )
        [result] = batch.results
        error = _NEVER.get(result.error, result.error)
        return replace(batch, results=[result._replace(error=error)])

    async def judge(self, job: Numbered) -> Judged:
        """Reads whether a job of this id, name and data exists, or was there: then it is ours.

        Waits first until a call that was sent is too late.
        """
        await asyncio.sleep(max(0.0, job.until - _milliseconds() + 1) / 1000)
        now = await read_editable(self._client, self.queue, job.id)
        if now is None:
            await self._read_events(job.id)
            if self._made:
                return Judged(False, Result(job.id, Code.DONE))
            return Judged(self._whole, Result(job.id, Code.UNKNOWN))
        if now.row.name != job.job.name or now.data != job.job.data:
            return Judged(False, Result(job.id, Code.REFUSED, error="another job has this id"))
        place = now.state.key if now.state else ""
        return Judged(False, Result(job.id, Code.DONE, target=place))

    async def _read_events(self, job_id: str) -> None:
        """Looks in the events since the beginning for the one that says that the job was added."""
        while True:
            found = await self._added.read()
            self._made = self._made or any(one.job_id == job_id for one in found.events)
            self._whole = self._whole and (found.whole or self._added.is_empty)
            if found.at_end:
                return

    def withdraw(self, lost: object) -> None:
        """Adds the job again, with a new number: the server that answers now may not know it."""
        self.job.number, self._made = "", False
        self._done.clear()
        self._left.append(self.job)
