"""`dialect.destination` and `lua/retry.lua` are twins: for any keyspace they name the same key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pytest
import redis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qtui.bullmq.codes import Code, ForeignQueue
from qtui.bullmq.dialect import (
    HIGHEST_PRIORITY,
    Destination,
    QueueEvidence,
    clamp_priority,
    destination,
    kept_while_paused,
    ran_modern,
    speaks_modern,
)
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState, Kind
from qtui.bullmq.new_job.options import NewJob
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.writers.add import AddWriter
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.queues import PauseWriter, QueueStep, ResumeWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from tests.servers import Servers, connect

QUEUE = QueueKey.of("bull", "q")
PICKED = "picked"

_COUNTERS: Mapping[bool | None, dict[str, str]] = {
    None: {},
    False: {"attemptsMade": "1"},
    True: {"ats": "1", "atm": "1"},
}


def _write(client: redis.Redis, key: str, fields: Mapping[str, str]) -> None:
    client.hset(key, items=[part for field in fields.items() for part in field])


@dataclass(frozen=True)
class Keyspace:
    """A queue that some release, or several, may have left behind, and a job to retry in it."""

    modern: bool | None = None
    """Which counters the picked job carries, see `qtui.bullmq.model.Row`."""
    priority: str | None = "0"
    lifo: bool = False
    state: JobState = JobState.FAILED
    paused: bool = False
    version: str | None = None
    last: tuple[bool | None, ...] = (None, None, None)
    """The same of the newest job in completed, failed and active; None for none."""
    counter: bool = False
    prioritized: bool = False
    legacy_priority: bool = False
    wait: tuple[str, ...] = ()
    paused_list: tuple[str, ...] = ()

    def write(self, client: redis.Redis) -> None:
        """Make the keyspace, in an empty database."""
        meta = {"opts.maxLenEvents": "10000"}
        meta |= {"paused": "1"} if self.paused else {}
        meta |= {"version": self.version} if self.version is not None else {}
        _write(client, QUEUE.key("meta"), meta)
        places = (JobState.COMPLETED, JobState.FAILED, JobState.ACTIVE)
        for place, modern in zip(places, self.last, strict=True):
            if modern is None:
                continue
            self._job(client, f"last-{place}", _COUNTERS[modern])
            if place.is_list:
                client.lpush(QUEUE.key(place.key), f"last-{place}")
            else:
                client.zadd(QUEUE.key(place.key), {f"last-{place}": 2_000})
        fields = dict(_COUNTERS[self.modern])
        fields |= {"priority": self.priority} if self.priority is not None else {}
        fields |= {"opts": '{"lifo":true}' if self.lifo else "{}"}
        self._job(client, PICKED, fields)
        client.zadd(QUEUE.key(self.state.key), {PICKED: 1_000})
        if self.counter:
            client.set(QUEUE.key("pc"), "7")
        if self.prioritized:
            client.zadd(QUEUE.key("prioritized"), {"other": 2**32})
        if self.legacy_priority:
            client.zadd(QUEUE.key("priority"), {"other": 1})
        for suffix, members in (("wait", self.wait), ("paused", self.paused_list)):
            if members:
                client.rpush(QUEUE.key(suffix), *members)
        self._job(client, "new", {})

    def _job(self, client: redis.Redis, job_id: str, fields: Mapping[str, str]) -> None:
        _write(client, QUEUE.job(job_id), {"name": "n", "timestamp": "1", **fields})

    @property
    def evidence(self) -> QueueEvidence:
        """What the queue shows, computed from how it was made and not from what was written."""
        by_place = dict(zip(("completed", "failed", "active"), self.last, strict=True))
        if self.state.value in by_place and by_place[self.state.value] is None:
            by_place[self.state.value] = self.modern
        return QueueEvidence(
            paused=self.paused,
            version=self.version or "",
            ran_modern=ran_modern(by_place.values()),
            knows_prioritized=self.counter or self.prioritized,
            knows_legacy_priority=self.legacy_priority,
            paused_list=bool(self.paused_list),
            jobs_in_wait=any(not is_marker(member) for member in self.wait),
            in_paused=len(self.paused_list),
            paused_by_older="new" in self.paused_list[-4:],
            wait_by_newer="new" in self.wait,
        )

    @property
    def number(self) -> int:
        """The priority as a number, 0 where it is none."""
        try:
            return int(float(self.priority or "0"))
        except (ValueError, OverflowError):
            return 0


_versions = st.sampled_from(
    [f"bullmq:{v}" for v in ("3.16.2", "4.18.3", "5.65.1", "5.81.5", "6.7.0", "1.1.0")]
    + ["", "bullmq:", "bullmq:five", "other"]
)
_priorities = st.sampled_from(["0", "1", "3", "2097152", "9999999999", "-1", "", "x", "nan", "1.5"])
_modern = st.sampled_from([None, False, True])
_lists = st.lists(
    st.sampled_from(["w1", "w2", "new", "0", "0:0", "0:1700", "0:a"]), max_size=7, unique=True
)

keyspaces = st.builds(
    Keyspace,
    modern=_modern,
    priority=st.none() | _priorities,
    lifo=st.booleans(),
    state=st.sampled_from([JobState.FAILED, JobState.COMPLETED]),
    paused=st.booleans(),
    version=st.none() | _versions,
    last=st.tuples(_modern, _modern, _modern),
    counter=st.booleans(),
    prioritized=st.booleans(),
    legacy_priority=st.booleans(),
    wait=_lists.map(tuple),
    paused_list=_lists.map(tuple),
)


@pytest.fixture(scope="module")
def empty(servers: Servers) -> EmbeddedServer:
    """A server of which each example uses a database that it empties first."""
    return servers.empty("valkey")


def _retry(server: EmbeddedServer, state: JobState, ids: Sequence[str]) -> Batch:
    async def call() -> Batch:
        async with connect(server) as client:
            return await RetryWriter(client).retry(QUEUE, state, [Picked(one) for one in ids])

    return asyncio.run(call())


def _members(client: redis.Redis, suffix: str) -> list[str]:
    key = QUEUE.key(suffix)
    if client.type(key) == "zset":
        return cast("list[str]", client.zrange(key, 0, -1))
    return cast("list[str]", client.lrange(key, 0, -1))


def _places(client: redis.Redis) -> dict[str, int]:
    """How often the picked job is in each of the queue's keys."""
    found = {}
    for state in JobState:
        members = _members(client, state.key)
        if PICKED in members:
            found[state.key] = members.count(PICKED)
    return found


@given(keyspace=keyspaces)
def test_for_any_keyspace_people_read_releases_and_no_dialect(keyspace: Keyspace) -> None:
    releases = keyspace.evidence.releases
    assert releases == "release unknown" or releases.endswith(".x")
    assert "T" not in releases


@settings(max_examples=150)
@given(keyspace=keyspaces)
@example(keyspace=Keyspace(paused=True, modern=True, version="bullmq:5.81.5", wait=("w1",)))
@example(keyspace=Keyspace(paused=True, modern=False, version="bullmq:4.18.3", wait=("w1",)))
@example(keyspace=Keyspace(paused=True, modern=True, wait=("0", "0:0", "0:1700")))
@example(keyspace=Keyspace(paused=True, modern=True, version="bullmq:6.7.0", wait=("new",)))
@example(keyspace=Keyspace(paused=True, modern=True, version="bullmq:5.81.5", wait=("new",)))
@example(keyspace=Keyspace(paused=True, modern=True, version="bullmq:5.65.1", wait=("new",)))
@example(keyspace=Keyspace(paused=True, modern=True, version="bullmq:5.81.5", paused_list=("new",)))
@example(keyspace=Keyspace(paused=True, modern=True, version="bullmq:5.65.1", paused_list=("new",)))
@example(keyspace=Keyspace(paused=True, modern=True, lifo=True))
@example(keyspace=Keyspace(modern=False, priority="3", version="bullmq:4.18.3"))
@example(keyspace=Keyspace(modern=False, priority="3", counter=True))
def test_the_script_puts_a_job_where_the_dialect_says(
    empty: EmbeddedServer, keyspace: Keyspace
) -> None:
    with redis.Redis.from_url(empty.url, decode_responses=True) as client:
        client.flushdb()
        keyspace.write(client)
        expected = destination(
            keyspace.evidence,
            PICKED,
            modern=keyspace.modern,
            priority=clamp_priority(keyspace.number),
        )
        [result] = _retry(empty, keyspace.state, [PICKED]).results
        assert result.code is Code.DONE
        assert result.target == expected
        assert _places(client) == {expected.value: 1}
        if expected is Destination.PRIORITIZED:
            score = client.zscore(QUEUE.key("prioritized"), PICKED)
            assert score is not None
            front = keyspace.lifo and keyspace.number < 1
            priority = min(max(keyspace.number, 0), HIGHEST_PRIORITY)
            assert score == 0 if front else score // 2**32 == priority
        elif keyspace.lifo:
            assert client.lindex(QUEUE.key(expected.value), -1) == PICKED
        _assert_no_wait_is_overwritten(client, keyspace)


@settings(max_examples=40)
@given(keyspace=keyspaces)
@example(keyspace=Keyspace(modern=True))
@example(keyspace=Keyspace(modern=False, counter=True))
@example(keyspace=Keyspace(modern=False))
def test_a_job_whose_id_looks_like_a_wake_up_goes_where_the_dialect_says(
    empty: EmbeddedServer, keyspace: Keyspace
) -> None:
    with redis.Redis.from_url(empty.url, decode_responses=True) as client:
        client.flushdb()
        keyspace.write(client)
        named = "0:order:7"
        client.rename(QUEUE.job(PICKED), QUEUE.job(named))
        client.zrem(QUEUE.key(keyspace.state.key), PICKED)
        client.zadd(QUEUE.key(keyspace.state.key), {named: 1_000})
        evidence = keyspace.evidence
        expected = destination(
            evidence, named, modern=keyspace.modern, priority=clamp_priority(keyspace.number)
        )
        assert _retry(empty, keyspace.state, [named]).results[0].target == expected
        if keyspace.modern or evidence.ran_modern or evidence.knows_prioritized:
            assert expected is Destination.PRIORITIZED


def _assert_no_wait_is_overwritten(client: redis.Redis, keyspace: Keyspace) -> None:
    """Our retry never makes a list `paused` beside jobs in `wait`: a resume of ≤5.x drops those."""
    if keyspace.paused and not keyspace.paused_list and client.exists(QUEUE.key("paused")):
        left = _members(client, "wait")
        assert [member for member in left if not is_marker(member)] == []
        assert set(keyspace.wait) <= set(_members(client, "paused")) | set(left)


@settings(max_examples=60)
@given(keyspace=keyspaces, moderns=st.lists(_modern, min_size=2, max_size=4))
@example(keyspace=Keyspace(paused=True, wait=("w1",)), moderns=[True, False])
@example(keyspace=Keyspace(paused=True, wait=("w1",)), moderns=[False, True])
def test_jobs_of_several_releases_in_one_batch_are_all_kept(
    empty: EmbeddedServer, keyspace: Keyspace, moderns: list[bool | None]
) -> None:
    with redis.Redis.from_url(empty.url, decode_responses=True) as client:
        client.flushdb()
        keyspace.write(client)
        ids = [f"job-{number}" for number in range(len(moderns))]
        for job_id, modern in zip(ids, moderns, strict=True):
            _write(client, QUEUE.job(job_id), {"name": "n", **_COUNTERS[modern]})
            client.zadd(QUEUE.key(keyspace.state.key), {job_id: 500})
        results = _retry(empty, keyspace.state, ids).results
        assert [result.code for result in results] == [Code.DONE] * len(ids)
        for result in results:
            assert result.job_id in _members(client, result.target)
        _assert_no_wait_is_overwritten(client, keyspace)


def _add(server: EmbeddedServer, job: NewJob) -> Batch:
    async def call() -> Batch:
        async with connect(server) as client:
            writer = AddWriter(client)
            reserved = await writer.reserve(QUEUE)
            return await writer.add(QUEUE, job, reserved.number)

    return asyncio.run(call())


@settings(max_examples=100)
@given(keyspace=keyspaces, priority=st.sampled_from([0, 0, 3]), lifo=st.booleans())
@example(keyspace=Keyspace(paused=True, version="bullmq:6.7.0"), priority=0, lifo=False)
@example(keyspace=Keyspace(paused=True, version="bullmq:1.1.0"), priority=0, lifo=True)
@example(keyspace=Keyspace(version="bullmq:3.16.2", wait=("w1", "w2")), priority=3, lifo=False)
@example(keyspace=Keyspace(legacy_priority=True, wait=("w1", "w2")), priority=3, lifo=False)
def test_a_new_job_goes_where_the_dialect_says_and_no_waiting_job_is_lost(
    empty: EmbeddedServer, keyspace: Keyspace, priority: int, lifo: bool
) -> None:
    with redis.Redis.from_url(empty.url, decode_responses=True) as client:
        client.flushdb()
        keyspace.write(client)
        evidence = keyspace.evidence
        # The picked job is in its state, and so shows the release too.
        expected = destination(evidence, "", modern=speaks_modern(evidence), priority=priority)
        batch = _add(empty, NewJob(name="n", priority=priority, lifo=lifo))
        [result] = batch.results
        assert (batch.note, result.code, result.target) == ("", Code.DONE, expected)
        assert result.job_id == "1"
        assert [state.key for state in JobState if "1" in _members(client, state.key)] == [expected]
        assert client.hget(QUEUE.job("1"), "priority") == str(priority)
        _assert_no_wait_is_overwritten(client, keyspace)


def _pausing(server: EmbeddedServer, verb: str) -> QueueStep:
    async def call() -> QueueStep:
        async with connect(server) as client:
            if verb == "pause":
                return await PauseWriter(client).pause(QUEUE)
            return await ResumeWriter(client).resume(QUEUE)

    return asyncio.run(call())


@settings(max_examples=50)
@given(keyspace=keyspaces)
@example(keyspace=Keyspace(modern=True, version="bullmq:6.7.0", wait=("w1",)))
@example(keyspace=Keyspace(modern=True, version="bullmq:5.81.5", wait=("w1",), paused_list=("w2",)))
@example(keyspace=Keyspace(modern=True, wait=("w1", "w2")))
@example(keyspace=Keyspace(modern=False, version="bullmq:6.7.0", wait=("w1",)))
@example(keyspace=Keyspace(paused=True, modern=True, wait=("w1",), paused_list=("w2", "new")))
def test_a_pause_keeps_what_waits_where_the_dialect_says_and_a_resume_brings_it_back(
    empty: EmbeddedServer, keyspace: Keyspace
) -> None:
    with redis.Redis.from_url(empty.url, decode_responses=True) as client:
        client.flushdb()
        keyspace.write(client)
        before = {one: _members(client, one) for one in ("wait", "paused")}
        jobs = [one for one in (*before["wait"], *before["paused"]) if not is_marker(one)]
        result = _pausing(empty, "pause").result
        assert client.hget(QUEUE.key("meta"), "paused") == "1"
        if keyspace.paused:
            assert result.code is Code.NOT_IN_STATE
            assert {one: _members(client, one) for one in before} == before
        else:
            assert (result.code, result.target) == (Code.DONE, kept_while_paused(keyspace.evidence))
            if result.target == "paused":
                assert _members(client, "wait") == []
            else:
                assert {one: _members(client, one) for one in before} == before
        assert _pausing(empty, "resume").result.code is Code.DONE
        assert not client.hexists(QUEUE.key("meta"), "paused")
        assert _members(client, "paused") == []
        # What was in `paused` runs before what was in `wait`, each in its order.
        assert [one for one in _members(client, "wait") if not is_marker(one)] == jobs


# Whose queue it is ----------------------------------------------------------------------------

_KEYS = ("meta", "events", "groups", "id", "pc", *(state.key for state in JobState), "marker")
_kept = st.sets(st.sampled_from(_KEYS))
_meta = st.dictionaries(
    st.sampled_from(["paused", "version", "concurrency", "opts.maxLenEvents", "max"]),
    st.sampled_from(["1", "bullmq:5.81.5", "bullmq-pro:7.0.0", ""]),
    min_size=1,
)


def _make(client: redis.Redis, key: str, meta: Mapping[str, str], jobs: Sequence[str]) -> None:
    name = QUEUE.key(key)
    if key == "meta":
        _write(client, name, meta)
    elif key == "events":
        client.xadd(name, {"event": "waiting"})
    elif key in ("id", "pc"):
        client.set(name, "7")
    elif key in ("wait", "paused", "active"):
        client.rpush(name, *(jobs or ["x"]))
    elif key in ("completed", "failed"):
        client.zadd(name, {one: place for place, one in enumerate(jobs or ["x"])})
    else:
        client.zadd(name, {"x": 1})


@pytest.mark.slow
@settings(max_examples=150)
@given(keys=_kept, meta=_meta, counters=st.lists(_modern, max_size=6), junk=_kept)
@example(keys={"failed", "id"}, meta={"paused": "1"}, counters=[True, None, None], junk=set())
@example(keys={"failed", "id"}, meta={"paused": "1"}, counters=[False], junk=set())
@example(keys={"waiting-children"}, meta={"paused": "1"}, counters=[], junk=set())
@example(keys=set(), meta={"paused": "1"}, counters=[], junk=set())
@example(keys=set(), meta={"paused": "1"}, counters=[True], junk={"failed"})
def test_reading_and_writing_judge_alike_whose_queue_it_is(
    empty: EmbeddedServer,
    keys: set[str],
    meta: Mapping[str, str],
    counters: list[bool | None],
    junk: set[str],
) -> None:
    """For any of a queue's keys deleted, or of another type than they should be."""
    with redis.Redis.from_url(empty.url, decode_responses=True) as client:
        client.flushdb()
        jobs = [f"job-{number}" for number in range(len(counters))]
        for job_id, modern in zip(jobs, counters, strict=True):
            if modern is not None:
                _write(client, QUEUE.job(job_id), {"name": "n", **_COUNTERS[modern]})
        for key in sorted(keys - junk):
            _make(client, key, meta, jobs)
        for key in sorted(junk - {"failed"}):
            client.sadd(QUEUE.key(key), "junk")

        async def read() -> Kind:
            async with connect(empty) as ours:
                [status] = await read_status(ours, [QUEUE])
                return status.kind

        seen = asyncio.run(read())
        if seen is Kind.BULLMQ:
            _retry(empty, JobState.FAILED, [PICKED])
            return
        with pytest.raises(ForeignQueue) as refused:
            _retry(empty, JobState.FAILED, [PICKED])
        assert refused.value.kind is seen
