"""What qtui does to schedulers is what the releases do, where they are right, and can be undone."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.schedulers.scheduler import Condition
from qtui.bullmq.writers.schedulers import SchedulerWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.schedulers.changes import (
    Reading,
    read_removal,
    read_revival,
    read_undo,
)
from tests.oracle.conftest import Drivers
from tests.oracle.keyspace import Difference, Value
from tests.oracle.releases import named
from tests.oracle.scheduling import HOUR, QUEUE, kill, on, scheduler, schedulers, seed_waiting
from tests.oracle.stage import Side, Stage, job, wait_for
from tests.servers import KINDS

BERLIN: Final = {"pattern": "0 3 * * *", "tz": "Europe/Berlin"}
TEMPLATE: Final = {"name": "tick", "data": {"a": [1]}, "opts": {"attempts": 3}}

_SLOW: Final = "QTUI_SLOW" in os.environ

ONE_KIND = pytest.mark.parametrize("oracle_server", KINDS if _SLOW else KINDS[1:], indirect=True)
"""For what takes seconds, since schedules do: one kind of server in the normal run."""

Read = Callable[[Redis], Awaitable[Reading]]


def act(side: Side, read: Read) -> tuple[Reading, Result]:
    """Read a change and send it; what was read, and the result."""

    async def call(client: Redis) -> tuple[Reading, Result]:
        found = await read(client)
        if found.change is None:
            return found, found.result
        batch = await SchedulerWriter(client).change(QUEUE, found.change)
        assert batch.note == ""
        [result] = batch.results
        return found, result

    return on(side, call)


def remove(side: Side, scheduler_id: str) -> tuple[Reading, Result]:
    return act(side, lambda client: read_removal(client, QUEUE, scheduler_id))


def revive(side: Side, scheduler_id: str) -> tuple[Reading, Result]:
    return act(side, lambda client: read_revival(client, QUEUE, scheduler_id))


def undo(side: Side, scheduler_id: str, done: Reading) -> tuple[Reading, Result]:
    fields = json.loads(json.dumps(done.fields()))
    return act(side, lambda client: read_undo(client, QUEUE, scheduler_id, fields))


def upsert(side: Side, repeat: dict[str, Any], template: dict[str, Any] | None = None) -> None:
    side.run("upsert", scheduler="s", repeat=repeat, template=template or TEMPLATE)


def state_of(side: Side) -> dict[str, Value]:
    """Every key but for the events, the markers and the counter of ids."""
    left = ("events", "marker", "id", "pc")
    return {key: one for key, one in side.snapshot().items() if key.split(":")[2] not in left}


# Remove ------------------------------------------------------------------------------------------


@pytest.mark.releases(since="5.16.0")
def test_a_scheduler_is_removed_as_the_release_does(stage: Stage) -> None:
    upsert(stage.official, BERLIN)
    stage.copy()
    assert stage.official.run("unschedule", scheduler="s") in (True, 0, 1)
    _, result = remove(stage.ours, "s")
    assert (result.code, result.target) == (Code.DONE, "delayed")
    stage.assert_equal()
    assert remove(stage.ours, "s")[1].code is Code.NO_SUCH_JOB


@pytest.mark.releases(before="6.0.0")
@pytest.mark.parametrize("opts", [{"repeat": BERLIN}, {"repeat": BERLIN, "jobId": "mine"}])
def test_a_repeatable_job_is_removed_as_the_release_does(
    stage: Stage, opts: dict[str, Any]
) -> None:
    stage.official.run("repeatable", name="night", data={"x": 1}, opts=opts)
    stage.official.run("repeatable", name="other", data={"x": 1}, opts=opts)
    stage.copy()
    key = next(one.id for one in schedulers(stage.official).values() if one.name == "night")
    stage.official.run("unrepeat", key=key)
    _, result = remove(stage.ours, key)
    assert (result.code, result.target) == (Code.DONE, "delayed")
    stage.assert_equal()


@pytest.mark.releases(since="5.16.0")
def test_an_iteration_that_waits_goes_too(stage: Stage) -> None:
    # D11: the releases leave it, so that it runs once more although its scheduler is gone.
    upsert(stage.official, BERLIN | {"immediately": True})
    stage.copy()
    [waiting] = stage.official.members("wait")
    stage.official.run("unschedule", scheduler="s")
    assert stage.official.members("wait") == [waiting]
    _, result = remove(stage.ours, "s")
    assert (result.code, result.target) == (Code.DONE, "wait")
    leaves = "the release leaves the iteration that waits (D11)"
    stage.assert_equal(
        Difference("q:wait", leaves, lambda official, ours: ours is None),
        Difference(f"q:{waiting}", leaves, lambda official, ours: ours is None),
        Difference("q:events", leaves, lambda official, ours: _ends_with_removed(ours)),
    )


def _ends_with_removed(events: Value | None) -> bool:
    assert events is not None
    entries: Any = events[1]
    return bool(dict(entries[-1])["event"] == "removed")


@pytest.mark.releases(since="5.58.1")
def test_an_iteration_that_runs_ends_and_makes_no_next_one(stage: Stage) -> None:
    side = stage.official
    upsert(side, {"every": HOUR, "limit": 1})
    with side.worker("hold") as worker:
        worker.until(starts=1)
        _, result = remove(side, "s")
        assert (result.code, result.target) == (Code.DONE, "")
        worker.release()
        worker.until(ends=1)
    assert len(side.members("completed")) == 1
    assert side.members("repeat") == side.members("delayed") == []
    side.assert_each_in_one_place()


@pytest.mark.releases(since="5.58.1")
@pytest.mark.parametrize(
    ("repeat", "priority"), [(BERLIN, 0), ({"every": HOUR}, 0), ({"every": HOUR}, 3)]
)
def test_a_removal_is_taken_back(stage: Stage, repeat: dict[str, Any], priority: int) -> None:
    side = stage.official
    upsert(side, repeat, {**TEMPLATE, "opts": {"priority": priority}})
    before = state_of(side)
    done, _ = remove(side, "s")
    assert schedulers(side) == {}
    undone, result = undo(side, "s", done)
    assert result.code is Code.DONE
    assert state_of(side) == before
    assert undo(side, "s", done)[1].code is Code.NOT_IN_STATE
    again, result = undo(side, "s", undone)
    assert result.code is Code.DONE
    assert schedulers(side) == {}
    assert undo(side, "s", again)[1].code is Code.DONE
    side.assert_each_in_one_place()


@pytest.mark.releases(since="5.58.1")
@pytest.mark.parametrize("version", ["", "bullmq:5.81.5"])
def test_an_iteration_comes_back_to_its_place_in_line_while_the_queue_is_paused(
    stage: Stage, version: str
) -> None:
    """Whichever release opened the queue last, and though jobs wait in both lists."""
    side = stage.official
    side.seed([job("ran", "ok")])
    side.run("pause")
    side.run("add", jobs=[job("ahead")])
    upsert(side, BERLIN | {"immediately": True})
    side.run("add", jobs=[job("behind")])
    list_ = "wait" if side.release.speaks >= (6, 0, 0) else "paused"
    other = "paused" if list_ == "wait" else "wait"
    [_, iteration, _] = side.members(list_)
    [stray] = side.run("add", jobs=[job("stray", delay=HOUR)])
    side.client.zrem(side.key("delayed"), stray)
    side.client.rpush(side.key(other), stray)
    if version:
        side.client.hset(side.key("meta"), "version", version)
    before = state_of(side)
    done, _ = remove(side, "s")
    assert iteration not in side.members(list_)
    assert undo(side, "s", done)[1].code is Code.DONE
    assert state_of(side) == before


@pytest.mark.releases(since="6.0.0")
def test_an_iteration_that_comes_back_to_a_paused_queue_is_lost_by_no_resume(
    stage: Stage, drivers: Drivers
) -> None:
    """A release before 6 has added a job since: its resume renames `paused` over `wait`."""
    side = stage.official
    side.seed([job("ran", "ok")])
    side.run("pause")
    upsert(side, BERLIN | {"immediately": True})
    [iteration] = side.members("wait")
    done, _ = remove(side, "s")
    older = side.other(drivers.get(named("5.81.5")), named("5.81.5"))
    [added] = older.run("add", jobs=[job("added")])
    assert undo(side, "s", done)[1].code is Code.DONE
    older.run("resume")
    assert set(side.members("wait")) == {added, iteration}
    side.assert_each_in_one_place()


# Revive ------------------------------------------------------------------------------------------


def dead(stage: Stage, repeat: dict[str, Any]) -> Side:
    """The official side, with a scheduler whose iteration a drain of the release has cut out."""
    side = stage.official
    seed_waiting(side)
    upsert(side, repeat | ({"immediately": True} if "pattern" in repeat else {}))
    kill(side)
    assert scheduler(side, "s").condition is Condition.DEAD
    return side


@pytest.mark.releases(since="5.81.5")
@pytest.mark.parametrize("repeat", [BERLIN, {"every": HOUR}, {"every": 7000, "limit": 9}])
def test_a_dead_scheduler_is_revived_as_an_upsert_does(
    stage: Stage, repeat: dict[str, Any]
) -> None:
    lost = scheduler(dead(stage, repeat), "s").iteration
    assert lost is not None
    stage.copy()
    upsert(stage.official, repeat)
    found, result = revive(stage.ours, "s")
    assert (result.code, result.target) == (Code.DONE, "delayed")
    assert found.next is not None
    official, ours = scheduler(stage.official, "s"), scheduler(stage.ours, "s")
    assert ours.score == official.score
    assert ours.condition is Condition.SCHEDULED
    assert official.iteration is not None
    assert ours.iteration is not None
    assert ours.iteration.due == official.iteration.due
    assert _timeless(stage.official, found.next.id, lost.id) == _timeless(
        stage.ours, found.next.id, lost.id
    )


def _timeless(side: Side, made: str, lost: str) -> dict[str, object]:
    """Every key without the moment of the call; and the lost hash, which an upsert leaves."""
    state: dict[str, Any] = dict(side.snapshot())
    assert (state.pop(f"bull:q:{lost}", None) is not None) == (side.database == 0)
    job = state.pop(f"bull:q:{made}")[1]
    opts = json.loads(job.pop("opts"))
    for stamp in ("timestamp", "delay"):
        assert abs(int(job.pop(stamp)) - opts.pop(stamp)) < 1000
    opts.pop("prevMillis", None)  # left out by node's every
    state["job"], state["opts"] = job, opts
    for entries in (state.pop("bull:q:events")[1],):
        state["events"] = [dict(one)["event"] for one in entries if dict(one)["jobId"] == made]
    return state


@pytest.mark.releases(since="5.58.1")
@pytest.mark.parametrize("repeat", [BERLIN, {"every": HOUR}])
def test_a_revival_is_taken_back(stage: Stage, repeat: dict[str, Any]) -> None:
    side = dead(stage, repeat)
    before = state_of(side)
    done, _ = revive(side, "s")
    assert scheduler(side, "s").condition is Condition.SCHEDULED
    undone, result = undo(side, "s", done)
    assert result.code is Code.DONE
    assert state_of(side) == before
    _, result = undo(side, "s", undone)
    assert result.code is Code.DONE
    assert scheduler(side, "s").condition is Condition.SCHEDULED


@pytest.mark.releases(since="5.16.0")
def test_a_scheduler_that_is_not_dead_is_left_alone(stage: Stage) -> None:
    upsert(stage.official, BERLIN)
    before = stage.official.snapshot()
    found, result = revive(stage.official, "s")
    assert found.change is None
    assert result.code is Code.NOT_IN_STATE
    assert stage.official.snapshot() == before


@ONE_KIND
@pytest.mark.releases(since="5.58.1")
def test_a_worker_continues_with_a_revived_scheduler(stage: Stage) -> None:
    every = 300
    side = dead(stage, {"every": every, "limit": 50})
    with side.worker("ok") as worker:
        side.await_idle()
        assert [one for one in worker.until() if one.startswith("repeat:")] == []
        revive(side, "s")
        wait_for(lambda: len(_runs(worker.timed())) >= 3, "three iterations")
        runs = _runs(worker.timed())
    slots = [int(run["id"].rpartition(":")[2]) for run in runs]
    # A worker that is slow to wake, as Python's is, leaves some out.
    assert all((later - earlier) % every == 0 for earlier, later in pairwise(slots)), slots
    assert len({run["id"] for run in runs}) == len(runs)
    found = scheduler(side, "s")
    assert found.condition is not Condition.DEAD
    assert found.iterations is not None
    assert found.iterations > len(runs) - 1


@ONE_KIND
@pytest.mark.parametrize("name", ["5.58.1", "5.81.5", "6.7.0", "python"] if _SLOW else ["6.7.0"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"] if _SLOW else ["America/New_York"])
def test_a_worker_continues_a_revived_pattern(
    oracle_server: EmbeddedServer, drivers: Drivers, name: str, zone: str
) -> None:
    release = named(name)
    stage = Stage(oracle_server, drivers.get(release), release)
    stage.official.client.flushall()
    side = dead(stage, {"pattern": "* * * * * *", "tz": zone})
    with side.worker("ok") as worker:
        side.await_idle()
        revive(side, "s")
        wait_for(lambda: len(_runs(worker.timed())) >= 3, "three iterations")
        runs = _runs(worker.timed())
    slots = [int(run["id"].rpartition(":")[2]) for run in runs]
    assert all(slot % 1000 == 0 for slot in slots)
    assert len(set(slots)) == len(slots)
    assert all(-5 <= run["at"] - slot < 1900 for run, slot in zip(runs, slots, strict=True))


def _runs(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [run for run in runs if run["id"].startswith("repeat:")]


@pytest.mark.releases(since="5.58.1")
def test_a_limit_that_is_reached_is_not_passed(stage: Stage) -> None:
    side = stage.official
    upsert(side, {"every": HOUR, "limit": 1})
    with side.worker("ok") as worker:
        worker.until(ends=1)
    found, result = revive(side, "s")
    assert found.change is None
    assert result.code is Code.REFUSED
    assert "limit" in result.error


@pytest.mark.releases(before="5.0.0")
def test_a_repeatable_job_whose_template_is_gone_is_refused(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("repeatable", name="night", data={}, opts={"repeat": BERLIN})
    side.run("drain", delayed=True)
    [one] = schedulers(side).values()
    _, result = revive(side, one.id)
    assert result.code is Code.REFUSED
    assert "template" in result.error


@ONE_KIND
@pytest.mark.releases(before="6.0.0")
def test_a_repeatable_job_that_lost_its_place_continues(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("schedule")
    every = 400
    side.run("repeatable", name="often", data={"x": 1}, opts={"repeat": {"every": every}})
    [member] = side.members("delayed") or side.members("wait")
    side.client.zrem(side.key("delayed"), member)
    side.client.lrem(side.key("wait"), 0, member)
    [one] = schedulers(side).values()
    assert one.condition is Condition.DEAD
    with side.worker("ok") as worker:
        side.await_idle()
        _, result = revive(side, one.id)
        assert result.code is Code.DONE
        wait_for(lambda: len(worker.timed()) >= 2, "two iterations")
        assert len(set(worker.until())) == len(worker.until())


@pytest.mark.releases(since="5.16.0", before="5.36.0")
def test_a_scheduler_whose_template_went_with_its_iteration_is_refused(stage: Stage) -> None:
    # The drain of these releases deletes an iteration that waits, and they keep no template.
    side = stage.official
    upsert(side, BERLIN | {"immediately": True})
    side.run("drain")
    assert scheduler(side, "s").condition is Condition.DEAD
    _, result = revive(side, "s")
    assert result.code is Code.REFUSED
    assert "template" in result.error


@pytest.mark.releases(since="5.16.0", before="5.36.0")
def test_a_scheduler_without_a_template_gets_its_lost_iteration_s(stage: Stage) -> None:
    side = stage.official
    upsert(side, BERLIN)
    [member] = side.members("delayed")
    side.client.zrem(side.key("delayed"), member)
    _, result = revive(side, "s")
    assert result.code is Code.DONE
    [made] = side.members("delayed")
    job = side.client.hgetall(side.key(made))
    assert (job["name"], json.loads(job["data"])) == (TEMPLATE["name"], TEMPLATE["data"])
    assert json.loads(job["opts"])["attempts"] == 3
