"""A job as a document of sections: the reason first, then what it was asked to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from qtui.bullmq.job import Field, Job
from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import JobState
from qtui.text import age, plural, size, span
from qtui.views.document import Json, Log, Pairs, Pending, Section, Stack, Text

_KNOWN: Final = frozenset(
    "name data opts returnvalue stacktrace failedReason progress timestamp processedOn finishedOn "
    "attemptsMade atm ats priority delay parentKey parent".split()
)

_NOTES: Final = {
    "pb": "processed by",
    "stc": "stalled, times",
    "defa": "will fail without running",
    "rjk": "scheduler",
    "nrjid": "next iteration",
    "deid": "deduplication id",
    "gid": "Pro group",
}


def moment(milliseconds: int | float | None) -> str:
    """A time in full: ``2026-11-21 03:12:44.120``, local; what can't be one as it stands."""
    if milliseconds is None:
        return ""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000)
    except (OverflowError, OSError, ValueError):
        return str(milliseconds)
    return f"{when:%Y-%m-%d %H:%M:%S}.{int(milliseconds) % 1000:03d}"


def job_sections(job: Job, now: float) -> list[Section]:
    """Everything of a job; ``now`` in ms since the epoch."""
    return [
        *_reason(job),
        *_content(job),
        *_family(job),
        Section("job", Pairs(tuple(_facts(job, now)))),
    ]


def _reason(job: Job) -> Iterator[Section]:
    reason = job.fields.get("failedReason")
    stack = job.fields.get("stacktrace")
    if reason is not None:
        title = "error" if job.state is JobState.FAILED else "last error"
        body = _body(reason, "failedReason", Text)
        yield Section(title, body, note=_attempts(job))
    if stack is not None and stack.size > 2:
        traces = _traces(stack)
        if isinstance(traces, str) and traces:
            yield Section("stack", Stack(traces), note=_how_many(stack))
        elif not isinstance(traces, str):
            yield Section("stack", traces)


def _attempts(job: Job) -> str:
    row = job.row
    return f"attempts {row.attempts_made} of {row.attempts}"


def _traces(stack: Field) -> str | Pending | Json:
    """The newest stack trace; BullMQ keeps one an attempt, the newest last."""
    if stack.text is None:
        return Pending(stack.size, "stacktrace")
    traces = _strings(stack.text)
    if traces is None:
        return Json(stack.text)
    return traces[-1] if traces else ""


def _how_many(stack: Field) -> str:
    traces = _strings(stack.text or "") or []
    return f"the last of {len(traces)}" if len(traces) > 1 else ""


def _strings(text: str) -> list[str] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return found
    return None


def _body(field: Field, name: str, kind: type[Json] | type[Text]) -> Json | Text | Pending:
    return Pending(field.size, name) if field.text is None else kind(field.text)


def _content(job: Job) -> Iterator[Section]:
    for name, title in (
        ("data", "data"),
        ("returnvalue", "return value"),
        ("progress", "progress"),
        ("opts", "options"),
    ):
        field = job.fields.get(name)
        if field is None or (name == "progress" and field.text in ("0", "{}")):
            continue
        yield Section(
            title, _body(field, name, Json), note=size(field.size) if field.size > 999 else ""
        )
    if job.log_lines:
        first = job.log_lines - len(job.logs) + 1
        more = Pending(-1, "logs") if first > 1 else None
        yield Section("logs", Log(job.logs, first), note=plural(job.log_lines, "line"), more=more)


def _family(job: Job) -> Iterator[Section]:
    rows: list[tuple[str, str]] = []
    if job.parent is not None:
        base, parent_id = job.parent
        rows.append(("parent", f"{parent_id} in {base}"))
    children = job.children
    if children.total:
        rows.append(("children", str(children.total)))
        for label, number in (
            ("still pending", children.pending),
            ("processed", children.processed),
            ("failed, ignored", children.ignored),
            ("failed, fatal", children.unsuccessful),
        ):
            if number:
                rows.append((f"  {label}", str(number)))
    if rows:
        yield Section("flow", Pairs(tuple(rows)))


def _facts(job: Job, now: float) -> Iterator[tuple[str, str]]:
    row = job.row
    yield "id", job.id
    yield "name", row.name
    yield "queue", job.queue.base
    yield "state", job.state or "none: its id stands in no list and no set"
    if is_marker(job.id):
        yield "", "an id like this is taken for a marker and thrown away by BullMQ ≥3.1.3"
    for label, milliseconds in (
        ("created", row.timestamp),
        ("started", row.processed_on),
        ("finished", row.finished_on),
    ):
        if milliseconds is not None:
            yield label, f"{moment(milliseconds)}   {age(now - milliseconds)}".rstrip()
    if row.processed_on is not None and row.finished_on is not None:
        yield "took", span(row.finished_on - row.processed_on)
    yield (
        "attempts",
        f"{row.attempts_made} made of {row.attempts}"
        + (f", {row.attempts_started} started" if row.attempts_started is not None else ""),
    )
    if row.priority:
        yield "priority", str(row.priority)
    if row.delay:
        yield "delay", span(row.delay)
    if job.lock is not None:
        ttl = f", for {span(job.lock_ttl)} more" if job.lock_ttl and job.lock_ttl > 0 else ""
        yield "locked by", f"{job.lock}{ttl}"
    if row.garbled:
        yield "not readable", ", ".join(row.garbled)
        for name in row.garbled:
            if name != "opts":
                yield f"  {name}", (job.text(name) or "")[:200]
    for name, field in job.fields.items():
        if name not in _KNOWN:
            label = _NOTES.get(name, name)
            yield label, size(field.size) if field.text is None else field.text
    if job.more_fields:
        yield "", f"and {plural(job.more_fields, 'more field')} that BullMQ does not write"
