"""Changes of limits as campaigns: plan, journal, undo."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.script import script_text
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.queues.limits import Rate, Wanted, limits_of, plan_limits
from tests.operations.campaigns import proxied
from tests.operations.undoing import carried_out, keyspace, newest, undone
from tests.seeds import QUEUE, job, raw_failed, raw_meta, real_queue
from tests.wires import Accident

ALL = Wanted(concurrency=3, rate=Rate(most=7, duration=2500), release=True, keys=("k", "t"))


async def _seed(server: EmbeddedServer, client: Redis) -> None:
    async with real_queue(server) as real:
        await real.add(
            job(), job(deduplication={"id": "k"}), job(deduplication={"id": "t", "ttl": 600_000})
        )
        await real.queue.rateLimit(600_000)
    await client.hset(QUEUE.key("meta"), "concurrency", "1")


async def test_a_plan_reads_who_holds_what_and_changes_nothing(
    server: EmbeddedServer, client: Redis
) -> None:
    await _seed(server, client)
    before = await keyspace(client)
    limits = await limits_of(client, QUEUE)
    assert await keyspace(client) == before
    assert (limits.concurrency, limits.most, limits.by_hand) == (1, None, True)
    assert [(one.id, one.owner, one.exists) for one in limits.keys] == [
        ("k", "2", True),
        ("t", "3", True),
    ]
    assert limits.keys[0].left == -1
    assert 0 < limits.keys[1].left <= 600_000
    plan = await plan_limits(client, QUEUE, ALL)
    assert plan.changes() == [
        "concurrency 3, was 1",
        "rate limit, jobs 7, was none",
        "rate limit, window 2.5 s, was none",
        "the rate limit that holds now released",
        'dedup key "k" of job 2 released',
        'dedup key "t" of job 3 released',
    ]
    assert any("up to 30.0 s more" in one for one in plan.warnings())  # D5
    assert await keyspace(client) == before


async def test_a_rate_limit_without_an_expiry_holds_nobody(
    server: EmbeddedServer, client: Redis
) -> None:
    await _seed(server, client)
    held = await limits_of(client, QUEUE)
    assert (held.by_hand, held.reached, held.nap) == (True, True, 30_000)
    await client.persist(QUEUE.key("limiter"))
    left = await limits_of(client, QUEUE)
    assert (left.by_hand, left.reached, left.nap) == (True, False, 0)


async def test_a_pattern_in_a_queue_s_name_is_no_pattern(client: Redis) -> None:
    await client.set("bull:q:de:mine", "1")
    await client.set("bull:qq:de:other", "1")
    await raw_meta(client)
    assert [one.id for one in (await limits_of(client, QUEUE)).keys] == ["mine"]


async def test_limits_are_changed_and_undone_and_the_undo_undone(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, client)
    before = await keyspace(client)
    plan = await plan_limits(client, QUEUE, ALL)
    [result] = await carried_out(client, tmp_path, plan.action(client))
    assert result.target == "concurrency max duration limiter de:k de:t"
    changed = await keyspace(client)
    assert not await client.exists(QUEUE.key("de:k"), QUEUE.key("limiter"))
    _, [back] = await undone(client, tmp_path)
    assert back.code is Code.DONE
    assert await keyspace(client) == before
    assert await client.pttl(QUEUE.key("de:k")) == -1
    assert 0 < await client.pttl(QUEUE.key("limiter")) <= 600_000
    assert 0 < await client.pttl(QUEUE.key("de:t")) <= 600_000
    await undone(client, tmp_path, newest(tmp_path))
    assert await keyspace(client) == changed


async def test_an_undo_leaves_alone_what_was_changed_since(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await _seed(server, client)
    plan = await plan_limits(client, QUEUE, Wanted(concurrency=3))
    await carried_out(client, tmp_path, plan.action(client))
    await client.hset(QUEUE.key("meta"), "concurrency", "9")
    seen, [result] = await undone(client, tmp_path)
    assert result.code is Code.NOT_IN_STATE
    assert seen.groups() == [(1, Code.NOT_IN_STATE, "its concurrency was changed since")]
    assert await client.hget(QUEUE.key("meta"), "concurrency") == "9"


async def test_a_limit_that_is_as_wanted_needs_no_change(client: Redis) -> None:
    await raw_failed(client, ["1"])
    await raw_meta(client, concurrency=3)
    for wanted in (Wanted(concurrency=3), Wanted(no_rate=True), Wanted(release=True)):
        plan = await plan_limits(client, QUEUE, wanted)
        assert (plan.code, plan.settings) == (Code.NOT_IN_STATE, ())


@pytest.mark.parametrize(
    ("version", "warned"), [("5.8.7", 2), ("5.58.1", 1), ("5.81.5", 0), ("1.1.0", 0)]
)
async def test_releases_that_ignore_a_limit_are_named(
    client: Redis, version: str, warned: int
) -> None:
    await raw_failed(client, ["1"])
    await raw_meta(client, version=f"bullmq:{version}")
    wanted = Wanted(concurrency=3, rate=Rate(most=1, duration=1000))
    plan = await plan_limits(client, QUEUE, wanted)
    assert sum("ignore it" in one for one in plan.warnings()) == warned


@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.CALL_LOST])
async def test_a_lost_change_is_found_out_about(
    server: EmbeddedServer, client: Redis, accident: Accident
) -> None:
    await _seed(server, client)
    await client.script_load(script_text("limits"))
    async with proxied(server) as (proxy, ours):
        plan = await plan_limits(ours, QUEUE, ALL)
        campaign = Campaign(ours, plan.action(ours), patience=20)
        proxy.accidents = [accident]
        results = [one async for some in campaign.run() for one in some]
    assert [one.code for one in results] == [Code.DONE]
    assert proxy.happened == 1
    assert await client.hget(QUEUE.key("meta"), "concurrency") == "3"
