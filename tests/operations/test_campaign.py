"""A campaign retries each chosen job once, in order, and says the truth of each."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.codes import Code, ForeignQueue, Result
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.call_size import LARGEST_CALL, SMALLEST_CALL
from qtui.operations.engine.campaign import Phase
from qtui.operations.planning.plan import Resets
from tests.operations.campaigns import campaign_of, codes, ours_to, plan_of, run
from tests.seeds import QUEUE, census, failed_jobs, raw_failed, real_queue


async def test_5000_jobs_go_in_batches_oldest_first(any_client: Redis) -> None:
    ids = await raw_failed(any_client, map(str, range(5000)))
    campaign = campaign_of(any_client, await plan_of(any_client, ids[::-1]))
    assert (campaign.phase, campaign.selected, campaign.decided) == (Phase.PLANNED, 5000, 0)
    sizes: list[int] = []
    results: list[Result] = []
    async for batch in campaign.run():
        assert campaign.phase is Phase.RUNNING
        sizes.append(len(batch))
        results += batch
        assert campaign.decided == campaign.done == len(results)
    assert campaign.phase is Phase.DONE
    assert [result.job_id for result in results] == ids
    assert set(codes(results).values()) == {Code.DONE}
    assert {result.target for result in results} == {"wait"}
    assert max(sizes) <= LARGEST_CALL
    assert len(sizes) < 5000 / SMALLEST_CALL
    assert campaign.codes == Counter({Code.DONE: 5000})
    assert await any_client.lrange(QUEUE.key("wait"), 0, -1) == ids[::-1]
    assert await any_client.exists(QUEUE.key("failed")) == 0


async def test_a_campaign_stops_after_the_batch_that_is_under_way(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(500)))
    campaign = campaign_of(client, await plan_of(client, ids))
    results: list[Result] = []
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
        "1": Code.DONE,
        "2": Code.NOT_IN_STATE,
        "3": Code.NO_SUCH_JOB,
        "4": Code.NOT_IN_STATE,
        "5": Code.DONE,
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
    assert campaign.done == 400
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
        assert pairs == [{Code.DONE, Code.NOT_IN_STATE}] * 300
        assert sum(campaign.done for campaign in both) == 300
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
                assert {result.code for result in batch} == {Code.DONE}
        assert campaign.done == 150
        assert Counter(real.ran) == dict.fromkeys(ids, 2)
        # Nor does a second campaign over the old plan find anything to do.
        assert set(codes(await run(campaign_of(client, plan))).values()) == {Code.NOT_IN_STATE}
    assert await census(client) == {job_id: ["failed"] for job_id in ids}
    await client.aclose()


async def test_a_refusal_of_redis_ends_the_campaign_and_is_raised(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(300)))
    campaign = campaign_of(client, await plan_of(client, ids))
    found: list[Result] = []

    async def spoil() -> None:
        async for batch in campaign.run():
            found.extend(batch)
            if len(found) == len(batch):
                async with client.pipeline() as both:
                    both.rename(QUEUE.key("failed"), "aside")
                    both.set(QUEUE.key("failed"), "junk")
                    await both.execute()

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
