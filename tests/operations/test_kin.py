"""Parents that are retried with their children come after them, however the campaign goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import Pace
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.resuming import resume_retry
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.kin import Held, Kin
from qtui.operations.supply.selection import query
from qtui.operations.supply.snapshots import SNAPSHOT_FIELDS, SnapshotPage
from tests.operations.campaigns import FAILED, campaign_of, codes, plan_for, plan_of, run
from tests.operations.undoing import carried_out, keyspace, undone
from tests.seeds import QUEUE, START, Fields, raw_fields, raw_meta

WHERE = "redis://cache-1:6379/0"
PARENT, CHILD = "p", "c"


async def raw_family(client: Redis, children: int, *, parent_at: int = -1) -> list[str]:
    """A parent ``p`` that failed with all its children, as 4.x leaves them; the children's ids.

    Args:
        client: where to write.
        children: how many.
        parent_at: seconds after the first child at which the parent failed.
    """
    await raw_meta(client)
    names = [f"{CHILD}{at}" for at in range(children)]
    pipe = client.pipeline(transaction=False)
    pipe.hset(QUEUE.job(PARENT), mapping=raw_fields(parent_at))
    pipe.zadd(QUEUE.key("failed"), {PARENT: START + 1000 * parent_at})
    for at, name in enumerate(names):
        above = json.dumps({"id": PARENT, "queueKey": QUEUE.base})
        kid: Fields = {"parentKey": QUEUE.job(PARENT), "parent": above}
        pipe.hset(QUEUE.job(name), mapping=raw_fields(at) | kid)
        pipe.zadd(QUEUE.key("failed"), {name: START + 1000 * at})
        pipe.sadd(QUEUE.job(PARENT, "dependencies"), QUEUE.job(name))
    await pipe.execute()
    return names


async def assert_parked(client: Redis, names: Sequence[str]) -> None:
    """The children wait in line, and the parent for them."""
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == list(names)[::-1]
    assert await client.zrange(QUEUE.key("waiting-children"), 0, -1) == [PARENT]
    assert await client.exists(QUEUE.key("failed")) == 0
    [event] = [fields for _, fields in await client.xrevrange(QUEUE.key("events"), count=1) or ()]
    assert event == {"event": "waiting-children", "jobId": PARENT, "prev": "failed"}
    assert await client.hmget(QUEUE.job(PARENT), "finishedOn", "failedReason") == [None, None]


def last(results: Sequence[Result]) -> tuple[str, str]:
    return results[-1].job_id, results[-1].target


@pytest.mark.parametrize("by_query", [True, False])
@pytest.mark.parametrize("whole", [True, False], ids=["planned", "begun early"])
async def test_a_parent_older_than_its_children_is_sent_after_them(
    client: Redis, by_query: bool, whole: bool
) -> None:
    names = await raw_family(client, 300)
    plan = await (plan_for(client) if by_query else plan_of(client, [PARENT, *names]))
    assert plan.after_children == 1
    assert "1 parent runs after its children." in list(plan.warnings(Resets()))
    results = await run(campaign_of(client, plan if whole else replace(plan, kin=None)))
    assert codes(results) == dict.fromkeys([*names, PARENT], Code.DONE)
    assert last(results) == (PARENT, "waiting-children")
    await assert_parked(client, names)


async def test_a_filter_that_finds_a_family_finds_its_parents(client: Redis) -> None:
    names = await raw_family(client, 30)
    await client.hset(QUEUE.job("c7"), "name", "other")
    plan = await plan_for(client, "name:charge")
    assert (plan.jobs, plan.after_children) == (30, 1)
    results = await run(campaign_of(client, plan))
    # One of its children failed and is not among them.
    assert (results[-1].job_id, results[-1].code) == (PARENT, Code.FAILED_CHILD)
    assert results[-1].error == QUEUE.job("c7")
    assert await client.zrange(QUEUE.key("failed"), 0, -1) == [PARENT, "c7"]
    assert await client.llen(QUEUE.key("wait")) == len(names) - 1


async def test_a_child_whose_hash_is_gone_keeps_its_parent_in_place(client: Redis) -> None:
    await raw_family(client, 2)
    await client.delete(QUEUE.job("c1"))
    await client.zrem(QUEUE.key("failed"), "c1")
    plan = await plan_of(client, [PARENT, "c0"])
    assert "1 parent has a failed or missing child" in "\n".join(plan.warnings(Resets()))
    found = codes(await run(campaign_of(client, plan)))
    assert found == {"c0": Code.DONE, PARENT: Code.FAILED_CHILD}


@pytest.mark.parametrize("by_query", [True, False])
async def test_a_resumed_campaign_knows_whose_children_were_sent_before(
    client: Redis, tmp_path: Path, by_query: bool
) -> None:
    names = await raw_family(client, 120, parent_at=500)
    plan = await (plan_for(client) if by_query else plan_of(client, [PARENT, *names]))
    first = Campaign(
        client,
        Retry(client, RetryWriter(client), plan, Resets()),
        Pace(rate=1_000_000),  # nothing is sent before it is asked for
        record=Recorder(folder=tmp_path, where=WHERE, how="key r"),
    )
    sent: list[Result] = []
    async with aclosing(first.run()) as running:
        async for some in running:
            sent += some
            if len(sent) == len(names):
                break
        assert first.journal is not None
        first.journal.close()  # its lock, and all that it could still write
    assert {one.job_id for one in sent} == set(names)
    taken = Interrupted.take(tmp_path, first.journal.id, WHERE)
    assert taken.progress.parents == {QUEUE.job(PARENT)}
    second = await resume_retry(taken, client, RetryWriter(client))
    assert last(await run(second)) == (PARENT, "waiting-children")
    second.close()
    await assert_parked(client, names)


@pytest.mark.slow
async def test_ten_thousand_children_cost_one_call_a_few_hundred_looks(client: Redis) -> None:
    names = await raw_family(client, 10_000)
    plan = await make_plan(client, await query(client, QUEUE, FAILED), rate=0)
    results = await run(campaign_of(client, plan))
    assert len(results) == 10_001
    assert last(results) == (PARENT, "waiting-children")
    await assert_parked(client, names)
    # Once more, alone: what one call looks at.
    await client.zrem(QUEUE.key("waiting-children"), PARENT)
    await client.zadd(QUEUE.key("failed"), {PARENT: START})
    await client.config_resetstat()
    pick = Picked(PARENT, START, after_children=True)
    [one] = (await RetryWriter(client).retry(QUEUE, FAILED, [pick])).results
    assert one.target == "waiting-children"
    stats = await client.info("commandstats")
    assert 500 <= stats["cmdstat_hmget"]["calls"] < 520
    assert "cmdstat_smembers" not in stats


def test_generations_come_children_first_and_circles_last() -> None:
    above = {"leaf": "a", "a": "b", "b": "c", "x": "y", "y": "x"}
    kin = Kin(QUEUE)
    kin.add([*above, "c"], [*map(QUEUE.job, above.values()), None])
    assert kin.parents == 5
    held = Held(kin, QUEUE)

    def values(one: str) -> tuple[str | None, ...]:
        key = QUEUE.job(above[one]) if one in above else None
        return tuple(key if name == "parentKey" else None for name in (*SNAPSHOT_FIELDS, "family"))

    order = ["c", "b", "y", "a", "x", "leaf"]
    page = SnapshotPage([Picked(one, 1.0) for one in order], [values(one) for one in order])
    assert [one.job_id for one in held.hold(page).picks] == ["leaf"]
    met = []
    while some := held.next():
        assert held.next() == some  # until they are taken
        assert all(one.after_children for one in some)
        met.append({one.job_id for one in some})
        held.take(some)
    assert met == [{"a"}, {"b"}, {"c"}, {"x", "y"}]


def test_a_parent_of_another_queue_is_no_kin() -> None:
    kin = Kin(QUEUE)
    kin.add(["1", "2", "3", "x:y"], ["bull:other:2", None, "bull:q:x:y", ""])
    assert kin.parents == 1
    assert kin.is_parent("x:y")
    assert not kin.is_parent("2")
    assert kin.selected(["1", "4"]) == {"1"}


async def test_a_family_that_is_retried_again_after_an_undo_is_parked_again(
    client: Redis, tmp_path: Path
) -> None:
    names = await raw_family(client, 3, parent_at=60)
    await client.hset(QUEUE.job(PARENT), "parentKey", QUEUE.job("g"))
    await client.hset(QUEUE.job("g"), mapping=raw_fields(90))
    await client.zadd(QUEUE.key("failed"), {"g": START + 90_000})
    await client.sadd(QUEUE.job("g", "dependencies"), QUEUE.job(PARENT))
    before = await keyspace(client)
    plan = await plan_of(client, [*names, PARENT, "g"])
    await carried_out(client, tmp_path, Retry(client, RetryWriter(client), plan, Resets()))
    parked = {"g", PARENT}
    assert set(await client.zrange(QUEUE.key("waiting-children"), 0, -1)) == parked
    await undone(client, tmp_path)
    assert await keyspace(client) == before
    _, results = await undone(client, tmp_path)
    assert codes(results) == dict.fromkeys([*names, PARENT, "g"], Code.DONE)
    assert set(await client.zrange(QUEUE.key("waiting-children"), 0, -1)) == parked
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == list(names)[::-1]
    await undone(client, tmp_path)
    assert await keyspace(client) == before
