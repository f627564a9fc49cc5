"""Checks before a command writes: whether it may, and whether the user confirms."""

from __future__ import annotations

import sys
from contextlib import suppress

from qtui.commands.shared.output import is_terminal
from qtui.commands.shared.run import READ_ONLY, USAGE, CommandError, Workplace, forbidden
from qtui.folders import MOVED_BY, NOWHERE
from qtui.verbs import Verb

_TERMINAL = "/dev/tty"


def check_may_write(
    place: Workplace, verb: Verb, *, dry_run: bool, asks: bool, stdin_is_used: bool = False
) -> None:
    """Stops a command that may not write, or cannot prompt.

    Args:
        place: where the command works.
        verb: the action that it is about to carry out.
        dry_run: the command only shows what it would do.
        asks: the user has to confirm.
        stdin_is_used: standard input holds ids, not answers.

    Raises:
        CommandError: where it is not allowed, without a folder for the journal, or see
            `check_can_ask`.
    """
    if not dry_run and (why := forbidden(place.settings, verb)):
        raise CommandError(why, READ_ONLY)
    if place.journal == NOWHERE and not dry_run:
        raise CommandError(
            f"{verb} needs a folder for its journal, and you have no home folder: {MOVED_BY}", USAGE
        )
    if asks:
        check_can_ask(place, stdin_is_used=stdin_is_used)


def check_can_ask(place: Workplace, *, stdin_is_used: bool = False) -> None:
    """Stops a command that has to prompt and can't.

    Raises:
        CommandError: there is no terminal to prompt on.
    """
    if stdin_is_used and not (place.err.is_terminal and _can_ask()):
        raise CommandError(
            "cannot prompt while standard input holds the ids: pass --yes or --dry-run", USAGE
        )
    if not stdin_is_used and not (is_terminal(sys.stdin) and place.err.is_terminal):
        raise CommandError("cannot prompt without a terminal: pass --yes or --dry-run", USAGE)


def agreed(question: str, *, stdin_is_used: bool = False) -> bool:
    """Whether the user answers yes.

    Args:
        question: the prompt, written to stderr.
        stdin_is_used: read the answer from the terminal, not from standard input.

    Raises:
        KeyboardInterrupt: they pressed Ctrl+C instead.
    """
    sys.stderr.write(question)
    sys.stderr.flush()
    if not stdin_is_used:
        return _is_yes(sys.stdin.readline())
    with suppress(OSError), open(_TERMINAL, encoding="utf-8", errors="replace") as terminal:
        return _is_yes(terminal.readline())
    return False


def _is_yes(answer: str) -> bool:
    return answer.strip().lower() in ("y", "yes")


def _can_ask() -> bool:
    try:
        with open(_TERMINAL, encoding="utf-8"):
            return True
    except OSError:
        return False
