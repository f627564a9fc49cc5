"""Jobs of real releases that a removal took come back, and run."""

from __future__ import annotations

from qtui.bullmq.model import JobState
from tests.oracle.flow_stage import ONE_SERVER
from tests.oracle.removing import add_flow, codes, read_whole, remove, restore
from tests.oracle.stage import Stage, job

pytestmark = ONE_SERVER


def test_jobs_that_come_back_wake_an_idle_worker_and_run(stage: Stage) -> None:
    stage.official.open()
    ids = stage.official.run("add", jobs=[job("a"), job("b")])
    stage.copy()
    gone = read_whole(stage.ours, ids, JobState.WAITING)
    assert codes(remove(stage.ours, ids, JobState.WAITING)) == [1, 1]
    with stage.ours.worker("ok") as worker:
        stage.ours.await_idle()
        assert codes(restore(stage.ours, gone)) == [1, 1]
        worker.until(ends=2)
    stage.ours.assert_all_in("completed", ids)


def test_a_child_that_comes_back_is_waited_for_and_its_parent_runs_after_it(stage: Stage) -> None:
    add_flow(stage, "one", queue="kids")
    stage.copy()
    kids = stage.ours.beside("kids")
    gone = read_whole(kids, ["one"], JobState.WAITING, "kids")
    assert codes(remove(kids, ["one"], JobState.WAITING)) == [1]
    assert stage.ours.members("waiting-children") == []
    assert codes(restore(kids, gone)) == [1]
    assert stage.ours.members("waiting-children") == ["parent"]
    kids.work_off(["one"])
    stage.ours.work_off(["parent"])
