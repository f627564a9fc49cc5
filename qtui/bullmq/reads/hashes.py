"""Reads fields of many jobs for lists, in replies of bounded size however large the jobs are.

If all fits into `BEARABLE` bytes it takes one round trip. Else the jobs are read in halves. Of a
single job that is still too large the sizes are read first, and a field longer than `LONGEST_FIELD`
is replaced by a note of its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Final, TypeVar, cast

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, ask_all, number, texts
from qtui.bullmq.connection.arrival import ReplyTooLarge, at_most
from qtui.bullmq.connection.client import Client
from qtui.text import size

T = TypeVar("T")

SENT: Final = 500_000
"""Most characters of ids per round trip: each id is sent with every command about it."""

LONGEST_FIELD: Final = 262_144
"""Longest field, in bytes, that a list reads of a job that is too large to be read whole."""


def by_weight(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Splits ids into parts of at most `SENT` characters: one part, unless they are huge."""
    start = weight = 0
    for at, one in enumerate(ids):
        weight += len(one)
        if weight > SENT and at > start:
            yield ids[start:at]
            start, weight = at, len(one)
    if ids:
        yield ids[start:]


def nothing_beside(key: str) -> Sequence[Command]:
    """Returns no commands: only the fields are read."""
    return ()


async def read_whole(
    client: Client, keys: Sequence[str], names: Sequence[str]
) -> list[Sequence[str | None]]:
    """Returns fields of hashes in full, however long, in the order of the keys and names.

    A value is None if the field is absent, or the key is not a hash. Costs one round trip, an HMGET
    a key: pass a few hundred keys at most. For lists use `read_hashes`.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """
    replies = await ask_all(client, [("HMGET", key, *names) for key in keys]) if keys else []
    absent = [None] * len(names)
    # The values of a hash are texts; a reply that is no list is that of a key of another type.
    return cast(
        "list[Sequence[str | None]]", [one if isinstance(one, list) else absent for one in replies]
    )


async def read_hashes(
    client: Client,
    keys: Sequence[str],
    names: Sequence[str],
    made: Callable[[int, Reply, Sequence[Reply]], T],
    beside: Callable[[str], Sequence[Command]] = nothing_beside,
) -> list[T]:
    """Reads fields of hashes, and returns what ``made`` makes of each, in the order of the keys.

    Args:
        client: where to read.
        keys: the hashes.
        names: the fields.
        made: takes the index of a key, the reply to its HMGET and the replies to ``beside``, and
            returns something small. Called as replies arrive, so that they are not kept.
        beside: further commands about a key, with small replies.

    Costs one round trip with an HMGET a key. If the values are large, one for each `BEARABLE` bytes
    of them, and as many again for replies that were cut off; for a single key that is too large an
    HSTRLEN a field.

    Raises:
        redis.exceptions.ResponseError: one of the commands was refused.
    """

    def each(first: int, fields: Sequence[Reply], others: Sequence[Sequence[Reply]]) -> Iterable[T]:
        return map(made, count(first), fields, others)

    return await read_hashes_together(client, keys, names, each, beside)


async def read_hashes_together(
    client: Client,
    keys: Sequence[str],
    names: Sequence[str],
    made: Callable[[int, Sequence[Reply], Sequence[Sequence[Reply]]], Iterable[T]],
    beside: Callable[[str], Sequence[Command]] = nothing_beside,
) -> list[T]:
    """As `read_hashes`, for what is made faster of many hashes than one by one.

    ``made`` takes the index of the first key, and for it and those behind it the replies to HMGET
    and to ``beside``: all that arrived together.
    """
    found: list[T] = []
    for part in by_weight(keys):
        found += await _some(client, part, names, made, beside, len(found))
    return found


async def _some(
    client: Client,
    keys: Sequence[str],
    names: Sequence[str],
    made: Callable[[int, Sequence[Reply], Sequence[Sequence[Reply]]], Iterable[T]],
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
            return list(made(first, [fields], [rest]))
        half = len(keys) // 2
        head = await _some(client, keys[:half], names, made, beside, first)
        return head + await _some(client, keys[half:], names, made, beside, first + half)
    others, at = list[Sequence[Reply]](), len(keys)
    for some in more:
        others.append(replies[at : at + len(some)])
        at += len(some)
    return list(made(first, replies[: len(keys)], others))


async def _weighed(client: Client, key: str, names: Sequence[str]) -> Reply:
    """The fields of a hash; each that is too long for a list is replaced by a note of its size."""
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
