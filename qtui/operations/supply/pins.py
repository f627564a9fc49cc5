"""Reads where jobs are and what pins them there, in a state of any kind. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Row
from qtui.bullmq.reads.lists import members_among
from qtui.bullmq.reads.places import Places, states_of
from qtui.bullmq.reads.reader import Reader


class RowsOf(Protocol):
    """Reads jobs as rows, each with its pin as the score; None if it is not where it should be."""

    async def rows(self, ids: Sequence[str]) -> list[Row]:
        """Returns some hundreds of jobs at most."""


def pins_of(client: Client, queue: QueueKey, state: JobState | None) -> RowsOf:
    """Returns what reads the pins of jobs in a state, or of such as are in none."""
    return NoState(client, queue) if state is None else Pins(client, queue, state)


class NoState:
    """Reads the pins of jobs that have a hash and are in no state: their stamps.

    Args:
        client: where to read.
        queue: the queue of the jobs.
    """

    def __init__(self, client: Client, queue: QueueKey) -> None:
        self._client = client
        self._queue = queue

    async def rows(self, ids: Sequence[str]) -> list[Row]:
        """Returns jobs as rows, each with its stamp as the score; None if it is in a state or gone.

        Costs what `Reader.rows` and `states_of` cost.

        Raises:
            REFUSED: Redis refused to read a state or the jobs.
        """
        # Of a list, `rows` reads the hashes alone.
        rows = await Reader(self._client).rows(self._queue, JobState.WAITING, ids)
        states = await states_of(self._client, self._queue, ids)
        return [
            row._replace(
                score=None if row.missing or states[row.id].state is not None else row.stamp
            )
            for row in rows
        ]


class Pins:
    """Reads the pins of jobs in one state: scores in a sorted set, stamps in a list.

    A pin says that a job is still what it was when it was picked: in finished states it is the
    finish, in `delayed` the moment it is due, in `prioritized` its turn. In a list, which has no
    scores, it is the job's `Row.stamp`.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        state: the state in which they are expected.
    """

    def __init__(self, client: Client, queue: QueueKey, state: JobState) -> None:
        self._client = client
        self._queue = queue
        self._state = state

    async def rows(self, ids: Sequence[str], among: Collection[str] | None = None) -> list[Row]:
        """Returns jobs as rows, each with its pin as the score; None if it is not in the state.

        Args:
            ids: the jobs, some hundreds at most.
            among: the members of a list, if they were read before.

        Costs what `Reader.rows` costs, and for a list `members_among`.

        Raises:
            REFUSED: Redis refused to read the state or the jobs.
        """
        rows = await Reader(self._client).rows(self._queue, self._state, ids)
        if not self._state.is_list:
            return rows
        if among is None:
            among = await self.members(ids)
        return [row._replace(score=row.stamp if row.id in among else None) for row in rows]

    async def read(self, ids: Sequence[str]) -> list[float | None]:
        """Returns the pin of each job, None if it is not in the state.

        Costs a ZMSCORE for a sorted set, `rows` for a list.

        Raises:
            FORBIDDEN: the ACL forbids reading the state.
            LOST: the jobs could not be read; call it again.
        """
        if self._state.is_list:
            return [row.score for row in await self.rows(ids)]
        return await Places(self._client, self._queue).scores(self._state, ids)

    async def members(self, ids: Sequence[str]) -> set[str]:
        """Returns which of the jobs are in the state, which must be a list."""
        return await members_among(self._client, self._queue.key(self._state.key), ids)
