"""The terms of a filter: what each matches, how it is written, and what it must read. Pure.

Missing fields never match; a negated term matches them.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import Final, NamedTuple

from qtui.bullmq.filter.columns import Columns, Pick, Places, united
from qtui.bullmq.filter.error import FilterError
from qtui.bullmq.filter.pattern import Pattern
from qtui.bullmq.filter.values import quoted
from qtui.bullmq.model import Garbage, attempts_made, option_number

TEXTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "": ("id", "name"),
        "id": ("id",),
        "name": ("name",),
        "error": ("failedReason",),
        "data": ("data",),
        "return": ("returnvalue",),
        "stack": ("stacktrace",),
    }
)
"""The words for texts, and where to look: fields of the hash, but for ``id``, which is none."""

COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = MappingProxyType(
    {
        "=": operator.eq,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})
_MADE: Final = frozenset({"attemptsMade", "atm"})
_SHORT: Final = 1000
"""Characters of a text that is worth to be remembered; longer ones could fill the memory."""

_REMEMBERED: Final = 1000
"""Texts that are remembered: failures repeat their reasons, jobs their names."""


class Subject(NamedTuple):
    """What a filter looks at: a job's id, its score, and those of its fields that were read."""

    id: str
    score: float | None = None
    """The score in failed or completed: finishedOn, ms. None elsewhere; then the field counts."""
    fields: Mapping[str, str | None] = _NOTHING
    """By the hash's own names, not shortened; absent or None where the job does not have it."""


Span = tuple[float, float]
"""Finishing times in ms since the epoch: from (inclusive) and to (exclusive)."""

_ALWAYS: Final[Span] = (-inf, inf)


class Term(ABC):
    """A part of a filter; equal to another that says the same. ``str`` is how it is written."""

    __slots__ = ()

    @abstractmethod
    def pick(self) -> Pick:
        """Its meaning, compiled."""

    def price(self) -> int:
        """What a look costs: cheap ones come first."""
        return 0

    def needs(self) -> frozenset[str]:
        """Fields of the hash that it looks at."""
        return frozenset()

    def span(self, negated: bool = False) -> Span:
        """Finishing times outside of which no job matches (negated: does not fail to)."""
        return _ALWAYS

    def ids(self, negated: bool = False) -> frozenset[str] | None:
        """The only ids that match (negated: that fail to), None if others may."""
        return None

    def candidates(self) -> Iterator[str]:
        """Texts that may have been meant as whole ids."""
        return iter(())


@dataclass(frozen=True, slots=True)
class OnText(Term):
    """A term about a text: ``word`` is a key of `TEXTS`, ``value`` what is looked for there."""

    word: str
    value: str

    def price(self) -> int:
        return {"": 1, "id": 1, "name": 1, "error": 2}.get(self.word, 5)

    def needs(self) -> frozenset[str]:
        return frozenset(TEXTS[self.word]) - {"id"}

    def pick(self) -> Pick:
        return united([self._pick_of(name) for name in TEXTS[self.word]])

    @abstractmethod
    def _pick_of(self, name: str) -> Pick: ...


@dataclass(frozen=True, slots=True)
class Contains(OnText):
    """``error:timeout``, or a bare word: part of the text, upper and lower case alike."""

    def __str__(self) -> str:
        return f"{self.word}:{quoted(self.value)}" if self.word else quoted(self.value)

    def candidates(self) -> Iterator[str]:
        if self.word in ("", "id"):
            yield self.value

    def _pick_of(self, name: str) -> Pick:
        needle = self.value.casefold()

        def containing(jobs: Columns, places: Places) -> Places:
            folded = jobs.folded(name, places)
            return [at for at, text in zip(places, folded, strict=True) if needle in text]

        return containing


@dataclass(frozen=True, slots=True)
class Equals(OnText):
    """``name=charge``: the whole text, character by character."""

    def __str__(self) -> str:
        return f"{self.word}={quoted(self.value)}"

    def ids(self, negated: bool = False) -> frozenset[str] | None:
        return frozenset({self.value}) if self.word == "id" and not negated else None

    def candidates(self) -> Iterator[str]:
        if self.word == "id":
            yield self.value

    def _pick_of(self, name: str) -> Pick:
        whole = self.value

        def equal(jobs: Columns, places: Places) -> Places:
            column = jobs.texts(name)
            return [at for at in places if column[at] == whole]

        return equal


@dataclass(frozen=True, slots=True)
class Matches(OnText):
    """``error:re:ECONN.*``: a regular expression is found in the text."""

    pattern: Pattern = field(compare=False, repr=False)
    """``value``, compiled."""

    def __str__(self) -> str:
        return f"{self.word}{':' if self.word else ''}re:{quoted(self.value)}"

    def price(self) -> int:
        return 9

    def _pick_of(self, name: str) -> Pick:
        verdicts = Verdicts(self.pattern.search)

        def matching(jobs: Columns, places: Places) -> Places:
            column = jobs.texts(name)
            return [at for at in places if (text := column[at]) is not None and verdicts[text]]

        return matching


@dataclass(frozen=True, slots=True)
class InGroup(Term):
    """``group:"connect ECONNREFUSED <address>"``: failed with an error of this signature.

    Empty: with none that says anything.
    """

    signature: str

    def __str__(self) -> str:
        return f"group:{quoted(self.signature)}"

    def price(self) -> int:
        return 6

    def needs(self) -> frozenset[str]:
        return frozenset({"failedReason"})

    def pick(self) -> Pick:
        # Its patterns take a while to compile, for which `qtui --help` need not wait.
        from qtui.bullmq.signature import signature

        wanted = self.signature
        verdicts = Verdicts(lambda reason: signature(reason) == wanted)

        def in_group(jobs: Columns, places: Places) -> Places:
            column = jobs.texts("failedReason")
            return [at for at in places if verdicts[column[at] or ""]]

        return in_group


@dataclass(frozen=True, slots=True)
class Finished(Term):
    """``after:`` a moment or at it, or ``before:`` it; ``at`` in ms since the epoch."""

    after: bool
    at: int

    def __str__(self) -> str:
        moment = EPOCH + timedelta(milliseconds=self.at)
        text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds").removesuffix(".000")
        return f"{'after' if self.after else 'before'}:{text}Z"

    def needs(self) -> frozenset[str]:
        return frozenset({"finishedOn"})

    def span(self, negated: bool = False) -> Span:
        return (self.at, inf) if self.after is not negated else (-inf, self.at)

    def pick(self) -> Pick:
        low, high = self.span()

        def finished(jobs: Columns, places: Places) -> Places:
            told, scores = jobs.texts("finishedOn"), jobs.scores

            def is_within(at: int) -> bool:
                known = scores[at] if scores is not None else None
                when = _number(told[at]) if known is None else known
                return when is not None and low <= when < high

            return list(filter(is_within, places))

        return finished


@dataclass(frozen=True, slots=True)
class Number(Term):
    """``attempts>=3`` (made), ``priority>0``; both are 0 where the job says nothing of them."""

    word: str
    comparison: str
    number: int

    def __str__(self) -> str:
        return f"{self.word}{self.comparison}{self.number}"

    def needs(self) -> frozenset[str]:
        return frozenset(_MADE if self.word == "attempts" else {"priority"})

    def pick(self) -> Pick:
        compare, number = COMPARISONS[self.comparison], self.number
        if self.word == "attempts":
            return lambda jobs, places: [
                at for at, made in _attempts(jobs, places) if compare(made, number)
            ]

        def prior(jobs: Columns, places: Places) -> Places:
            told = jobs.texts("priority")
            return [at for at in places if compare(_number(told[at]) or 0, number)]

        return prior


@dataclass(frozen=True, slots=True)
class UsedUp(Term):
    """``attempts=max``: it has run as often as it may. `Row.exhausted` says the same."""

    def __str__(self) -> str:
        return "attempts=max"

    def price(self) -> int:
        return 3

    def needs(self) -> frozenset[str]:
        return frozenset({*_MADE, "opts"})

    def pick(self) -> Pick:
        # Most jobs of a queue have the same options, and JSON is dear.
        remembered = lru_cache(maxsize=256)(_allowed)

        def used_up(jobs: Columns, places: Places) -> Places:
            told = jobs.texts("opts")

            def allowed(at: int) -> int:
                opts = told[at] or ""
                return (remembered if len(opts) <= _SHORT else _allowed)(opts)

            tried = ((at, made) for at, made in _attempts(jobs, places) if made >= 1)
            return [at for at, made in tried if made >= allowed(at)]

        return used_up


@dataclass(frozen=True, slots=True)
class Child(Term):
    """``child:yes``: the job has a parent."""

    def __str__(self) -> str:
        return "child:yes"

    def needs(self) -> frozenset[str]:
        return frozenset({"parentKey"})

    def pick(self) -> Pick:
        def children(jobs: Columns, places: Places) -> Places:
            parents = jobs.texts("parentKey")
            return [at for at in places if parents[at]]

        return children


class Verdicts(dict[str, bool]):
    """What a dear question about a text has for an answer, remembered by the text.

    Args:
        ask: the question; it may raise FilterError, and then everything is forgotten, so that who
            asks again hears it too.
    """

    def __init__(self, ask: Callable[[str], bool]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, text: str) -> bool:
        try:
            verdict = self._ask(text)
        except FilterError:
            self.clear()
            raise
        if len(text) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = verdict
        return verdict


def _number(text: str | None) -> int | None:
    # The short way is for nearly all; the other knows what JavaScript makes of the rest.
    if text is None or (len(text) < 16 and text.isascii() and text.isdigit()):
        return text if text is None else int(text)
    return Garbage().number("", text)


def _attempts(jobs: Columns, places: Places) -> Iterator[tuple[int, int]]:
    """Places, and how many attempts were made there."""
    made, atm = jobs.texts("attemptsMade"), jobs.texts("atm")
    for at in places:
        yield at, attempts_made(_number(made[at]), _number(atm[at]))


def _allowed(opts: str) -> int:
    return max(1, option_number(Garbage().options(opts), "attempts", 1))
