"""One JSON object a line, for scripts. Pure; the names in here are a contract.

Every line is ASCII without a control character, so nothing that a job holds can reach a terminal.
Bytes in Redis that are no UTF-8 stand as lone surrogates U+DC80 to U+DCFF, as Python reads and
writes them, so that every id can be told from every other, and be given back to us.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.dialect import QueueEvidence
from qtui.bullmq.job import Job
from qtui.bullmq.keys import split_job_key
from qtui.bullmq.model import LIST_FIELDS, JobState, QueueStatus, Row
from qtui.retry.outcome import Tally
from qtui.text import first_line

_ALWAYS_COUNTED: Final = (Code.RETRIED, Code.NO_SUCH_JOB, Code.NOT_IN_STATE)
_CONTENT: Final = ("data", "opts", "progress", "returnvalue", "stacktrace")

FIELDS: Final = (
    *(
        "id",
        "queue",
        "state",
        "name",
        "attempts_made",
        "attempts_started",
        "attempts",
        "priority",
        "delay",
    ),
    *("timestamp", "processed_on", "finished_on", "failed_reason", "parent", *_CONTENT),
)
"""What `picked_object` can hold."""

SHORT_NAMES: Final = {"error": "failed_reason", "return": "returnvalue", "stack": "stacktrace"}
"""The filter's words for some of them."""


# Escapes all that is no ASCII, and DEL; NaN is no JSON.
_encoder: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False)


class _Encoded(str):
    """A value that is JSON already."""


def line(members: Mapping[str, object]) -> str:
    """The object as one line, without its end."""
    if not any(isinstance(value, _Encoded) for value in members.values()):
        return _encode(members)
    parts = (
        f"{_encode(name)}: {value if isinstance(value, _Encoded) else _encode(value)}"
        for name, value in members.items()
    )
    return "{" + ", ".join(parts) + "}"


def _encode(value: object) -> str:
    return _encoder.encode(value)


def _json_or_text(name: str, text: str | None, garbled: list[str]) -> object:
    """What a field's JSON says; its very text, and a name among the garbled, where it says nothing.

    It is decoded and encoded again at once, so that what cannot be written (infinite numbers,
    nesting beyond Python's limit) counts as garbled too.
    """
    if text is None:
        return None
    try:
        return _Encoded(_encode(json.loads(text)))
    except (ValueError, RecursionError):
        if name not in garbled:
            garbled.append(name)
        return text


def queue_object(
    status: QueueStatus, workers: int | None, evidence: QueueEvidence
) -> dict[str, object]:
    """A queue with its counts; a count, or the workers, are null where Redis would not tell."""
    return {
        "name": status.queue.name,
        "prefix": status.queue.prefix,
        "key": status.queue.base,
        "kind": status.kind.value,
        "paused": status.paused,
        "version": status.version or None,
        "dialect": evidence.dialect,
        "workers": workers,
        "concurrency": status.concurrency,
        "counts": {state.value: status.counts.get(state) for state in JobState},
    }


def row_object(row: Row, state: JobState) -> dict[str, object]:
    """A job of a list. Times in ms since the epoch; all null where the job's hash is gone.

    ``failed_reason`` may be that of an earlier attempt. Of completed jobs ``returnvalue`` is null
    when it is larger than a list reads (2,000 bytes); ``returnvalue_size`` tells.
    """
    garbled = list(row.garbled)
    members = {
        "name": row.name,
        **_numbers(row),
        "failed_reason": row.failed_reason,
        "parent": _parent(split_job_key(row.parent_key) if row.parent_key else None),
    }
    if state is JobState.COMPLETED:
        members["returnvalue"] = _json_or_text("returnvalue", row.returnvalue, garbled)
        members["returnvalue_size"] = row.returnvalue_size
    if row.missing:
        members = dict.fromkeys(members)
    about = {"missing": row.missing, "garbled": garbled}
    return {"id": row.id, "state": state.value, **members, **about}


def hash_fields(picked: Sequence[str]) -> tuple[str, ...]:
    """The fields of a job's hash that `picked_object` wants beside `LIST_FIELDS`."""
    return tuple(name for name in _CONTENT if name in picked and name not in LIST_FIELDS)


def picked_object(
    row: Row, state: JobState, fields: Mapping[str, str | None], picked: Sequence[str]
) -> dict[str, object]:
    """A job with just the members that were picked from `FIELDS`, whole however long they are."""
    garbled = list(row.garbled)
    found = row_object(row, state)
    found["failed_reason"] = fields.get("failedReason")
    for name in _CONTENT:
        if name in picked:
            found[name] = _json_or_text(name, fields.get(name), garbled)
    names = dict.fromkeys(("id", *picked))
    members = {name: found[name] for name in names if name in found}  # not the queue's
    return members | {"missing": row.missing, "garbled": garbled}


def _numbers(row: Row) -> dict[str, object]:
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


def _parent(parent: tuple[str, str] | None) -> dict[str, str] | None:
    return {"queue": parent[0], "id": parent[1]} if parent else None


def job_object(job: Job, logs: Sequence[str]) -> dict[str, object]:
    """One job, everything; in ``fields`` what its hash holds besides, as it stands there."""
    garbled = list(job.row.garbled)
    content = {name: _json_or_text(name, job.text(name), garbled) for name in _CONTENT}
    return {
        "id": job.id,
        "queue": job.queue.base,
        "state": job.state.value if job.state else None,
        "name": job.row.name,
        **_numbers(job.row),
        "failed_reason": job.row.failed_reason,
        **content,
        "logs": list(logs),
        "parent": _parent(job.parent),
        "children": asdict(job.children),
        "lock": None if job.lock is None else {"token": job.lock, "ttl": job.lock_ttl},
        "fields": {
            name: field.text
            for name, field in job.fields.items()
            if name not in LIST_FIELDS and name not in _CONTENT and name != "parent"
        },
        "more_fields": job.more_fields,
        "garbled": garbled,
    } | _refused(job)


def _refused(job: Job) -> dict[str, object]:
    """What Redis did not tell of a job, by name, and why; nothing where it told all."""
    found = {**({"state": job.unknown} if job.unknown else {}), **job.unread}
    return {"unknown": found} if found else {}


def result_object(result: Result, state: JobState) -> dict[str, object]:
    """What became of one job: its code, and where it went or why it did not."""
    if result.code is Code.RETRIED:
        return {"id": result.job_id, "code": 1, "target": result.target or None}
    error = meaning(result.code, state)
    if result.error:
        error += f": {first_line(result.error)}"
    return {"id": result.job_id, "code": _code(result.code), "error": error}


def _code(code: Code) -> int | None:
    return None if code is Code.UNKNOWN else code.value


def summary_object(
    selected: int,
    codes: Mapping[Code, int],
    *,
    journal: str | None = None,
    followed: Tally | None = None,
    dry_run: bool = False,
    after_children: int = 0,
    warnings: Iterable[str] = (),
) -> dict[str, object]:
    """The last line of a retry. Jobs that no code counts were not touched.

    ``after_children`` is there where parents are retried with their children: how many. That of a
    dry run has the plan's ``warnings``, in sentences.
    """
    counts = {str(code.value): codes.get(code, 0) for code in _ALWAYS_COUNTED}
    for code, number in codes.items():
        if number and code not in _ALWAYS_COUNTED:
            counts["unknown" if code is Code.UNKNOWN else str(code.value)] = number
    summary: dict[str, object] = {
        "selected": selected,
        "retried": 0 if dry_run else codes.get(Code.RETRIED, 0),
        "codes": counts,
        "journal": journal,
    }
    if after_children:
        summary["after_children"] = after_children
    if followed is not None:
        summary["outcomes"] = _outcomes(followed)
    if dry_run:
        summary |= {"dry_run": True, "warnings": list(warnings)}
    return {"summary": summary}


def _outcomes(tally: Tally) -> dict[str, object]:
    """What became of the retried jobs while they were followed."""
    return {
        "recovered": tally.recovered,
        "failed_again": tally.failed_again,
        "same_error": tally.same_error,
        "errors": dict(tally.errors),
        "waiting": tally.waiting,
        "active": tally.active,
        "delayed": tally.delayed,
        "gone": tally.gone,
        "undone": tally.undone,
        "unknown": tally.unknown,
        "not_followed": tally.beyond,
    }
