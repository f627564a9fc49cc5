"""Reads windows of a state: the one place that knows SORT_RO, and what to do without. Reads only.

``SORT_RO … BY nosort LIMIT … GET …`` answers with the ids of a window and with fields of their
jobs, in one command, at the first place and at the 900,000th alike. A cluster refuses its patterns,
Redis below 7.0 has no such command, an ACL may forbid it, and a compact set must not be read with
it. There the ids are read alone, and the caller reads fields by id.

SORT and SORT_RO turn a compact sorted set into a skiplist for good, ``BY nosort`` too
(sortCommandGeneric in Redis 7.0 and Valkey 9.1): the same members at five to ten times the memory.
Measured: 3 members from 112 to 1,080 bytes, 128 from 2,096 to 12,824.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from qtui.bullmq.ask import Command, Reply, ask, items, number, present, texts, unrefused
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState

MOST_COMPACT: Final = 128
"""Members of a compact set, as servers are configured at first (zset-max-listpack-entries)."""

PROBES: Final = 2
"""Commands of `probe`."""


class Range(NamedTuple):
    """Which members of a state are asked for."""

    start: int
    """The first place, counted from the end at which it begins."""
    length: int
    """How many, at most."""
    descending: bool
    """Whether it begins at the highest score, or at the tail of a list."""


class Members(NamedTuple):
    """The members of a part, in its order, markers too."""

    ids: Sequence[str]
    columns: dict[str, Sequence[str | None]] | None
    """By field the value of each job, None where absent; None where SORT_RO was not used."""
    beside: Sequence[Reply]
    """The replies to what was asked in the same round trip; refusals are values."""


class Windows:
    """Reads windows of any queues and states, and remembers where SORT_RO can be used.

    Args:
        client: where to read.
        sort_ro: whether SORT_RO is tried; where the server refuses it, it is not tried again.
    """

    def __init__(self, client: Client, *, sort_ro: bool = True) -> None:
        self._client = client
        # A cluster refuses GET patterns, whatever the release.
        self._sort_ro = sort_ro and not isinstance(client, RedisCluster)
        self._skiplists: set[str] = set()
        """Keys of sorted sets that SORT_RO leaves as they are."""

    async def read(
        self,
        queue: QueueKey,
        state: JobState,
        part: Range,
        fields: Sequence[str],
        beside: Sequence[Command] = (),
        *,
        sort: bool = True,
    ) -> Members:
        """The members of a part of a state, with their fields where one command tells both.

        Args:
            queue: the queue.
            state: which of its states.
            part: which members.
            fields: what is read of each job's hash, where SORT_RO is used.
            beside: commands whose replies must be of the same moment.
            sort: whether SORT_RO may be used; not where its reply would be too large.

        Costs one round trip; for a sorted set two the first time, when it is asked for its encoding
        beside its ids, and for a compact one two more commands of O(1) each time.

        Raises:
            redis.exceptions.ResponseError: Redis would not tell, be it for the type of the key.
        """
        key = queue.key(state.key)
        if not sort or not self._can_sort(queue):
            return await self._ranged(key, state, part, beside)
        if not state.is_list and key not in self._skiplists:
            found = await self._if_compact(key, state, part, beside)
            if found is not None:
                return found
            self._skiplists.add(key)
        try:
            return await self._sorted(key, queue.base, part, fields, beside)
        except ResponseError:
            found = await self._ranged(key, state, part, beside)
            self._sort_ro = False  # not before: a key of another type refuses both
            return found

    def forget(self, queue: QueueKey, state: JobState) -> None:
        """Asks for the encoding again: the set may be gone, and made anew, before the next look."""
        self._skiplists.discard(queue.key(state.key))

    def _can_sort(self, queue: QueueKey) -> bool:
        # The first star of a GET pattern is where the id goes, and a NUL hides it.
        return self._sort_ro and "*" not in queue.base and "\0" not in queue.base

    async def _sorted(
        self, key: str, base: str, part: Range, fields: Sequence[str], beside: Sequence[Command]
    ) -> Members:
        order = ("DESC",) if part.descending else ()
        patterns = [one for name in fields for one in ("GET", f"{base}:*->{name}")]
        window = ("BY", "nosort", "LIMIT", part.start, part.length, *order)
        command = ("SORT_RO", key, *window, "GET", "#", *patterns)
        reply, *rest = await ask(self._client, [command, *beside])
        flat = cast("list[str | None]", items(unrefused(reply)))  # what a GET does not find is nil
        width = len(fields) + 1
        columns: dict[str, Sequence[str | None]] = {}
        for at, name in enumerate(fields, 1):
            columns[name] = flat[at::width]
        return Members(cast("list[str]", flat[::width]), columns, rest)

    async def _if_compact(
        self, key: str, state: JobState, part: Range, beside: Sequence[Command]
    ) -> Members | None:
        """The part of a sorted set that SORT_RO would change; None of one that it would not."""
        commands = [*probe(key), range_of(key, state, part), *beside]
        replies = await ask(self._client, commands)
        if not is_compact(*replies[:PROBES]):
            return None
        return _found(state, part, replies[PROBES:])

    async def _ranged(
        self, key: str, state: JobState, part: Range, beside: Sequence[Command]
    ) -> Members:
        replies = await ask(self._client, [range_of(key, state, part), *beside])
        return _found(state, part, replies)


def probe(key: str) -> list[Command]:
    """Asks for what `is_compact` judges. Costs two commands of O(1)."""
    return [("OBJECT", "ENCODING", key), ("ZCARD", key)]


def is_compact(encoding: Reply, members: Reply) -> bool:
    """Whether SORT_RO would change a sorted set, from the replies to `probe`.

    Where an ACL or the server keeps its encoding for itself, a set small enough may be compact.
    """
    if isinstance(encoding, str):
        return encoding != "skiplist"
    return (number(members) or 0) <= MOST_COMPACT


_VERBS: Final = {False: "ZRANGE", True: "ZREVRANGE"}


def range_of(key: str, state: JobState, part: Range) -> Command:
    """Asks for the ids of a part; those from the tail of a list come in the other order."""
    start, last = part.start, part.start + max(1, part.length) - 1
    if not state.is_list:
        return (_VERBS[part.descending], key, start, last)
    return (
        ("LRANGE", key, -last - 1, -start - 1) if part.descending else ("LRANGE", key, start, last)
    )


def scores_of(key: str, part: Range) -> Command:
    """Asks for the members of a part of a sorted set with their scores."""
    last = part.start + max(1, part.length) - 1
    return (_VERBS[part.descending], key, part.start, last, "WITHSCORES")


def ids_of(state: JobState, part: Range, reply: Reply) -> list[str]:
    """The ids of a part, in its order, from the reply to `range_of`.

    Raises:
        redis.exceptions.ResponseError: it was refused, be it for the type of the key.
    """
    ids = present(texts(unrefused(reply)))
    if state.is_list and part.descending:
        ids.reverse()
    return ids


def _found(state: JobState, part: Range, replies: Sequence[Reply]) -> Members:
    reply, *beside = replies
    return Members(ids_of(state, part, reply), None, beside)
