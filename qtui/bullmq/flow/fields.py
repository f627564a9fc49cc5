"""Reads fields of given jobs whole, and what their parents hold about them, few large jobs at once.

An HMGET a job in one round trip takes Redis a third of the time that a script takes for it, which
has to turn each value into one of Lua's and back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, TypeAlias

from qtui.bullmq.connection.client import Client, slots_of
from qtui.bullmq.connection.portion import Portion
from qtui.bullmq.flow.held import read_held
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.hashes import by_weight, read_whole

STEP: Final = 200
"""Most jobs in one round trip: about 0.6 ms of Redis's time."""

_FIRST_STEP: Final = 20

Values: TypeAlias = Sequence[str | None]
"""The values of one job's fields, None for each that is absent."""


class Fields:
    """Reads the same fields of any jobs of one queue.

    Args:
        client: where to read.
        queue: the queue.
        names: the fields' names in the hash.
        family: whether another value follows those: what the keys of the job's parent hold about
            it, as JSON (`family_of`); None without a parent. ``parentKey`` must be among the names.
    """

    def __init__(
        self, client: Client, queue: QueueKey, names: Sequence[str], *, family: bool = False
    ) -> None:
        self._client = client
        self._queue = queue
        self._names = tuple(names)
        self._parent = self._names.index("parentKey") if family else None
        self._portion = Portion(first=_FIRST_STEP, most=STEP)

    async def first_of(self, ids: Sequence[str]) -> list[Values]:
        """Returns the values of the first given jobs, in order: at least 1, at most `STEP`.

        Fewer if they are large, to bound memory: it begins with few, and adapts to the size of the
        last ones. Costs one round trip with an HMGET a job, some 3 µs for 17 fields of 1 kB; more
        trips where the jobs turn out to be too large for one. With ``family`` another, with three
        commands for each job that has a parent.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        some = next(by_weight(ids[: self._portion.jobs]), ())
        jobs = list(map(self._queue.job, some))

        async def read(number: int) -> list[Values]:
            return await read_whole(self._client, jobs[:number], self._names)

        found = await self._portion.read(len(jobs), read)
        if self._parent is None:
            return found
        families = await self._families(jobs, [values[self._parent] for values in found])
        return [[*values, family] for values, family in zip(found, families, strict=True)]

    async def _families(
        self, jobs: Sequence[str], parents: Sequence[str | None]
    ) -> Sequence[str | None]:
        """What each job's parent holds about it, as JSON.

        On a cluster a parent may be in another slot, where our scripts cannot change it either:
        then nothing is read.
        """
        if not any(parents):
            return [None] * len(parents)
        own = slots_of(self._client, [self._queue.key("meta")])
        near = [one if one and slots_of(self._client, [one]) == own else None for one in parents]
        held = await read_held(self._client, list(zip(jobs, near, strict=False)))
        return [
            json.dumps(one or {}) if parent is not None else None
            for parent, one in zip(parents, held, strict=True)
        ]


def family_of(text: str | None) -> dict[str, str] | None:
    """Returns what a parent's keys hold about a job, from the value that `Fields` adds.

    By key: ``processed`` (a return value), ``unsuccessful`` (a score), ``failed`` (a reason); None
    without a parent.
    """
    if text is None:
        return None
    held = json.loads(text)
    return {name: held[name] for name in sorted(held)}
