"""Reads windows of a state: jobs in their order, with fields and scores. Reads only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import (
    Command,
    Reply,
    ask,
    ask_all,
    items,
    present,
    score,
    texts,
)
from qtui.bullmq.connection import Client
from qtui.bullmq.connection.arrival import BEARABLE, ReplyTooLarge, at_most
from qtui.bullmq.filter.columns import Columns, Indices
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.compact import is_compact, probe
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.reasons import fill_reasons
from qtui.bullmq.reads.scores import scored_members

_REASON: Final = "failedReason"


@dataclass(slots=True)
class Met:
    """One job on the walk: its id, and the fields that were asked for (None where absent)."""

    id: str
    fields: dict[str, str | None]
    score: float | None = None
    """The score at which it stood, where scores were asked for; None if it left at that moment."""


class Step(Columns):
    """Some jobs of a state, side by side: what of them is looked at one by one becomes a `Met`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Met]:
        return self.met(range(len(self)))

    def met(self, places: Indices) -> Iterator[Met]:
        """The jobs at some places."""
        names, columns = tuple(self.fields), tuple(self.fields.values())
        for at in places:
            fields = dict(zip(names, [column[at] for column in columns], strict=True))
            yield Met(self.ids[at], fields, None if self.scores is None else self.scores[at])

    def only(self, places: Indices) -> Step:
        """The same without those at other places."""
        return Step(
            [self.ids[at] for at in places],
            {name: [column[at] for at in places] for name, column in self.fields.items()},
            None if self.scores is None else [self.scores[at] for at in places],
        )

    def rest(self) -> Step:
        """The same without the first."""
        fields = {name: column[1:] for name, column in self.fields.items()}
        return Step(self.ids[1:], fields, None if self.scores is None else self.scores[1:])

    @classmethod
    def of(cls, met: Sequence[Met], names: Iterable[str]) -> Step:
        """Jobs that were read one by one."""
        fields = {name: [one.fields[name] for one in met] for name in names}
        return cls([one.id for one in met], fields, [one.score for one in met])


_FEWEST: Final = 2
"""Jobs that are read whatever they weigh: the one where the last step ended, and the next."""


def _octets(step: Step) -> int:
    """Characters of its ids and fields."""
    ids = sum(map(len, step.ids))
    return ids + sum(len(one) for column in step.fields.values() for one in column if one)


class Window(NamedTuple):
    """What stands at some places of a state."""

    step: Step
    """The members there, markers too, without those that left at that moment."""
    ends: tuple[float | None, float | None]
    """The scores of the first and the last of them; of a list None."""
    at_end: bool
    """Whether the state ends there."""


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
        self._known = state.is_list
        """Whether it is known that SORT_RO leaves the state as it is."""
        self._most = sys.maxsize
        """Jobs that can be borne at a time, so far as is known."""

    async def window(
        self,
        start: int,
        length: int,
        fields: Sequence[str],
        near: float | None,
        *,
        scored: bool = True,
    ) -> Window:
        """The members at some places.

        Args:
            start: the first place.
            length: how many, at most.
            fields: what is read of each job's hash.
            near: a score that the members before had, None if unknown.
            scored: whether the score of each is wanted, or only those at the ends; a list has none.

        Fewer than asked for, two at least, where they come in more than `BEARABLE` bytes.

        Costs one SORT_RO, or one ZRANGE and an HMGET a job where that is refused, and beside it one
        ZRANGE of scores; where the state moved in between, a ZSCORE for each that is missing.
        Without scores the ZRANGE is two of one member each, which saves Redis a third of the work;
        where the state moved in between, or ends early, that of all comes behind them. Where
        ``failedReason`` is read, also `fill_reasons`. The first time one round trip more, to see
        whether the set is small: those are read with ZRANGE, see `qtui.bullmq.reads.compact`.
        """
        length = min(length, self._most)
        while length > _FEWEST:
            try:
                with at_most():
                    window = await self._window(start, length, fields, near, scored)
            except ReplyTooLarge:
                length = self._most = max(_FEWEST, length // 4)
            else:
                if _octets(window.step) < BEARABLE // 4:
                    self._most *= 2
                return window
        window = await self._window(start, length, fields, near, scored)
        if _octets(window.step) < BEARABLE // 4:
            self._most *= 2
        return window

    async def _window(
        self,
        start: int,
        length: int,
        fields: Sequence[str],
        near: float | None,
        scored: bool,
    ) -> Window:
        if self._sort_ro and not self._known:
            await self._probe()
        if self._sort_ro:
            try:
                if scored or self._state.is_list:
                    window = await self._sorted(start, length, fields, near)
                else:
                    window = await self._bordered(start, length, fields, near)
            except ResponseError:
                self._sort_ro = False
            else:
                await self._fill(window.step)
                return window
        return await self._ranged(start, length, fields, near)

    async def _probe(self) -> None:
        """Sees whether SORT_RO would change the state, and then does without, see `compact`."""
        self._sort_ro = not is_compact(*await ask(self._client, probe(self._key)))
        self._known = True

    async def _fill(self, step: Step) -> None:
        if _REASON in step.fields:
            reasons = await fill_reasons(self._client, self._queue, step.ids, step.fields[_REASON])
            step.fields = {**step.fields, _REASON: reasons}

    # With SORT_RO

    def _sort(self, start: int, length: int, names: Sequence[str]) -> Command:
        order = ("DESC",) if self._newest_first and not self._state.is_list else ()
        patterns = [part for name in names for part in ("GET", f"{self._queue.base}:*->{name}")]
        window = ("BY", "nosort", "LIMIT", start, length, *order)
        return ("SORT_RO", self._key, *window, "GET", "#", *patterns)

    async def _sorted(
        self, start: int, length: int, names: Sequence[str], near: float | None
    ) -> Window:
        command = self._sort(start, length, names)
        reply, scored = await self._ask_with_scores(command, start, start + length - 1)
        return await self._scored(_columns(reply, names), scored, length, near)

    async def _bordered(
        self, start: int, length: int, names: Sequence[str], near: float | None
    ) -> Window:
        """A window with the scores of its ends only, where they can be told."""
        last = start + length - 1
        borders: list[Command] = [
            (self._zrange, self._key, place, place, "WITHSCORES") for place in (start, last)
        ]
        replies = await ask(self._client, [self._sort(start, length, names), *borders])
        reply, *bordering = replies
        if isinstance(reply, RedisError):
            raise reply
        step = _columns(reply, names)
        if not step:
            return Window(step, (None, None), at_end=True)
        first, final = map(scored_members, bordering)
        ends = first.get(step.ids[0]), final.get(step.ids[-1])
        if len(step) < length or None in ends:
            [told] = await ask(self._client, [(self._zrange, self._key, start, last, "WITHSCORES")])
            return await self._scored(step, told, length, near)
        return Window(step, ends, at_end=False)

    # Without

    async def _ranged(
        self, start: int, length: int, names: Sequence[str], near: float | None
    ) -> Window:
        verb = "LRANGE" if self._state.is_list else self._zrange
        last = start + length - 1
        reply, scored = await self._ask_with_scores((verb, self._key, start, last), start, last)
        met = await read_fields(self._client, self._queue, present(texts(reply)), names)
        return await self._scored(Step.of(met, names), scored, length, near)

    # Scores

    @property
    def _zrange(self) -> str:
        return "ZREVRANGE" if self._newest_first else "ZRANGE"

    async def _ask_with_scores(
        self, command: Command, first: int, last: int
    ) -> tuple[Reply, Reply]:
        """The reply, and that about the scores of the same places."""
        beside: list[Command] = []
        if not self._state.is_list:
            beside.append((self._zrange, self._key, first, last, "WITHSCORES"))
        reply, *rest = await ask(self._client, [command, *beside])
        if isinstance(reply, RedisError):
            raise reply
        return reply, rest[0] if rest else None

    async def _scored(self, step: Step, reply: Reply, length: int, near: float | None) -> Window:
        at_end = len(step) < length
        if self._state.is_list:
            step.scores = None
            return Window(step, (None, None), at_end)
        step.scores = _aligned(step.ids, reply)
        if None in step.scores:
            step = await self._look_up_scores(step, step.scores, near)
        told = step.scores or (None,)
        return Window(step, (told[0], told[-1]), at_end)

    async def _look_up_scores(
        self, step: Step, told: Sequence[float | None], near: float | None
    ) -> Step:
        """For members that the list of scores missed, because the state moved in between."""
        known = [one for one in (*told, near) if one is not None]
        stand = list(told)
        if known:
            without = [place for place, one in enumerate(told) if one is None]
            commands: list[Command] = [("ZSCORE", self._key, step.ids[at]) for at in without]
            for place, reply in zip(without, await ask_all(self._client, commands), strict=True):
                at = score(reply)
                # One that has come back elsewhere is met there, or was not there when we began.
                if at is not None and min(known) <= at <= max(known):
                    stand[place] = at
        step.scores = stand
        return step.only([place for place, at in enumerate(stand) if at is not None])


async def read_fields(
    client: Client, queue: QueueKey, ids: Sequence[str], fields: Sequence[str]
) -> list[Met]:
    """Given jobs with the given fields. Costs a round trip with an HMGET a job; none without.

    A failedReason that says nothing is replaced by what the job's stack says, see `fill_reasons`.
    """
    if not fields or not ids:
        return [Met(one, {}) for one in ids]
    values = await read_whole(client, [queue.job(one) for one in ids], fields)
    met = [
        Met(one, dict(zip(fields, value, strict=True)))
        for one, value in zip(ids, values, strict=True)
    ]
    if _REASON in fields:
        told = [one.fields[_REASON] for one in met]
        for one, reason in zip(met, await fill_reasons(client, queue, ids, told), strict=True):
            one.fields[_REASON] = reason
    return met


def _columns(reply: Reply, names: Sequence[str]) -> Step:
    """The columns of a SORT_RO, which tells of each job its id and then its fields."""
    flat = cast("list[str | None]", items(reply))  # what a GET does not find is nil
    width = len(names) + 1
    ids = cast("list[str]", flat[::width])
    return Step(ids, {name: flat[at::width] for at, name in enumerate(names, 1)})


def _aligned(ids: Sequence[str], reply: Reply) -> list[float | None]:
    """The scores of the members, one each, from a reply about the same places."""
    parts = cast("list[str]", items(reply))
    if parts[::2] == ids:
        try:
            return list(map(float, parts[1::2]))
        except (TypeError, ValueError):
            pass
    known = scored_members(reply)
    return [known.get(one) for one in ids]
