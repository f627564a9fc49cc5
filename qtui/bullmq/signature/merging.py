"""Merges error groups whose signatures differ in one word, and names them by a pattern. Pure.

A signature keeps words, and some words are data: ``user alice not found``. One error does not show
which; many do. Where groups differ in one word alone, and there are many words for so few jobs,
they become one, named by a pattern: the signature with `OPEN` in the place of that word.

A pattern says for a single job whether it belongs to the group (`matcher`), so a filter finds just
the jobs that were counted, also those that fail later. That holds since no two patterns match the
same signature: one that would overlap another opens the words of both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from qtui.bullmq.signature.signature import signature

OPEN: Final = "<word>"
"""In a pattern: any one word that is not a code, and any other placeholder."""

FEWEST: Final = 8
"""Different words in one place that make it an open one."""

FEWEST_BESIDE_IDS: Final = 3
"""The same where a placeholder was there too: ``Request <id> failed``."""

MOST_OPEN: Final = 3
"""Open words of a pattern; with more it would say too little."""

_LONGEST: Final = 40
"""Words of a signature that is compared with others."""

_PARTS: Final = re.compile(r"(<[a-z]+>|\w+(?:[.-]+\w+)*)")
_CLASS: Final = re.compile(r"(?:Error|Exception|Failure|Warning|Fault)$")


class _Line(NamedTuple):
    """A signature or a pattern, taken apart; all of it together is its text."""

    words: tuple[str, ...]
    between: tuple[str, ...]
    """What is before, between and behind the words."""

    @property
    def opened(self) -> frozenset[int]:
        """The places of its open words."""
        return frozenset(at for at, word in enumerate(self.words) if word == OPEN)

    def open(self, places: Iterable[int]) -> _Line:
        """Returns it with the words in these places open, beside those that are."""
        words = list(self.words)
        for at in places:
            words[at] = OPEN
        return _Line(tuple(words), self.between)

    def __str__(self) -> str:
        parts = [self.between[0]]
        for word, behind in zip(self.words, self.between[1:], strict=True):
            parts += word, behind
        return "".join(parts)


def _taken_apart(text: str) -> _Line:
    parts = _PARTS.split(text)
    return _Line(tuple(parts[1::2]), tuple(parts[::2]))


def can_be_open(word: str) -> bool:
    """Whether an open word may be this one: not for a code, a constant or an error's class."""
    if word.startswith("<"):
        return True
    if word.upper() == word and (word.lower() != word or not any(map(str.isalpha, word))):
        return False
    return _CLASS.search(word) is None


def _holds(pattern: _Line, other: _Line) -> bool:
    """Whether every signature that ``other`` matches (itself, if nothing is open) matches too."""
    return pattern.between == other.between and all(
        wanted == word or (wanted == OPEN and can_be_open(word))
        for wanted, word in zip(pattern.words, other.words, strict=True)
    )


def _overlap(one: _Line, other: _Line) -> bool:
    """Whether there is a signature that matches both."""
    return one.between == other.between and all(
        here == there
        or (here == OPEN and can_be_open(there))
        or (there == OPEN and can_be_open(here))
        for here, there in zip(one.words, other.words, strict=True)
    )


def _says_enough(pattern: _Line) -> bool:
    """Whether enough of a pattern is left that is not open."""
    if len(pattern.opened) > MOST_OPEN:
        return False
    return any(not word.startswith("<") and len(word) > 1 for word in pattern.words)


def signature_of(reason: str) -> str:
    """Returns the `signature` of a failedReason; a text that reads like `OPEN` stays data."""
    line = signature(reason)
    return line.replace(OPEN, "<quoted>") if OPEN in line else line


def matcher(name: str) -> Callable[[str], bool]:
    """Returns a function that says whether a signature belongs to the group of this name.

    Args:
        name: a pattern, or a signature; that one has itself alone.
    """
    if OPEN not in name:
        return name.__eq__
    pattern = _taken_apart(name)
    return lambda text: _holds(pattern, _taken_apart(text))


@dataclass(frozen=True, slots=True)
class Merge:
    """Groups become one."""

    name: str
    """The pattern of the group that they become."""
    members: tuple[str, ...]
    """The names of the groups, in the order in which they came."""


class Merging:
    """Which group a signature belongs to. Grows with the groups, not with the jobs.

    What becomes one depends on the signatures and the order in which they come, and on nothing
    else. Groups are only ever joined: a signature's group gets larger, and is never split.

    Args:
        known: patterns of an earlier count, with which this one begins.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._lines: dict[str, _Line] = {}
        """The groups by name."""
        self._patterns: dict[str, _Line] = {}
        self._masks: dict[int, dict[frozenset[int], int]] = {}
        """By the number of words: which places are open in how many patterns."""
        self._alike: dict[str, dict[str, str]] = {}
        """By a pattern that there might be: the groups it would take, with the word of each."""
        for name in known:
            pattern = _taken_apart(name)
            if pattern.opened and not any(
                _overlap(pattern, one) for one in self._patterns.values()
            ):
                self._put_pattern(name, pattern)

    @property
    def patterns(self) -> list[str]:
        """The patterns so far."""
        return list(self._patterns)

    def name(self, text: str) -> str:
        """Returns the name of the group of a signature: a pattern, or the signature itself.

        Costs a few µs for each kind of pattern with as many words.
        """
        if text in self._lines or not self._masks:
            return text
        line = _taken_apart(text)
        for places in self._masks.get(len(line.words), ()):
            if all(can_be_open(line.words[at]) for at in places):
                opened = str(line.open(places))
                if opened in self._patterns:
                    return opened
        return text

    def words(self, name: str, text: str) -> tuple[str, ...]:
        """Returns the words of a signature that are open in the name of its group."""
        opened = sorted(_taken_apart(name).opened) if OPEN in name else []
        words = _taken_apart(text).words if opened else ()
        return tuple(words[at] for at in opened)

    def add(self, name: str, jobs: Callable[[str], int]) -> Iterator[Merge]:
        """Takes in a new group; yields what becomes one by it, which is to be done at once.

        Args:
            name: the name that `name` returned, of a group that was not there before.
            jobs: how many jobs a group has.
        """
        line = self._patterns.get(name) or _taken_apart(name)
        while (pattern := self._put(name, line, jobs)) is not None:
            name, line = str(pattern), pattern
            members = [one for one, known in self._lines.items() if _holds(pattern, known)]
            for member in members:
                self._take_out(member)
            self._put_pattern(name, pattern)
            yield Merge(name, tuple(members))

    def _put(self, name: str, line: _Line, jobs: Callable[[str], int]) -> _Line | None:
        """Notes a group, and returns the pattern that it makes, if it makes one."""
        self._lines[name] = line
        if len(line.words) > _LONGEST:
            return None
        found: tuple[int, int] | None = None
        for at, word in enumerate(line.words):
            if word == OPEN or not can_be_open(word):
                continue
            alike = self._alike.setdefault(str(line.open([at])), {})
            alike[name] = word
            many = self._many(alike, jobs)
            if many and (found is None or many > found[0]):
                found = many, at
        return None if found is None else self._pattern(line, found[1])

    def _many(self, alike: dict[str, str], jobs: Callable[[str], int]) -> int:
        """How many different words there are in a place; 0 if they are too few to be data."""
        words = [name for name, word in alike.items() if not word.startswith("<")]
        fewest = FEWEST if len(words) == len(alike) else FEWEST_BESIDE_IDS
        if len(words) < fewest:
            return 0
        # A few words with many jobs each are causes of their own: services, tables.
        return len(words) if len(words) ** 2 >= sum(map(jobs, words)) else 0

    def _pattern(self, line: _Line, at: int) -> _Line | None:
        """The pattern with this place open, joined with those that it would overlap."""
        pattern = line.open([at])
        while True:
            partly = [
                one
                for one in self._patterns.values()
                if _overlap(pattern, one) and not _holds(pattern, one)
            ]
            if not partly:
                return pattern if _says_enough(pattern) else None
            for one in partly:
                pattern = pattern.open(one.opened)

    def _put_pattern(self, name: str, pattern: _Line) -> None:
        for one in [one for one, known in self._patterns.items() if _holds(pattern, known)]:
            self._drop(one)
        self._patterns[name] = pattern
        masks = self._masks.setdefault(len(pattern.words), {})
        masks[pattern.opened] = masks.get(pattern.opened, 0) + 1

    def _drop(self, name: str) -> None:
        pattern = self._patterns.pop(name)
        masks = self._masks[len(pattern.words)]
        masks[pattern.opened] -= 1
        if not masks[pattern.opened]:
            del masks[pattern.opened]

    def _take_out(self, name: str) -> None:
        line = self._lines.pop(name)
        for at, word in enumerate(line.words):
            if word != OPEN and can_be_open(word) and len(line.words) <= _LONGEST:
                pattern = str(line.open([at]))
                del self._alike[pattern][name]
                if not self._alike[pattern]:
                    del self._alike[pattern]


def merged(counted: Mapping[str, int]) -> dict[str, str]:
    """Returns the name of its group for each of some signatures that are known all at once.

    Args:
        counted: how many jobs each has; the order decides as in `Merging`.
    """
    if len(counted) <= FEWEST_BESIDE_IDS:
        return {text: text for text in counted}
    merging, jobs = Merging(), Counter[str]()
    for text, number in counted.items():
        name = merging.name(text)
        is_new = name not in jobs
        jobs[name] += number
        for merge in merging.add(name, jobs.__getitem__) if is_new else ():
            jobs[merge.name] = sum(jobs.pop(one) for one in merge.members)
    return {text: merging.name(text) for text in counted}
