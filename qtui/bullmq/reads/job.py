"""One job, everything: its hash, logs, family and lock. Reads only, each long value on request."""

from __future__ import annotations

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
    text,
    texts,
    unrefused,
)
from qtui.bullmq.connection import Client
from qtui.bullmq.keys import QueueKey, split_job_key
from qtui.bullmq.model import LIST_FIELDS, Garbage, JobState, Row, row
from qtui.bullmq.reads.lists import refused
from qtui.bullmq.reads.reader import Reader, Whereabouts
from qtui.bullmq.signature.headline import reason_of
from qtui.text import first_line

FIELD_UNASKED: Final = 262_144
"""Bytes of one field that are read without being asked for."""

MOST_FIELDS: Final = 200
"""Fields of a hash that are looked at; BullMQ itself writes about twenty-five."""

MOST_LOG_LINES: Final = 20_000
"""Log lines that are read when all are asked for."""

NOT_JOBS: Final = frozenset(
    (
        *(state.key for state in JobState),
        *("id", "meta", "events", "stalled", "stalled-check", "repeat", "limiter", "marker"),
        *("pc", "priority", "delay", "wait:added", "groups"),
    )
)
"""Keys of a queue itself, which stand where the hashes of jobs stand too."""

_LOG_PAGE: Final = 1000
"""Log lines that are read in one go where all are wanted."""

_MARK: Final = "timestamp"
"""A field that every job has."""

LOG_WINDOW: Final = 200
"""Log lines that are read without being asked for: the newest."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the job's hash."""

    size: int
    """Bytes in Redis."""
    text: str | None
    """None when it is longer than `FIELD_UNASKED` and was not asked for."""


@dataclass(frozen=True, slots=True)
class Children:
    """How many children of a flow's parent are in which condition."""

    SUFFIXES: ClassVar = ("dependencies", "processed", "failed", "unsuccessful")
    """Of the parent's keys that hold them, in the order of the numbers here."""

    pending: int = 0
    processed: int = 0
    ignored: int = 0
    """Failed, and the parent goes on (``<id>:failed``, ≥5.2.0)."""
    unsuccessful: int = 0
    """Failed, and the parent fails with them (``<id>:unsuccessful``, ≥5.42.0)."""

    @property
    def total(self) -> int:
        """All children that the parent still knows of."""
        return self.pending + self.processed + self.ignored + self.unsuccessful


@dataclass(frozen=True, slots=True)
class Job:
    """A job with everything that Redis keeps of it. Times are ms since the epoch."""

    queue: QueueKey
    id: str
    state: JobState | None
    """None: its hash is there, but it stands in no state (an orphan)."""
    score: float | None
    row: Row
    fields: Mapping[str, Field]
    more_fields: int
    """Fields beyond `MOST_FIELDS` that were not looked at."""
    logs: tuple[str, ...]
    """The newest lines, oldest first."""
    log_lines: int
    children: Children
    parent: tuple[str, str] | None
    """Base key and id of the parent's queue and job."""
    lock: str | None
    lock_ttl: int | None
    """ms until the lock runs out."""
    unknown: str = ""
    """Why its state is not known, where Redis refused to tell."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why some of the keys beside it are not known, by their suffix: ``lock``, ``logs``, …"""

    def text(self, name: str) -> str | None:
        """A field's text if it is there and was loaded."""
        held = self.fields.get(name)
        return held.text if held else None


class WrongType(Exception):
    """Something is under the job's key that is no job."""


async def read_job(
    client: Client,
    queue: QueueKey,
    job_id: str,
    *,
    load: Sequence[str] = (),
    near: JobState | None = None,
) -> Job | None:
    """The whole job, or None if there is none.

    Args:
        client: where to read.
        queue: the queue of the job.
        job_id: the job.
        load: what is read though it is long: fields beyond `FIELD_UNASKED`, and ``logs`` before the
            last `LOG_WINDOW` lines.
        near: the state in which the job was just seen. If that is a list, a job that stands in no
            sorted set is taken to stand there still, so that no list is searched but ``active``.

    Costs six round trips, some forty commands of O(1), and the bytes that it loads; without
    ``near`` an LPOS for each list too, O(n), where the job stands in no sorted set.

    Raises:
        WrongType: the key is there, but not as a hash, or as one that is no job.
        redis.exceptions.ResponseError: Redis would not tell (an ACL).
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
    found = replace(found, failed_reason=reason_of(found.failed_reason, stack))
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
    """Why each key beside a job that could not be read could not; the first reason for each."""
    found: dict[str, str] = {}
    for (command, key, *_), reply in zip(_beside(queue, job_id), replies, strict=True):
        if isinstance(reply, RedisError) and command != "MEMORY":
            name = str(key).rpartition(":")[2]
            found.setdefault(name, refused(reply, str(command), str(key)))
    return found


class Found(NamedTuple):
    """What a search for an id has found."""

    places: list[tuple[QueueKey, Whereabouts]]
    """The queues that have such a job, and where it stands there."""
    refused: list[QueueKey]
    """Those of which Redis did not tell whether they have it."""


async def find_job(client: Client, queues: Sequence[QueueKey], job_id: str) -> Found:
    """Which of the queues have a job of this id, and where it stands there.

    Costs a round trip with two commands of O(1) for each queue, and what `Reader.whereabouts` costs
    for each that has it: an LPOS a list, O(n), where the job stands in no sorted set.
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
    found = [(queue, await _where(client, queue, job_id)) for queue in having]
    # A key of the queue itself is no job, unless it stands in a state as one.
    jobs = [
        (queue, where)
        for queue, where in found
        if where.state or where.unknown or may_be_job(job_id, marked=queue not in unmarked)
    ]
    return Found(jobs, closed)


def may_be_job(job_id: str, *, marked: bool) -> bool:
    """Whether a key that is in no state may be a job's.

    Beside the jobs are hashes of the queue: schedulers (``repeat:<id>``), jobs that wait for the
    end of the one they duplicate (``dn:<id>``), ``metrics:<state>``, and hashes of jobs
    (``<id>:processed`` and others). All have a colon in what would be their id, and none has the
    time stamp that every release gives a job (seen with 6.7.0; the ids of a scheduler's jobs begin
    with ``repeat:`` too).
    """
    return job_id not in NOT_JOBS and (marked or ":" not in job_id)


def _no_job(job_id: str) -> str:
    """What is under such a key, in words."""
    kind = job_id.partition(":")[0]
    return {
        "repeat": "a job scheduler",
        "dn": "a deduplicated job that is added after the one it duplicates",
        "metrics": "metrics",
    }.get(kind, "a key of the queue")


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
    """So many log lines that `LOG_WINDOW` is kept, and about `FIELD_UNASKED` bytes."""
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
    """Names, then sizes, then the values that are small enough or asked for."""
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
    """Base key and id of a parent, preferring the JSON that parts them (≥1.57.2)."""
    held = Garbage().options(parent)
    queue_key, job_id = held.get("queueKey"), held.get("id")
    if isinstance(queue_key, str) and isinstance(job_id, str) and queue_key:
        return queue_key, job_id
    base, job_id = split_job_key(parent_key)
    return (base, job_id) if base else None


async def read_whole_job(
    client: Client, queue: QueueKey, job_id: str
) -> tuple[Job, list[str]] | None:
    """The job with every field and every log line, however long; None if there is none.

    Costs two `read_job` at most, and a command for each `_LOG_PAGE` lines.

    Raises:
        WrongType: the key is there, but not as a hash, or as one that is no job.
        redis.exceptions.ResponseError: Redis would not tell (an ACL).
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
    """Log lines by place, oldest first, both ends included. Costs one LRANGE.

    Raises:
        redis.exceptions.ResponseError: Redis would not tell, be it for the type of the key.
    """
    [reply] = await ask(client, [("LRANGE", queue.job(job_id, "logs"), first, last)])
    return present(texts(unrefused(reply)))
