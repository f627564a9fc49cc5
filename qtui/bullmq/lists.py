"""Finds members of lists, on servers without LPOS too (Redis below 6.0.6). Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from redis.exceptions import ResponseError

from qtui.bullmq.ask import Command, Reply, ask, number, texts
from qtui.bullmq.connection import Client

_SLICE: Final = 1000

_Search: TypeAlias = tuple[str, Command]
"""A list's key, and the options of LPOS behind the member."""


async def without_lpos(
    client: Client, looks: Sequence[Command], replies: Sequence[Reply]
) -> list[Reply]:
    """The replies to LPOS commands; where the server has none, what they would have been.

    Args:
        client: where to read.
        looks: the commands, with RANK and MAXLEN at most.
        replies: what they were answered.

    Costs nothing where there is an LPOS. Else each list is read once, in slices of 1,000, until all
    are found: O(n) in Redis, as LPOS is, and the ids on the wire.
    """
    if not any(_is_unknown(reply) for reply in replies):
        return list(replies)
    searches = [_search(look) for look in looks]
    places = {
        search: await _read(
            client, search, {str(look[2]) for look in looks if _search(look) == search}
        )
        for search in dict.fromkeys(searches)
    }
    return [places[search].get(str(look[2])) for search, look in zip(searches, looks, strict=True)]


def _search(look: Command) -> _Search:
    return str(look[1]), look[3:]


def _is_unknown(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and "unknown command" in str(reply).lower()


async def _read(client: Client, search: _Search, wanted: Iterable[str]) -> dict[str, int]:
    """The first places of members in a list, from its head; with MAXLEN only near one end."""
    key, words = search
    options = dict(zip(words[::2], words[1::2], strict=True))
    [reply] = await ask(client, [("LLEN", key)])
    length = number(reply) or 0
    most = int(options.get("MAXLEN", length))
    from_tail = int(options.get("RANK", 1)) < 0
    start, stop = (max(0, length - most), length) if from_tail else (0, min(length, most))
    left, found = set(wanted), dict[str, int]()
    while start < stop and left:
        end = min(start + _SLICE, stop)
        [reply] = await ask(client, [("LRANGE", key, start, end - 1)])
        for place, member in enumerate(texts(reply), start):
            if member in left:
                found[member] = place
                left.discard(member)
        start = end
    return found
