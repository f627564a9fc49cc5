"""Pauses and resumes as campaigns: plan, journal, lost replies, opposite wishes, undo."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.queues import PauseWriter, ResumeWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids, read_lines, summary
from qtui.operations.queues import queue_action
from qtui.operations.queues.pausing import Pause, Resume, plan_pausing
from qtui.verbs import QUEUES, Verb
from tests.operations.campaigns import proxied
from tests.operations.undoing import carried_out, keyspace, undone
from tests.seeds import QUEUE, failed_jobs, job, raw_list, raw_meta, real_queue
from tests.wires import Accident

OTHER = QueueKey.of("bull", "other")


async def _seed(server: EmbeddedServer, *queues: QueueKey) -> None:
    for queue in queues:
        async with real_queue(server, queue) as real:
            await failed_jobs(real, 1)
            await real.add(job(), job(), job(priority=3), job(delay=3_600_000))


async def _paused(client: Redis, queue: QueueKey = QUEUE) -> bool:
    return bool(await client.hexists(queue.key("meta"), "paused"))


async def test_a_plan_names_what_waits_and_changes_nothing(
    server: EmbeddedServer, client: Redis
) -> None:
    await _seed(server, QUEUE)
    before = await keyspace(client)
    plan = await plan_pausing(client, Verb.PAUSE, [QUEUE, QUEUE, OTHER])
    assert await keyspace(client) == before
    [one] = plan.chosen
    assert (one.waits, one.target) == ("2 waiting, 1 prioritized, 1 delayed", "paused")
    assert plan.headline == "Pause bull:q"
    [warning] = plan.warnings()
    assert "2 waiting jobs" in warning
    [gone] = plan.others
    assert (gone.queue, gone.code, gone.status.kind) == (OTHER, Code.NO_SUCH_JOB, Kind.GONE)


async def test_a_version_decides_where_jobs_wait_and_what_to_beware_of(client: Redis) -> None:
    await raw_list(client, "wait", ["1", "2"])
    for version, place in (("6.7.0", "wait"), ("5.81.5", "paused")):
        await raw_meta(client, version=f"bullmq:{version}")
        plan = await plan_pausing(client, Verb.PAUSE, [QUEUE])
        assert [one.target for one in plan.chosen] == [place]
        [warning] = plan.warnings()
        assert warning.startswith(f"BullMQ {version} opened")
        assert f"kept in the list {place}." in warning
        assert "resume it with qtui" in warning
    await client.delete(QUEUE.key("wait"))
    assert (await plan_pausing(client, Verb.PAUSE, [QUEUE])).warnings() == []


async def test_of_many_queues_alike_a_warning_is_said_of_two(client: Redis) -> None:
    queues = [QueueKey.of("bull", f"q{at}") for at in range(9)]
    for one in queues:
        await raw_list(client, "wait", ["1", "2"], one)
    warnings = (await plan_pausing(client, Verb.PAUSE, queues)).warnings()
    assert len(warnings) == 3
    assert warnings[-1] == "The same is true of 7 more queues."


async def test_a_journal_shows_what_was_and_each_queue_has_a_code(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, QUEUE, OTHER)
    plan = await plan_pausing(client, Verb.PAUSE, [QUEUE, OTHER])
    results = await carried_out(client, tmp_path, plan.action(client))
    assert results == [Result(one.base, Code.DONE, "paused") for one in (QUEUE, OTHER)]
    assert await _paused(client)
    assert await _paused(client, OTHER)
    [name] = ids(tmp_path)
    one = summary(tmp_path, name)
    assert (one.header.action, one.header.selection.kind) == ("pause", QUEUES)
    assert one.codes == {Code.DONE: 2}
    lines = {line["id"]: line for line in read_lines(tmp_path, name) if line["type"] == "job"}
    assert lines.keys() == {QUEUE.base, OTHER.base}
    fields = lines[QUEUE.base]["fields"]
    assert isinstance(fields, dict)
    assert (fields["wait"], fields["prioritized"], "meta.paused" in fields) == ("2", "1", False)


async def test_a_queue_that_is_gone_by_then_has_a_code_and_the_others_are_done(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, QUEUE, OTHER)
    plan = await plan_pausing(client, Verb.PAUSE, [QUEUE, OTHER])
    for key in await client.keys(f"{QUEUE.base}:*"):
        await client.delete(key)
    gone, done = await carried_out(client, tmp_path, plan.action(client))
    assert (gone.code, done.code) == (Code.NO_SUCH_JOB, Code.DONE)
    assert await client.keys(f"{QUEUE.base}:*") == []


async def test_a_queue_that_someone_else_paused_meanwhile_stays_as_it_is(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, QUEUE)
    plan = await plan_pausing(client, Verb.PAUSE, [QUEUE])
    async with real_queue(server) as real:
        await real.queue.pause()
    before = await keyspace(client)
    [result] = await carried_out(client, tmp_path, plan.action(client))
    assert result.code is Code.NOT_IN_STATE
    assert await keyspace(client) == before


async def test_a_pause_is_undone_by_a_resume_and_that_by_a_pause(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, QUEUE, OTHER)
    before = await keyspace(client)
    plan = await plan_pausing(client, Verb.PAUSE, [QUEUE, OTHER])
    await carried_out(client, tmp_path, plan.action(client))
    paused = await keyspace(client)
    assert paused != before
    _, results = await undone(client, tmp_path)
    assert [one.code for one in results] == [Code.DONE, Code.DONE]
    assert await keyspace(client) == before
    [undo] = [one for one in ids(tmp_path) if summary(tmp_path, one).header.undoes]
    await undone(client, tmp_path, undo)
    assert await keyspace(client) == paused


async def test_an_undo_leaves_a_queue_alone_that_was_resumed_since(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, QUEUE)
    plan = await plan_pausing(client, Verb.PAUSE, [QUEUE])
    await carried_out(client, tmp_path, plan.action(client))
    async with real_queue(server) as real:
        await real.queue.resume()
    seen, results = await undone(client, tmp_path)
    assert [one.code for one in results] == [Code.NOT_IN_STATE]
    assert seen.groups() == [(1, Code.NOT_IN_STATE, "is not paused")]


@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.CALL_LOST, Accident.CALL_LATE])
@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME])
async def test_a_lost_call_is_found_out_about(
    server: EmbeddedServer, client: Redis, tmp_path: Path, verb: Verb, accident: Accident
) -> None:
    await _seed(server, QUEUE)
    if verb is Verb.RESUME:
        await PauseWriter(client).pause(QUEUE)
    await client.script_load(script_text(verb.value))
    async with proxied(server) as (proxy, ours):
        plan = await plan_pausing(ours, verb, [QUEUE])
        campaign = Campaign(ours, plan.action(ours), patience=20)
        proxy.accidents = [accident]
        results = [one async for some in campaign.run() for one in some]
        await proxy.deliver()
    assert [one.code for one in results] == [Code.DONE]
    assert proxy.happened == 1
    assert campaign.phase is Phase.DONE
    assert await _paused(client) == (verb is Verb.PAUSE)
    entries = cast("list[tuple[str, dict[str, str]]]", await client.xrange(QUEUE.key("events")))
    events = [fields["event"] for _, fields in entries]
    assert events.count("paused" if verb is Verb.PAUSE else "resumed") == 1


async def test_a_resume_in_many_steps_ends_with_one_code_and_one_event(
    client: Redis, tmp_path: Path
) -> None:
    waits, in_paused = ([f"{name}{at}" for at in range(5000)] for name in "wp")
    await raw_list(client, "wait", waits)
    await raw_list(client, "paused", in_paused)
    await raw_meta(client, paused=1, version="bullmq:5.81.5")
    plan = await plan_pausing(client, Verb.RESUME, [QUEUE])
    assert any("None is lost" in one for one in plan.warnings())
    [result] = await carried_out(client, tmp_path, plan.action(client))
    assert result == Result(QUEUE.base, Code.DONE, "wait")
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == [*waits, *in_paused]
    assert await client.xlen(QUEUE.key("events")) == 1
    [name] = ids(tmp_path)
    kinds = [line["type"] for line in read_lines(tmp_path, name)]
    assert kinds.count("job") == kinds.count("code") == 1


@pytest.mark.parametrize("paused", [True, False], ids=["paused", "stranded"])
@pytest.mark.parametrize("sizes", [(7, 9), (9, 7), (2, 9), (9, 2)])
@pytest.mark.parametrize("first", ["wait", "paused"])
async def test_the_line_whose_next_job_is_older_runs_first_however_many_steps_it_takes(
    client: Redis, first: str, sizes: tuple[int, int], paused: bool
) -> None:
    lists = dict(zip(("wait", "paused"), sizes, strict=True))
    for name, size in lists.items():
        ids = [f"{name}{at}" for at in range(size)]
        await raw_list(client, name, ids)
        for at, one in enumerate(ids):  # the head is the newest
            added = 1000 - at + (0 if name == first else 5000)
            await client.hset(QUEUE.job(one), "timestamp", str(added))
    await raw_meta(client, version="bullmq:5.81.5")
    if paused:
        await client.hset(QUEUE.key("meta"), "paused", "1")
    last = "paused" if first == "wait" else "wait"
    expected = [f"{name}{at}" for name in (last, first) for at in range(lists[name])]
    writer, left = ResumeWriter(client), 1
    while left:
        left = (await writer.resume(QUEUE, most=2)).left
        both = [await client.lrange(QUEUE.key(name), 0, -1) for name in ("wait", "paused")]
        assert sorted(one for some in both for one in some) == sorted(expected)
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == expected
    assert not await client.exists(QUEUE.key("paused"))


async def test_a_stop_between_two_steps_leaves_the_queue_paused_and_the_rest_to_the_next(
    client: Redis, tmp_path: Path
) -> None:
    waits, in_paused = ([f"{name}{at}" for at in range(5000)] for name in "wp")
    await raw_list(client, "wait", waits)
    await raw_list(client, "paused", in_paused)
    await raw_meta(client, paused=1, version="bullmq:5.81.5")
    plan = await plan_pausing(client, Verb.RESUME, [QUEUE])
    campaign = Campaign(client, plan.action(client))
    async for _ in campaign.run():
        campaign.stop()
    assert campaign.phase is Phase.STOPPED
    assert await _paused(client)
    again = await plan_pausing(client, Verb.RESUME, [QUEUE])
    await carried_out(client, tmp_path, again.action(client))
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == [*waits, *in_paused]


async def test_two_operators_who_want_the_opposite_lose_no_job(
    server: EmbeddedServer, client: Redis
) -> None:
    waits, in_paused = ([f"{name}{at}" for at in range(3000)] for name in "wp")
    await raw_list(client, "wait", waits)
    await raw_list(client, "paused", in_paused)
    await raw_meta(client, paused=1, version="bullmq:5.81.5")

    async def insist(ours: Client, verb: Verb) -> None:
        change = Pause(ours, PauseWriter(ours), QUEUE)
        other = Resume(ours, ResumeWriter(ours), QUEUE)
        for _ in range(40):
            await (change if verb is Verb.PAUSE else other).step()

    async with proxied(server) as (_, one), proxied(server) as (_, two):
        await asyncio.gather(insist(one, Verb.PAUSE), insist(two, Verb.RESUME))
    await queue_action.finished(Resume(client, ResumeWriter(client), QUEUE))
    assert not await client.exists(QUEUE.key("paused"))
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == [*waits, *in_paused]


async def test_a_plan_alone_makes_no_writer(server: EmbeddedServer, ours: Client) -> None:
    async with real_queue(server) as real:
        await real.add(job())
    for verb in (Verb.PAUSE, Verb.RESUME):
        await plan_pausing(ours, verb, [QUEUE])
