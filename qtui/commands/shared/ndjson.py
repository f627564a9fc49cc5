"""One JSON object a line, for scripts. Pure; the names in here are a contract.

Every line is ASCII without a control character, so nothing that a job holds can reach a terminal.
Bytes in Redis that are no UTF-8 stand as lone surrogates U+DC80 to U+DCFF, as Python reads and
writes them, so that every id can be told from every other, and be given back to us.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.dialect import QueueEvidence
from qtui.bullmq.keys import split_job_key
from qtui.bullmq.model import LIST_FIELDS, JobState, QueueStatus, Row
from qtui.operations.following.outcome import OutcomeTally
from qtui.text import first_line
from qtui.views.job_json import CONTENT, job_object, json_or_text, line, numbers, parent_object

__all__ = [
    "EXPORT_FIELDS",
    "SHORT_NAMES",
    "hash_fields",
    "job_object",
    "line",
    "picked_object",
    "queue_object",
    "result_object",
    "row_object",
    "summary_object",
]

_ALWAYS_COUNTED: Final = (Code.RETRIED, Code.NO_SUCH_JOB, Code.NOT_IN_STATE)

EXPORT_FIELDS: Final = (
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
    *("timestamp", "processed_on", "finished_on", "failed_reason", "parent", *CONTENT),
)
"""What `picked_object` can hold."""

SHORT_NAMES: Final = {"error": "failed_reason", "return": "returnvalue", "stack": "stacktrace"}
"""The filter's words for some of them."""


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
        **numbers(row),
        "failed_reason": row.failed_reason,
        "parent": parent_object(split_job_key(row.parent_key) if row.parent_key else None),
    }
    if state is JobState.COMPLETED:
        members["returnvalue"] = json_or_text("returnvalue", row.returnvalue, garbled)
        members["returnvalue_size"] = row.returnvalue_size
    if row.missing:
        members = dict.fromkeys(members)
    about = {"missing": row.missing, "garbled": garbled}
    return {"id": row.id, "state": state.value, **members, **about}


def hash_fields(picked: Sequence[str]) -> tuple[str, ...]:
    """The fields of a job's hash that `picked_object` wants beside `LIST_FIELDS`."""
    return tuple(name for name in CONTENT if name in picked and name not in LIST_FIELDS)


def picked_object(
    row: Row, state: JobState, fields: Mapping[str, str | None], picked: Sequence[str]
) -> dict[str, object]:
    """A job with just the members that were picked from `EXPORT_FIELDS`, however long they are."""
    garbled = list(row.garbled)
    found = row_object(row, state)
    found["failed_reason"] = fields.get("failedReason")
    for name in CONTENT:
        if name in picked:
            found[name] = json_or_text(name, fields.get(name), garbled)
    names = dict.fromkeys(("id", *picked))
    members = {name: found[name] for name in names if name in found}  # not the queue's
    return members | {"missing": row.missing, "garbled": garbled}


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
    outcomes: Mapping[str, object] | None = None,
    dry_run: bool = False,
    after_children: int = 0,
    warnings: Iterable[str] = (),
) -> dict[str, object]:
    """The last line of an action. Jobs that no code counts were not touched.

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
    if outcomes is not None:
        summary["outcomes"] = outcomes
    if dry_run:
        summary |= {"dry_run": True, "warnings": list(warnings)}
    return {"summary": summary}


def outcomes_object(tally: OutcomeTally) -> dict[str, object]:
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
