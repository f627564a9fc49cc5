"""A server in trouble, or replaced, while something is done to a whole queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.origin import Origin
from qtui.bullmq.script import script_text
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids, read_lines
from qtui.operations.queues.limits import Wanted, plan_limits
from qtui.operations.queues.obliterating import plan_obliteration
from qtui.operations.queues.pausing import plan_pausing
from qtui.operations.resuming.recorder import Recorder
from qtui.verbs import Verb
from tests.operations.campaigns import ours_to, proxied
from tests.operations.undoing import keyspace
from tests.seeds import QUEUE, raw_failed, raw_list, raw_meta, soon
from tests.servers import flush, start
from tests.wires import Accident

Plan: TypeAlias = Callable[[Redis], Awaitable[JobAction]]


async def _pause(client: Redis) -> JobAction:
    return (await plan_pausing(client, Verb.PAUSE, [QUEUE])).action(client)


async def _limits(client: Redis) -> JobAction:
    return (await plan_limits(client, QUEUE, Wanted(concurrency=4))).action(client)


async def _obliterate(client: Redis) -> JobAction:
    return (await plan_obliteration(client, QUEUE)).action(client)


EACH = pytest.mark.parametrize("plan", [_pause, _limits, _obliterate])


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedServer]:
    """A server of this module's own, since a test that fails could leave it unwell."""
    with start() as server:
        yield server


@pytest.fixture
async def own(own_server: EmbeddedServer) -> AsyncIterator[Redis]:
    """Qtui's own client of it, with a queue in which something waits."""
    flush(own_server)
    client = ours_to(own_server)
    await raw_failed(client, map(str, range(500)))
    await raw_list(client, "wait", ["a", "b"])
    await raw_meta(client, version="bullmq:5.81.5")
    yield client
    await client.config_set("min-replicas-to-write", 0)
    await client.aclose()


async def _run(campaign: Campaign[JobAction]) -> list[Result]:
    return [one async for some in campaign.run() for one in some]


@EACH
async def test_a_server_that_takes_no_writes_is_waited_for(own: Redis, plan: Plan) -> None:
    campaign = Campaign(own, await plan(own), patience=20)
    await own.config_set("min-replicas-to-write", 1)
    before = await keyspace(own)
    running = asyncio.ensure_future(_run(campaign))
    await soon(lambda: bool(campaign.trouble))
    assert "too few replicas" in campaign.trouble
    assert await keyspace(own) == before
    await own.config_set("min-replicas-to-write", 0)
    [result] = await running
    assert result.code is Code.DONE
    assert campaign.phase is Phase.DONE


@EACH
async def test_past_the_patience_nothing_was_done_and_it_is_said(own: Redis, plan: Plan) -> None:
    campaign = Campaign(own, await plan(own), patience=0.2)
    await own.config_set("min-replicas-to-write", 1)
    before = await keyspace(own)
    assert await _run(campaign) == []
    assert (campaign.phase, campaign.refused) == (Phase.STOPPED, True)
    assert await keyspace(own) == before


@EACH
async def test_what_a_server_lost_that_was_replaced_is_done_again(
    own: Redis, plan: Plan, tmp_path: Path
) -> None:
    """As after a failover: another server answers, and has none of it."""
    record = Recorder(folder=tmp_path, where="here", how="test")
    dump = {key: await own.execute_command("DUMP", key) for key in await own.keys("*")}
    campaign = Campaign(own, await plan(own), record=record)
    found: list[Result] = []
    lost = False
    async for results in campaign.run():
        found += results
        if campaign.done and not lost:
            lost = True
            await own.flushall()
            for key, value in dump.items():
                await own.execute_command("RESTORE", key, 0, value)
            campaign.origin = Origin(run_id="another", replid="other")
    campaign.close()
    assert [one.code for one in found] == [Code.DONE, Code.DONE]
    assert (campaign.done, campaign.withdrawn, campaign.phase) == (1, 1, Phase.DONE)
    kinds = [line["type"] for line in read_lines(tmp_path, ids(tmp_path)[0])]
    assert kinds.count("withdrawn") == 1
    again = await plan_pausing(own, Verb.PAUSE, [QUEUE])
    if campaign.action.header().action == "pause":
        assert [one.code for one in again.queues] == [Code.NOT_IN_STATE]


@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.CALL_LOST])
async def test_a_removal_does_not_say_a_number_that_a_lost_reply_was_part_of(
    server: EmbeddedServer, accident: Accident
) -> None:
    """It said that 352 jobs were removed, where 502 were."""
    async with proxied(server) as (proxy, client):
        await raw_failed(client, map(str, range(1, 501)))
        await raw_list(client, "wait", ["a", "b"])
        await raw_meta(client, version="bullmq:5.81.5")
        await client.script_load(script_text("obliterate"))
        campaign = Campaign(client, await _obliterate(client), patience=20)
        proxy.passing, proxy.accidents = 1, [accident]
        [result] = [one async for some in campaign.run() for one in some]
        assert (result.code, proxy.happened) == (Code.DONE, 1)
        counted = 502 if accident is Accident.CALL_LOST else 352
        assert result.target == f"at least {counted} jobs"
        assert await client.keys(f"{QUEUE.base}:*") == []
