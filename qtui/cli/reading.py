"""Commands that only read: lists, verdicts, the doctor, events, metrics."""

from __future__ import annotations

import sys

import click

from qtui.bullmq.model import JobState
from qtui.cli.group import main
from qtui.commands.shared.ids import given_ids
from qtui.commands.shared.options import (
    ALL,
    IDS,
    STATE,
    STATE_NAMES,
    STATE_OR_ALL,
    Ranged,
    as_json_lines,
    filter_option,
    parse_fields,
    with_filter,
    with_reason,
)
from qtui.commands.shared.run import Flags, run
from qtui.commands.shared.values import DURATION, PER_MINUTE


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

    qtui jobs '*' --state all --filter order-123 searches everything; --filter id=ID asks all queues
    for one job, without a search.
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
@click.argument("ids", metavar=IDS, nargs=-1, required=True)
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

    Errors that differ only in ids, numbers, times or addresses are one group. Where many groups
    differ in one word they become one, with <word> in its place.
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

    The lines below it name the keys that prove it. The exit code is 1 if something is wrong, or if
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

    Workers are known by their connections and by the locks of their jobs. Those that do not
    name their connection (.NET, BullMQ 4 and 5 on a cluster) are seen only while they hold jobs.
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
    0 if nothing happened in that time. All queues by default; each look costs some 30 small reads a
    queue.
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
