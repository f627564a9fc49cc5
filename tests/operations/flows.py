"""Flows that failed, and their reruns."""

from __future__ import annotations

import json

from bullmq import FlowProducer
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import RerunPlan, Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import JOBS_A_CALL, PIECE, Rerun
from qtui.operations.planning.plan import Resets
from tests.seeds import QUEUE, START, Fields, job, raw_fields, raw_meta, real_queue

KIDS = QueueKey.of("bull", "kids")
FAILURE = Start.FAILURE


async def failed_flow(server: EmbeddedServer, *errors: str) -> None:
    """A parent ``p`` that failed with its children ``c0``, ``c1``, … that have an error."""
    producer = FlowProducer(server.url, {"prefix": "bull"})
    children = [
        {
            **job("kid", error=error, jobId=f"c{at}", failParentOnFailure=True),
            "queueName": KIDS.name,
        }
        for at, error in enumerate(errors)
    ]
    parent = {**job("parent", jobId="p"), "queueName": QUEUE.name, "children": children}
    await producer.add(parent)
    await producer.close()
    async with real_queue(server, KIDS) as kids, real_queue(server) as parents:
        await kids.work(len(errors))
        await parents.work(1)


async def raw_flow(client: Redis, children: int, **parent: str) -> None:
    """A parent that failed under 5.81 with all its children, by hand."""
    for queue in (QUEUE, KIDS):
        await raw_meta(client, queue)
    fields: Fields = raw_fields()
    fields.update(parent)
    pipe = client.pipeline(transaction=False)
    pipe.hset(QUEUE.job("p"), mapping=fields)
    pipe.zadd(QUEUE.key("failed"), {"p": START})
    for at in range(children):
        child = KIDS.job(f"c{at}")
        above = json.dumps({"id": "p", "queueKey": QUEUE.base, "fpof": True})
        kid: Fields = {"parentKey": QUEUE.job("p"), "parent": above}
        pipe.hset(child, mapping=raw_fields(at) | kid)
        pipe.zadd(KIDS.key("failed"), {f"c{at}": START + at})
        pipe.zadd(QUEUE.job("p", "unsuccessful"), {child: START + at})
    await pipe.execute()


async def plan_of(
    client: Client, job_id: str = "p", start: Start = FAILURE, *, drop_lost: bool = False
) -> RerunPlan:
    queue = KIDS if job_id.startswith("c") else QUEUE
    return await make_rerun_plan(client, queue, job_id, start, drop_lost=drop_lost)


async def carry_out(campaign: Campaign[Rerun]) -> dict[str, Code]:
    """The codes by id."""
    ids = {step.node.key: step.node.id for step in campaign.action.plan.steps}
    found = [(ids[one.job_id], one.code) async for some in campaign.run() for one in some]
    assert len(found) == len(dict(found))
    return dict(found)


def rerun_of(
    client: Client,
    plan: RerunPlan,
    *,
    whole: int = JOBS_A_CALL,
    piece: int = PIECE,
    patience: float = 10,
) -> Campaign[Rerun]:
    rerun = Rerun(client, RerunWriter(client), plan, Resets(), whole=whole, piece=piece)
    return Campaign(client, rerun, patience=patience)


async def digest(client: Redis) -> str:
    return str(await client.execute_command("DEBUG", "DIGEST"))
