"""Reads everything about one job: hash, logs, family and lock. Long values only on request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import (
    Command,
    Reply,
    ask,
    ask_all,
    number,
    present,
    score,
    text,
    texts,
    unrefused,
)
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, split_job_key
from qtui.bullmq.model import LIST_FIELDS, NOT_JOBS, Garbage, JobState, Row, row
from qtui.bullmq.reads.lists import refused
from qtui.bullmq.reads.reader import Reader, Whereabouts
from qtui.bullmq.signature.headline import reason_of
from qtui.text import first_line

FIELD_UNASKED: Final = 262_144
"""Largest field, in bytes, that is read without being asked for."""

MOST_FIELDS: Final = 200
"""Fields of a hash that are read at most; BullMQ itself writes about twenty-five."""

MOST_LOG_LINES: Final = 20_000
"""Log lines that are read at most when ``logs`` is asked for."""

_LOG_PAGE: Final = 1000
"""Log lines per command when all of them are read."""

_MARK: Final = "timestamp"
"""A field that every job has."""

_AT_ONCE: Final = 8
"""Queues whose lists are searched for a job at a time."""

LOG_WINDOW: Final = 200
"""Newest log lines that are read without being asked for."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the job's hash."""

    size: int
    """Bytes in Redis."""
    text: str | None
    """None if it is longer than `FIELD_UNASKED` and was not asked for."""


@dataclass(frozen=True, slots=True)
class Children:
    """How many children of a flow's parent are pending, processed, ignored or failed."""

    SUFFIXES: ClassVar = ("dependencies", "processed", "failed", "unsuccessful")
    """Suffixes of the parent's keys that hold them, in the order of the numbers below."""

    pending: int = 0
    processed: int = 0
    ignored: int = 0
    """Failed, and the parent continues without them (``<id>:failed``, ≥5.2.0)."""
    unsuccessful: int = 0
    """Failed, and the parent fails with them (``<id>:unsuccessful``, ≥5.42.0)."""

    @property
    def total(self) -> int:
        """All children that the parent still has on record."""
        return self.pending + self.processed + self.ignored + self.unsuccessful


@dataclass(frozen=True, slots=True)
class Job:
    """A job with everything that Redis holds about it. Times are ms since the epoch."""

    queue: QueueKey
    id: str
    state: JobState | None
    """None: it has a hash but is in no state (an orphan)."""
    score: float | None
    row: Row
    fields: Mapping[str, Field]
    more_fields: int
    """Fields beyond `MOST_FIELDS`, which were not read."""
    logs: tuple[str, ...]
    """The newest lines, oldest first."""
    log_lines: int
    children: Children
    parent: tuple[str, str] | None
    """Base key of the parent's queue, and the parent's id."""
    lock: str | None
    lock_ttl: int | None
    """ms until the lock expires."""
    unknown: str = ""
    """Why its state is unknown, if Redis refused to read it."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why some of the job's other keys could not be read, by suffix: ``lock``, ``logs``, …"""

    def text(self, name: str) -> str | None:
        """Returns a field's text if the job has it and it was loaded."""
        held = self.fields.get(name)
        return held.text if held else None


class WrongType(Exception):
    """The job's key holds something that is not a job."""


async def read_job(
    client: Client,
    queue: QueueKey,
    job_id: str,
    *,
    load: Sequence[str] = (),
    near: JobState | None = None,
) -> Job | None:
    """Returns the whole job, or None if it does not exist.

    Args:
        client: where to read.
        queue: the queue of the job.
        job_id: the job.
        load: long values to read: names of fields larger than `FIELD_UNASKED`, or ``logs`` for the
            lines before the last `LOG_WINDOW`.
        near: the state in which the job was just seen. If that is a list, a job in no sorted set is
            assumed to be in it still, so that only ``active`` is searched.

    Costs six round trips, some forty commands of O(1), and the bytes that it loads; without
    ``near`` also an LPOS for each list, O(n), if the job is in no sorted set.

    Raises:
        WrongType: the key exists, but is not a hash, or is a hash that is not a job.
        redis.exceptions.ResponseError: Redis refused the read (an ACL).
    """
    key = queue.job(job_id)
    [kind, count, *beside] = await ask(
        client, [("TYPE", key), ("HLEN", key), *_beside(queue, job_id)]
    )
    if isinstance(kind, RedisError):
        raise kind
    if kind == "none":
        return None
    if kind != "hash":
        raise WrongType(f"{key} holds a {kind}, not a job")
    fields = await _fields(client, key, number(count) or 0, load)
    lock, ttl, log_lines, log_size, pending, processed, ignored, unsuccessful = beside
    lines = MOST_LOG_LINES if "logs" in load else _few(number(log_lines), number(log_size))
    unread = _unread(queue, job_id, beside)
    logs: list[str] = []
    if number(log_lines):
        try:
            logs = await read_logs(client, queue, job_id, -lines, -1)
        except ResponseError as error:
            unread["logs"] = refused(error, "LRANGE", queue.job(job_id, "logs"))
    place = await _place(client, queue, job_id, near)
    known = place.state is not None or place.unknown
    if not known and not may_be_job(job_id, marked=_MARK in fields):
        raise WrongType(f"{key} is {_no_job(job_id)}, not a job")
    values = [fields[name].text if name in fields else None for name in LIST_FIELDS]
    found = row(job_id, values, place.score)
    stack = fields["stacktrace"].text if "stacktrace" in fields else None
    found = found._replace(failed_reason=reason_of(found.failed_reason, stack))
    return Job(
        queue=queue,
        id=job_id,
        state=place.state,
        score=place.score,
        row=found,
        fields=fields,
        more_fields=max(0, (number(count) or 0) - len(fields)),
        logs=tuple(logs),
        log_lines=number(log_lines) or 0,
        children=Children(
            number(pending) or 0,
            number(processed) or 0,
            number(ignored) or 0,
            number(unsuccessful) or 0,
        ),
        parent=parent_of(found.parent_key, fields["parent"].text if "parent" in fields else None),
        lock=text(lock),
        lock_ttl=number(ttl) if text(lock) else None,
        unknown=place.unknown,
        unread=unread,
    )


def _unread(queue: QueueKey, job_id: str, replies: Sequence[Reply]) -> dict[str, str]:
    """For each of the job's other keys that could not be read, the first reason why."""
    found: dict[str, str] = {}
    for (command, key, *_), reply in zip(_beside(queue, job_id), replies, strict=True):
        if isinstance(reply, RedisError) and command != "MEMORY":
            name = str(key).rpartition(":")[2]
            found.setdefault(name, refused(reply, str(command), str(key)))
    return found


class Found(NamedTuple):
    """The result of a search for an id."""

    places: list[tuple[QueueKey, Whereabouts]]
    """The queues that have such a job, and the state it is in there."""
    refused: list[QueueKey]
    """The queues that Redis refused to search."""


async def find_job(client: Client, queues: Sequence[QueueKey], job_id: str) -> Found:
    """Finds the queues that have a job with this id, and the state it is in there.

    Costs a round trip with two commands of O(1) for each queue, one with five for each that has it,
    and what `Reader.whereabouts` costs for each where it is in no sorted set: an LPOS a list, O(n).
    """
    replies = await ask(
        client,
        [
            command
            for queue in queues
            for command in (("EXISTS", queue.job(job_id)), ("HEXISTS", queue.job(job_id), _MARK))
        ],
    )
    there = replies[::2]
    unmarked = {queue for queue, mark in zip(queues, replies[1::2], strict=True) if mark != 1}
    having = [queue for queue, found in zip(queues, there, strict=True) if found == 1]
    closed = [
        queue for queue, found in zip(queues, there, strict=True) if isinstance(found, RedisError)
    ]
    found = list(zip(having, await _places(client, having, job_id), strict=True))
    # One of the queue's own keys is not a job, unless its name is in a state as an id.
    jobs = [
        (queue, where)
        for queue, where in found
        if where.state or where.unknown or may_be_job(job_id, marked=queue not in unmarked)
    ]
    return Found(jobs, closed)


def may_be_job(job_id: str, *, marked: bool) -> bool:
    """Whether the hash under this name can be a job, given that no state lists it.

    The queue keeps other hashes in the same namespace: schedulers (``repeat:<id>``), jobs to be
    added once the one they duplicate has ended (``dn:<id>``), ``metrics:<state>``, and hashes that
    belong to jobs (``<id>:processed`` and others). All have a colon where a job has its id, and
    none has the timestamp that every release gives a job (seen with 6.7.0; the ids of a scheduler's
    jobs begin with ``repeat:`` too).

    Args:
        job_id: what follows the queue's base key.
        marked: whether the hash has a timestamp.
    """
    return job_id not in NOT_JOBS and (marked or ":" not in job_id)


def _no_job(job_id: str) -> str:
    """What a key that is not a job holds, in words."""
    kind = job_id.partition(":")[0]
    return {
        "repeat": "a job scheduler",
        "dn": "a deduplicated job that is added after the one it duplicates",
        "metrics": "metrics",
    }.get(kind, "a key of the queue")


async def _places(client: Client, queues: Sequence[QueueKey], job_id: str) -> list[Whereabouts]:
    """Where the job is in each of the queues."""
    sets = [state for state in JobState if not state.is_list]
    replies = await ask(
        client, [("ZSCORE", queue.key(state.key), job_id) for queue in queues for state in sets]
    )
    known: dict[QueueKey, Whereabouts] = {}
    for place, queue in enumerate(queues):
        scores = map(score, replies[place * len(sets) : (place + 1) * len(sets)])
        for state, at in zip(sets, scores, strict=True):
            if at is not None:
                known[queue] = Whereabouts(state, score=at)
                break
    others = [queue for queue in queues if queue not in known]
    for start in range(0, len(others), _AT_ONCE):
        some = others[start : start + _AT_ONCE]
        found = await asyncio.gather(*(_where(client, queue, job_id) for queue in some))
        known |= zip(some, found, strict=True)
    return [known[queue] for queue in queues]


async def _where(client: Client, queue: QueueKey, job_id: str) -> Whereabouts:
    try:
        return (await Reader(client).whereabouts(queue, [job_id], reasons=False))[job_id]
    except ResponseError as error:
        return Whereabouts(None, unknown=first_line(str(error)))


async def _place(
    client: Client, queue: QueueKey, job_id: str, near: JobState | None
) -> Whereabouts:
    reader = Reader(client)
    if near is None or not near.is_list:
        return (await reader.whereabouts(queue, [job_id], reasons=False))[job_id]
    place = (await reader.whereabouts(queue, [job_id], [JobState.ACTIVE], reasons=False))[job_id]
    return replace(place, state=near) if place.state is None and place.exists else place


def _few(lines: int | None, size: int | None) -> int:
    """Log lines to read: at most `LOG_WINDOW`, and about `FIELD_UNASKED` bytes."""
    each = (size or 0) // max(1, lines or 1)
    return LOG_WINDOW if each * LOG_WINDOW <= FIELD_UNASKED else max(1, FIELD_UNASKED // each)


def _beside(queue: QueueKey, job_id: str) -> list[Command]:
    logs = queue.job(job_id, "logs")
    return [
        ("GET", queue.job(job_id, "lock")),
        ("PTTL", queue.job(job_id, "lock")),
        ("LLEN", logs),
        ("MEMORY", "USAGE", logs),
        ("SCARD", queue.job(job_id, "dependencies")),
        ("HLEN", queue.job(job_id, "processed")),
        ("HLEN", queue.job(job_id, "failed")),
        ("ZCARD", queue.job(job_id, "unsuccessful")),
    ]


async def _fields(client: Client, key: str, count: int, load: Sequence[str]) -> dict[str, Field]:
    """Reads the names, then the sizes, then the values that are small enough or asked for."""
    if count <= MOST_FIELDS:
        [reply] = await ask_all(client, [("HKEYS", key)])
        names = present(texts(reply))
    else:
        names = [*LIST_FIELDS, "data", "returnvalue", "stacktrace", "progress", "parent", "rjk"]
    sizes = await ask_all(client, [("HSTRLEN", key, name) for name in names])
    known = {
        name: number(size) or 0
        for name, size in zip(names, sizes, strict=True)
        if count <= MOST_FIELDS or number(size)
    }
    wanted = [name for name, size in known.items() if size <= FIELD_UNASKED or name in load]
    [reply] = await ask_all(client, [("HMGET", key, *wanted)]) if wanted else [None]
    values = dict(zip(wanted, texts(reply), strict=True)) if wanted else {}
    return {name: Field(size, values.get(name)) for name, size in known.items()}


def parent_of(parent_key: str, parent: str | None) -> tuple[str, str] | None:
    """Base key and id of a parent, from the JSON that separates them if it is there (≥1.57.2)."""
    held = Garbage().options(parent)
    queue_key, job_id = held.get("queueKey"), held.get("id")
    if isinstance(queue_key, str) and isinstance(job_id, str) and queue_key:
        return queue_key, job_id
    base, job_id = split_job_key(parent_key)
    return (base, job_id) if base else None


async def read_whole_job(
    client: Client, queue: QueueKey, job_id: str
) -> tuple[Job, list[str]] | None:
    """Returns the job and all its log lines, however long; None if it does not exist.

    Costs two `read_job` at most, and a command for each `_LOG_PAGE` lines.

    Raises:
        WrongType: the key exists, but is not a hash, or is a hash that is not a job.
        redis.exceptions.ResponseError: Redis refused the read (an ACL).
    """
    job = await read_job(client, queue, job_id)
    left_out = [name for name, field in job.fields.items() if field.text is None] if job else []
    if left_out:
        job = await read_job(client, queue, job_id, load=left_out)
    if job is None:
        return None
    logs = list(job.logs)
    if len(logs) < job.log_lines and "logs" not in job.unread:
        logs.clear()
        for first in range(0, job.log_lines, _LOG_PAGE):
            logs += await read_logs(client, queue, job_id, first, first + _LOG_PAGE - 1)
    return job, logs


async def read_logs(
    client: Client, queue: QueueKey, job_id: str, first: int, last: int
) -> list[str]:
    """Returns log lines ``first`` to ``last``, both included, oldest first. Costs one LRANGE.

    Raises:
        redis.exceptions.ResponseError: Redis refused the read, or the key has the wrong type.
    """
    [reply] = await ask(client, [("LRANGE", queue.job(job_id, "logs"), first, last)])
    return present(texts(unrefused(reply)))
