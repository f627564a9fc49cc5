"""Reads large JSON token by token, without building objects. Pure.

Python's objects take some ten times the memory of the text that they are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

LARGE: Final = 1_000_000
"""Characters above which JSON is not turned into objects."""

_DEEPEST: Final = 900
"""Levels of nesting, about as many as Python's own parser takes."""

# Possessive (++, *+): to be able to step back costs 130 bytes for each character of a text.
_TOKEN: Final = re.compile(
    r"[ \t\n\r]*"
    r'("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null"
    r"|[\[\]{},:])"
)
_BLANK: Final = re.compile(r"[ \t\n\r]*")
_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")

_INDENT: Final = "  "


class NoJson(ValueError):
    """The text is no JSON from some place on."""

    def __init__(self, at: int) -> None:
        self.at = at
        super().__init__(f"no JSON from character {at:,} on")


def tokens(text: str) -> Iterator[str]:
    """The tokens of a text, unchanged: strings, numbers, words and punctuation.

    Raises:
        NoJson: the next token is invalid or misplaced.
    """
    at, stack = 0, ""
    # What may come: a value, a value or the end, a key or the end, a key, a colon, a comma or the
    # end.
    wanted = "value"
    end = len(text)
    while True:
        found = _TOKEN.match(text, at)
        if found is None:
            if wanted == "after" and not stack and _BLANK.fullmatch(text, at) is not None:
                return
            raise NoJson(at)
        token, start, at = found[1], found.start(1), found.end()
        sign = token[0]
        if sign in "]}":
            opening = "[" if sign == "]" else "{"
            closes = ("after", "first value") if sign == "]" else ("after", "first key")
            if not stack or stack[-1] != opening or wanted not in closes:
                raise NoJson(start)
            stack, wanted = stack[:-1], "after"
        elif sign == ",":
            if wanted != "after" or not stack:
                raise NoJson(start)
            wanted = "key" if stack[-1] == "{" else "value"
        elif sign == ":":
            if wanted != "colon":
                raise NoJson(start)
            wanted = "value"
        elif wanted in ("key", "first key"):
            if sign != '"':
                raise NoJson(start)
            wanted = "colon"
        elif wanted in ("value", "first value"):
            if sign in "[{":
                stack += sign
                if len(stack) > _DEEPEST:
                    raise NoJson(start)
                wanted = "first value" if sign == "[" else "first key"
            else:
                wanted = "after"
        else:
            raise NoJson(start)
        yield token
        if at == end and wanted == "after" and not stack:
            return


def one_line(text: str) -> str:
    """The same JSON on one line, in ASCII and without a control character.

    Raises:
        NoJson: it is none.
    """
    for _ in tokens(text):
        pass
    # The text is valid: non-ASCII is only in strings, whitespace other than spaces between tokens.
    return text if _UNSAFE.search(text) is None else _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    one = found[0]
    return " " if one in "\t\n\r" else json.dumps(one)[1:-1] if one != "\x7f" else "\\u007f"


def pretty_lines(text: str) -> Iterator[str]:
    """The JSON line by line, as `json.dumps` lays it out with an indent of two.

    Raises:
        NoJson: the text is invalid from some place on; the lines before were yielded.
    """
    depth, line, opened = 0, "", False
    for token in tokens(text):
        sign = token[0]
        if sign in "]}":
            depth -= 1
            if not opened:
                yield line
                line = _INDENT * depth
            line += sign
            opened = False
            continue
        if opened:
            yield line
            line, opened = _INDENT * depth, False
        if sign in "[{":
            depth, opened = depth + 1, True
            line += sign
        elif sign == ",":
            yield f"{line},"
            line = _INDENT * depth
        elif sign == ":":
            line += ": "
        else:
            line += _read(token) if "\\" in token else token
    yield line


def _read(token: str) -> str:
    """A string with its letters for their escapes, where they can be seen."""
    return json.dumps(json.loads(token), ensure_ascii=False)
