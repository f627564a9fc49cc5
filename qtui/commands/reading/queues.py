"""`qtui queues`: lists queues with their counts, most failed jobs first. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.dialect import QueueEvidence
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind, QueueStatus
from qtui.bullmq.reads.queues.discovery import discover
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.status import check_permission, read_status
from qtui.commands.shared.find import queue_key, say_none, where_queues_are
from qtui.commands.shared.ndjson import queue_object
from qtui.commands.shared.output import Cell, Column, Paper, Table
from qtui.commands.shared.run import USAGE, Workplace
from qtui.settings import Settings
from qtui.text import count, plain
from qtui.views.queues.hidden import hidden_words
from qtui.views.tone import Tone

_AT_ONCE: Final = 100
"""Queues whose counts are read per round trip."""

_CONNECTIONS: Final = 4
"""Queues whose evidence is read in parallel; the pool has twice as many connections."""

_ALWAYS: Final = (JobState.FAILED, JobState.WAITING, JobState.ACTIVE, JobState.COMPLETED)
_ORDER: Final = (
    *(JobState.FAILED, JobState.WAITING, JobState.ACTIVE, JobState.DELAYED, JobState.PRIORITIZED),
    *(JobState.WAITING_CHILDREN, JobState.PAUSED, JobState.COMPLETED),
)
"""The columns; those of other states are there only if some queue holds jobs in them."""


@dataclass(frozen=True, slots=True)
class _Line:
    status: QueueStatus
    workers: int | None
    evidence: QueueEvidence


def list_queues(place: Workplace, *, json: bool) -> int:
    """Prints all queues, or those that the settings name."""
    lines = place.ask(lambda client: _read(client, place))
    if json:
        for one in lines:
            place.out.json(queue_object(one.status, one.workers, one.evidence))
    elif lines:
        _print(place.out, lines)
    return USAGE if _miss(place, lines) else 0


async def _read(client: Client, place: Workplace) -> list[_Line]:
    """Costs one SCAN of the keyspace per prefix, and three round trips for every few queues."""
    settings = place.settings
    keys = _named(settings)
    hidden: list[QueueKey] = []
    if not settings.queues:
        found = discover(client, settings.prefixes, hidden=hidden.extend)
        keys = [key async for some in found for key in some]
    statuses: list[QueueStatus] = []
    for start in range(0, len(keys), _AT_ONCE):
        statuses += await read_status(client, keys[start : start + _AT_ONCE])
    hidden += [status.queue for status in statuses if status.hidden]
    statuses = [status for status in statuses if status.exists]
    statuses.sort(key=lambda status: (-status.failed, status.queue.base))
    first = [status.queue for status in statuses[:1]]
    await check_permission(client, first or [QueueKey.of(one, "-") for one in settings.prefixes])
    if statuses and hidden:
        place.err.line(f"qtui: {hidden_words(hidden)}")
    if not statuses:
        if not settings.queues:
            await say_none(client, place.err, settings.prefixes)
        return []
    workers = await read_workers(client, [status.queue for status in statuses])
    reader, lines = Reader(client), list[_Line]()
    for start in range(0, len(statuses), _CONNECTIONS):
        some = statuses[start : start + _CONNECTIONS]
        evidence = await asyncio.gather(*(reader.evidence(status.queue) for status in some))
        lines += (
            _Line(status, None if workers is None else workers[status.queue], seen)
            for status, seen in zip(some, evidence, strict=True)
        )
    return lines


def _named(settings: Settings) -> list[QueueKey]:
    bases = [f"{prefix}:{name}" for prefix in settings.prefixes for name in settings.queues]
    keys = (queue_key(base, settings.prefixes) for base in dict.fromkeys(bases))
    return [key for key in keys if key is not None]


def _miss(place: Workplace, lines: Sequence[_Line]) -> bool:
    """Prints which named queues do not exist; whether there are any."""
    settings = place.settings
    found = {one.status.queue.name for one in lines}
    for name in settings.queues:
        if name not in found:
            place.err.line(plain(f'no queue "{name}" under {where_queues_are(settings.prefixes)}'))
    return any(name not in found for name in settings.queues)


def _print(paper: Paper, lines: Sequence[_Line]) -> None:
    several = len({one.status.queue.prefix for one in lines}) > 1
    held = {state for one in lines for state in _ORDER if one.status.counts.get(state) != 0}
    states = [state for state in _ORDER if state in held or state in _ALWAYS]
    heads = [Column("queue"), *(Column(state.value, right=True) for state in states)]
    table = Table(paper, [*heads, Column("workers", right=True), Column("notes")])
    table.write(list(_cells(one, states, several=several)) for one in lines)


def _cells(one: _Line, states: Sequence[JobState], *, several: bool) -> Iterator[Cell]:
    queue = one.status.queue
    yield Cell(plain(queue.base if several else queue.name))
    for state in states:
        yield _number(one.status.counts.get(state), bad=state is JobState.FAILED)
    yield _number(one.workers)
    yield Cell(" · ".join(_condition(one)), Tone.BUSY if one.status.paused else Tone.FAINT)


def _number(number: int | None, *, bad: bool = False) -> Cell:
    if number is None:
        return Cell("?", Tone.FAINT)
    if not number:
        return Cell("·", Tone.FAINT)
    return Cell(count(number), Tone.BAD if bad else Tone.PLAIN)


def _condition(one: _Line) -> Iterator[str]:
    status = one.status
    if status.paused:
        yield "paused"
    elif stranded := status.count(JobState.PAUSED):
        yield f"{count(stranded)} stranded in paused: resume the queue again"
    if status.concurrency is not None:
        yield f"global concurrency {count(status.concurrency)}"
    if status.kind is not Kind.BULLMQ:
        yield f"{status.kind}: qtui can't retry its jobs"
    if status.version:
        yield plain(status.version).replace("bullmq:", "BullMQ ")
    if status.kind is Kind.BULLMQ:
        known = one.evidence.dialect != "?"
        yield f"run by BullMQ {one.evidence.releases}" if known else one.evidence.releases
