"""What was removed comes back as it was, whatever the keyspace; and nothing over what is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.wholes import Unread, Wholes
from qtui.bullmq.whole import Whole, rest_of
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.restore import RestoreWriter
from qtui.demo.server import EmbeddedServer
from tests.oracle.keyspace import Value, snapshot
from tests.servers import Servers, connect

QUEUE, KIDS = QueueKey.of("bull", "q"), QueueKey.of("bull", "kids")
NAMES = ("a", "b", "7", "x:y:z", "ü", "[b]")
ASIDE = ("events", "marker", "pc")
"""Keys that a removal and its undo may change: events, wake-ups and a counter."""


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
        client.hset(QUEUE.key("meta"), mapping=meta | ({"paused": "1"} if self.paused else {}))
        client.hset(KIDS.key("meta"), mapping=meta)
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
        client.hset(key, mapping=fields)

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
        client.hset(KIDS.job(name), mapping=fields | {"parent": json.dumps(parent)})
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


def seen(client: redis.Redis) -> dict[str, Value]:
    """Everything but what is set aside, and wake-ups in lists (3.1.3 to 4.18.3)."""
    found: dict[str, Value] = {}
    for key, (kind, content, expires) in snapshot(client).items():
        if isinstance(content, list) and kind == "list":
            content = [one for one in content if not is_marker(one)]
        if key.rsplit(":", 1)[-1] not in ASIDE and content != []:
            found[key] = kind, content, expires
    return found


async def wholes_of(client: redis.asyncio.Redis, state: JobState, ids: Sequence[str]) -> list[Whole]:
    """The jobs, read whole, by way of the journal's form."""
    reader, found, left = Wholes(client, QUEUE, state), list[Whole](), list(ids)
    while left:
        some = await reader.first_of(left)
        assert some
        for one in some:
            assert not isinstance(one, Unread), one
            found.append(one._replace(rest=rest_of(json.loads(json.dumps(dict(one.rest))))))
        left = left[len(some) :]
    return found


async def remove(
    client: redis.asyncio.Redis, state: JobState, ids: Sequence[str], size: int = 1000
) -> list[Whole]:
    """Removes jobs in calls of some size, each read whole before; the jobs in that order."""
    gone: list[Whole] = []
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        gone += await wholes_of(client, state, part)
        batch = await RemoveWriter(client).remove(QUEUE, state, [Picked(one) for one in part])
        assert batch.note == ""
        assert [int(one.code) for one in batch.results] == [1] * len(part), batch.results
    return gone


async def restore(
    client: redis.asyncio.Redis, jobs: Sequence[Whole], size: int = 1000
) -> list[Result]:
    """Restores jobs that were removed in this order."""
    jobs, results = list(jobs)[::-1], list[Result]()
    for start in range(0, len(jobs), size):
        batch = await RestoreWriter(client).restore(jobs[start : start + size])
        assert batch.note == ""
        results += batch.results
    return results


@pytest.fixture
def plain(server: EmbeddedServer) -> redis.Redis:
    """A client to `server` that waits."""
    return redis.Redis(
        unix_socket_path=server.path, decode_responses=True, encoding_errors="surrogateescape"
    )


@settings(max_examples=1500, deadline=None)
@given(keyspaces(), st.randoms(use_true_random=False), st.integers(1, 3), st.integers(1, 3))
def test_remove_and_restore_leave_every_key_as_it_was(
    servers: Servers, keyspace: Keyspace, chance: object, size: int, back: int
) -> None:
    server = servers.empty("valkey")
    client = redis.Redis(
        unix_socket_path=server.path, decode_responses=True, encoding_errors="surrogateescape"
    )
    keyspace.write(client)
    before = seen(client)
    state = keyspace.state(keyspace.jobs[0])
    ids = [one.id for one in keyspace.jobs if keyspace.state(one) is state]
    chance.shuffle(ids)  # type: ignore[attr-defined]
    ids = ids[: max(1, len(ids) - 1)] if len(ids) > 2 else ids
    if state is JobState.WAITING_CHILDREN:  # parents go first, as a campaign sends them
        ids.sort(key=NAMES.index)

    async def both() -> list[Result]:
        async with connect(server) as ours:
            return await restore(ours, await remove(ours, state, ids, size), back)

    results = asyncio.run(both())
    assert [int(one.code) for one in results] == [1] * len(ids), results
    assert seen(client) == before
    client.close()
