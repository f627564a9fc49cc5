"""Why a job is where it is, from at most 20 reads, all but those of lists of O(1).

The reads are in `read_job_facts`, the judgement in `judge_job`, which is pure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.exceptions import NoPermissionError

from qtui.bullmq.ask import Command, Reply, ask, number, present, score, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import STALLS, Garbage, JobState, attempts_made, option_number
from qtui.bullmq.reads.lists import find_in_lists
from qtui.bullmq.signature.headline import headline
from qtui.bullmq.verdicts.queue import DUE_SHIFT, QueueFacts, judge_queue, limits_of
from qtui.bullmq.verdicts.verdict import LATE, Verdict, Weight, fine, held, unknown, wrong
from qtui.text import count, plural, span

NAMED: Final = 3
"""Pending children that a verdict names."""

COUNTED: Final = 10_000
"""Jobs next in line among which a job's place is looked for."""

_LISTS: Final = (JobState.ACTIVE, JobState.WAITING, JobState.PAUSED)

_REASON: Final = 10_000
"""Longest failedReason, in bytes, that is read."""

_MOVING: Final = 5_000
"""Milliseconds after the last sign of life for which a job without a lock may be on its way."""

_ENDED: Final = ("processed", "failed")
"""Hashes beside a parent with the children that have ended; see also ``unsuccessful``."""

_SETS: Final = tuple(state for state in JobState if not state.is_list)

_FIELDS: Final = (
    *("timestamp", "processedOn", "finishedOn", "delay", "priority", "opts", "attemptsMade"),
    *("atm", "ats", *STALLS, "defa", "parentKey", "pb", "deid"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChild:
    """A child that a parent waits for."""

    key: str
    exists: bool
    finished: bool
    """Whether it has ended and still is pending: it failed, and its failure does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What was read about a job at one moment. Times are ms since the epoch."""

    queue: QueueKey
    id: str
    now: int
    exists: bool
    state: JobState | None
    """None: in no state, or `unknown` says why that could not be read."""
    unknown: str
    score: float | None
    ahead: int | None
    """Jobs of its state that run before it."""
    fields: Mapping[str, str]
    lock_left: int
    """ms; -1 if it does not expire, -2 if there is none."""
    pending: int
    unsuccessful: int
    ended: int
    """Children that have ended, and were counted as that."""
    children: tuple[PendingChild, ...]
    """Some of the pending ones."""
    reason: str
    """Its failedReason, if it failed and that is short enough."""
    dedup_owner: str | None
    """The job that holds the deduplication id of this name (``de:<id>``), if there is one."""
    owner_exists: bool
    refused: tuple[str, ...] = ()

    def number(self, name: str) -> int | None:
        """Returns a field as a number, None if absent or garbage."""
        return Garbage().number(name, self.fields.get(name))


async def read_job_facts(
    client: Client, queue: QueueKey, job_id: str, *, near: JobState | None = None
) -> JobFacts:
    """Returns what decides why a job is where it is.

    Args:
        client: where to read.
        queue: the queue of the job.
        job_id: the job.
        near: the state in which it was just seen. If that is a list, a job in no sorted set is
            assumed to be in it still, so that only ``active`` is searched.

    Costs at most three round trips with 19 commands: O(1), but for a ZRANK, O(log n), if the job is
    prioritized, and without ``near`` a LPOS in each list, O(n), if it is in no sorted set. Its
    place in a list is looked for among the `COUNTED` jobs that run next.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    job = queue.job(job_id)
    first: list[Command] = [
        ("HMGET", job, *_FIELDS),
        ("HSTRLEN", job, "failedReason"),
        ("PTTL", queue.job(job_id, "lock")),
        ("SCARD", queue.job(job_id, "dependencies")),
        ("ZCARD", queue.job(job_id, "unsuccessful")),
        ("GET", queue.key(f"de:{job_id}")),
        *(("ZSCORE", queue.key(state.key), job_id) for state in _SETS),
    ]
    replies = await ask(client, first)
    fields, length, left, pending, unsuccessful, owner, *found = replies
    values = texts(fields) or [None] * len(_FIELDS)
    known = {name: one for name, one in zip(_FIELDS, values, strict=True) if one is not None}
    places = {state: score(one) for state, one in zip(_SETS, found, strict=True)}
    state = next((one for one, place in places.items() if place is not None), None)
    why, ahead = "", None
    refused = [
        str(command[1])
        for command, reply in zip(first, replies, strict=True)
        if isinstance(reply, NoPermissionError)
    ]
    if state is None and (known or not refused):
        known_list = near is not None and near.is_list
        lists = [JobState.ACTIVE] if known_list else _LISTS
        place = (await find_in_lists(client, queue, [job_id], lists))[job_id]
        state, why = place.state, place.unknown
        if state is None and known_list and not why:
            state = near
    last = await _third(
        client,
        queue,
        job_id,
        state,
        reason=bool(0 < (number(length) or 0) <= _REASON),
        owner=text(owner),
    )
    if state in (JobState.WAITING, JobState.PAUSED) and state is not None:
        ahead = _ahead_in_list(last.get("place"), last.get("length"))
    elif state is JobState.PRIORITIZED:
        ahead = number(last.get("place"))
    children = await _children(client, present(texts(last.get("children"))))
    lock = number(left)
    return JobFacts(
        queue=queue,
        id=job_id,
        now=int(time.time() * 1000),
        exists=bool(known),
        state=state,
        unknown=why,
        score=None if state is None else places.get(state),
        ahead=ahead,
        fields=known,
        lock_left=-1 if lock is None else lock,
        pending=number(pending) or 0,
        unsuccessful=number(unsuccessful) or 0,
        ended=sum(number(last.get(one)) or 0 for one in _ENDED) + (number(unsuccessful) or 0),
        children=children,
        reason=text(last.get("reason")) or "",
        dedup_owner=text(owner),
        owner_exists=number(last.get("owner")) == 1,
        refused=tuple(refused),
    )


async def _third(
    client: Client,
    queue: QueueKey,
    job_id: str,
    state: JobState | None,
    *,
    reason: bool,
    owner: str | None,
) -> dict[str, Reply]:
    """What only a job of this state needs, by name."""
    wanted: dict[str, Command] = {}
    if state in (JobState.WAITING, JobState.PAUSED) and state is not None:
        wanted["place"] = ("LPOS", queue.key(state.key), job_id, "RANK", -1, "MAXLEN", COUNTED)
        wanted["length"] = ("LLEN", queue.key(state.key))
    elif state is JobState.PRIORITIZED:
        wanted["place"] = ("ZRANK", queue.key(state.key), job_id)
    elif state is JobState.WAITING_CHILDREN:
        wanted["children"] = ("SRANDMEMBER", queue.job(job_id, "dependencies"), NAMED)
        wanted |= {one: ("HLEN", queue.job(job_id, one)) for one in _ENDED}
    elif state is JobState.FAILED and reason:
        wanted["reason"] = ("HGET", queue.job(job_id), "failedReason")
    if owner is not None:
        wanted["owner"] = ("EXISTS", queue.job(owner))
    if not wanted:
        return {}
    return dict(zip(wanted, await ask(client, wanted.values()), strict=True))


def _ahead_in_list(place: Reply, length: Reply) -> int | None:
    """The jobs nearer to the tail, where workers take them."""
    at, members = number(place), number(length)
    return None if at is None or members is None else max(0, members - 1 - at)


async def _children(client: Client, keys: Sequence[str]) -> tuple[PendingChild, ...]:
    if not keys:
        return ()
    replies = await ask(client, [("HMGET", key, "timestamp", "finishedOn") for key in keys])
    found = []
    for key, reply in zip(keys, replies, strict=True):
        added, finished = texts(reply) or [None, None]
        # A reply that was refused is no proof that the child is gone.
        exists = added is not None or isinstance(reply, Exception)
        found.append(PendingChild(key=key, exists=exists, finished=finished is not None))
    return tuple(found)


def judge_job(job: JobFacts, queue: QueueFacts) -> Verdict:
    """Returns why a job is where it is. Pure."""
    if job.refused:
        return unknown(
            "refused", "Redis refuses to show this job", *(f"{one}: refused" for one in job.refused)
        )
    if not job.exists:
        return _gone(job)
    if job.state is None:
        return _nowhere(job)
    return _JUDGES[job.state](job, queue)


def _gone(job: JobFacts) -> Verdict:
    key = job.queue.key(f"de:{job.id}")
    if job.dedup_owner is not None and not job.owner_exists:
        return wrong(
            "dead-dedup",
            f"no such job, but {job.id} is a deduplication id: releases before 6.3.6 drop jobs that"
            f" are added with it in favour of job {job.dedup_owner}, which is gone",
            f"{key}: {job.dedup_owner}",
            f"{job.queue.job(job.dedup_owner)}: none",
        )
    if job.dedup_owner is not None:
        return held(
            "dedup",
            f"no such job, but {job.id} is a deduplication id, held by job {job.dedup_owner}",
            f"{key}: {job.dedup_owner}",
        )
    if job.state is not None:
        return wrong(
            "no-hash",
            f"the id is in {job.state}, but the job's data is gone",
            f"{job.queue.key(job.state.key)}: holds {job.id}",
            f"{job.queue.job(job.id)}: none",
        )
    return unknown("gone", "no such job: removed, or never added", f"{job.queue.job(job.id)}: none")


def _nowhere(job: JobFacts) -> Verdict:
    if job.unknown:
        return unknown("unknown", f"its state is unknown: {job.unknown}")
    return wrong(
        "no-state",
        "in no state: no worker will ever take it",
        f"{job.queue.job(job.id)}: exists",
        "no state holds its id",
    )


def _waiting(job: JobFacts, queue: QueueFacts) -> Verdict:
    if (limit := limits_of(queue)) is not None:
        return limit
    stalled = judge_queue(queue)
    if stalled.code == "stranded" and job.state is JobState.PAUSED:
        return stalled
    if job.ahead is None and job.state is not JobState.PRIORITIZED:
        line = queue.waiting + queue.paused_list
        many = f"at least {count(COUNTED)}" if line > COUNTED else f"some of {count(line)}"
        return fine("behind", f"behind {many} jobs")
    before = job.ahead or 0
    if job.state is JobState.PRIORITIZED:
        before += queue.waiting
    key = job.queue.key(job.state.key if job.state else "")
    if not before:
        return fine("next", "next to run", f"{key}: first in line")
    kind = "prioritized " if job.state is JobState.PRIORITIZED and not queue.waiting else ""
    return fine(
        "behind", f"behind {count(before)} {kind}{_jobs(before)}", f"{key}: {before} before it"
    )


def _jobs(number: int) -> str:
    return "job" if number == 1 else "jobs"


def _active(job: JobFacts, queue: QueueFacts) -> Verdict:
    began = job.number("processedOn")
    for_ = f" for {span(max(0, job.now - began))}" if began is not None else ""
    by = f" on {job.fields['pb']}" if job.fields.get("pb") else ""
    lock = job.queue.job(job.id, "lock")
    if job.lock_left != -2:
        left = f", lock left {span(job.lock_left)}" if job.lock_left >= 0 else ""
        return fine("active", f"active{for_}{by}{left}", f"{lock}: held")
    if began is not None and job.now - began < _MOVING:
        return fine("active", f"active{for_}{by}, just begun or just done", f"{lock}: none yet")
    stalls = next((number for one in STALLS if (number := job.number(one))), 0)
    if queue.workers == 0:
        then = "no worker is connected to check it"
    elif stalls:
        then = (
            f"stalled {plural(stalls, 'time')} before: the next check fails it, unless the worker"
        )
        then += " allows more"
    else:
        then = "the next check puts it back to wait"
    return wrong(
        "stalled",
        f"active{for_}{by}, its lock has expired: {then}",
        f"{lock}: none",
        f"{STALLS[0] if STALLS[1] not in job.fields else STALLS[1]}: {stalls}",
    )


def _delayed(job: JobFacts, queue: QueueFacts) -> Verdict:
    if job.score is None:
        return unknown("delayed", "delayed, at an unknown time")
    due, made = int(job.score // DUE_SHIFT), _attempts(job)
    options = Garbage().options(job.fields.get("opts"))
    backoff = options.get("backoff")
    kind = backoff.get("type") if isinstance(backoff, dict) else None
    how = f", {kind} backoff" if isinstance(kind, str) and made else ""
    attempt = f" (attempt {made + 1} of {_most(options)}{how})" if made else ""
    evidence = f"{job.queue.key('delayed')}: score {job.score:.0f}"
    if job.now - due < LATE:
        return held("due", f"due in {span(max(0, due - job.now))}{attempt}", evidence)
    cause = judge_queue(queue)
    why = f": {cause.words}" if cause.weight is not Weight.FINE and cause.code != "late" else ""
    if not why and queue.workers == 0:
        why = ": no worker is connected to promote it"
    return wrong("late", f"{span(job.now - due)} late{attempt}{why}", evidence, *cause.evidence)


def _parent(job: JobFacts, queue: QueueFacts) -> Verdict:
    key = job.queue.job(job.id, "dependencies")
    evidence = f"{key}: {job.pending}"
    if not job.pending:
        added = job.number("timestamp") or 0
        if job.now - max(added, int(job.score or 0)) < _MOVING:
            return fine("children", "waits for children that are just being added", evidence)
        kept = f"{job.queue.job(job.id, 'unsuccessful')}: {job.unsuccessful}"
        return wrong(
            "no-child",
            "waits for children, but none is pending: nothing releases it",
            evidence,
            kept,
        )
    dead = [one for one in job.children if not one.exists]
    failed = [one for one in job.children if one.exists and one.finished]
    names = ", ".join(_short(one.key, job.queue) for one in job.children)
    more = f" and {count(job.pending - len(job.children))} more" if job.pending > NAMED else ""
    of = f" of {count(job.pending + job.ended)}" if job.ended else ""
    kids = "child" if job.pending + job.ended == 1 else "children"
    waits = f"waits for {count(job.pending)}{of} {kids}: {names}{more}"
    if dead and len(dead) == job.pending:
        return wrong("lost-child", f"{waits}; gone, so that nothing releases it", evidence)
    if failed and len(failed) == job.pending:
        is_ = "which has failed: retry it" if len(failed) == 1 else "which have failed: retry them"
        return wrong("failed-child", f"{waits}, {is_}", evidence)
    notes = [f"{len(some)} {word}" for some, word in ((failed, "failed"), (dead, "gone")) if some]
    if notes:
        return wrong("failed-child", f"{waits} ({', '.join(notes)})", evidence)
    return fine("children", waits, evidence)


def _short(key: str, queue: QueueKey) -> str:
    """A child's key, without the queue where it is the same."""
    return key[len(queue.base) + 1 :] if key.startswith(f"{queue.base}:") else key


def _failed(job: JobFacts, queue: QueueFacts) -> Verdict:
    finished = job.number("finishedOn") or (int(job.score) if job.score is not None else None)
    ago = f" {span(max(0, job.now - finished))} ago" if finished is not None else ""
    reason = headline(job.reason) if job.reason else ""
    evidence = f"{job.queue.key('failed')}: holds {job.id}"
    if job.reason.startswith("child ") and job.reason.rstrip().endswith("failed"):
        return held("failed-by-child", f"failed{ago}, by its child: {reason}", evidence)
    made = _attempts(job)
    most = _most(Garbage().options(job.fields.get("opts")))
    why = f": {reason}" if reason else ""
    return held("failed", f"failed{ago} after attempt {made} of {most}{why}", evidence)


def _completed(job: JobFacts, queue: QueueFacts) -> Verdict:
    finished = job.number("finishedOn")
    ago = f" {span(max(0, job.now - finished))} ago" if finished is not None else ""
    return fine("completed", f"completed{ago}", f"{job.queue.key('completed')}: holds {job.id}")


def _attempts(job: JobFacts) -> int:
    return attempts_made(job.number("attemptsMade"), job.number("atm"))


def _most(options: Mapping[str, object]) -> int:
    return max(1, option_number(options, "attempts", 1))


_JUDGES: Final = {
    JobState.FAILED: _failed,
    JobState.COMPLETED: _completed,
    JobState.WAITING: _waiting,
    JobState.PAUSED: _waiting,
    JobState.PRIORITIZED: _waiting,
    JobState.ACTIVE: _active,
    JobState.DELAYED: _delayed,
    JobState.WAITING_CHILDREN: _parent,
}
