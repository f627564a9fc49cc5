"""The commands that change, add, promote and remove jobs."""

from __future__ import annotations

import sys
from functools import partial
from typing import Unpack

import click

from qtui.bullmq.model import JobState
from qtui.cli.group import main
from qtui.commands.shared.ids import given_ids, one_id
from qtui.commands.shared.options import (
    IDS,
    STATE,
    STATE_NAMES,
    MannerOptions,
    alone_with_resume,
    at_a_rate,
    filter_option,
    one_selection,
    resumable,
    that_changes,
    the_queue,
    with_every_job,
    with_filter,
)
from qtui.commands.shared.run import Flags, run
from qtui.commands.shared.values import DURATION, given_options, given_text
from qtui.verbs import Verb


@main.command("promote", short_help="Run delayed jobs now; can be undone.")
@click.argument("queue", required=False)
@click.argument("ids", metavar=IDS, nargs=-1)
@with_filter
@click.option("--all", "everything", is_flag=True, help="Promote every delayed job.")
@at_a_rate("Promote")
@resumable("a promotion")
@that_changes
@with_every_job
@click.pass_obj
def _promote(
    flags: Flags,
    /,
    queue: str | None,
    ids: tuple[str, ...],
    wanted: str | None,
    everything: bool,
    rate: float | None,
    resume: str | None,
    verbose: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Promote delayed jobs, as BullMQ's own Job.promote does: they run now, by priority.

    Select jobs by ID, with --filter, or with --all: the jobs that are delayed now, the earliest due
    first. The current iteration of a scheduler stays: promoting it would skip its scheduled time.
    """
    if resume is not None:
        alone_with_resume(queue, wanted, everything, manner["dry_run"], manner["reason"])
        from qtui.commands.job_actions.promote import PROMOTE
        from qtui.commands.shared.picked import resume_jobs

        resumption = partial(
            resume_jobs,
            command=PROMOTE,
            name=resume,
            json=manner["json"],
            verbose=verbose,
            yes=manner["yes"],
        )
        sys.exit(run(flags, resumption))
    queue = the_queue(queue)
    one_selection(ids, wanted, everything)
    given, promote = given_ids(ids, queue), Verb.PROMOTE
    if ids and not given.ids:
        from qtui.commands.shared.picked import no_ids_given

        sys.exit(run(flags, lambda place: no_ids_given(place, promote, json=manner["json"])))
    from qtui.commands.job_actions.promote import PROMOTE
    from qtui.commands.shared.picked import JobsRequest, act_on_jobs
    from qtui.operations.engine.pace import Pace

    request = JobsRequest(
        queue=queue,
        ids=given.ids,
        filter=filter_option(wanted),
        state=JobState.DELAYED,
        pace=Pace(rate=rate),
        **manner,
        verbose=verbose,
        stdin_is_used=given.on_stdin,
    )
    sys.exit(run(flags, lambda place: act_on_jobs(place, PROMOTE, request)))


@main.command("remove", short_help="Remove jobs from any state; can be undone.")
@click.argument("queue", required=False)
@click.argument("ids", metavar=IDS, nargs=-1)
@click.option(
    "--state",
    type=STATE,
    metavar="STATE",
    help=f"State to remove jobs from: {STATE_NAMES}. [default: the state that the IDs are in]",
)
@with_filter
@click.option("--all", "everything", is_flag=True, help="Remove every job in the state.")
@click.option(
    "--with-children",
    is_flag=True,
    help="Also remove the descendants of each job in its flow; by default they stay.",
)
@click.option(
    "--without-undo",
    is_flag=True,
    help="Also remove jobs that are too large for the journal; they can't be brought back.",
)
@at_a_rate("Remove")
@resumable("a removal")
@that_changes
@with_every_job
@click.pass_obj
def _remove(
    flags: Flags,
    /,
    queue: str | None,
    ids: tuple[str, ...],
    state: str | None,
    wanted: str | None,
    everything: bool,
    with_children: bool,
    without_undo: bool,
    rate: float | None,
    resume: str | None,
    verbose: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Remove jobs with their logs and keys, as BullMQ's own Job.remove does.

    Select jobs by ID, with --filter, or with --all; --filter 'age>7d' cleans a state, --state
    waiting --all drains a queue. Jobs in no state, which `qtui doctor` finds, are given by ID. The
    whole jobs are written to the journal first, so that `qtui undo` can bring them back.

    Jobs that a worker has locked stay, and so does the current iteration of a scheduler. A parent
    that loses the last child it waits for runs next.
    """
    if resume is not None:
        alone_with_resume(queue, wanted, everything, manner["dry_run"], manner["reason"], state)
        from qtui.commands.job_actions.remove import REMOVE
        from qtui.commands.shared.picked import resume_jobs

        resumption = partial(
            resume_jobs,
            command=REMOVE,
            name=resume,
            json=manner["json"],
            verbose=verbose,
            yes=manner["yes"],
        )
        sys.exit(run(flags, resumption))
    queue = the_queue(queue)
    if state is None and not ids:
        raise click.UsageError(f"no state given: pass --state with one of {STATE_NAMES}")
    one_selection(ids, wanted, everything)
    given, remove = given_ids(ids, queue), Verb.REMOVE
    if ids and not given.ids:
        from qtui.commands.shared.picked import no_ids_given

        sys.exit(run(flags, lambda place: no_ids_given(place, remove, json=manner["json"])))
    from qtui.commands.job_actions.remove import own_options, remove_from, remove_ids
    from qtui.commands.shared.picked import JobsRequest
    from qtui.operations.engine.pace import Pace

    whence = None if state is None else JobState(state)
    words, options = own_options(whence, children=with_children, without_undo=without_undo)
    request = JobsRequest(
        queue=queue,
        ids=given.ids,
        filter=filter_option(wanted),
        state=whence,
        pace=Pace(rate=rate),
        **manner,
        verbose=verbose,
        stdin_is_used=given.on_stdin,
        words=words,
        options=options,
    )
    act = remove_ids if whence is None else remove_from
    sys.exit(run(flags, lambda place: act(place, request)))


@main.command("edit", short_help="Edit one job: its data, its priority, its delay.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option("--data", metavar="JSON|@FILE|-", help="The new data; - reads standard input.")
@click.option("--priority", type=int, metavar="N", help="The new priority; 0 = none, 1 = first.")
@click.option(
    "--delay",
    type=DURATION,
    metavar="DURATION",
    help="Make a delayed job due in DURATION from now, such as 90s or 1h30m.",
)
@click.option("--retry", is_flag=True, help="Retry the job in the same step.")
@click.option("--reset-attempts-made", is_flag=True, help="With --retry: reset attempts made to 0.")
@click.option(
    "--reset-attempts-started",
    is_flag=True,
    help="With --retry: reset attempts started to 0 (BullMQ 5.59+).",
)
@that_changes
@click.pass_obj
def _edit(
    flags: Flags,
    /,
    queue: str,
    job_id: str,
    data: str | None,
    priority: int | None,
    delay: int | None,
    retry: bool,
    reset_attempts_made: bool,
    reset_attempts_started: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Edit the data, the priority or the delay of a job, in any state.

    Without --data, --priority and --delay the data is opened in $VISUAL or $EDITOR. An edit is
    refused if the job has run, moved or changed since it was read. A worker that runs the job keeps
    its own copy. Like BullMQ, qtui emits an event for a new delay only.
    """
    if (reset_attempts_made or reset_attempts_started) and not retry:
        raise click.UsageError("--reset-attempts-made and --reset-attempts-started need --retry")
    from qtui.commands.edit import EditRequest, edit_job
    from qtui.operations.edit.plan import Wish
    from qtui.operations.planning.plan import Resets

    request = EditRequest(
        queue=queue,
        job_id=one_id(job_id, queue),
        wish=Wish(
            data=given_text(data, "--data"),
            priority=priority,
            delay=delay,
            retry=retry,
            resets=Resets(made=reset_attempts_made, started=reset_attempts_started),
        ),
        **manner,
        stdin_is_used=data == "-",
    )
    sys.exit(run(flags, lambda place: edit_job(place, request)))


_OPTS_HELP = (
    "BullMQ's options of the job: attempts, backoff, delay, priority, lifo, jobId, "
    "removeOnComplete, removeOnFail, keepLogs, stackTraceLimit, sizeLimit, timestamp, …"
)


@main.command("add", short_help="Add a job to a queue.")
@click.argument("queue")
@click.argument("name")
@click.option("--data", metavar="JSON|@FILE|-", help="Its data; - reads stdin. [default: {}]")
@click.option("--opts", metavar="JSON|@FILE", help=_OPTS_HELP)
@click.option("--new-queue", is_flag=True, help="Create the queue if it does not exist.")
@that_changes
@click.pass_obj
def _add(
    flags: Flags,
    /,
    queue: str,
    name: str,
    data: str | None,
    opts: str | None,
    new_queue: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Add a job as BullMQ's Queue.add does, as the release that runs the queue stores it.

    Options that BullMQ does not know are refused. It emits BullMQ's events: added, then waiting or
    delayed.
    """
    from qtui.commands.add import AddRequest, add_job

    request = AddRequest(
        queue=queue,
        name=name,
        data=given_text(data, "--data"),
        options=given_options(opts),
        new_queue=new_queue,
        **manner,
        stdin_is_used="-" in (data, opts),
    )
    sys.exit(run(flags, lambda place: add_job(place, request)))


@main.command("duplicate", short_help="Add a copy of a job to its queue.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option("--data", metavar="JSON|@FILE|-", help="Other data; - reads standard input.")
@click.option("--opts", metavar="JSON|@FILE", help="Options that replace those of the old job.")
@that_changes
@click.pass_obj
def _duplicate(
    flags: Flags,
    /,
    queue: str,
    job_id: str,
    data: str | None,
    opts: str | None,
    **manner: Unpack[MannerOptions],
) -> None:
    """Add a new job with the name, data and options of an old one.

    The copy gets a new id, and no parent, repetition, deduplication or delay.
    """
    from qtui.commands.add import AddRequest, add_job

    request = AddRequest(
        queue=queue,
        copied=one_id(job_id, queue),
        data=given_text(data, "--data"),
        options=given_options(opts),
        **manner,
        stdin_is_used="-" in (data, opts),
    )
    sys.exit(run(flags, lambda place: add_job(place, request)))
