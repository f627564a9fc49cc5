"""Why a queue's jobs do not run, from at most 20 reads of O(1).

The reads are in `read_queue_facts`, the judgement in `judge_queue`, which is pure: a screen that
has the facts already need not read them again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from redis.exceptions import NoPermissionError

from qtui.bullmq.ask import Command, Reply, ask, number, present, scores, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import BY_HAND, STALLS, Garbage, job_ran_modern
from qtui.bullmq.reads.events.log import entries_of
from qtui.bullmq.reads.queues.workers import read_workers
from qtui.bullmq.reads.status import EDGE, count_jobs, ends
from qtui.bullmq.verdicts.verdict import LATE, Verdict, fine, held, unknown, wait, wrong
from qtui.text import plural, span

ENDLESS: Final = 365 * 86_400_000
"""Milliseconds left of a rate limit above which it has no end that anyone waits for."""

DUE_SHIFT: Final = 4096
"""A score in ``delayed`` is the due time in ms times this, plus a counter (all releases)."""

_EVENTS: Final = 20
"""Newest events among which a ``paused`` is looked for."""

_AT_REST: Final = 5_000
"""Milliseconds without an event after which a queue is not just between two jobs."""

_ASLEEP: Final = 10_000
"""Milliseconds after which a worker looks for jobs even if nothing wakes it (``BZPOPMIN`` waits
for 10 s at most: worker.js, ≥5.0.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestActive:
    """The job that has been active for the longest."""

    id: str
    processed_on: int | None
    lock_left: int
    """ms until its lock expires; -1 if it does not, -2 if there is none."""
    stalls: int
    """``stc``: how often it was found stalled (≥5.49.0)."""
    exists: bool
    """Whether it has a hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """What was read about a queue at one moment. Times are ms since the epoch."""

    queue: QueueKey
    now: int
    """The server's clock."""
    exists: bool
    waiting: int
    prioritized: int
    paused_list: int
    """Jobs in the list ``paused``, which BullMQ up to 5.x keeps while the queue is paused."""
    active: int
    delayed: int
    due: int | None
    """When the first delayed job is due."""
    waiting_children: int
    paused: bool
    paused_at: int | None
    """When it was paused, if that is among the newest events."""
    concurrency: int | None
    limiter: int | None
    """Starts counted in the current window of a rate limit, or `BY_HAND`."""
    limiter_left: int
    """ms left of that window; -1 if it does not end, -2 if there is none."""
    max: int | None
    """Jobs that may start in a window (``meta.max``, ≥5.60.0)."""
    marker: bool | None
    """Whether something wakes an idle worker; None if releases before 5.0.0 run the queue."""
    last_event: int | None
    oldest: OldestActive | None
    next_id: str | None
    """The job that runs next."""
    next_since: int | None
    """When that job was added."""
    workers: int | None
    """Connected workers; None if that can't be known."""
    refused: tuple[str, ...] = ()
    """Keys that Redis refused to read."""

    @property
    def ready(self) -> int:
        """Jobs that a worker could take, were the queue not held."""
        return self.waiting + self.prioritized + self.paused_list


async def read_queue_facts(
    client: Client, queue: QueueKey, *, workers: int | Literal["unread"] | None = "unread"
) -> QueueFacts:
    """Returns what decides why a queue's jobs do not run.

    Args:
        client: where to read.
        queue: the queue.
        workers: its workers if they have been read, None if they can't be seen.

    Costs two round trips with 20 commands of O(1), and one CLIENT LIST, O(clients), if the workers
    are unread.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    key = queue.key
    alone: dict[str, Command] = {
        # Before 5.20.0 node writes the last one alone when it opens a queue.
        "meta": ("HMGET", key("meta"), "paused", "concurrency", "max", "version", _OPENED),
        "prioritized": ("ZCARD", key("prioritized")),
        "first": ("ZRANGE", key("prioritized"), 0, 0),
        "active": ("LLEN", key("active")),
        "oldest": ("LRANGE", key("active"), -1, -1),
        "delayed": ("ZCARD", key("delayed")),
        "due": ("ZRANGE", key("delayed"), 0, 0, "WITHSCORES"),
        "waiting-children": ("ZCARD", key("waiting-children")),
        "limiter": ("GET", key("limiter")),
        "limiter-left": ("PTTL", key("limiter")),
        "marker": ("EXISTS", key("marker")),
        "event": ("XREVRANGE", key("events"), "+", "-", "COUNT", 1),
    }
    # What waits in `paused` was moved there with its markers, at its tail.
    lists = [*ends(key("wait")), ("LLEN", key("paused")), ("LRANGE", key("paused"), -EDGE, -1)]
    commands: list[Command] = [*alone.values(), *lists]
    replies = await ask(client, commands)
    now = int(time.time() * 1000)
    got = dict(zip(alone, replies, strict=False))
    length, head, tail, paused_length, paused_tail = replies[len(alone) :]
    paused, concurrency, most, version, opened = texts(got["meta"]) or [None] * 5
    next_id = _next(tail, paused_tail, got["first"])
    active_id = next(iter(present(texts(got["oldest"]))), None)
    beside = await _look_at(client, queue, active_id, next_id, paused=paused is not None)
    if workers == "unread":
        listed = await read_workers(client, [queue])
        workers = None if listed is None else listed[queue]
    garbage = Garbage()
    last_event = next(iter(_event_times(got["event"]).values()), None)
    old = beside.modern is False or (version or "").startswith(("bullmq:3.", "bullmq:4."))
    counts = {name: number(got[name]) or 0 for name in _COUNTED}
    waiting, in_paused = count_jobs(length, head, tail), count_jobs(paused_length, [], paused_tail)
    left = number(got["limiter-left"])
    return QueueFacts(
        queue=queue,
        now=now,
        exists=any([paused, version, opened, last_event, number(length), *counts.values()]),
        waiting=waiting or 0,
        prioritized=counts["prioritized"],
        paused_list=in_paused or 0,
        active=counts["active"],
        delayed=counts["delayed"],
        due=next((int(one // DUE_SHIFT) for one in scores(got["due"]).values() if one), None),
        waiting_children=counts["waiting-children"],
        paused=paused is not None,
        paused_at=beside.paused_at,
        concurrency=garbage.number("concurrency", concurrency),
        limiter=garbage.number("limiter", text(got["limiter"])),
        limiter_left=-2 if left is None else left,
        max=garbage.number("max", most),
        marker=None if old else counts["marker"] == 1,
        last_event=last_event,
        oldest=beside.oldest,
        next_id=next_id,
        next_since=beside.next_since,
        workers=workers,
        refused=tuple(
            str(command[1])
            for command, reply in zip(commands, replies, strict=True)
            if isinstance(reply, NoPermissionError)
        ),
    )


_OLDEST: Final = ("processedOn", "ats", "attemptsMade", "timestamp", *STALLS)

_OPENED: Final = "opts.maxLenEvents"

_COUNTED: Final = ("prioritized", "active", "delayed", "waiting-children", "marker")


class _Beside(NamedTuple):
    """What the second round trip finds."""

    oldest: OldestActive | None = None
    next_since: int | None = None
    modern: bool | None = None
    """Whether 5.0.0 or later runs the oldest active job."""
    paused_at: int | None = None


def _next(wait_tail: Reply, paused_tail: Reply, first: Reply) -> str | None:
    """The job that a worker would take next: the lists come before ``prioritized``."""
    for tail in (wait_tail, paused_tail):
        for member in reversed(present(texts(tail))):
            if not is_marker(member):
                return member
    return next(iter(present(texts(first))), None)


def _event_times(reply: Reply) -> Mapping[str, int]:
    """The time of the newest event of each name, from a reply of XREVRANGE."""
    found: dict[str, int] = {}
    for at, fields in entries_of(reply):
        moment = at.partition("-")[0]
        if moment.isdigit():
            found.setdefault(fields.get("event", ""), int(moment))
    return found


async def _look_at(
    client: Client, queue: QueueKey, active_id: str | None, next_id: str | None, *, paused: bool
) -> _Beside:
    """Looks at the oldest active job, and at the next one or, in a paused queue, for the pause."""
    wanted: dict[str, Command] = {}
    if active_id is not None:
        job = queue.job(active_id)
        wanted["active"] = ("HMGET", job, *_OLDEST)
        wanted["lock"] = ("PTTL", queue.job(active_id, "lock"))
    if paused:
        wanted["pause"] = ("XREVRANGE", queue.key("events"), "+", "-", "COUNT", _EVENTS)
    elif next_id is not None:
        wanted["next"] = ("HMGET", queue.job(next_id), "timestamp")
    if not wanted:
        return _Beside()
    got = dict(zip(wanted, await ask(client, wanted.values()), strict=True))
    garbage = Garbage()
    [added] = texts(got.get("next")) or [None]
    found = _Beside(
        next_since=garbage.number("timestamp", added),
        paused_at=_event_times(got.get("pause")).get("paused"),
    )
    if active_id is None:
        return found
    values = texts(got["active"]) or [None] * len(_OLDEST)
    processed, started, made, added, *stalls = values
    left = number(got["lock"])
    oldest = OldestActive(
        id=active_id,
        processed_on=garbage.number("processedOn", processed),
        lock_left=_UNREAD if left is None else left,
        stalls=max(garbage.number("stc", one) or 0 for one in stalls),
        exists=any(one is not None for one in (processed, started, made, added)),
    )
    return found._replace(oldest=oldest, modern=job_ran_modern(started, None, made))


_UNREAD: Final = -1
"""The time left of a lock that Redis refuses to show: as if it were held."""


def judge_queue(facts: QueueFacts) -> Verdict:
    """Returns why a queue's jobs do not run, or that they do. Pure."""
    if facts.refused:
        return unknown(
            "refused",
            "Redis refuses to show this queue",
            *(f"{one}: refused" for one in facts.refused),
        )
    if not facts.exists:
        return unknown("no-queue", "no key of this queue exists")
    return (
        _stalled(facts)
        or _stranded(facts)
        or _paused(facts)
        or _limited(facts)
        or _idle(facts)
        or _late(facts)
        or _moving(facts)
    )


def limits_of(facts: QueueFacts) -> Verdict | None:
    """Returns what holds back every job of the queue; None if nothing does."""
    return _paused(facts) or _limited(facts) or _idle(facts)


def _stalled(facts: QueueFacts) -> Verdict | None:
    oldest = facts.oldest
    if oldest is None or oldest.lock_left != -2:
        return None
    since = _since(facts, oldest.processed_on)
    if oldest.processed_on is None or facts.now - oldest.processed_on < _AT_REST:
        return None  # moved to active a moment ago, or being finished right now
    cause = (
        "no worker is connected to check it"
        if facts.workers == 0
        else "the next check of a worker puts it back or fails it"
    )
    return wrong(
        "stalled",
        f"job {oldest.id} is active for {since}, its lock has expired: {cause}",
        f"active {facts.queue.job(oldest.id)}: processedOn {since} ago",
        f"{facts.queue.job(oldest.id, 'lock')}: none",
    )


def _stranded(facts: QueueFacts) -> Verdict | None:
    if not facts.paused_list or facts.paused:
        return None
    jobs = plural(facts.paused_list, "job is", "jobs are")
    return wrong(
        "stranded",
        f"{jobs} left in the paused list of a running queue: resume it again",
        f"{facts.queue.key('paused')}: {facts.paused_list}",
        f"{facts.queue.key('meta')} paused: none",
    )


def _paused(facts: QueueFacts) -> Verdict | None:
    if not facts.paused:
        return None
    since = f" for {_since(facts, facts.paused_at)}" if facts.paused_at else ""
    behind = f": {wait(facts.ready)}" if facts.ready else ", nothing waits"
    still = f", {plural(facts.active, 'job is', 'jobs are')} still active" if facts.active else ""
    return held("paused", f"paused{since}{behind}{still}", f"{facts.queue.key('meta')} paused: set")


def _limited(facts: QueueFacts) -> Verdict | None:
    if not facts.ready:
        return None
    if facts.concurrency is not None and facts.active >= facts.concurrency:
        return held(
            "concurrency",
            f"concurrency {facts.active} of {facts.concurrency} used: {wait(facts.ready)}",
            f"{facts.queue.key('meta')} concurrency: {facts.concurrency}",
            f"{facts.queue.key('active')}: {facts.active}",
        )
    if facts.max is None or facts.limiter is None or facts.limiter < facts.max:
        return None
    return _rate_limited(facts, f"{facts.limiter} of {facts.max} started")


def _rate_limited(facts: QueueFacts, how: str) -> Verdict | None:
    """Why a rate limit that counts holds the jobs; None if it does not.

    A counter without an expiry limits nothing: BullMQ looks at its time left (getRateLimitTTL, all
    releases; before 4.0.0 it deletes such a counter).
    """
    if facts.limiter_left < 0:
        return None
    how = "set by hand" if (facts.limiter or 0) >= BY_HAND else how
    evidence = f"{facts.queue.key('limiter')}: {facts.limiter}"
    if facts.limiter_left > ENDLESS:
        return wrong(
            "rate-limit-endless",
            f"rate limit without an end: {wait(facts.ready)} until it is released",
            evidence,
            f"{facts.queue.key('limiter')}: expires in {span(facts.limiter_left)}",
        )
    return held(
        "rate-limit",
        f"rate limit ({how}), next in {span(facts.limiter_left)}: {wait(facts.ready)}",
        evidence,
    )


def _idle(facts: QueueFacts) -> Verdict | None:
    """Nothing runs though nothing was set that forbids it."""
    if not facts.ready or facts.active or facts.paused:
        return None
    jobs, lists = wait(facts.ready), f"waiting {facts.waiting} · prioritized {facts.prioritized}"
    waited = _waited(facts)
    if facts.workers == 0:
        return wrong("no-worker", f"no worker is connected: {jobs}{waited}", lists, "workers: 0")
    quiet = facts.now - max(facts.last_event or 0, facts.next_since or 0)
    if quiet < _AT_REST:
        return None
    # Whether workers have a limit of their own can't be seen, but by their rest.
    if facts.limiter and facts.limiter_left > 0:
        return _rate_limited(facts, f"of its workers, {plural(facts.limiter, 'job')} started")
    if facts.workers is None:
        return unknown(
            "no-start",
            f"{jobs}{waited} and none is active; whether a worker is connected can't be seen",
            lists,
        )
    if facts.marker is False and quiet < _ASLEEP * 2:
        return wrong(
            "asleep",
            f"{plural(facts.workers, 'worker sleeps', 'workers sleep')}, and the marker that wakes"
            f" them is missing: {jobs}{waited} until one looks again (drainDelay, 5 s by default)",
            lists,
            f"{facts.queue.key('marker')}: none",
        )
    connected = plural(facts.workers, "worker is", "workers are")
    if facts.marker is False:
        return wrong(
            "not-taken",
            f"{connected} connected, but none takes a job, and the marker that wakes them is"
            f" missing: {jobs}{waited}",
            lists,
            f"workers: {facts.workers}",
            f"{facts.queue.key('marker')}: none",
        )
    return wrong(
        "not-taken",
        f"{connected} connected, but none takes a job: {jobs}{waited}",
        lists,
        f"workers: {facts.workers}",
    )


def _late(facts: QueueFacts) -> Verdict | None:
    if facts.due is None or facts.now - facts.due < LATE:
        return None
    late = span(facts.now - facts.due)
    if facts.workers == 0:
        why = "no worker is connected to promote it"
    elif facts.active or facts.ready:
        why = "workers promote delayed jobs only when they take the next one"
    else:
        why = "no worker has promoted it"
    return wrong(
        "late",
        f"the next delayed job is {late} late: {why}",
        f"{facts.queue.key('delayed')}: {facts.delayed}, first due {late} ago",
    )


def _moving(facts: QueueFacts) -> Verdict:
    if facts.active:
        waits = f", {wait(facts.ready)}" if facts.ready else ""
        return fine("running", f"{plural(facts.active, 'job is', 'jobs are')} active{waits}")
    if facts.ready:
        return fine("starting", f"{wait(facts.ready)}{_waited(facts)}, the next start is due")
    if facts.due is not None:
        due = span(max(0, facts.due - facts.now))
        return fine("delayed", f"idle: the next delayed job is due in {due}")
    if facts.waiting_children:
        parents = plural(facts.waiting_children, "parent waits", "parents wait")
        return fine("children", f"idle: {parents} for children")
    return fine("idle", "idle: nothing waits")


def _waited(facts: QueueFacts) -> str:
    since = _since(facts, facts.next_since)
    return f" (oldest {since})" if since != "?" else ""


def _since(facts: QueueFacts, moment: int | None) -> str:
    return "?" if moment is None else span(max(0, facts.now - moment))


def states_of(facts: QueueFacts) -> Sequence[str]:
    """Returns the counts that a verdict rests on, for people."""
    named = (
        ("waiting", facts.waiting),
        ("prioritized", facts.prioritized),
        ("paused", facts.paused_list),
        ("active", facts.active),
        ("delayed", facts.delayed),
        ("waiting-children", facts.waiting_children),
    )
    return [f"{name} {jobs:,}" for name, jobs in named if jobs]
