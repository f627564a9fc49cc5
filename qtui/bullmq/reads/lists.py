"""Finds jobs in lists, and their positions: by LPOS, or by reading the list without it.

LPOS exists since Redis 6.0.6, and may be renamed or forbidden by an ACL. If a list is then too long
to read, the answer for a job not found is "unknown", never "not in it".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import Command, Reply, ask, number, present, texts, unrefused
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import is_wrong_type
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from qtui.text import count

READ: Final = 20_000
"""Members read from each end of a list to find jobs without LPOS: 5 ms of Redis's time."""

SEARCHED: Final = 10_000
"""Longest list that `find_in_lists` searches whole when ``ends`` is set."""

FEW: Final = 250
"""Jobs that `members_among` looks up one by one."""

_SLICE: Final = 1000

_AHEAD: Final = 3
"""Members of a list that are read beside a job, since some may be markers."""

_WHOLE: Final[tuple[Command, ...]] = ((),)
_ENDS: Final[tuple[Command, ...]] = (("MAXLEN", 2000), ("RANK", -1, "MAXLEN", 2000))

_Search: TypeAlias = tuple[str, Command]
"""A list's key, and the options that follow the member in LPOS."""


# In which lists --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InList:
    """The list that a job is in, or why that is not certain."""

    state: JobState | None = None
    unknown: str = ""
    """Why a list could not be searched, which may hold the job; empty if all were searched."""
    crowded: JobState | None = None
    """A list of which only the ends were searched, without finding the job there."""


def refused(error: RedisError, command: str, key: str) -> str:
    """Why a key could not be read, for people. Show it through `qtui.text.plain`."""
    if is_wrong_type(error):
        return f"{key} holds another type of key"
    return f"Redis refused {command} on {key}"


def first_reason(replies: Mapping[str, Reply], command: str) -> str:
    """Why the first unreadable key could not be read; empty if all were read."""
    for key, reply in replies.items():
        if isinstance(reply, RedisError):
            return refused(reply, command, key)
    return ""


async def find_in_lists(
    client: Client,
    queue: QueueKey,
    ids: Sequence[str],
    lists: Sequence[JobState],
    *,
    ends: bool = False,
) -> dict[str, InList]:
    """Returns the first of the given lists that each job is in.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        ids: the jobs.
        lists: the states to search.
        ends: whether to search only the two ends of lists longer than `SEARCHED`.

    Costs one round trip (two with ``ends``): an LPOS for each list and job, O(n). If LPOS is
    refused, up to `READ` members are read from each end of the list instead, once for all jobs.
    """
    if not ids or not lists:
        return {}
    keys = [queue.key(state.key) for state in lists]
    lengths = await ask(client, [("LLEN", key) for key in keys]) if ends else []
    long = [(number(length) or 0) > SEARCHED for length in lengths] or [False] * len(lists)
    looks = [(at, how) for at in range(len(lists)) for how in (_ENDS if long[at] else _WHOLE)]
    replies = await ask(client, [("LPOS", keys[at], one, *how) for one in ids for at, how in looks])
    held: dict[int, set[str]] = {at: set() for at in range(len(lists))}
    errors: dict[int, RedisError] = {}
    asked = [(one, at) for one in ids for at, _ in looks]
    for (one, at), reply in zip(asked, replies, strict=True):
        if isinstance(reply, RedisError):
            errors[at] = reply
        elif isinstance(reply, int):
            held[at].add(one)
    reasons: list[str] = []
    for at, error in errors.items():
        held[at], why = await _members(client, keys[at], error, ids)
        reasons += [why] if why else []
    crowded = next((lists[at] for at in range(len(lists)) if long[at]), None)
    nowhere = InList(None, "; ".join(reasons), crowded)
    found: dict[str, InList] = {}
    for one in ids:
        here = next((lists[at] for at in range(len(lists)) if one in held[at]), None)
        found[one] = nowhere if here is None else InList(here)
    return found


async def _members(
    client: Client, key: str, error: RedisError, ids: Sequence[str]
) -> tuple[set[str], str]:
    """The jobs found by reading a list, and why others may be in it too (empty: they are not)."""
    why = refused(error, "LPOS", key)
    if is_wrong_type(error):
        return set(), why
    met: set[str] = set()
    try:
        length = number(unrefused((await ask(client, [("LLEN", key)]))[0])) or 0
        for options in (("MAXLEN", READ), ("RANK", -1, "MAXLEN", READ)):
            met |= (await _read(client, (key, options), ids)).keys()
    except ResponseError:
        return met, why
    if length <= 2 * READ:
        return met, ""
    return met, f"{why}, and its {count(length)} members are too many to read"


async def members_among(client: Client, key: str, ids: Sequence[str]) -> set[str]:
    """Returns which of the given jobs are in a list.

    Costs an LPOS for each of up to `FEW` jobs, O(n). For more the list is read once in slices
    instead: a job that another client moves meanwhile may be missed.

    Raises:
        redis.exceptions.ResponseError: Redis refused to read the list.
    """
    if len(ids) > FEW:
        return set(await _read(client, (key, ()), ids))
    looks: list[Command] = [("LPOS", key, one) for one in ids]
    places = await without_lpos(client, looks, await ask(client, looks) if looks else [])
    return {one for one, place in zip(ids, places, strict=True) if unrefused(place) is not None}


# At which place --------------------------------------------------------------------------------


async def without_lpos(
    client: Client, looks: Sequence[Command], replies: Sequence[Reply]
) -> list[Reply]:
    """Returns the replies to LPOS commands; if the server has no LPOS, what they would have been.

    Args:
        client: where to read.
        looks: the LPOS commands, with no options but RANK and MAXLEN.
        replies: the replies to them.

    Costs nothing if LPOS works. Else each list is read once, in slices of 1,000, until all jobs are
    found: O(n) in Redis, as for LPOS, plus the ids on the wire.

    Raises:
        redis.exceptions.ResponseError: Redis refused to read the list, too.
    """
    if not any(_is_refused(reply) for reply in replies):
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


def _is_refused(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and not is_wrong_type(reply)


async def read_before(client: Client, key: str, job_id: str) -> str:
    """Returns the job that a list runs before another one; "" if there is none or LPOS is refused.

    Costs two round trips: an LPOS, O(n), and three members.
    """
    [at] = await ask(client, [("LPOS", key, job_id, "RANK", -1)])
    place = number(at)
    if place is None:
        return ""
    [reply] = await ask(client, [("LRANGE", key, place + 1, place + _AHEAD)])
    ahead = [one for one in present(texts(reply)) if not is_marker(one)]
    return ahead[0] if ahead else ""


async def _read(client: Client, search: _Search, wanted: Iterable[str]) -> dict[str, int]:
    """The first position of each member in a list, from its head; with MAXLEN near one end only."""
    key, words = search
    options = dict(zip(words[::2], words[1::2], strict=True))
    [reply] = await ask(client, [("LLEN", key)])
    length = number(unrefused(reply)) or 0
    most = int(options.get("MAXLEN", length))
    from_tail = int(options.get("RANK", 1)) < 0
    start, stop = (max(0, length - most), length) if from_tail else (0, min(length, most))
    left, found = set(wanted), dict[str, int]()
    while start < stop and left:
        end = min(start + _SLICE, stop)
        [reply] = await ask(client, [("LRANGE", key, start, end - 1)])
        for place, member in enumerate(texts(unrefused(reply)), start):
            if member in left:
                found[member] = place
                left.discard(member)
        start = end
    return found
