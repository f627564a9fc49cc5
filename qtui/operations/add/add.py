"""Adds a job. An action for a campaign.

Written down: the job as it is added. Script: `lua/add.lua`. Forecast: `plan`. Inverse:
`qtui.operations.undo.unadd`.

Before it is written down its id is reserved: the queue's counter of ids goes up by one, as it does
for an add that fails. So a job whose reply was lost is found by its id, and made once. One that ran
and was removed at once is known by its event ``added``.
"""

from __future__ import annotations

from dataclasses import replace

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.new_job.editable import read_editable
from qtui.bullmq.new_job.options import NewJob
from qtui.bullmq.reads.events.log import EventLog
from qtui.bullmq.writers.add import AddWriter
from qtui.bullmq.writers.batch import Batch
from qtui.operations.add.plan import AddPlan
from qtui.operations.journal.lines import Header, Snapshot, WrittenSelection
from qtui.operations.supply.single import Judged, SingleAction


class Refused(Exception):
    """Redis refused to reserve an id; nothing was written."""


class Numbered:
    """A job that is being added, with the number reserved for it."""

    def __init__(self, job: NewJob) -> None:
        self.job = job
        self.number = ""

    @property
    def id(self) -> str:
        """Its id: its own, or the number reserved for it."""
        return self.job.job_id or self.number


class Add(SingleAction[Numbered]):
    """The adding of a plan's job.

    Args:
        client: where to read.
        writer: adds it.
        plan: the job and its queue.
    """

    def __init__(self, client: Client, writer: AddWriter, plan: AddPlan) -> None:
        self.job = Numbered(plan.job)
        super().__init__(plan.queue, [self.job])
        self.plan = plan
        self._client = client
        self._writer = writer
        self._added = EventLog(client, plan.queue, ("added",))
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
            action=self.plan.verb.value,
            options={"copied": self.plan.copied} if self.plan.copied else {},
        )

    async def prepared(self, job: Numbered) -> Numbered:
        """Reserves the job's id, if that was not done yet."""
        if not job.number:
            reserved = await self._writer.reserve(self.queue, may_be_new=self.plan.may_be_new)
            if not reserved.done:
                raise Refused(reserved.error)
            job.number = reserved.target
        return job

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
        may_be_new = self.plan.may_be_new
        batch = await self._writer.add(self.queue, job.job, job.number, may_be_new=may_be_new)
        if batch.results[0].code is Code.NOT_IN_STATE:
            error = "the server lost the id that was reserved: add it again"
            return replace(batch, results=[batch.results[0]._replace(error=error)])
        return batch

    async def judge(self, job: Numbered) -> Judged:
        """Reads whether a job of this id, name and data exists, or was there: then it is ours."""
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
