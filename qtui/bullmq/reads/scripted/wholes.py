"""Reads whole jobs in few commands: most are but a hash, what hangs on the others a script reads.

An HGETALL and an EXISTS a job in one round trip take Redis a third of the time of the script, which
has to turn each value into one of Lua's and back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from qtui.bullmq.ask import Command, Reply, ask, fields_of
from qtui.bullmq.connection.arrival import BEARABLE, ReplyTooLarge
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.portion import Portion
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import by_weight
from qtui.bullmq.reads.scripted.list_places import Leaving, ListPlace, ListPlaces
from qtui.bullmq.reads.scripted.whole import (
    BESIDE,
    HASHES,
    PLACE,
    SETS,
    Part,
    Unread,
    Whole,
    place_texts,
)
from qtui.bullmq.script import Script, script_text

STEP: Final = 200
"""Most jobs in one round trip: about 1 ms of Redis's time."""

_FIRST_STEP: Final = 20

_SCRIPTED: Final = 40
"""Most jobs that the script reads in one call: about 1 ms of Redis's time."""

_AT_ONCE: Final = 2
"""Calls of the script in flight: Redis runs one while the reply to the other is parsed."""

_LOOKED_AT: Final = 20
"""Jobs of which one EXISTS asks whether there is anything beside their hashes."""

_HEAVY_CALL: Final = 300_000
"""Characters after which a call of the script reads no more jobs."""

LARGEST: Final = 4_000_000
"""Most characters of one job, with its logs and the keys of its children."""

_STATES: Final = {state.key: state for state in JobState}

_Reply: TypeAlias = "list[str | list[str] | list[str | list[str]] | None] | str"


class Raw(NamedTuple):
    """A job that was read whole."""

    state: str
    """The suffix of its state's key, empty if it is in none."""
    score: str
    fields: Mapping[str, str]
    """Empty if there is no hash."""
    rest: Mapping[str, Part]
    """`Whole.rest` but for what is in `PLACE`."""


NOWHERE: Final = Unread("it is in no state")
"""A job that has a hash, and is in none of the states in which it was sought."""

TOO_LARGE: Final = Unread("its fields are too large")
"""As the script says it."""

_NOTHING: Final[Mapping[str, Part]] = {}


class Wholes:
    """Reads whole jobs of one queue.

    Args:
        client: where to read; not a read-only one, since Redis counts every script as a write.
        queue: the queue.
        state: the state of the jobs; None to look for that of each.
    """

    def __init__(self, client: Client, queue: QueueKey, state: JobState | None) -> None:
        self._client = client
        self._script = Script(client, script_text("whole"))
        self._queue = queue
        self._state = state
        is_list = state is not None and state.is_list
        self._places = ListPlaces(client, queue.key(state.key)) if state and is_list else None
        self._leaving = Leaving()
        self._portion = Portion(first=_FIRST_STEP, most=STEP, alone=BEARABLE)

    async def first_of(self, ids: Sequence[str]) -> list[Whole | Unread]:
        """Returns the first given jobs, in order; see `raw_of` and `places_of`."""
        found = await self.raw_of(ids)
        ids = ids[: len(found)]
        places = await self.places_of(ids)
        return [
            self._whole(job_id, job, places.get(job_id))
            for job_id, job in zip(ids, found, strict=True)
        ]

    async def raw_of(self, ids: Sequence[str]) -> list[Raw | Unread]:
        """Returns the first given jobs, in order: at least 1, at most `STEP`.

        Fewer if they are large, to bound memory: it begins with few, and adapts to the size of the
        last ones. A job without a hash has no fields.

        Costs one round trip with an HGETALL a job and an EXISTS for `_LOOKED_AT`, some 5 µs for one
        of 1 kB; where anything is beside one of these, another with an EXISTS for each. For jobs
        with more than a hash, all if their states are to be looked for, the script's calls, some
        30 µs a job.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        some = next(by_weight(ids[: self._portion.jobs]), ())
        try:
            found = await self._portion.read(len(some), lambda jobs: self._read(some[:jobs]))
        except ReplyTooLarge:
            return await self._scripted(some[:1])  # the script weighs what it reads
        return [TOO_LARGE if _weight(job) > LARGEST else job for job in found]

    async def places_of(self, ids: Sequence[str]) -> dict[str, ListPlace]:
        """Returns the places in a list that these jobs have when they leave it in this order.

        Costs what `ListPlaces` costs; nothing where the state is no list.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        if self._places is None:
            return {}
        return self._leaving.places(ids, await self._places.of(ids))

    async def _read(self, ids: Sequence[str]) -> list[Raw | Unread]:
        hashes = await self._hashes(ids)
        others = [job_id for job_id, job in zip(ids, hashes, strict=True) if job is None]
        scripted = iter(await self._scripted(others))
        found: list[Raw | Unread] = []
        for job in hashes:
            one = next(scripted, None) if job is None else job
            if one is None:
                break  # the jobs after large ones are read again by the next call
            found.append(one)
        return found

    async def _hashes(self, ids: Sequence[str]) -> list[Raw | None]:
        """The jobs that are but a hash; None for each that the script has to read."""
        if self._state is None:
            return [None] * len(ids)
        queue = self._queue
        names = list(map(queue.job, ids))
        parts = [names[start : start + _LOOKED_AT] for start in range(0, len(names), _LOOKED_AT)]
        commands: list[Command] = [
            ("HEXISTS", queue.key("meta"), "paused"),
            ("EXISTS", queue.key("priority")),
            *(("HGETALL", name) for name in names),
            *map(_beside, parts),
        ]
        paused, priorities, *replies = await ask(self._client, commands)
        if priorities != 0:  # 1.x to 3.x: the script reads the score of each
            return [None] * len(ids)
        others = await self._with_more(parts, replies[len(names) :])
        rest: Mapping[str, Part] = {"paused": "1"} if paused == 1 else _NOTHING
        state = self._state.key
        found: list[Raw | None] = []
        for name, fields in zip(names, map(fields_of, replies), strict=False):
            # These fields lead to keys that hold something of the job.
            if name in others or fields is None or "parentKey" in fields or "deid" in fields:
                found.append(None)
            else:
                found.append(Raw(state, "", fields, rest))
        return found

    async def _with_more(self, parts: Sequence[Sequence[str]], keys: Sequence[Reply]) -> set[str]:
        """The names of jobs with anything beside their hashes, given how many keys a part has."""
        pairs = zip(parts, keys, strict=True)
        names = [name for part, number in pairs if number != 0 for name in part]
        each = await ask(self._client, [_beside([name]) for name in names])
        return {name for name, number in zip(names, each, strict=True) if number != 0}

    async def _scripted(self, ids: Sequence[str]) -> list[Raw | Unread]:
        """The first of these jobs, if any at least one, as the script reads them."""
        found: list[Raw | Unread] = []
        parts = [ids[start : start + _SCRIPTED] for start in range(0, len(ids), _SCRIPTED)]
        for start in range(0, len(parts), _AT_ONCE):
            some = parts[start : start + _AT_ONCE]
            replies = await asyncio.gather(*map(self._call, some), return_exceptions=True)
            for part, reply in zip(some, replies, strict=True):
                if isinstance(reply, BaseException):
                    raise reply
                found += reply
                if len(reply) < len(part):
                    return found
        return found

    async def _call(self, ids: Sequence[str]) -> list[Raw | Unread]:
        given = "" if self._state is None else self._state.key
        limits = (str(LARGEST), str(_HEAVY_CALL))
        words = (self._queue.key(""), given, *limits, *ids)
        reply = cast("list[_Reply]", await self._script.call([self._queue.key("meta")], words))
        return [_raw(one) for one in reply]

    def _whole(self, job_id: str, raw: Raw | Unread, at: ListPlace | None) -> Whole | Unread:
        if isinstance(raw, Unread):
            return raw
        if raw.fields and not raw.state:
            return NOWHERE
        state = _STATES.get(raw.state, JobState.ACTIVE)
        place = zip(PLACE, place_texts(at), strict=True)
        rest = {name: text for name, text in place if text is not None} | dict(raw.rest)
        return Whole(self._queue, job_id, state, raw.score, raw.fields, rest)


def _beside(names: Sequence[str]) -> Command:
    """Asks how many keys there are beside these jobs' hashes."""
    return ("EXISTS", *[f"{name}:{one}" for name in names for one in BESIDE])


def _weight(job: Raw | Unread) -> int:
    return sum(map(len, job.fields.values())) if isinstance(job, Raw) else 0


def _raw(reply: _Reply) -> Raw | Unread:
    if isinstance(reply, str):
        return Unread(reply)
    state, score, fields, rest = reply
    flat = cast("list[str | list[str]] | None", rest)
    found = _rest(flat) if flat else _NOTHING
    pairs = _pairs(cast("list[str]", fields))
    return Raw(cast("str", state), cast("str", score), pairs, found)


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _rest(flat: list[str | list[str]]) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for name, part in zip(flat[::2], flat[1::2], strict=True):
        key = cast("str", name)
        if isinstance(part, list) and key in (*HASHES, *SETS):
            found[key] = _pairs(part)
        else:
            found[key] = part if isinstance(part, list) else str(part)
    return found
