"""`qtui add` and `qtui duplicate`: a new job, from nothing or from an old one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.options import NewJob, OptionError, new_job
from qtui.commands.shared.asking import Manner, check_may_write
from qtui.commands.shared.find import NoSuchQueue, find_queue, queue_key
from qtui.commands.shared.run import USAGE, CommandError, Workplace
from qtui.commands.shared.single import Single, do_single, not_found
from qtui.operations.add.plan import AddPlan, NotAddable, copy_of, plan_add, read_copied
from qtui.text import plain
from qtui.verbs import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRequest(Manner):
    """Which job to add."""

    queue: str
    name: str = ""
    """Its name, if it is no copy."""
    copied: str = ""
    """The id of the job that is copied."""
    data: str | None = None
    options: Mapping[str, object]
    new_queue: bool = False
    """Whether the queue is made if it does not exist."""

    @property
    def words(self) -> str:
        """The command line as the journal records it; the job itself is in its line there."""
        what = self.copied or self.name
        words = ["qtui", str(self.verb), self.queue, what]
        words += ["--data", "…"] if self.data is not None else []
        words += ["--opts", "…"] if self.options else []
        words += ["--new-queue"] if self.new_queue else []
        return shlex.join(words)

    @property
    def verb(self) -> Verb:
        """Add or duplicate."""
        return Verb.DUPLICATE if self.copied else Verb.ADD


def add_job(place: Workplace, request: AddRequest) -> int:
    """Adds a job, or shows what that would do; returns the exit code."""
    check_may_write(place, request.verb, request)
    try:
        made = None if request.copied else _made(request)
        plan = place.ask(lambda client: _plan(client, place, request, made))
    except OptionError as error:
        raise CommandError(str(error), USAGE) from None
    except NotAddable as error:
        return not_found(place, request.verb, request.copied, str(error), request)
    return do_single(place, _single(plan, request), request)


def _made(request: AddRequest) -> NewJob:
    data = "{}" if request.data is None else request.data
    return new_job(request.name, data, request.options)


async def _plan(
    client: Client, place: Workplace, request: AddRequest, made: NewJob | None
) -> AddPlan:
    queue = await _queue(client, place, request)
    if made is None:
        old = await read_copied(client, queue, request.copied)
        made = copy_of(old, data=request.data, options=request.options)
    return await plan_add(client, queue, made, may_be_new=request.new_queue, copied=request.copied)


async def _queue(client: Client, place: Workplace, request: AddRequest) -> QueueKey:
    """The queue that is meant; one that does not exist only if it may be made."""
    prefixes = place.settings.prefixes
    try:
        return (await find_queue(client, prefixes, request.queue)).queue
    except NoSuchQueue as error:
        if request.copied:
            raise
        if not request.new_queue:
            raise CommandError(f"{error} (--new-queue creates it)", error.code) from None
    queue = queue_key(request.queue, prefixes) or QueueKey.of(prefixes[0], request.queue)
    if why := _no_name(queue.name):
        raise CommandError(why, USAGE)
    return queue


def _no_name(name: str) -> str:
    """Why a queue can't be called so; empty if it can."""
    if not name or ":" in name:
        return "BullMQ takes no queue without a name, or with a colon in it"
    return "'*' means all queues: give the new one another name" if name == "*" else ""


def _single(plan: AddPlan, request: AddRequest) -> Single:
    job = plan.job
    what = f"a copy of {plain(plan.copied)}" if plan.copied else "a job"
    lines = [f"data: {plain(_cut(job.data))}", f"options: {plain(_cut(job.opts))}"]
    lines += [f"→ {plan.place()}"] if not plan.refusal else []
    return Single(
        verb=plan.verb,
        title=f"Add {what}, {plain(job.name)}, to {plain(plan.queue.base)}",
        lines=lines,
        warnings=tuple(plan.warnings()),
        refusal=plan.refusal,
        job_id=job.job_id,
        target=plan.target,
        question="Add the copy" if plan.copied else "Add the job",
        make=plan.action,
        how=request.words,
    )


def _cut(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
