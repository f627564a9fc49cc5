"""The command line: options and commands, and which of them does what.

Nothing here imports textual or redis before a command needs them, so that ``--help`` and
``--version`` answer at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import click

from qtui import __version__
from qtui.bullmq.model import JobState
from qtui.commands.run import Flags, Place, run

if TYPE_CHECKING:
    from qtui.bullmq.filter import Filter

_Given = TypeVar("_Given", str | None, tuple[str, ...])

_STATES = click.Choice([state.value for state in JobState])
_FINISHED = click.Choice([state.value for state in JobState if state.is_finished])


def _not_empty(_context: click.Context, _option: click.Parameter, value: _Given) -> _Given:
    """An empty text is a variable that was not set, not a wish for the default."""
    if value is not None and "" in ((value,) if isinstance(value, str) else value):
        raise click.BadParameter("is empty")
    return value


_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group(
    invoke_without_command=True,
    context_settings={"max_content_width": 100},
)
@click.option(
    "--redis",
    metavar="URL",
    callback=_not_empty,
    help="redis:// rediss:// unix:// redis+sentinel:// redis+cluster://; else $QTUI_REDIS, "
    "$REDIS_URL, redis://localhost:6379.",
)
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    callback=_not_empty,
    help="Where queues are; repeatable. [bull]",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    callback=_not_empty,
    help="Only this queue; repeatable.",
)
@click.option("--read-only", is_flag=True, help="Send nothing but reads.")
@click.option("--refresh", type=float, metavar="SECONDS", help="Between two looks; 0 for none.")
@click.option(
    "--profile", metavar="NAME", callback=_not_empty, help="A profile of the configuration file."
)
@click.option("--config", metavar="PATH", callback=_not_empty, help="Another configuration file.")
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
    profile: str | None,
    config: str | None,
    demo: bool,
) -> None:
    """Inspect BullMQ queues and retry their jobs. Without a command: the inspector.

    Exit codes: 0 all done, 1 some job not retried, 2 usage, 3 Redis not reachable or refused,
    4 refused by read-only mode, 130 interrupted.
    """
    if demo and redis is not None:
        raise click.UsageError("--demo brings its own Redis: leave --redis out")
    flags = Flags(redis, prefixes, queues, read_only, refresh, profile, config, demo)
    context.obj = flags
    if context.invoked_subcommand is None:
        sys.exit(run(flags, _inspect, on_screen=True))


def _inspect(place: Place) -> int:
    from qtui.commands.inspector import inspect

    return inspect(place)


@main.command("queues")
@_AS_JSON
@click.pass_obj
def _queues(flags: Flags, as_json: bool) -> None:
    """All queues with their counts, worst first."""
    from qtui.commands.queues import list_queues

    sys.exit(run(flags, lambda place: list_queues(place, json=as_json)))


def _parse_filter(text: str) -> Filter:
    """The filter, or a usage error that points at the mistake."""
    from qtui.bullmq.filter import FilterError, parse

    try:
        return parse(text)
    except FilterError as error:
        raise click.UsageError(f"--filter: {error}\n{error.pointed(text)}") from None


def _filter_table() -> str:
    """The filter language for ``--help``, from its one table."""
    from qtui.bullmq.filter import TABLE

    width = max(len(example) for example, _ in TABLE)
    rows = (f"  {example:<{width}}  {words}" for example, words in TABLE)
    return "\b\nWhat --filter understands:\n" + "\n".join(rows)


@main.command("jobs", epilog=_filter_table())
@click.argument("queue")
@click.option("--state", type=_STATES, default="failed", show_default=True)
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--oldest-first", is_flag=True, help="Else newest first.")
@click.option("--filter", "wanted", metavar="EXPR", help="Only jobs that match, see below.")
@_AS_JSON
@click.pass_obj
def _jobs(
    flags: Flags,
    queue: str,
    state: str,
    limit: int,
    offset: int,
    oldest_first: bool,
    wanted: str | None,
    as_json: bool,
) -> None:
    """The jobs of a queue in one state."""
    from qtui.commands.jobs import Window, list_jobs

    if wanted is not None and oldest_first:
        raise click.UsageError("--filter finds the newest first: leave --oldest-first out")
    chosen = _parse_filter(wanted) if wanted is not None else None
    window = Window(queue, JobState(state), limit, offset, not oldest_first, chosen)
    sys.exit(run(flags, lambda place: list_jobs(place, window, json=as_json)))


@main.command("show")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@_AS_JSON
@click.pass_obj
def _show(flags: Flags, queue: str, job_id: str, as_json: bool) -> None:
    """One job, everything."""
    from qtui.commands.show import show_job

    sys.exit(run(flags, lambda place: show_job(place, queue, job_id, as_json=as_json)))


@main.command("errors")
@click.argument("queue")
@click.option("--state", type=_STATES, default="failed", show_default=True)
@_AS_JSON
@click.pass_obj
def _errors(flags: Flags, queue: str, state: str, as_json: bool) -> None:
    """Failures grouped by what they have in common."""
    from qtui.commands.errors import list_errors

    chosen = JobState(state)
    sys.exit(run(flags, lambda place: list_errors(place, queue, chosen, json=as_json)))


@main.command("retry", short_help="Put failed or completed jobs back to be run.")
@click.argument("queue")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--state", type=_FINISHED, default="failed", show_default=True)
@click.option("--reset-attempts-made", is_flag=True, help="Give the jobs all their attempts again.")
@click.option("--reset-attempts-started", is_flag=True, help="Forget how often they were started.")
@click.option("--dry-run", is_flag=True, help="Tell what would happen; send no write.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_AS_JSON
@click.pass_obj
def _retry(
    flags: Flags,
    queue: str,
    ids: tuple[str, ...],
    state: str,
    reset_attempts_made: bool,
    reset_attempts_started: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put failed or completed jobs back to the waiting side, as BullMQ's own retry does."""
    if not ids:
        raise click.UsageError("which jobs? Give their ids.")
    from qtui.commands.retry import Request, retry_jobs
    from qtui.retry.plan import Resets

    resets = Resets(reset_attempts_made, reset_attempts_started)
    request = Request(queue, ids, JobState(state), resets, dry_run, yes, as_json)
    sys.exit(run(flags, lambda place: retry_jobs(place, request)))


if __name__ == "__main__":
    main(prog_name="qtui")
