"""One search over all states of many queues: by ids first, then queue by queue. Reads only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from redis.exceptions import ResponseError

from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import is_wrong_type
from qtui.bullmq.filter import Filter
from qtui.bullmq.filter.columns import Columns
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, rows_of
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.job import find_job
from qtui.bullmq.reads.scores import newest_score
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Step

_ORDER: Final = (
    JobState.FAILED,
    *(JobState.WAITING_CHILDREN, JobState.DELAYED, JobState.PRIORITIZED, JobState.PAUSED),
    *(JobState.WAITING, JobState.ACTIVE, JobState.COMPLETED),
)
"""Failed first: it is why one searches. Then as jobs move, so that none escapes by moving on."""

_COUNTED: Final = 200
"""Queues whose jobs are counted in one round trip."""

_LOOKED_UP: Final = 500
"""Queues in which an id is looked up in one round trip."""

_SCORED: Final = frozenset({JobState.DELAYED, JobState.WAITING_CHILDREN})
"""States whose rows show a time that only the score has."""


class FoundJob(NamedTuple):
    """A job that matches, and where it was found."""

    queue: QueueKey
    state: JobState
    row: Row


class Everywhere:
    """Searches all states of some queues; it can be stopped at any time, and continued.

    Args:
        client: where to read.
        queues: where to search, in this order.
        wanted: which jobs.
        rate: jobs a second at most, see `Walk`.
    """

    def __init__(
        self,
        client: Client,
        queues: Sequence[QueueKey],
        wanted: Filter,
        *,
        rate: float | None = None,
    ) -> None:
        self.wanted = wanted
        self.queues = tuple(queues)
        self.total = 0
        """Jobs to look at, as counted when the search began; 0 until then."""
        self.done = 0
        """Queues that were searched."""
        self.state: JobState | None = None
        """The state that is searched now, in the queue after those that are done."""
        self.refused: dict[QueueKey, None] = {}
        """Queues of which Redis refused to show something."""
        self.finished = False
        self._client = client
        self._rate = rate
        self._hunt: Hunt | None = None
        self._seen = 0
        self._looked_up: set[str] | None = None
        """The jobs that were found by their ids, as keys; None before that."""
        self._states: list[JobState] | None = None
        """States of the current queue that are still to be searched."""
        self._newest_failure: float | None = None

    @property
    def queue(self) -> QueueKey | None:
        """The queue that is searched now."""
        return self.queues[self.done] if self.done < len(self.queues) else None

    @property
    def seen(self) -> int:
        """Jobs looked at so far."""
        return self._seen + (self._hunt.seen if self._hunt is not None else 0)

    @property
    def resting(self) -> bool:
        """Whether it is throttled, to leave the server to others."""
        return self._hunt is not None and self._hunt.resting

    async def steps(self) -> AsyncIterator[list[FoundJob]]:
        """Yields what each step found; often nothing, so that progress can be shown.

        A job whose whole id is a term of the filter comes first, whichever queue has it. A search
        that was left continues with the state in which it was left, from its beginning. A job that
        moves meanwhile may be met in two states; one that fails meanwhile is met.

        Costs a `find_job` for each id; then for each queue a `read_status` and a `Hunt` through
        each state that holds jobs.

        Raises:
            FilterError: a pattern ran away and was stopped.
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        named = self.wanted.exact_ids()
        if self._looked_up is None:
            ids = sorted(named) if named is not None else self.wanted.id_candidates()
            met: set[str] = set()
            for one in ids:
                found = await self._look_up(one)
                met.update(job.queue.job(job.row.id) for job in found)
                yield found
            self._looked_up = met
        if named is not None:
            self.done, self.finished = len(self.queues), True
            return
        if not self.total:
            await self._count()
        for place in range(self.done, len(self.queues)):
            async for found in self._search(self.queues[place]):
                yield found
            self.done, self.state, self._states = place + 1, None, None
        self.finished = True

    async def _count(self) -> None:
        for start in range(0, len(self.queues), _COUNTED):
            for status in await read_status(self._client, self.queues[start : start + _COUNTED]):
                self.total += sum(status.count(state) for state in JobState)

    async def _look_up(self, job_id: str) -> list[FoundJob]:
        """The jobs of this id that match."""
        places, names = [], tuple(dict.fromkeys((*LIST_FIELDS, *sorted(self.wanted.needs))))
        for start in range(0, len(self.queues), _LOOKED_UP):
            some = self.queues[start : start + _LOOKED_UP]
            found = await find_job(self._client, some, job_id)
            places += [(queue, where) for queue, where in found.places if where.state is not None]
            self.refused.update(dict.fromkeys(found.refused))
        keys = [queue.job(job_id) for queue, _ in places]
        values = await read_whole(self._client, keys, names)
        columns = dict(zip(names, zip(*values, strict=True), strict=True)) if values else {}
        jobs = Columns([job_id] * len(places), columns)
        rows = rows_of(jobs.ids, columns, [where.score for _, where in places]) if values else []
        return [
            FoundJob(places[at][0], state, rows[at])
            for at in self.wanted.pick(jobs, range(len(places)))
            if (state := places[at][1].state) is not None
        ]

    async def _search(self, queue: QueueKey) -> AsyncIterator[list[FoundJob]]:
        if self._states is None:
            [status] = await read_status(self._client, [queue])
            # Those without a count too: reading them says why there is none.
            self._states = [one for one in _ORDER if status.counts.get(one) != 0]
            self._newest_failure = await self._newest(queue)
        while self._states:
            async for jobs in self._hunt_in(queue, self._states[0]):
                yield jobs
            self._states.pop(0)
        newest, since = await self._newest(queue), self._newest_failure
        if newest is not None and since is not None and newest > since:
            # What has failed meanwhile, and so was in none of the states when they were searched.
            async for jobs in self._hunt_in(queue, JobState.FAILED, since=since):
                yield jobs

    async def _newest(self, queue: QueueKey) -> float | None:
        """When the last job has failed, -inf for never; None if Redis does not say."""
        try:
            return await newest_score(self._client, queue, JobState.FAILED)
        except ResponseError:
            return None

    async def _hunt_in(
        self, queue: QueueKey, state: JobState, *, since: float | None = None
    ) -> AsyncIterator[list[FoundJob]]:
        self.state = state
        hunt = self._hunt = Hunt(
            self._client,
            queue,
            state,
            self.wanted,
            fields=LIST_FIELDS,
            since=since,
            rate=self._rate,
            ahead=True,
            scored=state in _SCORED,
        )
        try:
            async for step in hunt.steps():
                yield self._found(queue, state, step)
        except ResponseError as error:
            if not is_wrong_type(error):
                self.refused[queue] = None
        self._hunt = None
        if since is None:
            self._seen += hunt.seen

    def _found(self, queue: QueueKey, state: JobState, step: Step) -> list[FoundJob]:
        early = self._looked_up or set()
        rows = rows_of(step.ids, step.fields, step.scores)
        fresh = (row for row in rows if queue.job(row.id) not in early)
        return [FoundJob(queue, state, row) for row in fresh]
