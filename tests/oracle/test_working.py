"""Who works on a queue, as real workers of each release show it."""

from __future__ import annotations

import asyncio

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.working import WorkerSeen, Working, read_working
from qtui.views.queues.workers import how_many
from tests.oracle.stage import Side, Stage, job, wait_for
from tests.servers import connect


def working(side: Side) -> list[WorkerSeen]:
    """The workers of a queue, busy ones first."""

    async def read() -> list[WorkerSeen]:
        async with connect(side._server, db=side.database) as client:
            found = await read_working(client, [QueueKey.of("bull", side.queue)])
            return list(found.workers)

    return asyncio.run(read())


def test_a_worker_and_the_job_that_it_holds(stage: Stage) -> None:
    side = stage.official.beside("working")
    side.open()
    assert working(side) == []
    with side.worker("hold") as worker:
        side.await_idle()
        [idle] = working(side)
        assert (idle.is_busy, idle.waits) == (False, True)
        [held] = side.run("add", jobs=[job("charge")])
        worker.until(starts=1)
        [busy] = working(side)
        assert [(one.id, one.name, one.stalls) for one in busy.jobs] == [(held, "charge", 0)]
        assert 0 < busy.jobs[0].lock_left <= 30_000
        assert busy.token
        assert busy.address
        worker.release()
        worker.until(ends=1)
    wait_for(lambda: not working(side), "the worker is gone")


@pytest.mark.releases(since="5.3.0")
def test_two_workers_by_their_names(stage: Stage) -> None:
    side = stage.official.beside("working")
    side.open()
    with side.worker("hold", name="one") as one, side.worker("hold", name="two"):
        ids = side.run("add", jobs=[job("a"), job("b")])
        wait_for(lambda: len(side.members("active")) == 2, "both hold a job")
        named = {"one", "two"} | ({""} if side.release.is_python else set())
        wait_for(lambda: {seen.name for seen in working(side)} == named, "both are named")
        if side.release.is_python:  # writes no `pb`: locks and connections can't be joined
            return
        held = {seen.name: [each.id for each in seen.jobs] for seen in working(side)}
        assert sorted(one for each in held.values() for one in each) == sorted(ids)
        assert {run["id"] for run in one.timed(starts=1)} == set(held["one"])
        one.release()


def test_two_workers_without_names(stage: Stage) -> None:
    """Which connection holds the jobs of which token can't be known, and is not guessed."""
    side = stage.official.beside("working")
    side.open()
    with side.worker("hold") as one, side.worker("hold") as two:
        ids = side.run("add", jobs=[job("a"), job("b")])
        wait_for(lambda: sum(seen.is_busy for seen in working(side)) == 2, "two tokens")
        seen = working(side)
        tokens = [each for each in seen if each.token]
        assert sorted(held.id for each in tokens for held in each.jobs) == sorted(ids)
        connections = [each for each in seen if each.address]
        assert len(connections) == 2
        assert all(each.may_hold and not each.jobs for each in connections)
        assert ("2 workers", "strong") in how_many(Working(workers=tuple(seen)))
        one.release()
        two.release()


def test_a_lock_that_has_expired(stage: Stage) -> None:
    side = stage.official.beside("working")
    side.open()
    with side.worker("hold") as worker:
        [held] = side.run("add", jobs=[job("a")])
        worker.until(starts=1)
        side.client.delete(side.key(f"{held}:lock"))
        jobs = [each for seen in working(side) for each in seen.jobs]
        assert [(one.id, one.lock_left) for one in jobs] == [(held, -2)]
        worker.release()
