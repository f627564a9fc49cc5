"""The jobs of a retry: chosen ids, or a query pinned to the moment it was made.

A query never becomes a list of ids. It is read as a stream, oldest finish first, each time it is
needed: once to plan, once to retry. Jobs that finish after it was made are not included.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.page import short_row
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.scores import newest_score
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Met
from qtui.bullmq.writers.batch import Picked

CHOSEN_AT_ONCE: Final = 250
"""Chosen jobs read in one round trip."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Jobs chosen one by one, in the order of their retry."""

    queue: QueueKey
    state: JobState
    jobs: tuple[Picked, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """All jobs of a state that match, and had finished when the query was made."""

    queue: QueueKey
    state: JobState
    filter: Filter | None
    """None: every job of the state."""
    until: float
    """The highest score in it; read from the state, since workers write scores by their clocks."""


Selection: TypeAlias = Chosen | Query


def chosen(queue: QueueKey, state: JobState, ids: Sequence[str]) -> Chosen:
    """Returns the jobs with these ids, in any state; an id given twice counts once.

    Raises:
        ValueError: jobs in ``state`` can't be retried.
    """
    _check(state)
    return Chosen(queue, state, tuple(Picked(one) for one in dict.fromkeys(ids)))


async def query(
    client: Client, queue: QueueKey, state: JobState, wanted: Filter | None = None
) -> Query:
    """Returns a query for all jobs of a state that match now. Costs one command of O(log n).

    Raises:
        ValueError: jobs in ``state`` can't be retried.
    """
    _check(state)
    return Query(queue, state, wanted, await newest_score(client, queue, state))


def _check(state: JobState) -> None:
    if not state.is_finished:
        raise ValueError(f"{state} jobs can't be retried, only completed and failed ones")


async def chosen_rows(client: Client, selection: Chosen) -> AsyncIterator[list[Row]]:
    """Yields the chosen jobs as they are now, `CHOSEN_AT_ONCE` at a time.

    A job that is no longer in the state has no score. Costs what `Reader.rows` costs: a round trip
    a chunk, two commands a job.

    Raises:
        REFUSED: Redis refused to read the state or the jobs.
    """
    reader = Reader(client)
    for start in range(0, len(selection.jobs), CHOSEN_AT_ONCE):
        ids = [one.job_id for one in selection.jobs[start : start + CHOSEN_AT_ONCE]]
        yield await reader.rows(selection.queue, selection.state, ids)


def hunt_for(
    client: Client, selection: Query, fields: Sequence[str], *, rate: float | None = None
) -> Hunt:
    """Returns the search for the jobs of a query, oldest finish first."""
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
    """Returns the jobs found in one step of a hunt as rows; it must have read `LIST_FIELDS`.

    Costs what `Reader.mark_missing` costs: usually nothing.
    """
    rows = [
        replace(short_row(one.id, [one.fields[name] for name in LIST_FIELDS]), score=one.score)
        for one in met
    ]
    return list(await Reader(client).mark_missing(queue, rows))
