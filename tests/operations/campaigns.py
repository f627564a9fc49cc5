"""Campaigns on a queue of failed jobs, and what may lie between them and their server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import chosen, query
from tests.seeds import QUEUE
from tests.wires import Proxy, open_proxy

FAILED = JobState.FAILED


async def plan_for(client: Client, expression: str | None = None) -> Plan:
    """The plan of a query made now."""
    wanted = parse_filter(expression) if expression else None
    return await make_plan(client, await query(client, QUEUE, FAILED, wanted), rate=0)


async def plan_of(client: Client, ids: Sequence[str]) -> Plan:
    return await make_plan(client, chosen(QUEUE, FAILED, ids))


def campaign_of(
    client: Client, plan: Plan, resets: Resets | None = None, patience: float = 10.0
) -> Campaign[Retry]:
    return Campaign(
        client, Retry(client, RetryWriter(client), plan, resets or Resets()), patience=patience
    )


@asynccontextmanager
async def proxied(server: EmbeddedServer) -> AsyncIterator[tuple[Proxy, Redis]]:
    """A proxy and qtui's client behind it. The server knows the script: the first call is it."""
    script = script_text("retry")
    async with open_proxy(server) as proxy, proxy.client() as client:
        assert isinstance(client, Redis)
        await client.script_load(script)
        yield proxy, client


def ours_to(server: EmbeddedServer, timeout: float = 5.0) -> Redis:
    """Qtui's own client; the caller closes it."""
    client = connect(parse_target(server.url), read_only=False, timeout=timeout)
    assert isinstance(client, Redis)
    return client


async def run(campaign: Campaign[Retry]) -> list[Result]:
    return [result async for batch in campaign.run() for result in batch]


def codes(results: Sequence[Result]) -> dict[str, Code]:
    found = {result.job_id: result.code for result in results}
    assert len(found) == len(results)
    return found
