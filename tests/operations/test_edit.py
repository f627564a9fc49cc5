"""Edits of a job, and their undo: what is written, what moves, and what is left alone."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.editable import read_editable
from qtui.demo.server import EmbeddedServer
from qtui.operations.edit.plan import NotEditable, Wish
from qtui.operations.journal.reading import read_header, read_lines
from qtui.operations.planning.plan import Resets
from tests.operations.editing import edited, plan_edit
from tests.operations.undoing import carried_out, keyspace, newest, undone
from tests.seeds import QUEUE, census, failed_jobs, job, raw_failed, raw_meta, real_queue
from tests.servers import connect, flush

DATA = '{"outcome": "ok", "n": 1.50, "ä": "\u2028"}'
PACKED = '{"outcome":"ok","n":1.50,"ä":"\u2028"}'

WISHES = st.builds(
    Wish,
    data=st.none() | st.sampled_from([DATA, '"text"', "null", "[]"]),
    priority=st.none() | st.sampled_from([0, 1, 3]),
    resets=st.builds(Resets, made=st.booleans(), started=st.booleans()),
    retry=st.booleans(),
)


TRIES = st.tuples(st.sampled_from(list(JobState)), st.integers(0, 5), WISHES)


@settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    wishes=st.lists(
        st.tuples(st.sampled_from(list(JobState)), st.integers(0, 5), WISHES), max_size=4
    ),
    paused=st.booleans(),
    delay=st.sampled_from([None, 0, 50_000]),
)
def test_edits_and_their_undo_leave_every_key_as_it_was(
    server: EmbeddedServer,
    wishes: list[tuple[JobState, int, Wish]],
    paused: bool,
    delay: int | None,
) -> None:
    async def run() -> None:
        flush(server)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with real_queue(server) as queue, connect(server) as client:
                await queue.add(job(error="boom", attempts=1), job(), job(error="x", priority=2))
                await queue.work(3)
                more: list[dict[str, Any]] = [{}, {}, {"priority": 2}, {"priority": 2}]
                await queue.add(*(job(**one) for one in (*more, {"delay": 60_000}, {"lifo": True})))
                if paused:
                    await queue.queue.pause()
                for state, place, wish in wishes:
                    await _there_and_back(client, folder, state, place, wish)
                if delay is not None:
                    await _there_and_back(client, folder, JobState.DELAYED, 0, Wish(delay=delay))

    asyncio.run(run())


async def _there_and_back(
    client: Redis, folder: Path, state: JobState, place: int, wish: Wish
) -> None:
    """Edits a job of a state, if there is one, undoes that, undoes the undo, and that too."""
    key = QUEUE.key(state.key)
    read = client.lrange if state.is_list else client.zrange
    ids = [str(one) for one in await read(key, 0, -1)]
    if not ids:
        return
    job_id = ids[place % len(ids)]
    if not state.is_finished:
        wish = Wish(data=wish.data, priority=wish.priority, delay=wish.delay)
    plan = await plan_edit(client, QUEUE, job_id, wish)
    if plan.refusal:
        assert plan.change.is_empty
        return
    before = await keyspace(client)
    assert (await edited(client, folder, job_id, wish)).code is Code.DONE
    acted = await keyspace(client)
    if not plan.change.retry or plan.change.data or plan.change.priority:
        assert acted != before
    places = await census(client)
    assert all(len(one) == 1 for one in places.values()), places
    for expected in (before, acted, before):
        _, [result] = await undone(client, folder)
        assert result.code is Code.DONE, result
        assert _ordered(await keyspace(client)) == _ordered(expected)
    # The scores of prioritized jobs too.
    assert await keyspace(client) == before


def _ordered(keys: dict[str, object]) -> dict[str, object]:
    """Scores of prioritized jobs are numbered anew where a retry is made again."""
    name = QUEUE.key("prioritized")
    found = keys.get(name)
    members = [member for member, _ in found] if isinstance(found, list) else found
    return {**keys, name: members}


async def test_only_what_differs_is_written_and_the_journal_holds_both(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        [job_id] = await failed_jobs(queue, 1)
        former = await client.hgetall(QUEUE.job(job_id))
        result = await edited(client, tmp_path, job_id, Wish(data=DATA, priority=0))
        assert (result.code, result.target) == (Code.DONE, "failed")
        assert await client.hgetall(QUEUE.job(job_id)) == {**former, "data": PACKED}
        header = read_header(tmp_path, newest(tmp_path))
        assert (header.action, header.state) == ("edit", "failed")
        assert header.options == {"fields": ["data"]}
        [line] = [line for line in read_lines(tmp_path, header.id) if line["type"] == "job"]
        assert line["becomes"] == {"data": PACKED}
        assert isinstance(line["fields"], dict)
        assert line["fields"]["data"] == former["data"]
        # Blanks and a priority that is there already change nothing.
        blanks = Wish(data=json.dumps(json.loads(DATA), indent=4, ensure_ascii=False), priority=0)
        plan = await plan_edit(client, QUEUE, job_id, Wish(data=f" {PACKED}\n", priority=0))
        assert plan.refusal == "nothing would change"
        # A number is what was typed: 1.5 is not 1.50.
        assert (await plan_edit(client, QUEUE, job_id, blanks)).change.data is not None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("HSET {job} data [7]", "its data has changed since"),
        ("HSET {job} priority 7", "its priority has changed since"),
        ("HSET {job} delay 7", "its delay has changed since"),
        ("ZADD {failed} 9 a", "it is not failed any more"),
        ("ZREM {failed} a", "it is not failed any more"),
        ("HSET {job} ats 9", "it has run since"),
    ],
)
async def test_a_job_that_changed_since_it_was_read_is_left_alone(
    client: Redis, tmp_path: Path, change: str, why: str
) -> None:
    await raw_failed(client, ["a"])
    plan = await plan_edit(client, QUEUE, "a", Wish(data=DATA, priority=2, retry=True))
    words = change.format(job=QUEUE.job("a"), failed=QUEUE.key("failed")).split(" ")
    await client.execute_command(*words)
    before = await keyspace(client)
    [result] = await carried_out(client, tmp_path, plan.action(client))
    assert (result.code, result.error) == (Code.NOT_IN_STATE, why)
    assert await keyspace(client) == before


async def test_what_an_edit_cannot_do_is_said_before(client: Redis) -> None:
    await raw_failed(client, ["a"])
    for wish, words in (
        (Wish(delay=5), "only a delayed job has a delay that can be changed; this one is failed"),
        (Wish(), "nothing would change"),
    ):
        assert (await plan_edit(client, QUEUE, "a", wish)).refusal == words
    for wish, found in (
        (Wish(data="{"), "the data is not JSON: line 1, column 2"),
        (Wish(delay=10**12), "before September 2039"),
        (Wish(priority=2**21), "a priority is a whole number"),
    ):
        with pytest.raises(NotEditable, match=found):
            await plan_edit(client, QUEUE, "a", wish)
    with pytest.raises(NotEditable, match="no job b in bull:"):
        await plan_edit(client, QUEUE, "b", Wish(priority=1))
    with pytest.raises(NotEditable, match="no job wait in bull:"):
        await plan_edit(client, QUEUE, "wait", Wish(priority=1))


async def test_the_plan_says_what_the_reader_must_know(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        [job_id] = await failed_jobs(queue, 1)
        plan = await plan_edit(client, QUEUE, job_id, Wish(data=DATA))
        assert list(plan.warnings()) == [
            "The job is failed: it runs with the change only if it is retried."
        ]
        retried = await plan_edit(client, QUEUE, job_id, Wish(data=DATA, retry=True))
        assert "waiting, last in line" in retried.place()
        await client.zrem(QUEUE.key("failed"), job_id)
        await client.lpush(QUEUE.key("active"), job_id)
        await client.hset(QUEUE.job(job_id), "rjk", "daily")
        [expired, _] = (await plan_edit(client, QUEUE, job_id, Wish(data=DATA))).warnings()
        assert expired.startswith("The lock of this job has expired")
        await client.set(QUEUE.job(job_id, "lock"), "w:1")
        plan = await plan_edit(client, QUEUE, job_id, Wish(data=DATA))
        active, scheduler = plan.warnings()
        assert active.startswith("A worker is running this job and keeps its own copy")
        assert "iteration of the scheduler daily" in scheduler
        assert (plan.target, plan.place()) == ("active", "stays active")


async def test_an_undo_leaves_a_job_alone_that_ran_or_was_changed_since(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        ran, changed = await failed_jobs(queue, 2)
        await edited(client, tmp_path, changed, Wish(data=DATA))
        await client.hset(QUEUE.job(changed), "data", "[]")
        plan, [result] = await undone(client, tmp_path)
        assert not plan.back
        assert (result.code, result.error) == (Code.NOT_IN_STATE, "its data was changed since")
        await edited(client, tmp_path, ran, Wish(data=DATA, retry=True))
        await queue.work(1)
        _, [result] = await undone(client, tmp_path)
        assert (result.code, result.error) == (Code.NOT_IN_STATE, "has run since")
        now = await read_editable(client, QUEUE, ran)
        assert now is not None
        assert now.data == PACKED


async def test_a_place_in_line_is_found_again_after_a_pause_and_a_resume(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        await queue.add(job())
        await queue.work(1)
        ids = await queue.add(*(job() for _ in range(4)))
        before = await client.lrange(QUEUE.key("wait"), 0, -1)
        result = await edited(client, tmp_path, ids[1], Wish(priority=5))
        assert result.target == "prioritized"
        await queue.queue.pause()
        await undone(client, tmp_path)
        await queue.queue.resume()
        assert await client.lrange(QUEUE.key("wait"), 0, -1) == before
        # The one that was to run before it has run: it is next.
        await edited(client, tmp_path, ids[1], Wish(priority=5))
        await client.lrem(QUEUE.key("wait"), 1, ids[0])
        await undone(client, tmp_path)
        assert await client.lrange(QUEUE.key("wait"), 0, -1) == before[:-1]


@pytest.mark.parametrize("version", ["bullmq:6.7.0", "bullmq:5.81.5", ""])
@pytest.mark.parametrize("place", ["wait", "paused"])
async def test_the_only_job_of_a_paused_queue_returns_to_its_list(
    client: Redis, tmp_path: Path, place: str, version: str
) -> None:
    await raw_meta(client)
    await client.hset(QUEUE.key("meta"), mapping={"paused": "1", "version": version})
    await client.hset(QUEUE.job("a"), mapping={"name": "n", "timestamp": "1", "priority": "0"})
    await client.rpush(QUEUE.key(place), "a")
    before = await keyspace(client)
    assert (await edited(client, tmp_path, "a", Wish(priority=5))).done
    acted = await keyspace(client)
    for expected in (before, acted, before):
        await undone(client, tmp_path)
        assert await keyspace(client) == expected


async def test_the_only_turn_of_a_1_x_queue_is_found_again(client: Redis, tmp_path: Path) -> None:
    await raw_meta(client)
    await client.hset(QUEUE.job("a"), mapping={"name": "n", "timestamp": "1", "priority": "5"})
    await client.rpush(QUEUE.key("wait"), "a")
    await client.zadd(QUEUE.key("priority"), {"a": 5})
    before = await keyspace(client)
    assert (await edited(client, tmp_path, "a", Wish(priority=0))).done
    acted = await keyspace(client)
    assert QUEUE.key("priority") not in acted
    for expected in (before, acted, before):
        await undone(client, tmp_path)
        assert await keyspace(client) == expected
