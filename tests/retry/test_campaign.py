"""A campaign retries each chosen job once, says the truth of each, and survives what befalls it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import resources

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import ResponseError

from qtui.bullmq.codes import Code, ForeignQueue, Result
from qtui.bullmq.connection import Client, connect, parse
from qtui.bullmq.model import JobState
from qtui.bullmq.writer import Picked, Writer
from qtui.demo.server import EmbeddedServer
from qtui.retry.campaign import LARGEST, SMALLEST, Campaign, Phase
from qtui.retry.plan import Plan, Resets, make_plan
from tests.seeds import QUEUE, census, failed_jobs, raw_failed, real_queue, soon
from tests.servers import start
from tests.wires import Accident, Proxy, open_proxy

FAILED = JobState.FAILED
LOST, LATE, REPLY = Accident.CALL_LOST, Accident.CALL_LATE, Accident.REPLY_LOST


async def plan_of(client: Client, ids: Sequence[str]) -> Plan:
    return await make_plan(client, QUEUE, FAILED, ids)


def campaign_of(
    client: Client, plan: Plan, resets: Resets | None = None, patience: float = 10.0
) -> Campaign:
    return Campaign(client, Writer(client), plan, resets or Resets(), patience=patience)


@asynccontextmanager
async def proxied(server: EmbeddedServer) -> AsyncIterator[tuple[Proxy, Redis]]:
    """A proxy and qtui's client behind it. The server knows the script: the first call is it."""
    script = resources.files("qtui.bullmq").joinpath("lua/retry.lua").read_text("utf-8")
    async with open_proxy(server) as proxy, proxy.client() as client:
        assert isinstance(client, Redis)
        await client.script_load(script)
        yield proxy, client


def ours_to(server: EmbeddedServer, timeout: float = 5.0) -> Redis:
    """Qtui's own client; the caller closes it."""
    client = connect(parse(server.url), read_only=False, timeout=timeout)
    assert isinstance(client, Redis)
    return client


async def run(campaign: Campaign) -> list[Result]:
    return [result async for batch in campaign.run() for result in batch]


def codes(results: Sequence[Result]) -> dict[str, Code]:
    found = {result.job_id: result.code for result in results}
    assert len(found) == len(results)
    return found


async def test_5000_jobs_go_in_batches_oldest_first(any_client: Redis) -> None:
    ids = await raw_failed(any_client, map(str, range(5000)))
    campaign = campaign_of(any_client, await plan_of(any_client, ids[::-1]))
    assert (campaign.phase, campaign.selected, campaign.decided) == (Phase.PLANNED, 5000, 0)
    sizes, results = [], []
    async for batch in campaign.run():
        assert campaign.phase is Phase.RUNNING
        sizes.append(len(batch))
        results += batch
        assert campaign.decided == campaign.retried == len(results)
    assert campaign.phase is Phase.DONE
    assert [result.job_id for result in results] == ids
    assert set(codes(results).values()) == {Code.RETRIED}
    assert {result.target for result in results} == {"wait"}
    assert all(SMALLEST <= size <= LARGEST for size in sizes[:-1])
    assert campaign.codes == Counter({Code.RETRIED: 5000})
    assert await any_client.lrange(QUEUE.key("wait"), 0, -1) == ids[::-1]
    assert await any_client.exists(QUEUE.key("failed")) == 0


async def test_a_campaign_stops_after_the_batch_that_is_under_way(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(500)))
    campaign = campaign_of(client, await plan_of(client, ids))
    results = []
    async for batch in campaign.run():
        results += batch
        campaign.stop()
    assert campaign.phase is Phase.STOPPED
    assert 0 < len(results) == campaign.decided < 500
    places = await census(client)
    assert places == {job_id: ["wait" if job_id in codes(results) else "failed"] for job_id in ids}


async def test_one_that_is_stopped_before_it_begins_does_nothing(client: Redis) -> None:
    ids = await raw_failed(client, "123")
    campaign = campaign_of(client, await plan_of(client, ids))
    campaign.stop()
    assert await run(campaign) == []
    assert campaign.phase is Phase.STOPPED
    assert set(await census(client)) == set("123")


async def test_an_empty_one_is_done(client: Redis) -> None:
    campaign = campaign_of(client, await plan_of(client, []))
    assert await run(campaign) == []
    assert campaign.phase is Phase.DONE


async def test_each_job_has_its_own_code(client: Redis) -> None:
    await raw_failed(client, "12345")
    plan = await plan_of(client, "1234569")
    # What the plan saw is not what the campaign finds.
    await client.zrem(QUEUE.key("failed"), "2")
    await client.delete(QUEUE.job("3"))
    await client.zincrby(QUEUE.key("failed"), 1, "4")
    await raw_failed(client, "6")
    assert codes(await run(campaign_of(client, plan))) == {
        "1": Code.RETRIED,
        "2": Code.NOT_IN_STATE,
        "3": Code.NO_SUCH_JOB,
        "4": Code.NOT_IN_STATE,
        "5": Code.RETRIED,
        "6": Code.NOT_IN_STATE,
        "9": Code.NO_SUCH_JOB,
    }


async def test_resets_are_carried_out(client: Redis) -> None:
    await raw_failed(client, "1")
    await run(campaign_of(client, await plan_of(client, "1"), Resets(made=True, started=True)))
    assert not {"atm", "ats"} & set(await client.hkeys(QUEUE.job("1")))


async def test_what_redis_refused_is_noted_once(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(400)))
    await client.set(QUEUE.key("events"), "junk")
    campaign = campaign_of(client, await plan_of(client, ids))
    await run(campaign)
    assert campaign.retried == 400
    [note] = campaign.notes
    assert "WRONGTYPE" in note


async def test_two_campaigns_over_the_same_plan_retry_each_job_once(server: EmbeddedServer) -> None:
    one, other = (ours_to(server) for _ in range(2))
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 300, attempts=1)
        plan = await plan_of(one, ids)
        both = [campaign_of(client, plan) for client in (one, other)]
        found = await asyncio.gather(*map(run, both))
        mine, theirs = map(codes, found)
        pairs = [{mine[job_id], theirs[job_id]} for job_id in ids]
        assert pairs == [{Code.RETRIED, Code.NOT_IN_STATE}] * 300
        assert sum(campaign.retried for campaign in both) == 300
        await real.work(300, 20)
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
    await one.aclose()
    await other.aclose()


async def test_a_job_that_fails_again_meanwhile_is_not_retried_again(
    any_server: EmbeddedServer,
) -> None:
    client = ours_to(any_server)
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 150, attempts=1)
        plan = await plan_of(client, ids)
        campaign = campaign_of(client, plan)
        async with real.worker(concurrency=10) as ended:
            async for batch in campaign.run():
                # All of it has failed again before the next batch is sent.
                await ended(campaign.decided)
                assert {result.code for result in batch} == {Code.RETRIED}
        assert campaign.retried == 150
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
        # Nor does a second campaign over the old plan find anything to do.
        assert set(codes(await run(campaign_of(client, plan))).values()) == {Code.NOT_IN_STATE}
    assert await census(client) == {job_id: ["failed"] for job_id in ids}
    await client.aclose()


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
async def test_whatever_is_lost_on_the_way_each_job_is_retried_once(
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
        assert codes(found) == dict.fromkeys(ids, Code.RETRIED)
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
        assert codes(found) == dict.fromkeys(ids, Code.RETRIED)
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
            await Writer(client).retry(QUEUE, FAILED, [Picked(one) for one in ids[:10]])
            await client.delete(*(QUEUE.job(one) for one in ids[10:15]))

        proxy.accidents, proxy.after = [LOST], take
        found = codes(await run(campaign))
    assert [found[one] for one in ids] == [
        *[Code.NOT_IN_STATE] * 10,
        *[Code.NO_SUCH_JOB] * 5,
        *[Code.RETRIED] * 25,
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
            "retried": Code.RETRIED,
            "orphan": Code.NO_SUCH_JOB,
            "string": Code.REFUSED,
            "elsewhere": Code.NOT_IN_STATE,
            "gone": Code.NO_SUCH_JOB,
        }
        assert proxy.happened == 1


async def test_of_jobs_that_are_gone_after_a_lost_reply_nobody_knows(
    server: EmbeddedServer,
) -> None:
    # They ran and were removed (as here), or somebody removed them before.
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
        assert found == {**dict.fromkeys(ids, Code.UNKNOWN), kept: Code.RETRIED}
        assert campaign.phase is Phase.DONE


async def test_a_server_that_dies_ends_the_campaign_within_its_patience(
    server: EmbeddedServer,
) -> None:
    with start() as mortal:
        client = ours_to(mortal)
        ids = await raw_failed(client, map(str, range(300)))
        campaign = campaign_of(client, await plan_of(client, ids), patience=0.5)
        found: list[Result] = []
        began = 0.0
        loop = asyncio.get_running_loop()
        async for batch in campaign.run():
            found += batch
            if not began:
                mortal.stop()
                began = loop.time()
        assert loop.time() - began < 3
        await client.aclose()
    assert campaign.phase is Phase.LOST
    known = [result.code for result in found]
    assert Code.RETRIED in known
    assert known == sorted(known, reverse=True)
    assert set(known) == {Code.RETRIED, Code.UNKNOWN}
    assert campaign.decided == len(found) < campaign.selected == 300


async def test_a_server_that_is_not_there_at_all_is_told_before_anything_is_sent(
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


async def test_a_server_that_comes_back_in_time_is_gone_on_with(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, map(str, range(300)))
    async with proxied(server) as (proxy, ours):
        campaign = campaign_of(ours, await plan_of(ours, ids))
        phases = set()
        found: list[Result] = []

        async def return_later() -> None:
            await soon(lambda: campaign.phase is Phase.READING)
            phases.add(campaign.phase)
            await client.script_flush()
            proxy.away = False

        back: asyncio.Future[None] | None = None
        async for batch in campaign.run():
            found += batch
            if back is None:
                proxy.away = True
                back = asyncio.ensure_future(return_later())
        assert back is not None
        await back
    assert phases == {Phase.READING}
    assert codes(found) == dict.fromkeys(ids, Code.RETRIED)
    assert campaign.phase is Phase.DONE
    assert await census(client) == {job_id: ["wait"] for job_id in ids}


async def test_a_server_that_comes_back_empty_gets_no_jobs_and_no_praise(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, map(str, range(300)))
    with start() as empty:
        async with proxied(server) as (proxy, ours):
            campaign = campaign_of(ours, await plan_of(ours, ids))
            found: list[Result] = []

            async def replace() -> None:
                proxy.server = empty

            async def go_on() -> None:
                proxy.after = replace
                async for batch in campaign.run():
                    if not found:
                        proxy.accidents = [LOST]
                    found.extend(batch)

            with pytest.raises(ForeignQueue):
                await go_on()
        heir = ours_to(empty)
        assert await heir.dbsize() == 0
        await heir.aclose()
    assert campaign.phase is Phase.STOPPED
    known = [result.code for result in found]
    assert set(known) == {Code.RETRIED, Code.UNKNOWN}
    assert campaign.decided == len(found) < 300


async def test_a_refusal_of_redis_ends_the_campaign_and_is_raised(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(300)))
    campaign = campaign_of(client, await plan_of(client, ids))
    found: list[Result] = []

    async def spoil() -> None:
        async for batch in campaign.run():
            found.extend(batch)
            await client.rename(QUEUE.key("failed"), "aside")
            await client.set(QUEUE.key("failed"), "junk")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await spoil()
    assert campaign.phase is Phase.STOPPED
    assert campaign.decided == len(found) < 300
    await client.rename("aside", QUEUE.key("failed"))
    assert await census(client) == {
        job_id: ["wait" if job_id in codes(found) else "failed"] for job_id in ids
    }


@pytest.mark.parametrize("kind", ["bull", "pro"])
async def test_a_foreign_queue_is_left_alone(client: Redis, kind: str) -> None:
    await raw_failed(client, "1")
    plan = await plan_of(client, "1")
    if kind == "pro":
        await client.hset(QUEUE.key("meta"), "version", "bullmq-pro:7.0.0")
    else:
        await client.delete(QUEUE.key("meta"))
        await client.hdel(QUEUE.job("1"), "ats", "atm")
    with pytest.raises(ForeignQueue):
        await run(campaign_of(client, plan))
    assert await census(client) == {"1": ["failed"]}


async def test_a_campaign_that_is_cancelled_loses_and_doubles_nothing(
    server: EmbeddedServer,
) -> None:
    client = ours_to(server)
    ids = await raw_failed(client, map(str, range(200)))
    plan = await plan_of(client, ids)
    moved = 0
    for steps in range(5, 60, 6):
        task = asyncio.ensure_future(run(campaign_of(client, plan)))
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        places = await census(client)
        assert sorted(places) == sorted(ids)
        states = Counter(state for (state,) in places.values())
        assert set(states) <= {"wait", "failed"}
        assert states["wait"] >= moved
        moved = states["wait"]
    await client.aclose()
