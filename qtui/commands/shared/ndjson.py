"""The JSON objects that commands print for scripts, one per line. Pure; the names are a contract.

Every line is ASCII without control characters, so no job's data can reach the terminal as an
escape. Bytes that are not UTF-8 become lone surrogates U+DC80 to U+DCFF (Python's surrogateescape),
so that ids stay distinct and can be passed back to qtui.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.keys import split_job_key
from qtui.bullmq.model import JobState, QueueStatus, Row
from qtui.text import first_line
from qtui.views.job_json import (
    CONTENT,
    encoded,
    encoded_field,
    job_object,
    json_or_text,
    line,
    lines,
    numbers,
    parent_object,
)

if TYPE_CHECKING:
    from qtui.bullmq.dialect import QueueEvidence
    from qtui.operations.following.outcome import OutcomeTally

__all__ = [
    "EXPORT_FIELDS",
    "SHORT_NAMES",
    "hash_fields",
    "job_object",
    "line",
    "picked_lines",
    "queue_object",
    "result_object",
    "row_object",
    "summary_object",
]

_ALWAYS_COUNTED: Final = (Code.DONE, Code.NO_SUCH_JOB, Code.NOT_IN_STATE)

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
"""The members that `picked_lines` can have."""

SHORT_NAMES: Final = {"error": "failed_reason", "return": "returnvalue", "stack": "stacktrace"}
"""Short names for some of them, as filters use them."""

_ALWAYS_READ: Final = ("name", "timestamp")
"""Fields of a job's hash that show whether it is there."""

_READ_FOR: Final[Mapping[str, Sequence[str]]] = {
    "attempts_made": ("attemptsMade", "atm"),
    "attempts_started": ("ats",),
    "attempts": ("opts",),
    "priority": ("priority",),
    "delay": ("delay",),
    "processed_on": ("processedOn",),
    "finished_on": ("finishedOn",),
    "failed_reason": ("failedReason",),
    "parent": ("parentKey",),
    **{name: (name,) for name in CONTENT},
}
"""By the members those that they are made of, beside them."""


def queue_object(
    status: QueueStatus, workers: int | None, evidence: QueueEvidence
) -> dict[str, object]:
    """A queue with its counts; a count, or the workers, are null if Redis refused to read them."""
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
    """A job as lists print it. Times in ms since the epoch; all null if the job's hash is gone.

    ``failed_reason`` may be from an earlier attempt. A ``returnvalue`` larger than 2,000 bytes is
    null; ``returnvalue_size`` has its size.
    """
    garbled = list(row.garbled)
    members = {
        "name": row.name,
        **numbers(row),
        "failed_reason": row.failed_reason,
        "parent": _parent(row),
    }
    if state is JobState.COMPLETED:
        members["returnvalue"] = json_or_text("returnvalue", row.returnvalue, garbled)
        members["returnvalue_size"] = row.returnvalue_size
    if row.missing:
        members = dict.fromkeys(members)
    about = {"missing": row.missing, "garbled": garbled}
    return {"id": row.id, "state": state.value, **members, **about}


def hash_fields(picked: Sequence[str]) -> tuple[str, ...]:
    """The fields of a job's hash that `picked_lines` needs: what is not printed is not read."""
    wanted = (name for member in picked for name in _READ_FOR.get(member, ()))
    return tuple(dict.fromkeys((*_ALWAYS_READ, *wanted)))


def picked_lines(
    rows: Sequence[Row],
    state: JobState,
    fields: Mapping[str, Sequence[str | None]],
    picked: Sequence[str],
    where: Mapping[str, str],
) -> Iterator[str]:
    """Jobs as `lines` with only the members picked from `EXPORT_FIELDS`, at full length.

    ``garbled`` names what is garbage of the fields that were read.

    Args:
        rows: the jobs.
        state: their state.
        fields: their `hash_fields`.
        picked: the members.
        where: what each line has behind the id: ``queue``, ``state``, or neither.
    """
    garbled = [list(row.garbled) for row in rows]
    content = {
        name: list(map(encoded_field, repeat(name), fields[name], garbled))
        for name in CONTENT
        if name in picked
    }
    columns: dict[str, Iterable[str]] = {"id": [encoded(row.id) for row in rows]}
    columns |= {name: repeat(encoded(value)) for name, value in where.items()}
    for name in picked:
        if name in content:
            columns[name] = content[name]
        elif name == "state":
            columns[name] = repeat(encoded(state.value))
        elif name == "failed_reason":
            columns[name] = map(encoded, fields["failedReason"])
        elif name == "parent":
            columns[name] = [encoded(_parent(row)) for row in rows]
        elif name not in ("id", "queue"):
            columns[name] = [encoded(None if row.missing else getattr(row, name)) for row in rows]
    columns["missing"] = ["true" if row.missing else "false" for row in rows]
    columns["garbled"] = [encoded(names) if names else "[]" for names in garbled]
    return lines(columns)


def _parent(row: Row) -> dict[str, str] | None:
    return parent_object(split_job_key(row.parent_key) if row.parent_key else None)


def result_object(result: Result, state: str) -> dict[str, object]:
    """The result for one job: its code, and where it went or why it stayed."""
    if result.code is Code.DONE:
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
    left: int = 0,
    warnings: Iterable[str] = (),
) -> dict[str, object]:
    """The summary, the last line of an action. Jobs that no code counts were not sent.

    ``after_children`` is the number of parents that wait for their retried children, if any, and
    ``left`` the number of jobs that had left their state before they were reached. A dry run adds
    the plan's ``warnings`` as sentences.
    """
    counts = {str(code.value): codes.get(code, 0) for code in _ALWAYS_COUNTED}
    for code, number in codes.items():
        if number and code not in _ALWAYS_COUNTED:
            counts["unknown" if code is Code.UNKNOWN else str(code.value)] = number
    summary: dict[str, object] = {
        "selected": selected,
        "retried": 0 if dry_run else codes.get(Code.DONE, 0),
        "codes": counts,
        "journal": journal,
    }
    if after_children:
        summary["after_children"] = after_children
    if left:
        summary["left"] = left
    if outcomes is not None:
        summary["outcomes"] = outcomes
    if dry_run:
        summary |= {"dry_run": True, "warnings": list(warnings)}
    return {"summary": summary}


def outcomes_object(tally: OutcomeTally) -> dict[str, object]:
    """The outcomes of the retried jobs while they were followed."""
    return {
        "recovered": tally.completed,
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
