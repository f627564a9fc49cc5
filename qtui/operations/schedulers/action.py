"""Actions on schedulers: each is one scheduler a call, of one queue. For a campaign.

States: any. Wiped: the scheduler, and its iteration. Scripts: `lua/reschedule.lua`, and
`lua/add.lua` to run one now. Forecast: `plan`. A scheduler is pinned to its score: one that has
moved on since it was read is left alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import ClassVar

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.options import NewJob
from qtui.bullmq.schedulers.state import read_score
from qtui.bullmq.writers.add import AddWriter
from qtui.bullmq.writers.queues import QueueStep
from qtui.bullmq.writers.schedulers import SchedulerWriter
from qtui.operations.add.add import Add
from qtui.operations.journal.facts import Header
from qtui.operations.queues.queue_action import QueueAction, QueueChange
from qtui.operations.schedulers.changes import Reading, read_removal, read_revival
from qtui.verbs import DONE_TO_SCHEDULERS, SCHEDULERS, Verb


class Do(StrEnum):
    """What is done to schedulers."""

    RUN_NOW = "run-now"
    REMOVE = "remove"
    REVIVE = "revive"

    @property
    def done(self) -> str:
        """What is said of a scheduler with code 1."""
        return DONE_TO_SCHEDULERS[self.value]


class SchedulerChange(ABC):
    """What is done to one scheduler."""

    def __init__(self, queue: QueueKey, scheduler_id: str) -> None:
        self.queue = queue
        self.id = scheduler_id

    @abstractmethod
    async def former(self) -> Mapping[str, str]:
        """Reads what the change replaces; see `QueueChange`."""

    @abstractmethod
    async def step(self) -> QueueStep:
        """Does the next step; see `QueueChange`."""

    @abstractmethod
    async def is_unfinished(self) -> bool:
        """Whether it still is as the change found it."""

    def result(self) -> Result:
        """Returns the result of a change whose reply was lost, and which was carried out."""
        return Result(self.id, Code.DONE)


class _Reschedule(SchedulerChange):
    """A change by one call of ``lua/reschedule.lua``."""

    def __init__(
        self, client: Client, writer: SchedulerWriter, queue: QueueKey, scheduler_id: str
    ) -> None:
        super().__init__(queue, scheduler_id)
        self.client = client
        self.writer = writer
        self.reading: Reading | None = None

    @abstractmethod
    async def read(self) -> Reading:
        """Reads the scheduler, and what is to be done."""

    async def former(self) -> Mapping[str, str]:
        """Reads the scheduler whole, with its iteration."""
        self.reading = await self.read()
        return self.reading.fields()

    async def step(self) -> QueueStep:
        """Does what was read; a scheduler that has changed since answers -3."""
        reading = self.reading = self.reading or await self.read()
        if reading.change is None:
            return QueueStep(reading.result)
        batch = await self.writer.change(self.queue, reading.change)
        return QueueStep(batch.results[0], note=batch.note, seconds=batch.seconds)

    async def is_unfinished(self) -> bool:
        """Whether it has the score that it had."""
        score = await read_score(self.client, self.queue, self.id)
        return self.reading is not None and score == self.reading.state.score

    def result(self) -> Result:
        """Returns the forecast."""
        return super().result() if self.reading is None else self.reading.result


class Remove(_Reschedule):
    """The removal of a scheduler and its iteration."""

    async def read(self) -> Reading:
        """Reads what goes."""
        return await read_removal(self.client, self.queue, self.id)


class Revive(_Reschedule):
    """The next iteration of a dead scheduler."""

    async def read(self) -> Reading:
        """Reads the scheduler, and computes its next time."""
        return await read_revival(self.client, self.queue, self.id)


class RunNow(Add):
    """One plain job from a scheduler's template; the schedule stays as it is.

    The iteration is never promoted for it: its time would be used up, and the next one would come a
    whole period after that (BullMQ 5.81.5 and 6.7.0). In results and journal it is the job.
    """

    def __init__(
        self, client: Client, writer: AddWriter, queue: QueueKey, job: NewJob, *, scheduler: str
    ) -> None:
        super().__init__(client, writer, queue, job)
        self._scheduler = scheduler

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        options = {"do": Do.RUN_NOW.value, "scheduler": self._scheduler}
        action, effect = Verb.SCHEDULERS.value, Verb.ADD.value
        return replace(super().header(), action=action, effect=effect, options=options)


class SchedulerAction(QueueAction):
    """One change to each of some schedulers of a queue."""

    kind: ClassVar[str] = SCHEDULERS
    found_done: ClassVar[frozenset[Code]] = frozenset({Code.NOT_IN_STATE, Code.NO_SUCH_JOB})

    def __init__(self, do: Do, changes: list[SchedulerChange]) -> None:
        super().__init__(Verb.SCHEDULERS, changes)
        self.do = do

    def name_of(self, change: QueueChange) -> str:
        """Returns the scheduler's id."""
        assert isinstance(change, SchedulerChange)
        return change.id

    def assumed(self, change: QueueChange) -> Result:
        """Returns the result of a change that was carried out though its reply was lost."""
        assert isinstance(change, SchedulerChange)
        return change.result()

    def header(self) -> Header:
        """Returns the first line of the journal, without address, command and pace."""
        return replace(super().header(), options={"do": self.do.value})


def change_of(do: Do, client: Client, queue: QueueKey, scheduler_id: str) -> SchedulerChange:
    """Returns the removal or the revival of one scheduler, with a writer for that alone."""
    kind = Remove if do is Do.REMOVE else Revive
    return kind(client, SchedulerWriter(client), queue, scheduler_id)
