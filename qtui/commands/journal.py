"""`qtui journal`: lists past operations made from this machine. Reads files only, never Redis."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.model import JobState
from qtui.commands.shared.asking import agreed, check_can_ask
from qtui.commands.shared.ndjson import row_object
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, CommandError, Workplace
from qtui.folders import MOVED_BY, NOWHERE
from qtui.operations.journal.facts import Snapshot
from qtui.operations.journal.pruning import prunable, prune
from qtui.operations.journal.reading import (
    UNREADABLE,
    JournalError,
    Summary,
    UnknownCampaign,
    campaigns,
    find,
    read_lines,
    rebuilt,
    summary,
    with_undos,
)
from qtui.text import age, count, plain, plural
from qtui.text import size as size_of
from qtui.verbs import NOUNS
from qtui.views.campaigns import (
    Story,
    before_words,
    campaign_words,
    code_words,
    facts,
    groups_title,
    job_row,
    phase_of,
    queue_name,
    read_story,
    state_before,
)
from qtui.views.columns import HEADS, cells
from qtui.views.tone import Tone

_GROUPS_SHOWN: Final = 30
_PAGE: Final = 200
_AGE: Final = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_OWN_COLUMN: Final = (Code.DONE, Code.NO_SUCH_JOB, Code.NOT_IN_STATE)
_TONES: Final = {
    "running": Tone.BUSY,
    "unfinished": Tone.BAD,
    UNREADABLE: Tone.BAD,
    "done": Tone.GOOD,
}


def list_journal(out: Paper, err: Paper, folder: Path, *, json: bool) -> int:
    """Prints every campaign, newest first."""
    heads = [Column("id"), Column("ago", right=True), Column("who"), Column("queue")]
    numbers = [Column(head, right=True) for head in ("done", "-1", "-3")]
    size = Column("size", right=True)
    table = Table(out, [*heads, Column("selection"), *numbers, size, Column("state")])
    now, rows, octets = time.time() * 1000, [], 0
    try:
        for one in with_undos(campaigns(folder)):
            octets += one.size
            if json:
                out.json(campaign_object(one))
            else:
                rows.append(list(_cells(one, now)))
    except JournalError as error:
        raise _stop(error) from None
    if rows:
        table.write(rows)
        where = f"{plural(len(rows), 'operation')}, {size_of(octets)} in {plain(str(folder))}"
        err.line(f"{where}; --prune AGE deletes old ones")
    elif not json:
        home = folder != NOWHERE
        err.line(
            f"no operations in {plain(str(folder))}" if home else f"no home folder: {MOVED_BY}"
        )
    return DONE


def prune_journal(
    place: Workplace, age_of: str, *, unfinished: bool, dry_run: bool, yes: bool
) -> int:
    """Deletes the journals of old retries once the user confirms; returns the exit code.

    Args:
        place: has the journal's folder.
        age_of: delete journals of retries that ended longer ago than this, such as ``30d``.
        unfinished: also delete those that could still be resumed.
        dry_run: only list them.
        yes: do not ask for confirmation.
    """
    out, err, folder = place.out, place.err, place.journal
    try:
        found = list(prunable(folder, _moment_before(age_of), unfinished=unfinished))
        if not found:
            err.line(f"no operation ended more than {age_of} ago in {plain(str(folder))}")
            return DONE
        _list_prunable(out, found)
        octets = sum(one.size for one in found)
        what = f"{plural(len(found), 'journal')}, {size_of(octets)}"
        if dry_run:
            err.line(f"would delete {what}")
            return DONE
        if not yes:
            check_can_ask(place)
            out.flush()
            if not agreed(f"Delete {what}? The errors and return values in them are lost. [y/N] "):
                err.line("qtui: nothing was deleted")
                return NOT_ALL
        return _delete(out, err, folder, found)
    except JournalError as error:
        raise _stop(error) from None


def _delete(out: Paper, err: Paper, folder: Path, found: Sequence[Summary]) -> int:
    deleted = 0
    for one in found:
        try:
            prune(folder, one)
        except JournalError as error:
            err.line(f"qtui: {plain(str(error))}")
        else:
            deleted += 1
    out.line(f"{count(deleted)} of {plural(len(found), 'journal')} deleted")
    return DONE if deleted == len(found) else NOT_ALL


def _list_prunable(out: Paper, found: Sequence[Summary]) -> None:
    now = time.time() * 1000
    heads = [Column("id"), Column("ended", right=True), Column("queue"), Column("size", right=True)]
    table = Table(out, [*heads, Column("state")])
    table.write(
        [
            Cell(one.id),
            Cell(age(now - (one.until or one.header.at))),
            Cell(queue_name(one.header)),
            Cell(size_of(one.size)),
            Cell(plain(phase_of(one))),
        ]
        for one in found
    )


def _moment_before(age_of: str) -> int:
    """The moment an age before now, in ms since the epoch; a usage error if it is no age."""
    match = _AGE.fullmatch(age_of.strip())
    if match is None:
        raise CommandError(
            f"--prune takes an age such as 30d, 12h or 2w, not {plain(age_of)}", USAGE
        )
    return int(time.time() * 1000 - int(match[1]) * _UNITS[match[2]])


def show_campaign(out: Paper, folder: Path, name: str, *, json: bool, jobs: bool) -> int:
    """Prints one campaign.

    Args:
        out: where to print.
        folder: the journal's folder.
        name: the campaign's id, or its beginning or end.
        json: print every line of its journal; with ``jobs``, the jobs as `qtui jobs` does.
        jobs: print the jobs as they were before the retry, oldest finish first.
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


def campaign_object(one: Summary) -> dict[str, object]:
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
        "action": header.action,
        "reason": header.reason,
        "how": header.how,
        "flow": dict(header.flow) or None,
        "undoes": header.undoes or None,
        "undone_by": list(one.undone_by),
        "phase": phase_of(one),
        "ended": one.until or None,
        "jobs": one.jobs,
        "codes": codes,
        "note": one.note,
        "size": one.size,
    }


def _stop(error: JournalError) -> CommandError:
    return CommandError(str(error), USAGE if isinstance(error, UnknownCampaign) else NOT_ALL)


def _cells(one: Summary, now: float) -> Iterator[Cell]:
    header, phase = one.header, phase_of(one)
    yield Cell(header.id)
    yield Cell(age(now - header.at) if header.at else "?")
    yield Cell(f"{plain(header.user)}@{plain(header.host)}" if header.user else "?")
    yield Cell(queue_name(header))
    yield Cell(campaign_words(header))
    for code in _OWN_COLUMN:
        number = one.codes.get(code, 0)
        yield Cell(count(number)) if number else Cell("·", Tone.FAINT)
    yield Cell(size_of(one.size))
    others = [
        f"{count(number)} {code_words(header, code)}"
        for code, number in one.codes.items()
        if number and code not in _OWN_COLUMN
    ]
    if phase == UNREADABLE:
        others.append(plain(one.note))
    if one.undone_by:
        others.append(f"undone by {plain(', '.join(one.undone_by))}")
    yield Cell(" · ".join([plain(phase), *others]), _TONES.get(phase, Tone.PLAIN))


def _export(out: Paper, folder: Path, campaign_id: str) -> None:
    """Prints every line, encoded anew, so that only ASCII comes out of a file others may edit."""
    for found in read_lines(folder, campaign_id):
        try:
            out.json(found)
        except ValueError as error:  # qtui writes no infinite number
            raise JournalError(f"the journal of {campaign_id} was edited: {error}") from None


# The jobs as they were ---------------------------------------------------------------------------


def _show_jobs(out: Paper, folder: Path, campaign_id: str, *, json: bool) -> None:
    state = state_before(summary(folder, campaign_id).header)
    jobs = rebuilt(folder, campaign_id)
    if json:
        for one in jobs:
            out.json(row_object(job_row(one), state))
        return
    table, now = Table(out, _columns(state)), time.time() * 1000
    page: list[Snapshot] = []
    for one in jobs:
        page.append(one)
        if len(page) == _PAGE:
            table.write(_job_cells(job, state, now) for job in page)
            page.clear()
    table.write(_job_cells(job, state, now) for job in page)


def _columns(state: JobState) -> list[Column]:
    heads = HEADS[state]
    attempts, when = Column("attempts", right=True), Column(heads.when, right=True)
    return [Column("id"), Column("name"), attempts, when, Column(heads.what)]


def _job_cells(job: Snapshot, state: JobState, now: float) -> list[Cell]:
    one = cells(job_row(job), state, now)
    return [
        Cell(one.id),
        Cell(one.name),
        Cell(one.attempts),
        Cell(one.when),
        Cell(one.what, one.tone),
    ]


# One campaign ------------------------------------------------------------------------------------


def _show(out: Paper, folder: Path, campaign_id: str) -> None:
    found = (one for one in with_undos(campaigns(folder)) if one.id == campaign_id)
    one = next(found, None) or summary(folder, campaign_id)
    state, story = state_before(one.header), read_story(folder, campaign_id)
    out.line(out.styled(one.id, bold=True))
    rows = list(facts(one, story))
    width = max(len(label) for label, _ in rows)
    for label, words in rows:
        out.line(f"  {label.ljust(width)}  {words}")
    if story.groups:
        _heading(out, groups_title(one.header))
        table = Table(out, [Column("jobs", right=True), Column("name"), Column("error")])
        groups = story.errors()
        table.write(_group_cells(groups))
        more = len(groups) - _GROUPS_SHOWN
        if more > 0:
            out.line(f"and {plural(more, 'group')} more")
    if story.of_queues:
        noun = NOUNS.get(one.header.selection.kind, "queue")
        _heading(out, f"{noun}s")
        table = Table(out, [Column(noun), Column("result"), Column("before")])
        table.write(
            [
                Cell(plain(name)),
                Cell(*_said(story, name, state)),
                Cell(", ".join(before_words(one))),
            ]
            for name, one in story.jobs.items()
        )
    elif story.groups:
        _heading(out, "jobs")
        table = Table(out, [*_columns(state)[:-1], Column("result"), _columns(state)[-1]])
        now = time.time() * 1000
        table.write(
            [*shown[:-1], Cell(*_said(story, job.id, state)), shown[-1]]
            for job in story.jobs.values()
            for shown in [_job_cells(job, state, now)]
        )
        if one.jobs > len(story.jobs):
            left = plural(one.jobs - len(story.jobs), "job")
            out.line(f"and {left} more: `qtui journal {one.id} --jobs`")


def _said(story: Story, job_id: str, state: JobState) -> tuple[str, Tone]:
    found = story.result(job_id, state)
    return found.text, found.tone


def _heading(out: Paper, words: str) -> None:
    out.line()
    out.line(out.styled(words, bold=True))


def _group_cells(groups: Counter[tuple[str, str]]) -> Iterator[list[Cell]]:
    for (name, error), jobs in groups.most_common(_GROUPS_SHOWN):
        words = Cell(plain(error), Tone.BAD) if error else Cell("no reason given", Tone.FAINT)
        yield [Cell(count(jobs)), Cell(plain(name) or "(no name)"), words]
