"""Reads pages of a state's jobs, and the states that given jobs are in. O(page) each.

Payloads (data, returnvalue, stacktrace, logs) are not loaded, except the return values of completed
jobs that are small enough for a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final

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
from qtui.bullmq.connection.arrival import ReplyTooLarge, at_most
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import is_wrong_type
from qtui.bullmq.dialect import WRITTEN, QueueEvidence
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.hashes import by_weight, read_hashes, read_hashes_together
from qtui.bullmq.reads.last_runs import NEWEST, any_never_ran, last_ran_modern, newest
from qtui.bullmq.reads.lists import InList, find_in_lists, first_reason, refused
from qtui.bullmq.reads.page import (
    KEPT,
    Page,
    bounds_of,
    columns_of,
    marked,
    page_of,
    places,
    short_rows,
    with_room,
)
from qtui.bullmq.reads.reasons import fill_reasons
from qtui.bullmq.reads.scores import scores_in_order
from qtui.bullmq.reads.status import EDGE, ends
from qtui.bullmq.reads.window import MOST_COMPACT, Range, Windows
from qtui.bullmq.signature.headline import cut_reason

__all__ = ["VALUE_IN_A_LIST", "Page", "Reader", "Whereabouts"]

VALUE_IN_A_LIST: Final = 2000
"""Largest return value, in bytes, that a list loads; of larger ones it shows the size."""

_FEW: Final = 2 * MOST_COMPACT
"""Jobs in a sorted set so small that it may be empty at the next read."""

_SORTED_SETS: Final = tuple(state for state in JobState if not state.is_list)
_LISTS: Final = (JobState.ACTIVE, JobState.WAITING, JobState.PAUSED)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Which state a job is in, and what is known about it there."""

    state: JobState | None
    """None: the job has no hash (`exists` is false), or has one but is in no state."""
    exists: bool = True
    score: float | None = None
    failed_reason: str | None = None
    unknown: str = ""
    """Why a state could not be read, if the job was found in none of the others."""

    def in_list(self, place: InList) -> Whereabouts:
        """Adds what the lists say about a job that is in no sorted set."""
        if place.state is not None:
            return Whereabouts(place.state, self.exists)
        unknown = "; ".join(filter(None, (self.unknown, place.unknown)))
        return replace(self, unknown=unknown)

    @property
    def words(self) -> str:
        """The place as text for people: a state, ``unknown: …``, ``in no state`` or ``gone``."""
        if self.state is not None:
            return self.state
        if self.unknown:
            return f"unknown: {self.unknown}"
        return "in no state" if self.exists else "gone"


class Reader:
    """Reads jobs from lists and sorted sets. Safe in read-only mode; caches no jobs.

    Args:
        client: where to read.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._windows = Windows(client)
        self._heavy: set[str] = set()
        """Keys of states that once had a page too large for one reply: read without SORT_RO."""

    async def page(
        self,
        queue: QueueKey,
        state: JobState,
        offset: int,
        limit: int,
        *,
        newest_first: bool = True,
    ) -> Page:
        """Returns up to ``limit`` rows from ``offset`` on. Markers are not rows.

        ``newest_first`` means the last to finish first for finished jobs, the last to run first for
        lists and prioritized, and the highest score first for delayed and waiting-children. An id
        without a hash gives a row marked as missing. A key of the wrong type gives a page without
        rows; `Page.unread` says why.

        Costs one round trip with SORT_RO (Redis ≥7.0 and an ACL that may read every key), else
        two; also two for small sorted sets, and for any sorted set the first time. Two more for
        completed jobs, to load their small return values.

        Raises:
            redis.exceptions.ResponseError: Redis refused the read (an ACL).
        """
        part = Range(max(0, offset), max(0, limit), newest_first != state.is_list)
        try:
            page = await self._bearable(queue, state, part)
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            return Page((), 0, part.start, unread=refused(error, "", queue.key(state.key)))
        rows = await self.mark_missing(queue, page.rows)
        if state is JobState.COMPLETED:
            rows = await self._with_results(queue, rows)
        return replace(page, rows=rows)

    async def _bearable(self, queue: QueueKey, state: JobState, part: Range) -> Page:
        """The page, read in smaller parts if its ids are too large for one reply."""
        if part.length < 2:
            return await self._page(queue, state, part, sort=False)
        key = queue.key(state.key)
        try:
            if key not in self._heavy:
                return await self._page(queue, state, part)
        except ReplyTooLarge:
            self._heavy.add(key)
        try:
            return await self._page(queue, state, part, sort=False)
        except ReplyTooLarge:
            half = part.length // 2
            rest = part._replace(start=part.start + half, length=part.length - half)
            head = await self._bearable(queue, state, part._replace(length=half))
            tail = await self._bearable(queue, state, rest)
            return Page(head.rows + tail.rows, tail.total, part.start, head.gaps | tail.gaps)

    async def _page(
        self, queue: QueueKey, state: JobState, part: Range, *, sort: bool = True
    ) -> Page:
        """The page in one part; the fields are read by id if SORT_RO did not return them.

        Raises:
            ReplyTooLarge: the ids, or the reply to SORT_RO, exceed the limit for one reply.
        """
        beside = bounds_of(queue.key(state.key), state, part)
        with at_most() if part.length > 1 else nullcontext():
            found = await self._windows.read(
                queue, state, with_room(part, state), LIST_FIELDS, beside, sort=sort
            )
        ids = found.ids
        scores = None if state.is_list else scores_in_order(ids, found.beside[1])

        def made(first: int, fields: Sequence[Reply], _: Sequence[Sequence[Reply]]) -> list[Row]:
            part = slice(first, first + len(fields))
            return short_rows(ids[part], columns_of(map(texts, fields)), scores and scores[part])

        if found.columns is None:
            keys = list(map(queue.job, ids))
            rows = await read_hashes_together(self._client, keys, LIST_FIELDS, made)
        else:
            rows = short_rows(ids, found.columns, scores)
        page = page_of(rows, state, part, found.beside)
        if page.total <= _FEW:
            self._windows.forget(queue, state)
        return page

    async def mark_missing(self, queue: QueueKey, rows: Iterable[Row]) -> tuple[Row, ...]:
        """Returns the rows; one without a hash is marked as missing, or with its key's real type.

        An empty failedReason is replaced by what the job's stack says. Costs what `fill_reasons`
        costs, plus a TYPE for each row without a name and a timestamp.
        """
        rows = await self._with_reasons(queue, tuple(rows))
        blank = [one.id for one in rows if not one.name and one.timestamp is None]
        if not blank:
            return rows
        kinds: dict[str, Reply] = {}
        for part in by_weight(blank):
            replies = await ask(self._client, [("TYPE", queue.job(one)) for one in part])
            kinds |= dict(zip(part, replies, strict=True))
        return tuple(marked(one, kinds.get(one.id)) for one in rows)

    async def _with_reasons(self, queue: QueueKey, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        written = [one.failed_reason for one in rows]
        reasons = await fill_reasons(self._client, queue, [one.id for one in rows], written)
        if reasons == written:
            return rows
        return tuple(
            one._replace(failed_reason=reason) for one, reason in zip(rows, reasons, strict=True)
        )

    async def _with_results(self, queue: QueueKey, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        field = "returnvalue"
        jobs = [queue.job(one.id) for one in rows]
        sizes = await ask(self._client, [("HSTRLEN", job, field) for job in jobs])
        small = [
            job
            for job, reply in zip(jobs, sizes, strict=True)
            if 0 < (number(reply) or 0) <= VALUE_IN_A_LIST
        ]
        values = await ask(self._client, [("HGET", job, field) for job in small]) if small else []
        loaded = dict(zip(small, values, strict=True))
        return tuple(
            _with_result(one, length, loaded.get(job))
            for one, job, length in zip(rows, jobs, sizes, strict=True)
        )

    async def rank(
        self, queue: QueueKey, state: JobState, job_id: str, *, newest_first: bool = True
    ) -> int | None:
        """Returns a job's rank in a sorted set; None if it is not in it, or the state is a list.

        Costs one command, O(log n).
        """
        if state.is_list:
            return None
        verb = "ZREVRANK" if newest_first else "ZRANK"
        [reply] = await ask_all(self._client, [(verb, queue.key(state.key), job_id)])
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
        """Returns ids without markers, for marking many jobs. Costs one round trip, O(limit).

        Raises:
            redis.exceptions.ResponseError: Redis refused the read, or the key has the wrong type.
        """
        part = Range(max(0, offset), max(0, limit), newest_first != state.is_list)
        beside = ends(queue.key(state.key)) if state.is_list else []
        window = with_room(part, state)
        found = await self._windows.read(queue, state, window, (), beside, sort=False)
        if not state.is_list:
            return list(found.ids[: part.length])
        placed = places(found.ids, part, found.beside)
        return [member for _, member in placed if not is_marker(member)]

    async def rows(self, queue: QueueKey, state: JobState, ids: Sequence[str]) -> list[Row]:
        """Returns given jobs as rows, with their score in a sorted-set ``state`` (None: not in it).

        Costs one round trip with two commands a job, more if the jobs are large (`read_hashes`).
        Pass a few hundred ``ids`` at most.

        Raises:
            redis.exceptions.ResponseError: Redis refused to read the state, or its key has the
                wrong type.
        """
        key = queue.key(state.key)
        start = len(queue.key(""))

        def made(
            first: int, fields: Sequence[Reply], beside: Sequence[Sequence[Reply]]
        ) -> list[Row]:
            scores = [_score_in(state, reply) for [reply] in beside]
            part = ids[first : first + len(fields)]
            return short_rows(part, columns_of(map(texts, fields)), scores)

        found = await read_hashes_together(
            self._client,
            [queue.job(job_id) for job_id in ids],
            LIST_FIELDS,
            made,
            lambda job: [("ZSCORE", key, job[start:])],
        )
        return list(await self.mark_missing(queue, found))

    async def whereabouts(
        self,
        queue: QueueKey,
        ids: Sequence[str],
        lists: Sequence[JobState] = _LISTS,
        *,
        reasons: bool = True,
    ) -> dict[str, Whereabouts]:
        """Returns the state that each of the given jobs is in.

        Args:
            queue: the queue of the jobs.
            ids: the jobs.
            lists: the lists to search; a job in any other list gets no state.
            reasons: whether to read the reasons of failed jobs.

        Costs one round trip with six commands of O(1) or O(log n) a job, one with an HMGET for each
        failed job whose reason is read, and what `find_in_lists` costs for each job that is in no
        sorted set. That is O(n), 25 ms in a list of a million: leave out long lists when asking
        about many jobs.

        Raises:
            redis.exceptions.ResponseError: Redis refused to read the sorted sets or the hashes.
        """
        found: dict[str, Whereabouts] = {}
        for part in by_weight(ids):
            found |= await self._whereabouts(queue, part, lists, reasons=reasons)
        return found

    async def _whereabouts(
        self, queue: QueueKey, ids: Sequence[str], lists: Sequence[JobState], *, reasons: bool
    ) -> dict[str, Whereabouts]:
        commands: list[Command] = []
        for job_id in ids:
            commands += (("ZSCORE", queue.key(state.key), job_id) for state in _SORTED_SETS)
            commands.append(("EXISTS", queue.job(job_id)))
        replies = await ask_all(self._client, commands)
        width = len(_SORTED_SETS) + 1
        found: dict[str, Whereabouts] = {}
        for place, job_id in enumerate(ids):
            *scores, exists = replies[place * width : (place + 1) * width]
            found[job_id] = _whereabouts(queue, scores, exists == 1)
        failed = [one for one in ids if reasons and found[one].state is JobState.FAILED]
        written = await self._failed_reasons(queue, failed)
        filled = await fill_reasons(self._client, queue, failed, written)
        for job_id, known in zip(failed, filled, strict=True):
            found[job_id] = replace(found[job_id], failed_reason=known)
        listless = [job_id for job_id in ids if found[job_id].state is None]
        there = [job_id for job_id in listless if found[job_id].exists]
        listed = await find_in_lists(self._client, queue, there, lists)
        for job_id, in_list in listed.items():
            found[job_id] = found[job_id].in_list(in_list)
        return found

    async def _failed_reasons(self, queue: QueueKey, ids: Sequence[str]) -> list[str | None]:
        def made(_: int, fields: Reply, __: Sequence[Reply]) -> str | None:
            [reason] = texts(fields) or [None]
            return None if reason is None else cut_reason(reason, KEPT)

        jobs = [queue.job(one) for one in ids]
        return await read_hashes(self._client, jobs, ["failedReason"], made)

    async def evidence(self, queue: QueueKey) -> QueueEvidence:
        """Returns the evidence of the queue's dialect; `qtui.bullmq.dialect` evaluates it.

        Costs two round trips with at most 28 commands of O(1); one more if jobs are in ``paused``,
        and one if a paused queue has jobs in ``wait``.
        """
        wait = queue.key("wait")
        replies = await ask_all(
            self._client,
            [
                ("HMGET", queue.key("meta"), "paused", "version"),
                # Not in one command: a cluster that moves the slot answers those of one key only.
                ("EXISTS", queue.key("prioritized")),
                ("EXISTS", queue.key("pc")),
                ("TYPE", queue.key("priority")),
                ("EXISTS", queue.key("paused")),
                ("LRANGE", wait, 0, EDGE - 1),
                ("LRANGE", wait, -EDGE, -1),
                ("LRANGE", queue.key("paused"), -NEWEST, -1),
                ("LLEN", queue.key("paused")),
                *(("TYPE", queue.key(suffix)) for suffix in WRITTEN),
                *newest(queue),
            ],
        )
        meta, prioritized, counter, legacy, paused_list, head, tail, next_paused, *rest = replies
        in_paused, *rest = rest
        types, latest = rest[: len(WRITTEN)], rest[len(WRITTEN) :]
        paused, version = texts(meta) or [None, None]
        [modern] = await last_ran_modern(self._client, [queue], latest)
        kept = [one for one in present(texts(next_paused)) if not is_marker(one)]
        ends = dict.fromkeys(present([*texts(head), *texts(tail)]))
        waiting = [one for one in ends if not is_marker(one)]
        return QueueEvidence(
            paused=paused is not None,
            version=version or "",
            ran_modern=modern,
            knows_prioritized=prioritized == 1 or counter == 1,
            knows_legacy_priority=legacy == "zset",
            paused_list=paused_list == 1,
            jobs_in_wait=bool(waiting),
            in_paused=number(in_paused) or 0,
            paused_by_older=await any_never_ran(self._client, queue, kept),
            wait_by_newer=paused is not None and await any_never_ran(self._client, queue, waiting),
            mistyped=frozenset(
                suffix
                for (suffix, made), found in zip(WRITTEN.items(), types, strict=True)
                if found not in (made.type, "none")
            ),
        )


def _score_in(state: JobState, reply: Reply) -> float | None:
    """The score of a job in a state; None where that is a list, which has none."""
    return None if state.is_list else score(unrefused(reply))


def _with_result(one: Row, length: Reply, value: Reply) -> Row:
    """A completed job with its return value, or the size of one that is too large for a list."""
    if isinstance(length, RedisError) and not is_wrong_type(length):
        return one._replace(garbled=(*one.garbled, "returnvalue"))
    return one._replace(returnvalue=text(value), returnvalue_size=number(length) or 0)


def _whereabouts(queue: QueueKey, scores: Sequence[Reply], exists: bool) -> Whereabouts:
    for state, place in zip(_SORTED_SETS, scores, strict=True):
        at = score(place)
        if at is not None:
            return Whereabouts(state, exists, at)
    keys = (queue.key(state.key) for state in _SORTED_SETS)
    unread = first_reason(dict(zip(keys, scores, strict=True)), "ZSCORE") if exists else ""
    return Whereabouts(None, exists, unknown=unread)
