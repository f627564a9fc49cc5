"""A job as JSON for `qtui show --json` and the clipboard. Pure; the names are a contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final

import orjson

from qtui.bullmq.model import LIST_FIELDS, Row
from qtui.views.large_json import LARGE, one_line

if TYPE_CHECKING:
    from qtui.bullmq.reads.job import Job

CONTENT: Final = ("data", "opts", "progress", "returnvalue", "stacktrace")
"""Fields of a job's hash that hold JSON."""

# Escapes all that is no ASCII, and DEL; NaN is no JSON.
_encoder: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False)


_UNWANTED: Final = "\n\r\t\x7f"
"""What JSON may have between its tokens, or in a text, and a line may not."""

_TOGETHER: Final = 32
"""Objects that are written at once: of 3 kB they fill a pipe."""


class _Encoded(str):
    """A value that is JSON already."""


def line(members: Mapping[str, object]) -> str:
    """The object as one line, without its end."""
    parts = [f"{encoded(name)}: {encoded(value)}" for name, value in members.items()]
    return "{" + ", ".join(parts) + "}"


def lines(columns: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Objects as `line` writes them, each with its end, some at a time; in half the time.

    Args:
        columns: by the name of a member, which has no ``%``, its values in all objects, `encoded`.
    """
    one = "{" + ", ".join(f"{encoded(name)}: %s" for name in columns) + "}\n"
    every = map(one.__mod__, zip(*columns.values(), strict=False))  # what repeats has no end
    while some := "".join(islice(every, _TOGETHER)):
        yield some


def encoded(value: object) -> str:
    """A value as JSON in ASCII; the most common ones without what `json` does first, for 3 µs."""
    if isinstance(value, str):
        return value if isinstance(value, _Encoded) else encode_basestring_ascii(value)
    if value is None:
        return "null"
    if value is False:
        return "false"
    if type(value) is int:
        return repr(value)
    return "[]" if value == [] else _encoder.encode(value)


def json_or_text(name: str, text: str | None, garbled: list[str]) -> object:
    """A field's JSON value; if it is not valid, its text, and its name is added to the garbled."""
    return _Encoded(encoded_field(name, text, garbled))


def encoded_field(name: str, text: str | None, garbled: list[str]) -> str:
    """The same as `encoded` writes it.

    What is JSON by all rules, in ASCII and in one line stays as it is, a tenth of the work. The
    rest is decoded and encoded again at once, so that what cannot be written (infinite numbers,
    nesting beyond Python's limit) counts as garbled too. What is very long is read token by token.
    """
    if text is None:
        return "null"
    try:
        if len(text) >= LARGE:
            return one_line(text)
        if text.isascii() and not any(map(text.__contains__, _UNWANTED)):
            try:
                orjson.loads(text)
            except ValueError:
                pass
            else:
                return text
        return encoded(json.loads(text))
    except (ValueError, RecursionError):
        if name not in garbled:
            garbled.append(name)
        return encoded(text)


def numbers(row: Row) -> dict[str, object]:
    """The numbers of a job; times in ms since the epoch."""
    return {
        "attempts_made": row.attempts_made,
        "attempts_started": row.attempts_started,
        "attempts": row.attempts,
        "priority": row.priority,
        "delay": row.delay,
        "timestamp": row.timestamp,
        "processed_on": row.processed_on,
        "finished_on": row.finished_on,
    }


def parent_object(parent: tuple[str, str] | None) -> dict[str, str] | None:
    """A parent, given by the base of its queue and its id."""
    return {"queue": parent[0], "id": parent[1]} if parent else None


def job_object(job: Job, logs: Sequence[str]) -> dict[str, object]:
    """Everything about one job; ``fields`` has the other fields of its hash, unchanged."""
    garbled = list(job.row.garbled)
    content = {name: json_or_text(name, job.text(name), garbled) for name in CONTENT}
    return {
        "id": job.id,
        "queue": job.queue.base,
        "state": job.state.value if job.state else None,
        "name": job.row.name,
        **numbers(job.row),
        "failed_reason": job.row.failed_reason,
        **content,
        "logs": list(logs),
        "parent": parent_object(job.parent),
        "children": asdict(job.children),
        "lock": None if job.lock is None else {"token": job.lock, "ttl": job.lock_ttl},
        "fields": {
            name: field.text
            for name, field in job.fields.items()
            if name not in LIST_FIELDS and name not in CONTENT and name != "parent"
        },
        "more_fields": job.more_fields,
        "garbled": garbled,
    } | _refused(job)


def _refused(job: Job) -> dict[str, object]:
    """What could not be read of a job, by name, and why; empty if all was read."""
    found = {**({"state": job.unknown} if job.unknown else {}), **job.unread}
    return {"unknown": found} if found else {}


def job_text(job: Job, logs: Sequence[str]) -> str:
    """`job_object` as a JSON document of several lines, in ASCII."""
    return json.dumps(json.loads(line(job_object(job, logs))), indent=2)
