"""A walk over a whole state, newest first: bounded steps, at a polite pace, stopped at any time.

The state moves while one walks: jobs come at the top and leave anywhere. Each step therefore begins
with the last job of the step before; when that one is not where it should be, its new place is
looked up. So a job that stays is met once, whatever the others do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import Command, Reply, ask, number, present, scores, texts
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

PAUSE: Final = 3.0
"""How long a step rests, in times that it took: others keep three quarters of a busy server."""


@dataclass(frozen=True, slots=True)
class Met:
    """One job on the walk: its id, and the fields that were asked for (None where absent)."""

    id: str
    fields: dict[str, str | None]


class Walk:
    """A walk over the jobs of one state.

    Args:
        client: where to read.
        queue: the queue.
        state: which of its states.
        fields: the fields of the job hashes that each step reads; none reads only ids.
        bounds: lowest and highest score (finishedOn in ms) of what is of interest; a state that is
            a list has no scores and is walked as a whole.
        rate: jobs a second at most; 0 for as fast as it goes, None for the polite pace.
        sort_ro: whether SORT_RO is tried.

    A step costs one SORT_RO, or one ZREVRANGE and an HMGET a job where that is refused, and a
    look-up of places when the state has moved.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        state: JobState,
        fields: Sequence[str],
        *,
        bounds: tuple[float | None, float | None] = (None, None),
        rate: float | None = None,
        sort_ro: bool = True,
    ) -> None:
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
        self._fields = tuple(fields)
        self._bounds = bounds
        self._rate = rate
        usable = "*" not in queue.base and "\0" not in queue.base
        self._sort_ro = sort_ro and usable and not isinstance(client, RedisCluster)
        self._step = LARGEST // 2
        self._next = 0
        self._last: list[str] = []
        self._score: float | None = None
        self._score_read: float | None = None

    async def steps(self) -> AsyncIterator[list[Met]]:
        """Yields the jobs of each step, newest first; an empty step is not yielded.

        Raises:
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        self._next, self.total = await self._range()
        end = self._next + self.total
        while self._next < end:
            start = time.perf_counter()
            met = await self._read(min(self._step, end - self._next))
            if met is None:
                before, self._next = self._next, await self._place_of_last()
                end += self._next - before
                continue
            if not met:
                return
            self._next += len(met)
            self._last = [one.id for one in met]
            jobs = [one for one in met if not (self._state.is_list and is_marker(one.id))]
            self.seen += len(jobs)
            yield jobs
            await self._rest(time.perf_counter() - start, len(met))

    async def _range(self) -> tuple[int, int]:
        """Where the walk begins, and how many members it has before it."""
        if self._state.is_list:
            [length] = await ask(self._client, [("LLEN", self._key)])
            return 0, _count(length)
        low, high = self._bounds
        above = f"({high:.17g}" if high is not None else "+inf"
        commands: list[Command] = [("ZCOUNT", self._key, above, "+inf")] if high is not None else []
        lowest = "-inf" if low is None else f"{low:.17g}"
        commands.append(("ZCOUNT", self._key, lowest, "+inf" if high is None else f"{high:.17g}"))
        *first, inside = await ask(self._client, commands)
        return (_count(first[0]) if first else 0), _count(inside)

    async def _read(self, limit: int) -> list[Met] | None:
        """The next members; None when the last one is not where it was."""
        overlap = 1 if self._last else 0
        start, length = self._next - overlap, limit + overlap
        if self._sort_ro:
            try:
                members = await self._sorted(start, length)
            except ResponseError:
                self._sort_ro = False
                members = await self._ranged(start, length)
        else:
            members = await self._ranged(start, length)
        if overlap and (not members or members[0].id != self._last[-1]):
            return None
        self._score = self._score_read
        weight = sum(len(value or "") for one in members for value in one.fields.values())
        self._step = _fitting(self._step, weight)
        return members[overlap:]

    async def _sorted(self, start: int, length: int) -> list[Met]:
        order = () if self._state.is_list else ("DESC",)
        patterns = [part for name in self._fields for part in ("GET", self._pattern(name))]
        window = ("BY", "nosort", "LIMIT", start, length, *order)
        command: Command = ("SORT_RO", self._key, *window, "GET", "#", *patterns)
        reply = await self._ask_with_score(command, start + length - 1)
        flat, width = texts(reply), len(self._fields) + 1
        return [
            Met(flat[at] or "", dict(zip(self._fields, flat[at + 1 : at + width], strict=True)))
            for at in range(0, len(flat), width)
        ]

    def _pattern(self, name: str) -> str:
        return f"{self._queue.base}:*->{name}"

    async def _ranged(self, start: int, length: int) -> list[Met]:
        verb = "LRANGE" if self._state.is_list else "ZREVRANGE"
        last = start + length - 1
        reply = await self._ask_with_score((verb, self._key, start, last), last)
        return await read_fields(self._client, self._queue, present(texts(reply)), self._fields)

    async def _ask_with_score(self, command: Command, last: int) -> Reply:
        """The reply, and with it the score that stands at the step's end."""
        beside: list[Command] = []
        if not self._state.is_list:
            beside.append(("ZREVRANGE", self._key, last, last, "WITHSCORES"))
        reply, *ends = await ask(self._client, [command, *beside])
        if isinstance(reply, RedisError):
            raise reply
        self._score_read = next(iter(scores(ends[0]).values()), None) if ends else None
        return reply

    async def _place_of_last(self) -> int:
        """Where to go on: behind the latest member of the last step that is still there."""
        verb = "LPOS" if self._state.is_list else "ZREVRANK"
        latest = self._last[::-1][: _LOOKED_UP if self._state.is_list else None]
        places = await ask(self._client, [(verb, self._key, one) for one in latest])
        for job_id, place in zip(latest, places, strict=True):
            at = number(place)
            if at is not None:
                self._last = [job_id]
                return at + 1
        gone, self._last = len(self._last), []
        if self._score is None:
            return max(0, self._next - gone)
        [above] = await ask(self._client, [("ZCOUNT", self._key, f"({self._score:.17g}", "+inf")])
        return _count(above)

    async def _rest(self, took: float, jobs: int) -> None:
        pause = took * PAUSE if self._rate is None else 0.0
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


def _count(reply: object) -> int:
    if isinstance(reply, RedisError):
        raise reply
    return reply if isinstance(reply, int) else 0
