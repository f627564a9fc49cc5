"""A walk over a whole state: bounded steps, at a polite pace, stopped at any time.

The state moves while one walks: jobs come at the top and leave anywhere. Each step therefore begins
with the last job of the step before; when that one is not where it should be, its new place is
looked up. So a job that stays is met once, whatever the others do.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, ask, number, score
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.steps import Met, Steps, scored_members

LARGEST: Final = 500
"""Jobs in one step."""

SMALLEST: Final = 10

_HEAVY: Final = 300_000
"""Characters in a reply above which the next step is smaller: Redis spends its time on copying."""

_LOOKED_UP: Final = 10
"""Of the last members of a list, and of those before, whose place is looked up, O(n) each."""

_AHEAD: Final = 2
"""Steps that are read ahead."""

_CALM: Final = 4
"""Steps without looking ahead after the state has moved, which spoils what was read ahead."""

_TURNS: Final = 2
"""Of the event loop, until a command has gone out."""

PAUSE: Final = 3.0
"""How long a step rests, in times that it took: others keep three quarters of a busy server."""


class Walk:
    """A walk over the jobs of one state.

    Args:
        client: where to read.
        queue: the queue.
        state: which of its states.
        fields: the fields of the job hashes that each step reads; none reads only ids.
        bounds: lowest and highest score (finishedOn in ms) of what is of interest; a state that is
            a list has no scores and is walked as a whole.
        newest_first: the direction; a list has only this one.
        rate: jobs a second at most; 0 for as fast as it goes, None for the polite pace.
        sort_ro: whether SORT_RO is tried.
        ahead: whether, where nothing slows the walk down (rate 0), the server reads the next steps
            while one is looked at. Not for those who move the jobs that they meet: what is read
            ahead may have left by the time it is met.

    A step costs one SORT_RO, or one ZRANGE and an HMGET a job where that is refused, one ZRANGE of
    scores beside it, and a look-up of places when the state has moved.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        state: JobState,
        fields: Sequence[str],
        *,
        bounds: tuple[float | None, float | None] = (None, None),
        newest_first: bool = True,
        rate: float | None = None,
        sort_ro: bool = True,
        ahead: bool = False,
    ) -> None:
        if state.is_list and not newest_first:
            raise ValueError(f"{state} is a list, which is walked newest first")
        self.total = 0
        """Jobs to be met, as told when the walk began."""
        self.seen = 0
        """Jobs met so far."""
        self.resting = False
        """Whether the walk is at rest for the sake of others."""
        self._client = client
        self._queue = queue
        self._state = state
        self._key = queue.key(state.key)
        self.fields = tuple(fields)
        """What each step reads; others may be set between two steps."""
        self._bounds = bounds
        self._newest_first = newest_first
        self._rate = rate
        self._steps = Steps(client, queue, state, newest_first=newest_first, sort_ro=sort_ro)
        self._step = LARGEST // 2
        self._next = 0
        self._end = 0
        """Where it is expected to end."""
        self._at_end = False
        """Whether the last reading came to the end of the state."""
        self._last: list[Met] = []
        self._score: float | None = None
        """The score that it has come to."""
        self._tied: set[str] = set()
        """The jobs met at that score; of a list, those of a step that has left."""
        self._round_trip = 0.0
        self._looks_ahead = ahead and rate == 0
        self._ahead: deque[tuple[int, asyncio.Future[tuple[list[Met], bool]]]] = deque()
        """Steps that are being read: how many jobs each is to have, and what comes of it."""
        self._calm = _CALM
        """Steps since the state was last seen to move."""

    async def steps(self) -> AsyncIterator[list[Met]]:
        """Yields the jobs of each step, in order.

        Raises:
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        self._next, self.total = await self._range()
        self._end = self._next + self.total
        self._round_trip = await self._measure()
        try:
            async for jobs in self._walk():
                yield jobs
        finally:
            await self._drop_ahead()

    async def _walk(self) -> AsyncIterator[list[Met]]:
        took, jobs = 0.0, 0
        while self.total:
            if self._next < self._end:  # nothing rests for a look behind the last job
                await self._rest(took, jobs)
            start = time.perf_counter()
            # One more than is expected, which tells that no more came.
            met = await self._read(min(self._step, max(SMALLEST, self._end - self._next + 1)))
            while met is None:
                await self._find_place()
                met = await self._read(self._step)
            took, jobs = time.perf_counter() - start, len(met)
            if not met:
                return
            self._next += len(met)
            self._last = met
            fresh = self._take(met)
            self.seen += len(fresh)
            if self._looks_ahead and self._calm >= _CALM:
                await self._look_ahead()
            yield fresh
            if self._at_end or self._is_beyond(met[-1]):
                return

    async def _measure(self) -> float:
        """What a round trip takes that asks for nothing; no step rests for that part of it."""
        start = time.perf_counter()
        await ask(self._client, [("PING",)])
        return time.perf_counter() - start

    def _take(self, met: list[Met]) -> list[Met]:
        """Those that are jobs of interest and were not met before; remembers how far it came."""
        if self._state.is_list:
            fresh = [one for one in met if not (is_marker(one.id) or one.id in self._tied)]
            self._tied = set()
            return fresh
        at, tied = self._score, self._tied
        fresh = [
            one
            for one in met
            if not (one.score == at and one.id in tied) and not self._is_beyond(one)
        ]
        self._score = met[-1].score
        if self._score != at:
            self._tied = set()
        self._tied.update(one.id for one in met if one.score == self._score)
        return fresh

    def _is_beyond(self, one: Met) -> bool:
        """Whether a job stands behind what is of interest."""
        low, high = self._bounds
        if one.score is None:
            return False
        if self._newest_first:
            return low is not None and one.score < low
        return high is not None and one.score > high

    async def _range(self) -> tuple[int, int]:
        """Where the walk begins, and how many members it has before it."""
        if self._state.is_list:
            [length] = await ask(self._client, [("LLEN", self._key)])
            return 0, _count(length)
        low, high = self._bounds
        if high is None and not self._newest_first:
            # What comes in at the end while it walks would else be walked after for ever.
            [newest] = await ask(self._client, [("ZREVRANGE", self._key, 0, 0, "WITHSCORES")])
            high = next(iter(scored_members(newest).values()), None)
            self._bounds = low, high
        lowest = "-inf" if low is None else f"{low:.17g}"
        highest = "+inf" if high is None else f"{high:.17g}"
        passed = high if self._newest_first else low
        commands: list[Command] = [self._count_beyond(passed)] if passed is not None else []
        commands.append(("ZCOUNT", self._key, lowest, highest))
        *first, inside = await ask(self._client, commands)
        return (_count(first[0]) if first else 0), _count(inside)

    def _count_beyond(self, score: float) -> Command:
        """Counts those that the walk meets before any at ``score``."""
        edge = f"({score:.17g}"
        return ("ZCOUNT", self._key, *((edge, "+inf") if self._newest_first else ("-inf", edge)))

    async def _read(self, limit: int) -> list[Met] | None:
        """The next members; None when the last one is not where it was."""
        overlap = 1 if self._last else 0
        if self._ahead:
            members, self._at_end = await self._ahead.popleft()[1]
        else:
            members, self._at_end = await self._fetch(self._next - overlap, limit + overlap)
        if overlap and (not members or not _is_same(members[0], self._last[-1])):
            self._calm = 0
            await self._drop_ahead()
            return None
        self._calm += 1
        weight = sum(len(value) for one in members for value in one.fields.values() if value)
        self._step = _fitting(self._step, weight)
        return members[overlap:]

    async def _fetch(self, start: int, length: int) -> tuple[list[Met], bool]:
        return await self._steps.read(start, length, self.fields, self._score)

    async def _look_ahead(self) -> None:
        place = self._next + sum(limit for limit, _ in self._ahead)
        while place < self._end and len(self._ahead) < _AHEAD:
            limit = min(self._step, max(SMALLEST, self._end - place + 1))
            step = asyncio.ensure_future(self._fetch(place - 1, limit + 1))
            self._ahead.append((limit, step))
            place += limit
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _drop_ahead(self) -> None:
        """Forgets what was read ahead. To wait for it is cheaper than to connect anew."""
        steps = [step for _, step in self._ahead]
        self._ahead.clear()
        await asyncio.gather(*steps, return_exceptions=True)

    async def _find_place(self) -> None:
        """Goes on behind the latest member of the last step that stands where it was met.

        Where none does, at the score that the walk had come to: what was met there is known.
        """
        before = self._next
        if self._state.is_list:
            await self._find_in_list()
        else:
            await self._find_in_set()
        self._end += self._next - before

    async def _find_in_set(self) -> None:
        verb = "ZREVRANK" if self._newest_first else "ZRANK"
        latest = self._last[::-1]
        places = await ask(self._client, [(verb, self._key, one.id) for one in latest])
        stand = await ask(self._client, [("ZSCORE", self._key, one.id) for one in latest])
        for one, place, at in zip(latest, places, stand, strict=True):
            rank = number(place)
            if rank is not None and score(at) == one.score:
                self._last, self._next = [one], rank + 1
                return
        self._last = []
        assert self._score is not None
        [passed] = await ask(self._client, [self._count_beyond(self._score)])
        self._next = _count(passed)

    async def _find_in_list(self) -> None:
        # Workers take from the tail: what is left of the step begins it.
        latest, apart = self._last[::-1], max(1, len(self._last) // _LOOKED_UP)
        latest = [*latest[:_LOOKED_UP], *latest[_LOOKED_UP::apart]]
        places = await ask(self._client, [("LPOS", self._key, one.id) for one in latest])
        # What is met again is left out.
        self._tied = {one.id for one in self._last}
        for one, place in zip(latest, places, strict=True):
            at = number(place)
            if at is not None:
                self._last, self._next = [one], at + 1
                return
        self._next, self._last = max(0, self._next - len(self._last)), []

    async def _rest(self, took: float, jobs: int) -> None:
        pause = max(0.0, took - self._round_trip) * PAUSE if self._rate is None else 0.0
        if self._rate:
            pause = max(0.0, jobs / self._rate - took)
        self.resting = pause > 0
        await asyncio.sleep(pause)
        self.resting = False


def _is_same(one: Met, other: Met) -> bool:
    """Whether two members are one job at one finish."""
    return one.id == other.id and one.score == other.score


def _fitting(step: int, weight: int) -> int:
    """The size of the next step, after one of ``step`` jobs that weighed so many characters."""
    if weight > _HEAVY:
        return max(SMALLEST, step * _HEAVY // weight)
    return min(LARGEST, step * 2) if weight < _HEAVY // 2 else step


def _count(reply: object) -> int:
    if isinstance(reply, RedisError):
        raise reply
    return reply if isinstance(reply, int) else 0
