"""A retry over several queues: its canary takes jobs of all, it is followed and paced in each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.pace import Pace
from qtui.operations.following.outcome import OutcomeTally, total
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.retry.everywhere import RetryEverywhere
from qtui.operations.supply.selection import query
from tests.operations.campaigns import FAILED
from tests.seeds import RealQueue, failed_jobs, raw_failed, real_queue, soon

ONE, TWO = QueueKey.of("bull", "one"), QueueKey.of("bull", "two:2")


async def campaign_of(
    client: Redis, pace: Pace, queues: Sequence[QueueKey] = (ONE, TWO)
) -> Campaign[RetryEverywhere]:
    """A campaign over all that failed in the queues."""
    plans = [await make_plan(client, await query(client, one, FAILED), rate=0) for one in queues]
    action = RetryEverywhere(client, RetryWriter(client), plans, Resets(), canary=pace.canary)
    return Campaign(client, action, pace, patience=10)


async def run(campaign: Campaign[RetryEverywhere]) -> list[Result]:
    return [result async for batch in campaign.run() for result in batch]


async def heal(client: Redis, queue: QueueKey, ids: Sequence[str]) -> None:
    """What the jobs needed is there: they complete when they run again."""
    for job_id in ids:
        await client.hset(queue.job(job_id), "data", '{"result": "done"}')


@asynccontextmanager
async def two_queues(server: EmbeddedServer) -> AsyncIterator[tuple[RealQueue, RealQueue]]:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(real_queue(server, key)) for key in (ONE, TWO)]
        yield one, two


async def test_a_canary_has_jobs_of_each_queue_and_one_that_fails_again_stops_all(
    server: EmbeddedServer, client: Redis
) -> None:
    async with two_queues(server) as (one, two):
        firsts, seconds = await failed_jobs(one, 30), await failed_jobs(two, 30)
        await heal(client, ONE, firsts)
        campaign = await campaign_of(client, Pace(canary=10, canary_seconds=20))
        async with one.worker(), two.worker():
            results = await run(campaign)
    sent = {one.job_id for one in results}
    assert sent == {
        *(ONE.job(one) for one in firsts[:5]),
        *(TWO.job(one) for one in seconds[:5]),
    }
    assert campaign.phase is Phase.STOPPED
    assert campaign.why.startswith("canary: ")
    assert "of 10 jobs failed again" in campaign.why
    left = [await client.zcard(one.key("failed")) for one in (ONE, TWO)]
    assert left == [25, 30]
    assert campaign.action.follower.tally().failed_again >= 2


async def test_a_canary_that_fares_well_is_followed_by_the_rest_of_all_queues(
    server: EmbeddedServer, client: Redis
) -> None:
    async with two_queues(server) as (one, two):
        firsts, seconds = await failed_jobs(one, 40), await failed_jobs(two, 3)
        await heal(client, ONE, firsts)
        await heal(client, TWO, seconds)
        campaign = await campaign_of(client, Pace(canary=12, canary_seconds=20))
        async with one.worker(), two.worker():
            results = await run(campaign)
            changed = [ids async for ids in campaign.action.follower.watch(30)]
    assert (campaign.phase, len(results)) == (Phase.DONE, 43)
    # A queue with few jobs gives what it has, and the other one the rest.
    assert Counter(one.job_id.rpartition(":")[0] for one in results[:12]) == {
        ONE.base: 9,
        TWO.base: 3,
    }
    assert campaign.action.follower.tally() == OutcomeTally(completed=43)
    assert set().union(*changed) <= {one.job_id for one in results}
    assert campaign.action.counts() == {"completed": 43}
    assert len(campaign.action.outcomes() or {}) == 43


async def test_a_limit_on_waiting_jobs_holds_in_the_queue_whose_turn_it_is(client: Redis) -> None:
    await raw_failed(client, [f"a{at}" for at in range(4)], ONE)
    await raw_failed(client, [f"b{at}" for at in range(9)], TWO)
    campaign = await campaign_of(client, Pace(max_waiting=5))
    running = asyncio.ensure_future(run(campaign))
    await soon(lambda: bool(campaign.held))
    assert campaign.held == "5 jobs waiting in bull:two:2 (limit 5)"
    assert await client.llen(ONE.key("wait")) == 4
    assert await client.llen(TWO.key("wait")) == 5
    await client.delete(TWO.key("wait"))  # they run
    assert len(await running) == 13


async def test_a_full_queue_holds_no_other_one_up_and_has_its_turn_again(client: Redis) -> None:
    three = QueueKey.of("bull", "three")
    for queue, jobs in ((ONE, 9), (TWO, 3), (three, 7)):
        await raw_failed(client, [f"{queue.name[0]}{at}" for at in range(jobs)], queue)
    campaign = await campaign_of(client, Pace(max_waiting=4), [ONE, TWO, three])
    running = asyncio.ensure_future(run(campaign))
    await soon(lambda: campaign.decided == 11)  # the first queue is full, and so is the last
    await soon(lambda: bool(campaign.held))
    assert [await client.llen(one.key("wait")) for one in (ONE, TWO, three)] == [4, 3, 4]
    await client.delete(ONE.key("wait"))  # they run
    await soon(lambda: campaign.decided == 15)
    await soon(lambda: bool(campaign.held))
    assert [await client.llen(one.key("wait")) for one in (ONE, TWO, three)] == [4, 3, 4]
    await client.delete(ONE.key("wait"), three.key("wait"))
    results = await running
    assert (campaign.phase, len({one.job_id for one in results}), len(results)) == (
        Phase.DONE,
        19,
        19,
    )


def test_tallies_of_queues_add_up() -> None:
    one = OutcomeTally(completed=2, failed_again=3, errors=(("boom", 2), ("late", 1)), waiting=1)
    two = OutcomeTally(failed_again=2, errors=(("late", 2),), gone=1, beyond=4)
    assert total([one, two]) == OutcomeTally(
        completed=2,
        failed_again=5,
        errors=(("late", 3), ("boom", 2)),
        waiting=1,
        gone=1,
        beyond=4,
    )
    assert total([]) == OutcomeTally()
