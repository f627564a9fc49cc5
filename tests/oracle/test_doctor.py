"""The doctor finds each planted fault, exactly that one, and nothing in healthy queues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.status import read_status
from qtui.bullmq.verdicts.examination import Examination
from qtui.bullmq.verdicts.finding import Finding
from tests.oracle.conftest import Drivers
from tests.oracle.releases import named
from tests.oracle.stage import Side, Stage, job

HOUR = 3_600_000


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


def _no_lock(side: Side, job_id: str) -> None:
    """As a worker that was killed leaves it, once its lock has expired."""
    side.client.zrem(side.key("failed"), job_id)
    side.client.lpush(side.key("active"), job_id)
    side.client.hset(side.key(job_id), "processedOn", int(time.time() * 1000) - HOUR)


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
    "no-lock": _no_lock,
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
