"""The script that retries: its codes, its pins, and what it clears."""

from __future__ import annotations

import asyncio
import math

import pytest
from bullmq import FlowProducer
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result, meaning
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import LARGEST_BATCH, NEVER, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from tests.bullmq.writers.retrying import COMPLETED, FAILED, codes, digest, picked
from tests.seeds import (
    QUEUE,
    START,
    census,
    failed_jobs,
    raw_failed,
    real_queue,
)
from tests.wires import counted


async def test_real_jobs_are_retried_and_a_real_worker_runs_them_in_order(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 20, attempts=1)
        batch = await RetryWriter(any_client).retry(QUEUE, FAILED, picked(ids))
        assert batch.note == ""
        assert list(batch.results) == [Result(one, Code.DONE, target="wait") for one in ids]
        assert all(result.done for result in batch.results)
        await real.work(20)
        assert real.ran == [*ids, *ids]
    assert await census(any_client) == {one: ["failed"] for one in ids}


async def test_a_job_needs_to_exist_and_to_be_in_its_state(client: Redis) -> None:
    await raw_failed(client, "123")
    await raw_failed(client, "45", state="completed")
    await client.delete(QUEUE.job("2"))
    before = await digest(client)
    assert await codes(client, picked("249")) == [-1, -3, -1]
    assert await digest(client) == before
    assert await codes(client, picked("1243")) == [1, -1, -3, 1]
    assert await census(client) == {
        "1": ["wait"],
        "2": ["failed"],
        "3": ["wait"],
        "4": ["completed"],
        "5": ["completed"],
    }


async def test_a_job_named_twice_is_retried_once(client: Redis) -> None:
    await raw_failed(client, "12")
    assert await codes(client, picked("1121")) == [1, -3, 1, -3]
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == ["2", "1"]


@pytest.mark.parametrize("ids", [["\0"], ["\0", "\0\0"], ["a", "\0", "\0\0\0"]])
@pytest.mark.parametrize("picks", ["all", "others"])
async def test_a_job_whose_id_is_made_of_nuls_is_a_job_as_any_other(
    any_client: Redis, ids: list[str], picks: str
) -> None:
    """A right to remove is tried with a member that is not there, also where members are odd."""
    await raw_failed(any_client, [*ids, "other"])
    chosen = ids if picks == "all" else ["other"]
    assert await codes(any_client, picked(chosen)) == [1] * len(chosen)
    left = {one: ["wait" if one in chosen else "failed"] for one in [*ids, "other"]}
    assert await census(any_client) == left


@pytest.mark.parametrize("score", [START - 1, START + 0.5, math.inf, -math.inf, NEVER])
async def test_a_job_is_pinned_to_its_finish(client: Redis, score: float) -> None:
    await raw_failed(client, "1")
    before = await digest(client)
    assert await codes(client, picked("1", score)) == [-3]
    assert await digest(client) == before
    assert await codes(client, picked("1", START)) == [1]


@pytest.mark.parametrize("score", [0.1, 1e300, math.inf, -5, 2**53 + 2, START * 4096 + 7])
async def test_any_score_pins(client: Redis, score: float) -> None:
    await raw_failed(client, "1")
    await client.zadd(QUEUE.key("failed"), {"1": score})
    read = await client.zscore(QUEUE.key("failed"), "1")
    assert await codes(client, picked("1", read)) == [1]


def test_what_is_pinned() -> None:
    assert Picked("1", 5).pinned
    assert Picked("1", 0).pinned
    assert not Picked("1").pinned
    assert not Picked("1", NEVER).pinned


async def test_resets_delete_what_they_name(client: Redis) -> None:
    for made in (False, True):
        for started in (False, True):
            await raw_failed(client, "1", change=lambda _: {"attemptsMade": 1})
            await RetryWriter(client).retry(
                QUEUE,
                FAILED,
                picked("1"),
                reset_attempts_made=made,
                reset_attempts_started=started,
            )
            left = set(await client.hkeys(QUEUE.job("1")))
            assert ("atm" in left, "attemptsMade" in left) == (not made, not made)
            assert ("ats" in left) == (not started)
            assert not left & {"failedReason", "finishedOn", "processedOn"}
            assert {"data", "opts", "name", "timestamp"} <= left
            await client.delete(QUEUE.key("wait"))


async def test_completed_jobs_lose_their_return_value_and_keep_an_older_reason(
    client: Redis,
) -> None:
    await raw_failed(client, "1", state="completed", change=lambda _: {"returnvalue": "1"})
    batch = await RetryWriter(client).retry(QUEUE, COMPLETED, picked("1"))
    assert batch.results[0].done
    left = set(await client.hkeys(QUEUE.job("1")))
    assert "returnvalue" not in left
    assert "failedReason" in left


@pytest.mark.parametrize("state", [state for state in JobState if not state.is_finished])
async def test_jobs_that_are_not_finished_cannot_be_retried(client: Redis, state: JobState) -> None:
    with pytest.raises(ValueError, match="can't be retried"):
        await RetryWriter(client).retry(QUEUE, state, picked("1"))


async def test_a_batch_has_its_largest_size(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(LARGEST_BATCH)))
    with pytest.raises(ValueError, match="1001 jobs"):
        await RetryWriter(client).retry(QUEUE, FAILED, picked([*ids, "x"]))
    assert set(await codes(client, picked(ids))) == {1}
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == ids[::-1]
    assert await codes(client, []) == []


async def test_a_call_costs_one_round_trip_and_one_more_after_a_flush_of_scripts(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_failed(client, "123")
    async with counted(server) as (counting, trips):
        writer = RetryWriter(counting)
        for one, price in (("1", 2), ("2", 1)):
            trips.count = 0
            assert (await writer.retry(QUEUE, FAILED, picked(one))).results[0].done
            assert trips.count == price
        await client.script_flush()
        trips.count = 0
        assert (await writer.retry(QUEUE, FAILED, picked("3"))).results[0].done
        assert trips.count == 2


async def test_queues_and_jobs_of_any_name(any_client: Redis) -> None:
    for name in ("a:b", "a*b", "[x]", "with blank", "名", "{tag}", "\udcff\udcfe", "x\0y", "%s%d"):
        queue = QueueKey.of("p:{q}", name)
        ids = [name, "a:b:c", "\udcff", "0:a", " ", "%d"]
        await raw_failed(any_client, ids, queue)
        assert await codes(any_client, picked(ids), queue) == [1] * len(ids)
        # In wait workers would throw 0:a away as a wake-up.
        assert await any_client.zrange(queue.key("prioritized"), 0, -1) == ["0:a"]
        waiting = [one for one in ids[::-1] if one != "0:a"]
        assert await any_client.lrange(queue.key("wait"), 0, -1) == waiting
        events = await any_client.execute_command("XRANGE", queue.key("events"), "-", "+")
        assert [dict(fields)["jobId"] for _, fields in events] == ids


async def test_two_writers_at_the_same_moment_retry_each_job_once(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(200)))
    found = await asyncio.gather(*(codes(client, picked(ids)) for _ in range(5)))
    assert [sorted(each) for each in zip(*found, strict=True)] == [[-3, -3, -3, -3, 1]] * 200
    assert await census(client) == {one: ["wait"] for one in ids}


async def test_a_real_child_goes_back_to_its_parent(server: EmbeddedServer, client: Redis) -> None:
    kids = QueueKey.of("bull", "kids")
    flow = FlowProducer(server.url)
    child = {"name": "c", "queueName": "kids", "data": {"error": "boom"}}
    options = {"opts": {"ignoreDependencyOnFailure": True}}
    await flow.add(
        {"name": "p", "queueName": "q", "data": {}, "children": [child | options, child]}
    )
    await flow.close()
    async with real_queue(server, kids) as real:
        await real.work(2)
        [parent] = await client.zrange(QUEUE.key("waiting-children"), 0, -1)
        assert await client.hlen(QUEUE.job(str(parent), "failed")) == 1
        batch = await RetryWriter(client).retry(kids, FAILED, picked(real.ran))
        assert [result.done for result in batch.results] == [True, True]
        assert await client.hlen(QUEUE.job(str(parent), "failed")) == 0
        assert await client.scard(QUEUE.job(str(parent), "dependencies")) == 2


def test_codes_have_words() -> None:
    assert [meaning(code, "failed") for code in Code] == [
        "retried",
        "refused by Redis",
        "job is gone",
        "not in failed",
        "a scheduler's current iteration",
        "a child failed or is gone, rerun the flow",
        "unknown: the connection was lost",
    ]
