"""`qtui journal`: past retries made from this machine. Reads files only, never Redis."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, row
from qtui.bullmq.signature import signature
from qtui.commands.ndjson import row_object
from qtui.commands.output import Cell, Column, Paper, Table
from qtui.commands.run import DONE, NOT_ALL, USAGE, Stop
from qtui.retry.journal_lines import Evidence, Header, Record, outcome_of, result_of
from qtui.retry.journal_reading import (
    UNREADABLE,
    JournalError,
    Summary,
    UnknownCampaign,
    campaigns,
    find,
    read,
    rebuilt,
    summary,
)
from qtui.retry.outcome import Fate, Outcome
from qtui.text import age, count, first_line, plain, plural
from qtui.views.columns import HEADS, Tone, cells, verdict

_FIRST: Final = 20
"""Jobs that are shown of a campaign."""
_GROUPS: Final = 1000
"""Groups of failures that are told apart."""
_GROUPS_SHOWN: Final = 30
_PAGE: Final = 200
_OWN_COLUMN: Final = (Code.RETRIED, Code.NO_SUCH_JOB, Code.NOT_IN_STATE)
_TONES: Final = {
    "running": Tone.BUSY,
    "unfinished": Tone.BAD,
    UNREADABLE: Tone.BAD,
    "done": Tone.GOOD,
}


def list_journal(out: Paper, err: Paper, folder: Path, *, json: bool) -> int:
    """Prints all campaigns, newest first."""
    heads = [Column("id"), Column("ago", right=True), Column("who"), Column("queue")]
    numbers = [Column(head, right=True) for head in ("retried", "-1", "-3")]
    table = Table(out, [*heads, Column("what"), *numbers, Column("state")])
    now, rows = time.time() * 1000, []
    try:
        for one in campaigns(folder):
            if json:
                out.json(summary_object(one))
            else:
                rows.append(list(_cells(one, now)))
    except JournalError as error:
        raise _stop(error) from None
    if rows:
        table.write(rows)
    elif not json:
        err.line(f"no retries in {plain(str(folder))}")
    return DONE


def show_campaign(out: Paper, folder: Path, name: str, *, json: bool, jobs: bool) -> int:
    """Prints one campaign.

    Args:
        out: where to.
        folder: where journals are.
        name: its id, or the beginning or end of it.
        json: every line of its journal, as JSON; with ``jobs`` the jobs as `qtui jobs` has them.
        jobs: the jobs as they stood before they were retried, oldest finish first.
    """
    try:
        campaign_id = find(folder, name)
        if jobs:
            _show_jobs(out, folder, campaign_id, json=json)
        elif json:
            _export(out, folder, campaign_id)
        else:
            _show(out, folder, campaign_id)
    except JournalError as error:
        raise _stop(error) from None
    return DONE


def summary_object(one: Summary) -> dict[str, object]:
    """A campaign as JSON: times in ms since the epoch, codes as in the summary of a retry."""
    header, chosen = one.header, one.header.selection
    codes = {str(code.value): one.codes.get(code, 0) for code in _OWN_COLUMN}
    for code, number in one.codes.items():
        if number and code not in _OWN_COLUMN:
            codes["unknown" if code is Code.UNKNOWN else str(code.value)] = number
    return {
        "id": header.id,
        "at": header.at,
        "user": header.user,
        "host": header.host,
        "where": header.where,
        "queue": header.queue,
        "state": header.state,
        "selection": {"kind": chosen.kind, "jobs": chosen.jobs, "filter": chosen.filter},
        "how": header.how,
        "phase": _phase(one),
        "ended": one.until or None,
        "jobs": one.jobs,
        "codes": codes,
        "note": one.note,
    }


def _stop(error: JournalError) -> Stop:
    return Stop(str(error), USAGE if isinstance(error, UnknownCampaign) else NOT_ALL)


def _phase(one: Summary) -> str:
    """``running``, ``unfinished``, or how it ended."""
    if one.running:
        return "running"
    return one.phase if one.ended else "unfinished"


def _what(header: Header) -> str:
    chosen = header.selection
    jobs = "jobs" if chosen.jobs is None else plural(chosen.jobs, "job")
    if chosen.kind == "ids":
        return f"{jobs} by id"
    return f"{jobs} that match {plain(chosen.filter)}" if chosen.filter else f"all {jobs}"


def _queue(header: Header) -> str:
    """The queue's name, with its prefix where that is not the usual one."""
    name = header.queue.removeprefix(f"{header.prefix}:")
    return plain(name if header.prefix == "bull" else header.queue)


def _cells(one: Summary, now: float) -> Iterator[Cell]:
    header, phase = one.header, _phase(one)
    yield Cell(header.id)
    yield Cell(age(now - header.at) if header.at else "?")
    yield Cell(f"{plain(header.user)}@{plain(header.host)}" if header.user else "?")
    yield Cell(_queue(header))
    yield Cell(_what(header))
    for code in _OWN_COLUMN:
        number = one.codes.get(code, 0)
        yield Cell(count(number)) if number else Cell("·", Tone.FAINT)
    others = [
        f"{count(number)} {meaning(code, header.state)}"
        for code, number in one.codes.items()
        if number and code not in _OWN_COLUMN
    ]
    if phase == UNREADABLE:
        others.append(plain(one.note))
    yield Cell(" · ".join([plain(phase), *others]), _TONES.get(phase, Tone.PLAIN))


def _export(out: Paper, folder: Path, campaign_id: str) -> None:
    """Every line, encoded anew: whoever wrote into the file, only ASCII comes out."""
    for found in read(folder, campaign_id):
        try:
            out.json(found)
        except ValueError as error:  # no number of ours is infinite
            raise JournalError(f"the journal of {campaign_id} was changed: {error}") from None


# The jobs as they were ---------------------------------------------------------------------------


def _show_jobs(out: Paper, folder: Path, campaign_id: str, *, json: bool) -> None:
    state = _state(summary(folder, campaign_id).header)
    jobs = rebuilt(folder, campaign_id)
    if json:
        for one in jobs:
            out.json(row_object(job_row(one), state))
        return
    table, now = Table(out, _columns(state)), time.time() * 1000
    page: list[Evidence] = []
    for one in jobs:
        page.append(one)
        if len(page) == _PAGE:
            table.write(_job_cells(job, state, now) for job in page)
            page.clear()
    table.write(_job_cells(job, state, now) for job in page)


def _state(header: Header) -> JobState:
    return JobState.COMPLETED if header.state == JobState.COMPLETED else JobState.FAILED


def job_row(one: Evidence) -> Row:
    """The job as a list showed it before it was retried."""
    found = row(one.id, [one.fields.get(name) for name in LIST_FIELDS], one.score)
    value = one.fields.get("returnvalue")
    octets = 0 if value is None else len(value.encode("utf-8", "surrogateescape"))
    missing = not any(text is not None for text in one.fields.values())
    return replace(found, missing=missing, returnvalue=value, returnvalue_size=octets)


def _columns(state: JobState) -> list[Column]:
    heads = HEADS[state]
    tries, when = Column("tries", right=True), Column(heads.when, right=True)
    return [Column("id"), Column("name"), tries, when, Column(heads.what)]


def _job_cells(job: Evidence, state: JobState, now: float) -> list[Cell]:
    one = cells(job_row(job), state, now)
    return [Cell(one.id), Cell(one.name), Cell(one.tries), Cell(one.when), Cell(one.what, one.tone)]


# One campaign ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Story:
    """What one pass over a journal gathers; its memory does not grow with the jobs."""

    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    jobs: dict[str, Evidence] = field(default_factory=dict)
    """The first ones."""
    results: dict[str, Result] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    fates: Counter[Fate] = field(default_factory=Counter)
    resumed: list[Record] = field(default_factory=list)
    error: str = ""
    """The first words of Redis about a job that it refused to move."""

    def met(self, job: Evidence) -> None:
        """Counts one job."""
        alike = job.fields.get("name") or "", signature(job.fields.get("failedReason") or "")
        if alike not in self.groups and len(self.groups) >= _GROUPS:
            alike = ("", "(other errors)")
        self.groups[alike] += 1
        if len(self.jobs) < _FIRST:
            self.jobs[job.id] = job

    def add(self, found: Record) -> None:
        """Takes one line in."""
        match found["type"]:
            case "code":
                result = result_of(found)
                if result.job_id in self.jobs:
                    self.results[result.job_id] = result
                if result.code is Code.REFUSED and not self.error:
                    self.error = result.error
            case "outcome":
                job_id, outcome = outcome_of(found)
                self.fates[outcome.fate] += 1
                if job_id in self.jobs:
                    self.outcomes[job_id] = outcome
            case "resumed":
                self.resumed.append(found)

    def result(self, job_id: str, state: JobState) -> Cell:
        """What a job came to, as its row said it."""
        if job_id not in self.results:
            return Cell("? nobody knows", Tone.FAINT)
        found = verdict(self.results[job_id], self.outcomes.get(job_id), state)
        return Cell(plain(found.text), found.tone)


def _show(out: Paper, folder: Path, campaign_id: str) -> None:
    one = summary(folder, campaign_id)
    state, story = _state(one.header), _Story()
    for job in rebuilt(folder, campaign_id):
        story.met(job)
    for found in read(folder, campaign_id):
        story.add(found)
    out.line(out.styled(one.id, bold=True))
    facts = list(_facts(one, story))
    width = max(len(label) for label, _ in facts)
    for label, words in facts:
        out.line(f"  {label.ljust(width)}  {words}")
    if story.groups:
        _heading(out, "what was retried" if state is JobState.COMPLETED else "failures")
        table = Table(out, [Column("jobs", right=True), Column("name"), Column("error")])
        table.write(_group_cells(story.groups))
        more = len(story.groups) - _GROUPS_SHOWN
        if more > 0:
            out.line(f"and {plural(more, 'group')} more")
        _heading(out, "jobs")
        table = Table(out, [*_columns(state)[:-1], Column("result"), _columns(state)[-1]])
        now = time.time() * 1000
        table.write(
            [*shown[:-1], story.result(job.id, state), shown[-1]]
            for job in story.jobs.values()
            for shown in [_job_cells(job, state, now)]
        )
        if one.jobs > len(story.jobs):
            left = plural(one.jobs - len(story.jobs), "job")
            out.line(f"and {left} more: `qtui journal {one.id} --jobs`")


def _heading(out: Paper, words: str) -> None:
    out.line()
    out.line(out.styled(words, bold=True))


def _group_cells(groups: Counter[tuple[str, str]]) -> Iterator[list[Cell]]:
    for (name, error), jobs in groups.most_common(_GROUPS_SHOWN):
        words = Cell(plain(error), Tone.BAD) if error else Cell("no reason given", Tone.FAINT)
        yield [Cell(count(jobs)), Cell(plain(name) or "(no name)"), words]


def _facts(one: Summary, story: _Story) -> Iterator[tuple[str, str]]:
    header = one.header
    phase, ended = _phase(one), f", {_moment(one.until)}" if one.until else ""
    yield "state", plain(f"{phase}{ended}" + (f": {first_line(one.note)}" if one.note else ""))
    yield "began", _moment(header.at)
    yield "by", plain(f"{header.user}@{header.host}, process {header.pid}")
    for again in story.resumed:
        at = again.get("at")
        who = f"{again.get('user')}@{again.get('host')}, process {again.get('pid')}"
        yield "resumed", plain(f"{_moment(at if isinstance(at, int) else 0)} by {who}")
    yield "with", plain(f"{header.how or '?'} (qtui {header.version})")
    yield "on", plain(header.where)
    yield "queue", plain(header.queue)
    yield "jobs", f"{_what(header)}, out of {_state(header)}"
    yield "resets", _resets(header.resets)
    if header.pace:
        yield "pace", plain(", ".join(f"{name} {value}" for name, value in header.pace.items()))
    yield "codes", _codes(one.codes, _state(header)) or "none"
    if story.error:
        yield "refused", first_line(story.error)
    if story.fates:
        counted = (f"{count(number)} {fate}" for fate, number in story.fates.most_common())
        yield "became", plain(" · ".join(counted))


def _resets(resets: Mapping[str, bool]) -> str:
    names = [f"attempts {name}" for name in ("made", "started") if resets.get(name)]
    return " and ".join(names) or "none"


def _codes(codes: Mapping[Code, int], state: JobState) -> str:
    ordered: Iterable[tuple[Code, int]] = sorted(codes.items(), reverse=True)
    return " · ".join(
        f"{count(number)} {meaning(code, state)}"
        + (f" ({code.value})" if code not in (Code.RETRIED, Code.UNKNOWN) else "")
        for code, number in ordered
        if number
    )


def _moment(milliseconds: int) -> str:
    """A time of ours, in the time zone of who reads it."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return "?"
