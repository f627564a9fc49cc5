"""The plan of a removal: what goes, what stays and why, and what hangs on it."""

from __future__ import annotations

from redis.asyncio import Redis

from qtui.bullmq.model import JobState
from qtui.operations.remove.forecast import Prediction
from qtui.operations.remove.plan import CHILDREN_TOO, make_removal_plan
from qtui.operations.supply.selection import chosen
from tests.operations.removing import (
    DELAYED,
    FAILED,
    KIDS,
    NONE,
    PARENTS,
    WAITING,
    a_flow,
    options,
    plan_of,
    waiting,
)
from tests.seeds import QUEUE, START, raw_failed, raw_fields, raw_meta


async def test_a_plan_says_how_many_go_and_reads_only(client: Redis) -> None:
    await raw_failed(client, ["a", "b", "c"])
    before = await client.execute_command("DEBUG", "DIGEST")
    plan = await plan_of(client, FAILED, ["a", "b", "gone"])
    assert (plan.jobs, plan.removable(NONE), plan.refusal) == (3, 2, "")
    assert plan.go(NONE) == "remove 2 jobs"
    assert [(one.number, one.place, one.refusal) for one in plan.lines(NONE)] == [
        (2, "removed", ""),
        (1, "", "-1 job is gone"),
    ]
    assert list(plan.warnings(NONE)) == ["1 job is gone already (-1)."]
    assert await client.execute_command("DEBUG", "DIGEST") == before


async def test_a_large_removal_wants_the_count_typed(client: Redis) -> None:
    await raw_failed(client, map(str, range(101)))
    plan = await plan_of(client, FAILED)
    assert plan.confirmation(NONE) == "101"
    assert (await plan_of(client, FAILED, ["1"])).confirmation(NONE) == ""


async def test_it_names_the_parents_that_run_and_the_children_that_stay(client: Redis) -> None:
    kids = await a_flow(client)
    plan = await plan_of(client, PARENTS)
    [warning] = plan.warnings(NONE)
    assert warning == "1 job has 2 children, which stay and run without a parent."
    assert plan.go(options(CHILDREN_TOO)) == "remove 1 job and all below them"
    [warning] = plan.warnings(options(CHILDREN_TOO))
    assert warning == "1 job has 2 children: these and all below them are removed too."
    below = chosen(KIDS, WAITING, kids)
    [warning] = (await make_removal_plan(client, below)).warnings(NONE)
    assert warning == (
        "1 parent loses the last child it waits for: it runs next, without the results of what"
        " is removed (bull:q:p)."
    )
    half = await make_removal_plan(client, chosen(KIDS, WAITING, kids[:1]))
    assert list(half.warnings(NONE)) == []


async def test_it_names_what_stays_and_why(client: Redis) -> None:
    await raw_meta(client)
    predicted: list[Prediction] = []
    fields = raw_fields()
    at = START + 60_000
    for name in ("locked", "loose"):
        await client.hset(QUEUE.job(name), mapping=fields)
        await client.lpush(QUEUE.key("active"), name)
    await client.set(QUEUE.job("locked", "lock"), "token")
    await client.hset(QUEUE.job(f"repeat:s:{at}"), mapping=fields | {"rjk": "s"})
    await client.zadd(QUEUE.key("repeat"), {"s": at})
    await client.zadd(QUEUE.key("delayed"), {f"repeat:s:{at}": at * 4096, "dangling": 5})
    plan = await plan_of(client, JobState.ACTIVE)
    assert plan.removable(NONE) == 1
    assert list(plan.warnings(NONE)) == ["1 job is locked by a worker: it stays (0)."]
    selection = chosen(QUEUE, DELAYED, [f"repeat:s:{at}", "dangling"])
    plan = await make_removal_plan(client, selection, report=predicted.extend)
    assert [(one.code, one.target) for one in predicted] == [(-8, ""), (1, "cleared")]
    first, second = plan.warnings(NONE)
    assert first == "1 id has no job data: only the id is removed."
    assert second.endswith("remove the scheduler instead (s).")


async def test_a_deduplication_that_is_let_go_is_named(client: Redis) -> None:
    await waiting(client, "a", "b")
    for name in ("a", "b"):
        await client.hset(QUEUE.job(name), "deid", "one")
    await client.set(QUEUE.key("de:one"), "a")
    plan = await plan_of(client, WAITING)
    assert list(plan.warnings(NONE)) == ["1 deduplication id is released (one)."]
