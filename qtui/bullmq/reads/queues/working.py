"""Reads who works on a queue: its workers by name and address, and the jobs that they hold."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from qtui.bullmq.ask import Command, ask, ask_everywhere, number, present, text, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import STALLS, Garbage
from qtui.bullmq.reads.queues.workers import Connection, connections_in, name_by_node

MOST_ACTIVE: Final = 1_000
"""Active jobs of a queue that are read, the oldest ones."""

_FIELDS: Final = ("name", "processedOn", "pb", *STALLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveJob:
    """A job that a worker holds. Times are ms."""

    id: str
    name: str
    active_for: int | None
    lock_left: int
    """ms until its lock expires; -1 if it does not, -2 if there is none."""
    stalls: int
    """How often it was found stalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """A worker of a queue, as its connection or its locks show it."""

    queue: QueueKey
    name: str
    """The name that it was given; empty if it has none."""
    token: str
    """The beginning of its locks' tokens, the same for all its jobs; empty if it holds none."""
    address: str
    """Of its connection; empty if only its locks show it."""
    connected_for: int | None
    """Seconds."""
    waits: bool
    """Whether its connection waits for a job."""
    jobs: tuple[ActiveJob, ...] = ()
    may_hold: bool = False
    """Whether jobs that only a token shows may be this one's: they name no worker."""

    @property
    def is_busy(self) -> bool:
        """Whether it holds a job."""
        return bool(self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """Who works on some queues."""

    workers: tuple[WorkerSeen, ...]
    """By queue; those that hold a job for the longest time come first."""
    refused: bool = False
    """Redis does not show this user the connections: idle workers can't be seen."""
    nameless: bool = False
    """Some connection without a name waits for jobs: no worker seen is no proof of none."""


async def read_working(client: Client, queues: Sequence[QueueKey]) -> Working:
    """Returns the workers of the queues and the jobs that they hold.

    A worker is known by its connection (CLIENT LIST: ``<prefix>:<base64 of the queue's name>``,
    followed by ``:w:<name>`` since 5.3.0; plain names in the ports), and by the locks of its active
    jobs, whose token is ``<uuid of the worker>:<number>``. Where both show the same worker by its
    name (job field ``pb``, ≥5.3.0), or where there is but one of each, they are one. Python writes
    no ``pb``, and names both connections of a worker: they count as one worker if a second one does
    not wait for jobs.

    .NET, Python before 2.19.3 and BullMQ 4 and 5 on a cluster name no connection: their workers
    appear only while they hold jobs. Where several connections of a queue have no name, it stays
    open which of them holds the jobs of which token.

    Costs one CLIENT LIST, O(clients); for each queue one LRANGE of `MOST_ACTIVE`, a second one
    where jobs have no lock, and three commands of O(1) for each active job.

    Raises:
        redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
    """
    listed = [text(reply) for reply in await ask_everywhere(client, "CLIENT", "LIST")]
    connections = connections_in("\n".join(one or "" for one in listed))
    held = await _active(client, queues)
    return Working(
        workers=tuple(
            worker
            for queue in queues
            for worker in _together(queue, _of_queue(connections, queue), held[queue])
        ),
        refused=all(one is None for one in listed),
        nameless=any(one.waits and not one.name for one in connections),
    )


class _Own(NamedTuple):
    """A connection of a queue's worker."""

    connection: Connection
    """With the worker's name alone."""
    named: bool
    """Whether its jobs hold its name (``pb``), so that those without are another's."""


def _of_queue(connections: Sequence[Connection], queue: QueueKey) -> list[_Own]:
    """The connections of a queue's workers, one a worker."""
    found: list[_Own] = []
    spelt: dict[str, list[Connection]] = defaultdict(list)
    for one in connections:
        for base in (name_by_node(queue), queue.base):
            if one.name == base or one.name.startswith(f"{base}:w:"):
                mine = one._replace(name=one.name[len(base) + len(":w:") :])
                if base == queue.base:
                    spelt[mine.name].append(mine)
                else:
                    found.append(_Own(mine, bool(mine.name)))
                break
    for same in spelt.values():
        # Python names two connections a worker, Elixir only the one that waits.
        same.sort(key=lambda one: not one.waits)
        waiting = sum(one.waits for one in same)
        found += [_Own(one, False) for one in same[: max(waiting, (len(same) + 1) // 2)]]
    return found


async def _active(
    client: Client, queues: Sequence[QueueKey]
) -> Mapping[QueueKey, Mapping[tuple[str, str], list[ActiveJob]]]:
    """For each queue its active jobs, by the name and the token of the worker that holds them."""
    places = [
        (queue, one) for queue, ids in (await _ids(client, queues)).items() for one in reversed(ids)
    ]
    commands: list[Command] = []
    for queue, job_id in places:
        lock = queue.job(job_id, "lock")
        commands += [("HMGET", queue.job(job_id), *_FIELDS), ("GET", lock), ("PTTL", lock)]
    found = await ask(client, commands) if commands else []
    now, garbage = time.time() * 1000, Garbage()
    held: dict[QueueKey, dict[tuple[str, str], list[ActiveJob]]] = {
        queue: defaultdict(list) for queue in queues
    }
    rows = list(zip(places, found[::3], found[1::3], found[2::3], strict=True))
    # A job that has ended meanwhile has no lock either.
    loose = dict.fromkeys(queue for (queue, _), _, _, left in rows if number(left) == -2)
    still = {queue: set(ids) for queue, ids in (await _ids(client, list(loose))).items()}
    for (queue, job_id), fields, token, left in rows:
        if number(left) == -2 and job_id not in still[queue]:
            continue
        name, began, worker, *stalls = texts(fields) or [None] * len(_FIELDS)
        since = garbage.number("processedOn", began)
        left_ms = number(left)
        holder = (worker or "", (text(token) or "").partition(":")[0])
        held[queue][holder].append(
            ActiveJob(
                id=job_id,
                name=name or "",
                active_for=None if since is None else max(0, int(now - since)),
                lock_left=-1 if left_ms is None else left_ms,
                stalls=max(garbage.number("stc", one) or 0 for one in stalls),
            )
        )
    return held


async def _ids(client: Client, queues: Sequence[QueueKey]) -> dict[QueueKey, list[str]]:
    """The active jobs of some queues, the newest first."""
    if not queues:
        return {}
    commands: list[Command] = [
        ("LRANGE", queue.key("active"), -MOST_ACTIVE, -1) for queue in queues
    ]
    replies = await ask(client, commands)
    return {
        queue: [one for one in present(texts(reply)) if not is_marker(one)]
        for queue, reply in zip(queues, replies, strict=True)
    }


def _together(
    queue: QueueKey,
    connections: Sequence[_Own],
    held: Mapping[tuple[str, str], list[ActiveJob]],
) -> list[WorkerSeen]:
    """The workers of a queue: connections with the jobs that they hold, then holders without."""
    left = dict(held)
    taken: dict[int, list[tuple[str, str]]] = defaultdict(list)
    names = Counter(one.name for one, _ in connections)
    for at, (one, _) in enumerate(connections):
        # One name, several tokens: a worker that was restarted, and a lock that has expired.
        mine = [holder for holder in left if one.name and holder[0] == one.name]
        for holder in mine if names[one.name] == 1 else mine[:1]:
            taken[at].append(holder)
            del left[holder]
    free = [at for at, one in enumerate(connections) if at not in taken and not one.named]
    nameless = [holder for holder in left if not holder[0] and holder[1]]
    if len(free) == len(nameless) == 1:
        taken[free[0]].append(nameless[0])
        del left[nameless.pop()]
    found = []
    for at, (one, _) in enumerate(connections):
        holders = taken.get(at, [])
        found.append(
            WorkerSeen(
                queue=queue,
                name=one.name,
                token=next((token for _, token in holders if token), ""),
                address=one.address,
                connected_for=one.age,
                waits=one.waits,
                jobs=tuple(_oldest_first(job for holder in holders for job in held[holder])),
                may_hold=at in free and bool(nameless),
            )
        )
    for (name, token), jobs in left.items():
        found.append(
            WorkerSeen(
                queue=queue,
                name=name,
                token=token,
                address="",
                connected_for=None,
                waits=False,
                jobs=tuple(_oldest_first(jobs)),
            )
        )
    found.sort(
        key=lambda one: (not one.is_busy, -max((j.active_for or 0 for j in one.jobs), default=0))
    )
    return found


def _oldest_first(jobs: Iterable[ActiveJob]) -> list[ActiveJob]:
    return sorted(jobs, key=lambda one: -(one.active_for or 0))
