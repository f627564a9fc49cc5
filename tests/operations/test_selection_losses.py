"""A query whose connection is lost, whose calls come late, or whose pattern runs away."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.filter import FilterError
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Phase
from tests.operations.campaigns import campaign_of, codes, plan_for, proxied, run
from tests.seeds import (
    QUEUE,
    census,
    failed_jobs,
    raw_failed,
    real_queue,
)
from tests.wires import Accident, Proxy


@pytest.mark.parametrize(
    ("accidents", "late_first"),
    [
        ([Accident.REPLY_LOST], True),
        ([Accident.CALL_LOST, Accident.REPLY_LOST], True),
        ([Accident.CALL_LATE], True),
        ([Accident.CALL_LATE], False),
    ],
)
async def test_after_any_loss_in_a_query_each_job_runs_once_more(
    server: EmbeddedServer, accidents: list[Accident], late_first: bool
) -> None:
    async with proxied(server) as (proxy, client), real_queue(server) as real:
        ids = await failed_jobs(real, 400, attempts=1)
        campaign = campaign_of(client, await plan_for(client))
        proxy.late_comes_first = late_first
        found: list[Result] = []
        async for batch in campaign.run():
            found += batch
            if len(found) == len(batch):
                proxy.accidents[:] = accidents
        await proxy.deliver()
        assert proxy.happened == len(accidents)
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
        assert campaign.phase is Phase.DONE
        await real.work(400, 20)
        assert Counter(real.ran) == dict.fromkeys(ids, 2)


class Flaky(Proxy):
    """Comes back by itself once it has refused this many connections."""

    refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            self.refused += 1
            self.away = self.refused % 8 != 0
            writer.close()
            return
        await super().serve(reader, writer)


@pytest.mark.slow
@pytest.mark.parametrize("expression", [None, "error:boom"])
async def test_a_connection_lost_while_it_reads_costs_time_only(
    server: EmbeddedServer, client: Redis, expression: str | None
) -> None:
    ids = await raw_failed(client, map(str, range(1500)))
    proxy = Flaky(server)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    async with proxy.client() as ours:
        assert isinstance(ours, Redis)
        campaign = campaign_of(ours, await plan_for(ours, expression))
        found: list[Result] = []
        losses = [250, 500]
        async for batch in campaign.run():
            found += batch
            if losses and len(found) > losses[0]:
                del losses[0]
                proxy.away = True
                await ours.connection_pool.disconnect()
    listener.close()
    assert proxy.refused >= 8
    assert codes(found) == dict.fromkeys(ids, Code.DONE)
    assert campaign.phase is Phase.DONE


async def test_a_pattern_that_runs_away_during_the_campaign_ends_it(client: Redis) -> None:
    await raw_failed(client, map(str, range(600)), change=lambda place: {"failedReason": "aaa"})
    plan = await plan_for(client, "error:re:(a|a|aa)+$")
    assert plan.jobs == 600
    await client.hset(QUEUE.job("599"), "failedReason", "a" * 5000 + "!")
    campaign = campaign_of(client, plan)
    with pytest.raises(FilterError, match="takes too long"):
        await run(campaign)
    assert campaign.phase is Phase.STOPPED
    places = await census(client)
    assert sorted(places) == sorted(map(str, range(600)))
    assert sum(state == ["wait"] for state in places.values()) == campaign.done
