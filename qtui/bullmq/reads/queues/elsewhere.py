"""Finds queues under other prefixes and in other databases, for when the given ones have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from qtui.bullmq.ask import ask_one, number
from qtui.bullmq.connection.client import Client, in_database
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.discovery import scan
from qtui.bullmq.reads.status import read_status

SLICES: Final = 20
"""Most SCAN calls in one database, 1,000 keys each: some 6 ms of Redis's time."""

MOST_DATABASES: Final = 4
"""Other databases to search at most: those with the most keys."""

_MOST_QUEUES: Final = 200
"""Candidates to check at most in one database."""


class Place(NamedTuple):
    """Queues in one database under one prefix."""

    database: int
    prefix: str
    queues: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The queues found under other prefixes and in other databases."""

    database: int
    """The database in which no queue was found."""
    places: tuple[Place, ...] = ()
    keys: Mapping[int, int] | None = None
    """Number of keys in each non-empty database; None if the server refuses INFO."""
    whole: bool = True
    """Whether all keys were searched."""


async def look_elsewhere(client: Client, prefixes: Sequence[str]) -> Elsewhere:
    """Searches for queues under other prefixes, and under any prefix in other databases.

    Queues that an ACL hides are left out. Costs one INFO, then at most `SLICES` calls of SCAN and
    one `read_status` in this database and in each of the `MOST_DATABASES` largest others; on a
    cluster `SLICES` calls over all primaries.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    if isinstance(client, RedisCluster):
        found, whole = await _look(client)
        return Elsewhere(0, _places(0, found, without=prefixes), None, whole)
    own = int(client.connection_pool.connection_kwargs.get("db") or 0)
    keys = await _keys(client)
    found, whole = await _look(client)
    places = list(_places(own, found, without=prefixes))
    others = sorted((one for one in keys or () if one != own), key=lambda one: -(keys or {})[one])
    for database in others[:MOST_DATABASES]:
        there = in_database(client, database)
        try:
            found, all_of_it = await _look(there)
        finally:
            await there.aclose()
        places += _places(database, found)
        whole = whole and all_of_it
    return Elsewhere(own, tuple(places), keys, whole and len(others) <= MOST_DATABASES)


async def _keys(client: Client) -> dict[int, int] | None:
    """The number of keys in each database; None if the server refuses INFO."""
    try:
        reply: object = await client.execute_command("INFO", "keyspace")
    except ResponseError:
        return None
    found = {}
    for name, facts in reply.items() if isinstance(reply, Mapping) else ():
        digits = str(name).removeprefix("db")
        keys = facts.get("keys") if isinstance(facts, Mapping) else None
        if digits.isdecimal() and isinstance(keys, int):
            found[int(digits)] = keys
    return found


async def _look(client: Client) -> tuple[Counter[str], bool]:
    """The number of queues per prefix, and whether the whole database was searched."""
    candidates: set[QueueKey] = set()
    seen, calls = 0, 0
    try:
        async for keys in scan(client, "*:*:[im][de]*"):
            candidates.update(key for key in map(_queue, keys) if key is not None)
            calls += 1
            if calls >= SLICES or len(candidates) >= _MOST_QUEUES:
                break
        seen = calls * 1000
        statuses = await read_status(client, sorted(candidates)[:_MOST_QUEUES])
        size = number(await ask_one(client, "DBSIZE")) or 0
    except NoPermissionError:
        return Counter(), False
    found = Counter(status.queue.prefix for status in statuses if status.exists)
    return found, calls < SLICES or seen >= size


def _queue(key: str) -> QueueKey | None:
    """The queue that a ``meta`` or ``id`` may belong to. Names with colons are rare: ignored."""
    base, _, suffix = key.rpartition(":")
    prefix, _, name = base.rpartition(":")
    if suffix not in ("meta", "id") or not prefix or not name or prefix.endswith(":"):
        return None
    return QueueKey(base, prefix)


def _places(database: int, found: Counter[str], without: Sequence[str] = ()) -> tuple[Place, ...]:
    return tuple(
        Place(database, prefix, queues)
        for prefix, queues in found.most_common()
        if prefix not in without
    )
