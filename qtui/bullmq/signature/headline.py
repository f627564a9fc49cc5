"""Finds the line of an error that names its cause, in its stack if the error is empty. Pure.

Libraries put the cause of an error into its first line, its last, or somewhere between source code
and arguments. Lists, plans, outcomes and error groups all show the line found here.
"""

from __future__ import annotations

import json
import re
from typing import Final

from qtui.text import plain

_HEAD: Final = 12_288
"""Characters at the beginning of a reason that are searched for the line."""

_TAIL: Final = 4_096
"""Characters at the end of a longer reason, where wrapped errors put the cause."""

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SAYS: Final = re.compile(r"[^\W_]")
_PRISMA: Final = re.compile(r" invocation(?: in|:)?$")
# Lines of source or arguments that Prisma shows between its first line and the cause.
_FRAME: Final = re.compile(r"[\s→+~?{})\]]|(?:/|[A-Z]:\\)\S+:\d+$")
_PYDANTIC: Final = re.compile(r"\d+ validation errors? for \S+$")
_STACK: Final = re.compile(r"\s*at .+[:(<]|\s*at async |\s*File \"")
_CLASS: Final = re.compile(r"(?:[A-Za-z_$][\w$]*\.)*[A-Za-z_$][\w$]*")
_BARE: Final = re.compile(r"(?:[\w$.]*(?:Error|Exception|Failure|Warning))(?: \[\w+\])?:?$")
_SQL: Final = re.compile(
    r"(?:select\b|insert\s.*\binto\b|update\b.+\bset\b|delete\s+from\b|with\b.+\bas\s*\("
    r"|(?:create|alter|drop|truncate)\b.*\b(?:table|index|view)\b)",
    re.IGNORECASE,
)
"""SQL at the beginning of an error; Knex and MikroORM write `` - `` and the cause after it."""

_VERB: Final = 500
"""Characters that are searched for SQL."""
_MESSAGES: Final = ("message", "msg", "error", "errors", "error_description", "detail", "title")
"""Members of JSON that hold the words of an error."""

_OPENS: Final = ("[", "{", "(", "[{")
_HTML: Final = re.compile(r"([^<]{0,200})<(?:!doctype html|html)[\s>]", re.IGNORECASE)
_TITLE: Final = re.compile(r"<(?:title|h1)(?:\s[^>]{0,200})?>\s*([^<]{1,200})", re.IGNORECASE)
"""The page of a proxy or a server, and the element that says what it is about."""


def says_something(reason: str) -> bool:
    """Whether a reason holds a letter or a digit."""
    # Nearly every reason begins with one, which is seen in a fifth of the time.
    return reason[:1].isalnum() or _SAYS.search(reason) is not None


def headline(reason: str) -> str:
    """Returns the line of ``reason`` (a failedReason) that names the cause.

    Of a page in HTML it is the title; of a list in JSON (Zod) the first message in it; other JSON
    is returned whole. Two lines are joined if the first only announces the second. Control
    characters other than colours stay in. Searches some 16,000 characters at most.
    """
    if words := _of_list(reason) or _of_page(reason):
        return words
    lines = _lines(reason)
    spoken = [line for line in lines if _SAYS.search(line)] or [*lines[:1], ""]
    first, rest = spoken[0].strip(), spoken[1:]
    if len(lines) > 1 and (lines[0].strip() in _OPENS or first.endswith(_OPENS)):
        return " ".join(lines)
    if first.startswith("Traceback (most recent call last)"):
        return next((line for line in rest if not line[0].isspace()), first)
    if rest and _SQL.match(" ".join(spoken)[:_VERB]):
        cause = next((line.strip() for line in reversed(rest) if " - " in line), "")
        return f"{first} … {cause}" if cause else first
    if _PRISMA.search(first):
        first = first.removesuffix(":").removesuffix(" in") + ":"
        rest = [line for line in rest if not _FRAME.match(line)]
    elif first.startswith("Command failed:"):
        rest = rest[-1:]
    elif _PYDANTIC.match(first):
        rest = [": ".join(line.strip() for line in rest[:2])] if rest else []
        first += ":"
    elif _BARE.match(first):
        rest = [line for line in rest[:1] if not _STACK.match(line)]
        first = first.removesuffix(":") + (":" if rest else "")
    elif not first.endswith(":"):
        return first
    return f"{first} {rest[0].strip()}" if rest else first


def _lines(reason: str) -> list[str]:
    text = reason.strip()
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]}\n{text[-_TAIL:]}"
    return (_ANSI.sub("", text) if "\x1b" in text else text).splitlines()


def spoken(reason: str, limit: int = 400) -> str:
    """Returns the `headline` for display: one plain line of at most ``limit`` characters.

    If the error begins with the SQL that failed (Knex, MikroORM), what follows the SQL; if it is
    JSON (Zod), the message in it. May be empty.
    """
    whole = reason.strip()
    line = headline(whole) if "\n" in whole or whole[:1] == "<" else whole[:_HEAD]
    if line[:1] in ("[", "{"):
        line = _of_json(whole) or line
    if " - " in line and _SQL.match(line[:_VERB]):
        cause = line.rpartition(" - ")[2]
        line = cause if _SAYS.search(cause) else line
    return plain(" ".join(line.split())[:limit])


def _of_list(reason: str) -> str:
    text = reason.strip() if reason[:64].lstrip()[:1] == "[" else ""
    return " ".join(_of_json(text).split()) if text[-1:] == "]" else ""


def _of_page(reason: str) -> str:
    page = _HTML.match(reason)
    title = _TITLE.search(reason, 0, _HEAD) if page is not None else None
    return " ".join(f"{page[1]} {title[1]}".split()) if page and title else ""


def _of_json(text: str) -> str:
    """The first message in JSON, with its path and code if it has them; else empty."""
    try:
        found = json.loads(text[: _HEAD + _TAIL])
    except (ValueError, RecursionError):
        return ""
    more = f" +{len(found) - 1} more" if isinstance(found, list) and len(found) > 1 else ""
    first = found[0] if isinstance(found, list) and found else found
    words = _message(first)
    return f"{words}{more}" if words else ""


def _message(found: object) -> str:
    if not isinstance(found, dict):
        return found if isinstance(found, str) else ""
    message = next((found[name] for name in _MESSAGES if found.get(name)), None)
    if isinstance(message, dict):
        return _message(message)
    if not isinstance(message, str):
        return ""
    path, code = found.get("path"), found.get("code")
    steps = [str(one) for one in path] if isinstance(path, list) else []
    place = f" at {'.'.join(steps)}" if steps else ""
    return f"{message}{place}" + (f" ({code})" if isinstance(code, str | int) else "")


def cut_reason(reason: str, limit: int) -> str:
    """Cuts a reason to ``limit`` characters, keeping its headline as far as it fits."""
    if len(reason) <= limit:
        return reason
    short, line = reason[:limit], headline(reason)
    return short if headline(short) == line else line[:limit]


def reason_of(reason: str | None, stacktrace: str | None) -> str | None:
    """Returns the reason, or the error named in the newest stack if the reason has no words.

    Node's ``AggregateError`` (of a connection to several addresses), a ``new Error()`` and Python's
    ``TimeoutError()`` have no message, and BullMQ stores an empty failedReason; the first line of a
    stack from Node, or the last of one from Python, has at least the error's class and code.

    Args:
        reason: ``failedReason`` of the job's hash.
        stacktrace: its ``stacktrace``, a JSON list with the newest stack last.
    """
    if reason is None or stacktrace is None or says_something(reason):
        return reason
    return _of_stack(_newest(stacktrace)) or reason


def _newest(stacktrace: str) -> str:
    try:
        found = json.loads(stacktrace)
    except (ValueError, RecursionError):
        return ""
    texts = [one for one in found if isinstance(one, str)] if isinstance(found, list) else [found]
    return next((one for one in reversed(texts) if isinstance(one, str) and one.strip()), "")


def _of_stack(stack: str) -> str:
    lines = [line for line in _lines(stack) if _SAYS.search(line)]
    if not lines:
        return ""
    if any(line.startswith("Traceback ") for line in lines[:3]):
        said = [line for line in lines if not line[0].isspace()]
        return said[-1].strip().removesuffix(":")
    if _STACK.match(lines[0]):
        return ""
    first = lines[0].strip().removesuffix(":").rstrip()
    frames = [line.strip() for line in lines[1:] if line.lstrip().startswith("at ")]
    # A class without a code says little, so the place where it was thrown is added.
    return f"{first} {frames[0]}" if frames and _CLASS.fullmatch(first) else first
