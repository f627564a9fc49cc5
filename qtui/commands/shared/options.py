"""Options shared by several commands, and the checks of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar

import click
from click.types import OptionHelpExtra
from typing_extensions import override

from qtui.bullmq.model import JobState
from qtui.commands.completion import campaign_ids

if TYPE_CHECKING:
    from qtui.bullmq.filter import Filter

OptionValue = TypeVar("OptionValue", str | None, tuple[str, ...])
Decorated = TypeVar("Decorated", bound=Callable[..., object])

ALL: Final = "all"
"""Stands for every state, where a state is expected."""

ALL_QUEUES: Final = "*"
"""Stands for every queue, where a queue's name is expected."""

STATE = click.Choice([state.value for state in JobState])
STATE_OR_ALL = click.Choice([*STATE.choices, ALL])
STATE_NAMES: Final = ", ".join(STATE.choices)
_WANTED: Final = "wanted"
_EXAMPLES: Final = 32
"""Width of the examples in the filter table of a help text."""

ABOVE_ZERO = click.FloatRange(min=0, min_open=True)
FINISHED = click.Choice([state.value for state in JobState if state.is_finished])


class Ranged(click.Option):
    """An option with a smallest or largest value, which its help says in words if at all."""

    @override
    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """The remarks behind the help text, without ``x>=0``."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class FilteredCommand(click.Command):
    """A command whose help ends with the table of filter terms, if it takes a filter."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table, wrapped to the width of the terminal."""
        super().format_epilog(ctx, formatter)
        if any(option.name == _WANTED for option in self.params):
            from qtui.bullmq.filter import TABLE

            with formatter.section("Filter terms"):
                formatter.write_dl(TABLE, col_max=_EXAMPLES)


def not_empty(_context: click.Context, _option: click.Parameter, value: OptionValue) -> OptionValue:
    """Refuses an empty value: it comes from an unset variable, not from a wish for the default."""
    if value is not None and "" in ((value,) if isinstance(value, str) else value):
        raise click.BadParameter("is empty")
    return value


_REACHED = (
    click.option(
        "--announced",
        multiple=True,
        metavar="ADDRESS=REACHABLE",
        callback=not_empty,
        help="Connect to REACHABLE when the URL, a Sentinel or a cluster names ADDRESS; each is "
        "HOST:PORT or HOST. Repeatable; for containers and tunnels.",
    ),
    click.option("--tls-ca", metavar="FILE", callback=not_empty, help="CA to trust, a PEM file."),
    click.option(
        "--tls-cert", metavar="FILE", callback=not_empty, help="Client certificate, a PEM file."
    ),
    click.option(
        "--tls-key",
        metavar="FILE",
        callback=not_empty,
        help="Key of --tls-cert, if in another file.",
    ),
    click.option(
        "--tls-server-name",
        metavar="NAME",
        callback=not_empty,
        help="Name that the server's certificate must have. [default: the host]",
    ),
    click.option(
        "--tls-insecure",
        is_flag=True,
        help="Accept any certificate. The traffic is encrypted, but anyone in between can read and "
        "change it, the password included.",
    ),
)


def with_ways(command: Decorated) -> Decorated:
    """Adds the options for servers that are reached through tunnels, proxies or TLS."""
    for option in reversed(_REACHED):
        command = option(command)
    return command


_JSON_HELP: Final = "Print one JSON object per line."

as_json_lines = click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)


def reason_option(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    """Refuses a reason that is empty, as an unset variable is, or too long for a line."""
    if value is None:
        return ""
    from qtui.operations.journal.facts import MOST_OF_A_REASON

    text = " ".join(value.split())
    if not text:
        raise click.BadParameter("is empty")
    if len(text) > MOST_OF_A_REASON:
        raise click.BadParameter(f"has {len(text)} characters, at most {MOST_OF_A_REASON} are kept")
    return text


with_reason = click.option(
    "--reason",
    metavar="TEXT",
    callback=reason_option,
    help="Why you do this; kept in the journal, one line.",
)


class MannerOptions(TypedDict):
    """What `that_changes` gives a command, as `qtui.commands.shared.asking.Manner` takes it."""

    dry_run: bool
    yes: bool
    json: bool
    reason: str


def that_changes(command: Decorated) -> Decorated:
    """Adds what every command takes that changes something: `MannerOptions`."""
    for option in (
        click.option("--json", is_flag=True, help=_JSON_HELP),
        with_reason,
        click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
        click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing."),
    ):
        command = option(command)
    return command


def at_a_rate(does: str) -> Callable[[Decorated], Decorated]:
    """The option --rate of a command that ``does`` something to many jobs, such as "Retry"."""
    return click.option(
        "--rate",
        cls=Ranged,
        type=ABOVE_ZERO,
        metavar="PER_SECOND",
        help=f"{does} at most this many jobs per second. [default: unlimited]",
    )


def resumable(operation: str) -> Callable[[Decorated], Decorated]:
    """The option --resume of a command whose ``operation``, such as "a retry", can be cut off."""
    return click.option(
        "--resume",
        metavar="ID",
        callback=not_empty,
        shell_complete=campaign_ids,
        help=f"Resume {operation} that was cut off or stopped; `qtui journal` lists them.",
    )


with_every_job = click.option(
    "--verbose", is_flag=True, help="Print a line for each job, on a terminal too."
)

followed = click.option(
    "--follow",
    cls=Ranged,
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="After sending, follow the jobs for up to SECONDS and report outcomes.",
)


def with_resets(command: Decorated) -> Decorated:
    """Adds --reset-attempts-made and --reset-attempts-started."""
    for option in (
        click.option(
            "--reset-attempts-started",
            is_flag=True,
            help="Reset attempts started to 0 (BullMQ 5.59+).",
        ),
        click.option(
            "--reset-attempts-made",
            is_flag=True,
            help="Reset attempts made to 0: each job gets all its attempts again.",
        ),
    ):
        command = option(command)
    return command


IDS: Final = "[ID|-|@FILE]..."
"""How help texts write job ids."""


def alone_with_resume(*others: object) -> None:
    """Refuses what was given beside ``--resume ID``.

    Raises:
        click.UsageError: one of the others was given.
    """
    if any(one is not None and one is not False and one != "" for one in others):
        raise click.UsageError(
            "--resume ID takes the queue and the jobs from the journal: give no others"
        )


def the_queue(queue: str | None) -> str:
    """The queue, which only ``--resume ID`` does without.

    Raises:
        click.UsageError: none was given.
    """
    if queue is None:
        raise click.UsageError("no queue given: name one, or pass --resume ID")
    return queue


def one_selection(ids: tuple[str, ...], wanted: str | None, everything: bool) -> None:
    """Refuses jobs that are selected in no way, or in several.

    Raises:
        click.UsageError: not exactly one way was used.
    """
    if bool(ids) + (wanted is not None) + everything != 1:
        raise click.UsageError("select jobs in exactly one way: their ids, --filter EXPR, or --all")


def filter_option(text: str | None) -> Filter | None:
    """The parsed filter; a mistake is a usage error that points at it."""
    if text is None:
        return None
    from qtui.bullmq.filter import FilterError, parse_filter

    try:
        return parse_filter(text)
    except FilterError as error:
        raise click.UsageError(f"--filter: {error}\n{error.pointed(text)}") from None


def parse_fields(text: str | None, *, as_json: bool) -> tuple[str, ...]:
    """The fields that ``--fields`` names, in order, without duplicates.

    Raises:
        click.UsageError: without --json, or a name that no job has.
    """
    if text is None:
        return ()
    from qtui.commands.shared.ndjson import EXPORT_FIELDS, SHORT_NAMES

    if not as_json:
        raise click.UsageError("--fields needs --json")
    names = [SHORT_NAMES.get(name, name) for name in text.replace(",", " ").split()]
    for name in names:
        if name not in EXPORT_FIELDS:
            known = ", ".join((*SHORT_NAMES, *EXPORT_FIELDS))
            raise click.UsageError(f'--fields: unknown field "{name}"; choose from {known}')
    if not names:
        raise click.UsageError("--fields: name at least one field, such as data")
    return tuple(dict.fromkeys(names))


with_filter = click.option(
    "--filter", _WANTED, metavar="EXPR", help="Select only jobs that match EXPR; terms below."
)
