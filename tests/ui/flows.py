"""Flows of real BullMQ for the screen's tests, made and worked by the official Python package."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import redis.asyncio
from bullmq import FlowProducer, Job

from tests.patience import PATIENCE
from tests.seeds import raw_fields
from tests.ui.stage import succeed, working

QUEUES = ("reports", "invoices", "render")
HOSTILE = "[/red]\x1b[31m\u202eevil"


def node(
    job_id: str, queue: str, *children: dict[str, Any], name: str = "", fails: bool = False
) -> dict[str, Any]:
    """A job of a flow as a FlowProducer takes it."""
    found: dict[str, Any] = {
        "name": name or job_id,
        "queueName": queue,
        "data": {},
        "opts": {"jobId": job_id, "failParentOnFailure": fails},
    }
    return {**found, "children": list(children)} if children else found


REPORT = node(
    "report",
    "reports",
    node(
        "totals",
        "invoices",
        node("ok", "render"),
        node("bad-1", "render", fails=True),
        node("odd", "render", name=HOSTILE),
        fails=True,
    ),
    node("bad-2", "render", fails=True),
)
"""Three levels in three queues; two leaves fail, and all above them."""


async def add(url: str, *flows: dict[str, Any]) -> None:
    """Adds flows."""
    producer = FlowProducer(url, {"prefix": "bull"})
    for flow in flows:
        await producer.add(flow)
    await producer.close()


async def _work(job: Job, token: str) -> object:
    if "bad" in job.id:
        raise RuntimeError(f"connect ECONNREFUSED {HOSTILE}")
    return job.id


@asynccontextmanager
async def workers(queues: Sequence[str], url: str) -> AsyncIterator[None]:
    """Workers of the queues for whom everything succeeds."""
    async with AsyncExitStack() as stack:
        for queue in queues:
            await stack.enter_async_context(working(url, queue, succeed))
        yield


async def failed_report(url: str, client: redis.asyncio.Redis) -> None:
    """`REPORT`, failed to its root."""
    await add(url, REPORT)
    deadline = time.monotonic() + PATIENCE
    async with AsyncExitStack() as stack:
        for queue in QUEUES:
            await stack.enter_async_context(working(url, queue, _work))
        for queue, job_id in (("reports", "report"), ("invoices", "totals"), ("render", "bad-2")):
            while await client.zscore(f"bull:{queue}:failed", job_id) is None:
                assert time.monotonic() < deadline, f"{job_id} did not fail in time"
        while await client.zcard("bull:render:completed") < 2:
            assert time.monotonic() < deadline, "the other jobs did not complete in time"


async def large_flow(client: redis.asyncio.Redis, children: int) -> None:
    """A parent that waits for many children, as BullMQ 5.81 leaves it; by hand, for speed."""
    await client.hset("bull:reports:meta", "version", "bullmq:5.81.5")
    await client.hset("bull:render:meta", "version", "bullmq:5.81.5")
    await client.hset("bull:reports:p", mapping={"name": "sum", "timestamp": 1, "opts": "{}"})
    await client.zadd("bull:reports:waiting-children", {"p": 1})
    parent = json.dumps({"id": "p", "queueKey": "bull:reports"})
    pipe = client.pipeline(transaction=False)
    for at in range(children):
        pipe.hset(f"bull:render:{at}", mapping=raw_fields(at) | {"parent": parent})
        pipe.zadd("bull:render:failed", {str(at): at})
        pipe.sadd("bull:reports:p:dependencies", f"bull:render:{at}")
    await pipe.execute()
