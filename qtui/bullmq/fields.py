"""Reads fields of given jobs in few commands, for those who may run scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.script import Script, read

STEP: Final = 100
"""Jobs in one command at most: about 1 ms of Redis's time."""

HEAVY: Final = 300_000
"""Characters of values after which a command reads no further job."""

_AT_ONCE: Final = 2
"""Commands under way at a time: Redis runs one while the reply to the other is taken in."""

Values: TypeAlias = Sequence[str | None]
"""The values of one job's fields, None where one is absent."""


class Fields:
    """Given fields of the jobs of one queue.

    Args:
        client: where to read, not one in read-only mode: Redis counts every script as a write.
        queue: the queue.
        names: the fields, by the hash's own names.
    """

    def __init__(self, client: Client, queue: QueueKey, names: Sequence[str]) -> None:
        self._script = Script(client, read("fields"))
        self._keys = [queue.key("meta")]
        self._before = [queue.key(""), str(len(names)), str(HEAVY), *names]
        self._absent: Values = (None,) * len(names)
        self._step = STEP

    @property
    def most(self) -> int:
        """Jobs to ask for at a time: fewer after large ones, so that little is held at once."""
        return _AT_ONCE * self._step

    async def of(self, ids: Sequence[str]) -> list[Values]:
        """The values of each job, in order.

        Costs one EVALSHA for each `STEP` jobs, more where they are large; some 9 µs a job with 17
        fields of 1 kB.

        Raises:
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        size = self._step
        parts = [ids[start : start + size] for start in range(0, len(ids), size)]
        found = await asyncio.gather(*map(self._part, parts))
        return [values for part in found for values in part]

    async def _part(self, ids: Sequence[str]) -> list[Values]:
        found: list[Values] = []
        while len(found) < len(ids):
            left = ids[len(found) :]
            reply = await self._script.call(self._keys, [*self._before, *left])
            some = cast("list[list[str | None] | None]", reply)
            found += [self._absent if values is None else values for values in some]
            if len(some) < len(left):
                self._step = len(some)
            elif len(left) >= self._step:
                self._step = min(STEP, 2 * self._step)
        return found
