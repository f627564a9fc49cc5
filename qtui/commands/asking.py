"""Before a command writes: whether it may, and whether a person agrees."""

from __future__ import annotations

import sys

from qtui.commands.output import is_terminal
from qtui.commands.run import READ_ONLY, USAGE, Place, Stop


def check_may_write(place: Place, verb: str, *, dry_run: bool, asks: bool) -> None:
    """Stops a command that may not write, or has nobody to ask.

    Args:
        place: where it works.
        verb: what it is about to do.
        dry_run: it only tells what it would do.
        asks: a person is to agree.

    Raises:
        Stop: in read-only mode, or without a terminal.
    """
    if place.settings.read_only and not dry_run:
        raise Stop(f"read-only mode: {verb} is off; --dry-run tells what it would do", READ_ONLY)
    if asks and not (is_terminal(sys.stdin) and place.err.is_terminal):
        raise Stop(f"no terminal to ask on: say --yes to {verb}, or --dry-run", USAGE)


def agreed(question: str) -> bool:
    """Whether the person says yes.

    Raises:
        KeyboardInterrupt: they pressed Ctrl+C instead.
    """
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
