"""The commands that retry jobs, and show and rerun flows."""

from __future__ import annotations

import sys
from functools import partial
from typing import Unpack

import click

from qtui.bullmq.model import JobState
from qtui.cli.group import main
from qtui.commands.shared.ids import given_ids, one_id
from qtui.commands.shared.options import (
    ABOVE_ZERO,
    ALL_QUEUES,
    FINISHED,
    IDS,
    MannerOptions,
    Ranged,
    alone_with_resume,
    at_a_rate,
    filter_option,
    followed,
    one_selection,
    resumable,
    that_changes,
    the_queue,
    with_every_job,
    with_filter,
    with_resets,
)
from qtui.commands.shared.run import Flags, run


def _is_given(name: str) -> bool:
    """Whether an option of the running command was given, not left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


@main.command("retry", short_help="Retry failed or completed jobs.")
@click.argument("queue", required=False)
@click.argument("ids", metavar=IDS, nargs=-1)
@click.option(
    "--state", type=FINISHED, default="failed", show_default=True, help="State to retry jobs from."
)
@with_filter
@click.option("--all", "everything", is_flag=True, help="Retry every job in the state.")
@with_resets
@at_a_rate("Retry")
@click.option(
    "--canary",
    cls=Ranged,
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Retry N jobs first, oldest first; continue only if at most --max-refail percent of them "
    "fail again.",
)
@click.option(
    "--canary-time",
    cls=Ranged,
    type=ABOVE_ZERO,
    default=60.0,
    metavar="SECONDS",
    help="Seconds to wait for the canary jobs to finish. [default: 60]",
)
@click.option(
    "--max-refail",
    cls=Ranged,
    type=click.FloatRange(0, 100),
    default=10.0,
    metavar="PERCENT",
    help="Stop if more than this percentage of the canary jobs fail again. If given, or with "
    "--canary, also put the retry on hold, and ask, when more of its latest 200 jobs fail again. "
    "[default: 10]",
)
@click.option(
    "--max-waiting",
    cls=Ranged,
    type=click.IntRange(min=1),
    metavar="N",
    help="Put the retry on hold while more than N jobs are waiting or prioritized. "
    "[default: no limit]",
)
@click.option(
    "--max-latency",
    cls=Ranged,
    type=click.FloatRange(min=0),
    default=1000.0,
    metavar="MS",
    help="Stop when Redis latency exceeds this many milliseconds; 0 = never. [default: 1000]",
)
@followed
@resumable("a retry")
@that_changes
@with_every_job
@click.pass_obj
def _retry(
    flags: Flags,
    /,
    queue: str | None,
    ids: tuple[str, ...],
    state: str,
    wanted: str | None,
    everything: bool,
    reset_attempts_made: bool,
    reset_attempts_started: bool,
    rate: float | None,
    canary: int,
    canary_time: float,
    max_refail: float,
    max_waiting: int | None,
    max_latency: float,
    follow: float,
    resume: str | None,
    verbose: bool,
    **manner: Unpack[MannerOptions],
) -> None:
    """Retry failed or completed jobs, as BullMQ's own Job.retry does.

    Select jobs by ID, with --filter, or with --all. --filter and --all cover the jobs that are in
    the state now; jobs that fail later are not included. In place of an ID, '-' reads ids from
    standard input and @FILE from a file: one per line, or the output of `qtui jobs --json`.

    QUEUE '*' retries in all queues, as one campaign: one queue after the other, but a canary takes
    jobs from all of them in turns. --max-waiting holds in each queue: while one is full, others
    go on.

    On a terminal, a retry of more than 20 jobs shows progress and a summary; --verbose, --json and
    pipes get a line for each job.
    """
    if resume is not None:
        alone_with_resume(queue, wanted, everything, manner["dry_run"], manner["reason"])
        from qtui.commands.retry_everywhere import resume_any_retry

        resumption = partial(
            resume_any_retry,
            name=resume,
            json=manner["json"],
            follow=follow,
            verbose=verbose,
            yes=manner["yes"],
        )
        sys.exit(run(flags, resumption))
    queue = the_queue(queue)
    one_selection(ids, wanted, everything)
    if queue == ALL_QUEUES and ids:
        raise click.UsageError("QUEUE '*' takes --filter or --all: name a queue to give ids")
    given = given_ids(ids, queue)
    if ids and not given.ids:
        from qtui.commands.shared.report import nothing_given

        sys.exit(run(flags, lambda place: nothing_given(place.out, place.err, json=manner["json"])))
    from qtui.commands.retry import RetryRequest, retry_jobs
    from qtui.operations.engine.pace import Pace
    from qtui.operations.planning.plan import Resets

    request = RetryRequest(
        queue=queue,
        ids=given.ids,
        filter=filter_option(wanted),
        state=JobState(state),
        resets=Resets(made=reset_attempts_made, started=reset_attempts_started),
        pace=Pace(
            rate=rate,
            canary=canary,
            canary_seconds=canary_time,
            max_refail=max_refail,
            brake=bool(canary) or _is_given("max_refail"),
            max_waiting=max_waiting,
            max_latency=max_latency / 1000,
        ),
        follow=follow,
        **manner,
        verbose=verbose,
        stdin_is_used=given.on_stdin,
    )
    if queue == ALL_QUEUES:
        from qtui.commands.retry_everywhere import retry_everywhere

        sys.exit(run(flags, lambda place: retry_everywhere(place, request)))
    sys.exit(run(flags, lambda place: retry_jobs(place, request)))


@main.command("flow", short_help="Show the flow of a job, or rerun it.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option(
    "--rerun",
    type=click.Choice(["failure", "start"]),
    help="Rerun the flow: failed jobs only (failure), or all jobs (start).",
)
@with_resets
@click.option(
    "--drop-lost",
    is_flag=True,
    help="Let parents run without the children whose job is gone.",
)
@followed
@that_changes
@click.pass_obj
def _flow(
    flags: Flags,
    /,
    queue: str,
    job_id: str,
    rerun: str | None,
    reset_attempts_made: bool,
    reset_attempts_started: bool,
    drop_lost: bool,
    follow: float,
    **manner: Unpack[MannerOptions],
) -> None:
    """Show the flow that a job belongs to, across all its queues; with --rerun, run it again.

    --rerun failure runs the failed jobs again, then the ancestors that failed with them or wait for
    them; completed jobs stay completed. --rerun start runs all finished jobs again, children first.
    """
    resets = reset_attempts_made or reset_attempts_started
    changes = manner["dry_run"] or manner["yes"] or manner["reason"]
    if rerun is None and (resets or drop_lost or follow or changes):
        raise click.UsageError("these options need --rerun failure or --rerun start")
    from qtui.commands.flow import show_flow
    from qtui.commands.rerun import RerunRequest
    from qtui.operations.flow_rerun.plan import Start
    from qtui.operations.planning.plan import Resets

    job_id = one_id(job_id, queue)
    request = RerunRequest(
        queue=queue,
        job_id=job_id,
        rerun=Start(rerun) if rerun is not None else None,
        resets=Resets(made=reset_attempts_made, started=reset_attempts_started),
        follow=follow,
        drop_lost=drop_lost,
        **manner,
    )
    sys.exit(run(flags, lambda place: show_flow(place, request)))
