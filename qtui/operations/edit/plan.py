"""What an edit of a job will do, found by reading only."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

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
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.new_job.change import Change
from qtui.bullmq.new_job.editable import Editable
from qtui.bullmq.new_job.options import HIGHEST_PRIORITY, LATEST_DUE, TOO_LATE
from qtui.bullmq.new_job.payload import mistake_in, packed, spread
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.edit import EditWriter
from qtui.operations.edit.edit import Edit
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.planning.proposal import PlanLine, PlanOptions, Toggle
from qtui.operations.supply.selection import Chosen
from qtui.text import first_line, plain, size, span
from qtui.verbs import Verb

RETRY: Final = Toggle(id="plan.and-retry", words="and retry the job", rereads=True)
"""Of the edit of a job that has finished."""

LONGEST_COMPARED: Final = 200_000
"""Characters of data up to which a plan shows what an edit changes."""

_WAITS: Final = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED)


class NotEditable(LookupError):
    """There is no such job, or nothing of it can be changed so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants of a job; None leaves it as it is."""

    data: str | None = None
    """JSON as it was typed."""
    priority: int | None = None
    delay: int | None = None
    """ms from now."""
    retry: bool = False
    resets: Resets = field(default_factory=Resets)

    @property
    def mistake(self) -> str:
        """What is wrong with it for any job; empty if nothing is."""
        if self.data is not None and (wrong := mistake_in(self.data)):
            return f"the data is not JSON: {wrong}"
        if self.priority is not None and not 0 <= self.priority <= HIGHEST_PRIORITY:
            return f"a priority is a whole number from 0 (none) to {HIGHEST_PRIORITY:,}"
        if self.delay is not None and time.time() * 1000 + self.delay > LATEST_DUE:
            return TOO_LATE
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPlan:
    """An edit as it would go now."""

    status: QueueStatus
    evidence: QueueEvidence
    job: Editable
    change: Change
    """What differs from the job as it is."""
    retry: Plan | None = None
    """The plan of the retry, if the job is retried too."""

    @property
    def queue(self) -> QueueKey:
        """The queue of the job."""
        return self.job.queue

    @property
    def verb(self) -> Verb:
        """An edit."""
        return Verb.EDIT

    @property
    def jobs(self) -> int:
        """One, or none if nothing would change."""
        return 0 if self.refusal else 1

    @property
    def code(self) -> Code:
        """The code that is expected."""
        return Code.REFUSED if self.refusal else Code.DONE

    @property
    def refusal(self) -> str:
        """Why nothing will be done, in a sentence; empty if it will."""
        job, change = self.job, self.change
        if self.status.kind.refusal:
            return f"{self.queue.base} is {self.status.kind.refusal}"
        if change.is_empty:
            return "nothing would change"
        if change.delay is not None and job.state is not JobState.DELAYED:
            return f"only a delayed job has a delay that can be changed; this one is {self._state}"
        if change.retry and (job.state is None or not job.state.is_finished):
            return f"only a failed or completed job can be retried; this one is {self._state}"
        return self._retry_refusal

    @property
    def _retry_refusal(self) -> str:
        if self.retry is None or self.retry.count(Code.DONE):
            return ""
        return next(iter(self.retry.warnings(Resets())), "it can't be retried")

    @property
    def _state(self) -> str:
        return self.job.state or "in no state"

    @property
    def target(self) -> str:
        """The suffix of the key in which the job will be; empty for one in no state."""
        job, change = self.job, self.change
        if change.retry:
            return self._retried_to or ""
        if change.priority is not None and job.state in _WAITS:
            return self._moved_to
        return job.state.key if job.state else ""

    @property
    def _modern(self) -> bool | None:
        modern = self.job.row.modern
        return speaks_modern(self.evidence) if modern is None else modern

    @property
    def _priority(self) -> int:
        wanted = self.change.priority
        return clamp_priority(int(wanted) if wanted is not None else self.job.row.priority)

    @property
    def _retried_to(self) -> str:
        modern, priority = self.job.row.modern, self._priority
        return destination(self.evidence, self.job.id, modern=modern, priority=priority).value

    @property
    def _moved_to(self) -> str:
        assert self.job.state is not None
        evidence, modern = self.evidence, self._modern
        target = destination(evidence, self.job.id, modern=modern, priority=self._priority)
        stays = target is not Destination.PRIORITIZED and self.job.state.is_list
        return self.job.state.key if stays else target.value

    # In words

    def changes(self) -> Iterator[str]:
        """Yields each thing that changes, in words; plain text."""
        change, fields = self.change, self.job.fields
        if change.data is not None:
            yield f"data: {_sizes(self.job.data, change.data)}"
        if change.priority is not None:
            yield f"priority: {plain(fields.get('priority') or '0')} → {change.priority}"
        if change.delay is not None:
            yield f"delay: {self._due()} → due in {span(int(change.delay))}"

    def _due(self) -> str:
        if self.job.state is not JobState.DELAYED or self.job.score is None:
            return "none"
        left = self.job.score / 4096 - time.time() * 1000
        return f"due in {span(left)}" if left > 0 else "due now"

    def difference(self) -> list[str]:
        """Returns the lines of the data that go and come, and one beside each; plain text.

        None of them if the data is too long to compare.
        """
        new = self.change.data
        if new is None or max(len(new), len(self.job.data)) > LONGEST_COMPARED:
            return []
        before, after = (_spread(text).split("\n") for text in (self.job.data, new))
        found = difflib.unified_diff(before, after, n=1, lineterm="")
        return [plain(line) for line in found if not line.startswith(("---", "+++", "@@"))]

    def place(self) -> str:
        """Where the job will be, in words."""
        if self.change.retry:
            forecast = self.retry.forecasts[0] if self.retry else None
            if forecast is not None and self.change.priority is None and forecast.target:
                return forecast.place()
            return _words(self.target, self._priority)
        if self.change.priority is not None and self.job.state in _WAITS:
            return _words(self.target, self._priority)
        if self.change.delay is not None:
            return f"delayed, due in {span(int(self.change.delay))}"
        return f"stays {self._state}"

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does."""
        return "edit and retry the job" if self.change.retry else "edit the job"

    def confirmation(self, options: PlanOptions) -> str:
        """Returns "": a key confirms."""
        return ""

    def lines(self, options: PlanOptions) -> Sequence[PlanLine]:
        """Returns the job, what changes, and where it will be."""
        note = ", ".join(self.changes())
        refusal = self.refusal
        return [
            PlanLine(
                number=1, name=self.job.row.name, note=note, place=self.place(), refusal=refusal
            )
        ]

    def action(self, client: Client, options: PlanOptions | None = None) -> Edit:
        """Returns the action of this plan."""
        return Edit(client, EditWriter(client), self.job, self.change)

    def warnings(self, options: PlanOptions | None = None) -> Iterable[str]:
        """Returns what to know before confirming, in whole sentences; plain text."""
        if self.refusal:
            return
        job, change = self.job, self.change
        if job.unlocked:
            yield (
                "The lock of this job has expired: the change counts from the next run, if there is"
                " one; a worker that still runs it keeps its own copy."
            )
        elif job.state is JobState.ACTIVE:
            yield (
                "A worker is running this job and keeps its own copy: the change counts from the"
                " next run, if there is one."
            )
        if scheduler := job.fields.get("rjk"):
            yield (
                f"The job is an iteration of the scheduler {plain(first_line(scheduler, 80))}: the"
                " iterations after it do not change."
            )
        if job.state is not None and job.state.is_finished and not change.retry:
            yield f"The job is {job.state}: it runs with the change only if it is retried."
        if job.data and change.data is not None and mistake_in(job.data):
            yield "The data is not JSON now; what is written will be."
        if change.priority is not None and job.state in _WAITS:
            yield from self._on_turns()
        if change.delay is not None:
            yield from self._on_delay()
        if self.retry is not None:
            made, started = change.reset_attempts_made, change.reset_attempts_started
            yield from self.retry.warnings(Resets(made=made, started=started))
        elif job.state in _WAITS and self.status.paused:
            yield "The queue is paused: nothing runs until it is resumed."

    def _on_turns(self) -> Iterator[str]:
        if self._priority and self.target != Destination.PRIORITIZED.value and self._modern is None:
            yield (
                "Nothing shows which release runs the queue: the job keeps its place in line, and"
                " only its field says the priority."
            )

    def _on_delay(self) -> Iterator[str]:
        named = (self.evidence.major or 0) in (3, 4)
        if self._modern is False and not (self.evidence.knows_prioritized or named):
            yield (
                "If BullMQ 2.0 to 3.1 runs the queue, idle workers notice a new delay only when"
                " their wait ends (drainDelay, 5 s by default)."
            )


def _sizes(old: str, new: str) -> str:
    octets = [len(text.encode("utf-8", "surrogateescape")) for text in (old, new)]
    return f"{size(octets[0])} → {size(octets[1])}"


def _spread(text: str) -> str:
    return text if mistake_in(text) else spread(text)


def _words(target: str, priority: int) -> str:
    if target == Destination.PRIORITIZED.value:
        return f"prioritized, priority {priority}"
    state = "paused" if target == Destination.PAUSED.value else "waiting"
    return f"{state}, priority {priority}" if priority else f"{state}, last in line"


def change_of(job: Editable, wish: Wish) -> Change:
    """Returns what a wish changes of a job as it is: data that means the same is no change."""
    data = None if wish.data is None else packed(wish.data)
    if data is not None and (data == job.data or _same(data, job.data)):
        data = None
    priority = None if wish.priority is None else str(wish.priority)
    if priority is not None and priority == (job.fields.get("priority") or "0"):
        priority = None
    return Change(
        data=data,
        priority=priority,
        delay=None if wish.delay is None else str(wish.delay),
        retry=wish.retry,
        reset_attempts_made=wish.resets.made,
        reset_attempts_started=wish.resets.started,
    )


def _same(new: str, old: str) -> bool:
    """Whether two texts are the same JSON but for blanks."""
    return not mistake_in(old) and packed(old) == new


async def plan_for(client: Client, job: Editable, wish: Wish) -> EditPlan:
    """Predicts what an edit of a job that was read would do; pinned to what it was then.

    Raises:
        NotEditable: the wish is none that a job can have.
    """
    if wish.mistake:
        raise NotEditable(wish.mistake)
    [status] = await read_status(client, [job.queue])
    evidence = await Reader(client).evidence(job.queue)
    plan = EditPlan(status=status, evidence=evidence, job=job, change=change_of(job, wish))
    if wish.retry and job.state is not None and job.state.is_finished:
        selection = Chosen(job.queue, job.state, (Picked(job.id, job.score),))
        plan = replace(plan, retry=await make_plan(client, selection))
    return plan
