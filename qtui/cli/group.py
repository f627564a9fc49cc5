"""The program: its options, and the inspector that runs without a command."""

from __future__ import annotations

import gc
import sys

import click

from qtui import RELEASES, __version__
from qtui.commands.shared.options import (
    not_empty,
    with_ways,
)
from qtui.commands.shared.program import Program
from qtui.commands.shared.run import Flags, Workplace, run


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
    """Inspect BullMQ queues, and act on their jobs. Without a command, qtui opens the inspector.

    The address also works without --redis: qtui redis://cache-1:6379

    Exit codes: 0 done, 1 some jobs were not changed, or failed again, 2 wrong usage, 3 Redis is
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
    gc.disable()  # until all is imported, see `opening`: what is imported stays, and is no garbage
    from qtui.commands.inspector.opening import inspect

    return inspect(place)
