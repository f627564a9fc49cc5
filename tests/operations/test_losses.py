"""Whatever is lost on the way, each job is retried once, and no code says more than is known."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostConnection

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import VANISHED, Phase
from tests.operations.campaigns import FAILED, campaign_of, codes, ours_to, plan_of, proxied, run
from tests.patience import PATIENCE
from tests.seeds import QUEUE, census, failed_jobs, raw_failed, real_queue, soon
from tests.servers import start
from tests.wires import Accident

LOST, LATE, REPLY = Accident.CALL_LOST, Accident.CALL_LATE, Accident.REPLY_LOST

# What befalls the calls, and whether late ones get to the server before the next one or at the end.
ACCIDENTS = [
    ([REPLY, REPLY], True),
    ([LOST], True),
    ([LATE], True),
    ([LATE], False),
    ([LATE, REPLY], False),
    ([LOST, LATE, REPLY, LATE], True),
]


@pytest.mark.parametrize(("accidents", "late_comes_first"), ACCIDENTS)
async def test_after_any_loss_on_the_way_each_job_is_retried_once(
    server: EmbeddedServer, accidents: list[Accident], late_comes_first: bool
) -> None:
    async with proxied(server) as (proxy, client), real_queue(server) as real:
        ids = await failed_jobs(real, 160, attempts=1)
        campaign = campaign_of(client, await plan_of(client, ids))
        proxy.late_comes_first = late_comes_first
        found: list[Result] = []
        async with real.worker(10) as ended:
            async for batch in campaign.run():
                found += batch
                if len(found) == len(batch):
                    proxy.accidents[:] = accidents
            await proxy.deliver()
            await ended(len(ids))
        assert proxy.happened == len(accidents)
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
        assert campaign.phase is Phase.DONE
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
        assert await census(client) == {job_id: ["failed"] for job_id in ids}


async def test_a_real_late_call_of_a_server_that_was_busy(any_server: EmbeddedServer) -> None:
    ours = ours_to(any_server, timeout=0.3)
    other = ours_to(any_server)
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 100, attempts=1)
        campaign = campaign_of(ours, await plan_of(ours, ids))
        found: list[Result] = []
        sleeping: asyncio.Future[object] | None = None
        async for batch in campaign.run():
            found += batch
            if sleeping is None:
                # What was sent meanwhile is in the socket's buffer, and will be carried out.
                sleeping = asyncio.ensure_future(other.execute_command("DEBUG", "SLEEP", "0.8"))
                await asyncio.sleep(0)
        assert sleeping is not None
        await sleeping
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
        await real.work(100)
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
    await ours.aclose()
    await other.aclose()


async def test_jobs_that_others_took_while_a_call_was_lost_are_not_claimed(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, map(str, range(40)))
    async with proxied(server) as (proxy, ours):
        campaign = campaign_of(ours, await plan_of(ours, ids))

        async def take() -> None:
            await RetryWriter(client).retry(QUEUE, FAILED, [Picked(one) for one in ids[:10]])
            await client.delete(*(QUEUE.job(one) for one in ids[10:15]))

        proxy.accidents, proxy.after = [LOST], take
        found = codes(await run(campaign))
    assert [found[one] for one in ids] == [
        *[Code.NOT_IN_STATE] * 10,
        *[Code.NO_SUCH_JOB] * 5,
        *[Code.DONE] * 25,
    ]


@pytest.mark.parametrize("accident", list(Accident))
async def test_codes_stay_true_for_what_could_never_be_retried(
    server: EmbeddedServer, client: Redis, accident: Accident
) -> None:
    ids = await raw_failed(client, ["retried", "orphan", "string", "elsewhere", "gone"])
    await client.delete(*(QUEUE.job(one) for one in ("orphan", "string", "gone")))
    await client.set(QUEUE.job("string"), "junk")
    await client.zrem(QUEUE.key("failed"), "elsewhere", "gone")
    async with proxied(server) as (proxy, ours):
        campaign = campaign_of(ours, await plan_of(ours, ids))
        proxy.accidents, proxy.late_comes_first = [accident], True
        assert codes(await run(campaign)) == {
            "retried": Code.DONE,
            "orphan": Code.NO_SUCH_JOB,
            "string": Code.REFUSED,
            "elsewhere": Code.NOT_IN_STATE,
            "gone": Code.NO_SUCH_JOB,
        }
        assert proxy.happened == 1


async def test_jobs_that_are_gone_after_a_lost_reply_are_unknown(
    server: EmbeddedServer,
) -> None:
    # They ran and were removed (as here), or were removed before.
    async with proxied(server) as (proxy, ours), real_queue(server) as real:
        ids = await failed_jobs(real, 5, attempts=1)
        [kept] = await failed_jobs(real, 1, attempts=1)
        for job_id in ids:
            await ours.hset(QUEUE.job(job_id), "data", "{}")
            await ours.hset(QUEUE.job(job_id), "opts", '{"removeOnComplete":true}')
        campaign = campaign_of(ours, await plan_of(ours, [*ids, kept]))
        proxy.accidents = [REPLY]
        proxy.after = lambda: real.work(6)
        found = codes(await run(campaign))
        assert found == {**dict.fromkeys(ids, Code.UNKNOWN), kept: Code.DONE}
        assert campaign.phase is Phase.DONE


async def test_a_server_that_dies_ends_the_campaign_within_its_patience(
    server: EmbeddedServer,
) -> None:
    with start() as mortal:
        async with proxied(mortal) as (proxy, client):
            ids = await raw_failed(client, map(str, range(300)))
            campaign = campaign_of(client, await plan_of(client, ids), patience=0.5)
            found: list[Result] = []

            async def die() -> None:
                proxy.away = True
                mortal.stop()

            proxy.after = die
            async with asyncio.timeout(PATIENCE):
                async for batch in campaign.run():
                    if not found:
                        proxy.accidents = [LOST]
                    found += batch
    assert campaign.phase is Phase.LOST
    known = [result.code for result in found]
    assert Code.DONE in known
    assert known == sorted(known, reverse=True)
    assert set(known) == {Code.DONE, Code.UNKNOWN}
    assert campaign.decided == len(found) < campaign.selected == 300


async def test_a_server_that_is_not_there_at_all_is_reported_before_anything_is_sent(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_failed(client, "1")
    async with proxied(server) as (proxy, ours):
        campaign = campaign_of(ours, await plan_of(ours, "1"))
        proxy.away = True
        await ours.connection_pool.disconnect()
        with pytest.raises((LostConnection, OSError)):
            await run(campaign)
    assert (campaign.phase, campaign.decided) == (Phase.STOPPED, 0)
    assert await census(client) == {"1": ["failed"]}


async def test_a_server_that_comes_back_in_time_is_used_again(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, map(str, range(1000)))
    async with proxied(server) as (proxy, ours):
        campaign = campaign_of(ours, await plan_of(ours, ids))
        phases = set()
        found: list[Result] = []

        async def return_later() -> None:
            await soon(lambda: campaign.phase is Phase.READING)
            phases.add(campaign.phase)
            await client.script_flush()
            proxy.away = False

        async def leave() -> None:
            proxy.away = True

        proxy.after = leave
        back: asyncio.Future[None] | None = None
        async for batch in campaign.run():
            found += batch
            if back is None:
                proxy.accidents = [LOST]
                back = asyncio.ensure_future(return_later())
        assert back is not None
        await back
    assert phases == {Phase.READING}
    assert codes(found) == dict.fromkeys(ids, Code.DONE)
    assert campaign.phase is Phase.DONE
    assert await census(client) == {job_id: ["wait"] for job_id in ids}


@pytest.mark.slow
async def test_a_server_that_comes_back_empty_gets_no_jobs_and_no_praise(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, map(str, range(10_000)))
    with start() as empty:
        async with proxied(server) as (proxy, ours):
            campaign = campaign_of(ours, await plan_of(ours, ids))
            found: list[Result] = []

            async def replace() -> None:
                proxy.server = empty

            async def resume() -> None:
                proxy.after = replace
                async for batch in campaign.run():
                    if not found:
                        proxy.accidents = [LOST]
                    found.extend(batch)

            await resume()
        heir = ours_to(empty)
        assert await heir.dbsize() == 0
        await heir.aclose()
    assert (campaign.phase, campaign.why) == (Phase.STOPPED, VANISHED)
    known = [result.code for result in found]
    assert set(known) == {Code.DONE, Code.UNKNOWN}
    assert campaign.decided == len(found) < 10_000
