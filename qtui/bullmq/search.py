"""A walk over a whole state: bounded steps, at a polite pace, stopped at any time.

The state moves while one walks: jobs come at the top and leave anywhere. Each step therefore begins
with the last job of the step before; when that one is not where it should be, its new place is
looked up. So a job that stays is met once, whatever the others do.
"""

from __future__ import annotations

import asyncio
import time
from itertools import repeat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import Command, Reply, ask, items, number, present, scores, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState

LARGEST: Final = 500
"""Jobs in one step."""

SMALLEST: Final = 10

_HEAVY: Final = 300_000
"""Characters in a reply above which the next step is smaller: Redis spends its time on copying."""

_LOOKED_UP: Final = 20
"""Members of a list whose place is looked up, O(n) each, when it has moved."""

_TURNS: Final = 6
"""Of the event loop, until a command has gone out."""

PAUSE: Final = 3.0
"""How long a step rests, in times that it took: others keep three quarters of a busy server."""


@dataclass(slots=True)
class Met:
    """One job on the walk: its id, and the fields that were asked for (None where absent)."""

    id: str
    fields: dict[str, str | None]
    score: float | None = None
    """The score at which it stood, where scores were asked for; None if it left at that moment."""


_Fetched: TypeAlias = tuple[list[Met], dict[str, float | None]]


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
        scores: whether each job is met with its score.
        rate: jobs a second at most; 0 for as fast as it goes, None for the polite pace.
        sort_ro: whether SORT_RO is tried.

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
        scores: bool = False,
        rate: float | None = None,
        sort_ro: bool = True,
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
        self._scores = scores and not state.is_list
        self._rate = rate
        usable = "*" not in queue.base and "\0" not in queue.base
        self._sort_ro = sort_ro and usable and not isinstance(client, RedisCluster)
        self._step = LARGEST // 2
        self._next = 0
        self._last: list[str] = []
        self._score: float | None = None
        self._tied: set[str] = set()
        """Those met that stand at that score, as far as scores are read."""
        self._round_trip = 0.0
        self._ahead: asyncio.Future[_Fetched] | None = None

    async def steps(self) -> AsyncIterator[list[Met]]:
        """Yields the jobs of each step, in order.

        Raises:
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        self._next, self.total = await self._range()
        self._round_trip = await self._measure()
        try:
            async for jobs in self._walk(self._next + self.total):
                yield jobs
        finally:
            await self._drop_ahead()

    async def _walk(self, end: int) -> AsyncIterator[list[Met]]:
        again: set[str] = set()
        while self._next < end:
            start = time.perf_counter()
            met = await self._read(min(self._step, end - self._next))
            if met is None:
                before, self._next = self._next, await self._place_of_last()
                end += self._next - before
                again = set() if self._last else set(self._tied)
                continue
            if not met:
                return
            took = time.perf_counter() - start
            self._next += len(met)
            self._last = [one.id for one in met]
            jobs = self._new(met, again)
            self.seen += len(jobs)
            if self._rate == 0 and self._next < end:
                await self._look_ahead(min(self._step, end - self._next))
            yield jobs
            await self._rest(took, len(met))

    async def _measure(self) -> float:
        """What a round trip takes that asks for nothing; no step rests for that part of it."""
        start = time.perf_counter()
        await ask(self._client, [("PING",)])
        return time.perf_counter() - start

    def _new(self, met: list[Met], again: set[str]) -> list[Met]:
        """Those that are jobs, and were not met before."""
        if self._state.is_list:
            met = [one for one in met if not is_marker(one.id)]
        return [one for one in met if one.id not in again] if again else met

    async def _range(self) -> tuple[int, int]:
        """Where the walk begins, and how many members it has before it."""
        if self._state.is_list:
            [length] = await ask(self._client, [("LLEN", self._key)])
            return 0, _count(length)
        low, high = self._bounds
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
        ahead, self._ahead = self._ahead, None
        members, scored = await (ahead or self._fetch(limit))
        overlap = 1 if self._last else 0
        if overlap and (not members or members[0].id != self._last[-1]):
            return None
        self._note_scores(members, scored)
        weight = sum(len(value) for one in members for value in one.fields.values() if value)
        self._step = _fitting(self._step, weight)
        return members[overlap:]

    async def _fetch(self, limit: int) -> _Fetched:
        """The last member met, and the next ones, with the scores of all or of the last."""
        overlap = 1 if self._last else 0
        start, length = self._next - overlap, limit + overlap
        if self._sort_ro:
            try:
                return await self._sorted(start, length)
            except ResponseError:
                self._sort_ro = False
        return await self._ranged(start, length)

    async def _look_ahead(self, limit: int) -> None:
        """Has the server read the next step while this one is looked at."""
        self._ahead = asyncio.ensure_future(self._fetch(limit))
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _drop_ahead(self) -> None:
        """Ends a look ahead that nobody waits for any more."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.wait([ahead])

    def _note_scores(self, members: list[Met], scored: dict[str, float | None]) -> None:
        last = next(reversed(scored.values()), None)
        if last != self._score:
            self._score, self._tied = last, set()
        if self._scores:
            for one in members:
                one.score = at = scored.get(one.id)
                if at == last:
                    self._tied.add(one.id)

    async def _sorted(self, start: int, length: int) -> _Fetched:
        names, width = self.fields, len(self.fields) + 1
        order = ("DESC",) if self._newest_first and not self._state.is_list else ()
        patterns = [part for name in names for part in ("GET", self._pattern(name))]
        window = ("BY", "nosort", "LIMIT", start, length, *order)
        command: Command = ("SORT_RO", self._key, *window, "GET", "#", *patterns)
        reply, scored = await self._ask_with_scores(command, start, start + length - 1)
        flat = cast("list[str | None]", items(reply))  # what a GET does not find is nil
        rows = zip(*(flat[at::width] for at in range(1, width)), strict=True)
        found = (dict(zip(names, row, strict=True)) for row in rows) if names else repeat({})
        members = [Met(one or "", fields) for one, fields in zip(flat[::width], found)]
        return members, scored

    def _pattern(self, name: str) -> str:
        return f"{self._queue.base}:*->{name}"

    async def _ranged(self, start: int, length: int) -> _Fetched:
        verb = "LRANGE" if self._state.is_list else self._zrange
        last = start + length - 1
        command: Command = (verb, self._key, start, last)
        reply, scored = await self._ask_with_scores(command, start, last)
        ids = present(texts(reply))
        return await read_fields(self._client, self._queue, ids, self.fields), scored

    @property
    def _zrange(self) -> str:
        return "ZREVRANGE" if self._newest_first else "ZRANGE"

    async def _ask_with_scores(
        self, command: Command, first: int, last: int
    ) -> tuple[Reply, dict[str, float | None]]:
        """The reply, and the scores of the step, or of its last member only."""
        beside: list[Command] = []
        if not self._state.is_list:
            start = first if self._scores else last
            beside.append((self._zrange, self._key, start, last, "WITHSCORES"))
        reply, *rest = await ask(self._client, [command, *beside])
        if isinstance(reply, RedisError):
            raise reply
        return reply, _scored(rest[0]) if rest else {}

    async def _place_of_last(self) -> int:
        """Where to go on: behind the latest member of the last step that is still there."""
        verb = "ZREVRANK" if self._newest_first else "ZRANK"
        latest = self._last[::-1][: _LOOKED_UP if self._state.is_list else None]
        verb = "LPOS" if self._state.is_list else verb
        places = await ask(self._client, [(verb, self._key, one) for one in latest])
        for job_id, place in zip(latest, places, strict=True):
            at = number(place)
            if at is not None:
                self._last = [job_id]
                return at + 1
        gone, self._last = len(self._last), []
        if self._score is None:
            return max(0, self._next - gone)
        [before] = await ask(self._client, [self._count_beyond(self._score)])
        return _count(before)

    async def _rest(self, took: float, jobs: int) -> None:
        pause = max(0.0, took - self._round_trip) * PAUSE if self._rate is None else 0.0
        if self._rate:
            pause = max(0.0, jobs / self._rate - took)
        self.resting = pause > 0
        await asyncio.sleep(pause)
        self.resting = False


async def read_fields(
    client: Client, queue: QueueKey, ids: Sequence[str], fields: Sequence[str]
) -> list[Met]:
    """Given jobs with the given fields. Costs a round trip with an HMGET a job; none without."""
    if not fields or not ids:
        return [Met(one, {}) for one in ids]
    values = await ask(client, [("HMGET", queue.job(one), *fields) for one in ids])
    absent: list[str | None] = [None] * len(fields)
    return [
        Met(one, dict(zip(fields, texts(value) or absent, strict=True)))
        for one, value in zip(ids, values, strict=True)
    ]


def _fitting(step: int, weight: int) -> int:
    """The size of the next step, after one of ``step`` jobs that weighed so many characters."""
    if weight > _HEAVY:
        return max(SMALLEST, step * _HEAVY // weight)
    return min(LARGEST, step * 2) if weight < _HEAVY // 2 else step


def _scored(reply: Reply) -> dict[str, float | None]:
    """As `scores`, some times faster for the flat replies of RESP2 that have nothing amiss."""
    parts = cast("list[str]", items(reply))
    try:
        return dict(zip(parts[::2], map(float, parts[1::2]), strict=True))
    except (TypeError, ValueError):
        return scores(reply)


def _count(reply: object) -> int:
    if isinstance(reply, RedisError):
        raise reply
    return reply if isinstance(reply, int) else 0
