"""Flows that can't be rerun, and those that were left in a strange state."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, ForeignQueue, QueueGone
from qtui.bullmq.dialect import ONE_RESUME
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Phase
from qtui.operations.flow_rerun.plan import Part, Start
from tests.operations.flows import (
    KIDS,
    carry_out,
    digest,
    plan_of,
    raw_flow,
    rerun_of,
)
from tests.seeds import QUEUE, START, Fields, census, raw_fields, raw_meta


async def test_a_failed_child_whose_job_is_gone_is_a_refusal(client: Redis) -> None:
    await raw_flow(client, 2)
    await client.delete(KIDS.job("c1"))
    await client.zrem(KIDS.key("failed"), "c1")
    for start in Start:
        plan = await plan_of(client, start=start)
        assert plan.refusal == (
            "bull:kids:c1 is gone and can't run again; "
            "--drop-lost (a box in the screen's plan) reruns the flow without it"
        )
        assert plan.lost == 1


@pytest.mark.parametrize("start", list(Start))
async def test_a_lost_child_is_dropped_where_that_is_asked_for(client: Redis, start: Start) -> None:
    await raw_flow(client, 2)
    await client.delete(KIDS.job("c1"))
    await client.zrem(KIDS.key("failed"), "c1")
    plan = await plan_of(client, start=start, drop_lost=True)
    assert (plan.refusal, plan.lost) == ("", 1)
    assert "bull:kids:c1 is gone: its parent runs without it." in plan.notes
    assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
    assert await client.smembers(QUEUE.job("p", "dependencies")) == {KIDS.job("c0")}
    assert await client.exists(QUEUE.job("p", "unsuccessful")) == 0
    assert await census(client) == {"p": ["waiting-children"]}
    assert await client.lrange(KIDS.key("wait"), 0, -1) == ["c0"]


@pytest.mark.parametrize("state", ["failed", "waiting-children", "wait"])
@pytest.mark.parametrize("start", list(Start))
async def test_a_parent_that_nothing_can_release_is_released(
    client: Redis, state: str, start: Start
) -> None:
    """Its only child is gone: removed by hand, evicted, or its queue was obliterated."""
    await raw_flow(client, 1)
    await client.delete(KIDS.job("c0"), KIDS.key("failed"), KIDS.key("meta"))
    if state != "failed":
        await client.zrem(QUEUE.key("failed"), "p")
        await client.delete(QUEUE.job("p", "unsuccessful"))
        await client.sadd(QUEUE.job("p", "dependencies"), KIDS.job("c0"))
    if state == "waiting-children":
        await client.zadd(QUEUE.key(state), {"p": START})
    if state == "wait":
        await client.hset(QUEUE.job("p"), "defa", "child failed")
        await client.lpush(QUEUE.key("wait"), "p")
        start = Start.FAILURE  # from the start it is not at rest
    plan = await plan_of(client, start=start)
    assert plan.refusal.startswith("bull:kids:c0 is gone and can't run again")
    assert "--drop-lost (a box in the screen's plan) reruns the flow without it" in plan.refusal
    plan = await plan_of(client, start=start, drop_lost=True)
    assert [(one.node.id, one.part) for one in plan.steps] == [("p", Part.RUNS), ("c0", Part.GONE)]
    assert plan.steps[1].fate == "job gone"
    assert await carry_out(rerun_of(client, plan)) == {"p": Code.DONE}
    assert await census(client) == {"p": ["wait"]}
    for suffix in ("dependencies", "unsuccessful"):
        assert await client.exists(QUEUE.job("p", suffix)) == 0


async def test_a_lost_child_that_came_back_is_not_dropped(client: Redis) -> None:
    await raw_flow(client, 1)
    await client.delete(KIDS.job("c0"))
    await client.zrem(KIDS.key("failed"), "c0")
    plan = await plan_of(client, drop_lost=True)
    await client.hset(KIDS.job("c0"), mapping=raw_fields())
    before = await digest(client)
    assert await carry_out(rerun_of(client, plan)) == {"p": Code.NOT_IN_STATE}
    assert await digest(client) == before


async def test_a_lost_child_far_below_holds_up_the_whole_flow(client: Redis) -> None:
    """A grandparent that failed, and under it a parent that waits for a child that is gone."""
    await raw_flow(client, 1)
    await client.zrem(KIDS.key("failed"), "c0")
    await client.zadd(KIDS.key("waiting-children"), {"c0": START})
    await client.sadd(KIDS.job("c0", "dependencies"), KIDS.job("gone"))
    plan = await plan_of(client)
    assert plan.refusal.startswith("bull:kids:gone is gone and can't run again")
    plan = await plan_of(client, drop_lost=True)
    assert [(one.node.id, one.part) for one in plan.steps if one.part.reruns] == [
        ("p", Part.FOLLOWS),
        ("c0", Part.RUNS),
    ]
    assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
    assert await client.lrange(KIDS.key("wait"), 0, -1) == ["c0"]


@pytest.mark.parametrize("start", list(Start))
async def test_a_child_in_no_state_is_named_with_a_way_back(client: Redis, start: Start) -> None:
    await raw_flow(client, 1)
    await client.zrem(QUEUE.key("failed"), "p")
    await client.zadd(QUEUE.key("waiting-children"), {"p": START})
    await client.delete(QUEUE.job("p", "unsuccessful"))
    await client.sadd(QUEUE.job("p", "dependencies"), KIDS.job("c0"))
    await client.zrem(KIDS.key("failed"), "c0")
    plan = await plan_of(client, start=start)
    way = "redis-cli ZADD bull:kids:failed 0 c0"
    assert plan.refusal == (
        f"bull:kids:c0 is in no state: no worker runs it; {way} moves it to failed, where a "
        "rerun picks it up"
    )
    await client.execute_command(*way.split()[1:])
    plan = await plan_of(client, start=start)
    assert plan.refusal == ""
    assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
    assert await client.lrange(KIDS.key("wait"), 0, -1) == ["c0"]
    assert await census(client) == {"p": ["waiting-children"]}


async def test_what_a_parent_has_stored_of_a_job_that_is_gone_is_named_as_what_it_is(
    client: Redis,
) -> None:
    await raw_flow(client, 2)
    for suffix, name in (("processed", "done"), ("failed", "ignored")):
        await client.hset(QUEUE.job("p", suffix), KIDS.job(name), '"x"')
    plan = await plan_of(client, start=Start.START)
    fates = {one.node.id: one.fate for one in plan.steps if one.part is Part.GONE}
    assert fates == {
        "done": "job gone, result kept",
        "ignored": "job gone, error kept",
    }
    notes = [note for note in plan.notes if "can't run again" in note]
    assert notes == [
        "bull:kids:done is gone and can't run again: its stored result is kept.",
        "bull:kids:ignored is gone and can't run again: its stored error is kept.",
    ]


@pytest.mark.parametrize(
    ("version", "kind"), [("bullmq-pro:7.0.0", "BullMQ Pro queue"), ("", "Bull 3/4 queue")]
)
async def test_queues_that_are_not_bullmqs_own_are_refused(
    client: Redis, version: str, kind: str
) -> None:
    await raw_flow(client, 1)
    await client.delete(KIDS.key("meta"))
    await client.hdel(KIDS.job("c0"), "ats", "atm")  # which would show BullMQ
    if version:
        await client.hset(KIDS.key("meta"), "version", version)
    plan = await plan_of(client)
    assert plan.refusal.startswith("bull:kids is a ")
    assert kind in plan.refusal


async def test_an_ignored_failure_is_left_alone_unless_asked_for(client: Redis) -> None:
    await raw_flow(client, 1)
    await client.zrem(QUEUE.key("failed"), "p")
    await client.zadd(QUEUE.key("completed"), {"p": START})
    await client.delete(QUEUE.job("p", "unsuccessful"))
    await client.hset(QUEUE.job("p", "failed"), KIDS.job("c0"), "boom")
    plan = await plan_of(client)
    ignored = "no failed job to rerun: 1 failed child is ignored by a parent"
    assert plan.refusal == ignored
    plan = await plan_of(client, "c0")
    assert plan.refusal == ""
    assert [(step.node.id, step.part) for step in plan.steps] == [("c0", Part.RUNS)]
    alone = "Only bull:kids:c0 and below is rerun: its parent bull:q:p is completed"
    assert plan.notes[0] == f"{alone} and did not wait for it."


async def test_a_key_of_a_wrong_type_refuses_all_of_it(client: Redis) -> None:
    await raw_flow(client, 2)
    await client.set(QUEUE.job("p", "failed"), "no hash")
    plan = await plan_of(client)
    before = await digest(client)
    with pytest.raises(Exception, match="WRONGTYPE"):
        await carry_out(rerun_of(client, plan))
    assert await digest(client) == before


async def test_who_may_not_write_one_of_the_keys_leaves_every_job_where_it_is_found(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_flow(client, 1)
    plan = await plan_of(client)
    await client.acl_setuser(
        "half",
        reset=True,
        enabled=True,
        passwords=["+secret"],
        keys=["%R~*", "%RW~bull:q:*", "%RW~bull:kids:meta"],
        commands=["+@all"],
    )
    limited = Redis.from_url(server.url, username="half", password="secret", decode_responses=True)
    async with limited:
        campaign = rerun_of(limited, plan)
        codes = await carry_out(campaign)
    assert "ACL of Redis does not let this user run" in campaign.why
    assert codes.get("p", Code.DONE) is Code.DONE
    assert "c0" not in codes
    # The parent may wait now, the child has not been lost: whoever may, does the rest.
    assert await client.zscore(KIDS.key("failed"), "c0") == START
    assert (await census(client))["p"] in (["failed"], ["waiting-children"])
    again = await plan_of(client)
    assert set((await carry_out(rerun_of(client, again))).values()) == {Code.DONE}
    assert await client.lrange(KIDS.key("wait"), 0, -1) == ["c0"]


@pytest.mark.parametrize("state", ["failed", "waiting-children", "wait"])
async def test_a_parent_whose_children_are_done_is_released_with_their_results(
    client: Redis, state: str
) -> None:
    """As an old release, or a tool that died, may leave it: done, and the parent not changed."""
    await raw_flow(client, 1)
    await client.zrem(KIDS.key("failed"), "c0")
    await client.zadd(KIDS.key("completed"), {"c0": START})
    await client.hset(KIDS.job("c0"), "returnvalue", '{"x": 1}')
    await client.delete(QUEUE.job("p", "unsuccessful"))
    await client.sadd(QUEUE.job("p", "dependencies"), KIDS.job("c0"))
    await client.zrem(QUEUE.key("failed"), "p")
    if state == "wait":
        await client.hset(QUEUE.job("p"), "defa", "child failed")
        await client.lpush(QUEUE.key("wait"), "p")
    else:
        await client.zadd(QUEUE.key(state), {"p": START})
    plan = await plan_of(client)
    assert [(step.node.id, step.part) for step in plan.steps] == [
        ("p", Part.RUNS),
        ("c0", Part.DONE),
    ]
    assert await carry_out(rerun_of(client, plan)) == {"p": Code.DONE}
    assert await census(client) == {"p": ["wait"]}
    assert await client.hget(QUEUE.job("p"), "defa") is None
    assert await client.hgetall(QUEUE.job("p", "processed")) == {KIDS.job("c0"): '{"x": 1}'}
    assert not await client.exists(QUEUE.job("p", "dependencies"))
    assert await client.zscore(KIDS.key("completed"), "c0") == START


async def test_a_parent_that_waits_only_to_be_failed_leaves_an_ordinary_line(
    client: Redis,
) -> None:
    """And one that is run meanwhile, or whose failure was taken away, is left alone."""
    await raw_flow(client, 1)
    await client.zrem(QUEUE.key("failed"), "p")
    await client.hset(QUEUE.job("p"), "defa", "child failed")
    await client.rpush(QUEUE.key("wait"), "1", "p", "2")
    plan = await plan_of(client)
    await client.hdel(QUEUE.job("p"), "defa")
    before = await digest(client)
    codes = await carry_out(rerun_of(client, plan))
    assert codes == {"p": Code.NOT_IN_STATE, "c0": Code.REFUSED}
    assert await digest(client) == before
    await client.hset(QUEUE.job("p"), "defa", "child failed")
    assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == ["1", "2"]


@pytest.mark.parametrize("place", ["failed", "wait", "prioritized"])
async def test_a_parent_that_may_not_be_removed_is_not_added_elsewhere(
    server: EmbeddedServer, client: Redis, place: str
) -> None:
    await raw_flow(client, 1)
    await client.zrem(QUEUE.key("failed"), "p")
    await client.hset(QUEUE.job("p"), "defa", "child failed")
    if place == "wait":
        await client.lpush(QUEUE.key("wait"), "p")
    else:
        await client.zadd(QUEUE.key(place), {"p": START})
    plan = await plan_of(client)
    # All but the one list or set that the parent has to leave.
    others = ("waiting-children", "meta", "events", "p*")
    await client.acl_setuser(
        "half",
        reset=True,
        enabled=True,
        passwords=["+secret"],
        keys=["%R~*", "%RW~bull:kids:*", *(f"%RW~{QUEUE.key(name)}" for name in others)],
        commands=["+@all"],
    )
    if place == "prioritized":
        await client.acl_setuser("half", enabled=True, commands=["-zrem"])
    half = Redis.from_url(server.url, username="half", password="secret", decode_responses=True)
    try:
        async with half:
            campaign = rerun_of(half, plan)
            assert await carry_out(campaign) == {}
    finally:
        await client.acl_deluser("half")
    assert "ACL of Redis does not let this user run" in campaign.why
    assert campaign.refused
    assert await census(client) == {"p": [place]}
    assert await client.zscore(KIDS.key("failed"), "c0") == START


async def test_a_child_that_its_parent_strikes_off_meanwhile_stays_so(client: Redis) -> None:
    await raw_flow(client, 2)
    plan = await plan_of(client)
    await client.zrem(QUEUE.job("p", "unsuccessful"), KIDS.job("c1"))
    assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
    assert await client.smembers(QUEUE.job("p", "dependencies")) == {KIDS.job("c0")}


async def test_a_flow_in_circles_has_a_plan_and_an_end(client: Redis) -> None:
    await raw_meta(client)
    for one, other in (("x", "y"), ("y", "x")):
        kid: Fields = {"parentKey": QUEUE.job(other)}
        await client.hset(QUEUE.job(one), mapping=raw_fields() | kid)
        await client.zadd(QUEUE.key("failed"), {one: START})
        await client.sadd(QUEUE.job(other, "dependencies"), QUEUE.job(one))
    for start in Start:
        plan = await plan_of(client, "x", start)
        assert plan.jobs == 2
        assert "Ancestors of bull:q:y were not read: bull:q:x is its own ancestor." in plan.notes


async def test_ids_and_names_that_are_hostile_come_back_as_they_are(client: Redis) -> None:
    odd = "x:\udc80\n[/red]\x1b:1"
    await raw_flow(client, 0)
    child = KIDS.job(odd)
    above = json.dumps({"id": "p", "queueKey": QUEUE.base, "fpof": True})
    kid: Fields = {"parentKey": QUEUE.job("p"), "parent": above}
    raw = Redis(connection_pool=client.connection_pool)
    await raw.hset(child, mapping=raw_fields() | kid)
    await raw.zadd(KIDS.key("failed"), {odd: START})
    await raw.zadd(QUEUE.job("p", "unsuccessful"), {child: START})
    plan = await plan_of(client)
    assert await carry_out(rerun_of(client, plan)) == {"p": Code.DONE, odd: Code.DONE}
    assert await client.lrange(KIDS.key("wait"), 0, -1) == [odd]
    assert await client.smembers(QUEUE.job("p", "dependencies")) == {child}


async def test_a_job_whose_id_is_a_nul_survives_a_rerun_beside_it(client: Redis) -> None:
    """The rights to remove are tried with members that are not there, in sets and in lists."""
    await raw_flow(client, 1)
    # A parent that waits only to be failed, as releases since 5.49.2 leave it.
    await client.zrem(QUEUE.key("failed"), "p")
    await client.hset(QUEUE.job("p"), "defa", "child failed")
    nuls = ["\0", "\0\0"]
    await client.rpush(QUEUE.key("wait"), nuls[0], "p", nuls[1])
    for one in nuls:
        await client.hset(QUEUE.job(one), mapping=raw_fields())
        await client.hset(KIDS.job(one), mapping=raw_fields())
        await client.zadd(KIDS.key("failed"), {one: START})
    found = await carry_out(rerun_of(client, await plan_of(client)))
    assert found == {"p": Code.DONE, "c0": Code.DONE}
    assert await census(client) == {"p": ["waiting-children"], **{one: ["wait"] for one in nuls}}
    assert await census(client, KIDS) == {"c0": ["wait"], **{one: ["failed"] for one in nuls}}


@pytest.mark.parametrize("gone", [QUEUE, KIDS], ids=["parents", "children"])
async def test_a_queue_that_is_gone_or_foreign_meanwhile_ends_a_rerun_with_nothing_written(
    client: Redis, gone: QueueKey
) -> None:
    await raw_flow(client, 1)
    plan = await plan_of(client)
    await client.hset(gone.key("meta"), "version", "bullmq-pro:7.0.0")
    before = await digest(client)
    with pytest.raises(ForeignQueue) as refused:
        await carry_out(rerun_of(client, plan))
    assert refused.value.kind is Kind.PRO
    assert await digest(client) == before
    await client.delete(*[key async for key in client.scan_iter(f"{gone.base}:*")])
    before = await digest(client)
    with pytest.raises(QueueGone):
        await carry_out(rerun_of(client, plan))
    assert await digest(client) == before


@pytest.mark.parametrize("standing", [0, ONE_RESUME])
async def test_a_rerun_in_a_paused_queue_is_on_hold_for_nothing_however_many_wait_there(
    client: Redis, standing: int
) -> None:
    await raw_flow(client, 3)
    await client.hset(KIDS.key("meta"), "paused", 1)
    if standing:
        await client.rpush(KIDS.key("paused"), *(f"s{place}" for place in range(standing)))
    plan = await plan_of(client)
    assert [one for one in plan.brakes if "go to prioritized" in one] == [
        "3 jobs without a priority go to prioritized while bull:kids is paused: BullMQ 5 and 6 "
        "both see them there, and a resume neither loses nor strands them."
    ]
    rerun = rerun_of(client, plan)
    assert set((await carry_out(rerun)).values()) == {Code.DONE}
    assert (rerun.phase, rerun.held) == (Phase.DONE, "")
    places = await census(client, KIDS)
    assert [places[one] for one in ("c0", "c1", "c2")] == [["prioritized"]] * 3
    assert await client.llen(KIDS.key("paused")) == standing


async def test_a_list_of_a_wrong_type_refuses_the_plan(client: Redis) -> None:
    await raw_flow(client, 1)
    await client.set(KIDS.key("wait"), "no list")
    plan = await plan_of(client)
    assert plan.refusal == "bull:kids:wait is not of the type that BullMQ makes"


async def test_what_redis_refuses_is_not_reported_as_a_change(client: Redis) -> None:
    await raw_flow(client, 1)
    plan = await plan_of(client)
    await client.set(KIDS.key("wait"), "no list")
    rerun = rerun_of(client, plan)
    await carry_out(rerun)
    assert rerun.why.startswith("Redis refused it: ")
    assert "WRONGTYPE" in rerun.why
