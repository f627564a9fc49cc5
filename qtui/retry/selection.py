"""Which jobs a retry is about: ids that were chosen, or a query and the moment it was made.

A query never becomes a list of ids. It is read as a stream, oldest finish first, as often as it is
needed: once to plan, once to carry out. Jobs that finish after its moment are not in it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from qtui.bullmq.ask import Command, ask_all, number, score, scores, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.hunt import Hunt
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reader import Reader
from qtui.bullmq.steps import Met, Steps, read_fields
from qtui.bullmq.window import short_row
from qtui.bullmq.writer import Picked

CHUNK: Final = 250
"""Chosen jobs that are read in one round trip."""

STEP: Final = 100
"""Jobs whose evidence is read in one command at most: 0.5 to 1 ms of Redis's time."""

TOGETHER: Final = 6
"""Steps that are handed on together."""

_FIRST_STEP: Final = 25
_WEIGHTY: Final = ("failedReason", "returnvalue", "stacktrace", "opts")
_HEAVY: Final = 300_000
"""Characters of evidence in a step above which the next one is smaller."""

EVIDENCE: Final = (*LIST_FIELDS, "returnvalue", "stacktrace", "stc", "defa", "parent")
"""What a retry wipes or may change, and what tells which job it was."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Jobs chosen one by one, in the order in which they are to be retried."""

    queue: QueueKey
    state: JobState
    jobs: tuple[Picked, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """Every job of a state that matches and had finished when the query was made."""

    queue: QueueKey
    state: JobState
    filter: Filter | None
    """None: every job of the state."""
    until: float
    """The highest score in it. Workers write scores by their clocks, so this is one of theirs."""


Selection: TypeAlias = Chosen | Query


class Candidate(NamedTuple):
    """A job that a selection names, as it was read."""

    row: Row
    """With its score in the state, None where it is not in it (any more)."""
    fields: Mapping[str, str | None]
    """Those that were asked for, whole."""


def chosen(queue: QueueKey, state: JobState, ids: Sequence[str]) -> Chosen:
    """The jobs of these ids, wherever they stand; one named twice counts once.

    Raises:
        ValueError: jobs in ``state`` can't be retried.
    """
    _check(state)
    return Chosen(queue, state, tuple(Picked(one) for one in dict.fromkeys(ids)))


async def query(
    client: Client, queue: QueueKey, state: JobState, wanted: Filter | None = None
) -> Query:
    """Everything in a state that matches, as of now. Costs one command of O(log n).

    Raises:
        ValueError: jobs in ``state`` can't be retried.
    """
    _check(state)
    [newest] = await ask_all(client, [("ZREVRANGE", queue.key(state.key), 0, 0, "WITHSCORES")])
    until = next(iter(scores(newest).values()), None)
    return Query(queue, state, wanted, -math.inf if until is None else until)


async def count_until(client: Client, selection: Query) -> int:
    """Jobs of the state up to the query's moment, matching or not. Costs one command, O(log n)."""
    key, until = selection.queue.key(selection.state.key), f"{selection.until:.17g}"
    [reply] = await ask_all(client, [("ZCOUNT", key, "-inf", until)])
    return number(reply) or 0


def _check(state: JobState) -> None:
    if not state.is_finished:
        raise ValueError(f"{state} jobs can't be retried, only completed and failed ones")


async def candidates(
    client: Client,
    selection: Selection,
    fields: Sequence[str] = LIST_FIELDS,
    *,
    rate: float | None = None,
) -> AsyncIterator[list[Candidate]]:
    """Reads a selection, step by step; those of a query oldest finish first.

    Args:
        client: where to read.
        selection: which jobs.
        fields: what is read of each, `LIST_FIELDS` among them.
        rate: jobs a second that a query reads at most, see `qtui.bullmq.search.Walk`.

    Costs a round trip for each `CHUNK` chosen jobs, two commands a job; for a query its `Hunt`.
    """
    if isinstance(selection, Chosen):
        for start in range(0, len(selection.jobs), CHUNK):
            some = selection.jobs[start : start + CHUNK]
            yield await _read(client, selection, [one.job_id for one in some], fields)
        return
    hunt = hunt_for(client, selection, fields, rate=rate)
    async for step in hunt.steps():
        yield await judged(client, selection, step)


def hunt_for(
    client: Client, selection: Query, fields: Sequence[str], *, rate: float | None = None
) -> Hunt:
    """The search that finds the jobs of a query, oldest finish first."""
    return Hunt(
        client,
        selection.queue,
        selection.state,
        selection.filter,
        fields=fields,
        until=selection.until,
        newest_first=False,
        rate=rate,
    )


async def _read(
    client: Client, selection: Selection, ids: Sequence[str], fields: Sequence[str]
) -> list[Candidate]:
    key = selection.queue.key(selection.state.key)
    commands: list[Command] = []
    for job_id in ids:
        commands.append(("HMGET", selection.queue.job(job_id), *fields))
        commands.append(("ZSCORE", key, job_id))
    replies = await ask_all(client, commands)
    absent: list[str | None] = [None] * len(fields)
    met = [
        Met(job_id, dict(zip(fields, texts(values) or absent, strict=True)), score(at))
        for job_id, values, at in zip(ids, replies[::2], replies[1::2], strict=True)
    ]
    return await judged(client, selection, met)


async def judged(client: Client, selection: Selection, met: list[Met]) -> list[Candidate]:
    """The jobs that a step of a hunt met, as candidates; `LIST_FIELDS` must have been read."""
    rows = [
        replace(short_row(one.id, [one.fields[name] for name in LIST_FIELDS]), score=one.score)
        for one in met
    ]
    rows = list(await Reader(client).mark_missing(selection.queue, rows))
    return [Candidate(one, other.fields) for one, other in zip(rows, met, strict=True)]


async def evidence(client: Client, selection: Selection) -> AsyncGenerator[list[Met]]:
    """Reads what a retry of a selection wipes, up to `TOGETHER` steps at a time.

    Those of a query come oldest finish first. The next ones are read while these are looked at,
    which may move them: a job that stays until it is met is met once.

    Costs an HMGET for each chosen job, one round trip for `STEP` of them; for a query with a
    filter its `Hunt`; for a whole state two or three round trips for `STEP` jobs.
    """
    steps = _steps(client, selection)
    ahead = asyncio.ensure_future(_several(steps))
    try:
        while True:
            some, at_end = await ahead
            if not at_end:
                ahead = asyncio.ensure_future(_several(steps))
            yield some  # often nothing, where a filter matches little
            if at_end:
                return
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
        await steps.aclose()


async def _several(steps: AsyncIterator[list[Met]]) -> tuple[list[Met], bool]:
    """What the next steps found, and whether they were the last."""
    found: list[Met] = []
    for _ in range(TOGETHER):
        step = await anext(steps, None)
        if step is None:
            return found, True
        found += step
    return found, False


async def _steps(client: Client, selection: Selection) -> AsyncGenerator[list[Met]]:
    if isinstance(selection, Chosen):
        start, size = 0, _FIRST_STEP
        while start < len(selection.jobs):
            ids = [one.job_id for one in selection.jobs[start : start + size]]
            found = await read_fields(client, selection.queue, ids, EVIDENCE)
            start, size = start + size, _fitting(size, found)
            yield found
    elif selection.filter is not None:
        async for step in hunt_for(client, selection, EVIDENCE, rate=0).steps():
            yield step
    else:
        async for step in _oldest_first(client, selection):
            yield step


async def _oldest_first(client: Client, selection: Query) -> AsyncIterator[list[Met]]:
    """A whole state, whose jobs leave it as they are met: scores tell where to go on, not places.

    A step that does not begin at the first member begins with one that was passed already; where
    another one stands in its place the state has moved, and the place is looked up again.
    """
    steps = Steps(client, selection.queue, selection.state, newest_first=False, sort_ro=True)
    key = selection.queue.key(selection.state.key)
    start, last, tied, passed, size = 0, -math.inf, set[str](), "", _FIRST_STEP
    while True:
        met, at_end = await steps.read(start, size, EVIDENCE, last)
        moved = start > 0 and not (met and (_score(met[0]) < last or met[0].id == passed))
        fresh = [] if moved else [one for one in met if _is_new(one, last, tied)]
        fresh = [one for one in fresh if _score(one) <= selection.until]
        if fresh:
            before, last = last, _score(fresh[-1])
            tied = (tied if last == before else set()) | {
                one.id for one in fresh if _score(one) == last
            }
            yield fresh
        if not moved and (at_end or (met and _score(met[-1]) > selection.until)):
            return
        if fresh or moved:
            [count] = await ask_all(client, [("ZCOUNT", key, "-inf", f"({last:.17g}")])
            start, passed = max(0, (number(count) or 0) - 1), ""
        else:  # more of one score than a step has, and all of them stand still where they stood
            start, passed = start + size - 1, met[-1].id if met else ""
        size = _fitting(size, met)


def _fitting(size: int, met: Sequence[Met]) -> int:
    """The size of the next step, after one that found this."""
    weight = sum(len(one.fields[name] or "") for one in met for name in _WEIGHTY)
    if weight > _HEAVY:
        return max(2, size * _HEAVY // weight)
    return min(STEP, size * 2) if weight < _HEAVY // 2 else size


def _score(one: Met) -> float:
    return math.inf if one.score is None else one.score


def _is_new(one: Met, last: float, tied: set[str]) -> bool:
    return _score(one) > last or (_score(one) == last and one.id not in tied)
