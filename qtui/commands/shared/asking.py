"""Before a command writes: whether it may, and whether the user confirms."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass

from qtui.commands.shared.options import MannerOptions
from qtui.commands.shared.output import is_terminal
from qtui.commands.shared.report import Report
from qtui.commands.shared.run import (
    INTERRUPTED,
    NOT_ALL,
    READ_ONLY,
    USAGE,
    CommandError,
    Workplace,
    forbidden,
)
from qtui.folders import MOVED_BY, NOWHERE
from qtui.text import plain
from qtui.verbs import Verb

_TERMINAL = "/dev/tty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a command that changes something goes about it; its request says what is changed."""

    dry_run: bool
    yes: bool
    json: bool
    reason: str = ""
    """Why, for the journal."""
    stdin_is_used: bool = False
    """Whether ids or data came from standard input, so that answers are read from the terminal."""

    @property
    def asks(self) -> bool:
        """Whether the user has to confirm."""
        return not (self.yes or self.dry_run)

    @property
    def as_options(self) -> MannerOptions:
        """The same, for another request."""
        return MannerOptions(dry_run=self.dry_run, yes=self.yes, json=self.json, reason=self.reason)


def check_may_write(place: Workplace, verb: Verb, manner: Manner | None = None) -> None:
    """Stops a command that may not write, or cannot prompt.

    Args:
        place: where the command works.
        verb: the action that it is about to carry out.
        manner: how; None to resume what was confirmed once.

    Raises:
        CommandError: where it is not allowed, without a folder for the journal, or see
            `check_can_ask`.
    """
    writes = manner is None or not manner.dry_run
    if writes and (why := forbidden(place.settings, verb)):
        raise CommandError(why, READ_ONLY)
    if place.journal == NOWHERE and writes:
        raise CommandError(
            f"cannot {verb.does} without a folder for the journal, and you have no home folder:"
            f" {MOVED_BY}",
            USAGE,
        )
    if manner is not None and manner.asks:
        check_can_ask(place, stdin_is_used=manner.stdin_is_used)


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


def declined(place: Workplace, report: Report, question: str, manner: Manner) -> int | None:
    """Asks for confirmation, where that is wanted.

    Args:
        place: where the question is asked.
        report: says that nothing was done, if the user does not agree.
        question: without the question mark: ``Retry 3 jobs``.
        manner: whether to ask, and where answers are read.

    Returns:
        The exit code if the user does not agree; None if they do, or need not.
    """
    if not manner.asks:
        return None
    try:
        said_yes = agreed(f"{question}? [y/N] ", stdin_is_used=manner.stdin_is_used)
    except KeyboardInterrupt:
        place.err.line()
        return report.end(INTERRUPTED, f"interrupted: nothing was {report.verb}")
    return None if said_yes else report.end(NOT_ALL, f"nothing was {report.verb}")


def agreed_here(place: Workplace, doubt: Exception, question: str, done: str) -> bool:
    """Whether the user says that this server has the data that is meant.

    Args:
        place: where to ask.
        doubt: why that is not certain.
        question: ``Undo it here``.
        done: what was not done otherwise: ``undone``.

    Returns:
        True if they say so; False if there is no terminal to ask on.

    Raises:
        CommandError: they say that it has not.
    """
    if not (is_terminal(sys.stdin) and place.err.is_terminal):
        return False
    place.err.line(f"qtui: {plain(str(doubt))}")
    place.err.flush()
    if not agreed(f"{question}? [y/N] "):
        raise CommandError(f"nothing was {done}", NOT_ALL)
    return True


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
