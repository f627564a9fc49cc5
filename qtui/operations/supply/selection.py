"""Which jobs a retry is about: ids that were chosen, or a query and the moment it was made.

A query never becomes a list of ids. It is read as a stream, oldest finish first, as often as it is
needed: once to plan, once to carry out. Jobs that finish after its moment are not in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from qtui.bullmq.connection import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.page import short_row
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.scores import newest_score
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
    return Query(queue, state, wanted, await newest_score(client, queue, state))


def _check(state: JobState) -> None:
    if not state.is_finished:
        raise ValueError(f"{state} jobs can't be retried, only completed and failed ones")


async def chosen_rows(client: Client, selection: Chosen) -> AsyncIterator[list[Row]]:
    """The chosen jobs as they are now, `CHOSEN_AT_ONCE` at a time; one elsewhere has no score.

    Costs what `Reader.rows` costs: a round trip a chunk, two commands a job.

    Raises:
        REFUSED: Redis would not tell where the jobs are.
    """
    reader = Reader(client)
    for start in range(0, len(selection.jobs), CHOSEN_AT_ONCE):
        ids = [one.job_id for one in selection.jobs[start : start + CHOSEN_AT_ONCE]]
        yield await reader.rows(selection.queue, selection.state, ids)


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


async def met_rows(client: Client, queue: QueueKey, met: Sequence[Met]) -> list[Row]:
    """The jobs that a step of a hunt met, as rows; `LIST_FIELDS` must have been read.

    Costs what `Reader.mark_missing` costs: mostly nothing.
    """
    rows = [
        replace(short_row(one.id, [one.fields[name] for name in LIST_FIELDS]), score=one.score)
        for one in met
    ]
    return list(await Reader(client).mark_missing(queue, rows))
