"""Reads the jobs of a selection for a plan, and fixes them: each with its pin. Reads only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import REFUSED
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, Row
from qtui.bullmq.reads.places import states_of
from qtui.bullmq.writers.batch import Picked
from qtui.operations.supply.selection import (
    Chosen,
    Query,
    Selection,
    chosen_rows,
    hunt_for,
    met_rows,
)

_SOUGHT: Final = 50
"""Most jobs that are looked for in other states."""


class Read(NamedTuple):
    """Some jobs of a selection, as they are now."""

    rows: Sequence[Row]
    """Each with its pin as the score; None if it is not in the state."""
    seen: int
    """How many jobs have been looked at so far."""
    total: int


async def selected_rows(
    client: Client, selection: Selection, *, rate: float | None = None
) -> AsyncIterator[Read]:
    """Yields the jobs of a selection in steps: a query's lowest score first, a list from its head.

    Costs what `chosen_rows` or a `Hunt` costs.

    Args:
        client: where to read.
        selection: which jobs.
        rate: jobs a second that a query reads at most, see `qtui.bullmq.search.walk.Walk`.
    """
    if isinstance(selection, Query):
        hunt = hunt_for(client, selection, LIST_FIELDS, rate=rate, ahead=True)
        async for step in hunt.steps():
            rows = await met_rows(client, selection, step)
            yield Read([row for row in rows if row.score is not None], hunt.seen, hunt.total)
        return
    seen = 0
    async for some in chosen_rows(client, selection):
        seen += len(some)
        yield Read(some, seen, len(selection.jobs))


async def states_elsewhere(client: Client, queue: QueueKey, rows: Sequence[Row]) -> dict[str, str]:
    """Returns by id where jobs are that are not in the selected state: ``it is completed``.

    Of the first `_SOUGHT` such jobs; none where Redis refuses to say it. Costs `states_of`.
    """
    ids = [row.id for row in rows if row.score is None and not row.missing][:_SOUGHT]
    try:
        found = await states_of(client, queue, ids) if ids else {}
    except REFUSED:
        return {}
    return {job_id: f"it is {place.words}" for job_id, place in found.items()}


def is_fixed_by(selection: Selection) -> bool:
    """Whether a plan names the jobs of a selection one by one; else the query itself is sent."""
    return isinstance(selection, Chosen) or not selection.state.is_finished


def fixed(selection: Selection, picked: Sequence[Picked]) -> Selection:
    """Returns the selection as a plan has fixed it.

    Args:
        selection: which jobs.
        picked: its jobs as they were read, in that order, if `is_fixed_by`.
    """
    if isinstance(selection, Chosen):
        return replace(selection, jobs=tuple(picked))
    if not is_fixed_by(selection):
        return selection
    # A list was read from its head; its jobs are found sooner from the tail.
    jobs = tuple(picked[::-1] if selection.state.is_list else picked)
    return Chosen(selection.queue, selection.state, jobs)
