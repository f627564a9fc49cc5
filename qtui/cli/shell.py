"""The commands about the shell: completion and the manual page."""

from __future__ import annotations

import sys

import click

from qtui.cli.group import main
from qtui.commands.completion import COMPLETION_HELP, SHELLS, completion_script
from qtui.commands.shared.run import print_text


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
