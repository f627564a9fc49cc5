"""What ends, doubles or delays a retried job's run in the releases; the plan says it."""

from __future__ import annotations

import asyncio
import re

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.demo.server import EmbeddedServer
from qtui.operations.planning.plan import make_plan
from qtui.operations.supply.selection import chosen
from tests.oracle.stage import Side, Stage, job, wait_for
from tests.servers import connect


def _brakes(server: EmbeddedServer, side: Side, *ids: str) -> tuple[str, ...]:
    async def read() -> tuple[str, ...]:
        async with connect(server, db=side.database) as client:
            queue = QueueKey.of("bull", side.queue)
            return (await make_plan(client, chosen(queue, JobState.FAILED, ids))).brakes

    return asyncio.run(read())


def _stall(side: Side, id: str) -> None:
    """Leave a job as a worker that died leaves it, found once by the stall check."""
    side.client.lrem(side.key("wait"), 0, id)
    side.client.lpush(side.key("active"), id)
    side.client.sadd(side.key("stalled"), id)
    side.client.delete(side.key("stalled-check"), side.key(f"{id}:lock"))


@pytest.mark.releases(since="5.49.0")
def test_a_stall_counter_outlives_every_reset_and_one_more_stall_fails_the_job_unrun(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    [id] = stage.official.seed([job("a")])
    side = stage.ours
    stage.copy()
    side.client.hset(side.key(id), "stc", 1)  # as a first stall leaves it
    [said] = _brakes(oracle_server, side, id)
    assert said.startswith("1 job has stalled before (stc), and a retry does not reset that")
    assert stage.retry([id], made=True, started=True) == [1]
    assert side.client.hget(side.key(id), "stc") == "1"
    _stall(side, id)
    with side.worker("ok", stalledInterval=100) as worker:
        wait_for(lambda: side.client.zscore(side.key("failed"), id) is not None, "it fails")
        assert worker.until() == []
    reason = side.client.hget(side.key(id), "failedReason") or ""
    assert "stalled more than allowable limit" in reason


@pytest.mark.releases(since="5.17.0")
def test_a_job_that_another_one_has_replaced_by_its_deduplication_id_runs_beside_it(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    _assert_both_run(stage, oracle_server, {"deduplication": {"id": "d"}})


@pytest.mark.releases(since="5.72.0")
def test_a_job_that_is_kept_for_later_under_a_deduplication_id_runs_too(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    how: dict[str, object] = {"deduplication": {"id": "d", "keepLastIfActive": True}}
    side = stage.official
    [id] = side.seed([job("a", "fail", **how)])
    with side.worker("hold") as worker:
        [other] = side.run("add", jobs=[job("b", "ok", **how)])
        assert worker.until(starts=1) == [other]
        side.run("add", jobs=[job("c", "ok", **how)])
        assert side.client.exists(side.key("dn:d"))
        assert _brakes(oracle_server, side, id) == (
            "1 job has a deduplication id that another job holds now: both will run.",
            "1 deduplication id has a newer job kept for later (dn:): it will run too.",
        )
        worker.release()
        assert len(worker.until(ends=2)) == 2


@pytest.mark.releases(since="5.11.0", before="6.0.0")
def test_a_debounce_id_is_such_an_id(stage: Stage, oracle_server: EmbeddedServer) -> None:
    _assert_both_run(stage, oracle_server, {"debounce": {"id": "d"}})


def _assert_both_run(stage: Stage, oracle_server: EmbeddedServer, how: dict[str, object]) -> None:
    [id] = stage.official.seed([job("a", "fail", **how)])
    [other] = stage.official.run("add", jobs=[job("b", "fail", **how)])
    [same] = stage.official.run("add", jobs=[job("c", "fail", **how)])
    assert (same, other != id) == (other, True)
    stage.copy()
    assert _brakes(oracle_server, stage.ours, id) == (
        "1 job has a deduplication id that another job holds now: both will run.",
    )
    assert stage.retry([id]) == [1]
    stage.ours.work_off([other, id])


# A worker of 3.x or 4.0.0 does not close before its limit ends.
@pytest.mark.releases(since="4.18.0")
def test_a_workers_rate_limit_is_in_the_keys_with_its_time(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    limiter = {"max": 1, "duration": 600_000}
    [id] = stage.official.seed([job("a")], limiter=limiter)
    stage.copy()
    said = _brakes(oracle_server, stage.ours, id)
    assert len(said) == 1
    assert re.match(
        "A rate limit of the queue has counted 1 start, for another (9 m 5|10 m 0)", said[0]
    )
    assert stage.retry([id]) == [1]
    with stage.ours.worker("ok", limiter=limiter) as worker:
        wait_for(lambda: stage.ours.members("wait") == [id], "it waits")
        assert worker.until() == []
    with stage.ours.worker("ok") as worker:  # one without a limit is bound by none
        assert worker.until(ends=1) == [id]


@pytest.mark.releases(since="5.36.0")  # before, the first one is due at the next full hour
def test_an_iteration_of_a_scheduler_runs_once_more_and_the_schedule_continues(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    template = {"name": "tick", "data": {"outcome": "fail"}}
    stage.official.open()
    id = stage.official.run("scheduler", scheduler="s1", every=3_600_000, template=template)
    with stage.official.worker("data") as worker:
        worker.until(ends=1)
    assert stage.official.members("failed") == [id]
    [due] = stage.official.members("delayed")
    stage.copy()
    assert _brakes(oracle_server, stage.ours, id) == (
        "1 job is an iteration of a job scheduler: it runs once more, and the schedule does not "
        "change.",
    )
    assert stage.retry([id]) == [1]
    with stage.ours.worker("ok") as worker:
        assert worker.until(ends=1) == [id]
        stage.ours.await_idle()
    assert stage.ours.members("delayed") == [due]
    assert stage.ours.members("completed") == [id]


@pytest.mark.releases(since="5.27.0")
def test_a_manual_rate_limit_holds_workers_with_a_limit_of_their_own_and_no_others(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    side = stage.official
    [id] = side.seed([job("a")])
    side.run("limited", milliseconds=600_000)
    [said] = _brakes(oracle_server, side, id)
    assert said.startswith("The queue is rate-limited manually for another ")
    assert said.endswith(": workers with a limiter option start no job meanwhile.")
    with side.worker("ok", limiter={"max": 100, "duration": 1000}) as held:
        [first] = side.run("add", jobs=[job("b", "ok")])
        with side.worker("ok") as free:
            assert free.until(ends=1) == [first]
        assert held.until() == []


@pytest.mark.releases(since="5.27.0")
def test_a_rate_limit_without_an_expiry_holds_nobody(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    side = stage.official
    [id] = side.seed([job("a")])
    side.run("limited", milliseconds=600_000)
    side.client.persist(side.key("limiter"))
    assert _brakes(oracle_server, side, id) == ()
    with side.worker("ok", limiter={"max": 100, "duration": 1000}) as worker:
        [first] = side.run("add", jobs=[job("b", "ok")])
        assert worker.until(ends=1) == [first]
