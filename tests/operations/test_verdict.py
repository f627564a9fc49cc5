"""A verdict leaves nothing out: what is unknown of a canary counts as if it had failed again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.canary import is_hopeless, verdict_on
from qtui.operations.engine.pace import Pace
from qtui.operations.following.follower import Follower
from qtui.operations.following.outcome import Fate, OutcomeTally
from qtui.operations.journal.reading import ids as campaign_ids
from qtui.operations.journal.reading import read_lines, summary
from qtui.operations.planning.plan import Resets
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.views.campaigns import facts, read_story
from tests.operations.campaigns import codes, plan_for, run
from tests.operations.following import EVENTS, began, by_plan, retry
from tests.patience import AT_ONCE, PATIENCE
from tests.seeds import QUEUE, failed_jobs, raw_failed, real_queue
from tests.servers import connect, start

PACE = Pace(canary=20)


@pytest.mark.parametrize(
    ("tally", "why"),
    [
        (OutcomeTally(completed=20), ""),
        (OutcomeTally(completed=18, failed_again=2), ""),
        (
            OutcomeTally(completed=17, failed_again=3),
            "canary: 3 of 20 jobs failed again (limit 10 %)",
        ),
        (OutcomeTally(completed=18, failed_again=1, active=1), ""),
        (
            OutcomeTally(completed=17, failed_again=1, active=2),
            "canary: 1 of 20 jobs failed again, 2 active after 60 s (limit 10 %)",
        ),
        (
            OutcomeTally(completed=1, active=19),
            "canary: 19 of 20 jobs active after 60 s (limit 10 %)",
        ),
        (
            OutcomeTally(completed=10, waiting=4, delayed=3, undone=1, beyond=2),
            "canary: 4 of 20 jobs waiting, 3 delayed (will run again), 1 back where they were"
            " (Redis lost the retry), 2 not followed after 60 s (limit 10 %)",
        ),
        (
            OutcomeTally(completed=1, unknown=19),
            "canary: 19 of 20 jobs unknown after 60 s (limit 10 %)",
        ),
        (
            OutcomeTally(gone=20),
            "canary: 20 of 20 jobs removed (outcome unknown: no event seen): cannot be judged",
        ),
        (
            OutcomeTally(completed=9, failed_again=1, gone=5, waiting=5),
            "canary: 1 of 20 jobs failed again, 5 removed (outcome unknown: no event seen)"
            " (limit 10 %)",
        ),
        (OutcomeTally(completed=18, gone=2), ""),
    ],
)
def test_what_is_unknown_counts_as_failed(tally: OutcomeTally, why: str) -> None:
    assert verdict_on(tally, PACE) == why


def test_it_says_what_hides_the_jobs() -> None:
    assert verdict_on(OutcomeTally(gone=20), PACE, mute=True) == (
        "canary: 20 of 20 jobs removed (outcome unknown: the queue keeps no events): "
        "cannot be judged"
    )
    assert "20 of 20 jobs unknown (NOPERM zscore)" in verdict_on(
        OutcomeTally(unknown=20), PACE, blind="NOPERM zscore"
    )


def test_it_is_over_early_only_where_no_open_job_can_change_it() -> None:
    assert not is_hopeless(OutcomeTally(completed=1, failed_again=2, active=17), PACE)
    assert is_hopeless(OutcomeTally(failed_again=2, gone=1, active=17), PACE)


async def test_jobs_that_fail_and_are_removed_unseen_stop_it(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 60, attempts=1)
        for one in ids:
            await any_client.hset(QUEUE.job(one), "opts", '{"attempts":1,"removeOnFail":true}')
        await any_client.hset(QUEUE.key("meta"), "opts.maxLenEvents", 0)
        await any_client.delete(EVENTS)
        plan = await plan_for(any_client)
        pace = Pace(canary=20, canary_seconds=15)
        campaign = Campaign(
            any_client, Retry(any_client, RetryWriter(any_client), plan, Resets()), pace
        )

        async def trim() -> None:
            async with connect(any_server) as other:
                while not campaign.is_over:  # as `streams.events.maxLen: 0` does, to the last one
                    await other.xtrim(EVENTS, maxlen=0, approximate=False)
                    await asyncio.sleep(0.001)

        trimming = asyncio.ensure_future(trim())
        async with real.worker(processor=by_plan(dict.fromkeys(ids, "boom"))):
            found = await run(campaign)
        await trimming
    assert len(found) == 20
    assert campaign.phase is Phase.STOPPED
    assert campaign.why.startswith("canary: ")
    assert "removed" in campaign.why
    assert await any_client.zcard(QUEUE.key("failed")) == 40


@pytest.mark.slow
async def test_jobs_that_still_run_when_the_time_is_up_stop_it(
    any_server: EmbeddedServer, any_client: Redis, tmp_path: Path
) -> None:
    gate, runs = asyncio.Event(), 0

    async def first_only(*_: object) -> str:
        nonlocal runs
        runs += 1
        if runs > 1:
            await gate.wait()
        return "done"

    async with real_queue(any_server) as real:
        await failed_jobs(real, 40, attempts=1)
        plan = await plan_for(any_client)
        pace = Pace(canary=20, canary_seconds=2)
        record = Recorder(folder=tmp_path, where="here", how="test")
        campaign = Campaign(
            any_client,
            Retry(any_client, RetryWriter(any_client), plan, Resets()),
            pace,
            record=record,
        )
        async with real.worker(processor=first_only, concurrency=30) as ended:
            found = await run(campaign)
            campaign.close()
            gate.set()
            await ended(20)
    assert len(found) == 20
    assert campaign.phase is Phase.STOPPED
    assert campaign.why == verdict_on(OutcomeTally(completed=1, active=19), pace)
    assert await any_client.zcard(QUEUE.key("failed")) == 20
    [campaign_id] = campaign_ids(tmp_path)
    one = summary(tmp_path, campaign_id)
    assert (one.phase, one.note) == ("stopped", campaign.why)  # so it can be resumed
    assert one.outcomes == {"completed": 1, "active": 19}


async def test_what_lost_events_hid_is_read_as_soon_as_it_is_quiet(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    """A worker faster than we read, on a stream that keeps a few events only."""
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 300, attempts=1)
        follower = await began(any_client)
        follower.add(await retry(any_client, ids))
        await follower.look()
        async with real.worker(processor=by_plan({}), concurrency=50) as ended:
            for most in (100, 200, 300):
                await ended(most)
                await any_client.xtrim(EVENTS, maxlen=3, approximate=False)
                await follower.look()
        looked = asyncio.get_running_loop().time()
        assert await follower.settle(PATIENCE) == OutcomeTally(completed=300)
        assert asyncio.get_running_loop().time() - looked < AT_ONCE


async def test_a_job_back_at_its_own_finish_never_ran(any_client: Redis) -> None:
    """As after a failover: the server that took the retry is not the one that answers."""
    ids = await raw_failed(any_client, ["1", "2"])
    found = [await any_client.zscore(QUEUE.key("failed"), one) for one in ids]
    scores = [one for one in found if one is not None]
    follower = await began(any_client)
    follower.add(await retry(any_client, ids), ["boom"] * 2, scores)
    await any_client.delete(EVENTS)
    await any_client.zadd(QUEUE.key("failed"), {ids[0]: scores[0], ids[1]: scores[1] + 1})
    assert await follower.conclude(PATIENCE)
    assert follower.outcomes[ids[0]].fate is Fate.UNDONE
    assert follower.outcomes[ids[1]].fate is Fate.FAILED_AGAIN
    tally = follower.final()
    assert (tally.undone, tally.failed_again, tally.followed) == (1, 1, 2)


async def test_a_journal_never_ends_on_a_count_that_only_reads_like_a_last_one(
    any_client: Redis, tmp_path: Path
) -> None:
    ids = await raw_failed(any_client, [str(number) for number in range(1, 11)])
    plan = await plan_for(any_client)
    campaign = Campaign(
        any_client,
        Retry(any_client, RetryWriter(any_client), plan, Resets()),
        record=Recorder(folder=tmp_path, where="here", how="test"),
    )
    assert codes(await run(campaign)) == dict.fromkeys(ids, Code.DONE)
    await any_client.xadd(EVENTS, {"event": "active", "jobId": "1", "prev": "waiting"})
    await any_client.xadd(EVENTS, {"event": "completed", "jobId": "1", "prev": "active"})
    await campaign.action.follower.look()
    campaign.close()
    [campaign_id] = campaign_ids(tmp_path)
    *_, end = read_lines(tmp_path, campaign_id)
    assert end["outcomes"] == {"completed": 1, "unknown": 9}
    said = dict(facts(summary(tmp_path, campaign_id), read_story(tmp_path, campaign_id)))
    assert said["outcome"] == "1 completed · 9 unknown (not followed to the end)"


async def test_an_end_that_was_read_says_where_the_rest_is(
    any_client: Redis, tmp_path: Path
) -> None:
    await raw_failed(any_client, [str(number) for number in range(1, 11)])
    plan = await plan_for(any_client)
    campaign = Campaign(
        any_client,
        Retry(any_client, RetryWriter(any_client), plan, Resets()),
        record=Recorder(folder=tmp_path, where="here", how="test"),
    )
    await run(campaign)
    await campaign.action.follower.look()
    await any_client.lrem(QUEUE.key("wait"), 1, "7")
    await any_client.zadd(QUEUE.key("completed"), {"7": 5})  # without an event
    await campaign.finish(PATIENCE)
    [campaign_id] = campaign_ids(tmp_path)
    assert summary(tmp_path, campaign_id).outcomes == {"completed": 1, "waiting": 9}


async def test_states_are_read_where_the_server_lacks_zmscore() -> None:
    with start("redis", ("--rename-command", "ZMSCORE", "")) as old:
        async with connect(old) as client:
            ids = await raw_failed(client, ["1", "2", "3"])
            follower = await began(client)
            follower.add(await retry(client, ids))
            await client.lrem(QUEUE.key("wait"), 1, "2")
            await client.zadd(QUEUE.key("completed"), {"2": 5})
            await client.delete(EVENTS)
            assert await follower.conclude(PATIENCE)
            assert follower.tally() == OutcomeTally(completed=1, waiting=2)


async def test_a_connection_that_is_gone_leaves_the_rest_unknown(
    server: EmbeddedServer, client: Redis
) -> None:
    ids = await raw_failed(client, ["1", "2"])
    follower: Follower = await began(client)
    follower.add(await retry(client, ids))
    await follower.look()
    await client.delete(EVENTS)
    paused = asyncio.ensure_future(client.execute_command("DEBUG", "SLEEP", "1"))
    await asyncio.sleep(0.05)  # so that it is asleep when it is asked
    assert not await follower.conclude(0.2)
    assert follower.tally() == OutcomeTally(waiting=2)
    assert follower.final() == OutcomeTally(unknown=2)
    await paused
