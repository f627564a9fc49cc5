"""The jobs of a state that match a filter, as a walk finds them. Reads only.

One way for screen and commands: direct look-ups where the filter names ids, a walk bounded by
score where it names times, and of each job only the fields that the filter looks at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from redis.exceptions import ResponseError

from qtui.bullmq.ask import Command, ask_all, score
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import Filter
from qtui.bullmq.filter.columns import Columns
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.steps import Step, read_fields
from qtui.bullmq.search.walk import LARGEST_STEP, Walk

LOOKED_UP: Final = 200
"""Ids that are looked up in one round trip."""

_DENSE: Final = 0.2
"""Share of matches in a step above which the walk reads the wanted fields of every job."""

_BREATH: Final = 0.01
"""Seconds of matching after which the event loop, and so the screen, gets a turn."""

_BUNCH: Final = 10
"""Jobs matched before the first look at the clock; more once they prove quick."""


class Hunt:
    """A search through one state.

    Args:
        client: where to read.
        queue: the queue.
        state: which of its states.
        wanted: what matches; None for every job.
        fields: the fields that each job found is to have, beside those the filter looks at.
        since: the lowest score of what is of interest, None for any.
        until: the highest one.
        newest_first: the direction, see `Walk`.
        rate: jobs a second at most, see `Walk`.
        ahead: whether steps are read ahead, see `Walk`; for those who only look.
        scored: whether each job found is to have its score, which makes reading dearer.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        state: JobState,
        wanted: Filter | None = None,
        *,
        fields: Iterable[str] = (),
        since: float | None = None,
        until: float | None = None,
        newest_first: bool = True,
        rate: float | None = None,
        ahead: bool = False,
        scored: bool = True,
    ) -> None:
        self.found = 0
        """Jobs found so far."""
        self._bunch = _BUNCH
        self._client = client
        self._queue = queue
        self._state = state
        self._wanted = wanted
        self._since = since
        self._until = until
        needs = wanted.needs if wanted is not None else frozenset[str]()
        # The score of a finished job is its finish, and those of others say nothing of the past.
        by_time = state.is_finished and "finishedOn" in needs
        if state.is_finished:
            needs -= {"finishedOn"}
        self._extra = tuple(sorted(set(fields) - needs))
        low = high = None
        if wanted is not None and state.is_finished:
            low, high = wanted.bounds()
        if since is not None:
            low = since if low is None else max(low, since)
        if until is not None:
            high = until if high is None else min(high, until)
        self._needs = tuple(sorted(needs))
        self._walk = Walk(
            client,
            queue,
            state,
            self._needs if wanted is not None else self._extra,
            bounds=(low, high),
            newest_first=newest_first,
            rate=rate,
            ahead=ahead,
            scored=scored or by_time,
        )

    @property
    def seen(self) -> int:
        """Jobs looked at so far."""
        return self._walk.seen

    @property
    def total(self) -> int:
        """Jobs to look at, as counted when the hunt began."""
        return self._walk.total

    @property
    def resting(self) -> bool:
        """Whether it is throttled, to leave the server to others."""
        return self._walk.resting

    async def steps(self) -> AsyncIterator[Step]:
        """Yields what each step found, in order; often nothing, so that progress can be shown.

        Each has the fields that were asked for, in columns.

        A job whose whole id is a term of the filter comes first, wherever it is in the state.
        Costs the `Walk`, and where a filter leaves fields to be read an HMGET for each job found.

        Raises:
            FilterError: a pattern ran away and was stopped.
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        named = self._wanted.exact_ids() if self._wanted is not None else None
        direct = sorted(named) if named is not None else self._candidates()
        early: set[str] = set()
        for start in range(0, len(direct), LOOKED_UP):
            found = await self._matching(await self._look_up(direct[start : start + LOOKED_UP]))
            self.found += len(found)
            early.update(found.ids)
            yield found
        if named is not None:
            return
        async for step in self._walk.steps():
            found = await self._matching(step)
            dense = self._wanted is None or len(found) > _DENSE * len(step)
            self._walk.fields = (*self._needs, *(self._extra if dense else ()))
            fresh = found
            if early:
                fresh = found.only([at for at, one in enumerate(found.ids) if one not in early])
            self.found += len(fresh)
            yield fresh

    def _candidates(self) -> Sequence[str]:
        return self._wanted.id_candidates() if self._wanted is not None else ()

    async def _look_up(self, ids: Sequence[str]) -> Step:
        """The jobs of these ids that are in the state, found without a search."""
        if self._state.is_list:
            reader = Reader(self._client)
            places = await reader.whereabouts(self._queue, ids, (self._state,), reasons=False)
            here = [one for one in ids if places[one].state is self._state]
            return await read_fields(self._client, self._queue, here, self._needs)
        key = self._queue.key(self._state.key)
        commands: list[Command] = [("ZSCORE", key, one) for one in ids]
        replies = await ask_all(self._client, commands)
        for reply in replies:
            if isinstance(reply, ResponseError):  # no sorted set
                raise reply
        scores = dict(zip(ids, map(score, replies), strict=True))
        here = [one for one in ids if (at := scores[one]) is not None and self._in_time(at)]
        found = await read_fields(self._client, self._queue, here, self._needs)
        found.scores = [scores[one] for one in here]
        return found

    def _in_time(self, at: float) -> bool:
        late = self._since is None or at >= self._since
        return late and (self._until is None or at <= self._until)

    async def _matching(self, step: Step) -> Step:
        if self._wanted is None:
            return step
        jobs: Columns = step if self._state.is_finished else Columns(step.ids, step.fields)
        places: list[int] = []
        since, start = time.perf_counter(), 0
        while start < len(step):
            end = min(start + self._bunch, len(step))
            begin = time.perf_counter()
            places += self._wanted.pick(jobs, range(start, end))
            now, start = time.perf_counter(), end
            self._bunch = (
                min(LARGEST_STEP, self._bunch * 2) if now - begin < _BREATH / 4 else _BUNCH
            )
            if now - since > _BREATH:
                await asyncio.sleep(0)  # a turn for the screen
                since = time.perf_counter()
        found = step if len(places) == len(step) else step.only(places)
        if not all(name in step.fields for name in self._extra):
            more = await read_fields(self._client, self._queue, found.ids, self._extra)
            found = Step(found.ids, {**found.fields, **more.fields}, found.scores)
        return found
