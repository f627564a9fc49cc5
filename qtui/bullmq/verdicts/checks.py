"""Faults of a queue that a bounded number of reads can find.

Each look is confirmed by a second one, since jobs move while one reads. What only a walk over all
jobs can find is in `sweep`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal

from qtui.bullmq.ask import Command, ask, number, present, scores, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import Garbage, job_ran_modern
from qtui.bullmq.schedulers.read import count_schedulers, read_schedulers
from qtui.bullmq.schedulers.scheduler import Condition
from qtui.bullmq.verdicts.finding import SAMPLE, Finding, Mend
from qtui.bullmq.verdicts.queue import ENDLESS, QueueFacts, judge_queue, read_queue_facts
from qtui.text import plural, span

LOOKED_AT: Final = 1_000
"""Active jobs, and parents, that are looked at."""

SETTLED: Final = 5_000
"""Milliseconds after which a job is no longer just on its way."""

CONFIRMED_AFTER: Final = 0.5
"""Seconds between two looks."""

_REPEATS: Final = 100
"""Members of ``repeat`` that are looked at."""

_NEWEST: Final = 50
"""Finished jobs whose counters are compared."""

_DEAD: Final = 7 * 86_400_000
"""Milliseconds without an event after which an empty queue counts as unused."""


async def check_queue(
    client: Client,
    queue: QueueKey,
    *,
    workers: int | Literal["unread"] | None = "unread",
    pause: float = CONFIRMED_AFTER,
) -> list[Finding]:
    """Returns the faults that show without reading all jobs.

    Args:
        client: where to read.
        queue: the queue.
        workers: its workers if they have been read, None if they can't be seen.
        pause: seconds between a look and the one that confirms it.

    Costs two `read_queue_facts`, and some commands of O(1) for each active job and each parent in
    ``waiting-children``, `LOOKED_AT` at most; twice that where something is found.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    facts = await read_queue_facts(client, queue, workers=workers)
    looks = (_without_lock, _stuck_parents)
    found = _of_facts(facts)
    for look in looks:
        found += await look(client, queue)
    if found:
        # Only what both looks find.
        await asyncio.sleep(pause)
        again = _of_facts(await read_queue_facts(client, queue, workers=facts.workers))
        for look in looks:
            again += await look(client, queue)
        codes = {one.code for one in found}
        found = [one for one in again if one.code in codes]
    for rest in (_mixed_releases, _legacy_repeatables, _dead_schedulers):
        found += await rest(client, queue)
    return found


def _of_facts(facts: QueueFacts) -> list[Finding]:
    key, found = facts.queue.key, []
    verdict = judge_queue(facts)
    if facts.paused_list and not facts.paused:
        found.append(
            Finding(
                code="stranded",
                words=f"{plural(facts.paused_list, 'job is', 'jobs are')} in the paused list,"
                " but the queue is not paused",
                effect="no worker takes them",
                remedy="resume the queue again",
                queue=facts.queue,
                jobs=facts.paused_list,
                mend=Mend.RESUME,
                evidence=(f"{key('paused')}: {facts.paused_list}", f"{key('meta')} paused: none"),
            )
        )
    if facts.paused and facts.paused_list and facts.waiting:
        found.append(
            Finding(
                code="mixed-pause",
                words="a paused queue holds jobs in wait and in paused: releases before and since"
                " 6.0.0 both used it",
                effect="a resume by BullMQ 5 or older renames paused over wait, and loses"
                f" {plural(facts.waiting, 'job')}",
                remedy="resume it with qtui, which moves the jobs instead",
                queue=facts.queue,
                jobs=facts.waiting,
                mend=Mend.RESUME,
                evidence=(
                    f"{key('wait')}: {facts.waiting}",
                    f"{key('paused')}: {facts.paused_list}",
                ),
            )
        )
    if verdict.code in ("asleep", "not-taken") and facts.marker is False:
        found.append(
            Finding(
                code="no-marker",
                words=f"{plural(facts.ready, 'job waits', 'jobs wait')}, the workers are idle, and"
                " the marker that wakes them is missing",
                effect="they start only when a worker looks again (drainDelay, 5 s by default)",
                remedy="add any job, or resume the queue, to write the marker",
                queue=facts.queue,
                jobs=facts.ready,
                evidence=verdict.evidence,
            )
        )
    if facts.limiter is not None and (facts.limiter_left == -1 or facts.limiter_left > ENDLESS):
        found.append(_endless_limit(facts))
    empty = not (facts.ready or facts.active or facts.delayed or facts.waiting_children)
    silent = facts.last_event is not None and facts.now - facts.last_event > _DEAD
    if empty and silent and facts.workers == 0:
        found.append(
            Finding(
                code="ghost-queue",
                words=f"nothing happened here for {span(facts.now - (facts.last_event or 0))}: no"
                " job waits or runs, and no worker is connected",
                effect="none; its finished jobs take memory",
                remedy="remove the queue if nothing uses it",
                queue=facts.queue,
                is_fault=False,
            )
        )
    return found


def _endless_limit(facts: QueueFacts) -> Finding:
    """A limit without an end; or a counter that is never started anew."""
    holds = facts.limiter_left > 0
    ends = f"expires in {span(facts.limiter_left)}" if holds else "no expiry"
    return Finding(
        code="endless-limit",
        words=f"the rate limit {'has no end' if holds else 'counts, but its window has no end'}",
        effect=(
            "workers with a rate limit start no job until it is released"
            if holds
            else "it limits nothing: workers start jobs as fast as they can"
        ),
        remedy="release the rate limit",
        mend=Mend.RELEASE,
        queue=facts.queue,
        evidence=(f"{facts.queue.key('limiter')}: {facts.limiter}, {ends}",),
    )


async def _without_lock(client: Client, queue: QueueKey) -> list[Finding]:
    [reply] = await ask(client, [("LRANGE", queue.key("active"), -LOOKED_AT, -1)])
    ids = [one for one in present(texts(reply)) if not is_marker(one)]
    commands: list[Command] = []
    for one in ids:
        commands += [
            ("PTTL", queue.job(one, "lock")),
            ("HMGET", queue.job(one), "processedOn", "timestamp"),
        ]
    replies = await ask(client, commands) if commands else []
    now, dead = time.time() * 1000, []
    for job_id, left, fields in zip(ids, replies[::2], replies[1::2], strict=True):
        began, added = texts(fields) or [None, None]
        since = Garbage().number("processedOn", began)
        if number(left) == -2 and added is not None and since and now - since > SETTLED:
            dead.append(job_id)
    if not dead:
        return []
    return [
        Finding(
            code="no-lock",
            words=f"{plural(len(dead), 'active job has', 'active jobs have')} no lock: the worker"
            " died or hangs",
            effect="they count as active until a worker's next check puts them back or fails them;"
            " without a worker, forever",
            remedy="start a worker of this queue; if one runs, wait for its check (30 s)",
            queue=queue,
            jobs=len(dead),
            sample=tuple(dead[:SAMPLE]),
            evidence=(f"{queue.job(dead[0], 'lock')}: none",),
        )
    ]


async def _stuck_parents(client: Client, queue: QueueKey) -> list[Finding]:
    key = queue.key("waiting-children")
    [reply] = await ask(client, [("ZRANGE", key, 0, LOOKED_AT - 1, "WITHSCORES")])
    since = scores(reply)
    commands: list[Command] = []
    for one in since:
        commands += [
            ("SCARD", queue.job(one, "dependencies")),
            ("SRANDMEMBER", queue.job(one, "dependencies"), SAMPLE),
            ("EXISTS", queue.job(one)),
        ]
    replies = await ask(client, commands) if commands else []
    now, childless, lost = time.time() * 1000, [], dict[str, list[str]]()
    rows = zip(since.items(), replies[::3], replies[1::3], replies[2::3], strict=True)
    for (parent, at), pending, children, exists in rows:
        if number(exists) != 1 or now - (at or 0) < SETTLED:
            continue
        if number(pending) == 0:
            childless.append(parent)
        elif (some := present(texts(children))) and len(some) == number(pending):
            lost[parent] = some
    gone = await _lost_parents(client, lost)
    found = []
    for code, parents, words in (
        ("no-child", childless, "no child of it is pending"),
        ("lost-child", gone, "all its pending children are gone"),
    ):
        if parents:
            found.append(
                Finding(
                    code=code,
                    words=f"{plural(len(parents), 'parent waits', 'parents wait')} for children,"
                    f" but {words if len(parents) == 1 else words.replace(' it', ' them', 1)}",
                    effect="nothing ever releases them",
                    remedy="rerun the flow from its failure without the lost children"
                    f" (qtui flow {queue.name} {parents[0]} --rerun failure --drop-lost)",
                    queue=queue,
                    jobs=len(parents),
                    mend=Mend.RERUN,
                    members=dict.fromkeys(parents, ""),
                    sample=tuple(parents[:SAMPLE]),
                    evidence=(f"{queue.job(parents[0], 'dependencies')}: nothing that can end",),
                )
            )
    return found


async def _lost_parents(client: Client, pending: dict[str, list[str]]) -> list[str]:
    """Those whose pending children have no hash any more."""
    commands: list[Command] = [
        ("EXISTS", child) for children in pending.values() for child in children
    ]
    replies = iter(await ask(client, commands) if commands else [])
    there = {
        parent: [number(next(replies)) != 0 for _ in children]
        for parent, children in pending.items()
    }
    return [parent for parent, exist in there.items() if not any(exist)]


async def _mixed_releases(client: Client, queue: QueueKey) -> list[Finding]:
    """Whether workers before and since 5.0.0 took turns, as the newest finished jobs show."""
    replies = await ask(
        client,
        [
            ("ZREVRANGE", queue.key(state), 0, _NEWEST - 1, "WITHSCORES")
            for state in ("completed", "failed")
        ],
    )
    ended = {one: at or 0 for reply in replies for one, at in scores(reply).items()}
    fields = ("ats", "atm", "attemptsMade")
    runs = await ask(client, [("HMGET", queue.job(one), *fields) for one in ended]) if ended else []
    old: list[float] = []
    new: list[float] = []
    for at, reply in zip(ended.values(), runs, strict=True):
        modern = job_ran_modern(*(texts(reply) or [None] * 3))
        if modern is not None:
            (new if modern else old).append(at)
    if not old or not new or max(old) < min(new) or max(new) < min(old):
        return []
    return [
        Finding(
            code="mixed-releases",
            words="workers of BullMQ before and since 5.0.0 both run this queue",
            effect="each loses or hides what the other keeps in its own way: priorities, pauses,"
            " wake-ups",
            remedy="run one major release on a queue",
            queue=queue,
            evidence=(
                f"{plural(len(old), 'job')} with attemptsMade alone and {len(new)} with atm or ats"
                " ended in turns",
            ),
        )
    ]


async def _dead_schedulers(client: Client, queue: QueueKey) -> list[Finding]:
    """Schedulers whose iteration is in no state; those whose time is past come first in `repeat`.

    Costs one ZCARD, and for a queue with schedulers what `read_schedulers` costs.
    """
    if not (await count_schedulers(client, [queue]))[queue]:
        return []
    page = await read_schedulers(client, queue, limit=_REPEATS)
    dead = [one for one in page.schedulers if one.condition is Condition.DEAD]
    if not dead:
        return []
    first = dead[0]
    where = "gone" if first.iteration is None else first.iteration.place.words
    return [
        Finding(
            code="dead-scheduler",
            words=f"{plural(len(dead), 'scheduler is', 'schedulers are')} dead: the iteration is in"
            " no state, or has made no next one",
            effect="it never runs again",
            remedy=f"qtui schedulers {queue.name} --revive makes the next iteration",
            queue=queue,
            jobs=len(dead),
            mend=Mend.REVIVE,
            members=dict.fromkeys((one.id for one in dead), ""),
            sample=tuple(one.id for one in dead[:SAMPLE]),
            evidence=(f"{queue.key('repeat')}: {first.id}, iteration {where}",),
        )
    ]


async def _legacy_repeatables(client: Client, queue: QueueKey) -> list[Finding]:
    """Repeatable jobs of the old kind, which 6.0.0 refuses (``repeat`` without a definition)."""
    [reply] = await ask(client, [("ZRANGE", queue.key("repeat"), 0, _REPEATS - 1)])
    members = present(texts(reply))
    commands: list[Command] = [("EXISTS", queue.key(f"repeat:{one}")) for one in members]
    replies = await ask(client, commands) if commands else []
    # Old members are name:id:endDate:tz:pattern; those of 5.10 to 5.15 are a digest with a hash
    # that the member is not the name of.
    old = [one for one, there in zip(members, replies, strict=True) if number(there) == 0]
    if not old:
        return []
    return [
        Finding(
            code="legacy-repeatable",
            words=f"{plural(len(old), 'repeatable job is', 'repeatable jobs are')} of the kind"
            " before job schedulers",
            effect="BullMQ 6 refuses to run them",
            remedy="before an upgrade to 6, replace them by job schedulers (upsertJobScheduler)",
            queue=queue,
            jobs=len(old),
            sample=tuple(old[:SAMPLE]),
            evidence=(f"{queue.key('repeat')}: {old[0]} without a hash repeat:…",),
            is_fault=False,
        )
    ]
