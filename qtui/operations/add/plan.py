"""What adding a job will do, found by reading only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import (
    Destination,
    QueueEvidence,
    clamp_priority,
    destination,
    speaks_modern,
)
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind, QueueStatus
from qtui.bullmq.new_job.editable import Editable, read_editable
from qtui.bullmq.new_job.options import NewJob, OptionError, new_job, options_of_job
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.add import AddWriter
from qtui.operations.add.add import WINDOW, Add
from qtui.operations.planning.brakes import THE_QUEUE, Destined, queue_brakes
from qtui.operations.planning.proposal import PlanLine, PlanOptions
from qtui.text import plain, size, span
from qtui.verbs import Verb


class NotAddable(LookupError):
    """There is no job to copy, or none can be made so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPlan:
    """A new job as it would be added now."""

    status: QueueStatus
    evidence: QueueEvidence
    job: NewJob
    may_be_new: bool = False
    """Whether the queue is made if no key of it exists."""
    copied: str = ""
    """The id of the job from which it was made."""
    taken: bool = False
    """Whether another job has its id."""
    workers: int | None = None
    """Workers seen on the queue; None where they can't be listed."""
    brakes: tuple[str, ...] = ()

    @property
    def verb(self) -> Verb:
        """Add, or duplicate if it was made from an old job."""
        return Verb.DUPLICATE if self.copied else Verb.ADD

    @property
    def queue(self) -> QueueKey:
        """The queue to which it is added."""
        return self.status.queue

    @property
    def jobs(self) -> int:
        """One, or none if it is refused."""
        return 0 if self.refusal else 1

    @property
    def code(self) -> Code:
        """The code that is expected."""
        return Code.REFUSED if self.refusal else Code.DONE

    @property
    def is_new(self) -> bool:
        """Whether no key of the queue exists."""
        return self.status.kind is Kind.GONE or not self.status.exists

    @property
    def refusal(self) -> str:
        """Why nothing will be added, in a sentence; empty if it will."""
        if self.is_new:
            return "" if self.may_be_new else f"there is no queue {self.queue.base}"
        if self.status.kind.refusal:
            return f"{self.queue.base} is {self.status.kind.refusal}"
        if self.taken:
            return f"another job has the id {self.job.job_id}"
        return ""

    @property
    def target(self) -> str:
        """The suffix of the key in which the job will be."""
        if self.job.delay:
            return JobState.DELAYED.key
        modern, priority = speaks_modern(self.evidence), clamp_priority(self.job.priority)
        return destination(self.evidence, self.job.job_id, modern=modern, priority=priority).value

    def place(self) -> str:
        """Where it will be, in words."""
        job, target = self.job, self.target
        if job.delay:
            return f"delayed, due in {span(job.delay)}"
        if target == Destination.PRIORITIZED.value:
            return f"prioritized, priority {job.priority}"
        state = "paused" if target == Destination.PAUSED.value else "waiting"
        if job.priority:
            return f"{state}, priority {job.priority}"
        return f"{state}, {'next to run' if job.lifo else 'last in line'}"

    # In words

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does."""
        return "add the copy" if self.copied else "add the job"

    def confirmation(self, options: PlanOptions) -> str:
        """Returns "": a key confirms."""
        return ""

    def lines(self, options: PlanOptions) -> Sequence[PlanLine]:
        """Returns the job and where it will be."""
        octets = len(self.job.data.encode("utf-8", "surrogateescape"))
        note = f"data: {size(octets)}, options: {self.job.opts}"
        place, refusal = self.place(), self.refusal
        return [PlanLine(number=1, name=self.job.name, note=note, place=place, refusal=refusal)]

    def action(
        self, client: Client, options: PlanOptions | None = None, *, window: float = WINDOW
    ) -> Add:
        """Returns the action of this plan; a call is good for ``window`` seconds."""
        return Add(
            client,
            AddWriter(client),
            self.queue,
            self.job,
            copied=self.copied,
            may_be_new=self.may_be_new,
            makes_queue=self.is_new,
            window=window,
        )

    def warnings(self, options: PlanOptions | None = None) -> Iterable[str]:
        """Returns what to know before confirming, in whole sentences; plain text."""
        if self.refusal:
            return
        if self.copied:
            yield (
                f"The copy of {plain(self.copied)} gets a new id, and no parent, repetition,"
                " deduplication or delay."
            )
        if self.is_new:
            yield f"No key of {plain(self.queue.base)} exists: the queue is created."
        in_line = self.target in (Destination.WAIT.value, Destination.PAUSED.value)
        if self.job.priority and in_line and speaks_modern(self.evidence) is not False:
            yield (
                "Nothing shows that this queue's release reads prioritized: the job waits in line."
            )
        if self.status.paused:
            yield "The queue is paused: nothing runs until it is resumed."
        elif self.status.maxed:
            yield f"The global concurrency limit of {self.status.concurrency} is reached."
        if self.workers == 0:
            yield "No worker seen on this queue: the job waits until one connects."
        yield from self.brakes


async def plan_add(
    client: Client, queue: QueueKey, job: NewJob, *, may_be_new: bool = False, copied: str = ""
) -> AddPlan:
    """Predicts what adding a job would do.

    Costs some eight round trips; with a custom id what `Reader.whereabouts` costs.
    """
    [status] = await read_status(client, [queue])
    evidence = await Reader(client).evidence(queue)
    workers = await read_workers(client, [queue])
    plan = AddPlan(
        status=status,
        evidence=evidence,
        job=job,
        may_be_new=may_be_new,
        copied=copied,
        workers=None if workers is None else workers[queue],
    )
    if job.job_id:
        found = await Reader(client).whereabouts(queue, [job.job_id], [], reasons=False)
        plan = replace(plan, taken=found[job.job_id].exists)
    if plan.refusal or plan.is_new:
        return plan
    ordered = plan.target == Destination.PRIORITIZED.value
    destined = Destined(prioritized=int(ordered and job.priority > 0))
    return replace(plan, brakes=tuple(await queue_brakes(client, status, destined, THE_QUEUE)))


async def read_copied(client: Client, queue: QueueKey, job_id: str) -> Editable:
    """Returns the job from which a copy is to be made.

    Raises:
        NotAddable: there is none of this id.
    """
    old = await read_editable(client, queue, job_id)
    if old is None:
        raise NotAddable(f"no job {job_id} in {queue.base}")
    return old


def copy_of(
    old: Editable, *, data: str | None = None, options: Mapping[str, object] | None = None
) -> NewJob:
    """Returns a new job made from an old one, with its priority as it is now.

    Args:
        old: the old job.
        data: its data, JSON; None for that of the old one.
        options: options that replace those of the old one.

    Raises:
        OptionError: BullMQ does not take the options, or the data is not JSON.
    """
    kept = options_of_job(old.fields.get("opts", ""))
    kept.pop("priority", None)
    if priority := clamp_priority(old.row.priority):
        kept["priority"] = min(priority, 2**21 - 1)
    if data is None and not old.data:
        data = "{}"
    try:
        return new_job(old.row.name, old.data if data is None else data, kept | dict(options or {}))
    except OptionError:
        if data is None and not options:
            raise OptionError("the data of the job is not JSON: give it with --data") from None
        raise
