"""Windows over a state's jobs, and where given jobs stand. Reads only, O(page) each.

Payloads (data, returnvalue, stacktrace, logs) stay in Redis, but for the return values of completed
jobs that are small enough to be read at a glance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from qtui.bullmq.ask import Command, Reply, ask, items, number, present, score, scores, text, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.dialect import QueueEvidence, ran_modern
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, job_ran_modern, row
from qtui.bullmq.status import count_jobs

GLANCE: Final = 2000
"""Bytes of a return value that a list loads; of larger ones it tells the size."""

_EDGE: Final = 4
_SORTED_SETS: Final = tuple(state for state in JobState if not state.is_list)
_LISTS: Final = tuple(state for state in JobState if state.is_list)


@dataclass(frozen=True, slots=True)
class Page:
    """A window of a state: its rows, in order, and how many jobs the state holds in all."""

    rows: tuple[Row, ...]
    total: int
    offset: int


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a job stands now."""

    state: JobState | None
    """None: its hash is gone, or it stands in no state at all (`exists` tells which)."""
    exists: bool = True
    score: float | None = None
    failed_reason: str | None = None


class Reader:
    """Reads jobs from lists and sets. Safe in read-only mode; holds nothing but the connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # A cluster refuses GET patterns, whatever the release.
        self._sort_ro = not isinstance(client, RedisCluster)

    async def page(
        self,
        queue: QueueKey,
        state: JobState,
        offset: int,
        limit: int,
        *,
        newest_first: bool = True,
    ) -> Page:
        """The rows from ``offset`` on, ``limit`` at most. Markers are not rows.

        Newest first is the order of finishing for finished jobs, the reverse of the order of
        running for lists and prioritized, and latest first for delayed and waiting-children. An id
        whose hash is gone is a row that says so.

        Costs one round trip with SORT_RO (Redis ≥7.0 and an ACL with every key readable), else
        two; two more for completed jobs, whose small return values are shown.
        """
        offset, limit = max(0, offset), max(0, limit)
        read = self._sorted if self._can_sort(queue) else self._ranged
        try:
            page = await read(queue, state, offset, limit, newest_first)
        except (ResponseError, NoPermissionError):
            if not self._sort_ro:
                raise
            self._sort_ro = False
            page = await self._ranged(queue, state, offset, limit, newest_first)
        rows = await self._mark_missing(queue, page.rows)
        if state is JobState.COMPLETED:
            rows = await self._with_results(queue, rows)
        return replace(page, rows=rows)

    def _can_sort(self, queue: QueueKey) -> bool:
        # The first star of a GET pattern is where the id goes.
        return self._sort_ro and "*" not in queue.base

    async def _sorted(
        self, queue: QueueKey, state: JobState, offset: int, limit: int, newest_first: bool
    ) -> Page:
        key = queue.key(state.key)
        extra = _EDGE if state.is_list else 0
        descending = newest_first != state.is_list
        order = ("DESC",) if descending else ()
        patterns = [part for name in LIST_FIELDS for part in ("GET", f"{queue.base}:*->{name}")]
        window = ("BY", "nosort", "LIMIT", offset, limit + extra, *order)
        command = ("SORT_RO", key, *window, "GET", "#", *patterns)
        replies = await ask(
            self._client, [command, *_bounds(key, state, offset, limit, descending)]
        )
        if isinstance(replies[0], ResponseError | NoPermissionError):
            raise replies[0]
        flat = texts(replies[0])
        width = len(LIST_FIELDS) + 1
        found = [
            row(flat[start] or "", flat[start + 1 : start + width])
            for start in range(0, len(flat), width)
        ]
        return _window(found, state, offset, limit, descending, replies[1:])

    async def _ranged(
        self, queue: QueueKey, state: JobState, offset: int, limit: int, newest_first: bool
    ) -> Page:
        key = queue.key(state.key)
        descending = newest_first != state.is_list
        if state.is_list:
            last = offset + limit + _EDGE
            edges = (-last, -offset - 1) if descending else (offset, last - 1)
            window: Command = ("LRANGE", key, *edges)
        else:
            verb = "ZREVRANGE" if descending else "ZRANGE"
            window = (verb, key, offset, offset + limit - 1)
        replies = await ask(self._client, [window, *_bounds(key, state, offset, limit, descending)])
        if isinstance(replies[0], ResponseError | NoPermissionError):
            raise replies[0]
        ids = present(texts(replies[0]))
        if state.is_list and descending:
            ids.reverse()
        fields = await ask(
            self._client, [("HMGET", queue.job(job_id), *LIST_FIELDS) for job_id in ids]
        )
        found = [_row(job_id, reply) for job_id, reply in zip(ids, fields, strict=True)]
        return _window(found, state, offset, limit, descending, replies[1:])

    async def _mark_missing(self, queue: QueueKey, rows: Iterable[Row]) -> tuple[Row, ...]:
        """Rows without any field are missing, unless a hash (or something else) is there."""
        rows = tuple(rows)
        blank = [one.id for one in rows if not one.name and one.timestamp is None]
        if not blank:
            return rows
        replies = await ask(self._client, [("EXISTS", queue.job(job_id)) for job_id in blank])
        gone = {job_id for job_id, reply in zip(blank, replies, strict=True) if reply == 0}
        return tuple(replace(one, missing=True) if one.id in gone else one for one in rows)

    async def _with_results(self, queue: QueueKey, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        field = "returnvalue"
        jobs = [queue.job(one.id) for one in rows]
        sizes = await ask(self._client, [("HSTRLEN", job, field) for job in jobs])
        small = [
            job
            for job, reply in zip(jobs, sizes, strict=True)
            if 0 < (number(reply) or 0) <= GLANCE
        ]
        values = await ask(self._client, [("HGET", job, field) for job in small]) if small else []
        loaded = dict(zip(small, values, strict=True))
        return tuple(
            replace(one, returnvalue=text(loaded.get(job)), returnvalue_size=number(length) or 0)
            for one, job, length in zip(rows, jobs, sizes, strict=True)
        )

    async def rank(
        self, queue: QueueKey, state: JobState, job_id: str, *, newest_first: bool = True
    ) -> int | None:
        """The place of a job in a sorted-set state, None if it is not there or the state a list.

        Costs one command, O(log n).
        """
        if state.is_list:
            return None
        verb = "ZREVRANK" if newest_first else "ZRANK"
        [reply] = await ask(self._client, [(verb, queue.key(state.key), job_id)])
        return number(reply)

    async def ids(
        self,
        queue: QueueKey,
        state: JobState,
        offset: int,
        limit: int,
        *,
        newest_first: bool = True,
    ) -> list[str]:
        """Ids only, markers left out, for marking many. Costs one command, O(limit)."""
        key, last = queue.key(state.key), offset + limit - 1
        if state.is_list:
            edges = (offset, last) if newest_first else (-last - 1, -offset - 1)
            command: Command = ("LRANGE", key, *edges)
        else:
            command = ("ZREVRANGE" if newest_first else "ZRANGE", key, offset, last)
        [reply] = await ask(self._client, [command])
        found = [member for member in present(texts(reply)) if not is_marker(member)]
        return found[::-1] if state.is_list and not newest_first else found

    async def rows(self, queue: QueueKey, state: JobState, ids: Sequence[str]) -> list[Row]:
        """Given jobs as rows, with their score in a sorted-set ``state`` (None: not in it).

        Costs one round trip, two commands a job; the caller keeps ``ids`` to a few hundred.
        """
        key = queue.key(state.key)
        commands: list[Command] = []
        for job_id in ids:
            commands.append(("HMGET", queue.job(job_id), *LIST_FIELDS))
            commands.append(("ZSCORE", key, job_id))
        replies = await ask(self._client, commands)
        found = [
            replace(_row(job_id, fields), score=score(place))
            for job_id, fields, place in zip(ids, replies[::2], replies[1::2], strict=True)
        ]
        return list(await self._mark_missing(queue, found))

    async def whereabouts(self, queue: QueueKey, ids: Sequence[str]) -> dict[str, Whereabouts]:
        """Where given jobs stand now, in BullMQ's own order of looking (getState).

        Costs one round trip with seven commands of O(1) or O(log n) a job, and one more with three
        LPOS (O(n) in the length of the lists) for each job that stands in no sorted set.
        """
        commands: list[Command] = []
        for job_id in ids:
            commands += (("ZSCORE", queue.key(state.key), job_id) for state in _SORTED_SETS)
            commands.append(("HGET", queue.job(job_id), "failedReason"))
            commands.append(("EXISTS", queue.job(job_id)))
        replies = await ask(self._client, commands)
        width = len(_SORTED_SETS) + 2
        found: dict[str, Whereabouts] = {}
        for place, job_id in enumerate(ids):
            *scores, reason, exists = replies[place * width : (place + 1) * width]
            found[job_id] = _whereabouts(scores, text(reason), exists == 1)
        listless = [job_id for job_id in ids if found[job_id].state is None]
        lists = await self._lists_of(queue, [one for one in listless if found[one].exists])
        return {
            job_id: replace(one, state=lists.get(job_id, one.state))
            for job_id, one in found.items()
        }

    async def _lists_of(self, queue: QueueKey, ids: Sequence[str]) -> dict[str, JobState]:
        order = (JobState.ACTIVE, JobState.WAITING, JobState.PAUSED)
        commands = [("LPOS", queue.key(state.key), job_id) for job_id in ids for state in order]
        replies = await ask(self._client, commands) if commands else []
        found = {}
        for place, job_id in enumerate(ids):
            positions = replies[place * len(order) : (place + 1) * len(order)]
            for state, position in zip(order, positions, strict=True):
                if isinstance(position, int):
                    found[job_id] = state
                    break
        return found

    async def evidence(self, queue: QueueKey) -> QueueEvidence:
        """What tells the queue's dialect, as `qtui.bullmq.dialect` weighs it.

        Costs two round trips, twelve commands of O(1) in all.
        """
        wait = queue.key("wait")
        replies = await ask(
            self._client,
            [
                ("HMGET", queue.key("meta"), "paused", "version"),
                ("EXISTS", queue.key("prioritized"), queue.key("pc")),
                ("TYPE", queue.key("priority")),
                ("EXISTS", queue.key("paused")),
                ("LRANGE", wait, 0, _EDGE - 1),
                ("LRANGE", wait, -_EDGE, -1),
                ("ZREVRANGE", queue.key("completed"), 0, 0),
                ("ZREVRANGE", queue.key("failed"), 0, 0),
                ("LRANGE", queue.key("active"), 0, 0),
            ],
        )
        meta, prioritized, legacy, paused_list, head, tail, *latest = replies
        paused, version = texts(meta) or [None, None]
        last = present([member for reply in latest for member in texts(reply)])
        counters = await ask(
            self._client, [("HMGET", queue.job(one), "ats", "atm", "attemptsMade") for one in last]
        )
        waiting = present([*texts(head), *texts(tail)])
        return QueueEvidence(
            paused=paused is not None,
            version=version or "",
            ran_modern=ran_modern(
                job_ran_modern(*texts(reply)) for reply in counters if items(reply)
            ),
            knows_prioritized=bool(number(prioritized)),
            knows_legacy_priority=legacy == "zset",
            paused_list=paused_list == 1,
            jobs_in_wait=any(not is_marker(member) for member in waiting),
        )


def _row(job_id: str, fields: Reply) -> Row:
    return row(job_id, texts(fields) or [None] * len(LIST_FIELDS))


def _bounds(key: str, state: JobState, offset: int, limit: int, descending: bool) -> list[Command]:
    """What stands beside a window: the length, and a list's ends or a set's scores."""
    if state.is_list:
        return [("LLEN", key), ("LRANGE", key, 0, _EDGE - 1), ("LRANGE", key, -_EDGE, -1)]
    verb = "ZREVRANGE" if descending else "ZRANGE"
    return [("ZCARD", key), (verb, key, offset, offset + max(0, limit - 1), "WITHSCORES")]


def _window(
    found: list[Row],
    state: JobState,
    offset: int,
    limit: int,
    descending: bool,
    bounds: list[Reply],
) -> Page:
    """The page without markers: those before the window shift it, those in it leave it shorter."""
    if not state.is_list:
        at = scores(bounds[1])
        rows = tuple(replace(one, score=at.get(one.id)) for one in found[:limit])
        return Page(rows, number(bounds[0]) or 0, offset)
    near = texts(bounds[2])[::-1] if descending else texts(bounds[1])
    before = sum(is_marker(member or "") for member in near[:offset])
    rows = tuple(one for one in found[before:] if not is_marker(one.id))[:limit]
    return Page(rows, count_jobs(*bounds) or 0, offset)


def _whereabouts(scores: Sequence[Reply], reason: str | None, exists: bool) -> Whereabouts:
    for state, place in zip(_SORTED_SETS, scores, strict=True):
        at = score(place)
        if at is not None:
            failed = reason if state is JobState.FAILED else None
            return Whereabouts(state, exists, at, failed)
    return Whereabouts(None, exists)
