"""Reads fields of given jobs in few commands, by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.hashes import by_weight
from qtui.bullmq.script import Script, script_text

STEP: Final = 100
"""Most jobs in one command: about 1 ms of Redis's time."""

_FIRST_STEP: Final = 10

HEAVY: Final = 300_000
"""Characters of values after which a command reads no more jobs."""

_AT_ONCE: Final = 2
"""Commands in flight: Redis runs one while the reply to the other is parsed."""

Values: TypeAlias = Sequence[str | None]
"""The values of one job's fields, None for each that is absent."""


class Fields:
    """Reads the same fields of any jobs of one queue.

    Args:
        client: where to read; not a read-only one, since Redis counts every script as a write.
        queue: the queue.
        names: the fields' names in the hash.
        family: whether another value follows those: what the keys of the job's parent hold about
            it, as JSON (`family_of`); None without a parent. ``parentKey`` must be among the names.
    """

    def __init__(
        self, client: Client, queue: QueueKey, names: Sequence[str], *, family: bool = False
    ) -> None:
        self._script = Script(client, script_text("fields"))
        self._keys = [queue.key("meta")]
        parent_at = str(names.index("parentKey") + 1 if family else 0)
        self._before = [queue.key(""), str(len(names)), str(HEAVY), parent_at, *names]
        self._absent: Values = (None,) * (len(names) + family)
        self._step = _FIRST_STEP

    async def first_of(self, ids: Sequence[str]) -> list[Values]:
        """Returns the values of the first given jobs, in order: at least 1, at most 2 `STEP`.

        Fewer if they are large, to bound memory: it begins with few, and adapts to the size of the
        last ones. Costs two concurrent EVALSHA, some 9 µs a job with 17 fields of 1 kB.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
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
                return found  # the jobs after large ones are read again by the next call
        if len(found) == _AT_ONCE * size:
            self._step = min(STEP, 2 * size)
        return found

    async def _part(self, ids: Sequence[str]) -> list[Values]:
        reply = await self._script.call(self._keys, [*self._before, *ids])
        some = cast("list[list[str | None] | None]", reply)
        return [self._absent if values is None else values for values in some]


def family_of(text: str | None) -> dict[str, str] | None:
    """Returns what a parent's keys hold about a job, from the value that `Fields` adds.

    By key: ``processed`` (a return value), ``unsuccessful`` (a score), ``failed`` (a reason); None
    without a parent.
    """
    if text is None:
        return None
    held = json.loads(text)
    return {name: held[name] for name in sorted(held)}
