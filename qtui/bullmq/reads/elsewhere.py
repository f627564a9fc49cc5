"""Where queues are when none is where they were looked for. Reads only, and only so much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from qtui.bullmq.ask import ask_one, number
from qtui.bullmq.connection import Client, in_database
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.discovery import scan
from qtui.bullmq.reads.status import read_status

SLICES: Final = 20
"""Calls of SCAN in one database, 1,000 keys each: some 6 ms of Redis's time."""

MOST_DATABASES: Final = 4
"""Other databases that are looked into, those with the most keys."""

_MOST_QUEUES: Final = 200
"""Candidates in one database that are looked at."""


class Place(NamedTuple):
    """Queues in one database under one prefix."""

    database: int
    prefix: str
    queues: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What was found where no queue was expected."""

    database: int
    """The one in which none was found."""
    places: tuple[Place, ...] = ()
    keys: Mapping[int, int] | None = None
    """Keys in each database that has any; None where the server does not say."""
    whole: bool = True
    """Whether all keys were looked at."""


async def look_elsewhere(client: Client, prefixes: Sequence[str]) -> Elsewhere:
    """Queues under other prefixes, and under any prefix in other databases.

    What an ACL hides is left out. Costs one INFO, and in this database and the `MOST_DATABASES`
    largest others `SLICES` calls of SCAN, on a cluster that many for all primaries, with one
    `read_status` each.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server could not be asked.
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
    """How many keys are in each database; None where the server does not say."""
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
    """How many queues are under which prefix, and whether the whole database was looked at."""
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
    """The queue that a ``meta`` or ``id`` may belong to; names with colons are rare."""
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
