"""Reads fields of given jobs in few commands, for those who may run scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.hashes import by_weight
from qtui.bullmq.script import Script, script_text

STEP: Final = 100
"""Jobs in one command at most: about 1 ms of Redis's time."""

_FIRST_STEP: Final = 10

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
        self._script = Script(client, script_text("fields"))
        self._keys = [queue.key("meta")]
        self._before = [queue.key(""), str(len(names)), str(HEAVY), *names]
        self._absent: Values = (None,) * len(names)
        self._step = _FIRST_STEP

    async def first_of(self, ids: Sequence[str]) -> list[Values]:
        """The values of the first of some jobs, in order: of one at least, of 2 `STEP` at most.

        Fewer where they are large, so that little is held at a time: few to begin with, then as
        many as the last ones would let it read. Costs two EVALSHA at once, some 9 µs a job with 17
        fields of 1 kB.

        Raises:
            redis.exceptions.RedisError: the server could not be asked, or refused.
        """
        ids = next(by_weight(ids), ())
        size = self._step
        last = min(len(ids), (_AT_ONCE if size > 1 else 1) * size)
        parts = [ids[start : min(start + size, last)] for start in range(0, last, size)]
        replies = await asyncio.gather(*map(self._part, parts), return_exceptions=True)
        found: list[Values] = []
        for part, reply in zip(parts, replies, strict=True):
            if isinstance(reply, BaseException):
                raise reply
            found += reply
            if len(reply) < len(part):
                self._step = len(reply)
                return found  # what comes behind large jobs is read again
        if len(found) == _AT_ONCE * size:
            self._step = min(STEP, 2 * size)
        return found

    async def _part(self, ids: Sequence[str]) -> list[Values]:
        reply = await self._script.call(self._keys, [*self._before, *ids])
        some = cast("list[list[str | None] | None]", reply)
        return [self._absent if values is None else values for values in some]
