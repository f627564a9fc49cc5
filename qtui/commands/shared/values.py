"""Values of options that are JSON or a duration; the JSON may be in a file or standard input."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

import click

from qtui.text import milliseconds_of

if TYPE_CHECKING:
    _OfInt = click.ParamType[int]
    _OfFloat = click.ParamType[float]
else:
    # The oldest click that is supported has no type variable here.
    _OfInt = _OfFloat = click.ParamType


def given_text(word: str | None, option: str) -> str | None:
    """Returns the text that a value means: ``-`` is standard input, ``@FILE`` a file.

    Raises:
        click.UsageError: it can't be read.
    """
    if word is None:
        return None
    if word == "-":
        if sys.stdin is None:
            raise click.UsageError(f"cannot read {option}: standard input is closed")
        return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    if word.startswith("@"):
        try:
            with open(word[1:], "rb") as file:
                return file.read().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise click.UsageError(f"{option}: {word[1:]}: {error.strerror}") from None
    return word


def given_options(word: str | None) -> dict[str, object]:
    """Returns the options of a job that a value means, not checked yet; none for None.

    Raises:
        click.UsageError: it can't be read, or is not a JSON object.
    """
    text = given_text(word, "--opts")
    if text is None:
        return {}
    from qtui.bullmq.new_job.options import OptionError, options_in

    try:
        return options_in(text)
    except OptionError as error:
        raise click.UsageError(f"--opts: {error}") from None


class Duration(_OfInt):
    """A duration, in ms: ``300ms``, ``90s``, ``1h30m``, or ``0``."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Returns the milliseconds."""
        if isinstance(value, int):
            return value
        found = milliseconds_of(str(value))
        if found is None:
            self.fail("use a number and a unit, such as 300ms, 90s, 5m or 1h30m", param, ctx)
        return found


DURATION: Final = Duration()


class PerMinute(_OfFloat):
    """A rate, in events a minute: ``5/m``, ``0.2/s``, ``100/h``; a bare number is per minute."""

    name = "rate"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Returns the events a minute."""
        number, _, unit = str(value).partition("/")
        try:
            rate = float(number) * _A_MINUTE[unit.strip() or "m"]
        except (ValueError, KeyError):
            self.fail(f"{value!r} is not a rate: write it as 5/m, 0.2/s or 100/h", param, ctx)
        if not 0 <= rate < math.inf:
            self.fail(f"{value!r} is not a rate: it must be 0 or more", param, ctx)
        return rate


_A_MINUTE: Final = {"s": 60.0, "m": 1.0, "h": 1 / 60}

PER_MINUTE: Final = PerMinute()
