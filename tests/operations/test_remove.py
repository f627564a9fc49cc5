"""Removals as campaigns: what goes and what stays, the journal, and the undo."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.model import JobState
from qtui.operations.journal.reading import ids, read_header
from qtui.operations.remove.plan import WITHOUT_UNDO
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
    removed,
    waiting,
)
from tests.operations.undoing import keyspace, undone
from tests.seeds import QUEUE, START, raw_failed


@pytest.mark.parametrize("state", [FAILED, WAITING, DELAYED])
@pytest.mark.parametrize("by_query", [True, False], ids=["query", "ids"])
async def test_jobs_of_a_state_go_and_an_undo_brings_every_key_back(
    client: Redis, tmp_path: Path, state: JobState, by_query: bool
) -> None:
    names = [str(number) for number in range(1, 251)]
    if state is WAITING:
        await waiting(client, *names)
    else:
        await raw_failed(client, names)
    if state is DELAYED:
        await client.rename(QUEUE.key("failed"), QUEUE.key("delayed"))
    await client.rpush(QUEUE.job("7", "logs"), "one", "two")
    before = await keyspace(client)
    plan = await plan_of(client, state, () if by_query else names)
    results = await removed(client, tmp_path, plan)
    assert {one.code for one in results.values()} == {Code.DONE}
    assert set(results) == set(names)
    assert set(map(str, await client.keys())) <= {
        QUEUE.key(one) for one in ("events", "meta", "marker")
    }
    header = read_header(tmp_path, ids(tmp_path)[0])
    assert (header.action, header.state) == ("remove", state.value)
    undo, back = await undone(client, tmp_path)
    assert {one.code for one in back} == {Code.DONE}, undo
    assert await keyspace(client) == before


async def test_a_filter_takes_its_jobs_out_of_a_list_and_the_undo_puts_each_in_its_place(
    client: Redis, tmp_path: Path
) -> None:
    names = [str(number) for number in range(1, 61)]
    await waiting(client, *names)
    for name in names[::3]:
        await client.hset(QUEUE.job(name), "name", "poison")
    before = await keyspace(client)
    results = await removed(client, tmp_path, await plan_of(client, WAITING, wanted="name=poison"))
    assert set(results) == set(names[::3])
    order = await client.lrange(QUEUE.key("wait"), 0, -1)
    assert order[::-1] == [name for name in names if name not in results]
    await undone(client, tmp_path)
    assert await keyspace(client) == before


async def test_jobs_that_changed_since_the_plan_stay(client: Redis, tmp_path: Path) -> None:
    await waiting(client, "a", "b", "c")
    plan = await plan_of(client, WAITING)
    await client.lrem(QUEUE.key("wait"), 1, "a")
    await client.lpush(QUEUE.key("active"), "a")
    await client.hset(QUEUE.job("b"), "processedOn", START + 5)  # it ran, and waits again
    await client.delete(QUEUE.job("c"))
    await client.lrem(QUEUE.key("wait"), 1, "c")
    results = await removed(client, tmp_path, plan)
    assert {name: int(one.code) for name, one in results.items()} == {"a": -3, "b": -3, "c": -1}


async def test_a_family_goes_and_comes_back_as_one(client: Redis, tmp_path: Path) -> None:
    kids = await a_flow(client, 3)
    await client.lrem(KIDS.key("wait"), 1, kids[0])
    await client.zadd(KIDS.key("failed"), {kids[0]: START + 9})
    await client.hset(KIDS.job(kids[0]), "finishedOn", START + 9)
    before = await keyspace(client)
    results = await removed(client, tmp_path, await plan_of(client, PARENTS), children=True)
    assert {one.target for one in results.values()} == {"removed with 3 jobs below it"}
    assert await client.exists(QUEUE.job("p"), *map(KIDS.job, kids)) == 0
    assert read_header(tmp_path, ids(tmp_path)[0]).options == {"children": True}
    await undone(client, tmp_path)
    assert await keyspace(client) == before
    await undone(client, tmp_path)
    assert await client.exists(QUEUE.job("p"), *map(KIDS.job, kids)) == 0


async def test_a_family_with_a_running_child_stays(client: Redis, tmp_path: Path) -> None:
    kids = await a_flow(client)
    await a_flow(client, name="other")
    await client.lrem(KIDS.key("wait"), 1, kids[0])
    await client.lpush(KIDS.key("active"), kids[0])
    await client.set(KIDS.job(kids[0], "lock"), "token")
    plan = await plan_of(client, PARENTS)
    results = await removed(client, tmp_path, plan, children=True)
    assert {name: int(one.code) for name, one in results.items()} == {"p": 0, "other": 1}
    assert results["p"].error == f"{KIDS.job(kids[0])}: a worker holds its lock"


async def test_too_many_below_are_not_taken_in_one_step(client: Redis, tmp_path: Path) -> None:
    await a_flow(client, 501)
    plan = await plan_of(client, PARENTS)
    results = await removed(client, tmp_path, plan, children=True, without_undo=False)
    assert "more than 500 jobs are below it" in results["p"].error
    assert await client.exists(QUEUE.job("p"))


async def test_what_no_undo_could_bring_back_stays_unless_asked_for(
    client: Redis, tmp_path: Path
) -> None:
    await raw_failed(client, ["large", "small"])
    await client.hset(QUEUE.job("large"), "data", "x" * 4_100_000)
    plan = await plan_of(client, FAILED)
    assert plan.go(NONE) == "remove 1 job"
    assert plan.go(options(WITHOUT_UNDO)) == "remove 2 jobs"
    assert any("it stays, since that could not" in words for words in plan.warnings(NONE))
    assert any("removed for good" in words for words in plan.warnings(options(WITHOUT_UNDO)))
    results = await removed(client, tmp_path, plan)
    assert {name: int(one.code) for name, one in results.items()} == {"large": 0, "small": 1}
    assert "its fields are too large" in results["large"].error
    plan = await plan_of(client, FAILED)
    results = await removed(client, tmp_path, plan, without_undo=True)
    assert [int(one.code) for one in results.values()] == [1]
    _, [back] = await undone(client, tmp_path)
    assert int(back.code) == 0
    assert "does not hold the whole job" in back.error
