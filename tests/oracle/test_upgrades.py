"""Queues that more than one release has worked, so that ``meta.version`` proves nothing."""

from __future__ import annotations

import pytest

from tests.oracle.conftest import Drivers
from tests.oracle.releases import named
from tests.oracle.stage import Side, Stage, job

_NEWER = ["5.81.5", "6.7.0"]


def _in(stage: Stage, drivers: Drivers, name: str) -> Side:
    """Our side in the hands of a release."""
    return stage.ours.other(drivers.get(named(name)), named(name))


@pytest.mark.parametrize("opened", [False, True], ids=["only-the-worker", "producer-too"])
@pytest.mark.parametrize("newer", _NEWER)
@pytest.mark.parametrize("older", ["3.16.2", "4.18.3"])
def test_jobs_that_failed_before_a_major_upgrade_run_after_it(
    bare_stage: Stage, drivers: Drivers, older: str, newer: str, opened: bool
) -> None:
    before, after = _in(bare_stage, drivers, older), _in(bare_stage, drivers, newer)
    ids = before.seed([job("a"), job("b", attempts=2), job("low", priority=7), job("c")])
    if opened:
        after.open()
    assert bare_stage.retry(ids) == [1] * 4
    after.work_off(ids, in_order=False)


@pytest.mark.parametrize("newer", _NEWER)
@pytest.mark.parametrize("older", ["3.16.2", "4.18.3"])
def test_a_worker_of_the_new_release_that_is_idle_starts_them_at_once(
    bare_stage: Stage, drivers: Drivers, older: str, newer: str
) -> None:
    before, after = _in(bare_stage, drivers, older), _in(bare_stage, drivers, newer)
    ids = before.seed([job("a"), job("low", priority=7)])
    after.open()
    with after.worker("ok", drainDelay=30) as worker:
        after.await_idle()
        assert bare_stage.retry(ids) == [1, 1]
        assert sorted(worker.until(ends=2)) == ids
    after.assert_all_in("completed", ids)


@pytest.mark.parametrize("dashboard", ["4.18.3", *_NEWER])
@pytest.mark.parametrize("runs", ["3.16.2", "4.18.3", "5.58.1"])
def test_a_dashboard_of_a_newer_release_does_not_mislead_the_retry(
    bare_stage: Stage, drivers: Drivers, runs: str, dashboard: str
) -> None:
    """It opened the queue last, so that ``meta.version`` names a release that works nowhere."""
    side = _in(bare_stage, drivers, runs)
    ids = side.seed([job("a"), job("low", priority=7), job("b", attempts=2), job("c", lifo=True)])
    _in(bare_stage, drivers, dashboard).open()
    with side.worker("ok", drainDelay=30) as worker:
        side.await_idle()
        assert bare_stage.retry(ids) == [1] * 4
        assert sorted(worker.until(ends=4)) == ids
        side.await_idle()
        assert len(worker.until()) == 4
    side.assert_all_in("completed", ids)


@pytest.mark.parametrize("dashboard", ["4.18.3", *_NEWER])
@pytest.mark.parametrize("runs", ["3.16.2", "4.18.3", "5.58.1"])
def test_nor_does_it_while_the_queue_is_paused(
    bare_stage: Stage, drivers: Drivers, runs: str, dashboard: str
) -> None:
    side = _in(bare_stage, drivers, runs)
    ids = side.seed([job("a"), job("low", priority=7), job("b", attempts=2)])
    waiting = side.run("add", jobs=[job("w")])
    side.run("pause")
    _in(bare_stage, drivers, dashboard).open()
    assert bare_stage.retry(ids) == [1] * 3
    side.assert_each_in_one_place()
    side.run("resume")
    side.work_off([*waiting, *ids], in_order=False)


def test_a_queue_that_two_majors_worked_gets_its_jobs_back_in_order(
    bare_stage: Stage, drivers: Drivers
) -> None:
    older, newer = _in(bare_stage, drivers, "4.18.3"), _in(bare_stage, drivers, "5.81.5")
    old = older.seed([job("a"), job("low", priority=7), job("high", priority=2)])
    new = newer.seed([job("b"), job("mid", priority=5)])
    assert bare_stage.retry([*old, *new]) == [1] * 5
    newer.work_off([old[0], new[0], old[2], new[1], old[1]])
