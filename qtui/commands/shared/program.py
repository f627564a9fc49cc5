"""Parses the command line: addresses, options in the wrong place, and help texts.

No error here quotes an argument, since it may be a URL with a password.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Final, NoReturn

import click
from typing_extensions import override

from qtui.commands.shared.options import FilteredCommand
from qtui.commands.shared.run import INTERRUPTED

_ADDRESS: Final = re.compile(r"[A-Za-z][\w+.-]*:/|[^\s/]*@|/|(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d")
"""Matches the start of an address, as opposed to a command."""

_REDIS_URL: Final = re.compile(r"(?:rediss?|valkeys?)(?:\+\w+)?://", re.IGNORECASE)
_OF_REDIS_CLI: Final = frozenset(
    {"-h", "-p", "-u", "-n", "-a", "-s", "--host", "--port", "--url", "--uri", "--db", "--password"}
    | {"--user", "--username", "--pass", "--tls", "--socket", "--redis-url", "--cluster"}
)
_BEFORE: Final = "an address goes before the command: qtui --redis URL COMMAND"


class Subcommand(FilteredCommand):
    """A command that says where an option belongs if it is not its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments; returns those that are left.

        Raises:
            click.UsageError: they are wrong; the message says what to write.
        """
        if any(_REDIS_URL.match(word.removeprefix("--redis=")) for word in args):
            raise click.UsageError(_BEFORE, ctx)
        try:
            return super().parse_args(ctx, args)
        except OSError as error:  # --help or --version
            _cannot_write(error)
        except click.NoSuchOption as error:
            if ctx.parent is not None and error.option_name in _names(ctx.parent):
                name = error.option_name
                line = f"{name} goes before the command: qtui {name} … {ctx.info_name}"
                raise click.UsageError(line, ctx) from None
            raise


class Program(click.Group):
    """All commands; an address in place of the command counts as ``--redis``."""

    command_class = Subcommand

    @override
    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; an interrupt while it is loaded ends as one while it runs.

        Without this click says "Aborted!" and exits with 1, as if some job was not retried.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("qtui: interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments; returns those that are left.

        Raises:
            click.UsageError: they are wrong; the message says what to write.
        """
        try:
            return super().parse_args(ctx, self._with_address(ctx, args))
        except OSError as error:  # --help or --version
            _cannot_write(error)
        except click.NoSuchOption as error:
            name = error.option_name
            if name in _OF_REDIS_CLI:
                line = (
                    "write the address as one URL: qtui --redis redis://user:password@host:6379/0"
                )
                raise click.UsageError(line, ctx) from None
            commands = [one for one, it in self.commands.items() if _has(it, name)]
            if commands:
                line = f"{name} goes after a command: qtui {commands[0]} … {name}"
                raise click.UsageError(line, ctx) from None
            raise

    def _with_address(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes_value = {
            name
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "--":
            at += 2 if args[at] in takes_value else 1
        if at >= len(args) or args[at] in self.commands or not _ADDRESS.match(args[at]):
            return args
        if any(word == "--redis" or word.startswith("--redis=") for word in args[:at]):
            raise click.UsageError("two addresses given: leave out --redis or the other one", ctx)
        return [*args[:at], "--redis", args[at], *args[at + 1 :]]


def _names(ctx: click.Context) -> set[str]:
    return {name for option in ctx.command.get_params(ctx) for name in option.opts}


def _has(command: click.Command, name: str) -> bool:
    return any(name in option.opts for option in command.params)


def _cannot_write(error: OSError) -> NoReturn:
    """Exits with the reason why standard output failed; click would print a traceback."""
    with open(os.devnull, "wb") as nowhere, contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())  # so that Python's final flush stays silent
    if not isinstance(error, BrokenPipeError):
        sys.stderr.write(f"qtui: cannot write: {error.strerror}\n")
    sys.exit(1)
