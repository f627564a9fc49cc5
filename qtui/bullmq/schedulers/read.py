"""Reads schedulers, their iterations and where those are. Needs no right but ``+@read``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, ask, ask_all, items, number, score, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.hashes import read_hashes
from qtui.bullmq.reads.lists import InList, find_in_lists, first_reason
from qtui.bullmq.reads.reader import Whereabouts
from qtui.bullmq.schedulers.scheduler import (
    FIELDS,
    ITERATION_FIELDS,
    LIST_FIELDS,
    Condition,
    Iteration,
    Scheduler,
    iteration_ids,
    legacy_key,
    positive,
    repeat_of,
    scheduler_of,
    whole,
)

SCORES_A_MS: Final = 4096
"""Scores of ``delayed`` to a millisecond."""

_SETS: Final = tuple(state for state in JobState if not state.is_list)
_LISTS: Final = (JobState.WAITING, JobState.PAUSED, JobState.ACTIVE)
_CHANGES: Final = 3
"""How often a scheduler is read again that moved on while it was read."""

_ALIKE: Final = 20
"""Delayed jobs of one millisecond among which an iteration with an unknown id is sought."""


@dataclass(frozen=True, slots=True)
class SchedulerPage:
    """Some of a queue's schedulers, the next to run first."""

    schedulers: tuple[Scheduler, ...]
    total: int
    """How many schedulers the queue has."""
    unread: str = ""
    """Why they can't be read; empty if they can."""


async def read_schedulers(
    client: Client, queue: QueueKey, *, offset: int = 0, limit: int = 500
) -> SchedulerPage:
    """Returns a queue's schedulers, those whose time is earliest first: so the dead come first.

    Costs some 9 µs of Redis's time a scheduler, and five round trips: a ZRANGE; an HMGET a
    scheduler; an HMGET and five ZSCOREs for each id that its iteration may have (one for a job
    scheduler, some ten for a repeatable job of 1.x to 5.9); for an iteration in no sorted set three
    LPOS, O(n) in lists of up to 10,000 and of longer ones the ends; and a ZSCORE for each that
    seems dead. Templates are not read.

    Raises:
        redis.exceptions.ResponseError: Redis refused one of the reads.
    """
    key = queue.key("repeat")
    kind, size = await ask_all(client, [("TYPE", key), ("ZCARD", key)])
    if kind not in ("zset", "none"):
        return SchedulerPage((), 0, f"{key} holds another type of key")
    [reply] = await ask_all(client, [("ZRANGE", key, offset, offset + limit - 1, "WITHSCORES")])
    found = await _schedulers(client, queue, _pairs(reply), LIST_FIELDS)
    return SchedulerPage(tuple(found), number(size) or 0)


async def read_scheduler(client: Client, queue: QueueKey, scheduler_id: str) -> Scheduler | None:
    """Returns one scheduler in full, with its template; None if the queue has none of this id.

    Costs what `read_schedulers` costs for one.

    Raises:
        redis.exceptions.ResponseError: Redis refused one of the reads.
    """
    [reply] = await ask_all(client, [("ZSCORE", queue.key("repeat"), scheduler_id)])
    if isinstance(reply, RedisError) or reply is None:
        return None
    found = await _schedulers(client, queue, [(scheduler_id, written(reply))], FIELDS)
    return found[0] if found else None


async def count_schedulers(client: Client, queues: Sequence[QueueKey]) -> dict[QueueKey, int]:
    """Returns the number of schedulers of each queue. Costs one round trip, a ZCARD a queue."""
    replies = await ask_all(client, [("ZCARD", one.key("repeat")) for one in queues])
    return {one: number(reply) or 0 for one, reply in zip(queues, replies, strict=True)}


def _pairs(reply: Reply) -> list[tuple[str, str]]:
    """Members and scores as Redis writes them."""
    parts = items(reply)
    if parts and isinstance(parts[0], list | tuple):
        parts = [part for pair in parts if isinstance(pair, list | tuple) for part in pair]
    return [(str(parts[at]), written(parts[at + 1])) for at in range(0, len(parts) - 1, 2)]


def written(value: Reply) -> str:
    """Returns a score as a script finds it: whole numbers without a fraction; "" for none."""
    at = score(value)
    if at is None:
        return ""
    return f"{at:.0f}" if at == at // 1 else f"{at:.17g}"


async def _schedulers(
    client: Client,
    queue: QueueKey,
    pairs: Sequence[tuple[str, str]],
    names: Sequence[str],
    changes: int = _CHANGES,
) -> list[Scheduler]:
    if not pairs:
        return []
    hashes = [queue.key(f"repeat:{member}") for member, _ in pairs]
    fields = await read_hashes(client, hashes, names, _fields(len(names)))
    clock, paused = await ask(client, [("TIME",), ("HEXISTS", queue.key("meta"), "paused")])
    now = _milliseconds(clock)
    iterations = await _iterations(client, queue, pairs, fields, now)
    found = [
        scheduler_of(queue, member, at, values, one, repeated, now=now, paused=paused == 1)
        for (member, at), values, (one, repeated) in zip(pairs, fields, iterations, strict=True)
    ]
    # One that moved on meanwhile looks dead: the iteration that was read has run.
    doubtful = [one for one in found if one.condition in (Condition.DEAD, Condition.ENDED)]
    if doubtful:
        key = queue.key("repeat")
        replies = await ask_all(client, [("ZSCORE", key, one.id) for one in doubtful])
        now_at = {one.id: written(reply) for one, reply in zip(doubtful, replies, strict=True)}
        changed = {one.id: now_at[one.id] for one in doubtful if now_at[one.id] != one.score}
        left = [(member, at) for member, at in changed.items() if at]
        again = await _schedulers(client, queue, left, names, changes - 1) if changes else []
        newer = {one.id: one for one in again}
        found = [newer.get(one.id, one) for one in found if now_at.get(one.id, one.score)]
    return found


def _fields(width: int) -> Callable[[int, Reply, Sequence[Reply]], list[str | None]]:
    def made(_: int, reply: Reply, __: Sequence[Reply]) -> list[str | None]:
        return texts(reply) or [None] * width

    return made


def _milliseconds(reply: Reply) -> int:
    """The server's time in ms; ours if an ACL refuses it, as ``+@read`` does."""
    parts = [int(float(part)) for part in map(score, items(reply)) if part is not None]
    if len(parts) != 2:
        return int(time.time() * 1000)
    return parts[0] * 1000 + parts[1] // 1000


_Found = tuple[Iteration | None, Mapping[str, object]]


async def _iterations(
    client: Client,
    queue: QueueKey,
    pairs: Sequence[tuple[str, str]],
    fields: Sequence[Sequence[str | None]],
    now: int,
) -> list[_Found]:
    """The iteration of each scheduler, and what its options say about the repetition."""
    ids = [iteration_ids(member, at) for member, at in pairs]
    asked = [one for some in ids for one in some]
    known = dict(zip(asked, await _jobs(client, queue, asked), strict=True))
    lost = [
        (member, at)
        for (member, at), some in zip(pairs, ids, strict=True)
        if legacy_key(member) and not any(known[one].place.exists for one in some)
    ]
    others = await _by_time(client, queue, lost)
    found: list[_Found] = []
    for (member, at), some, values in zip(pairs, ids, fields, strict=True):
        mine = [known[one] for one in some if known[one].belongs(member)]
        mine += [others[member]] if member in others else []
        found.append(_iteration(mine[0], at, values) if mine else (None, {}))
    return found


@dataclass(frozen=True, slots=True)
class _Job:
    """A job that may be an iteration."""

    id: str
    place: Whereabouts
    fields: Mapping[str, str | None]

    def belongs(self, member: str) -> bool:
        """Whether it is an iteration of a scheduler: not so if it names another one."""
        named = self.fields["rjk"]
        return self.place.exists and (named is None or named == member)


def _iteration(job: _Job, at: str, values: Sequence[str | None]) -> _Found:
    fields = job.fields
    repeat = repeat_of(fields["opts"])
    due = whole(at)
    hashed = dict(zip(FIELDS, values, strict=False))
    every = whole(hashed["every"]) or positive(repeat.get("every"))
    offset = whole(hashed["offset"]) or positive(repeat.get("offset"))
    if due is not None and every and offset and due % every == 0:
        due += offset
    if job.place.state is JobState.DELAYED and job.place.score is not None:
        due = int(job.place.score // SCORES_A_MS)
    begun = any(fields[name] not in (None, "0") for name in ("processedOn", "ats", "attemptsMade"))
    one = Iteration(
        id=job.id,
        name=fields["name"] or "",
        place=job.place,
        due=due,
        made=whole(fields["timestamp"]),
        count=positive(repeat.get("count")),
        processed=whole(fields["processedOn"]),
        begun=begun,
    )
    return one, repeat


async def _jobs(client: Client, queue: QueueKey, ids: Sequence[str]) -> list[_Job]:
    """Jobs with these ids, whether they exist or not, and where they are."""
    base = len(queue.key(""))

    def beside(key: str) -> list[Command]:
        places: list[Command] = [("ZSCORE", queue.key(state.key), key[base:]) for state in _SETS]
        return [*places, ("EXISTS", key)]

    def made(at: int, reply: Reply, others: Sequence[Reply]) -> _Job:
        values = texts(reply) or [None] * len(ITERATION_FIELDS)
        return _Job(
            ids[at], _place(queue, others), dict(zip(ITERATION_FIELDS, values, strict=True))
        )

    jobs = await read_hashes(
        client, [queue.job(one) for one in ids], ITERATION_FIELDS, made, beside
    )
    listless = [one.id for one in jobs if one.place.state is None and one.place.exists]
    listed = await find_in_lists(client, queue, listless, _LISTS, ends=True)
    return [
        _Job(one.id, one.place.in_list(_certain(listed[one.id])), one.fields)
        if one.id in listed
        else one
        for one in jobs
    ]


def _place(queue: QueueKey, replies: Sequence[Reply]) -> Whereabouts:
    """The sorted set that a job is in, from its ZSCOREs and its EXISTS."""
    *places, exists = replies
    for state, place in zip(_SETS, places, strict=True):
        if (at := score(place)) is not None:
            return Whereabouts(state, exists == 1, at)
    keys = (queue.key(state.key) for state in _SETS)
    unread = first_reason(dict(zip(keys, places, strict=True)), "ZSCORE")
    return Whereabouts(None, exists == 1, unknown=unread)


def _certain(place: InList) -> InList:
    """A job that was sought at the ends of a list only may be in its middle."""
    if place.state is None and place.crowded is not None and not place.unknown:
        return InList(None, f"it may be in the middle of {place.crowded}, which is long")
    return place


async def _by_time(
    client: Client, queue: QueueKey, lost: Sequence[tuple[str, str]]
) -> dict[str, _Job]:
    """Delayed jobs of repeatable jobs whose iteration has an id that can't be derived, by member.

    BullMQ 5.10 to 5.81.5 may make the id of the data. Costs two round trips, O(log n).
    """
    times = [(member, at) for member, at in lost if whole(at)]
    if not times:
        return {}
    key = queue.key("delayed")
    replies = await ask_all(
        client,
        [
            ("ZRANGEBYSCORE", key, first, first + SCORES_A_MS - 1, "LIMIT", 0, _ALIKE)
            for first in (int(at) * SCORES_A_MS for _, at in times)
        ],
    )
    found: dict[str, _Job] = {}
    for (member, at), reply in zip(times, replies, strict=True):
        alike = [one for one in texts(reply) if one and one.endswith(f":{at}")]
        for job in await _jobs(client, queue, alike):
            if job.fields["rjk"] == member:
                found[member] = job
    return found
