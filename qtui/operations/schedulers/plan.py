"""What an action on schedulers will do, one by one. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.new_job.options import NewJob
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.schedulers.revival import NextIteration
from qtui.bullmq.schedulers.scheduler import Condition, Scheduler
from qtui.bullmq.writers.add import AddWriter
from qtui.operations.planning.proposal import PlanLine, PlanOptions, count_to_type
from qtui.operations.schedulers.action import Do, RunNow, SchedulerAction, change_of
from qtui.operations.schedulers.changes import read_removal, read_revival
from qtui.operations.schedulers.template import read_template
from qtui.operations.schedulers.words import iteration_place, moment, schedule, until
from qtui.text import count, plain, plural
from qtui.verbs import Verb

_SAID: Final = 2
"""Schedulers of which a warning is spelled out; of others only their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerForecast:
    """What will happen to one scheduler."""

    id: str
    scheduler: Scheduler | None
    """None: there is no such scheduler."""
    result: Result
    """Code 1, or why nothing is done."""
    next: NextIteration | None = None
    """For a revival: the iteration that it makes, as of now."""
    job: NewJob | None = None
    """For a run now: the job that it adds."""

    @property
    def is_done(self) -> bool:
        """Whether something will be done."""
        return self.result.code is Code.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulersPlan:
    """What an action on some schedulers of a queue will do; an `ActionPlan`."""

    do: Do
    status: QueueStatus
    workers: int | None
    """Workers connected; None if unknown."""
    forecasts: tuple[SchedulerForecast, ...]

    @property
    def verb(self) -> Verb:
        """What it does, for who may do it."""
        return Verb.SCHEDULERS

    @property
    def queue(self) -> QueueKey:
        """The queue."""
        return self.status.queue

    @property
    def chosen(self) -> list[SchedulerForecast]:
        """The schedulers that it changes."""
        if self.status.kind.refusal:
            return []
        return [one for one in self.forecasts if one.is_done]

    @property
    def others(self) -> list[SchedulerForecast]:
        """Those that it does not, each with the reason."""
        return [one for one in self.forecasts if one not in self.chosen]

    @property
    def jobs(self) -> int:
        """How many schedulers it changes."""
        return len(self.chosen)

    @property
    def refusal(self) -> str:
        """Why none of it can be carried out, in a sentence; empty where it can. Plain."""
        if self.status.kind.refusal:
            return plain(f"{self.queue.name} is {self.status.kind.refusal}.")
        if self.chosen:
            return ""
        why = self.forecasts[0].result.error if self.forecasts else "nothing is chosen"
        return plain(f"{why[:1].upper()}{why[1:]}.")

    def go(self, options: PlanOptions) -> str:
        """Returns what confirming does: ``remove scheduler nightly``. Plain."""
        return self.headline[:1].lower() + self.headline[1:]

    @property
    def headline(self) -> str:
        """What will be done, in a few words. Plain."""
        chosen = self.chosen or self.forecasts
        if len(chosen) == 1:
            what = f"scheduler {plain(chosen[0].id)}"
        else:
            what = plural(len(chosen), "scheduler")
        if self.do is Do.RUN_NOW:
            return f"Run {what} now"
        return f"{str(self.do).capitalize()} {what}"

    def confirmation(self, options: PlanOptions) -> str:
        """Returns what must be typed to confirm: the count above 100."""
        return count_to_type(self.jobs)

    def lines(self, options: PlanOptions) -> Sequence[PlanLine]:
        """Returns one line a scheduler: what becomes of it."""
        return [
            PlanLine(
                number=1,
                name=one.id,
                note=self._note(one),
                place=self.becomes(one) if one.is_done else "",
                refusal="" if one.is_done else f"{int(one.result.code)} {one.result.error}",
            )
            for one in self.forecasts
        ]

    def _note(self, one: SchedulerForecast) -> str:
        """The schedule, where the line has room for it: not beside a revival's next time."""
        known = one.scheduler is not None and (self.do is not Do.REVIVE or self.jobs < 2)
        return schedule(one.scheduler) if known and one.scheduler is not None else ""

    def becomes(self, one: SchedulerForecast) -> str:
        """Returns what becomes of a scheduler, in a few words. Plain."""
        scheduler = one.scheduler
        if self.do is Do.RUN_NOW or scheduler is None:
            return "one more job"
        if self.do is Do.REVIVE:
            if one.next is None:
                return "revived"
            return f"next {until(one.next.due, scheduler.now)}, {moment(one.next.due)}"
        if scheduler.condition is Condition.RUNNING:
            return "gone; its iteration runs to its end"
        waits = scheduler.iteration is not None and one.result.target != ""
        return f"gone, with its iteration {iteration_place(scheduler)}" if waits else "gone"

    def warnings(self, options: PlanOptions | None = None) -> Iterable[str]:
        """Returns what to know before, in sentences. Plain."""
        return list(self._warnings())

    def _warnings(self) -> Iterator[str]:
        if not self.chosen:
            return
        if self.do is Do.REMOVE:
            yield from self._of_remove()
        elif self.do is Do.REVIVE:
            yield from self._of_revive()
        else:
            yield "Adds a plain job from the template; the schedule stays as it is."
        if self.do is not Do.REMOVE:
            if self.status.paused:
                yield "The queue is paused: nothing runs until it is resumed."
            if self.workers == 0:
                yield "No worker of the queue is connected: nothing runs until one starts."

    def _of_remove(self) -> Iterator[str]:
        yield "An application that upserts it when it starts adds it again."
        places = [one.result.target for one in self.chosen]
        waiting = sum(place not in ("", "delayed") for place in places)
        if waiting:
            yield (
                f"{plural(waiting, 'waiting iteration')} will not run any more; BullMQ's own "
                "removal lets it run once."
            )

    def _of_revive(self) -> Iterator[str]:
        missed, zoneless = list[tuple[str, int]](), list[str]()
        for one in self.chosen:
            scheduler, made = one.scheduler, one.next
            if scheduler is None or made is None:
                continue
            name = plain(one.id)
            if scheduler.every and (runs := _missed(scheduler, made)):
                missed.append((name, runs))
            if scheduler.pattern and not scheduler.tz:
                zoneless.append(name)
        for name, runs in missed[:_SAID]:
            was = "run was" if runs == 1 else "runs were"
            yield f"{name}: {count(runs)} {was} missed, and will not be made up."
        if others := missed[_SAID:]:
            runs = sum(runs for _, runs in others)
            words = f"{plural(len(others), 'more scheduler')} missed {plural(runs, 'run')}"
            yield f"{words}, which will not be made up."
        for name in zoneless[:_SAID]:
            yield (
                f"{name} names no time zone: its next time is computed in the one that its "
                "last time fits; the workers compute those after it."
            )
        if len(zoneless) > _SAID:
            yield f"The same is true of {plural(len(zoneless) - _SAID, 'more scheduler')}."

    def action(self, client: Client, options: PlanOptions) -> SchedulerAction | RunNow:
        """Returns the action, with its own writer; not for a plan that changes nothing."""
        if self.do is Do.RUN_NOW:
            [one] = self.chosen
            assert one.job is not None
            return RunNow(client, AddWriter(client), self.queue, one.job, scheduler=one.id)
        changes = [change_of(self.do, client, self.queue, one.id) for one in self.chosen]
        return SchedulerAction(self.do, changes)


def _missed(one: Scheduler, made: NextIteration) -> int:
    """The periods between the lost time and the new one."""
    lost = one.next
    return 0 if lost is None or not one.every else max(0, (made.due - lost) // one.every)


async def plan_schedulers(
    client: Client, do: Do, queue: QueueKey, ids: Sequence[str]
) -> SchedulersPlan:
    """Returns what an action on these schedulers will do; one alone can be run now. Reads only.

    Costs two round trips, and for each scheduler what `read_state` costs.
    """
    [status] = await read_status(client, [queue])
    workers = await read_workers(client, [queue])
    found = [await _forecast(client, do, queue, one) for one in dict.fromkeys(ids)]
    return SchedulersPlan(
        do=do,
        status=status,
        workers=None if workers is None else workers[queue],
        forecasts=tuple(found),
    )


async def _forecast(
    client: Client, do: Do, queue: QueueKey, scheduler_id: str
) -> SchedulerForecast:
    if do is Do.RUN_NOW:
        template = await read_template(client, queue, scheduler_id)
        result = Result(scheduler_id, template.code, error=template.why)
        return SchedulerForecast(
            id=scheduler_id, scheduler=template.scheduler, result=result, job=template.job
        )
    read = read_removal if do is Do.REMOVE else read_revival
    reading = await read(client, queue, scheduler_id)
    return SchedulerForecast(
        id=scheduler_id, scheduler=reading.scheduler, result=reading.result, next=reading.next
    )
