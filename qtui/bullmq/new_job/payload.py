"""A job's data as JSON text: checked, spread over lines for an editor, and packed again. Pure.

Texts are taken apart, never parsed and written anew: a number keeps the digits it was written with,
an object its order and its doubled keys, so that what was not edited stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, NamedTuple, NoReturn

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT: Final = "  "
_OPENING: Final = "{["
_CLOSING: Final = "}]"


class Mistake(NamedTuple):
    """What is wrong with a text that should be JSON."""

    line: int
    """The line of the mistake, from 1; 0 if it is none of a line."""
    column: int
    words: str

    def __str__(self) -> str:
        """The mistake with its place: ``line 3, column 7: Expecting ',' delimiter``."""
        return f"line {self.line}, column {self.column}: {self.words}" if self.line else self.words


class _NoJson(ValueError):
    """A value that JavaScript's JSON.parse refuses."""


def _refuse(name: str) -> NoReturn:
    raise _NoJson(f"{name} is not JSON")


def mistake_in(text: str) -> Mistake | None:
    """Returns what keeps a text from being JSON as workers read it (JSON.parse); None if nothing.

    Costs time and some ten times its memory, in proportion to the text.
    """
    if not text.strip():
        return Mistake(0, 0, "it is empty; data without content is {} or null")
    try:
        json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        return Mistake(error.lineno, error.colno, error.msg)
    except _NoJson as error:
        return Mistake(*_place_of(text, str(error).split()[0]), str(error))
    except RecursionError:
        return Mistake(0, 0, "it is nested too deeply")
    return None


def _place_of(text: str, word: str) -> tuple[int, int]:
    """The line and column of a word outside strings."""
    for found in _TOKEN.finditer(text):
        if found[0] == word:
            before = text[: found.start()]
            return before.count("\n") + 1, found.start() - before.rfind("\n")
    return 0, 0


def packed(text: str) -> str:
    """Returns valid JSON without the blanks between its values, as JSON.stringify writes it."""
    return "".join(_TOKEN.findall(text))


def spread(text: str) -> str:
    """Returns valid JSON on lines, indented, as people edit it."""
    lines: list[str] = []
    line: list[str] = []
    depth = 0
    tokens = _TOKEN.findall(text)
    for at, token in enumerate(tokens):
        empty = token in _OPENING and at + 1 < len(tokens) and tokens[at + 1] in _CLOSING
        closes_empty = token in _CLOSING and at > 0 and tokens[at - 1] in _OPENING
        if token in _CLOSING and not closes_empty:
            depth -= 1
            lines.append("".join(line))
            line = [_INDENT * depth]
        line.append(": " if token == ":" else token)
        if (token in _OPENING and not empty) or token == ",":
            depth += token in _OPENING
            lines.append("".join(line))
            line = [_INDENT * depth]
    lines.append("".join(line))
    return "\n".join(lines)


def digest_of(data: str | None) -> str:
    """Returns the SHA-1 of a job's data as our scripts compute it; that of "" if it has none."""
    octets = (data or "").encode("utf-8", "surrogateescape")
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest()
