"""A walk over a whole state in bounded, throttled steps; it can be stopped at any time.

The state changes during the walk: jobs arrive at one end and leave from anywhere. Each step
therefore begins with the last job of the step before; if that job is not where it was, its new
place is looked up. So a job that stays in the state is met exactly once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import Command, ask, exact, number, score
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import PAYLOADS
from qtui.bullmq.filter.columns import Indices
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.lists import without_lpos
from qtui.bullmq.reads.ping import ping
from qtui.bullmq.reads.scores import newest_score
from qtui.bullmq.search.pauses import Pauses
from qtui.bullmq.search.steps import Step, Steps, Window, weight

LARGEST_STEP: Final = 500
"""Jobs in one step."""

SMALLEST_STEP: Final = 10

_UNWEIGHED: Final = 50
"""Jobs in the first step that reads payloads, whose size is not known yet."""

_VALUES: Final = 3000
"""Ids and fields in one step: Redis needs about 0.3 µs for a field and 1 µs for an id."""

_HEAVY: Final = 1_000_000
"""Characters in a reply above which the next step is smaller: to copy them keeps Redis busy, for
0.6 ms. With a third of it each step costs the walk twice as much a job, if jobs have 3 kB."""

_LOOKED_UP: Final = 10
"""Members of a list whose place is looked up, O(n) each: the last ones, and a sample before."""

_AHEAD: Final = 2
"""Steps that are read ahead."""

_CALM: Final = 4
"""Steps without reading ahead after the state has moved, which makes what was read useless."""

_TURNS: Final = 2
"""Turns of the event loop until a command has been sent."""


class Walk:
    """A walk over the jobs of one state.

    Args:
        client: where to read.
        queue: the queue.
        state: which of its states.
        fields: the fields of the job hashes that each step reads; none to read ids only.
        bounds: lowest and highest score (finishedOn, ms) to walk; a state that is a list has no
            scores and is walked as a whole.
        newest_first: the direction; a list can only be walked newest first.
        rate: jobs per second at most; 0 for no limit, None for the throttled pace.
        ahead: whether an unthrottled walk (rate 0) reads the next steps while the caller handles
            one. Not for callers that move jobs: a job that was read ahead may have left since.
        scored: whether each job comes with its score, which costs a third of the reading. A walk
            with bounds, or from the oldest job on, reads scores anyway.

    A step costs one SORT_RO (where it is refused, one ZRANGE and an HMGET for each job), one ZRANGE
    of scores or two of one member each, and a look-up of places if the state has moved.
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
        ahead: bool = False,
        scored: bool = True,
    ) -> None:
        if state.is_list and not newest_first:
            raise ValueError(f"{state} is a list, which is walked newest first")
        self.total = 0
        """Jobs to walk, as counted when the walk began."""
        self.seen = 0
        """Jobs walked so far."""
        self.resting = False
        """Whether the walk is throttled, to leave the server to others; False once it ends."""
        self._client = client
        self._queue = queue
        self._state = state
        self._key = queue.key(state.key)
        self._bounds = bounds
        self._newest_first = newest_first
        self._rate = rate
        self._pauses = Pauses(client)
        self._steps = Steps(client, queue, state, newest_first=newest_first)
        self._scored = scored or not newest_first or bounds != (None, None)
        self._step = LARGEST_STEP // 2
        self._fields: tuple[str, ...] = ()
        self.fields = fields
        self._next = 0
        self._end = 0
        """Where it is expected to end."""
        self._last: Window | None = None
        """The last step, as far as its place is known."""
        self._score: float | None = None
        """The score that it has come to."""
        self._tied: list[Sequence[str]] = []
        """The jobs met at that score, and some that were met just before."""
        self._again: set[str] = set()
        """The jobs that may be met again, since their place was lost."""
        self._round_trip = 0.0
        self._looks_ahead = ahead and rate == 0
        self._ahead: deque[tuple[int, asyncio.Future[Window]]] = deque()
        """Steps that are being read: how many jobs each is to have, and what comes of it."""
        self._calm = _CALM
        """Steps since the state was last seen to move."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What each step reads; others may be set between two steps."""
        return self._fields

    @fields.setter
    def fields(self, names: Iterable[str]) -> None:
        before, self._fields = self._fields, tuple(dict.fromkeys(names))
        if not PAYLOADS.isdisjoint(set(self._fields).difference(before)):
            self._step = min(self._step, _UNWEIGHED)

    async def steps(self) -> AsyncIterator[Step]:
        """Yields the jobs of each step, in order.

        Raises:
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        start = time.perf_counter()
        self._next, self.total = await self._range()
        self._end = self._next + self.total
        # One alone may have waited for a processor, and then no step would seem to take longer.
        self._round_trip = min(time.perf_counter() - start, await self._measure())
        try:
            async for jobs in self._walk():
                yield jobs
        finally:
            self.resting = False
            await self._drop_ahead()

    async def _walk(self) -> AsyncIterator[Step]:
        took, jobs, read_at = 0.0, 0, time.perf_counter()
        while self.total:
            if self._next < self._end:  # nothing rests for a look behind the last job
                await self._rest(took, jobs, time.perf_counter() - read_at)
            start = time.perf_counter()
            window = await self._read(self._limit(self._next))
            while window is None:
                await self._find_place()
                window = await self._read(self._fitting())
            read_at = time.perf_counter()
            took, jobs = read_at - start, len(window.step)
            if not jobs:
                return
            self._next += jobs
            self._last = window
            fresh = self._take(window)
            self.seen += len(fresh)
            if self._looks_ahead and self._calm >= _CALM:
                await self._look_ahead()
            yield fresh
            if window.at_end or self._is_beyond(window.ends[1]):
                return

    def _fitting(self) -> int:
        """Jobs that a step may have."""
        return max(SMALLEST_STEP, min(self._step, _VALUES // (1 + len(self._fields))))

    def _limit(self, place: int) -> int:
        """Jobs in the step that begins at a place.

        Towards the end one more than expected, to see whether more jobs have arrived.
        """
        return min(self._fitting(), max(SMALLEST_STEP, self._end - place + 1))

    async def _measure(self) -> float:
        """Seconds of an empty round trip, which no step pauses for."""
        start = time.perf_counter()
        with suppress(ResponseError):  # a refusal takes as long
            return await ping(self._client)
        return time.perf_counter() - start

    def _take(self, window: Window) -> Step:
        """Those that are jobs of interest and were not met before; remembers how far it came."""
        fresh, score = self._fresh(window.step), window.ends[1]
        if self._state.is_list or score != self._score:
            self._again, self._tied = set(), []
        self._score = score
        self._tied.append(fresh.ids)
        return fresh

    def _fresh(self, step: Step) -> Step:
        ids, scores = step.ids, step.scores
        places: Indices = range(len(step))
        if self._state.is_list:
            places = [at for at in places if not is_marker(ids[at])]
        if self._again:
            places = [at for at in places if ids[at] not in self._again]
        if scores is not None and self._bounds != (None, None):
            places = [at for at in places if not self._is_beyond(scores[at])]
        return step if len(places) == len(step) else step.only(places)

    def _is_beyond(self, score: float | None) -> bool:
        """Whether a job with this score lies beyond the bounds."""
        low, high = self._bounds
        if score is None:
            return False
        if self._newest_first:
            return low is not None and score < low
        return high is not None and score > high

    async def _range(self) -> tuple[int, int]:
        """Where the walk begins, and how many members it has before it."""
        if self._state.is_list:
            [length] = await ask(self._client, [("LLEN", self._key)])
            return 0, _count(length)
        low, high = self._bounds
        if high is None and not self._newest_first:
            # Otherwise a walk could follow jobs that keep arriving at its end forever.
            high = await newest_score(self._client, self._queue, self._state)
            self._bounds = low, high
        lowest = "-inf" if low is None else exact(low)
        highest = "+inf" if high is None else exact(high)
        passed = high if self._newest_first else low
        commands: list[Command] = [self._count_beyond(passed)] if passed is not None else []
        commands.append(("ZCOUNT", self._key, lowest, highest))
        *first, inside = await ask(self._client, commands)
        return (_count(first[0]) if first else 0), _count(inside)

    def _count_beyond(self, score: float) -> Command:
        """Counts those that the walk meets before any at ``score``."""
        edge = f"({exact(score)}"
        return ("ZCOUNT", self._key, *((edge, "+inf") if self._newest_first else ("-inf", edge)))

    async def _read(self, limit: int) -> Window | None:
        """What comes next; None when the last job is not where it was."""
        last = self._last
        if self._ahead:
            window = await self._ahead.popleft()[1]
        elif last is None:
            window = await self._fetch(self._next, limit)
        else:
            window = await self._fetch(self._next - 1, limit + 1)
        if last is not None:
            if not _continues(last, window):
                self._calm = 0
                await self._drop_ahead()
                return None
            window = window._replace(step=window.step[1:])
        self._calm += 1
        if tuple(window.step.fields) == self._fields:
            self._step = _next_size(self._fitting(), weight(window.step))
        return window

    async def _fetch(self, start: int, length: int) -> Window:
        # A step that may reach the end is read with its scores: where the state ends is not known.
        scored = self._scored or start + length > self._end
        return await self._steps.window(start, length, self._fields, self._score, scored=scored)

    async def _look_ahead(self) -> None:
        place = self._next + sum(limit for limit, _ in self._ahead)
        while place < self._end and len(self._ahead) < _AHEAD:
            limit = self._limit(place)
            step = asyncio.ensure_future(self._fetch(place - 1, limit + 1))
            self._ahead.append((limit, step))
            place += limit
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # lets the commands go out

    async def _drop_ahead(self) -> None:
        """Forgets what was read ahead. To wait for it is cheaper than to connect anew."""
        steps = [step for _, step in self._ahead]
        self._ahead.clear()
        await asyncio.gather(*steps, return_exceptions=True)

    async def _find_place(self) -> None:
        """Continues behind the latest member of the last step that is still where it was met.

        Where none does, at the score that the walk had come to: what was met there is known.
        """
        before = self._next
        if self._state.is_list:
            await self._find_in_list()
        else:
            await self._find_in_set()
        self._end += self._next - before

    async def _find_in_set(self) -> None:
        assert self._last is not None
        assert self._score is not None
        latest = _stood(self._last)
        # Usually the last one is still there, at another place.
        for some in (latest[:1], latest[1:]):
            if some and await self._find_behind(some):
                return
        self._last, self._again = None, set(chain.from_iterable(self._tied))
        [passed] = await ask(self._client, [self._count_beyond(self._score)])
        self._next = _count(passed)

    async def _find_behind(self, latest: Sequence[tuple[str, float | None]]) -> bool:
        """Continues behind the first of some jobs that is still at its score, if any is."""
        verb = "ZREVRANK" if self._newest_first else "ZRANK"
        commands: list[Command] = [(verb, self._key, one) for one, _ in latest]
        commands += [("ZSCORE", self._key, one) for one, _ in latest]
        replies = await ask(self._client, commands)
        half = len(latest)
        for [one, met_at], place, at in zip(latest, replies[:half], replies[half:], strict=True):
            rank = number(place)
            if rank is not None and score(at) == met_at:
                self._last = Window(Step([one], {}, [met_at]), (met_at, met_at), at_end=False)
                self._next = rank + 1
                return True
        return False

    async def _find_in_list(self) -> None:
        # Workers take from the tail: what is left of the step begins it.
        assert self._last is not None
        met = self._last.step.ids
        latest, apart = met[::-1], max(1, len(met) // _LOOKED_UP)
        latest = [*latest[:_LOOKED_UP], *latest[_LOOKED_UP::apart]]
        commands: list[Command] = [("LPOS", self._key, one) for one in latest]
        places = await without_lpos(self._client, commands, await ask(self._client, commands))
        # What is met again is left out.
        self._again = set(met)
        for one, place in zip(latest, places, strict=True):
            at = number(place)
            if at is not None:
                self._last = Window(Step([one], {}), (None, None), at_end=False)
                self._next = at + 1
                return
        self._next, self._last = max(0, self._next - len(met)), None

    async def _rest(self, took: float, jobs: int, looked: float) -> None:
        """Pauses after a step, less the time that the caller took."""
        if self._rate is None:
            pause = self._pauses.after(max(0.0, took - self._round_trip)) - looked
            self.resting = True
            await self._pauses.rest(pause)
            return
        pause = jobs / self._rate - took - looked if self._rate else 0.0
        self.resting = pause > 0
        await asyncio.sleep(max(0.0, pause))


def _continues(last: Window, window: Window) -> bool:
    """Whether a window begins with the last job of the one before, at the same finish."""
    begins = window.step.ids[:1] == last.step.ids[-1:]
    return begins and window.ends[0] == last.ends[1]


def _stood(window: Window) -> list[tuple[str, float | None]]:
    """The jobs whose scores are known, the last first."""
    ids, scores, [first, last] = window.step.ids, window.step.scores, window.ends
    if scores is None:
        scores = [last] * (len(ids) if first == last else 1)
    return list(zip(reversed(ids), reversed(scores), strict=False))


def _next_size(size: int, characters: int) -> int:
    """The size of the next step (jobs), from that of the last one and the characters in it."""
    if characters > _HEAVY:
        return max(SMALLEST_STEP, size * _HEAVY // characters)
    return min(LARGEST_STEP, size * 2) if characters < _HEAVY // 2 else size


def _count(reply: object) -> int:
    if isinstance(reply, RedisError):
        raise reply
    return reply if isinstance(reply, int) else 0
