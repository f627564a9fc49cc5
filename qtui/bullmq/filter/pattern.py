r"""Regular expressions that are stopped when they run away. Pure; knows nothing of jobs.

Python's own ``re`` cannot be stopped while it runs. A signal gets through to it only on the main
thread, and only every 4096 steps, each of which may walk over the whole text: ``a*b`` on 300 kB
holds out two seconds. So the package ``regex`` does the work, whose searches take a time limit.
It is imported with the first pattern, not before.

Three limits make a bound of it. Between its looks at the clock ``regex`` too may walk over the
text, hence `REACH`; it unrolls ``{1000}`` when it compiles, 270 bytes a step, hence `_STEPS`; and a
million searches that are each just short of the limit would take a day, hence the debt.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from typing import Final, Protocol

from qtui.bullmq.filter.error import FilterError
from qtui.text import plain

REACH: Final = 100_000
"""Characters of a text, from its beginning, in which a pattern is looked for."""

LONGEST_PATTERN: Final = 1000
"""Characters of a pattern."""

SECONDS_A_PATTERN: Final = 0.1
"""Seconds of CPU for one search."""

_CREDIT: Final = 0.25
"""Seconds of CPU that slow searches may take together beyond their due."""
_DUE: Final = 0.001
_DUE_PER_CHARACTER: Final = 50e-9
"""What a search may take without being slow: many times what a sane pattern does."""

_STEPS: Final = 10_000
"""Steps of a pattern with its counted repeats written out."""

_PIECE: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\\\]])*\]|\{(?P<least>\d+)(?:,\d*)?\}|(?P<bracket>[()])|.", re.DOTALL
)


class _Compiled(Protocol):
    def search(self, text: str, *, timeout: float) -> object: ...


class Pattern:
    """A compiled pattern, and the account of the time that it took.

    Upper and lower case are distinguished, unless the pattern begins with ``(?i)``.

    Args:
        text: the regular expression, in the syntax of Python's ``re`` and what ``regex`` adds.
        place: returns the place of a character in the filter, for errors.

    Raises:
        FilterError: it is no regular expression, or too large.
    """

    def __init__(self, text: str, place: Callable[[int], int] = lambda offset: offset) -> None:
        self._place = place
        self._debt = 0.0
        if len(text) > LONGEST_PATTERN:
            raise FilterError(
                f"a pattern has at most {LONGEST_PATTERN} characters", place(LONGEST_PATTERN)
            )
        self._refuse_bombs(text)
        self._compiled = self._compile(text)

    def _refuse_bombs(self, text: str) -> None:
        groups, last = [0], 0
        for piece in _PIECE.finditer(text):
            if piece["bracket"] == "(":
                groups.append(1)
                continue
            if piece["bracket"]:
                last = groups.pop()
                # An unopened bracket closes all there is: better to count too much.
                groups = groups or [0]
            elif piece["least"]:
                # The repeated piece is counted once already.
                last *= min(int(piece["least"]), _STEPS) - 1
            else:
                last = 1
            groups[-1] += last
            if groups[-1] > _STEPS:
                message = f"the counts in this pattern repeat more than {_STEPS:,} steps"
                raise FilterError(message, self._place(piece.start()))

    def _compile(self, text: str) -> _Compiled:
        import regex

        try:
            with warnings.catch_warnings():
                # It warns about sets that a later release may read otherwise.
                warnings.simplefilter("ignore")
                compiled: _Compiled = regex.compile(text, cache_pattern=False)
        except regex.error as error:
            where = self._place(min(error.pos or 0, len(text)))
            raise FilterError(f"no regular expression: {plain(error.msg)}", where) from None
        except ValueError as error:
            # Flags that exclude each other.
            message = f"no regular expression: {plain(str(error))}"
            raise FilterError(message, self._place(0)) from None
        except RecursionError:
            raise FilterError("this pattern is nested too deeply", self._place(0)) from None
        return compiled

    def search(self, text: str) -> bool:
        """Whether the pattern is found in the first `REACH` characters of ``text``.

        Raises:
            FilterError: it took too long, here or in too many texts before; it stays stopped.
        """
        if self._debt > _CREDIT:
            raise self._runaway()
        text = text[:REACH]
        due = _DUE + len(text) * _DUE_PER_CHARACTER
        start = time.perf_counter()
        try:
            found = self._compiled.search(text, timeout=SECONDS_A_PATTERN) is not None
            if time.perf_counter() - start > due:
                self._owe(text, due)
            elif self._debt:
                self._debt = max(0.0, self._debt - due)
        except TimeoutError:
            self._debt = _CREDIT * 2
            raise self._runaway() from None
        return found

    def _owe(self, text: str, due: float) -> None:
        # By the clock it was slow, but perhaps the process was only stopped or waiting for a CPU;
        # reading CPU times costs more than most searches, so it is not done each time.
        start = time.thread_time()
        self._compiled.search(text, timeout=SECONDS_A_PATTERN)
        self._debt = max(0.0, self._debt + time.thread_time() - start - due)

    def _runaway(self) -> FilterError:
        return FilterError(
            "this pattern takes too long and was stopped: repeat less within it (* + {n,})",
            self._place(0),
        )
