"""The lines of a journal, to JSON and back. Pure; touches no file.

One JSON object per line, in ASCII. Text from Redis that is not UTF-8 is written as lone surrogates
U+DC80 to U+DCFF, so that different ids stay different. Members are in the order written here, which
allows counting the jobs of a large journal without decoding their fields.

    campaign   the first line: user, server, action, reason, queue, jobs, pace and command
    text       a text that later lines refer to by its digest (since format 2)
    chosen     the chosen jobs and their scores, up to `CHOSEN` a line; not for queries
    job        what the action wipes, written before the job is sent
    code       BullMQ's code for it
    outcome    what became of it
    withdrawn  its code 1 is void: Redis lost the retry, and the job is where it was
    server     another server answers from here on, or the same with another history
    resumed    another process continues from here
    end        the last line of a campaign that was not interrupted
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Final, TypeAlias

import orjson

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import NEVER, Picked
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.texts import REPEATED_FIELDS, SHORTENED, Shortened, Texts, whole
from qtui.verbs import Verb

CHOSEN: Final = 1000
"""Most chosen jobs in one line."""

JournalLine: TypeAlias = dict[str, object]
"""A decoded line; ``type`` is always a string."""

_encode: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_LARGEST: Final = 1 << 53
_ENCODED: Final = 20
"""Lines encoded at once: what is copied on the way stays in the processor's cache."""
_INFINITE: Final = {"inf": math.inf, "-inf": -math.inf}
_JOB: Final = re.compile(
    rb'\{"type":"(?P<type>job|code|withdrawn)","id":(?P<id>"[^"\\]*(?:\\.[^"\\]*)*")'
    rb'(?:,"score":(?P<score>null|"-?inf"|[-+.0-9e]+))?'
    rb'(?:,"fields":|,"code":(?P<code>null|-?\d+)[,}]|\})'
)
"""The beginning of a line about one job, as this module writes it."""


# To lines ----------------------------------------------------------------------------------------


def header_line(header: Header) -> bytes:
    """Returns the first line of a journal."""
    members = asdict(header)
    until = header.selection.until
    if until is not None:
        members["selection"]["until"] = _plain_score(until)
    for name in ("flow", "server", "reason", "options", "undoes", "effect"):
        if not members[name]:
            del members[name]
    first = ("id", "at", "user", "host", "pid")
    order = ("type", "format", *first, *(name for name in members if name not in first))
    return _lines([{name: "campaign" if name == "type" else members[name] for name in order}])


def chosen_line(picked: Sequence[Picked]) -> bytes:
    """Returns a line of up to `CHOSEN` jobs: ``[id, score]`` (null: `NEVER`), or ``[id]``: any."""
    jobs = [
        [one.job_id] if one.score is None else [one.job_id, _plain_score(one.score)]
        for one in picked
    ]
    return _lines([{"type": "chosen", "jobs": jobs}])


def text_lines(texts: Mapping[str, str]) -> bytes:
    """Returns lines that define texts, given by digest."""
    return _lines([{"type": "text", "id": digest, "text": text} for digest, text in texts.items()])


def snapshot_lines(jobs: Iterable[Snapshot], texts: Texts | None = None) -> bytes:
    """Returns a line per job. Costs some 2 µs for a job of 1 kB.

    Args:
        jobs: the jobs.
        texts: remembers repeated texts; write those that are `Texts.undefined` to the journal
            before these lines. None: every text is written in full.
    """
    if texts is None:
        return _lines([_job(*one) for one in jobs])
    shorten = texts.shorten
    found = []
    for job_id, score, fields, state, family, place, becomes, whole_job, children, queued in jobs:
        short: dict[str, Shortened] = dict(fields)
        for name in REPEATED_FIELDS:
            text = fields.get(name)
            if text is not None and len(text) >= SHORTENED:
                short[name] = shorten(text)
        more = (becomes, whole_job, children, queued)
        found.append(_job(job_id, score, short, state, family, place, *more))
    return _lines(found)


def column_lines(
    picked: Sequence[Picked],
    columns: Mapping[str, Sequence[str | None]],
    families: Iterable[Mapping[str, str] | None],
    texts: Texts | None = None,
) -> bytes:
    """As `snapshot_lines` of jobs that are read side by side, in half of its time.

    Args:
        picked: the jobs.
        columns: by name of a field its value of each job, None where it has none.
        families: see `Snapshot.family`.
        texts: as for `snapshot_lines`.
    """
    rows = _rows(len(picked), columns, texts)
    jobs = zip(picked, rows, families, strict=True)
    return _lines([_job(one.job_id, one.score, row, "", family) for one, row, family in jobs])


def _rows(
    jobs: int, columns: Mapping[str, Sequence[str | None]], texts: Texts | None
) -> Iterable[Mapping[str, object]]:
    """The fields of each job that exist; texts that repeat are shortened."""
    missing = {name: column.count(None) for name, column in columns.items()}
    found: dict[str, Sequence[object]] = {
        name: column for name, column in columns.items() if missing[name] < jobs
    }
    names = tuple(found)
    if texts is not None:
        for name in REPEATED_FIELDS:
            if name in found:
                column = columns[name]
                found[name] = [
                    texts.shorten(one) if one is not None and len(one) >= SHORTENED else one
                    for one in column
                ]
    rows = zip(*found.values(), strict=True) if found else repeat((), jobs)
    if not any(missing[name] for name in names):  # most jobs are alike
        return [dict(zip(names, row, strict=True)) for row in rows]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in rows
    ]


def _job(
    job_id: str,
    score: float | None,
    fields: Mapping[str, object],
    state: str = "",
    family: Mapping[str, str] | None = None,
    place: str = "",
    becomes: Mapping[str, str] | None = None,
    whole_job: Mapping[str, object] | None = None,
    children: Mapping[str, Mapping[str, str]] | None = None,
    queued: Mapping[str, str] | None = None,
) -> JournalLine:
    found: JournalLine = {"type": "job", "id": job_id}
    if score is not None:
        found["score"] = score if math.isfinite(score) else _plain_score(score)
    found["fields"] = fields
    if state:
        found["state"] = state
    if family is not None:
        found["family"] = dict(family)
    if place:
        found["place"] = place
    if becomes is not None:
        found["becomes"] = dict(becomes)
    if whole_job is not None:
        found["whole"] = dict(whole_job)
    if children is not None:
        found["children"] = {key: dict(child) for key, child in children.items()}
    if queued is not None:
        found["queued"] = dict(queued)
    return found


def code_lines(results: Iterable[Result]) -> bytes:
    """Returns a line per result; the code is null if it is unknown."""
    return _lines([_code(*one) for one in results])


def _code(job_id: str, code: Code, target: str, error: str) -> JournalLine:
    found: JournalLine = {"type": "code", "id": job_id}
    found["code"] = None if code is Code.UNKNOWN else int(code)
    if target:
        found["target"] = target
    if error:
        found["error"] = error
    return found


def outcome_lines(outcomes: Mapping[str, Outcome]) -> bytes:
    """Returns a line per job."""
    return _lines([_outcome(*one) for one in outcomes.items()])


def _outcome(job_id: str, outcome: Outcome) -> JournalLine:
    found: JournalLine = {"type": "outcome", "id": job_id, "fate": outcome.fate.value}
    if outcome.error:
        found["error"] = outcome.error
    return found


def withdrawn_lines(picked: Iterable[Picked]) -> bytes:
    """Returns a line per job, with the score at which it is again."""
    return _lines([_job_withdrawn(one.job_id, one.score) for one in picked])


def _job_withdrawn(job_id: str, score: float | None) -> JournalLine:
    found: JournalLine = {"type": "withdrawn", "id": job_id}
    return found if score is None else found | {"score": _plain_score(score)}


def server_line(*, at: int, server: Mapping[str, str], withdrawn: int) -> bytes:
    """Returns the line that names the server from here on, and how many retries it lacks."""
    return _lines([{"type": "server", "at": at, "server": dict(server), "withdrawn": withdrawn}])


def resumed_line(*, at: int, user: str, host: str, pid: int, version: str) -> bytes:
    """Returns the line that names the process which resumes the campaign."""
    who = {"at": at, "pid": pid, "user": user, "host": host, "version": version}
    return _lines([{"type": "resumed", **who}])


def end_line(
    at: int,
    phase: str,
    codes: Mapping[Code, int],
    note: str,
    outcomes: Mapping[str, int] | None = None,
    *,
    all_known: bool = False,
) -> bytes:
    """Returns the last line: how it ended, all codes counted, and the outcomes of retried jobs.

    ``all_known`` says that the jobs without a code were certainly not sent.
    """
    counts = {
        "unknown" if code is Code.UNKNOWN else str(code.value): number
        for code, number in codes.items()
        if number
    }
    found: JournalLine = {"type": "end", "at": at, "phase": phase, "codes": counts, "note": note}
    if all_known:
        found["all_known"] = True
    return _lines([found if outcomes is None else found | {"outcomes": dict(outcomes)}])


def _lines(records: Sequence[JournalLine]) -> bytes:
    """One object per line, in ASCII; its type comes first, as in no object of an array in it."""
    starts = range(0, len(records), _ENCODED)
    return b"".join([_few_lines(records[start : start + _ENCODED]) for start in starts])


def _few_lines(records: Sequence[JournalLine]) -> bytes:
    try:
        text = orjson.dumps(records)
    except TypeError:  # text that is not UTF-8
        text = b""
    if text and text.isascii() and b"\x7f" not in text:
        text = text[1:-1]  # the array is let go: a job may have hundreds of MB
        # No text can contain this separator: quotation marks in it are escaped.
        return text.replace(b'},{"type":', b'}\n{"type":') + b"\n"
    return "".join([_encode(one) + "\n" for one in records]).encode("ascii")


def _plain_score(score: float) -> float | str | None:
    """A score for JSON, which has no NaN (written as null) and no infinity (written as text)."""
    if math.isnan(score):
        return None
    return score if math.isfinite(score) else str(score)


def renamed(lines: bytes, name: Callable[[str], str]) -> bytes:
    """Returns ``job`` lines with other ids.

    Args:
        lines: as `snapshot_lines` makes them.
        name: makes the new id from the old one.
    """
    found = [record(line) or {} for line in lines.splitlines(keepends=True)]
    return _lines([one | {"id": name(_text(one.get("id")))} for one in found])


# From lines --------------------------------------------------------------------------------------


def record(line: bytes) -> JournalLine | None:
    """Decodes a line; None if it is incomplete, or not one of ours."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        return None
    return found


@dataclass(frozen=True, slots=True)
class Glance:
    """The part of a ``job``, ``code`` or ``withdrawn`` line that is needed for counting."""

    job_id: str
    code: Code | None
    """None in a ``job`` line."""
    score: float | None = None
    withdrawn: bool = False
    """Whether it is a ``withdrawn`` line: a code 1 is void."""


def glance(line: bytes) -> Glance | None:
    """Decodes ``job``, ``code`` and ``withdrawn`` lines without their fields; else None.

    Costs about 1 µs however long the line is.
    """
    match = _JOB.match(line)
    if match is None or not line.endswith(b"}\n"):
        return None
    kind, id_, score, code = match.groups()
    try:
        job_id = json.loads(id_) if b"\\" in id_ else id_[1:-1].decode("ascii")
        if kind == b"code":
            return None if code is None else Glance(job_id, _WRITTEN.get(code, Code.UNKNOWN))
        known = None if score is None else _score(json.loads(score))
        return Glance(job_id, None, known, kind == b"withdrawn")
    except ValueError:
        return None


def all_known(line: bytes) -> bool:
    """Whether it is an end line that says that jobs without a code were certainly not sent."""
    return line.startswith(b'{"type":"end"') and (record(line) or {}).get("all_known") is True


def code_of(value: object) -> Code:
    """Returns the code in a line; `Code.UNKNOWN` for null, and for codes of other releases."""
    return Code(value) if isinstance(value, int) and value in _CODES else Code.UNKNOWN


_CODES: Final = frozenset(code.value for code in Code)
_FATES: Final = frozenset(fate.value for fate in Fate)
_WRITTEN: Final = {str(code.value).encode(): code for code in Code}


def header_of(found: JournalLine) -> Header:
    """Returns the header in a first line; a member that is missing or malformed gets a default."""
    selection, flow = _mapping(found.get("selection")), _mapping(found.get("flow"))
    jobs, until = selection.get("jobs"), selection.get("until")
    return Header(
        **{name: _text(found.get(name)) for name in _TEXTS},
        action=_text(found.get("action")) or (Verb.RERUN if flow else Verb.RETRY).value,
        at=whole_number(found.get("at")),
        pid=whole_number(found.get("pid")),
        format=whole_number(found.get("format")),
        selection=WrittenSelection(
            kind=_text(selection.get("kind")),
            jobs=whole_number(jobs) if jobs is not None else None,
            filter=_text(selection.get("filter")) or None,
            until=_score(until) if until is not None else None,
        ),
        resets={name: value is True for name, value in _mapping(found.get("resets")).items()},
        pace=_mapping(found.get("pace")),
        options=_mapping(found.get("options")),
        flow={name: _text(value) for name, value in flow.items()},
        server={name: _text(value) for name, value in _mapping(found.get("server")).items()},
    )


_TEXTS: Final = (
    *("where", "queue", "prefix", "state", "how", "reason", "undoes", "effect"),
    *("id", "user", "host", "version"),
)


def chosen_of(found: JournalLine) -> list[Picked]:
    """Returns the jobs of a ``chosen`` line."""
    jobs = found.get("jobs")
    return [
        Picked(one[0], _score(one[1]) if len(one) > 1 else None)
        for one in (jobs if isinstance(jobs, list) else [])
        if isinstance(one, list) and one and isinstance(one[0], str)
    ]


def with_texts(found: JournalLine, texts: Mapping[str, str]) -> JournalLine:
    """Returns the line with the texts that it refers to, given by digest, filled in."""
    fields = found.get("fields")
    if not isinstance(fields, dict):
        return found
    return {**found, "fields": {name: whole(value, texts) for name, value in fields.items()}}


def snapshot_of(found: JournalLine) -> Snapshot:
    """Returns the job of a ``job`` line, see `with_texts`."""
    score = _score(found["score"]) if "score" in found else None
    fields, family = (_texts(found.get(name)) for name in ("fields", "family"))
    known = family if "family" in found else None
    state, place = _text(found.get("state")), _text(found.get("place"))
    becomes = _texts(found.get("becomes")) if "becomes" in found else None
    whole_job = _mapping(found["whole"]) if "whole" in found else None
    children = None
    if "children" in found:
        children = {key: _texts(child) for key, child in _mapping(found["children"]).items()}
    queued = _texts(found["queued"]) if "queued" in found else None
    job_id = _text(found.get("id"))
    return Snapshot(
        job_id, score, fields, state, known, place, becomes, whole_job, children, queued
    )


def result_of(found: JournalLine) -> Result:
    """Returns the result of a ``code`` line."""
    texts = (_text(found.get(name)) for name in ("target", "error"))
    return Result(_text(found.get("id")), code_of(found.get("code")), *texts)


def outcome_of(found: JournalLine) -> tuple[str, Outcome]:
    """Returns the id and outcome of an ``outcome`` line; an unknown fate counts as waiting."""
    fate = found.get("fate")
    known = Fate(fate) if isinstance(fate, str) and fate in _FATES else Fate.WAITING
    return _text(found.get("id")), Outcome(known, _text(found.get("error")))


def codes_of(found: JournalLine) -> Counter[Code]:
    """Returns the codes counted in the last line."""
    counts: Counter[Code] = Counter()
    for name, number in _mapping(found.get("codes")).items():
        whole = name.removeprefix("-").isdecimal() and name.isascii()
        counts[code_of(int(name) if whole and len(name) < 9 else None)] += whole_number(number)
    return counts


def server_of(found: JournalLine) -> dict[str, str]:
    """Returns the server of a ``server`` line."""
    return {name: _text(value) for name, value in _mapping(found.get("server")).items()}


def outcomes_of(found: JournalLine) -> dict[str, int] | None:
    """Returns the jobs per fate in the last line; None if they were not followed."""
    counted = found.get("outcomes")
    if not isinstance(counted, dict):
        return None
    return {
        name: whole_number(number) for name, number in counted.items() if whole_number(number) > 0
    }


def _score(value: object) -> float:
    if isinstance(value, str):
        return _INFINITE.get(value, NEVER)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NEVER
    try:
        return float(value)
    except OverflowError:
        return NEVER


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> dict[str, str]:
    return {name: text for name, text in _mapping(value).items() if isinstance(text, str)}


def whole_number(value: object) -> int:
    """Returns a whole number; 0 for anything else, and for one larger than qtui ever writes."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        return 0
    return value


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
