"""What a plan says of all that will stop, delay or double a run; and what it does not say."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from qtui.bullmq.dialect import ONE_RESUME
from qtui.bullmq.model import STALLS, JobState
from qtui.demo.server import EmbeddedServer
from qtui.operations.planning.plan import make_plan
from qtui.operations.supply.selection import chosen, query
from tests.operations.flows import KIDS, raw_flow
from tests.operations.flows import plan_of as rerun_plan_of
from tests.seeds import QUEUE, Fields, raw_failed, raw_list
from tests.wires import counted

FAILED = JobState.FAILED


async def brakes(client: Redis, *ids: str) -> tuple[str, ...]:
    """Of chosen jobs; those of the whole state have to be the same."""
    plan = await make_plan(client, chosen(QUEUE, FAILED, ids))
    every = await make_plan(client, await query(client, QUEUE, FAILED), rate=0)
    assert every.brakes == plan.brakes
    return plan.brakes


async def test_a_healthy_queue_has_none(any_client: Redis) -> None:
    await raw_failed(any_client, "12", change=lambda _: {"stc": 0})
    await any_client.set(QUEUE.key("limiter"), 3, px=900)
    assert await brakes(any_client, "1", "2") == ()


@pytest.mark.parametrize("field", STALLS)
async def test_a_stall_counter_stays(any_client: Redis, field: str) -> None:
    await raw_failed(any_client, "123", change=lambda at: {field: at})
    assert await brakes(any_client, "1", "2", "3") == (
        "2 jobs have stalled before (stc), and a retry does not reset that: if one of them "
        "stalls again, it fails without a run (maxStalledCount 1).",
    )


async def test_a_deduplication_id_that_another_job_holds(any_client: Redis) -> None:
    await raw_failed(any_client, "123", change=lambda at: {"deid": f"d{at}"})
    await any_client.set(QUEUE.key("de:d0"), "77")
    await any_client.set(QUEUE.key("de:d1"), "2")  # its own, until the key expires
    assert await brakes(any_client, "1", "2", "3") == (
        "1 job has a deduplication id that another job holds now: both will run.",
    )
    await any_client.hset(QUEUE.key("dn:d2"), mapping={"name": "n", "data": "{}"})
    assert (await brakes(any_client, "1", "2", "3"))[1:] == (
        "1 deduplication id has a newer job kept for later (dn:): it will run too.",
    )


async def test_jobs_of_the_plan_that_share_a_deduplication_id(any_client: Redis) -> None:
    await raw_failed(any_client, "123", change=lambda at: {"deid": "d" if at else "other"})
    assert await brakes(any_client, "1", "2", "3") == (
        "2 jobs share a deduplication id: each of them will run.",
    )


async def test_iterations_of_a_scheduler(any_client: Redis) -> None:
    ids = ["repeat:s1:1700000000000", "1"]
    await raw_failed(any_client, ids, change=lambda at: {} if at else {"rjk": "s1"})
    assert await brakes(any_client, *ids) == (
        "1 job is an iteration of a job scheduler: it runs once more, and the schedule does not "
        "change.",
    )


@pytest.mark.parametrize(
    ("used", "milliseconds", "meta", "said"),
    [
        (
            2**53 - 1,
            600_000,
            {},
            "The queue is rate-limited manually for another 10 m 0 s: workers with a limiter "
            "option start no job meanwhile.",
        ),
        (
            2**53 - 1,
            600_000,
            {"max": 2, "duration": 600_000},
            "The queue is rate-limited manually for another 10 m 0 s: no job starts meanwhile.",
        ),
        (
            10,
            600_000,
            {},
            "A rate limit of the queue has counted 10 starts, for another 10 m 0 s: a worker that "
            "has reached its limit starts no job meanwhile.",
        ),
        (
            2,
            600_000,
            {"max": 2, "duration": 600_000},
            "The global rate limit of the queue is reached for another 10 m 0 s: "
            "no job starts meanwhile.",
        ),
    ],
)
async def test_a_rate_limit_is_said_with_its_time(
    any_client: Redis, used: int, milliseconds: int, meta: Fields, said: str
) -> None:
    await raw_failed(any_client, "1")
    if meta:
        await any_client.hset(QUEUE.key("meta"), mapping=meta)
    # Half a second more: what is left is read a moment later, and said in whole seconds.
    await any_client.set(QUEUE.key("limiter"), used, px=milliseconds + 400)
    found = await brakes(any_client, "1")
    assert found[0] == said
    whole = ("The global rate limit of the queue is 2 jobs in 10 m 0 s.",) if meta else ()
    assert found[1:] == whole


async def test_prioritized_jobs_run_after_those_that_wait(any_client: Redis) -> None:
    await raw_failed(any_client, "12", change=lambda at: {"priority": at})
    await raw_list(any_client, "wait", ["w1", "w2", "w3"])
    assert await brakes(any_client, "1", "2") == (
        "1 prioritized job runs after the 3 waiting jobs without a priority.",
    )


async def test_a_paused_queue_says_where_its_jobs_go_and_why(any_client: Redis) -> None:
    await raw_failed(any_client, "1234", change=lambda at: {"priority": at // 3})
    await any_client.hset(QUEUE.key("meta"), "paused", 1)
    why = (
        "3 jobs without a priority go to prioritized while the queue is paused: BullMQ 5 and 6 "
        "both see them there, and a resume neither loses nor strands them."
    )
    assert await brakes(any_client, "1", "2", "3", "4") == (why,)
    await any_client.rpush(QUEUE.key("paused"), "x", "y")
    assert await brakes(any_client, "1", "2", "3", "4") == (
        why,
        "4 prioritized jobs run after the 2 waiting jobs without a priority.",
    )


async def test_of_what_one_resume_moves_paused_takes_the_first(any_client: Redis) -> None:
    await raw_failed(any_client, "123")
    await any_client.hset(QUEUE.key("meta"), mapping={"paused": 1, "version": "bullmq:5.81.5"})
    await any_client.rpush(QUEUE.key("paused"), *(f"s{place}" for place in range(ONE_RESUME - 2)))
    await any_client.hset(QUEUE.job(f"s{ONE_RESUME - 3}"), mapping={"timestamp": 1})
    assert await brakes(any_client, "1", "2", "3") == (
        "1 job without a priority goes to prioritized while the queue is paused: BullMQ 5 and 6 "
        "both see it there, and a resume neither loses nor strands it.",
        "1 prioritized job runs after the 6,998 waiting jobs without a priority.",
    )
    for selection in (
        chosen(QUEUE, FAILED, ["3", "1", "2"]),
        await query(any_client, QUEUE, FAILED),
    ):
        plan = await make_plan(any_client, selection, rate=0)
        assert {one.place: one.jobs for one in plan.groups()} == {
            "paused, last in line": 2,
            "prioritized, priority 0": 1,
        }


async def test_where_6_keeps_what_waits_in_wait_the_jobs_go_there_too(any_client: Redis) -> None:
    await raw_failed(any_client, "1")
    await raw_list(any_client, "wait", ["w1"])
    await any_client.hset(QUEUE.job("w1"), mapping={"timestamp": 1})
    await any_client.hset(QUEUE.key("meta"), "paused", 1)
    assert await brakes(any_client, "1") == ()


async def test_jobs_that_a_resume_left_behind_are_named(any_client: Redis) -> None:
    await raw_failed(any_client, "1")
    await any_client.rpush(QUEUE.key("paused"), "a", "b")
    assert await brakes(any_client, "1") == (
        "2 jobs are stranded in the paused list of the queue, which is not paused: no worker takes "
        "them until it is resumed again.",
    )


async def test_of_many_jobs_some_are_looked_at_and_it_costs_no_more(
    server: EmbeddedServer, client: Redis
) -> None:
    trips_of = []
    for jobs in (300, 3_000):
        await raw_failed(client, map(str, range(jobs)), change=lambda _: {"stc": 1, "deid": "d"})
        async with counted(server) as (counting, trips):
            plan = await make_plan(counting, chosen(QUEUE, FAILED, list(map(str, range(300)))))
            trips_of.append(trips.count)
        assert [sentence.split()[:3] for sentence in plan.brakes] == [
            ["At", "least", "250"],
            ["At", "least", "250"],
        ]
    assert trips_of[0] == trips_of[1]


async def test_a_rerun_says_the_same_of_each_of_its_queues(client: Redis) -> None:
    await raw_flow(client, 2)
    await client.hset(KIDS.job("c0"), mapping={"stc": 1, "deid": "d"})
    await client.set(KIDS.key("de:d"), "77")
    await client.hset(KIDS.key("meta"), "paused", 1)
    await client.set(QUEUE.key("limiter"), 2**53 - 1, px=600_000)
    plan = await rerun_plan_of(client)
    assert plan.brakes == (
        "bull:q is rate-limited manually for another 10 m 0 s: workers with a limiter option "
        "start no job meanwhile.",
        "2 jobs without a priority go to prioritized while bull:kids is paused: BullMQ 5 and 6 "
        "both see them there, and a resume neither loses nor strands them.",
        "bull:kids: 1 job has stalled before (stc), and a retry does not reset that: if it stalls "
        "again, it fails without a run (maxStalledCount 1).",
        "bull:kids: 1 job has a deduplication id that another job holds now: both will run.",
    )
