"""What has become of retried jobs: exact while events come, when they are lost, and without."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.model import JobState
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.outcome import Fate, Outcome, OutcomeTally
from tests.operations.following import EVENTS, began, retried, retry, run
from tests.patience import AT_ONCE, PATIENCE
from tests.seeds import (
    QUEUE,
    Fields,
    failed_jobs,
    job,
    raw_failed,
    real_queue,
    soon,
)


async def test_every_end_is_reported_by_the_events(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 4)
        ids += await failed_jobs(real, 1, removeOnComplete=True)
        ids += await real.add(job(error="boom", attempts=2), job(error="boom", attempts=2))
        await real.work(4)
        # Room for the next failure to be no end.
        long = {"attempts": 2, "backoff": {"type": "fixed", "delay": 600_000}}
        await any_client.hset(QUEUE.job(ids[5]), "opts", json.dumps(long))
        strangers = await failed_jobs(real, 3)
        follower = await began(ours)
        assert await follower.look() == set()
        results = await retry(any_client, [*ids, "no such job"], made=True)
        assert results[-1].code is Code.NO_SUCH_JOB
        follower.add(results, ["boom"] * len(results))
        await retry(any_client, strangers)
        assert follower.undecided == len(follower.outcomes) == 7
        assert follower.tally() == OutcomeTally(waiting=7)
        await follower.look()
        plan = {
            ids[1]: "boom",
            ids[2]: "Timeout of 5 ms",
            ids[5]: "boom",
            ids[6]: "Timeout of 7 ms",
        }
        await run(real, 7 + 1 + len(strangers), plan)
        assert await follower.look() == set(ids)
        assert follower.tally() == OutcomeTally(
            delayed=1,
            completed=3,
            failed_again=3,
            same_error=1,
            errors=(("Timeout of <n> ms", 2), ("boom", 1)),
        )
        assert follower.outcomes[ids[4]] == Outcome(Fate.COMPLETED)
        assert follower.outcomes[ids[2]] == Outcome(Fate.FAILED_AGAIN, "Timeout of 5 ms")
        assert follower.outcomes[ids[5]] == Outcome(Fate.DELAYED)
        assert follower.tally(ids[:2]) == OutcomeTally(
            completed=1, failed_again=1, same_error=1, errors=(("boom", 1),)
        )
        assert follower.tally([ids[0], ids[0], *strangers]) == OutcomeTally(completed=1)
        assert await follower.look() == set()
        assert follower.undecided == 1


async def test_a_job_under_way_is_active(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    gate, started = asyncio.Event(), asyncio.Event()

    async def hold(*_: object) -> None:
        started.set()
        await gate.wait()

    async with retried(any_server, any_client, ours, 2) as (real, ids, follower):
        async with real.worker(processor=hold) as ended:
            await started.wait()
            assert await follower.look() == {ids[0]}
            assert follower.tally() == OutcomeTally(active=1, waiting=1)
            gate.set()
            await ended(2)
        assert await follower.look() == set(ids)
        assert follower.tally() == OutcomeTally(completed=2)


async def test_jobs_that_have_run_before_their_result_is_known(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 3, removeOnComplete=True)
        follower = await began(ours)
        results = await retry(any_client, ids)
        await run(real, 3, {ids[1]: "boom"})
        assert await follower.look() == set()
        follower.add(results, ["boom"] * 3)
        assert follower.tally() == OutcomeTally(
            completed=2, failed_again=1, same_error=1, errors=(("boom", 1),)
        )
        assert await follower.look() == set(ids)


async def test_what_another_client_retries_is_counted_apart(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    async with retried(any_server, any_client, ours, 2) as (real, ids, follower):
        await run(real, 2, dict.fromkeys(ids, "boom"))
        await retry(any_client, ids[:1])
        await run(real, 1)
        assert await follower.look() == set(ids)
        assert follower.outcomes[ids[0]] == Outcome(Fate.FAILED_AGAIN, "boom")
        failed_twice = OutcomeTally(
            failed_again=2, same_error=2, errors=(("boom", 2),), retried_since=1
        )
        assert follower.tally() == follower.tally(ids) == failed_twice


async def test_what_a_state_showed_first_was_not_retried_by_another_client(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    """The events of the retry itself come after the states here."""
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 2)
        follower = await began(ours)
        follower.add(await retry(any_client, ids))
        await follower.look()
        await any_client.rename(EVENTS, "away")
        await run(real, 2, {ids[0]: "boom"})
        await any_client.delete(EVENTS)
        assert (await follower.settle(PATIENCE)).completed == 1
        await any_client.rename("away", EVENTS)
        # BullMQ itself puts one back before its last attempt; the other was another client.
        late = (("waiting", 0), ("active", 0), ("failed", 0), ("completed", 1), ("waiting", 1))
        for name, one in late:
            fields: Fields = {"event": name, "jobId": ids[one], "prev": "failed"}
            await any_client.xadd(EVENTS, fields)
        await follower.look()
        assert follower.tally().retried_since == 1


@pytest.mark.parametrize("loss", ["trimmed", "deleted", "no stream", "whole"])
async def test_lost_events_are_made_up_for_by_the_states(
    any_server: EmbeddedServer, any_client: Redis, ours: Client, loss: str
) -> None:
    async with retried(any_server, any_client, ours, 4) as (real, ids, follower):
        await any_client.hset(QUEUE.job(ids[3]), "opts", json.dumps({"removeOnComplete": True}))
        await follower.look()
        await run(real, 4, {ids[1]: "boom"})
        match loss:
            case "trimmed":
                await any_client.xtrim(EVENTS, maxlen=0, approximate=False)
            case "deleted":
                await any_client.delete(EVENTS)
            case "no stream":
                await any_client.delete(EVENTS)
                await any_client.set(EVENTS, "junk")
        start = time.perf_counter()
        tally = await follower.settle(PATIENCE)
        assert time.perf_counter() - start < AT_ONCE
        gone = int(loss != "whole")
        expected = OutcomeTally(
            completed=3 - gone, failed_again=1, same_error=1, errors=(("boom", 1),), gone=gone
        )
        assert tally == expected
        assert follower.mute or loss != "no stream"


@pytest.mark.slow
async def test_a_job_that_is_removed_is_gone(server: EmbeddedServer, client: Redis) -> None:
    async with retried(server, client, client, 2) as (real, ids, follower):
        await real.queue.remove(ids[0])
        assert await follower.look() == {ids[0]}
        assert follower.tally() == OutcomeTally(gone=1, waiting=1)
        await client.delete(QUEUE.job(ids[1]))  # without a word
        assert await follower.settle(PATIENCE) == OutcomeTally(gone=2)


@pytest.mark.slow
async def test_a_job_that_is_missing_is_not_gone_while_events_are_unread(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    ids = await raw_failed(any_client, ["1", "2"])
    await any_client.hset(QUEUE.key("meta"), "opts.maxLenEvents", "1000000")
    await any_client.xadd(EVENTS, {"event": "added", "jobId": "1"})
    ours = connect(parse_target(any_server.url), read_only=True)
    follower, start = await began(ours), time.monotonic()
    follower.add(await retry(any_client, ids))
    await follower.look()
    # A gap, so that the states are due, and more events than one look reads.
    await any_client.delete(EVENTS)
    pipe = any_client.pipeline(transaction=False)
    for number in range(45_000):
        pipe.xadd(EVENTS, {"event": "active", "jobId": f"other{number}"})
    pipe.xadd(EVENTS, {"event": "completed", "jobId": "1"})
    pipe.delete(*map(QUEUE.job, ids))
    await pipe.execute()
    await soon(lambda: time.monotonic() - start > 0.5)
    assert await follower.look() == set()
    assert (await any_client.info("commandstats"))["cmdstat_zmscore"]["calls"] >= 5
    assert follower.behind
    assert await follower.settle(PATIENCE) == OutcomeTally(completed=1, gone=1)
    assert follower.outcomes["1"].fate is Fate.COMPLETED
    await ours.aclose()


async def test_an_older_end_is_not_taken_for_this_one(
    client: Redis, server: EmbeddedServer
) -> None:
    ids = await raw_failed(client, ["a", "b"])
    follower = await began(client)
    for one in ids:
        await client.xadd(EVENTS, {"event": "failed", "jobId": one, "failedReason": "before"})
    follower.add([Result(one, Code.DONE, "wait") for one in ids])
    await client.xadd(EVENTS, {"event": "completed", "jobId": "b"})
    assert await follower.look() == {"b"}
    assert follower.tally() == OutcomeTally(waiting=1, completed=1)


async def test_a_retry_of_completed_jobs(
    any_server: EmbeddedServer, any_client: Redis, ours: Client
) -> None:
    async with real_queue(any_server) as real:
        ids = await real.add(job(), job())
        await real.work(2)
        follower = await began(ours, state=JobState.COMPLETED)
        follower.add(await retry(any_client, ids, JobState.COMPLETED))
        await run(real, 2, {ids[0]: "boom"})
        assert await follower.look() == set(ids)
        assert follower.tally() == OutcomeTally(completed=1, failed_again=1, errors=(("boom", 1),))


async def test_of_more_than_are_followed_the_number_is_kept(client: Redis) -> None:
    ids = await raw_failed(client, [str(number) for number in range(1, 8)])
    follower = await began(client, most=5)
    results = await retry(client, ids)
    follower.add(results[:4])
    follower.add(results[3:])
    assert follower.tally() == OutcomeTally(waiting=5, beyond=2)
    assert len(follower.outcomes) == follower.undecided == 5


async def test_states_that_an_acl_hides_are_said_and_the_events_still_tell(
    server: EmbeddedServer, client: Redis
) -> None:
    await client.acl_setuser(
        "eyes",
        enabled=True,
        passwords=["+secret"],
        categories=["+@all"],
        commands=["-zscore", "-zmscore"],
        keys=["*"],
    )
    theirs = Redis.from_url(server.url, username="eyes", password="secret", decode_responses=True)
    try:
        async with retried(server, client, theirs, 2) as (real, ids, follower):
            await client.delete(EVENTS)
            await follower.look()
            await client.xadd(EVENTS, {"event": "x"})
            async with asyncio.timeout(PATIENCE):
                while not follower.blind:
                    await follower.settle(0.2)
            assert "zscore" in follower.blind
            await run(real, 2)
            assert await follower.settle(PATIENCE) == OutcomeTally(completed=2)
            assert set(follower.outcomes) == set(ids)
    finally:
        await theirs.aclose()
        await client.acl_deluser("eyes")
