"""The terms of a filter: what each matches, how it is written, which fields it reads. Pure.

A missing field never matches; a negated term matches it.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import Final

from typing_extensions import override

from qtui.bullmq.filter.columns import Columns, Indices, Pick, united
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
"""Words for text fields, and the fields of the hash they search (``id`` is the key, no field)."""

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
_MADE: Final = frozenset({"attemptsMade", "atm"})
_SHORT: Final = 1000
"""Characters of a text whose answer is cached; longer texts could fill the memory."""

_LONG: Final = 500
"""Characters of a text that takes long to fold."""

_SAMPLE: Final = 3
"""Texts in which the marks of a needle are counted."""

_RARE: Final = 3
"""How often a mark may be in a text, on average, to be looked for instead of the needle."""

_LOOKS: Final = 20
"""Marks looked at in one text; one with more of them is folded."""

_REMEMBERED: Final = 1000
"""Answers in the cache: many jobs share a failedReason or a name."""


Span = tuple[float, float]
"""Finishing times in ms since the epoch: from (inclusive) and to (exclusive)."""

_ALWAYS: Final[Span] = (-inf, inf)


class Term(ABC):
    """A part of a filter, comparable by meaning; ``str`` gives its canonical text."""

    __slots__ = ()

    @abstractmethod
    def pick(self) -> Pick:
        """A function that picks the jobs which match."""

    def price(self) -> int:
        """Relative cost of a look; `Every` and `Either` try cheap terms first."""
        return 0

    def needs(self) -> frozenset[str]:
        """Fields of the hash that it reads."""
        return frozenset()

    def span(self, negated: bool = False) -> Span:
        """Finishing times outside of which no job matches (negated: none fails to match)."""
        return _ALWAYS

    def ids(self, negated: bool = False) -> frozenset[str] | None:
        """The only ids that can match (negated: that can fail to), None if any can."""
        return None

    def candidates(self) -> Iterator[str]:
        """Texts that may be meant as a whole id."""
        return iter(())


@dataclass(frozen=True, slots=True)
class OnText(Term):
    """A term on a text: ``word`` is a key of `TEXTS`, ``value`` the text to look for."""

    word: str
    value: str

    @override
    def price(self) -> int:
        return {"": 1, "id": 1, "name": 1, "error": 2}.get(self.word, 5)

    @override
    def needs(self) -> frozenset[str]:
        return frozenset(TEXTS[self.word]) - {"id"}

    @override
    def pick(self) -> Pick:
        return united([self._pick_of(name) for name in TEXTS[self.word]])

    @abstractmethod
    def _pick_of(self, name: str) -> Pick: ...


@dataclass(frozen=True, slots=True)
class Contains(OnText):
    """``error:timeout``, or a bare word: part of the text, ignoring case."""

    def __str__(self) -> str:
        return f"{self.word}:{quoted(self.value)}" if self.word else quoted(self.value)

    @override
    def candidates(self) -> Iterator[str]:
        if self.word in ("", "id"):
            yield self.value

    def _pick_of(self, name: str) -> Pick:
        needle = self.value.casefold()
        marks = {one for one in needle if one.isascii() and not one.isalpha()}

        def containing(jobs: Columns, places: Indices) -> Indices:
            column = jobs.texts(name)
            mark = rare_mark(marks, [column[at] or "" for at in places[:_SAMPLE]])
            if mark:
                return holding(mark, needle, column, places)
            folded = jobs.folded(name, places)
            return [at for at, text in zip(places, folded, strict=True) if needle in text]

        return containing


def rare_mark(marks: Set[str], sample: Sequence[str]) -> str:
    """Returns a mark, no letter, that long texts like these hold hardly ever; or empty.

    Its place is found in a twentieth of the time in which a text is folded and searched.
    """
    if not marks or not sample or sum(map(len, sample)) < _LONG * len(sample):
        return ""
    counts = {one: sum(text.count(one) for text in sample) for one in marks}
    mark = min(counts, key=counts.__getitem__)
    return mark if counts[mark] <= _RARE * len(sample) else ""


def holding(mark: str, needle: str, column: Sequence[str | None], places: Indices) -> list[int]:
    """The places of texts that hold another, ignoring case; looks only where a mark of that one is.

    Args:
        mark: a character of the needle that is ASCII and no letter, so that no other folds into it.
        needle: the other text, folded.
        column: the texts.
        places: where to look.
    """
    before, length, found = needle.index(mark), len(needle), list[int]()
    for at in places:
        text = column[at]
        if text is None or (place := text.find(mark)) < 0:
            continue
        # Else it could get longer or shorter when it is folded.
        for _ in range(_LOOKS if text.isascii() else 0):
            begin = place - before
            if begin >= 0 and text[begin : begin + length].lower() == needle:
                found.append(at)
                break
            place = text.find(mark, place + 1)
            if place < 0:
                break
        else:
            if needle in text.casefold():
                found.append(at)
    return found


@dataclass(frozen=True, slots=True)
class Equals(OnText):
    """``name=charge``: the whole text, exactly."""

    def __str__(self) -> str:
        return f"{self.word}={quoted(self.value)}"

    @override
    def ids(self, negated: bool = False) -> frozenset[str] | None:
        return frozenset({self.value}) if self.word == "id" and not negated else None

    @override
    def candidates(self) -> Iterator[str]:
        if self.word == "id":
            yield self.value

    def _pick_of(self, name: str) -> Pick:
        whole = self.value

        def equal(jobs: Columns, places: Indices) -> Indices:
            column = jobs.texts(name)
            return [at for at in places if column[at] == whole]

        return equal


@dataclass(frozen=True, slots=True)
class Matches(OnText):
    """``error:re:ECONN.*``: a regular expression matches somewhere in the text."""

    pattern: Pattern = field(compare=False, repr=False)
    """``value``, compiled."""

    def __str__(self) -> str:
        return f"{self.word}{':' if self.word else ''}re:{quoted(self.value)}"

    @override
    def price(self) -> int:
        return 9

    def _pick_of(self, name: str) -> Pick:
        verdicts = Verdicts(self.pattern.search)

        def matching(jobs: Columns, places: Indices) -> Indices:
            column = jobs.texts(name)
            return [at for at in places if (text := column[at]) is not None and verdicts[text]]

        return matching


@dataclass(frozen=True, slots=True)
class InGroup(Term):
    """``group:"connect ECONNREFUSED <address>"``: failed with an error of this signature.

    ``<word>`` in it is any word, see `qtui.bullmq.signature.merging`. Empty: failed without
    a reason.
    """

    signature: str

    def __str__(self) -> str:
        return f"group:{quoted(self.signature)}"

    @override
    def price(self) -> int:
        return 6

    @override
    def needs(self) -> frozenset[str]:
        return frozenset({"failedReason"})

    @override
    def pick(self) -> Pick:
        return in_groups([self.signature])


def in_groups(names: Iterable[str]) -> Pick:
    """A function that picks the jobs of any of these error groups, however many they are."""
    # Compiling its patterns takes a while, which `qtui --help` should not pay for.
    from qtui.bullmq.signature.merging import OPEN, matcher, signature_of

    named = frozenset(names)
    patterns = [matcher(name) for name in named if OPEN in name]

    def is_in(reason: str) -> bool:
        text = signature_of(reason)
        return text in named or any(matches(text) for matches in patterns)

    verdicts = Verdicts(is_in)

    def in_group(jobs: Columns, places: Indices) -> Indices:
        column = jobs.texts("failedReason")
        return [at for at in places if verdicts[column[at] or ""]]

    return in_group


@dataclass(frozen=True, slots=True)
class Finished(Term):
    """``after:`` (at or after) or ``before:`` a moment; ``at`` in ms since the epoch.

    A job that has not finished counts from the moment it was added, as in BullMQ's own clean.
    """

    after: bool
    at: int

    def __str__(self) -> str:
        moment = EPOCH + timedelta(milliseconds=self.at)
        text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds").removesuffix(".000")
        return f"{'after' if self.after else 'before'}:{text}Z"

    @override
    def needs(self) -> frozenset[str]:
        return frozenset({"finishedOn", "timestamp"})

    @override
    def span(self, negated: bool = False) -> Span:
        return (self.at, inf) if self.after is not negated else (-inf, self.at)

    @override
    def pick(self) -> Pick:
        low, high = self.span()

        def finished(jobs: Columns, places: Indices) -> Indices:
            texts, scores = jobs.texts("finishedOn"), jobs.scores
            added = jobs.texts("timestamp")

            def is_within(at: int) -> bool:
                known = scores[at] if scores is not None else None
                when = _number(texts[at]) if known is None else known
                when = _number(added[at]) if when is None else when
                return when is not None and low <= when < high

            return list(filter(is_within, places))

        return finished


@dataclass(frozen=True, slots=True)
class Number(Term):
    """``attempts>=3`` (made), ``priority>0``; each is 0 if the job has no such field."""

    word: str
    comparison: str
    number: int

    def __str__(self) -> str:
        return f"{self.word}{self.comparison}{self.number}"

    @override
    def needs(self) -> frozenset[str]:
        return frozenset(_MADE if self.word == "attempts" else {"priority"})

    @override
    def pick(self) -> Pick:
        compare, number = COMPARISONS[self.comparison], self.number
        if self.word == "attempts":
            return lambda jobs, places: [
                at for at, made in _attempts(jobs, places) if compare(made, number)
            ]

        def prior(jobs: Columns, places: Indices) -> Indices:
            texts = jobs.texts("priority")
            return [at for at in places if compare(_number(texts[at]) or 0, number)]

        return prior


@dataclass(frozen=True, slots=True)
class UsedUp(Term):
    """``attempts=max``: all attempts are used up, as in `Row.exhausted`."""

    def __str__(self) -> str:
        return "attempts=max"

    @override
    def price(self) -> int:
        return 3

    @override
    def needs(self) -> frozenset[str]:
        return frozenset({*_MADE, "opts"})

    @override
    def pick(self) -> Pick:
        # Most jobs of a queue share their options, and parsing JSON is slow.
        remembered = lru_cache(maxsize=256)(_allowed)

        def used_up(jobs: Columns, places: Indices) -> Indices:
            texts = jobs.texts("opts")

            def allowed(at: int) -> int:
                opts = texts[at] or ""
                return (remembered if len(opts) <= _SHORT else _allowed)(opts)

            tried = ((at, made) for at, made in _attempts(jobs, places) if made >= 1)
            return [at for at, made in tried if made >= allowed(at)]

        return used_up


@dataclass(frozen=True, slots=True)
class Child(Term):
    """``child:yes``: the job has a parent."""

    def __str__(self) -> str:
        return "child:yes"

    @override
    def needs(self) -> frozenset[str]:
        return frozenset({"parentKey"})

    @override
    def pick(self) -> Pick:
        def children(jobs: Columns, places: Indices) -> Indices:
            parents = jobs.texts("parentKey")
            return [at for at in places if parents[at]]

        return children


class Verdicts(dict[str, bool]):
    """A cache of yes or no by text, for questions that are slow to answer.

    Args:
        ask: answers a text. If it raises FilterError the cache is emptied, so that the next
            question raises it too.
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
    # Nearly all are plain digits; `Garbage.number` reads the rest as JavaScript does.
    if text is None or (len(text) < 16 and text.isascii() and text.isdigit()):
        return text if text is None else int(text)
    return Garbage().number("", text)


def _attempts(jobs: Columns, places: Indices) -> Iterator[tuple[int, int]]:
    """For each place, the number of attempts made."""
    made, atm = jobs.texts("attemptsMade"), jobs.texts("atm")
    for at in places:
        yield at, attempts_made(_number(made[at]), _number(atm[at]))


def _allowed(opts: str) -> int:
    return max(1, option_number(Garbage().options(opts), "attempts", 1))
