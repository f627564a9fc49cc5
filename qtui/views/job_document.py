"""A job as a document: its error first, then its data, options and the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import LIST_FIELDS, STALLS, JobState
from qtui.bullmq.reads.job import Children, Field, Job
from qtui.text import age, plural, size, span
from qtui.views.document import Json, Log, Pairs, Pending, Section, Stack

_SHOWN_ELSEWHERE: Final = frozenset(
    (*LIST_FIELDS, "data", "returnvalue", "stacktrace", "progress", "parent")
)

_NOTES: Final = {
    "pb": "processed by",
    **dict.fromkeys(STALLS, "stalled, times"),
    "defa": "will fail without running",
    "rjk": "scheduler",
    "nrjid": "next iteration",
    "deid": "deduplication id",
    "gid": "Pro group",
}


def moment(milliseconds: int | float | None) -> str:
    """A local time in full: ``2026-11-21 03:12:44.120``; the bare number if it can't be a time."""
    if milliseconds is None:
        return ""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000)
    except (OverflowError, OSError, ValueError):
        return str(milliseconds)
    return f"{when:%Y-%m-%d %H:%M:%S}.{int(milliseconds) % 1000:03d}"


def job_sections(job: Job, now: float, *, roomy: bool) -> list[Section]:
    """Everything of a job.

    Args:
        job: the job.
        now: ms since the epoch.
        roomy: there is room for the whole stack; otherwise it is folded, but for one frame.
    """
    return [
        *error_sections(job, roomy=roomy),
        *_content(job),
        *_family(job),
        Section("job", Pairs(tuple(_facts(job, now)))),
    ]


def error_sections(job: Job, *, roomy: bool) -> Iterator[Section]:
    """The error, once: with its stack where the two say the same, else one after the other."""
    reason, stack = job.fields.get("failedReason"), job.fields.get("stacktrace")
    title = "error" if job.state is JobState.FAILED else "last error"
    note = f"attempts {job.row.attempts_made} of {job.row.attempts}"
    traces = _traces(stack) if stack is not None and stack.size > 2 else ""
    message = job.row.failed_reason if reason is not None else None
    if isinstance(traces, str) and roomy and message and message.strip() in traces:
        yield Section(title, Stack(traces), f"{note}{_how_many(stack)}")
        return
    if message is not None:
        frame = _first_frame(traces) if isinstance(traces, str) else ""
        yield Section(title, Stack(f"{message}\n{frame}".rstrip()), note)
    elif reason is not None:
        yield Section(title, Pending(reason.size, "failedReason"), note)
    if not isinstance(traces, str):
        yield Section("stack", traces, folded=not roomy)
    elif traces:
        lines = plural(traces.count("\n") + 1, "line")
        yield Section("stack", Stack(traces), f"{lines}{_how_many(stack)}", folded=not roomy)


def _first_frame(trace: str) -> str:
    """The first stack frame that is not a library's, else the first frame."""
    frames = [line for line in trace.split("\n")[:100] if line.lstrip().startswith("at ")]
    own = (line for line in frames if "node_modules" not in line and "node:" not in line)
    return next(own, frames[0] if frames else "")


def _traces(stack: Field) -> str | Pending | Json:
    """The newest stack trace; BullMQ keeps one per attempt, the newest last."""
    if stack.text is None:
        return Pending(stack.size, "stacktrace")
    traces = _strings(stack.text)
    if traces is None:
        return Json(stack.text)
    return traces[-1] if traces else ""


def _how_many(stack: Field | None) -> str:
    traces = _strings(stack.text or "") if stack is not None else None
    return f", last of {len(traces)} stacks" if traces is not None and len(traces) > 1 else ""


def _strings(text: str) -> list[str] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return found
    return None


def _body(field: Field, name: str) -> Json | Pending:
    return Pending(field.size, name) if field.text is None else Json(field.text)


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
        yield Section(title, _body(field, name), note=size(field.size) if field.size > 999 else "")
    if job.log_lines:
        first = job.log_lines - len(job.logs) + 1
        more = Pending(-1, "logs") if first > 1 else None
        yield Section("logs", Log(job.logs, first), note=plural(job.log_lines, "line"), more=more)


def _family(job: Job) -> Iterator[Section]:
    rows: list[tuple[str, str]] = []
    if job.parent is not None:
        base, parent_id = job.parent
        rows.append(("parent", f"{parent_id} in {base}"))
    else:
        garbage = ((name, job.text(name)) for name in ("parent", "parentKey"))
        rows += ((name, text) for name, text in garbage if text)
    children = job.children
    for suffix in Children.SUFFIXES:
        if suffix in job.unread:
            rows.append((suffix, f"unknown: {job.unread[suffix]}"))
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


def _no_state(job: Job) -> str:
    if job.unknown:
        return f"unknown: {job.unknown}"
    return "none: its id is in no list and no set"


def ages(job: Job, now: float) -> tuple[str, ...]:
    """The rows of a job's document that change as time passes; ``now`` in ms since the epoch."""
    return tuple(age(now - at) for _, at in _moments(job) if at is not None)


def _moments(job: Job) -> tuple[tuple[str, int | float | None], ...]:
    row = job.row
    return (
        ("created", row.timestamp),
        ("started", row.processed_on),
        ("finished", row.finished_on),
    )


def _facts(job: Job, now: float) -> Iterator[tuple[str, str]]:
    row = job.row
    yield "id", job.id
    yield "name", row.name
    yield "queue", job.queue.base
    yield "state", job.state or _no_state(job)
    if is_marker(job.id):
        yield "", "BullMQ ≥3.1.3 mistakes an id like this for a marker and drops it"
    for label, milliseconds in _moments(job):
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
    for name in ("lock", "logs"):
        if name in job.unread:
            yield name, f"unknown: {job.unread[name]}"
    if row.garbled:
        yield "not readable", ", ".join(row.garbled)
        for name in row.garbled:
            if name != "opts":
                yield f"  {name}", (job.text(name) or "")[:200]
    for name, field in job.fields.items():
        if name not in _SHOWN_ELSEWHERE:
            label = _NOTES.get(name, name)
            yield label, size(field.size) if field.text is None else field.text
    if job.more_fields:
        yield "", f"and {plural(job.more_fields, 'more field')} that BullMQ does not write"
