"""A promotion does what its plan says, for any content of the queue and any lost reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from hypothesis import given, settings
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.promote.plan import PromotionPlan, make_promotion_plan
from qtui.operations.promote.promote import Promote
from qtui.operations.promote.resuming import resume_promotion
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.supply.selection import chosen, query
from qtui.verbs import Verb
from tests.bullmq.test_dialect import PICKED, Keyspace, keyspaces
from tests.seeds import QUEUE, census, raw_failed
from tests.servers import Servers, connect
from tests.wires import Accident, open_proxy

DELAYED = JobState.DELAYED
WHERE = "here"


@pytest.fixture(scope="module")
def empty(servers: Servers) -> EmbeddedServer:
    """A server of which each example uses a database that it empties first."""
    return servers.empty("valkey")


async def plan_of(client: Redis, ids: Sequence[str] | None = None) -> PromotionPlan:
    selection = await query(client, QUEUE, DELAYED) if ids is None else chosen(QUEUE, DELAYED, ids)
    return await make_promotion_plan(client, selection, rate=0)


def campaign_of(
    client: Redis, plan: PromotionPlan, folder: Path | None = None
) -> Campaign[Promote]:
    record = None if folder is None else Recorder(folder=folder, where=WHERE, how="test")
    return Campaign(client, Promote(client, PromoteWriter(client), plan), record=record)


async def run(campaign: Campaign[Promote]) -> list[Result]:
    return [result async for batch in campaign.run() for result in batch]


@settings(max_examples=80)
@given(keyspace=keyspaces)
def test_in_any_keyspace_the_job_goes_where_the_plan_says(
    empty: EmbeddedServer, keyspace: Keyspace
) -> None:
    async def hold() -> None:
        async with connect(empty) as client:
            await client.flushdb()
            with redis.Redis(unix_socket_path=empty.path, decode_responses=True) as writer:
                replace(keyspace, state=DELAYED).write(writer)
            plan = await plan_of(client, [PICKED])
            [expected] = plan.results
            picks = Promote(client, PromoteWriter(client), plan).chosen()
            [result] = (await PromoteWriter(client).promote(QUEUE, picks)).results
            assert (result.code, result.target) == (expected.code, expected.target)
            assert result.code is Code.DONE
            assert await client.zscore(QUEUE.key("delayed"), PICKED) is None
            assert await client.hget(QUEUE.job(PICKED), "delay") == "0"

    asyncio.run(hold())


async def test_a_query_is_pinned_to_the_jobs_that_the_plan_has_seen(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(300)), state="delayed")
    plan = await plan_of(client)
    assert plan.confirmation(PlanOptions()) == "300"
    await raw_failed(client, ["early"], state="delayed", change=lambda _: {"name": "late"})
    await client.zincrby(QUEUE.key("delayed"), 4096, ids[7])
    found = {one.job_id: one.code for one in await run(campaign_of(client, plan))}
    assert found == {one: Code.DONE for one in ids} | {ids[7]: Code.NOT_IN_STATE}
    assert await client.zrange(QUEUE.key("delayed"), 0, -1) == ["early", ids[7]]


@pytest.mark.parametrize("accident", Accident)
async def test_a_call_that_is_lost_promotes_no_job_twice_and_none_is_forgotten(
    server: EmbeddedServer, client: Redis, tmp_path: Path, accident: Accident
) -> None:
    ids = await raw_failed(client, map(str, range(300)), state="delayed")
    plan = await plan_of(client)
    await client.script_load(script_text("promote"))
    async with open_proxy(server) as proxy, proxy.client() as ours:
        assert isinstance(ours, Redis)
        campaign = campaign_of(ours, plan, tmp_path)
        proxy.accidents = [accident, accident]
        found = await run(campaign)
        campaign.close()
    assert campaign.phase is Phase.DONE
    assert {one.job_id: one.code for one in found} == dict.fromkeys(ids, Code.DONE)
    assert len(found) == len(ids)
    assert await census(client) == {one: ["wait"] for one in ids}
    assert await client.xlen(QUEUE.key("events")) == len(ids)


async def test_what_is_resumed_reads_the_jobs_in_doubt_first(client: Redis, tmp_path: Path) -> None:
    ids = await raw_failed(client, map(str, range(300)), state="delayed")
    campaign = campaign_of(client, await plan_of(client), tmp_path)
    async for _ in campaign.run():
        campaign.stop()
    campaign.close()
    assert campaign.journal is not None
    # As if it had been killed before the codes of what was sent were written.
    path = campaign.journal.path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"type":"code"' not in line[:20]))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    taken = Interrupted.take(tmp_path, campaign.journal.id, WHERE, verb=Verb.PROMOTE)
    assert len(taken.progress.doubtful) == campaign.done
    again = await resume_promotion(taken, client)
    found = await run(again)
    again.close()
    assert {one.job_id: one.code for one in found} == dict.fromkeys(ids, Code.DONE)
    assert (again.phase, again.codes) == (Phase.DONE, {Code.DONE: len(ids)})
    assert await census(client) == {one: ["wait"] for one in ids}
