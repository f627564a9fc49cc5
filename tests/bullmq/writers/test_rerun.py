"""Reruns are written on every kind of server, and where Redis refuses a write nothing is lost."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.connection.faults import ReadOnlyMode
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import RerunPlan, Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.planning.plan import Resets
from tests.bullmq.topologies import Topology
from tests.seeds import START, Fields, raw_fields, raw_meta

PLAIN = QueueKey.of("bull", "q"), QueueKey.of("bull", "kids")
TAGGED = QueueKey.of("{bull}", "q"), QueueKey.of("{bull}", "kids")
APART = QueueKey.of("bull", "{a}"), QueueKey.of("bull", "{b}")
EACH = list(Start)
OTHER = "other"
"""A job that waits already."""


async def raw_flow(client: Client, parents: QueueKey, kids: QueueKey) -> None:
    """A parent that failed under 5.81 with one of its children; the other completed."""
    for queue in (parents, kids):
        await raw_meta(client, queue)  # type: ignore[arg-type]  # of a cluster, which does the same
    above = {"id": "p", "queueKey": parents.base, "fpof": True}
    child: Fields = {"parentKey": parents.job("p"), "parent": json.dumps(above)}
    await client.hset(parents.job("p"), mapping=raw_fields())
    await client.zadd(parents.key("failed"), {"p": START})
    for job_id, state in (("bad", "failed"), ("good", "completed")):
        await client.hset(kids.job(job_id), mapping=raw_fields() | child)
        await client.zadd(kids.key(state), {job_id: START})
    await client.zadd(parents.job("p", "unsuccessful"), {kids.job("bad"): START})
    await client.hset(parents.job("p", "processed"), kids.job("good"), "1")


async def plan_of(client: Client, parents: QueueKey, start: Start) -> RerunPlan:
    return await make_rerun_plan(client, parents, "p", start)


async def carry_out(client: Client, plan: RerunPlan) -> dict[str, Code]:
    rerun = Rerun(client, RerunWriter(client), plan, Resets())
    ids = {step.node.key: step.node.id for step in plan.steps}
    running = Campaign(client, rerun).run()
    return {ids[one.job_id]: one.code async for some in running for one in some}


async def where(client: Client, parents: QueueKey, kids: QueueKey) -> dict[str, list[str]]:
    """Every place in which each of the three jobs is."""
    found: dict[str, list[str]] = {}
    for queue, ids in ((parents, ["p"]), (kids, ["bad", "good"])):
        for state in ("failed", "completed", "waiting-children"):
            for one in await client.zrange(queue.key(state), 0, -1):
                found.setdefault(str(one), []).append(state)
        for one in await client.lrange(queue.key("wait"), 0, -1):
            found.setdefault(str(one), []).append("wait")
        assert set(found) >= set(ids)
    found.pop(OTHER, None)
    return found


@pytest.mark.parametrize("start", EACH)
async def test_every_kind_of_server_takes_a_rerun(topology: Topology, start: Start) -> None:
    parents, kids = TAGGED
    client = connect(parse_target(topology.url), read_only=False)
    try:
        await raw_flow(client, parents, kids)
        plan = await plan_of(client, parents, start)
        assert plan.refusal == ""
        assert set((await carry_out(client, plan)).values()) == {Code.DONE}
        good = "wait" if start is Start.START else "completed"
        assert await where(client, parents, kids) == {
            "p": ["waiting-children"],
            "bad": ["wait"],
            "good": [good],
        }
        pending = {kids.job("bad")} | ({kids.job("good")} if good == "wait" else set())
        assert set(await client.smembers(parents.job("p", "dependencies"))) == pending
        found = await client.xrange(parents.key("events"))
        assert [event for _, event in found or ()] == [
            {"event": "waiting-children", "jobId": "p", "prev": "failed"}
        ]
        kept = set() if good == "wait" else {kids.job("good")}
        assert set(await client.hkeys(parents.job("p", "processed"))) == kept
    finally:
        await client.aclose()


async def test_a_flow_over_several_slots_is_refused(topology: Topology) -> None:
    parents, kids = APART
    client = connect(parse_target(topology.url), read_only=False)
    try:
        await raw_flow(client, parents, kids)
        plan = await plan_of(client, parents, Start.FAILURE)
        if topology.name == "cluster":
            assert "different slots of the cluster" in plan.refusal
        else:
            assert plan.refusal == ""
    finally:
        await client.aclose()


# `lrange` is a read that only the retry of the released jobs sends.
WRITES = ["sadd", "zrem", "hdel", "zadd", "lpush", "xadd", "hset", "lrange", "evalsha"]


@pytest.mark.parametrize("start", EACH)
@pytest.mark.parametrize("forbidden", WRITES)
async def test_a_command_that_an_acl_forbids_loses_no_job(
    server: EmbeddedServer, client: Redis, forbidden: str, start: Start
) -> None:
    parents, kids = PLAIN
    await raw_flow(client, parents, kids)
    plan = await plan_of(client, parents, start)
    await client.acl_setuser(
        "half",
        enabled=True,
        nopass=True,
        categories=["+@all"],
        keys=["*"],
        commands=[f"-{forbidden}"],
    )
    half = Redis.from_url(server.url, username="half", password="any", decode_responses=True)
    try:
        async with half:
            await carry_out(half, plan)
    except ResponseError:
        assert forbidden == "evalsha"
    finally:
        await client.acl_deluser("half")
    places = await where(client, parents, kids)
    assert {job_id: len(found) for job_id, found in places.items()} == {"p": 1, "bad": 1, "good": 1}
    # Whoever may write does what is left with the same command, and it ends the same.
    again = await plan_of(client, parents, start)
    if not again.refusal:
        await carry_out(client, again)
    good = "wait" if start is Start.START else "completed"
    assert await where(client, parents, kids) == {
        "p": ["waiting-children"],
        "bad": ["wait"],
        "good": [good],
    }
    dependencies = await client.smembers(parents.job("p", "dependencies"))
    assert dependencies == {kids.job("bad")} | ({kids.job("good")} if good == "wait" else set())
    assert not await client.exists(parents.job("p", "unsuccessful"))
    assert await client.hget(parents.job("p"), "failedReason") is None


async def test_a_read_only_connection_sends_none_of_it(
    server: EmbeddedServer, client: Redis
) -> None:
    parents, kids = PLAIN
    await raw_flow(client, parents, kids)
    before = await client.execute_command("DEBUG", "DIGEST")
    watching = connect(parse_target(server.url), read_only=True)
    try:
        plan = await plan_of(watching, parents, Start.FAILURE)
        with pytest.raises(ReadOnlyMode):
            await carry_out(watching, plan)
    finally:
        await watching.aclose()
    assert await client.execute_command("DEBUG", "DIGEST") == before
