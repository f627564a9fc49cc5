"""Reads windows of a state, by SORT_RO where possible. No other module knows SORT_RO.

``SORT_RO … BY nosort LIMIT … GET …`` returns the ids of a window and fields of their jobs in one
command, as fast at the 900,000th place as at the first. A cluster refuses its patterns, Redis below
7.0 does not have it, an ACL may forbid it, and a compact set must not be read with it. In those
cases only the ids are read, and the caller reads the fields by id.

SORT and SORT_RO convert a compact sorted set into a skiplist for good, even with ``BY nosort``
(sortCommandGeneric in Redis 7.0 and Valkey 9.1): the same members take five to ten times the
memory. Measured: 3 members grew from 112 to 1,080 bytes, 128 from 2,096 to 12,824.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from qtui.bullmq.ask import Command, Reply, ask, items, number, present, texts, unrefused
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState

MOST_COMPACT: Final = 128
"""Most members of a compact set by default (zset-max-listpack-entries)."""

PROBES: Final = 2
"""Number of commands in `probe`."""


class Range(NamedTuple):
    """A range of a state's members."""

    start: int
    """Offset of the first member, from the end where the range begins."""
    length: int
    """Most members to return."""
    descending: bool
    """Whether to begin at the highest score, or at the tail of a list."""


class Members(NamedTuple):
    """The members of a part, in its order, including markers."""

    ids: Sequence[str]
    columns: dict[str, Sequence[str | None]] | None
    """By field the value for each job, None if absent. None if SORT_RO was not used."""
    beside: Sequence[Reply]
    """The replies to the commands in the same round trip; a refusal is a value, not raised."""


class Windows:
    """Reads windows of any queue and state, and remembers for which keys SORT_RO is safe.

    Once the server refuses SORT_RO, it is not tried again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        # A cluster of any release refuses GET patterns.
        self._sort_ro = not isinstance(client, RedisCluster)
        self._skiplists: set[str] = set()
        """Keys of sorted sets that are not compact: SORT_RO does not change them."""

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
        """Returns the members of a part, with their fields if SORT_RO can be used.

        Args:
            queue: the queue.
            state: the state.
            part: which members.
            fields: fields of each job's hash to read, if SORT_RO is used.
            beside: commands to send in the same round trip, so that the replies fit together.
            sort: whether SORT_RO may be used; false if its reply would be too large.

        Costs one round trip. For a sorted set two the first time, since its encoding is read along
        with its ids; for a compact one two more commands of O(1) each time.

        Raises:
            redis.exceptions.ResponseError: Redis refused the read, or the key has the wrong type.
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
            self._sort_ro = False  # only now: with a key of the wrong type both are refused
            return found

    def forget(self, queue: QueueKey, state: JobState) -> None:
        """Checks the encoding again at the next read: the set may be deleted and made anew."""
        self._skiplists.discard(queue.key(state.key))

    def _can_sort(self, queue: QueueKey) -> bool:
        # Redis puts the id in place of the first star of a GET pattern, and stops at a NUL.
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
        """The part, if the set is compact and SORT_RO would convert it; None if it is not."""
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
    """Returns the commands whose replies `is_compact` takes. Costs two commands of O(1)."""
    return [("OBJECT", "ENCODING", key), ("ZCARD", key)]


def is_compact(encoding: Reply, members: Reply) -> bool:
    """Whether SORT_RO would convert a sorted set, from the replies to `probe`.

    If an ACL or the server refuses the encoding, any set that is small enough counts as compact.
    """
    if isinstance(encoding, str):
        return encoding != "skiplist"
    return (number(members) or 0) <= MOST_COMPACT


_VERBS: Final = {False: "ZRANGE", True: "ZREVRANGE"}


def range_of(key: str, state: JobState, part: Range) -> Command:
    """Returns the command that reads the ids of a part; from a list's tail in reverse order."""
    start, last = part.start, part.start + max(1, part.length) - 1
    if not state.is_list:
        return (_VERBS[part.descending], key, start, last)
    return (
        ("LRANGE", key, -last - 1, -start - 1) if part.descending else ("LRANGE", key, start, last)
    )


def scores_of(key: str, part: Range) -> Command:
    """Returns the command that reads a part of a sorted set with scores."""
    last = part.start + max(1, part.length) - 1
    return (_VERBS[part.descending], key, part.start, last, "WITHSCORES")


def ids_of(state: JobState, part: Range, reply: Reply) -> list[str]:
    """Returns the ids of a part, in its order, from the reply to `range_of`.

    Raises:
        redis.exceptions.ResponseError: Redis refused the read, or the key has the wrong type.
    """
    ids = present(texts(unrefused(reply)))
    if state.is_list and part.descending:
        ids.reverse()
    return ids


def _found(state: JobState, part: Range, replies: Sequence[Reply]) -> Members:
    reply, *beside = replies
    return Members(ids_of(state, part, reply), None, beside)
