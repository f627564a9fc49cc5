"""Reads whole jobs in few commands, by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import by_weight
from qtui.bullmq.reads.scripted.whole import HASHES, SETS, Part, Unread, Whole
from qtui.bullmq.script import Script, script_text

STEP: Final = 100
"""Most jobs in one command: about 1 ms of Redis's time."""

_FIRST_STEP: Final = 10

HEAVY: Final = 300_000
"""Characters after which a command reads no more jobs."""

LARGEST: Final = 4_000_000
"""Most characters of one job, with its logs and the keys of its children."""

_AT_ONCE: Final = 2
"""Commands in flight: Redis runs one while the reply to the other is parsed."""

_STATES: Final = {state.key: state for state in JobState}

_Reply: TypeAlias = "list[str | list[str] | list[str | list[str]] | None] | str"


class Raw(NamedTuple):
    """A job that was read whole, as Redis replied."""

    state: str
    """The suffix of its state's key, empty if it is in none."""
    score: str
    fields: Sequence[str]
    """Names and values in turn; none if there is no hash."""
    rest: Mapping[str, Part]


NOWHERE: Final = Unread("it is in no state")
"""A job that has a hash, and is in none of the states in which it was sought."""


class Wholes:
    """Reads whole jobs of one queue.

    Args:
        client: where to read; not a read-only one, since Redis counts every script as a write.
        queue: the queue.
        state: the state of the jobs; None to look for that of each.
    """

    def __init__(self, client: Client, queue: QueueKey, state: JobState | None) -> None:
        self._script = Script(client, script_text("whole"))
        self._queue = queue
        self._keys = [queue.key("meta")]
        given = "" if state is None else state.key
        self._before = [queue.key(""), given, str(LARGEST), str(HEAVY)]
        self._step = _FIRST_STEP
        self._near = 0
        """Where the last job was in its list."""

    async def first_of(self, ids: Sequence[str]) -> list[Whole | Unread]:
        """Returns the first given jobs, in order; see `raw_of`."""
        found = await self.raw_of(ids)
        return [self._whole(*pair) for pair in zip(ids, found, strict=False)]

    async def raw_of(self, ids: Sequence[str]) -> list[Raw | Unread]:
        """Returns the first given jobs as replied, in order: at least 1, at most 2 `STEP`.

        Fewer if they are large, to bound memory: it begins with few, and adapts to the size of the
        last ones. A job without a hash has no fields. Costs two concurrent EVALSHA, some 8 µs a job
        of 1 kB; in a list each is sought from the tail, O(n).

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        ids = next(by_weight(ids), ())
        size = self._step
        last = min(len(ids), (_AT_ONCE if size > 1 else 1) * size)
        parts = [ids[start : min(start + size, last)] for start in range(0, last, size)]
        replies = await asyncio.gather(*map(self._part, parts), return_exceptions=True)
        found: list[Raw | Unread] = []
        for part, reply in zip(parts, replies, strict=True):
            if isinstance(reply, BaseException):
                raise reply
            found += reply
            if len(reply) < len(part):
                self._step = len(reply)
                break  # the jobs after large ones are read again by the next call
        if len(found) == _AT_ONCE * size:
            self._step = min(STEP, 2 * size)
        self._near = next(filter(None, map(_place, reversed(found))), self._near)
        return found

    async def _part(self, ids: Sequence[str]) -> list[Raw | Unread]:
        arguments = [*self._before, str(self._near), *ids]
        reply = cast("list[_Reply]", await self._script.call(self._keys, arguments))
        return [_raw(one) for one in reply]

    def _whole(self, job_id: str, raw: Raw | Unread) -> Whole | Unread:
        if isinstance(raw, Unread):
            return raw
        if raw.fields and not raw.state:
            return NOWHERE
        state = _STATES.get(raw.state, JobState.ACTIVE)
        return Whole(self._queue, job_id, state, raw.score, _pairs(raw.fields), raw.rest)


def _raw(reply: _Reply) -> Raw | Unread:
    if isinstance(reply, str):
        return Unread(reply)
    state, score, fields, rest = reply
    flat = cast("list[str | list[str]] | None", rest)
    found = _rest(flat) if flat else _NOTHING
    return Raw(cast("str", state), cast("str", score), cast("list[str]", fields), found)


_NOTHING: Final[Mapping[str, Part]] = {}


def _place(job: Raw | Unread) -> int:
    """Where a job is in its list; 0 if it is in none."""
    found = job.rest.get("index") if isinstance(job, Raw) else None
    return int(found) if isinstance(found, str) else 0


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
