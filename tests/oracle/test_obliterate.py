"""A removed queue leaves nothing behind, where BullMQ's own removal does (D8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.writers.queues import ObliterateWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.queues.obliterating import Obliteration, plan_obliteration
from qtui.operations.queues.queue_action import finished
from tests.oracle.keyspace import digest
from tests.oracle.stage import Side, Stage, job
from tests.servers import connect

ONE_KIND = pytest.mark.parametrize("oracle_server", ["redis"], indirect=True)
"""What is the same on each kind of server."""

Obliterate = Callable[..., Result]


@pytest.fixture
def obliterate(oracle_server: EmbeddedServer) -> Obliterate:
    """Our own removal of a queue, or its first step and this many more."""

    def done(side: Side, *, force: bool = False, steps: int | None = None) -> Result:
        async def call() -> Result:
            async with connect(oracle_server, db=side.database) as client:
                queue = QueueKey.of("bull", side.queue)
                change = Obliteration(client, ObliterateWriter(client), queue, force=force)
                if steps is None:
                    return (await finished(change)).result
                for _ in range(steps):
                    await change.step()
                return (await change.step()).result

        return asyncio.run(call())

    return done


def _fill(side: Side) -> list[str]:
    """A queue with something in every state, and flows to and from another queue; the parents."""
    side.seed([job("a"), job("b", "ok")])
    if side.release.speaks >= (5, 16, 0):
        side.run("scheduler", scheduler="s1", every=60_000, template=job("tick"))
    else:
        side.run("repeat", name="tick", every=60_000, data={})
    side.run("add", jobs=[job("w"), job("d", delay=3_600_000), job("p", priority=3)])
    if side.release.speaks < (1, 18, 0):
        return []
    below = {"name": "kid", "queueName": "other", **job("kid", "ok")}
    up = {"name": "top", "queueName": "q", **job("top"), "children": [below]}
    side.run("flow", tree=up)
    mine = {"name": "kid", "queueName": "q", **job("kid")}
    down = side.run(
        "flow", tree={"name": "top", "queueName": "other", **job("top", "ok"), "children": [mine]}
    )
    return [down["id"]]


def _litter(side: Side) -> None:
    """What BullMQ's own removal is known to leave: D8."""
    client = side.client
    client.set(side.key("limiter"), 3, px=60_000)
    client.set(side.key("de:lost"), "gone")
    client.hset(side.key("orphan"), mapping={"name": "n", "data": "{}", "timestamp": 1})
    client.rpush(side.key("orphan:logs"), "line")
    client.zadd(side.key("priority"), {"1": 3})


def _left(side: Side) -> list[str]:
    return sorted(side.client.scan_iter(match="bull:q:*", count=1000))


def test_nothing_is_left_of_a_queue_and_its_name_can_be_used_again(
    stage: Stage, obliterate: Obliterate
) -> None:
    _fill(stage.official)
    _litter(stage.official)
    stage.copy()
    stage.official.run("obliterate")
    theirs = set(_left(stage.official))
    assert {"bull:q:limiter", "bull:q:de:lost", "bull:q:orphan"} <= theirs  # D8
    result = obliterate(stage.ours)
    assert (result.code, result.target.split()[1].rstrip(";")) == (Code.DONE, "jobs")
    assert _left(stage.ours) == []
    [one] = stage.ours.run("add", jobs=[job("anew", "ok")])
    stage.ours.work_off([one])


@pytest.mark.releases(since="1.18.0")
def test_a_parent_in_another_queue_that_waits_for_no_other_child_runs(
    stage: Stage, obliterate: Obliterate
) -> None:
    side = stage.ours
    [parent] = _fill(side)
    other = side.beside("other")
    assert parent in other.members("waiting-children")
    result = obliterate(side)
    assert "1 parent in other queues released" in result.target
    assert _left(side) == []
    assert other.members("waiting-children") == []
    with other.worker("ok") as worker:
        runs = worker.until(ends=2)  # and the child that has no parent any more
    assert parent in runs
    assert _left(side) == []


@ONE_KIND
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_removal_that_is_cut_off_leaves_a_paused_queue_and_the_next_does_the_rest(
    bare_stage: Stage, obliterate: Obliterate, steps: int
) -> None:
    side = bare_stage.ours
    _fill(side)
    _litter(side)
    added = side.run("add", jobs=[job("w") for _ in range(500)])
    assert len(added) == 500
    obliterate(side, steps=steps)
    assert side.client.hexists(side.key("meta"), "paused")
    census = side.census()
    assert all(places for one, places in census.items() if one != "orphan")
    assert all("no hash" not in places for places in census.values())
    assert obliterate(side).code is Code.DONE
    assert _left(side) == []


def test_an_active_job_that_a_worker_holds_keeps_the_queue_but_for_force(
    bare_stage: Stage, obliterate: Obliterate
) -> None:
    side = bare_stage.ours
    side.open()
    [held] = side.run("add", jobs=[job("a")])
    with side.worker("hold") as worker:
        worker.until(starts=1)
        before = digest(side.client)
        result = obliterate(side)
        assert result.code is Code.REFUSED
        assert f"job {held} is active" in result.error
        assert digest(side.client) == before
        assert obliterate(side, force=True).code is Code.DONE
        assert side.client.keys("bull:q:*lock*") == []
        worker.release()


def test_a_plan_refuses_while_workers_are_connected_and_writes_nothing(
    bare_stage: Stage, oracle_server: EmbeddedServer
) -> None:
    side = bare_stage.ours
    parents = _fill(side)

    async def plan(force: bool) -> tuple[Code, str, list[str]]:
        async with connect(oracle_server, db=side.database) as client:
            found = await plan_obliteration(client, QueueKey.of("bull", "q"), force=force)
            return found.code, found.why, found.warnings()

    with side.worker("ok", autorun=False):
        pass
    before = digest(side.client)
    code, why, warnings = asyncio.run(plan(False))
    assert (code, why) == (Code.DONE, "")
    assert any(f"bull:other:{parents[0]}" in one for one in warnings)
    assert digest(side.client) == before
    side.run("pause")
    with side.worker("ok"):
        side.await_idle()
        code, why, _ = asyncio.run(plan(False))
        assert (code, why) == (
            Code.REFUSED,
            "1 worker is connected: stop it, or use `qtui obliterate --force`",
        )
        assert asyncio.run(plan(True))[0] is Code.DONE


def test_a_queue_whose_name_continues_after_a_colon_is_another_one(
    bare_stage: Stage, obliterate: Obliterate
) -> None:
    side = bare_stage.ours
    side.seed([job("a")])
    client = side.client
    client.hset("bull:q:eu:meta", "opts.maxLenEvents", 10)
    client.rpush("bull:q:eu:wait", "1")
    client.hset("bull:q:eu:1", mapping={"name": "n", "timestamp": 1})
    client.set("bull:q:note", "not BullMQ's")
    result = obliterate(side)
    assert result.target.endswith("left, since BullMQ makes no such keys: bull:q:note")
    assert _left(side) == ["bull:q:eu:1", "bull:q:eu:meta", "bull:q:eu:wait", "bull:q:note"]


@ONE_KIND
@pytest.mark.parametrize("forbidden", ["del", "zrem"])
def test_what_an_acl_forbids_removes_nothing(
    bare_stage: Stage, oracle_server: EmbeddedServer, forbidden: str
) -> None:
    side = bare_stage.ours
    _fill(side)
    side.client.acl_setuser(
        "limited",
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        categories=["+@all"],
        commands=[f"-{forbidden}"],
    )
    before = side.snapshot()

    async def call() -> Result:
        login = {"username": "limited", "password": "secret", "db": side.database}
        async with connect(oracle_server, **login) as client:
            queue = QueueKey.of("bull", "q")
            change = Obliteration(client, ObliterateWriter(client), queue, force=False)
            return (await finished(change)).result

    result = asyncio.run(call())
    side.client.acl_deluser("limited")
    assert result.code is Code.REFUSED
    assert side.snapshot() == before
