"""A canary: some jobs go first, and the others follow only if those fared well."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.canary import verdict_on
from qtui.operations.engine.pace import Pace
from qtui.operations.following.outcome import Fate, OutcomeTally
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.operations.campaigns import FAILED, codes, plan_of, run
from tests.operations.following import by_plan
from tests.patience import AT_ONCE
from tests.seeds import QUEUE, RealQueue, census, failed_jobs, raw_failed, real_queue, soon


async def canary_of(client: Redis, pace: Pace, ids: Sequence[str] | None = None) -> Campaign[Retry]:
    """A campaign over some jobs, or over all that failed."""
    if ids is None:
        plan = await make_plan(client, await query(client, QUEUE, FAILED), rate=0)
    else:
        plan = await plan_of(client, ids)
    return Campaign(client, Retry(client, RetryWriter(client), plan, Resets()), pace, patience=10)


async def heal(client: Redis, ids: Sequence[str]) -> None:
    """What the jobs needed is there: they complete when they run again."""
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hset(QUEUE.job(job_id), "data", '{"result": "done"}')
    await pipe.execute()


async def worked(real: RealQueue, campaign: Campaign[Retry]) -> list[Result]:
    """Runs a campaign while a worker works."""
    async with real.worker(concurrency=5):
        return await run(campaign)


@pytest.mark.parametrize("by_query", [True, False])
async def test_jobs_that_always_fail_stop_it_and_the_rest_is_untouched(
    server: EmbeddedServer, client: Redis, by_query: bool
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 200, attempts=1)
        before = [await client.hgetall(QUEUE.job(one)) for one in ids[20:]]
        scores = [await client.zscore(QUEUE.key("failed"), one) for one in ids[20:]]
        campaign = await canary_of(
            client, Pace(canary=20, canary_seconds=15), None if by_query else ids
        )
        found = await worked(real, campaign)
        async with real.worker():  # it stopped as soon as too many had failed
            await soon(lambda: len(real.ran) == len(ids) + 20)
    assert codes(found) == dict.fromkeys(ids[:20], Code.DONE)
    assert campaign.phase is Phase.STOPPED
    tally = campaign.action.follower.tally()
    assert tally.failed_again > 2
    assert campaign.why == verdict_on(tally, campaign.pace)
    assert Counter(real.ran) == Counter(ids) + Counter(ids[:20])
    assert await census(client) == {one: ["failed"] for one in ids}
    assert [await client.hgetall(QUEUE.job(one)) for one in ids[20:]] == before
    assert [await client.zscore(QUEUE.key("failed"), one) for one in ids[20:]] == scores


async def test_jobs_that_recover_are_followed_by_the_rest(
    server: EmbeddedServer, client: Redis
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 120, attempts=1)
        await heal(client, ids)
        campaign = await canary_of(client, Pace(canary=20, canary_seconds=15))
        phases, sizes = [], []
        async with real.worker(concurrency=5) as ended:
            async for batch in campaign.run():
                phases.append(campaign.phase)
                sizes.append(len(batch))
                if sum(sizes) == 20:
                    waiting = await client.llen(QUEUE.key("wait"))
                    assert await client.zcard(QUEUE.key("failed")) == 100
                    assert waiting <= 20
            await ended(120)
        assert campaign.phase is Phase.DONE
        assert campaign.why == ""
        assert sum(sizes) == campaign.done == 120
        assert 20 in [sum(sizes[:at]) for at in range(1, len(sizes))]
        assert await census(client) == {one: ["completed"] for one in ids}


@pytest.mark.parametrize(("bad", "continues"), [(2, True), (3, False)])
async def test_as_many_as_may_fail_again_do_not_stop_it(
    server: EmbeddedServer, client: Redis, bad: int, continues: bool
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 40, attempts=1)
        await heal(client, ids[bad:])
        campaign = await canary_of(client, Pace(canary=20, canary_seconds=15, max_refail=10))
        await worked(real, campaign)
    assert campaign.done == (40 if continues else 20)
    assert campaign.phase is (Phase.DONE if continues else Phase.STOPPED)
    assert bool(campaign.why) is not continues


async def test_jobs_that_are_removed_when_they_complete_count_as_recovered(
    server: EmbeddedServer, client: Redis
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 60, attempts=1, removeOnComplete=True)
        await heal(client, ids)
        campaign = await canary_of(client, Pace(canary=10, canary_seconds=15))
        async with real.worker(concurrency=5) as ended:
            found = await run(campaign)
            await ended(60)
        assert (campaign.phase, campaign.why) == (Phase.DONE, "")
        assert codes(found) == dict.fromkeys(ids, Code.DONE)
        fates = {campaign.action.follower.outcomes[one].fate for one in ids[:10]}
        assert fates == {Fate.COMPLETED}
        assert await census(client) == {}


async def test_without_a_worker_it_stops_when_the_time_is_up(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(1, 51)))
    campaign = await canary_of(client, Pace(canary=5, canary_seconds=0.5))
    began = time.monotonic()
    found = await run(campaign)
    assert 0.5 <= time.monotonic() - began < AT_ONCE
    assert campaign.phase is Phase.STOPPED
    assert campaign.why == verdict_on(OutcomeTally(waiting=5), campaign.pace)
    assert codes(found) == dict.fromkeys(ids[:5], Code.DONE)
    assert await client.zcard(QUEUE.key("failed")) == 45


@pytest.mark.parametrize("canary", [30, 31, 1000])
@pytest.mark.parametrize(
    ("outcome", "why"), [("fail", "failed again"), ("ok", ""), ("none", "30 of 30 jobs waiting")]
)
async def test_one_that_is_as_large_as_the_selection_is_judged_too(
    server: EmbeddedServer, client: Redis, canary: int, outcome: str, why: str
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 30, attempts=1)
        watched = 0.5 if outcome == "none" else 20
        campaign = await canary_of(client, Pace(canary=canary, canary_seconds=watched), ids)
        if outcome == "none":
            found = await run(campaign)
        else:
            plan = by_plan({} if outcome == "ok" else dict.fromkeys(ids, "boom"))
            async with real.worker(processor=plan):
                found = await run(campaign)
    assert codes(found) == dict.fromkeys(ids, Code.DONE)
    assert campaign.phase is Phase.DONE
    assert why in campaign.why
    assert bool(why) == bool(campaign.why)
    assert not campaign.is_stopping


async def test_jobs_that_cannot_be_retried_are_not_its_birds(
    server: EmbeddedServer, client: Redis
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 60, attempts=1)
        campaign = await canary_of(client, Pace(canary=10, canary_seconds=15), ids)
        await client.delete(*map(QUEUE.job, ids[:15]))
        found = codes(await worked(real, campaign))
    gone, tried = ids[:15], ids[15:25]
    expected = dict.fromkeys(gone, Code.NO_SUCH_JOB) | dict.fromkeys(tried, Code.DONE)
    assert found == expected
    assert campaign.phase is Phase.STOPPED


async def test_a_stop_ends_the_watch_at_once(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(1, 51)))
    campaign = await canary_of(client, Pace(canary=5, canary_seconds=60))

    async def stop() -> None:
        await soon(lambda: campaign.phase is Phase.WATCHING)
        campaign.stop()

    stopping = asyncio.ensure_future(stop())
    began = time.monotonic()
    found = await run(campaign)
    await stopping
    assert time.monotonic() - began < AT_ONCE
    assert (campaign.phase, campaign.why) == (Phase.STOPPED, "")
    assert codes(found) == dict.fromkeys(ids[:5], Code.DONE)
    assert await client.zcard(QUEUE.key("failed")) == 45


async def test_with_a_rate_the_canary_goes_no_further(
    server: EmbeddedServer, client: Redis
) -> None:
    async with real_queue(server) as real:
        ids = await failed_jobs(real, 80, attempts=1)
        pace = Pace(rate=100, canary=30, canary_seconds=15)
        found = await worked(real, await canary_of(client, pace))
    # Some of it may have failed again before the last of it was sent, but no others go.
    assert codes(found) == dict.fromkeys(ids[:30], Code.DONE)
    again = Counter(real.ran) - Counter(ids)
    assert set(again) <= set(ids[:30])
    assert set(again.values()) == {1}
