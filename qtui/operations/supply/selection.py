"""The jobs of an action: chosen ids, or a query pinned to the moment it was made.

Scores of finished jobs are moments. So a query on them never becomes a list of ids: it is read as a
stream, oldest finish first, each time it is needed, and jobs that finish after it was made are not
included. No other state says since when a job is in it: there a plan turns the query into the jobs
that it has seen, each with its pin (`Pins`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reads.page import short_rows
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.reads.scores import newest_score
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Step
from qtui.bullmq.writers.batch import Picked
from qtui.operations.supply.pins import Pins

CHOSEN_AT_ONCE: Final = 250
"""Chosen jobs read in one round trip."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Jobs chosen one by one, in the order in which they are sent."""

    queue: QueueKey
    state: JobState
    jobs: tuple[Picked, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """All jobs of a state that match, and were in it when the query was made."""

    queue: QueueKey
    state: JobState
    filter: Filter | None
    """None: every job of the state."""
    until: float
    """For finished jobs the highest score in it, read from the state, since workers write scores by
    their clocks. For others, whose scores are no moments, infinite: a plan makes it `Chosen`."""


Selection: TypeAlias = Chosen | Query


def chosen(queue: QueueKey, state: JobState, ids: Sequence[str]) -> Chosen:
    """Returns the jobs with these ids, not pinned yet; an id given twice counts once."""
    return Chosen(queue, state, tuple(Picked(one) for one in dict.fromkeys(ids)))


async def query(
    client: Client, queue: QueueKey, state: JobState, wanted: Filter | None = None
) -> Query:
    """Returns a query for all jobs of a state that match now. Costs one command of O(log n)."""
    until = await newest_score(client, queue, state) if state.is_finished else math.inf
    return Query(queue, state, wanted, until)


async def chosen_rows(client: Client, selection: Chosen) -> AsyncIterator[list[Row]]:
    """Yields the chosen jobs as they are now, `CHOSEN_AT_ONCE` at a time, each with its pin.

    A job that is no longer in the state has no score. Costs what `Pins.rows` costs: a round trip a
    chunk, two commands a job; a list is searched once for all.

    Raises:
        REFUSED: Redis refused to read the state or the jobs.
    """
    pins = Pins(client, selection.queue, selection.state)
    ids = [one.job_id for one in selection.jobs]
    among = await pins.members(ids) if selection.state.is_list else None
    for start in range(0, len(ids), CHOSEN_AT_ONCE):
        yield await pins.rows(ids[start : start + CHOSEN_AT_ONCE], among)


def hunt_for(
    client: Client,
    selection: Query,
    fields: Sequence[str],
    *,
    rate: float | None = None,
    ahead: bool = False,
) -> Hunt:
    """Returns the search for the jobs of a query: lowest score first; a list from its head.

    ``ahead`` is for those who move none of the jobs meanwhile, see `Walk`.
    """
    return Hunt(
        client,
        selection.queue,
        selection.state,
        selection.filter,
        fields=fields,
        until=None if math.isinf(selection.until) else selection.until,
        newest_first=selection.state.is_list,
        rate=rate,
        ahead=ahead,
    )


async def met_rows(client: Client, selection: Query, step: Step) -> list[Row]:
    """Returns the jobs found in one step of a hunt as rows; it must have read `LIST_FIELDS`.

    Each has its pin as the score; None if it left its sorted set meanwhile. Costs what
    `Reader.mark_missing` costs: usually nothing.
    """
    rows = short_rows(step.ids, step.fields, step.scores)
    if selection.state.is_list:
        rows = [row._replace(score=row.stamp) for row in rows]
    return list(await Reader(client).mark_missing(selection.queue, rows))
