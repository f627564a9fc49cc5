"""`qtui show`: prints everything Redis holds for a job. Reads only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, name_queues
from qtui.bullmq.reads.job import Job, WrongType, find_job, read_whole_job
from qtui.commands.shared.find import ALL_QUEUES, find_queue, find_queues, hint, where_queues_are
from qtui.commands.shared.output import Paper
from qtui.commands.shared.run import DONE, NOT_ALL, USAGE, CommandError, Workplace
from qtui.text import lines, plain, plural, size
from qtui.views.document import Body, Json, Log, Pairs, Pending, Section, Stack, Text
from qtui.views.job_document import job_sections
from qtui.views.job_json import job_object
from qtui.views.large_json import LARGE, NoJson, pretty_lines
from qtui.views.tone import Tone

_AT_ONCE: Final = 1000
"""Lines written at a time."""


def show_jobs(place: Workplace, queue: str, ids: Sequence[str], *, as_json: bool) -> int:
    """Prints jobs one after the other; a job that can't be shown has its error at its place."""
    return place.ask(lambda client: _show(client, place, queue, ids, as_json=as_json))


async def _show(
    client: Client, place: Workplace, queue: str, ids: Sequence[str], *, as_json: bool
) -> int:
    worst = DONE
    for number, job_id in enumerate(ids):
        try:
            job, logs = await _read(client, place, queue, job_id)
        except CommandError as error:
            if len(ids) == 1:
                raise
            place.out.flush()
            place.err.line(f"qtui: {plain(str(error))}")
            worst = max(worst, error.code)
            continue
        if as_json:
            place.out.json(job_object(job, logs))
        else:
            if number:
                place.out.line()
            _print(place.out, job, logs)
    return worst


async def _read(client: Client, place: Workplace, name: str, job_id: str) -> tuple[Job, list[str]]:
    """The job with every field and every log line, at full length."""
    if name == ALL_QUEUES:
        queue = await _queue_of(client, place, job_id)
    else:
        queue = (await find_queue(client, place.settings.prefixes, name)).queue
    try:
        found = await read_whole_job(client, queue, job_id)
    except WrongType as error:
        raise CommandError(str(error), NOT_ALL) from None
    if found is None:
        raise CommandError(f'no job "{job_id}" in {queue.base}', NOT_ALL)
    return found


async def _queue_of(client: Client, place: Workplace, job_id: str) -> QueueKey:
    """The only queue that has the job."""
    settings = place.settings
    statuses = await find_queues(client, settings.prefixes, settings.queues, err=place.err)
    found, closed = await find_job(client, [status.queue for status in statuses], job_id)
    if not found:
        searched = plural(len(statuses) - len(closed), "queue")
        refused = f"; Redis refused to read {name_queues(closed)}" if closed else ""
        if not statuses and not settings.queues:
            refused = f". {await hint(client, settings.prefixes)}"
        where = where_queues_are(settings.prefixes)
        raise CommandError(
            f'no job "{job_id}" in any of {searched} under {where}{refused}', NOT_ALL
        )
    if len(found) > 1:
        known = ", ".join(f"{queue.base} ({where.words})" for queue, where in found)
        raise CommandError(f'job "{job_id}" is in {len(found)} queues: name one of {known}', USAGE)
    return found[0][0]


def _print(paper: Paper, job: Job, logs: list[str]) -> None:
    paper.line(paper.styled(f"{plain(job.id)} {plain(job.row.name)}".rstrip(), bold=True))
    for section in job_sections(job, time.time() * 1000, roomy=True):
        whole = Log(tuple(logs)) if isinstance(section.body, Log) else section.body
        _print_section(paper, section, whole)


def _print_section(paper: Paper, section: Section, body: Body) -> None:
    tone = Tone.BAD if section.title == "error" else Tone.PLAIN
    note = paper.styled(f"   {plain(section.note)}", Tone.FAINT) if section.note else ""
    paper.line()
    paper.line(paper.styled(section.title, tone, bold=True) + note)
    found = (f"  {text}".rstrip() for text in _body_lines(body))
    while some := list(islice(found, _AT_ONCE)):
        paper.line("\n".join(some))


def _body_lines(body: Body) -> Iterator[str]:
    match body:
        case Json(text):
            yield from _json_lines(text)
        case Text(text) | Stack(text):
            yield from lines(text)
        case Pairs(rows):
            width = max((len(plain(label)) for label, _ in rows), default=0)
            for label, value in rows:
                first, *rest = lines(value)
                yield f"{plain(label).ljust(width)}  {first}"
                yield from (f"{' ' * width}  {more}" for more in rest)
        case Log(entries, start):
            width = len(str(start + len(entries) - 1))
            for number, entry in enumerate(entries, start):
                first, *rest = lines(entry)
                yield f"{number:>{width}}  {first}"
                yield from (f"{' ' * width}  {more}" for more in rest)
        case Pending(octets, _):
            yield f"({size(octets)}, gone before it could be read)"


def _json_lines(text: str) -> Iterator[str]:
    if len(text) >= LARGE:
        yield from _large_lines(text)
        return
    try:
        pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        yield "(not valid JSON)"
        pretty = text
    yield from lines(pretty)


def _large_lines(text: str) -> Iterator[str]:
    try:
        for line in pretty_lines(text):
            if line.isprintable():
                yield line
            else:
                yield from lines(line)
    except NoJson as error:
        yield "(not valid JSON from here on)" if error.at else "(not valid JSON)"
        yield from lines(text[error.at :])
