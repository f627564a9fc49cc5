"""What was removed comes back as it was, in any keyspace; and nothing over what is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import permutations

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.scripted.whole import Unread, Whole, rest_of, score_text
from qtui.bullmq.reads.scripted.wholes import Wholes
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.restore import RestoreWriter
from qtui.demo.server import EmbeddedServer
from tests.bullmq.keyspaces import KIDS, NAMES, QUEUE, Job, Keyspace, keyspaces
from tests.operations.campaigns import ours_to
from tests.oracle.keyspace import Value, snapshot
from tests.servers import Servers, connect

ASIDE = ("events", "marker", "pc")
"""Keys that a removal and its undo may change: events, wake-ups and a counter."""


def seen(client: redis.Redis) -> dict[str, Value]:
    """Everything but what is set aside, and wake-ups in lists (3.1.3 to 4.18.3)."""
    found: dict[str, Value] = {}
    for key, (kind, content, expires) in snapshot(client).items():
        if isinstance(content, list) and kind == "list":
            content = [one for one in content if not is_marker(one)]
        if key.rsplit(":", 1)[-1] not in ASIDE and content != []:
            found[key] = kind, content, expires
    return found


async def wholes_of(
    client: redis.asyncio.Redis, state: JobState, ids: Sequence[str]
) -> list[Whole]:
    """The jobs, read whole, by way of the journal's form."""
    reader, found, left = Wholes(client, QUEUE, state), list[Whole](), list(ids)
    while left:
        some = await reader.first_of(left)
        assert some
        for one in some:
            assert not isinstance(one, Unread), one
            score = None if state.is_list else await client.zscore(QUEUE.key(state.key), one.job_id)
            rest = rest_of(json.loads(json.dumps(dict(one.rest))))
            found.append(one._replace(rest=rest, score=score_text(score)))
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
    while left := jobs[len(results) :]:
        batch = await RestoreWriter(client).restore([[one] for one in left[:size]])
        assert batch.note == ""
        results += batch.results
    return results


@settings(max_examples=60)
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


@pytest.mark.parametrize("size", [1, 2, 4])
async def test_jobs_of_a_list_come_back_to_their_places_in_whatever_order_they_went(
    client: redis.asyncio.Redis, plain: redis.Redis, size: int
) -> None:
    """All were added in the same moment, so that only what was beside them shows where they go."""
    jobs = Keyspace(tuple(Job(one, JobState.WAITING) for one in "abcde"))
    for order in permutations("abcde", 4):
        plain.flushall()
        jobs.write(plain)
        waiting = plain.lrange(QUEUE.key("wait"), 0, -1)
        gone = await remove(client, JobState.WAITING, order, size)
        assert plain.llen(QUEUE.key("wait")) == 1
        assert [int(one.code) for one in await restore(client, gone, size)] == [1] * 4
        assert plain.lrange(QUEUE.key("wait"), 0, -1) == waiting, order


# Left alone ---------------------------------------------------------------------------------------


def _failed(*ids: str) -> Keyspace:
    return Keyspace(tuple(Job(one, JobState.FAILED, logs=("l",)) for one in ids))


async def test_a_job_that_is_there_again_is_not_written_over(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    _failed("a", "b").write(plain)
    gone = await remove(client, JobState.FAILED, ["a", "b"])
    plain.hset(QUEUE.job("a"), mapping={"name": "new", "timestamp": "2"})
    plain.lpush(QUEUE.job("b", "logs"), "of another")
    before = snapshot(plain)
    results = await restore(client, gone)
    assert [(int(one.code), one.error) for one in results] == [(-3, "taken")] * 2
    assert snapshot(plain) == before
    plain.delete(QUEUE.job("b", "logs"))
    assert [int(one.code) for one in await restore(client, gone)] == [1, -3]
    assert [int(one.code) for one in await restore(client, gone)] == [-3, -3]
    assert plain.lrange(QUEUE.job("b", "logs"), 0, -1) == ["l"]


async def test_a_deduplication_that_another_job_holds_is_not_taken(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    Keyspace((Job("a", JobState.DELAYED, deduplicated=True),)).write(plain)
    gone = await remove(client, JobState.DELAYED, ["a"])
    plain.set(QUEUE.key("de:d0"), "newer")
    before = snapshot(plain)
    [result] = await restore(client, gone)
    assert (int(result.code), result.error) == (-3, "deduplication")
    assert snapshot(plain) == before


@pytest.mark.parametrize("end", ["gone", "completed", "dropped"])
async def test_a_parent_whose_child_has_ended_since_would_wait_forever(
    client: redis.asyncio.Redis, plain: redis.Redis, end: str
) -> None:
    Keyspace((Job("a", JobState.WAITING_CHILDREN, children=1),)).write(plain)
    gone = await remove(client, JobState.WAITING_CHILDREN, ["a"])
    child = KIDS.job("0-0")
    if end == "gone":
        plain.delete(child)
    else:
        plain.hset(child, "finishedOn", "5")
        plain.zadd(KIDS.key("completed" if end == "completed" else "failed"), {"0-0": 5})
    if end == "dropped":
        plain.hset(child, "opts", '{"rdof":true}')
    before = snapshot(plain)
    [result] = await restore(client, gone)
    assert (int(result.code), result.error) == (-3, "children")
    assert snapshot(plain) == before
    if end == "dropped":
        plain.hdel(child, "opts")  # a child that just fails is still waited for
        assert [int(one.code) for one in await restore(client, gone)] == [1]


async def test_a_parent_that_has_run_is_not_parked_and_one_that_waits_is(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    parent = Job("p", JobState.WAITING_CHILDREN)
    space = Keyspace((parent, Job("a", JobState.WAITING)), parents=(-1, 0))
    space.write(plain)
    gone = await remove(client, JobState.WAITING, ["a"])
    assert plain.lrange(QUEUE.key("wait"), 0, -1) == ["p"]
    assert [int(one.code) for one in await restore(client, gone)] == [1]
    assert plain.zscore(QUEUE.key("waiting-children"), "p") == 1000.25
    gone = await remove(client, JobState.WAITING, ["a"])
    plain.lmove(QUEUE.key("wait"), QUEUE.key("active"), "RIGHT", "LEFT")
    assert [int(one.code) for one in await restore(client, gone)] == [1]
    assert plain.lrange(QUEUE.key("active"), 0, -1) == ["p"]
    assert not plain.exists(QUEUE.job("p", "dependencies"))


async def test_a_job_that_redis_refuses_to_place_leaves_nothing(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    _failed("a").write(plain)
    gone = await remove(client, JobState.FAILED, ["a"])
    plain.delete(QUEUE.key("failed"))
    plain.set(QUEUE.key("failed"), "not a sorted set")
    before = snapshot(plain)
    [result] = await restore(client, gone)
    assert result.code == 0
    assert "WRONGTYPE" in result.error
    assert snapshot(plain) == before


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)])
@pytest.mark.parametrize("version", ["bullmq:5.81.5", "bullmq:6.7.0"])
async def test_a_job_goes_where_the_queue_keeps_it_after_a_pause_or_a_resume(
    client: redis.asyncio.Redis, plain: redis.Redis, version: str, before: bool, after: bool
) -> None:
    waits = (Job("a", JobState.WAITING), Job("b", JobState.WAITING), Job("c", JobState.WAITING))
    space = Keyspace(waits, version, paused=before)
    space.write(plain)
    gone = await remove(client, space.state(waits[1]), ["b"])
    older = version == "bullmq:5.81.5"
    if after:
        plain.hset(QUEUE.key("meta"), "paused", "1")
        if older:
            plain.rename(QUEUE.key("wait"), QUEUE.key("paused"))
    else:
        plain.hdel(QUEUE.key("meta"), "paused")
        if older:
            plain.rename(QUEUE.key("paused"), QUEUE.key("wait"))
    [result] = await restore(client, gone)
    if after and not older:
        assert result.target in ("prioritized", "wait")
    else:
        assert result.target == ("paused" if after and older else "wait")
        assert plain.lrange(QUEUE.key(result.target), 0, -1) == ["c", "b", "a"]


async def test_neighbours_that_are_gone_are_made_up_for_by_the_place(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    names = ["a", "b", "7", "x:y:z", "ü"]
    Keyspace(tuple(Job(one, JobState.WAITING) for one in names)).write(plain)
    gone = await remove(client, JobState.WAITING, ["7"])
    plain.lrem(QUEUE.key("wait"), 1, "b")
    plain.lrem(QUEUE.key("wait"), 1, "x:y:z")
    await restore(client, gone)
    assert plain.lrange(QUEUE.key("wait"), 0, -1)[::-1] == ["a", "ü", "7"]


async def test_what_is_too_large_or_of_a_wrong_type_is_not_whole(
    client: redis.asyncio.Redis, plain: redis.Redis
) -> None:
    _failed("a", "b", "7").write(plain)
    plain.hset(QUEUE.job("a"), "data", "x" * 5_000_000)
    plain.set(QUEUE.job("b", "dependencies"), "not a set")
    found = await Wholes(client, QUEUE, JobState.FAILED).first_of(["a", "b", "7", "nobody"])
    assert isinstance(found[0], Unread)
    assert isinstance(found[1], Unread)
    assert "not a set" in found[1]
    assert not isinstance(found[2], Unread)
    assert not isinstance(found[3], Unread)
    assert found[3].fields == {}


async def test_bytes_that_are_no_text_come_back_as_they_were(server: EmbeddedServer) -> None:
    client = ours_to(server)
    raw = redis.Redis(unix_socket_path=server.path)
    raw.hset("bull:q:meta", "version", "bullmq:5.81.5")
    raw.hset(b"bull:q:\xff1", mapping={"timestamp": "1", "data": b"\xfe\x00\xff"})
    raw.rpush(b"bull:q:\xff1:logs", b"\xfd")
    raw.zadd("bull:q:failed", {b"\xff1": 5})
    keys = (b"bull:q:\xff1", b"bull:q:\xff1:logs", b"bull:q:failed")
    before = [raw.dump(key) for key in keys]
    gone = await remove(client, JobState.FAILED, ["\udcff1"])
    assert raw.exists(*keys) == 0
    assert [int(one.code) for one in await restore(client, gone)] == [1]
    assert [raw.dump(key) for key in keys] == before
    await client.aclose()
