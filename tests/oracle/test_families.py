"""A whole flow in one selection: parents run after their children, and every result is whole."""

from __future__ import annotations

import pytest

from qtui.bullmq.codes import Code
from qtui.bullmq.model import JobState
from qtui.operations.planning.family_warnings import Trouble
from tests.oracle.flow_stage import FAIL, ONE_SERVER, FlowStage, Tree, tree
from tests.oracle.releases import Release
from tests.oracle.stage import Stage

COMPLETED, FAILED = JobState.COMPLETED, JobState.FAILED
BOTH = pytest.mark.parametrize("named", [False, True], ids=["all", "ids"])


def _three(fails: bool = False) -> Tree:
    """Three levels in one queue; ids sort the parents before their children."""
    leaf = tree("c-leaf", fails=fails, option=FAIL if fails else "")
    middle = tree("b-middle", leaf, tree("c-side"), option=FAIL if fails else "")
    return tree("a-root", middle, tree("b-side"))


def _ids(flows: FlowStage) -> list[str]:
    return list(flows.jobs)


@BOTH
def test_a_completed_flow_runs_again_children_first(stage: Stage, named: bool) -> None:
    flows = FlowStage(stage, _three(), tree("alone"))
    flows.seed()
    plan, results = flows.retry_all(COMPLETED, _ids(flows) if named else None)
    assert plan.after_children == 2
    assert {one.job_id: one.target for one in results if one.target != "wait"} == {
        "a-root": "waiting-children",
        "b-middle": "waiting-children",
    }
    runs = flows.work()
    assert sorted(runs) == sorted(flows.jobs)
    flows.assert_in_order(runs)
    flows.assert_nothing_left()
    assert flows.states() == {one: ["completed"] for one in flows.jobs}
    assert flows.children_values("a-root") == {"b-middle", "b-side"}
    assert flows.children_values("b-middle") == {"c-leaf", "c-side"}


@BOTH
@pytest.mark.releases(since="2.1.0")
def test_a_flow_that_failed_whole_runs_again_children_first(stage: Stage, named: bool) -> None:
    flows = FlowStage(stage, _three(fails=True))
    flows.seed()
    again = {"a-root", "b-middle", "c-leaf"}
    assert {one for one, places in flows.states().items() if places == ["failed"]} == again
    plan, results = flows.retry_all(FAILED, sorted(again) if named else None)
    assert plan.after_children == 2
    assert not [one for one in results if not one.done]
    runs = flows.work()
    assert sorted(runs) == sorted(again)
    flows.assert_in_order(runs)
    flows.assert_nothing_left()
    assert flows.states() == {one: ["completed"] for one in flows.jobs}
    assert flows.children_values("a-root") == {"b-middle", "b-side"}
    assert flows.children_values("b-middle") == {"c-leaf", "c-side"}


@ONE_SERVER
def test_workers_that_run_meanwhile_find_every_parent_after_its_children(stage: Stage) -> None:
    flows = FlowStage(stage, *(tree(f"p{at}", tree(f"c{at}")) for at in range(20)))
    flows.seed()
    with flows.workers("values") as workers:
        _, results = flows.retry_all(COMPLETED)
        assert not [one for one in results if not one.done]
        runs = workers[0].timed(ends=40)
        flows.side.await_idle(len(workers))
    began = {run["id"]: run["began"] for run in runs}
    ended = {run["id"]: run["ended"] for run in runs}
    assert len(runs) == 40
    assert all(ended[f"c{at}"] < began[f"p{at}"] for at in range(20))
    flows.assert_nothing_left()
    assert all(flows.children_values(f"p{at}") == {f"c{at}"} for at in range(20))


@ONE_SERVER
@pytest.mark.releases(since="2.1.0")
def test_a_parent_whose_other_child_failed_keeps_its_place(stage: Stage, release: Release) -> None:
    """Of two failed children one is retried with the parent: it could not complete, and stays."""
    bad = [tree(f"c{at}", fails=True, option=FAIL) for at in range(2)]
    flows = FlowStage(stage, tree("p", *bad))
    flows.seed()
    plan, results = flows.retry_all(FAILED, ["p", "c0"])
    assert [one.trouble for one in plan.families] == [Trouble.CHILD_LEFT]
    assert plan.count(Code.FAILED_CHILD) == 1
    assert {one.job_id: one.code for one in results} == {"c0": 1, "p": Code.FAILED_CHILD}
    assert next(one.error for one in results if one.job_id == "p") == "bull:q:c1"
    assert flows.work() == ["c0"]
    assert flows.states()["p"] == ["failed"]
    # The way out that the words name.
    flows.rerun("p")
    flows.work()
    assert flows.states() == {one: ["completed"] for one in flows.jobs}


@ONE_SERVER
def test_a_parent_retried_without_its_children_goes_where_bullmq_puts_it(stage: Stage) -> None:
    flows = FlowStage(stage, tree("p", tree("c")))
    flows.seed()
    plan, results = flows.retry_all(COMPLETED, ["p"])
    assert (plan.after_children, [one.target for one in results]) == (0, ["wait"])
    assert flows.work() == ["p"]
    assert flows.children_values("p") == {"c"}


@ONE_SERVER
@pytest.mark.releases(since="2.1.0")
def test_a_parent_completes_without_a_child_that_is_gone(stage: Stage) -> None:
    """Its queue was obliterated, or it was removed: no release lets such a parent run."""
    lost = tree("lost", fails=True, option=FAIL, queue="b")
    flows = FlowStage(stage, tree("p", tree("kept"), lost))
    flows.seed()
    keys = [key for key in flows.client.scan_iter("bull:b:*") if not key.endswith(":meta")]
    flows.client.delete(*keys)
    assert "--drop-lost" in flows.plan("p").refusal
    plan = flows.plan("p", drop_lost=True)
    assert (plan.refusal, plan.lost) == ("", 1)
    assert [one.code for one in flows.carry_out(plan)] == [Code.DONE]
    assert flows.work(queues=["q"]) == ["p"]
    assert flows.states()["p"] == ["completed"]
    assert flows.children_values("p") == {"kept"}
    flows.assert_nothing_left()
