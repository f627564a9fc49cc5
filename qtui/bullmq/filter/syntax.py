"""From the text of a filter to its terms. Pure; `terms` has what they mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from qtui.bullmq.filter.error import FilterError, in_quotes
from qtui.bullmq.filter.groups import Either, Every, group, negate
from qtui.bullmq.filter.pattern import Pattern
from qtui.bullmq.filter.terms import (
    COMPARISONS,
    EPOCH,
    TEXTS,
    Child,
    Contains,
    Equals,
    Finished,
    InGroup,
    Matches,
    Number,
    Term,
    UsedUp,
)
from qtui.bullmq.filter.values import QUOTES, Value, read, read_pattern

_DEPTH: Final = 50
"""How deep brackets may be nested."""

_TERMS: Final = 10_000
"""Terms in one filter; as many take a quarter of a second to read."""

_PATTERNS: Final = 32
"""Patterns in one filter: each is compiled when it is read."""

_OPERATORS: Final[Mapping[str, tuple[str, ...]]] = {
    **{word: (":", "=") for word in TEXTS if word},
    "re": (":",),
    "group": (":",),
    "age": ("<", "<=", ">", ">="),
    "after": (":",),
    "before": (":",),
    "attempts": tuple(COMPARISONS),
    "priority": tuple(COMPARISONS),
    "child": (":",),
}
"""The words that terms begin with, and what may follow each."""

_HEAD: Final = re.compile(r"([A-Za-z]+)(!=|<=|>=|[:<>=])")
_SWALLOWED: Final = re.compile(rf"\|!*(?:{'|'.join(_OPERATORS)})[:<>=]")
_EMPTY: Final = re.compile(r"""(?:""|'')(?=[\s|)]|\Z)""")
_BLANKS: Final = re.compile(r"\s*")
_AGE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,15}", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII
)

_UNITS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_FIRST: Final = (datetime.min - EPOCH.replace(tzinfo=None)) // timedelta(milliseconds=1)
_LAST: Final = (datetime.max - EPOCH.replace(tzinfo=None)) // timedelta(milliseconds=1)


class Parser:
    """Reads one filter.

    Args:
        text: the filter.
        now: the moment that ages are counted from, ms since the epoch.
    """

    def __init__(self, text: str, now: int) -> None:
        self._text = text
        self._now = now
        self._at = 0
        self._depth = 0
        self._terms = 0
        self._patterns = 0

    def parse(self) -> Term:
        """The whole text as one term.

        Raises:
            FilterError: it cannot be understood.
        """
        term = self._either()
        if self._at < len(self._text):
            message = "this ) has no (; quote a text with brackets"
            raise FilterError(message, self._at)
        return term

    def _either(self) -> Term:
        terms = [self._every()]
        while self._next() == "|":
            self._at += 1
            terms.append(self._every())
        return group(Either, terms)

    def _every(self) -> Term:
        terms: list[Term] = []
        while True:
            self._skip_blanks()
            if self._next() in ("", "|", ")"):
                break
            terms.append(self._term())
        if not terms:
            raise FilterError("expected a term, such as timeout or error:timeout", self._at)
        return group(Every, terms)

    def _term(self) -> Term:
        start = self._at
        while self._next() == "!":
            self._at += 1
        negated = (self._at - start) % 2
        if self._next() in ("", "|", ")") or self._next().isspace():
            raise FilterError("expected a term right after !", self._at)
        term = self._brackets() if self._next() == "(" else self._single()
        if self._next() not in ("", "|", ")") and not self._next().isspace():
            in_quotes = self._text[self._at - 1] in QUOTES
            hint = "; a quote in quotes is written twice" if in_quotes else ""
            raise FilterError(f"expected a blank, |, ) or the end{hint}", self._at)
        return negate(term) if negated else term

    def _brackets(self) -> Term:
        start = self._at
        if self._depth == _DEPTH:
            raise FilterError(f"brackets can be nested {_DEPTH} deep at most", start)
        self._depth += 1
        self._at += 1
        term = self._either()
        if self._next() != ")":
            raise FilterError("this ( is never closed; a text with brackets takes quotes", start)
        self._at += 1
        self._depth -= 1
        return term

    def _single(self) -> Term:
        self._terms += 1
        if self._terms > _TERMS:
            raise FilterError(f"a filter has at most {_TERMS:,} terms", self._at)
        head = _HEAD.match(self._text, self._at)
        if head is None:
            return Contains("", self._take(read(self._text, self._at)).text)
        word, sign = head.groups()
        if word not in _OPERATORS:
            raise _unknown(word, sign, self._at)
        if sign not in _OPERATORS[word]:
            raise _unfitting(word, sign, head.start(2))
        self._at = head.end()
        if word == "re":
            return self._matches("")
        if word == "group" and _EMPTY.match(self._text, self._at):
            self._at += 2
            return InGroup("")
        if word in TEXTS:
            return self._on_text(word, sign)
        value = self._value(head[0], _EXAMPLES[word])
        return self._others[word](self, word, sign, value)

    def _on_text(self, word: str, sign: str) -> Term:
        start = self._at
        if sign == ":" and self._text.startswith("re:", start):
            self._at += len("re:")
            return self._matches(word)
        if self._next() == "!":
            raise FilterError(f"put the ! in front of {word}, or quote the text", start)
        value = self._value(f"{word}{sign}", f"{word}{sign}timeout")
        return Contains(word, value.text) if sign == ":" else Equals(word, value.text)

    def _matches(self, word: str) -> Term:
        self._patterns += 1
        if self._patterns > _PATTERNS:
            raise FilterError(f"a filter has at most {_PATTERNS} patterns", self._at)
        value = read_pattern(self._text, self._at)
        if not value.text:
            raise FilterError("expected a pattern right after re:, such as re:^charge", self._at)
        if not value.quote and (swallowed := _SWALLOWED.search(value.text)):
            message = (
                "this | belongs to the pattern: put blanks around it, or quotes around the pattern"
            )
            raise FilterError(message, value.place(swallowed.start()))
        self._take(value)
        try:
            pattern = Pattern(value.text, value.place)
        except FilterError as error:
            if value.quote or not self._next().isspace():
                raise
            message = f"{error.message} (quote a pattern with spaces)"
            raise FilterError(message, error.position) from None
        return Matches(word, value.text, pattern)

    def _group(self, word: str, sign: str, value: Value) -> Term:
        return InGroup(value.text)

    def _finished(self, word: str, sign: str, value: Value) -> Term:
        moment = None
        if _MOMENT.fullmatch(value.text):
            try:
                moment = datetime.fromisoformat(value.text).astimezone() - EPOCH
            except (ValueError, OverflowError, OSError):
                moment = None
        if moment is None:
            raise _expected(word, value)
        return Finished(word == "after", _clamped(moment // timedelta(milliseconds=1)))

    def _age(self, word: str, sign: str, value: Value) -> Term:
        age = _AGE.fullmatch(value.text)
        if age is None:
            raise _expected(word, value)
        moment = self._now - round(float(age[1]) * _UNITS[age[2]])
        # Times are whole milliseconds, and `Finished` holds at the moment itself only for after.
        bound = moment + 1 if sign in ("<", ">=") else moment
        return Finished(sign in ("<", "<="), _clamped(bound))

    def _number(self, word: str, sign: str, value: Value) -> Term:
        if word == "attempts" and value.text == "max":
            if sign != "=":
                message = "expected attempts=max (used up) or !attempts=max"
                raise FilterError(message, value.start - len(sign))
            return UsedUp()
        if not _WHOLE.fullmatch(value.text):
            raise _expected(word, value)
        return Number(word, sign, int(value.text))

    def _child(self, word: str, sign: str, value: Value) -> Term:
        if value.text not in ("yes", "no"):
            raise _expected(word, value)
        return Child() if value.text == "yes" else negate(Child())

    _others: Final[Mapping[str, Callable[[Parser, str, str, Value], Term]]] = {
        "group": _group,
        "age": _age,
        "after": _finished,
        "before": _finished,
        "attempts": _number,
        "priority": _number,
        "child": _child,
    }

    def _value(self, head: str, example: str) -> Value:
        value = read(self._text, self._at)
        if not value.text:
            raise FilterError(f"expected a value right after {head}, such as {example}", self._at)
        if value.text[0] == "(" and not value.quote:
            raise FilterError(
                "brackets do not go here; a text with brackets takes quotes", self._at
            )
        return self._take(value)

    def _take(self, value: Value) -> Value:
        self._at = value.end
        return value

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self._text, self._at)
        self._at = blanks.end() if blanks else self._at


_EXAMPLES: Final = {
    "group": 'group:"Timeout of <n>ms exceeded"',
    "age": "age<90m (units s m h d w)",
    "after": "after:2026-11-21T03:00",
    "before": "before:2026-11-21T03:00Z",
    "attempts": "attempts>=3 or attempts=max",
    "priority": "priority>0",
    "child": "child:yes or child:no",
}


def _expected(word: str, value: Value) -> FilterError:
    return FilterError(f"expected {_EXAMPLES[word]} and not {in_quotes(value.text)}", value.start)


def _unfitting(word: str, sign: str, at: int) -> FilterError:
    *most, last = _OPERATORS[word]
    signs = f"{' '.join(most)} or {last}" if most else last
    hint = f"; the opposite is !{word}{_OPERATORS[word][0]}…" if sign == "!=" else ""
    return FilterError(f"expected {signs} after {word} and not {sign}{hint}", at)


def _unknown(word: str, sign: str, at: int) -> FilterError:
    nearest = difflib.get_close_matches(word[:24].lower(), _OPERATORS, 1)
    known = f"did you mean {nearest[0]}?" if nearest else f"fields are {', '.join(_OPERATORS)}"
    hint = f"quote a text that has {sign} in it"
    return FilterError(f"there is no field {in_quotes(word)}: {known} ({hint})", at)


def _clamped(moment: int) -> int:
    return min(max(moment, _FIRST), _LAST)
