"""Reads windows of a state: jobs in their order, with fields and scores. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import Command, Reply, ask, items, present, score, scores, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState


@dataclass(slots=True)
class Met:
    """One job on the walk: its id, and the fields that were asked for (None where absent)."""

    id: str
    fields: dict[str, str | None]
    score: float | None = None
    """The score at which it stood, where scores were asked for; None if it left at that moment."""


class Steps:
    """One state, read in steps.

    Args:
        client: where to read.
        queue: the queue.
        state: which of its states.
        newest_first: the order; a list has only this one.
        sort_ro: whether SORT_RO is tried; where it is refused, it is not tried again.
    """

    def __init__(
        self,
        client: Client,
        queue: QueueKey,
        state: JobState,
        *,
        newest_first: bool,
        sort_ro: bool,
    ) -> None:
        self._client = client
        self._queue = queue
        self._state = state
        self._key = queue.key(state.key)
        self._newest_first = newest_first
        # The first star of a GET pattern is where the id goes, and a NUL hides it.
        usable = "*" not in queue.base and "\0" not in queue.base
        self._sort_ro = sort_ro and usable and not isinstance(client, RedisCluster)

    async def read(
        self, start: int, length: int, fields: Sequence[str], near: float | None
    ) -> tuple[list[Met], bool]:
        """The members at some places, markers too, without those that left at that moment.

        With them goes whether the state ends there.

        Args:
            start: the first place.
            length: how many, at most.
            fields: what is read of each job's hash.
            near: a score that the members before had, None if unknown.

        Costs one SORT_RO, or one ZRANGE and an HMGET a job where that is refused, and beside it
        one ZRANGE of scores; where the state moved in between, a ZSCORE for each that is missing.
        """
        members, scored = await self._members(start, length, fields)
        at_end = len(members) < length
        if self._state.is_list:
            return members, at_end
        for one in members:
            one.score = scored.get(one.id)
        if any(one.score is None for one in members):
            await self._look_up_scores(members, near)
            members = [one for one in members if one.score is not None]
        return members, at_end

    async def _look_up_scores(self, members: list[Met], near: float | None) -> None:
        """For members that the list of scores missed, because the state moved in between."""
        without = [one for one in members if one.score is None]
        known = [one.score for one in members if one.score is not None]
        known += [] if near is None else [near]
        if not known:
            return
        found = await ask(self._client, [("ZSCORE", self._key, one.id) for one in without])
        for one, reply in zip(without, found, strict=True):
            at = score(reply)
            # One that has come back elsewhere is met there, or was not there when we began.
            if at is not None and min(known) <= at <= max(known):
                one.score = at

    async def _members(
        self, start: int, length: int, fields: Sequence[str]
    ) -> tuple[list[Met], dict[str, float | None]]:
        if self._sort_ro:
            try:
                return await self._sorted(start, length, fields)
            except ResponseError:
                self._sort_ro = False
        return await self._ranged(start, length, fields)

    async def _sorted(
        self, start: int, length: int, names: Sequence[str]
    ) -> tuple[list[Met], dict[str, float | None]]:
        width = len(names) + 1
        order = ("DESC",) if self._newest_first and not self._state.is_list else ()
        patterns = [part for name in names for part in ("GET", self._pattern(name))]
        window = ("BY", "nosort", "LIMIT", start, length, *order)
        command: Command = ("SORT_RO", self._key, *window, "GET", "#", *patterns)
        reply, scored = await self._ask_with_scores(command, start, start + length - 1)
        flat = cast("list[str | None]", items(reply))  # what a GET does not find is nil
        found: Iterable[dict[str, str | None]]
        if len(names) == 1:  # half the time of what is below
            [name] = names
            found = [{name: value} for value in flat[1::2]]
        elif names:
            rows = zip(*(flat[at::width] for at in range(1, width)), strict=True)
            found = (dict(zip(names, row, strict=True)) for row in rows)
        else:
            found = ({} for _ in flat)
        members = [Met(one or "", has) for one, has in zip(flat[::width], found, strict=True)]
        return members, scored

    def _pattern(self, name: str) -> str:
        return f"{self._queue.base}:*->{name}"

    async def _ranged(
        self, start: int, length: int, names: Sequence[str]
    ) -> tuple[list[Met], dict[str, float | None]]:
        verb = "LRANGE" if self._state.is_list else self._zrange
        last = start + length - 1
        command: Command = (verb, self._key, start, last)
        reply, scored = await self._ask_with_scores(command, start, last)
        ids = present(texts(reply))
        return await read_fields(self._client, self._queue, ids, names), scored

    @property
    def _zrange(self) -> str:
        return "ZREVRANGE" if self._newest_first else "ZRANGE"

    async def _ask_with_scores(
        self, command: Command, first: int, last: int
    ) -> tuple[Reply, dict[str, float | None]]:
        """The reply, and the scores of the step."""
        beside: list[Command] = []
        if not self._state.is_list:
            beside.append((self._zrange, self._key, first, last, "WITHSCORES"))
        reply, *rest = await ask(self._client, [command, *beside])
        if isinstance(reply, RedisError):
            raise reply
        return reply, scored_members(rest[0]) if rest else {}


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


def scored_members(reply: Reply) -> dict[str, float | None]:
    """As `scores`, some times faster for the flat replies of RESP2 that have nothing amiss."""
    parts = cast("list[str]", items(reply))
    try:
        return dict(zip(parts[::2], map(float, parts[1::2]), strict=True))
    except (TypeError, ValueError):
        return scores(reply)
