"""Whole keyspaces as values: taken, copied, compared, and asked where each job is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

import redis

from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import JobState

Value = tuple[object, ...]
"""Type, value and whether it expires. Equal when two keys hold the same, whenever written."""

PLACES: Final = tuple(state.key for state in JobState)


def snapshot(client: redis.Redis) -> dict[str, Value]:
    """Every key of a database with its value; entries of streams without their ids (times)."""
    return {key: _value(client, key) for key in sorted(client.scan_iter(count=1000))}


def _value(client: redis.Redis, key: str) -> Value:
    kind = client.type(key)
    content: object
    if kind == "hash":
        content = client.hgetall(key)
    elif kind == "list":
        content = client.lrange(key, 0, -1)
    elif kind == "set":
        content = client.smembers(key)
    elif kind == "zset":
        content = client.zrange(key, 0, -1, withscores=True)
    elif kind == "stream":
        content = [list(fields.items()) for fields in entries(client, key)]
    else:
        content = client.get(key)
    return kind, content, client.ttl(key) != -1


def entries(client: redis.Redis, key: str) -> list[dict[str, str]]:
    """What the entries of a stream say, the oldest first."""
    found = cast("list[tuple[str, dict[str, str]]]", client.xrange(key))
    return [fields for _, fields in found]


def members(client: redis.Redis, key: str) -> list[str]:
    """The members of a list or sorted set, in its order."""
    if client.type(key) == "zset":
        return cast("list[str]", client.zrange(key, 0, -1))
    return cast("list[str]", client.lrange(key, 0, -1))


def digest(client: redis.Redis) -> str:
    """A sum over every byte of the server's data."""
    return str(client.execute_command("DEBUG", "DIGEST"))


def copy(source: redis.Redis, database: int) -> None:
    """Make a database an exact copy: values, expiry and the ids of stream entries."""
    keys = list(source.scan_iter(count=1000))
    with source.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.copy(key, key, str(database), replace=True)
        copied = pipe.execute()
    assert all(copied)


@dataclass(frozen=True, slots=True)
class Difference:
    """A key in which qtui is right to differ from a release, or the release is known to be wrong.

    Args:
        key: the key's name without prefix and colon: ``q:wait``.
        reason: what the release does, for the reader of a failure.
        right: whether (the release's value, ours) is how it should be; None for no such key.
        always: whether the release always differs, and not only where chance has it.
    """

    key: str
    reason: str
    right: Callable[[Value | None, Value | None], bool]
    always: bool = True


def only_ours(value: object) -> Callable[[Value | None, Value | None], bool]:
    """The release writes no such key, and ours holds this."""
    return lambda official, ours: official is None and ours is not None and ours[1] == value


def differing(official: Mapping[str, Value], ours: Mapping[str, Value]) -> dict[str, str]:
    """The keys that are not equal, each with both values for the eye."""
    return {
        key: f"\n  official {official.get(key)}\n  ours     {ours.get(key)}"
        for key in sorted({*official, *ours})
        if official.get(key) != ours.get(key)
    }


def assert_equal(
    official: Mapping[str, Value], ours: Mapping[str, Value], *declared: Difference
) -> None:
    """Every key is equal, but for the declared ones, which do differ, and in the right way."""
    found = differing(official, ours)
    for difference in declared:
        key = f"bull:{difference.key}"
        seen = found.pop(key, None)
        if seen is None and not difference.always:
            continue
        assert seen is not None, f"{key} does not differ (any more): {difference.reason}"
        right = difference.right(official.get(key), ours.get(key))
        assert right, f"{key} differs in another way than: {difference.reason}{seen}"
    assert not found, "".join(f"\n{key}{seen}" for key, seen in found.items())


def census(client: redis.Redis, queue: str) -> dict[str, list[str]]:
    """For each job of a queue the places in which it is: one, or something is wrong.

    A job without a place is lost; an id without a hash is there too, with the place "no hash".
    """
    base = f"bull:{queue}:"
    found: dict[str, list[str]] = {}
    hashes = list(client.scan_iter(match=f"{base}*", count=1000, _type="hash"))
    with client.pipeline(transaction=False) as pipe:
        for key in hashes:
            pipe.hmget(key, "timestamp", "data")
        for key, fields in zip(hashes, pipe.execute(), strict=True):
            if None not in fields:
                found[key.removeprefix(base)] = []
    for place in PLACES:
        for id in members(client, base + place):
            if not is_marker(id):
                found.setdefault(id, ["no hash"]).append(place)
    return found
