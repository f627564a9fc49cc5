"""Fields of many jobs for lists, a bearable amount at a time however large they are. Reads only.

Where all of them together come in at most `BEARABLE` bytes they take one round trip. Else they are
asked for by halves; a job that is too large alone is asked for its sizes first, and of a field
longer than `LONGEST_FIELD` a list holds only that it is there and how long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, ask_all, number, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.connection.arrival import ReplyTooLarge, at_most
from qtui.text import size

T = TypeVar("T")

SENT: Final = 500_000
"""Characters of ids for which one round trip asks: each is sent with every command about it."""

LONGEST_FIELD: Final = 262_144
"""Bytes of one field that a list reads of a job that is too large to be read whole."""


def by_weight(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in parts of `SENT` characters: all of them in one, unless they are huge."""
    start = weight = 0
    for at, one in enumerate(ids):
        weight += len(one)
        if weight > SENT and at > start:
            yield ids[start:at]
            start, weight = at, len(one)
    if ids:
        yield ids[start:]


def nothing_beside(key: str) -> Sequence[Command]:
    """Nothing is asked for beside the fields."""
    return ()


async def read_whole(
    client: Client, keys: Sequence[str], names: Sequence[str]
) -> list[Sequence[str | None]]:
    """Given fields of hashes, whole however long they are, in the order of the keys and names.

    None where one is absent, or the key holds no hash. Costs one round trip, an HMGET a key; the
    caller keeps the keys to a few hundred. A list reads with `read_hashes`.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """
    replies = await ask_all(client, [("HMGET", key, *names) for key in keys]) if keys else []
    absent = [None] * len(names)
    return [texts(reply) or absent for reply in replies]


async def read_hashes(
    client: Client,
    keys: Sequence[str],
    names: Sequence[str],
    made: Callable[[int, Reply, Sequence[Reply]], T],
    beside: Callable[[str], Sequence[Command]] = nothing_beside,
) -> list[T]:
    """What is made of given fields of hashes, in the order of the keys.

    Args:
        client: where to read.
        keys: the hashes.
        names: the fields.
        made: makes something small of the place of a key, the reply to its HMGET and those to what
            was asked beside it; called as the replies come, so that they need not be held.
        beside: what else is asked of each key, with small replies.

    Costs one round trip with an HMGET a key. Where the values are large, one for each `BEARABLE`
    bytes of them and as much again for replies that were broken off; of a key that is too large
    alone an HSTRLEN a field.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """
    found: list[T] = []
    for part in by_weight(keys):
        found += await _some(client, part, names, made, beside, len(found))
    return found


async def _some(
    client: Client,
    keys: Sequence[str],
    names: Sequence[str],
    made: Callable[[int, Reply, Sequence[Reply]], T],
    beside: Callable[[str], Sequence[Command]],
    first: int,
) -> list[T]:
    if not keys:
        return []
    more = [beside(key) for key in keys]
    commands: list[Command] = [("HMGET", key, *names) for key in keys]
    commands += [command for some in more for command in some]
    try:
        with at_most():
            replies = await ask_all(client, commands)
    except ReplyTooLarge:
        if len(keys) == 1:
            fields = await _weighed(client, keys[0], names)
            rest = await ask_all(client, more[0]) if more[0] else []
            return [made(first, fields, rest)]
        half = len(keys) // 2
        head = await _some(client, keys[:half], names, made, beside, first)
        return head + await _some(client, keys[half:], names, made, beside, first + half)
    found, at = [], len(keys)
    for place, some in enumerate(more):
        found.append(made(first + place, replies[place], replies[at : at + len(some)]))
        at += len(some)
    return found


async def _weighed(client: Client, key: str, names: Sequence[str]) -> Reply:
    """The fields of a hash; in place of each that is too long for a list, words that say so."""
    sizes = await ask_all(client, [("HSTRLEN", key, name) for name in names])
    if sizes and isinstance(sizes[0], RedisError):
        return sizes[0]
    lengths = [number(one) or 0 for one in sizes]
    short = [name for name, length in zip(names, lengths, strict=True) if length <= LONGEST_FIELD]
    [reply] = await ask_all(client, [("HMGET", key, *short)]) if short else [[]]
    known = dict(zip(short, texts(reply), strict=False))
    found: list[Reply] = [
        known.get(name) if name in known else f"({name} of {size(length)}: open the job to read it)"
        for name, length in zip(names, lengths, strict=True)
    ]
    return found
