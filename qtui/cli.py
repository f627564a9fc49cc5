"""The command line: its commands and options, and the function that each command calls.

Nothing here imports textual or redis until a command needs them, so that ``--help`` and
``--version`` answer at once.
"""

from __future__ import annotations

import sys
from functools import partial

import click

from qtui import RELEASES, __version__
from qtui.bullmq.model import JobState
from qtui.commands.completion import COMPLETION_HELP, SHELLS, campaign_ids, completion_script
from qtui.commands.shared.ids import given_ids, one_id
from qtui.commands.shared.options import (
    ABOVE_ZERO,
    ALL,
    ALL_QUEUES,
    FINISHED,
    STATE,
    STATE_NAMES,
    STATE_OR_ALL,
    Ranged,
    as_json_lines,
    filter_option,
    not_empty,
    parse_fields,
    with_filter,
    with_reason,
    with_ways,
)
from qtui.commands.shared.program import Program
from qtui.commands.shared.run import Flags, Workplace, print_text, run
from qtui.commands.shared.values import DURATION, PER_MINUTE, given_options, given_text
from qtui.verbs import Verb

_IDS = "[ID|-|@FILE]..."
"""How help texts write job ids."""


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"qtui {__version__}")
        click.echo(f"tested with {RELEASES}")
        context.exit()


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)
@click.option(
    "--redis",
    metavar="URL",
    callback=not_empty,
    help="URL of the server: redis:// rediss:// unix:// redis+sentinel:// redis+cluster://, or "
    "host:port. "
    "[default: $QTUI_REDIS, $REDIS_URL, redis://localhost:6379]",
)
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    callback=not_empty,
    help="Key prefix of the queues; repeatable. [default: bull]",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    callback=not_empty,
    help="Use only this queue; repeatable. [default: all]",
)
@click.option("--read-only", is_flag=True, help="Send only reads to Redis; refuse writes.")
@click.option(
    "--refresh",
    type=float,
    metavar="SECONDS",
    help="Seconds between refreshes; 0 disables them. [default: 2]",
)
@click.option(
    "--scan-rate",
    type=float,
    metavar="PER_SECOND",
    help="Jobs per second a search may read; 0 = unlimited. [default: throttled]",
)
@click.option(
    "--profile",
    metavar="NAME",
    callback=not_empty,
    help="Use this profile of the configuration file.",
)
@click.option(
    "--config",
    metavar="PATH",
    callback=not_empty,
    help="Read this configuration file. [default: qtui/config.toml in the configuration folder]",
)
@with_ways
@click.option("--demo", is_flag=True, help="Start a throwaway server with a simulated incident.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and the BullMQ releases it is tested with.",
)
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
    """Inspect BullMQ queues and retry their jobs. Without a command, qtui opens the inspector.

    The address also works without --redis: qtui redis://cache-1:6379

    Exit codes: 0 done, 1 some jobs were not retried or failed again, 2 wrong usage, 3 Redis is
    unreachable or refused, 4 refused by read-only mode, 130 interrupted.
    """
    if demo and redis is not None:
        raise click.UsageError("--demo starts its own server: leave out the address")
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


def _inspect(place: Workplace) -> int:
    from qtui.commands.inspector import inspect

    return inspect(place)


def _is_given(name: str) -> bool:
    """Whether an option of the running command was given, not left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


@main.command("queues", short_help="List queues with their job counts.")
@as_json_lines
@click.pass_obj
def _queues(flags: Flags, as_json: bool) -> None:
    """List all queues with their counts per state, most failed jobs first."""
    from qtui.commands.reading.queues import list_queues

    sys.exit(run(flags, lambda place: list_queues(place, json=as_json)))


@main.command("jobs", short_help="List jobs of a queue, or of all queues.")
@click.argument("queue", metavar="QUEUE|'*'")
@click.option(
    "--state",
    type=STATE_OR_ALL,
    metavar="STATE",
    default="failed",
    show_default=True,
    help=f"State to list: {STATE_NAMES}; or all.",
)
@click.option(
    "--limit",
    cls=Ranged,
    type=click.IntRange(min=0),
    metavar="N",
    default=50,
    show_default=True,
    help="Jobs to print at most, across all queues and states.",
)
@click.option(
    "--offset",
    cls=Ranged,
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Jobs to skip first, across all queues and states.",
)
@click.option("--oldest-first", is_flag=True, help="List the oldest jobs first, not the newest.")
@with_filter
@click.option(
    "--fields",
    metavar="NAME,…",
    help="With --json: print only these fields, in full, payloads included: id, name, data, "
    "error, return, stack, queue, …",
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
    """List jobs in one state, or in every state; QUEUE '*' lists jobs of all queues.

    Queues are sorted by name; within a queue, states follow the order given at --state. --limit and
    --offset count across all of them. JSON names the queue of each job.
    """
    from qtui.commands.reading.jobs import JobsRequest, list_jobs

    states = tuple(JobState) if state == ALL else (JobState(state),)
    searched = wanted is not None or fields is not None
    if searched and oldest_first and (lists := [one.value for one in states if one.is_list]):
        raise click.UsageError(
            f"{', '.join(lists)} can only be searched newest first: leave out --oldest-first"
        )
    chosen = filter_option(wanted)
    picked = parse_fields(fields, as_json=as_json)
    window = JobsRequest(
        queue=queue,
        states=states,
        limit=limit,
        offset=offset,
        newest_first=not oldest_first,
        filter=chosen,
        fields=picked,
    )
    sys.exit(run(flags, lambda place: list_jobs(place, window, json=as_json)))


@main.command("show", short_help="Show one job in full, or several.")
@click.argument("queue", metavar="QUEUE|'*'")
@click.argument("ids", metavar=_IDS, nargs=-1, required=True)
@as_json_lines
@click.pass_obj
def _show(flags: Flags, queue: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Show everything Redis holds for a job; QUEUE '*' looks in every queue.

    In place of an ID, '-' reads ids from standard input and @FILE from a file: one per line, or the
    output of `qtui jobs --json`.
    """
    from qtui.commands.reading.show import show_jobs

    given = given_ids(ids, queue)
    sys.exit(run(flags, lambda place: show_jobs(place, queue, given.ids, as_json=as_json)))


@main.command("errors", short_help="Group failed jobs by error.")
@click.argument("queue", metavar="QUEUE|'*'")
@click.option(
    "--state",
    type=STATE,
    metavar="STATE",
    default="failed",
    show_default=True,
    help=f"State of the jobs: {STATE_NAMES}.",
)
@with_filter
@as_json_lines
@click.pass_obj
def _errors(flags: Flags, queue: str, state: str, wanted: str | None, as_json: bool) -> None:
    """Group failed jobs by error; QUEUE '*' covers all queues.

    Errors that differ only in ids, numbers, times or addresses are one group.
    """
    from qtui.commands.reading.errors import list_errors

    chosen, filtered = JobState(state), filter_option(wanted)
    sys.exit(run(flags, lambda place: list_errors(place, queue, chosen, filtered, json=as_json)))


@main.command("why", short_help="Say why a queue does nothing, or why a job waits.")
@click.argument("queue", metavar="QUEUE")
@click.argument("job_id", metavar="[ID]", required=False)
@as_json_lines
@click.pass_obj
def _why(flags: Flags, queue: str, job_id: str | None, as_json: bool) -> None:
    """Say in one sentence why a queue does nothing, or why a job is where it is.

    The lines below it name the keys that show it. The exit code is 1 if something is wrong, or if
    there is no such job.
    """
    from qtui.commands.reading.why import explain_why

    sys.exit(run(flags, lambda place: explain_why(place, queue, job_id, json=as_json)))


@main.command("workers", short_help="List the workers, and the jobs that they hold.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@as_json_lines
@click.pass_obj
def _workers(flags: Flags, queues: tuple[str, ...], as_json: bool) -> None:
    """List the workers of queues, busy ones first; all queues by default.

    Workers are known by their connections and by the locks of their jobs. Those that name no
    connection (.NET, BullMQ 4 and 5 on a cluster) are seen only while they hold jobs.
    """
    from qtui.commands.reading.workers import list_workers

    sys.exit(run(flags, lambda place: list_workers(place, queues, json=as_json)))


@main.command("events", short_help="Print what happens to jobs, as it happens.")
@click.argument("queue", metavar="QUEUE|'*'")
@click.option("--follow", is_flag=True, help="Continue with new events until interrupted.")
@click.option(
    "--limit",
    cls=Ranged,
    type=click.IntRange(min=0),
    default=20,
    metavar="N",
    show_default=True,
    help="Read the N latest events first.",
)
@with_filter
@as_json_lines
@click.pass_obj
def _events(
    flags: Flags, queue: str, follow: bool, limit: int, wanted: str | None, as_json: bool
) -> None:
    """Print the latest events of a queue, or of all; QUEUE '*' covers all queues.

    In a filter, name is the event's name: --filter name=failed, --filter 'error:timeout'.
    """
    from qtui.commands.reading.events import EventsRequest, print_events

    request = EventsRequest(
        queue=queue, filter=filter_option(wanted), limit=limit, follow=follow, json=as_json
    )
    sys.exit(run(flags, lambda place: print_events(place, request)))


@main.command("watch", short_help="Wait until something goes wrong in a queue.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@click.option(
    "--failed-rate",
    type=PER_MINUTE,
    metavar="N/m",
    help="More failures per minute than this in the last minute; also N/s and N/h.",
)
@click.option(
    "--waiting",
    cls=Ranged,
    type=click.IntRange(min=0),
    metavar="N",
    help="More than N jobs wait for a worker.",
)
@click.option(
    "--oldest",
    type=DURATION,
    metavar="DURATION",
    help="The next job has waited for longer than this: 90s, 5m.",
)
@click.option("--no-worker", is_flag=True, help="Jobs wait, and no worker is connected.")
@click.option("--stalled", is_flag=True, help="The lock of an active job has expired.")
@click.option(
    "--exec",
    "command",
    metavar="COMMAND",
    help="Run this shell command each time a condition begins to hold, with QTUI_QUEUE, "
    "QTUI_CONDITION and QTUI_WORDS in its environment, and continue watching.",
)
@click.option(
    "--for",
    "duration",
    type=DURATION,
    metavar="DURATION",
    help="End after this time. [default: unlimited]",
)
@as_json_lines
@click.pass_obj
def _watch(
    flags: Flags,
    queues: tuple[str, ...],
    failed_rate: float | None,
    waiting: int | None,
    oldest: int | None,
    no_worker: bool,
    stalled: bool,
    command: str | None,
    duration: int | None,
    as_json: bool,
) -> None:
    """Wait until a condition holds in a queue, print it, and end with exit code 1.

    Without a condition, wait for anything that `qtui why` calls wrong. With --for the exit code is
    0 if nothing happened until then. All queues by default; each look reads some 30 small things of
    each.
    """
    from qtui.commands.reading.watch import WatchRequest, watch

    request = WatchRequest(
        queues=queues,
        failed_rate=failed_rate,
        waiting=waiting,
        oldest=None if oldest is None else oldest / 1000,
        no_worker=no_worker,
        stalled=stalled,
        command=command,
        seconds=None if duration is None else duration / 1000,
        json=as_json,
    )
    sys.exit(run(flags, lambda place: watch(place, request)))


@main.command("metrics", short_help="Print the state of the queues as Prometheus text.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@click.pass_obj
def _metrics(flags: Flags, queues: tuple[str, ...]) -> None:
    """Print the state of the queues once as Prometheus text; all queues by default.

    bullmq_… are the metrics of BullMQ's own exporter. For a textfile collector, write to a
    temporary file and rename it.
    """
    from qtui.commands.reading.metrics import print_metrics

    sys.exit(run(flags, lambda place: print_metrics(place, queues)))


@main.command("doctor", short_help="Find what is wrong with the server and its queues.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@click.option("--deep", is_flag=True, help="Read every job and key of large queues too, throttled.")
@click.option("--fix", is_flag=True, help="Repair what an action can repair, each after its plan.")
@click.option("--dry-run", is_flag=True, help="With --fix: show the plans; write nothing.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _doctor(
    flags: Flags,
    queues: tuple[str, ...],
    deep: bool,
    fix: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Find what is wrong with the server and in the keys of its queues; all queues by default.

    Each finding names what it does to jobs, what to do about it, and the keys that show it. The
    exit code is 1 if there is a fault; hints do not count.

    With --fix each finding that an action can repair is repaired: resume, remove, release, revive,
    rerun, with its plan, its journal and its undo.
    """
    from qtui.commands.reading.doctor import DoctorRequest, examine

    if not fix and (dry_run or yes or reason):
        raise click.UsageError("--dry-run, --yes and --reason go with --fix")
    request = DoctorRequest(queues=queues, deep=deep, json=as_json)
    if not fix:
        sys.exit(run(flags, lambda place: examine(place, request)))
    from qtui.commands.healing import REASON, HealRequest, examine_and_heal

    how = HealRequest(dry_run=dry_run, yes=yes, json=as_json, reason=reason or REASON)
    sys.exit(run(flags, lambda place: examine_and_heal(place, request, how)))


@main.command("retry", short_help="Retry failed or completed jobs.")
@click.argument("queue", required=False)
@click.argument("ids", metavar=_IDS, nargs=-1)
@click.option(
    "--state", type=FINISHED, default="failed", show_default=True, help="State to retry jobs from."
)
@with_filter
@click.option("--all", "everything", is_flag=True, help="Retry every job in the state.")
@click.option(
    "--reset-attempts-made",
    is_flag=True,
    help="Reset attempts made to 0: each job gets all its attempts again.",
)
@click.option(
    "--reset-attempts-started",
    is_flag=True,
    help="Reset attempts started to 0 (BullMQ 5.59+).",
)
@click.option(
    "--rate",
    cls=Ranged,
    type=ABOVE_ZERO,
    metavar="PER_SECOND",
    help="Retry at most this many jobs per second. [default: unlimited]",
)
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
    help="Stop if more than this percentage of the canary jobs fails again. If given, or with a "
    "canary, also pause and ask if more of the last 200 jobs do. [default: 10]",
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
@click.option(
    "--follow",
    cls=Ranged,
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="After sending, follow the jobs for up to SECONDS and report outcomes.",
)
@click.option(
    "--resume",
    metavar="ID",
    shell_complete=campaign_ids,
    help="Resume a retry that was cut off or stopped; `qtui journal` lists them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@click.option("--verbose", is_flag=True, help="Print a line for each job, on a terminal too.")
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
    reason: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Retry failed or completed jobs, as BullMQ's own Job.retry does.

    Select jobs by ID, with --filter, or with --all. --filter and --all cover the jobs that are in
    the state now; jobs that fail later are not included. QUEUE '*' retries in all queues, as one
    campaign. In place of an ID, '-' reads ids from standard input and @FILE from a file: one per
    line, or the output of `qtui jobs --json`.

    On a terminal, a retry of more than 20 jobs shows progress and a summary; --verbose, --json and
    pipes get a line for each job.
    """
    if resume is not None:
        if queue is not None or wanted is not None or everything or dry_run or reason:
            raise click.UsageError(
                "--resume ID takes the queue and the jobs from the journal: give no others"
            )
        from qtui.commands.retry_everywhere import resume_any_retry

        go_on = partial(
            resume_any_retry, name=resume, json=as_json, follow=follow, verbose=verbose, yes=yes
        )
        sys.exit(run(flags, go_on))
    if queue is None:
        raise click.UsageError("no queue given: name one, or pass --resume ID")
    if bool(ids) + (wanted is not None) + everything != 1:
        raise click.UsageError("select jobs in exactly one way: their ids, --filter EXPR, or --all")
    if queue == ALL_QUEUES and (ids or canary or follow or max_waiting is not None):
        raise click.UsageError(
            "QUEUE '*' takes --filter or --all, and no --canary, --follow or --max-waiting: "
            "name a queue"
        )
    given = given_ids(ids, queue)
    if ids and not given.ids:
        from qtui.commands.shared.report import nothing_given

        sys.exit(run(flags, lambda place: nothing_given(place.out, place.err, json=as_json)))
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
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
        verbose=verbose,
        ids_on_stdin=given.on_stdin,
    )
    if queue == ALL_QUEUES:
        from qtui.commands.retry_everywhere import retry_everywhere

        sys.exit(run(flags, lambda place: retry_everywhere(place, request)))
    sys.exit(run(flags, lambda place: retry_jobs(place, request)))


@main.command("pause", short_help="Pause queues.")
@click.argument("queues", metavar="QUEUE...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Pause every queue of the prefixes.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _pause(
    flags: Flags,
    queues: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Pause queues: no worker starts their jobs until they are resumed.

    Active jobs run to their end. Waiting jobs are kept where the release that runs the
    queue keeps them, and none is lost. A queue that is paused already stays as it is.
    """
    _pause_or_resume(flags, Verb.PAUSE, queues, everything, dry_run, yes, reason, as_json)


@main.command("resume", short_help="Resume queues.")
@click.argument("queues", metavar="QUEUE...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Resume every queue of the prefixes.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _resume(
    flags: Flags,
    queues: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Resume paused queues, with all jobs that any release left in the paused list.

    The workers are woken. Jobs stranded in the paused list of a queue that is not paused come back
    too.
    """
    _pause_or_resume(flags, Verb.RESUME, queues, everything, dry_run, yes, reason, as_json)


def _pause_or_resume(
    flags: Flags,
    verb: Verb,
    queues: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    if bool(queues) == everything:
        raise click.UsageError("name the queues, or pass --all")
    from qtui.commands.queue_actions.pausing import PausingRequest, pause_queues

    request = PausingRequest(
        verb=verb, queues=queues, dry_run=dry_run, yes=yes, json=as_json, reason=reason
    )
    sys.exit(run(flags, lambda place: pause_queues(place, request)))


@main.command("limits", short_help="Show or change the limits of a queue.")
@click.argument("queue", metavar="QUEUE")
@click.option(
    "--concurrency",
    metavar="N|none",
    callback=not_empty,
    help="Most active jobs at once, over all workers (BullMQ 5.9+).",
)
@click.option(
    "--rate",
    metavar="MAX/DURATION|none",
    callback=not_empty,
    help="Most starts in a window of time, such as 100/10s; units ms, s, m, h, d (BullMQ 5.60+).",
)
@click.option("--release", is_flag=True, help="Release the rate limit that holds now.")
@click.option(
    "--release-key",
    "keys",
    multiple=True,
    metavar="ID",
    callback=not_empty,
    help="Release this deduplication id; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _limits(
    flags: Flags,
    queue: str,
    concurrency: str | None,
    rate: str | None,
    release: bool,
    keys: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Show the limits of a queue and the jobs that hold them; with options, change or release them.

    Limits are the global concurrency, the global rate limit, the rate limit that holds now, and
    deduplication ids. A limit is replaced only if no other client changed it since it was shown;
    idle workers are woken. Limits in a worker's own options are not in Redis.
    """
    from qtui.commands.queue_actions.limits import LimitsRequest, queue_limits

    request = LimitsRequest(
        queue=queue,
        concurrency=concurrency,
        rate=rate,
        release=release,
        keys=keys,
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
    )
    sys.exit(run(flags, lambda place: queue_limits(place, request)))


@main.command("obliterate", short_help="Remove a queue with all its jobs.")
@click.argument("queue", metavar="QUEUE")
@click.option("--force", is_flag=True, help="Remove it even if workers are connected or hold jobs.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _obliterate(
    flags: Flags,
    queue: str,
    force: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Remove a queue with all its jobs, schedulers, settings and history. It can't be undone.

    The queue is paused first. If it is cut off, the rest of the queue stays paused; run the same
    command again. Parents in other queues that wait for no other child run next.
    """
    from qtui.commands.queue_actions.obliterate import ObliterateRequest, obliterate_queue

    request = ObliterateRequest(
        queue=queue, force=force, dry_run=dry_run, yes=yes, json=as_json, reason=reason
    )
    sys.exit(run(flags, lambda place: obliterate_queue(place, request)))


@main.command("schedulers", short_help="List schedulers; run, remove or revive them.")
@click.argument("queue", metavar="QUEUE|'*'")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--run-now", "do", flag_value="run-now", help="Add one job from the template now.")
@click.option("--remove", "do", flag_value="remove", help="Remove it, with its iteration.")
@click.option(
    "--revive",
    "do",
    flag_value="revive",
    help="Create the next iteration of a dead scheduler; without ID, of all dead ones.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _schedulers(
    flags: Flags,
    queue: str,
    ids: tuple[str, ...],
    do: str | None,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """List the job schedulers of a queue, or of all ('*'), and repeatable jobs of 1.x to 5.x.

    A scheduler is dead if its iteration (the job that creates the next one) is in no state: it
    never runs again. It is late if its iteration is due and no worker has started it.

    With ID: show one, with its template. With an option: change it, after a plan; `qtui undo` takes
    it back. The iteration itself is never run early: that would skip its scheduled time.
    """
    from qtui.commands.queue_actions.schedulers import SchedulersRequest, schedulers
    from qtui.operations.schedulers.action import Do

    request = SchedulersRequest(
        queue=queue,
        ids=ids,
        do=None if do is None else Do(do),
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
    )
    sys.exit(run(flags, lambda place: schedulers(place, request)))


@main.command("promote", short_help="Run delayed jobs now; can be undone.")
@click.argument("queue", required=False)
@click.argument("ids", metavar=_IDS, nargs=-1)
@with_filter
@click.option("--all", "everything", is_flag=True, help="Promote every delayed job.")
@click.option(
    "--rate",
    cls=Ranged,
    type=ABOVE_ZERO,
    metavar="PER_SECOND",
    help="Promote at most this many jobs per second. [default: unlimited]",
)
@click.option(
    "--resume",
    metavar="ID",
    shell_complete=campaign_ids,
    help="Resume a promotion that was cut off or stopped; `qtui journal` lists them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@click.option("--verbose", is_flag=True, help="Print a line for each job, on a terminal too.")
@as_json_lines
@click.pass_obj
def _promote(
    flags: Flags,
    queue: str | None,
    ids: tuple[str, ...],
    wanted: str | None,
    everything: bool,
    rate: float | None,
    resume: str | None,
    dry_run: bool,
    yes: bool,
    reason: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Promote delayed jobs, as BullMQ's own Job.promote does: they run now, by priority.

    Select jobs by ID, with --filter, or with --all: the jobs that are delayed now, the earliest due
    first. The iteration that a scheduler waits for stays: promoting it would skip its scheduled
    time.
    """
    if resume is not None:
        if queue is not None or wanted is not None or everything or dry_run or reason:
            raise click.UsageError(
                "--resume ID takes the queue and the jobs from the journal: give no others"
            )
        from qtui.commands.job_actions.promote import PROMOTE
        from qtui.commands.shared.picked import resume_jobs

        go_on = partial(
            resume_jobs, command=PROMOTE, name=resume, json=as_json, verbose=verbose, yes=yes
        )
        sys.exit(run(flags, go_on))
    if queue is None:
        raise click.UsageError("no queue given: name one, or pass --resume ID")
    if bool(ids) + (wanted is not None) + everything != 1:
        raise click.UsageError("select jobs in exactly one way: their ids, --filter EXPR, or --all")
    given, promote = given_ids(ids, queue), Verb.PROMOTE
    if ids and not given.ids:
        from qtui.commands.shared.picked import no_ids_given

        sys.exit(run(flags, lambda place: no_ids_given(place, promote, json=as_json)))
    from qtui.commands.job_actions.promote import PROMOTE
    from qtui.commands.shared.picked import JobsRequest, act_on_jobs
    from qtui.operations.engine.pace import Pace

    request = JobsRequest(
        queue=queue,
        ids=given.ids,
        filter=filter_option(wanted),
        state=JobState.DELAYED,
        pace=Pace(rate=rate),
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
        verbose=verbose,
        ids_on_stdin=given.on_stdin,
    )
    sys.exit(run(flags, lambda place: act_on_jobs(place, PROMOTE, request)))


@main.command("remove", short_help="Remove jobs from any state; can be undone.")
@click.argument("queue", required=False)
@click.argument("ids", metavar=_IDS, nargs=-1)
@click.option(
    "--state", type=STATE, metavar="STATE", help=f"State to remove jobs from: {STATE_NAMES}."
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
    help="Also remove jobs that are too large for the journal; they can't be undone.",
)
@click.option(
    "--rate",
    cls=Ranged,
    type=ABOVE_ZERO,
    metavar="PER_SECOND",
    help="Remove at most this many jobs per second. [default: unlimited]",
)
@click.option(
    "--resume",
    metavar="ID",
    shell_complete=campaign_ids,
    help="Resume a removal that was cut off or stopped; `qtui journal` lists them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@click.option("--verbose", is_flag=True, help="Print a line for each job, on a terminal too.")
@as_json_lines
@click.pass_obj
def _remove(
    flags: Flags,
    queue: str | None,
    ids: tuple[str, ...],
    state: str | None,
    wanted: str | None,
    everything: bool,
    with_children: bool,
    without_undo: bool,
    rate: float | None,
    resume: str | None,
    dry_run: bool,
    yes: bool,
    reason: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Remove jobs with their logs and keys, as BullMQ's own Job.remove does.

    Select jobs by ID, with --filter, or with --all; --filter 'age>7d' cleans a state, --state
    waiting --all drains a queue. The whole jobs are written to the journal first, so that `qtui
    undo` can bring them back.

    Not removed are jobs that a worker has locked, and the iteration that a scheduler waits for. A
    parent that waits for no other child runs next.
    """
    if resume is not None:
        if queue is not None or wanted is not None or everything or dry_run or reason or state:
            raise click.UsageError(
                "--resume ID takes the queue and the jobs from the journal: give no others"
            )
        from qtui.commands.job_actions.remove import REMOVE
        from qtui.commands.shared.picked import resume_jobs

        go_on = partial(
            resume_jobs, command=REMOVE, name=resume, json=as_json, verbose=verbose, yes=yes
        )
        sys.exit(run(flags, go_on))
    if queue is None:
        raise click.UsageError("no queue given: name one, or pass --resume CAMPAIGN")
    if state is None:
        raise click.UsageError(f"no state given: pass --state with one of {STATE_NAMES}")
    if bool(ids) + (wanted is not None) + everything != 1:
        raise click.UsageError("select jobs in exactly one way: their ids, --filter EXPR, or --all")
    given, remove = given_ids(ids, queue), Verb.REMOVE
    if ids and not given.ids:
        from qtui.commands.shared.picked import no_ids_given

        sys.exit(run(flags, lambda place: no_ids_given(place, remove, json=as_json)))
    from qtui.commands.job_actions.remove import REMOVE, own_options
    from qtui.commands.shared.picked import JobsRequest, act_on_jobs
    from qtui.operations.engine.pace import Pace

    words, options = own_options(JobState(state), children=with_children, without_undo=without_undo)
    request = JobsRequest(
        queue=queue,
        ids=given.ids,
        filter=filter_option(wanted),
        state=JobState(state),
        pace=Pace(rate=rate),
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
        verbose=verbose,
        ids_on_stdin=given.on_stdin,
        words=words,
        options=options,
    )
    sys.exit(run(flags, lambda place: act_on_jobs(place, REMOVE, request)))


@main.command("flow", short_help="Show the flow of a job, or rerun it.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option(
    "--rerun",
    type=click.Choice(["failure", "start"]),
    help="Rerun the flow: failed jobs only (failure), or all jobs (start).",
)
@click.option(
    "--reset-attempts-made",
    is_flag=True,
    help="Reset attempts made to 0: each job gets all its attempts again.",
)
@click.option(
    "--reset-attempts-started",
    is_flag=True,
    help="Reset attempts started to 0 (BullMQ 5.59+).",
)
@click.option(
    "--drop-lost",
    is_flag=True,
    help="Let parents run without the children whose job is gone.",
)
@click.option(
    "--follow",
    cls=Ranged,
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="After sending, follow the jobs for up to SECONDS and report outcomes.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
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
    reason: str,
    as_json: bool,
) -> None:
    """Show the flow that a job belongs to, across all its queues; with --rerun, run it again.

    --rerun failure runs the failed jobs again, then the ancestors that failed with them or wait for
    them; completed jobs stay completed. --rerun start runs all finished jobs again, children first.
    """
    if rerun is None and (
        reset_attempts_made
        or reset_attempts_started
        or drop_lost
        or follow
        or dry_run
        or yes
        or reason
    ):
        raise click.UsageError("these options need --rerun failure or --rerun start")
    from qtui.commands.flow import show_flow
    from qtui.commands.rerun import RerunRequest
    from qtui.operations.flow_rerun.plan import Start
    from qtui.operations.planning.plan import Resets

    job_id = one_id(job_id, queue)
    start = Start(rerun) if rerun is not None else None
    resets = Resets(made=reset_attempts_made, started=reset_attempts_started)
    request = RerunRequest(
        queue=queue,
        job_id=job_id,
        rerun=start,
        resets=resets,
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
        follow=follow,
        drop_lost=drop_lost,
    )
    sys.exit(run(flags, lambda place: show_flow(place, request)))


@main.command("edit", short_help="Edit one job: its data, its priority, its delay.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option("--data", metavar="JSON|@FILE|-", help="The new data; - reads standard input.")
@click.option("--priority", type=int, metavar="N", help="The new priority; 0 = none, 1 = first.")
@click.option(
    "--delay",
    type=DURATION,
    metavar="DURATION",
    help="Of a delayed job: due in DURATION from now, such as 90s or 1h30m.",
)
@click.option("--retry", is_flag=True, help="Retry the job in the same step.")
@click.option("--reset-attempts-made", is_flag=True, help="With --retry: reset attempts made to 0.")
@click.option(
    "--reset-attempts-started",
    is_flag=True,
    help="With --retry: reset attempts started to 0 (BullMQ 5.59+).",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _edit(
    flags: Flags,
    queue: str,
    job_id: str,
    data: str | None,
    priority: int | None,
    delay: int | None,
    retry: bool,
    reset_attempts_made: bool,
    reset_attempts_started: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Edit the data, the priority or the delay of a job, in any state.

    Without --data, --priority and --delay the data is opened in $VISUAL or $EDITOR. An edit is
    refused if the job has run, moved or changed since it was read. A worker that runs the job keeps
    its own copy. Like BullMQ, qtui emits an event for a new delay only.
    """
    if (reset_attempts_made or reset_attempts_started) and not retry:
        raise click.UsageError("--reset-attempts-made and --reset-attempts-started need --retry")
    from qtui.commands.edit import EditRequest, edit_job
    from qtui.commands.shared.single import Manner
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
        manner=Manner(
            dry_run=dry_run, yes=yes, json=as_json, reason=reason, stdin_is_used=data == "-"
        ),
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
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _add(
    flags: Flags,
    queue: str,
    name: str,
    data: str | None,
    opts: str | None,
    new_queue: bool,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Add a job as BullMQ's Queue.add does, in the way of the release that runs the queue.

    Options that BullMQ does not know are refused. Its events are BullMQ's own: added, and waiting
    or delayed.
    """
    from qtui.commands.add import AddRequest, add_job
    from qtui.commands.shared.single import Manner

    request = AddRequest(
        queue=queue,
        name=name,
        data=given_text(data, "--data"),
        options=given_options(opts),
        new_queue=new_queue,
        manner=Manner(
            dry_run=dry_run, yes=yes, json=as_json, reason=reason, stdin_is_used="-" in (data, opts)
        ),
    )
    sys.exit(run(flags, lambda place: add_job(place, request)))


@main.command("duplicate", short_help="Add a copy of a job to its queue.")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option("--data", metavar="JSON|@FILE|-", help="Other data; - reads standard input.")
@click.option("--opts", metavar="JSON|@FILE", help="Options that replace those of the old job.")
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@as_json_lines
@click.pass_obj
def _duplicate(
    flags: Flags,
    queue: str,
    job_id: str,
    data: str | None,
    opts: str | None,
    dry_run: bool,
    yes: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Add a new job with the name, data and options of an old one.

    The copy gets a new id, and no parent, repetition, deduplication or delay.
    """
    from qtui.commands.add import AddRequest, add_job
    from qtui.commands.shared.single import Manner

    request = AddRequest(
        queue=queue,
        copied=one_id(job_id, queue),
        data=given_text(data, "--data"),
        options=given_options(opts),
        manner=Manner(
            dry_run=dry_run, yes=yes, json=as_json, reason=reason, stdin_is_used="-" in (data, opts)
        ),
    )
    sys.exit(run(flags, lambda place: add_job(place, request)))


@main.command("undo", short_help="Take back what qtui did.")
@click.argument("operation", metavar="[OPERATION]", required=False, shell_complete=campaign_ids)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--resume",
    metavar="ID",
    callback=not_empty,
    shell_complete=campaign_ids,
    help="Resume an undo that was cut off or stopped, by its id in the journal.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_reason
@click.option("--verbose", is_flag=True, help="Print a line for each job, on a terminal too.")
@as_json_lines
@click.pass_obj
def _undo(
    flags: Flags,
    operation: str | None,
    ids: tuple[str, ...],
    resume: str | None,
    dry_run: bool,
    yes: bool,
    reason: str,
    verbose: bool,
    as_json: bool,
) -> None:
    """Take back an operation of the journal, for every job that is still where qtui put it.

    OPERATION is its id in the journal, or the beginning or end of it. Without it, or with `last`,
    the last operation on this server that is not undone yet is taken back. With IDs, only those
    jobs. Jobs that have run, moved or changed since are left alone (code -3). An undo is an
    operation too: undo it by its id.
    """
    if resume is not None:
        if operation is not None or dry_run or reason:
            raise click.UsageError("--resume ID takes all else from the journal: give nothing else")
        from qtui.commands.undo import resume_undo

        again = partial(resume_undo, name=resume, json=as_json, yes=yes, verbose=verbose)
        sys.exit(run(flags, again))
    from qtui.commands.undo import UndoRequest, undo_operation

    request = UndoRequest(
        operation=operation or "",
        ids=tuple(dict.fromkeys(ids)),
        dry_run=dry_run,
        yes=yes,
        json=as_json,
        reason=reason,
        verbose=verbose,
    )
    sys.exit(run(flags, lambda place: undo_operation(place, request)))


@main.command("journal", short_help="List past operations made from this machine.")
@click.argument("campaign", metavar="[ID]", required=False, shell_complete=campaign_ids)
@click.option("--jobs", is_flag=True, help="With ID: list the jobs as they were before.")
@click.option(
    "--prune",
    metavar="AGE",
    callback=not_empty,
    help="Delete the journals of operations that ended longer ago than AGE: 30d, 12h, 2w, …",
)
@click.option(
    "--unfinished",
    is_flag=True,
    help="With --prune: also delete those that can still be resumed.",
)
@click.option("--dry-run", is_flag=True, help="With --prune: show what would be deleted.")
@click.option("--yes", is_flag=True, help="With --prune: do not ask for confirmation.")
@as_json_lines
@click.pass_obj
def _journal(
    flags: Flags,
    campaign: str | None,
    jobs: bool,
    prune: str | None,
    unfinished: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List past operations made from this machine; with ID, or its beginning or end, show one.

    Journals are kept in $QTUI_JOURNAL; if unset, in qtui/journal in the user's state folder. Only
    --prune deletes them.
    """
    if jobs and campaign is None:
        raise click.UsageError("--jobs needs the ID of a retry")
    if prune is None and (unfinished or dry_run or yes):
        raise click.UsageError("--unfinished, --dry-run and --yes are for --prune AGE")
    if prune is not None:
        if campaign is not None or as_json:
            raise click.UsageError("--prune AGE takes neither an ID nor --json")
        from qtui.commands.journal import prune_journal

        delete = partial(
            prune_journal, age_of=prune, unfinished=unfinished, dry_run=dry_run, yes=yes
        )
        sys.exit(run(flags, delete))

    def work(place: Workplace) -> int:
        from qtui.commands.journal import list_journal, show_campaign

        if campaign is None:
            return list_journal(place.out, place.err, place.journal, json=as_json)
        return show_campaign(place.out, place.journal, campaign, json=as_json, jobs=jobs)

    sys.exit(run(flags, work))


@main.command("completion", help=COMPLETION_HELP, short_help="Print the shell completion script.")
@click.argument("shell", type=click.Choice(SHELLS))
def _completion(shell: str) -> None:
    script = completion_script(main, shell)
    sys.exit(print_text(script + "\n"))


@main.command("man", short_help="Print the manual page.")
def _man() -> None:
    """Print the manual page in roff; `qtui man | man -l -` shows it."""
    from qtui.commands.manual import manual

    sys.exit(print_text(manual(main)))


if __name__ == "__main__":
    main(prog_name="qtui")
