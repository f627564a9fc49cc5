"""Workers that are there when jobs are retried: they start at once, or not before they may."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.oracle.stage import Stage, job
from tests.oracle.test_paused import assert_nothing_runs

AT_ONCE = 100
"""Milliseconds from our answer to the start of the run; without a wake-up it would be 30 s."""

_DRAIN_DELAY = 30


def _late(stage: Stage, retry: Callable[[str], None], ids: list[str]) -> list[float]:
    """For each job: milliseconds from the retry until an idle worker starts it."""
    late = []
    with stage.ours.worker("ok", drainDelay=_DRAIN_DELAY) as worker:
        for number, id in enumerate(ids, 1):
            stage.ours.await_idle()
            retry(id)
            answered = time.time() * 1000
            run = worker.timed(ends=number)[-1]
            assert run["id"] == id
            late.append(run["at"] - answered)
    return late


# The best of four: a machine that is busy with something else is not our fault.
@pytest.mark.parametrize("priority", [0, 3], ids=["plain", "priority"])
def test_an_idle_worker_starts_a_retried_job_at_once(stage: Stage, priority: int) -> None:
    ids = stage.official.seed([job(f"j{number}", priority=priority) for number in range(4)])
    stage.copy()

    def retry(id: str) -> None:
        assert stage.retry([id]) == [1]

    assert min(_late(stage, retry, ids)) <= AT_ONCE
    stage.ours.assert_all_in("completed", ids)


@pytest.mark.releases(since="4.0.0")
def test_an_idle_worker_starts_a_job_that_goes_to_prioritized_at_once(stage: Stage) -> None:
    """Before 5.0.0 too: the worker blocks on ``wait``, and without a marker sleeps up to 5 s."""
    ids = stage.official.seed([job(f"j{number}", priority=3) for number in range(4)])
    stage.copy()

    def retry(id: str) -> None:
        # Shows that the queue's release knows ``prioritized``; it is deleted when that is empty.
        stage.ours.client.set(stage.ours.key("pc"), 1)
        assert [result.target for result in stage.results([id])] == ["prioritized"]

    assert min(_late(stage, retry, ids)) <= AT_ONCE
    stage.ours.assert_all_in("completed", ids)


def test_two_idle_workers_share_many_retried_jobs(stage: Stage) -> None:
    ids = stage.official.seed([job(f"j{number}") for number in range(40)])
    stage.copy()
    with stage.ours.worker("ok") as one, stage.ours.worker("ok") as other:
        stage.ours.await_idle(2)
        assert stage.retry(ids) == [1] * 40
        stage.ours.await_idle(2)
        assert sorted([*one.until(), *other.until()]) == sorted(ids)
    stage.ours.assert_all_in("completed", ids)


@pytest.mark.releases(since="5.9.0")
def test_while_the_global_concurrency_is_full_no_worker_is_woken(stage: Stage) -> None:
    ids = stage.official.seed([job("a"), job("b")])
    stage.official.run("limit", concurrency=1)
    with stage.official.worker("hold") as worker:
        # Idle when the job comes, it takes the marker that was set for it.
        stage.official.await_idle()
        [held] = stage.official.run("add", jobs=[job("held")])
        worker.until(starts=1)
        # Taking a job writes a marker for the next worker, of which there is none here.
        stage.official.client.delete(stage.official.key("marker"))
        stage.copy()
        stage.retry_both(ids)
        stage.assert_equal()
        stage.ours.assert_all_in("active", [held])
        assert not stage.ours.client.exists(stage.ours.key("marker"))


@pytest.mark.releases(since="5.9.0")
def test_a_retried_job_starts_when_the_global_concurrency_allows_it(stage: Stage) -> None:
    side = stage.ours
    ids = side.seed([job("a"), job("b")])
    side.run("limit", concurrency=1)
    with side.worker("hold") as busy:
        [held] = side.run("add", jobs=[job("held")])
        assert busy.until(starts=1) == [held]
        with side.worker("ok", drainDelay=_DRAIN_DELAY) as idle:
            side.await_idle()
            assert stage.retry(ids) == [1, 1]
            assert_nothing_runs(side, idle)
            busy.release()
            side.await_idle(2)
            assert [*busy.until(), *idle.until()].count(held) == 1
            assert sorted([*busy.until(), *idle.until()]) == sorted([held, *ids])
    side.assert_all_in("completed", [held, *ids])
