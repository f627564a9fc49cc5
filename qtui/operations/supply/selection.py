"""Which jobs a retry is about: ids that were chosen, or a query and the moment it was made.

A query never becomes a list of ids. It is read as a stream, oldest finish first, as often as it is
needed: once to plan, once to carry out. Jobs that finish after its moment are not in it.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from qtui.bullmq.ask import (
    Command,
    ask_all,
    number,
    score,
    scores,
    texts,
    unrefused,
)
from qtui.bullmq.connection import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.window import short_row
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Met
from qtui.bullmq.writer import Picked

CHOSEN_AT_ONCE: Final = 250
"""Chosen jobs that are read in one round trip."""


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
    until = next(iter(scores(unrefused(newest)).values()), None)
    return Query(queue, state, wanted, -math.inf if until is None else until)


async def count_until(client: Client, selection: Query) -> int:
    """Jobs of the state up to the query's moment, matching or not. Costs one command, O(log n)."""
    key, until = selection.queue.key(selection.state.key), f"{selection.until:.17g}"
    [reply] = await ask_all(client, [("ZCOUNT", key, "-inf", until)])
    return number(unrefused(reply)) or 0


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
        rate: jobs a second that a query reads at most, see `qtui.bullmq.search.walk.Walk`.

    Costs a round trip for each `CHOSEN_AT_ONCE` chosen jobs, two commands a job; for a query its
    `Hunt`.
    """
    if isinstance(selection, Chosen):
        for start in range(0, len(selection.jobs), CHOSEN_AT_ONCE):
            some = selection.jobs[start : start + CHOSEN_AT_ONCE]
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
        Met(job_id, dict(zip(fields, texts(values) or absent, strict=True)), score(unrefused(at)))
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
