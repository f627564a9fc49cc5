"""Queues with jobs of every kind, as releases leave them behind; for tests of whole jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import redis
from hypothesis import strategies as st

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState

QUEUE, KIDS = QueueKey.of("bull", "q"), QueueKey.of("bull", "kids")
NAMES = ("a", "b", "7", "x:y:z", "ü", "[b]")


def _hash(client: redis.Redis, key: str, fields: Mapping[str, str]) -> None:
    client.hset(key, items=[part for field in fields.items() for part in field])


@dataclass(frozen=True)
class Job:
    """A job of the queue, and what hangs on it."""

    id: str
    state: JobState
    logs: tuple[str, ...] = ()
    deduplicated: bool = False
    expires: bool = False
    proto: bool = False
    children: int = 0
    """Children in the queue `KIDS` that it waits for, if it waits for any."""
    processed: bool = False
    priority: int = 0
    hash: bool = True


@dataclass(frozen=True)
class Keyspace:
    """A queue as releases leave it behind."""

    jobs: tuple[Job, ...]
    version: str = "bullmq:5.81.5"
    paused: bool = False
    turns: bool = False
    """Whether it has the set of priorities of 1.x to 3.x."""
    parents: tuple[int, ...] = field(default=())
    """For each job the index of the one that waits for it, or of none."""

    def write(self, client: redis.Redis) -> None:
        """Makes it, in an empty database."""
        meta = {"opts.maxLenEvents": "10000", "version": self.version}
        _hash(client, QUEUE.key("meta"), meta | ({"paused": "1"} if self.paused else {}))
        _hash(client, KIDS.key("meta"), meta)
        for place, job in enumerate(self.jobs):
            self._write(client, place, job)

    def state(self, job: Job) -> JobState:
        """Where the release keeps it."""
        older = not self.version.startswith("bullmq:6")
        if job.state is JobState.WAITING and self.paused and older:
            return JobState.PAUSED
        return job.state

    def _write(self, client: redis.Redis, place: int, job: Job) -> None:
        key = QUEUE.job(job.id)
        state = self.state(job)
        if state.is_list:
            client.lpush(QUEUE.key(state.key), job.id)
        else:
            client.zadd(QUEUE.key(state.key), {job.id: 1_000 + place // 2 + 0.25})
        if not job.hash:
            return
        fields = {"name": "n", "timestamp": "1", "data": "{}", "priority": str(job.priority)}
        if job.deduplicated:
            fields["deid"] = f"d{place}"
            client.set(QUEUE.key(f"de:d{place}"), job.id, ex=1000 if job.expires else None)
            if job.proto:
                client.hset(QUEUE.key(f"dn:d{place}"), mapping={"name": "next", "data": "1"})
        if job.logs:
            client.rpush(f"{key}:logs", *job.logs)
        if self.turns and job.priority:
            client.zadd(QUEUE.key("priority"), {job.id: job.priority})
        if job.processed:
            client.hset(f"{key}:processed", mapping={"bull:kids:x": '"done"'})
            client.hset(f"{key}:failed", mapping={"bull:kids:y": "why"})
            client.zadd(f"{key}:unsuccessful", {"bull:kids:z": 12.5})
        if state is JobState.WAITING_CHILDREN:
            for number in range(job.children):
                self._child(client, job, f"{place}-{number}")
        above = self._above(place)
        if above is not None:
            fields["parentKey"] = QUEUE.job(above.id)
            fields["parent"] = json.dumps({"id": above.id, "queueKey": QUEUE.base})
            client.sadd(QUEUE.job(above.id, "dependencies"), key)
        _hash(client, key, fields)

    def _above(self, place: int) -> Job | None:
        """The job that waits for this one: an earlier one in `waiting-children`."""
        if place >= len(self.parents) or not 0 <= self.parents[place] < place:
            return None
        above = self.jobs[self.parents[place]]
        waits = above.hash and above.state is JobState.WAITING_CHILDREN
        return above if waits and self.jobs[place].state is not JobState.COMPLETED else None

    def _child(self, client: redis.Redis, job: Job, name: str) -> None:
        parent = {"id": job.id, "queueKey": QUEUE.base}
        fields = {"name": "c", "timestamp": "1", "parentKey": QUEUE.job(job.id)}
        _hash(client, KIDS.job(name), fields | {"parent": json.dumps(parent)})
        client.lpush(KIDS.key("wait"), name)
        client.sadd(QUEUE.job(job.id, "dependencies"), KIDS.job(name))


_states = st.sampled_from([one for one in JobState if one is not JobState.PAUSED])
_jobs = st.builds(
    Job,
    id=st.just(""),
    state=_states | st.just(JobState.WAITING) | st.just(JobState.WAITING_CHILDREN),
    logs=st.sampled_from([(), ("one", "two")]),
    deduplicated=st.booleans(),
    expires=st.booleans(),
    proto=st.booleans(),
    children=st.integers(0, 2),
    processed=st.booleans(),
    priority=st.sampled_from([0, 0, 3]),
    hash=st.sampled_from([True, True, True, False]),
)


@st.composite
def keyspaces(draw: st.DrawFn) -> Keyspace:
    """Any of them, with up to six jobs."""
    some = draw(st.lists(_jobs, min_size=1, max_size=len(NAMES)))
    jobs = tuple(
        Job(**{**one.__dict__, "id": name}) for one, name in zip(some, NAMES, strict=False)
    )
    return Keyspace(
        jobs,
        draw(st.sampled_from(["bullmq:3.16.2", "bullmq:5.81.5", "bullmq:6.7.0"])),
        draw(st.booleans()),
        draw(st.booleans()),
        tuple(draw(st.lists(st.integers(-1, 5), max_size=len(jobs)))),
    )
