"""The command line: options and commands, and which of them does what.

Nothing here imports textual or redis before a command needs them, so that ``--help`` and
``--version`` answer at once.
"""

from __future__ import annotations

import sys
from functools import partial

import click

from qtui import __version__
from qtui.bullmq.model import JobState
from qtui.commands.options import (
    ABOVE_ZERO,
    FINISHED,
    STATES,
    as_json_lines,
    filter_table,
    not_empty,
    parse_fields,
    parse_filter,
    with_filter,
    with_ways,
)
from qtui.commands.run import Flags, Place, run


@click.group(
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)
@click.option(
    "--redis",
    metavar="URL",
    callback=not_empty,
    help="redis:// rediss:// unix:// redis+sentinel:// redis+cluster://; else $QTUI_REDIS, "
    "$REDIS_URL, redis://localhost:6379.",
)
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    callback=not_empty,
    help="Where queues are; repeatable. [bull]",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    callback=not_empty,
    help="Only this queue; repeatable.",
)
@click.option("--read-only", is_flag=True, help="Send nothing but reads.")
@click.option("--refresh", type=float, metavar="SECONDS", help="Between two looks; 0 for none.")
@click.option(
    "--scan-rate",
    type=float,
    metavar="PER_SECOND",
    help="Jobs that a search looks at; 0 for any number. [polite]",
)
@click.option(
    "--profile", metavar="NAME", callback=not_empty, help="A profile of the configuration file."
)
@click.option("--config", metavar="PATH", callback=not_empty, help="Another configuration file.")
@with_ways
@click.option("--demo", is_flag=True, help="A server of its own, with an incident on it.")
@click.version_option(__version__, message="qtui %(version)s")
@click.pass_context
def main(
    context: click.Context,
    redis: str | None,
    prefixes: tuple[str, ...],
    queues: tuple[str, ...],
    read_only: bool,
    refresh: float | None,
    scan_rate: float | None,
    profile: str | None,
    config: str | None,
    announced: tuple[str, ...],
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_server_name: str | None,
    tls_insecure: bool,
    demo: bool,
) -> None:
    """Inspect BullMQ queues and retry their jobs. Without a command: the inspector.

    Exit codes: 0 all done, 1 some job not retried, 2 usage, 3 Redis not reachable or refused,
    4 refused by read-only mode, 130 interrupted.
    """
    if demo and redis is not None:
        raise click.UsageError("--demo brings its own Redis: leave --redis out")
    flags = Flags(
        redis=redis,
        prefixes=prefixes,
        queues=queues,
        read_only=read_only,
        refresh=refresh,
        scan_rate=scan_rate,
        profile=profile,
        config=config,
        demo=demo,
        announced=announced,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_server_name=tls_server_name,
        tls_insecure=tls_insecure,
    )
    context.obj = flags
    if context.invoked_subcommand is None:
        sys.exit(run(flags, _inspect, on_screen=True))


def _inspect(place: Place) -> int:
    from qtui.commands.inspector import inspect

    return inspect(place)


@main.command("queues")
@as_json_lines
@click.pass_obj
def _queues(flags: Flags, as_json: bool) -> None:
    """All queues with their counts, worst first."""
    from qtui.commands.queues import list_queues

    sys.exit(run(flags, lambda place: list_queues(place, json=as_json)))


@main.command("jobs", epilog=filter_table())
@click.argument("queue")
@click.option("--state", type=STATES, default="failed", show_default=True)
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--oldest-first", is_flag=True, help="Else newest first.")
@with_filter
@click.option(
    "--fields",
    metavar="NAME,…",
    help="With --json: just these, whole, payloads too: id, name, data, error, return, stack, …",
)
@as_json_lines
@click.pass_obj
def _jobs(
    flags: Flags,
    queue: str,
    state: str,
    limit: int,
    offset: int,
    oldest_first: bool,
    wanted: str | None,
    fields: str | None,
    as_json: bool,
) -> None:
    """The jobs of a queue in one state."""
    from qtui.commands.jobs import Window, list_jobs

    searched = wanted is not None or fields is not None
    if searched and oldest_first and JobState(state).is_list:
        raise click.UsageError(f"{state} is searched newest first: leave --oldest-first out")
    chosen = parse_filter(wanted)
    picked = parse_fields(fields, as_json=as_json)
    window = Window(queue, JobState(state), limit, offset, not oldest_first, chosen, picked)
    sys.exit(run(flags, lambda place: list_jobs(place, window, json=as_json)))


@main.command("show")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@as_json_lines
@click.pass_obj
def _show(flags: Flags, queue: str, job_id: str, as_json: bool) -> None:
    """One job, everything; QUEUE '*' finds it in whatever queue it is."""
    from qtui.commands.show import show_job

    sys.exit(run(flags, lambda place: show_job(place, queue, job_id, as_json=as_json)))


@main.command("errors", epilog=filter_table())
@click.argument("queue")
@click.option("--state", type=STATES, default="failed", show_default=True)
@with_filter
@as_json_lines
@click.pass_obj
def _errors(flags: Flags, queue: str, state: str, wanted: str | None, as_json: bool) -> None:
    """Failures grouped by what they have in common; QUEUE '*' for all queues."""
    from qtui.commands.errors import list_errors

    chosen, filtered = JobState(state), parse_filter(wanted)
    sys.exit(run(flags, lambda place: list_errors(place, queue, chosen, filtered, json=as_json)))


@main.command(
    "retry", short_help="Put failed or completed jobs back to be run.", epilog=filter_table()
)
@click.argument("queue", required=False)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--state", type=FINISHED, default="failed", show_default=True)
@with_filter
@click.option("--all", "everything", is_flag=True, help="Every job of the state.")
@click.option("--reset-attempts-made", is_flag=True, help="Give the jobs all their attempts again.")
@click.option("--reset-attempts-started", is_flag=True, help="Forget how often they were started.")
@click.option("--rate", type=ABOVE_ZERO, metavar="PER_SECOND", help="Jobs a second, at most.")
@click.option(
    "--canary",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Retry so many first, oldest first, and go on only if they fare well.",
)
@click.option(
    "--canary-time",
    type=ABOVE_ZERO,
    default=60.0,
    metavar="SECONDS",
    show_default=True,
    help="How long they are watched.",
)
@click.option(
    "--max-refail",
    type=click.FloatRange(0, 100),
    default=10.0,
    metavar="PERCENT",
    show_default=True,
    help="How many of them may fail again.",
)
@click.option(
    "--max-waiting",
    type=click.IntRange(min=1),
    metavar="N",
    help="Hold while more jobs than this wait in the queue.",
)
@click.option(
    "--max-latency",
    type=click.FloatRange(min=0),
    default=1000.0,
    metavar="MS",
    show_default=True,
    help="Stop when Redis answers slower; 0 for never.",
)
@click.option(
    "--follow",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Then see what becomes of them, for so long at most.",
)
@click.option("--resume", metavar="CAMPAIGN", help="Go on with one that was cut off or stopped.")
@click.option("--dry-run", is_flag=True, help="Tell what would happen; send no write.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_lines
@click.pass_obj
def _retry(
    flags: Flags,
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
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put failed or completed jobs back to the waiting side, as BullMQ's own retry does.

    Those of the IDs, those that match a filter, or all: what has finished by now, and nothing that
    fails later.
    """
    if resume is not None:
        if queue is not None or wanted is not None or everything or dry_run:
            raise click.UsageError("--resume knows its queue and jobs: name no others")
        from qtui.commands.retry import resume_campaign

        go_on = partial(resume_campaign, name=resume, json=as_json, follow=follow)
        sys.exit(run(flags, go_on))
    if queue is None:
        raise click.UsageError("which queue? Name it, or --resume a campaign.")
    if bool(ids) + (wanted is not None) + everything != 1:
        raise click.UsageError("which jobs? Give their ids, or --filter EXPR, or --all.")
    from qtui.commands.retry import Request, retry_jobs
    from qtui.retry.pace import Pace
    from qtui.retry.plan import Resets

    request = Request(
        queue=queue,
        ids=ids,
        filter=parse_filter(wanted),
        state=JobState(state),
        resets=Resets(reset_attempts_made, reset_attempts_started),
        pace=Pace(rate, canary, canary_time, max_refail, max_waiting, max_latency / 1000),
        follow=follow,
        dry_run=dry_run,
        yes=yes,
        json=as_json,
    )
    sys.exit(run(flags, lambda place: retry_jobs(place, request)))


@main.command("flow", short_help="The flow of a job as a tree, and its rerun.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option(
    "--rerun",
    type=click.Choice(["failure", "start"]),
    help="Run the flow again, from its failed jobs on or as a whole.",
)
@click.option("--reset-attempts-made", is_flag=True, help="Give the jobs all their attempts again.")
@click.option("--reset-attempts-started", is_flag=True, help="Forget how often they were started.")
@click.option(
    "--drop-lost",
    is_flag=True,
    help="Let parents run without children whose job is gone and that had not completed.",
)
@click.option(
    "--follow",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Then see what becomes of the jobs, for so long at most.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would happen; send no write.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_lines
@click.pass_obj
def _flow(
    flags: Flags,
    queue: str,
    job_id: str,
    rerun: str | None,
    reset_attempts_made: bool,
    reset_attempts_started: bool,
    drop_lost: bool,
    follow: float,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """The flow that a job belongs to, over all its queues; with --rerun, run it again.

    From failure: the failed jobs run, and after them the ancestors that failed with them or wait
    for them; what is done stays done. From start: every finished job runs, children first.
    """
    if rerun is None and (
        reset_attempts_made or reset_attempts_started or drop_lost or follow or dry_run or yes
    ):
        raise click.UsageError("these options are for --rerun failure or --rerun start")
    from qtui.commands.flow import show_flow
    from qtui.commands.rerun import Request
    from qtui.retry.plan import Resets
    from qtui.retry.rerun_plan import Start

    start = Start(rerun) if rerun is not None else None
    resets = Resets(reset_attempts_made, reset_attempts_started)
    request = Request(queue, job_id, start, resets, dry_run, yes, as_json, follow, drop_lost)
    sys.exit(run(flags, lambda place: show_flow(place, request)))


@main.command("journal")
@click.argument("campaign", metavar="[ID]", required=False)
@click.option("--jobs", is_flag=True, help="Its jobs as they stood before they were retried.")
@as_json_lines
@click.pass_obj
def _journal(flags: Flags, campaign: str | None, jobs: bool, as_json: bool) -> None:
    """Past retries made from this machine; with ID (or its beginning or end) one in full."""
    if jobs and campaign is None:
        raise click.UsageError("--jobs needs the ID of a campaign")

    def work(place: Place) -> int:
        from qtui.commands.journal import list_journal, show_campaign

        if campaign is None:
            return list_journal(place.out, place.err, place.journal, json=as_json)
        return show_campaign(place.out, place.journal, campaign, json=as_json, jobs=jobs)

    sys.exit(run(flags, work))


if __name__ == "__main__":
    main(prog_name="qtui")
