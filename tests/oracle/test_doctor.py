"""The doctor finds each planted fault, exactly that one, and nothing in healthy queues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.verdicts.examination import Examination
from qtui.bullmq.verdicts.finding import Finding
from tests.oracle.conftest import Drivers
from tests.oracle.releases import named
from tests.oracle.scheduling import HOUR
from tests.oracle.stage import Side, Stage, job, wait_for


def findings(side: Side) -> dict[str, Finding]:
    """What the doctor finds in a queue, by code."""

    async def examine() -> list[Finding]:
        queue = QueueKey.of("bull", side.queue)
        async with side.connect() as client:
            statuses = await read_status(client, [queue])
            examined = Examination(
                client, statuses, prefixes=["bull"], rate=0, server=False, pause=0
            )
            async for _ in examined.steps():
                pass
            assert not examined.price
            return examined.findings

    found = asyncio.run(examine())
    assert len({one.code for one in found}) == len(found)
    return {one.code: one for one in found}


def _flow(side: Side) -> dict[str, object]:
    child = {"queueName": side.queue, "name": "kid", "data": {"outcome": "ok"}}
    parent = {"queueName": side.queue, "name": "parent", "data": {"outcome": "ok"}}
    return {**parent, "children": [child, {**child, "name": "other"}]}


def test_a_healthy_queue_has_none(stage: Stage) -> None:
    """Idle, busy, paused, with flows, delays, priorities, a scheduler, and failures."""
    side = stage.official
    side.seed([job("a", "fail"), job("b", "ok")])
    assert findings(side) == {}
    jobs = [job("c"), job("d", delay=HOUR), job("e", priority=2), job("f", lifo=True)]
    with side.worker("hold") as worker:
        side.run("add", jobs=jobs)
        worker.until(starts=1)
        side.run("flow", tree=_flow(side))
        assert findings(side) == {}
        side.run("pause")
        assert findings(side) == {}
        side.run("resume")
        worker.release()
        worker.until(ends=6)
    if side.release.speaks >= (5, 16, 0):
        side.run("repeat", name="tick", every=HOUR, data={})
    assert findings(side) == {}


@pytest.mark.releases(since="5.60.0")
def test_a_queue_with_limits_and_deduplication_is_healthy(stage: Stage) -> None:
    """With ids that are held, with and without an expiry, and limits of every kind that end."""
    side = stage.official
    side.open()
    kept = {"name": "a", "data": {}, "opts": {"deduplication": {"id": "kept"}}}
    brief = {"name": "b", "data": {}, "opts": {"deduplication": {"id": "brief", "ttl": HOUR}}}
    side.run("add", jobs=[kept, brief, kept, brief])
    side.run("limit", concurrency=1)
    side.run("rate", most=5, duration=HOUR)
    assert findings(side) == {}
    with side.worker("ok") as worker:
        worker.until(ends=2)
        side.await_idle()
        side.run("limited", milliseconds=HOUR)
        assert findings(side) == {}
        side.run("add", jobs=[kept, job("c")])
        assert findings(side) == {}


@pytest.mark.releases(since="5.0.0")
def test_a_flow_whose_jobs_failed_and_run_again_is_healthy(stage: Stage) -> None:
    """A parent that failed by its child; both retried; a parent that waits for a failed child."""
    side = stage.official
    side.open()
    kid = {"queueName": side.queue, "name": "kid", "data": {"outcome": "fail"}}
    tree = {**_flow(side), "children": [{**kid, "opts": {"failParentOnFailure": True}}]}
    flow = side.run("flow", tree=tree)
    waits = side.run("flow", tree={**_flow(side), "children": [kid]})
    with side.worker("data") as worker:
        worker.until(starts=2)
        parent, child = flow["id"], flow["children"][0]["id"]
        for one in (parent, child, waits["children"][0]["id"]):
            wait_for(partial(side.client.zscore, side.key("failed"), one), "failures")
        _age(side, waits["id"])
        assert findings(side) == {}
        side.run("retry", ids=[child, parent], state="failed")
        worker.until(starts=3)
        side.await_idle()
        assert findings(side) == {}


@pytest.mark.releases(before="5.1.0")
def test_a_queue_whose_name_begins_with_that_of_another_has_its_own_jobs(stage: Stage) -> None:
    """Names with a colon, which releases up to 5.0.0 allow."""
    outer = stage.official
    outer.seed([job("a", "fail")])
    inner = outer.beside(f"{outer.queue}:inner")
    inner.seed([job("b", "fail"), job("c", "ok")])
    assert findings(outer) == {}
    assert findings(inner) == {}


def _no_hash(side: Side, job_id: str) -> None:
    side.client.delete(side.key(job_id))


def _no_state(side: Side, job_id: str) -> None:
    side.client.zrem(side.key("failed"), job_id)


def _two_states(side: Side, job_id: str) -> None:
    side.client.zadd(side.key("completed"), {job_id: 1})


def _twice_in_a_list(side: Side, job_id: str) -> None:
    [waiting] = side.run("add", jobs=[job("w")])
    side.client.rpush(side.key("wait"), waiting)


def _endless_limit(side: Side, job_id: str) -> None:
    """The window of a count that never ends: it limits nothing."""
    side.client.set(side.key("limiter"), 2**53 - 1)


def _no_child(side: Side, job_id: str) -> None:
    parent = side.run("flow", tree=_flow(side))["id"]
    side.client.delete(side.key(f"{parent}:dependencies"))
    _age(side, parent)


def _lost_child(side: Side, job_id: str) -> None:
    flow = side.run("flow", tree=_flow(side))
    kids = [one["id"] for one in flow["children"]]
    side.client.delete(*map(side.key, kids))
    for place in ("wait", "prioritized"):
        if side.client.type(side.key(place)) == "list":
            side.client.delete(side.key(place))
    _age(side, flow["id"])


def _age(side: Side, parent: str) -> None:
    """A parent that was added an hour ago."""
    side.client.zadd(side.key("waiting-children"), {parent: int(time.time() * 1000) - HOUR})


FAULTS: dict[str, Callable[[Side, str], None]] = {
    "no-hash": _no_hash,
    "no-state": _no_state,
    "two-states": _two_states,
    "endless-limit": _endless_limit,
    "no-child": _no_child,
    "lost-child": _lost_child,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_no_other(stage: Stage, fault: str) -> None:
    side = stage.official
    [failed, *_] = side.seed([job("a", "fail"), job("b", "ok"), job("c", "fail")])
    FAULTS[fault](side, failed)
    assert list(findings(side)) == [fault]
    assert findings(side)[fault].is_fault


def test_a_job_twice_in_one_list(stage: Stage) -> None:
    side = stage.official
    side.open()
    _twice_in_a_list(side, "")
    assert list(findings(side)) == ["two-states"]


def test_a_job_whose_worker_renews_its_lock_no_more(stage: Stage) -> None:
    """As a worker leaves it that hangs or was killed: its lock has run out by itself."""
    side = stage.official
    side.open()
    [held] = side.run("add", jobs=[job("held")])
    with side.worker("hold", lockDuration=1_000, lockRenewTime=10**8) as worker:
        worker.until(starts=1)
        wait_for(lambda: not side.client.exists(side.key(f"{held}:lock")), "the end of its lock")
        side.client.hset(side.key(held), "processedOn", int(time.time() * 1000) - HOUR)
        found = findings(side)
        assert (list(found), found["no-lock"].sample) == (["no-lock"], (held,))
        worker.release()


def _kid_that_removes_itself(side: Side) -> dict[str, object]:
    kid = {"queueName": side.queue, "name": "kid", "data": {"outcome": "fail"}}
    return {**_flow(side), "children": [{**kid, "opts": {"removeOnFail": True}}]}


@pytest.mark.releases(since="3.13.0")
def test_a_child_that_failed_and_removed_itself_leaves_no_fault(stage: Stage) -> None:
    """`removeOnFail` takes the child away, and its parent runs."""
    side = stage.official
    side.open()
    flow = side.run("flow", tree=_kid_that_removes_itself(side))
    with side.worker("data") as worker:
        assert worker.until(starts=2)[1] == flow["id"]
        side.await_idle()
        assert findings(side) == {}


@pytest.mark.releases(before="2.5.0")
def test_a_child_that_failed_and_removed_itself_leaves_its_parent_behind(stage: Stage) -> None:
    """1.91.1 and 2.4.0 keep it among what its parent waits for."""
    side = stage.official
    side.open()
    flow = side.run("flow", tree=_kid_that_removes_itself(side))
    with side.worker("data") as worker:
        worker.until(ends=1)
        child = side.key(flow["children"][0]["id"])
        wait_for(lambda: not side.client.exists(child), "the child's removal")
    _age(side, flow["id"])
    found = findings(side)
    assert (list(found), found["lost-child"].sample) == (["lost-child"], (flow["id"],))


def test_a_parent_whose_children_were_obliterated_elsewhere_runs(stage: Stage) -> None:
    """Their queue's removal lets it go: no fault is left."""
    side = stage.official
    side.open()
    other = side.beside("kids")
    other.open()
    kid = {"queueName": other.queue, "name": "kid", "data": {"outcome": "ok"}}
    flow = side.run("flow", tree={**_flow(side), "children": [kid]})
    other.run("obliterate")
    assert side.census() == {flow["id"]: ["wait"]}
    assert findings(side) == {}


def test_a_queue_that_nothing_uses(stage: Stage) -> None:
    side = stage.official
    side.seed([job("a", "ok")])
    side.client.delete(side.key("events"))
    week = int(time.time() * 1000) - 8 * 24 * HOUR
    side.client.xadd(side.key("events"), {"event": "drained"}, id=f"{week}-0")
    wait_for(lambda: not side.blocked(), "the worker is gone")
    found = findings(side)
    assert (list(found), found["ghost-queue"].is_fault) == (["ghost-queue"], False)
    assert found["ghost-queue"].words.startswith("nothing happened here for 8 d")


def _idle_for(side: Side, waiting: str, ms: int = 8_000) -> None:
    """As if nothing had happened for a while."""
    side.client.xtrim(side.key("events"), 0, approximate=False)
    side.client.hset(side.key(waiting), "timestamp", int(time.time() * 1000) - ms)


@pytest.mark.releases(since="5.0.0", before="5.1.7")
def test_a_retry_that_wakes_no_worker(stage: Stage) -> None:
    """Job.retry of 5.0.0 to 5.1.6 writes no marker."""
    side = stage.official
    [failed] = side.seed([job("a", "fail")])
    with side.worker("ok", drainDelay=30) as worker:
        side.await_idle()
        side.run("retry", ids=[failed], state="failed")
        _idle_for(side, failed)
        assert list(findings(side)) == ["no-marker"]
        assert worker.until() == []


@pytest.mark.releases(since="5.1.7")
def test_a_job_that_wakes_no_worker(stage: Stage) -> None:
    """Put into the list by a tool that does not know of markers."""
    side = stage.official
    [failed] = side.seed([job("a", "fail")])
    with side.worker("ok", drainDelay=30) as worker:
        side.await_idle()
        with side.client.pipeline() as both:
            both.zrem(side.key("failed"), failed)
            both.lpush(side.key("wait"), failed)
            both.execute()
        for ms in (8_000, 80_000):  # workers may look seldom by themselves: drainDelay
            _idle_for(side, failed, ms)
            assert list(findings(side)) == ["no-marker"]
        assert worker.until() == []


@pytest.mark.releases(since="5.27.0")
def test_a_rate_limit_by_hand_without_an_end(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("limited", milliseconds=2**53 - 1)
    found = findings(side)
    assert list(found) == ["endless-limit"]
    assert "start no job" in found["endless-limit"].effect


@pytest.mark.releases(since="5.17.0")
def test_a_deduplication_id_that_outlives_its_queue(stage: Stage) -> None:
    """D8: obliterate leaves it."""
    side = stage.official
    side.open()
    side.run("add", jobs=[{"name": "a", "data": {}, "opts": {"deduplication": {"id": "once"}}}])
    side.run("obliterate")
    fresh = side.run("add", jobs=[job("b")])
    left = side.client.get(side.key("de:once"))
    expected = ["dead-dedup"] if left is not None and left not in fresh else []
    assert list(findings(side)) == expected


@pytest.mark.releases(before="6.0.0")
def test_jobs_left_behind_by_a_resume(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("add", jobs=[job("a"), job("b")])
    side.run("pause")
    side.client.hdel(side.key("meta"), "paused")
    found = findings(side)
    assert (list(found), found["stranded"].jobs) == (["stranded"], 2)


@pytest.mark.releases(since="5.11.0")
def test_a_deduplication_id_that_drops_every_job(stage: Stage) -> None:
    side = stage.official
    side.open()
    option = "deduplication" if side.release.speaks >= (5, 17, 0) else "debounce"
    added = {"name": "a", "data": {}, "opts": {option: {"id": "order-1"}}}
    [owner] = side.run("add", jobs=[added])
    assert findings(side) == {}
    side.client.delete(side.key(owner))
    side.client.delete(side.key("wait"))
    found = findings(side)
    assert list(found) == ["dead-dedup"]
    assert found["dead-dedup"].sample == ("order-1",)


def test_releases_that_take_turns(bare_stage: Stage, drivers: Drivers) -> None:
    """A worker of 4.18.3 and one of 5.81.5, both really at work."""
    old, new = named("4.18.3"), named("5.81.5")
    side = bare_stage.official
    for release in (old, new, old, new):
        turn = side.other(drivers.get(release), release)
        turn.run("add", jobs=[job("a", "fail")])
        with turn.worker("fail") as worker:
            worker.until(ends=1)
    assert list(findings(side)) == ["mixed-releases"]


def test_an_upgrade_is_no_mixture(bare_stage: Stage, drivers: Drivers) -> None:
    old, new = named("4.18.3"), named("5.81.5")
    side = bare_stage.official
    for release in (old, old, new, new):
        side.other(drivers.get(release), release).seed([job("a", "fail")])
    assert findings(side) == {}


def test_a_pause_by_both_kinds_of_releases(bare_stage: Stage, drivers: Drivers) -> None:
    """5.81.5 pauses; 6.7.0 adds to wait: the next resume by 5.81.5 would lose that job."""
    old, new = named("5.81.5"), named("6.7.0")
    side = bare_stage.official
    before, since = (side.other(drivers.get(one), one) for one in (old, new))
    before.open()
    before.run("add", jobs=[job("a")])
    before.run("pause")
    since.run("add", jobs=[job("b")])
    assert list(findings(side)) == ["mixed-pause"]


@pytest.mark.releases(before="5.10.0")
def test_repeatable_jobs_before_an_upgrade(stage: Stage) -> None:
    side = stage.official
    side.open()
    side.run("repeat", name="tick", every=HOUR, data={})
    found = findings(side)
    assert list(found) == ["legacy-repeatable"]
    assert not found["legacy-repeatable"].is_fault


@pytest.mark.releases(since="5.58.1")
def test_a_scheduler_whose_iteration_a_drain_cut_out(stage: Stage) -> None:
    """D1: the drain of 5.41.0 to 6.7.0 keeps iterations by name, and trims the list by number."""
    side = stage.official
    side.open()
    side.run("add", jobs=[job("a"), job("b")])
    template = {"name": "tick", "data": {}}
    side.run("upsert", scheduler="dead", repeat={"every": HOUR}, template=template)
    side.run("drain")
    side.run("upsert", scheduler="alive", repeat={"every": HOUR}, template=template)
    found = findings(side)
    assert set(found) == {"dead-scheduler", "no-state", "no-hash"}
    assert found["dead-scheduler"].sample == ("dead",)
    assert "--revive" in found["dead-scheduler"].remedy
