"""A flow that is rerun from failure: what failed runs again, what was done does not."""

from __future__ import annotations

import pytest

from qtui.operations.flow_rerun.plan import Part
from qtui.operations.planning.family_warnings import Trouble
from qtui.operations.planning.plan import Resets
from tests.oracle.flow_stage import FAIL, IGNORE, ONE_SERVER, REMOVE, SINCE, FlowStage, Tree, tree
from tests.oracle.keyspace import digest
from tests.oracle.releases import Release
from tests.oracle.stage import Stage, wait_for


def _depths() -> list[Tree]:
    """Flows of one to four levels over three queues, in which leaves failed for good."""
    alone = tree("alone", fails=True)
    two = tree("two", tree("two-a"), tree("two-b", fails=True, option=FAIL))
    three = tree(
        "three",
        tree("three-side", queue="b"),
        tree(
            "three-mid",
            tree("three-a", queue="c"),
            tree("three-b", queue="c", fails=True, option=FAIL),
            queue="b",
            option=FAIL,
        ),
    )
    four = tree(
        "four",
        tree(
            "four-1",
            tree("four-2", tree("four-3", queue="c", fails=True, option=FAIL), option=FAIL),
            tree("four-done", queue="c"),
            queue="b",
            option=FAIL,
        ),
    )
    return [alone, two, three, four]


AGAIN_BY_DEPTH = [
    ({"alone"}, {}),
    ({"two", "two-b"}, {"two": {"two-a", "two-b"}}),
    (
        {"three", "three-mid", "three-b"},
        {"three": {"three-side", "three-mid"}, "three-mid": {"three-a", "three-b"}},
    ),
    (
        {"four", "four-1", "four-2", "four-3"},
        {"four": {"four-1"}, "four-1": {"four-2", "four-done"}, "four-2": {"four-3"}},
    ),
]


def test_flows_of_every_depth_complete_with_all_values(stage: Stage) -> None:
    flows = FlowStage(stage, *_depths())
    flows.seed()
    for root, (again, _) in zip(flows.trees, AGAIN_BY_DEPTH, strict=True):
        plan = flows.rerun(root.id)
        assert {step.node.id for step in plan.steps if step.part.reruns} == again
    runs = flows.work()
    flows.assert_in_order(runs)
    assert set(runs) == {id for again, _ in AGAIN_BY_DEPTH for id in again}
    for _, values in AGAIN_BY_DEPTH:
        for id, children in values.items():
            assert flows.children_values(id) == children
    flows.assert_nothing_left()
    assert flows.states() == {id: ["completed"] for id in flows.jobs}


@ONE_SERVER
@pytest.mark.parametrize("option", SINCE, ids=lambda option: option or "no-option")
def test_every_option_of_failure(stage: Stage, release: Release, option: str) -> None:
    """The parent fails at its own first run too, where a child's failure lets it run."""
    flows = FlowStage(
        stage,
        tree(
            "p", tree("a", queue="b"), tree("b", queue="b", fails=True, option=option), fails=True
        ),
    )
    flows.seed()
    known = option if release.speaks >= SINCE[option] else ""
    flows.rerun("p")
    runs = flows.work()
    flows.assert_in_order(runs)
    # A child that was struck off is not known to its parent any more: it stays failed.
    struck = known == REMOVE
    assert set(runs) == ({"p"} if struck else {"p", "b"})
    assert flows.children_values("p") == ({"a"} if struck else {"a", "b"})
    flows.assert_nothing_left()
    assert flows.states() == {
        "p": ["completed"],
        "a": ["completed"],
        "b": ["failed" if struck else "completed"],
    }


@ONE_SERVER
def test_every_failed_leaf_of_a_flow_runs_again(stage: Stage) -> None:
    def mid(name: str, *fails: bool) -> Tree:
        leaves = (
            tree(f"{name}{at}", queue="c", fails=failed, option=FAIL)
            for at, failed in enumerate(fails)
        )
        return tree(name, *leaves, queue="b", option=FAIL)

    flows = FlowStage(
        stage,
        tree(
            "p",
            mid("m", True, False, True),
            mid("n", True),
            mid("o", False),
            tree("l", fails=True, option=FAIL),
        ),
    )
    flows.seed()
    plan = flows.rerun("o0")
    again = {"p", "m", "m0", "m2", "n", "n0", "l"}
    assert {step.node.id for step in plan.steps if step.part.reruns} == again
    runs = flows.work()
    flows.assert_in_order(runs)
    assert set(runs) == again
    assert flows.children_values("p") == {"m", "n", "o", "l"}
    assert flows.children_values("m") == {"m0", "m1", "m2"}
    flows.assert_nothing_left()


@ONE_SERVER
def test_a_parent_that_failed_by_itself_resumes_and_its_children_do_not(stage: Stage) -> None:
    flows = FlowStage(
        stage,
        tree("p", tree("m", tree("a"), tree("b"), queue="b", fails=True, option=FAIL), tree("c")),
    )
    flows.seed()
    flows.rerun("a")
    assert flows.work() == ["m", "p"]
    assert flows.children_values("m") == {"a", "b"}
    assert flows.children_values("p") == {"m", "c"}
    flows.assert_nothing_left()


@ONE_SERVER
def test_children_that_were_removed_on_completion_keep_their_results(stage: Stage) -> None:
    flows = FlowStage(
        stage,
        tree(
            "p",
            tree("a", queue="b", removeOnComplete=True),
            tree("b", queue="b", fails=True, option=FAIL, removeOnComplete=True),
        ),
    )
    flows.seed()
    flows.rerun("p")
    runs = flows.work()
    flows.assert_in_order(runs)
    assert set(runs) == {"b", "p"}
    assert flows.children_values("p") == {"a", "b"}
    flows.assert_nothing_left()
    assert flows.states() == {"p": ["completed"]}


@ONE_SERVER
def test_priorities_are_kept(stage: Stage) -> None:
    def leaf(name: str, priority: int) -> Tree:
        return tree(name, queue="b", fails=True, option=FAIL, priority=priority)

    flows = FlowStage(stage, tree("p", leaf("low", 9), leaf("high", 1), leaf("mid", 5), priority=3))
    flows.seed()
    flows.rerun("p")
    assert flows.work() == ["high", "mid", "low", "p"]
    flows.assert_nothing_left()


@ONE_SERVER
def test_a_paused_queue_in_the_middle_holds_its_own_jobs_only(stage: Stage) -> None:
    flows = FlowStage(
        stage,
        tree("p", tree("m", tree("a", queue="c", fails=True, option=FAIL), queue="b", option=FAIL)),
        tree("r", tree("s", queue="b", fails=True, option=FAIL)),
    )
    flows.seed()
    middle = flows.side.beside("b")
    middle.run("pause")
    plan = flows.rerun("p")
    assert "bull:b is paused: its jobs run once it is resumed." in plan.warnings(Resets())
    flows.rerun("r")
    assert flows.work() == ["a"]
    assert flows.states()["r"] == ["waiting-children"]
    middle.run("resume")
    runs = flows.work()
    flows.assert_in_order(runs)
    assert set(runs) == {"m", "p", "s", "r"}
    flows.assert_nothing_left()


@ONE_SERVER
def test_workers_that_are_faster_than_anything_find_every_parent_parked(stage: Stage) -> None:
    leaves = [tree(f"l{at}", queue="b", fails=True, option=FAIL) for at in range(20)]
    flows = FlowStage(stage, tree("p", tree("m", *leaves, option=FAIL), queue="c"))
    flows.seed()
    with flows.workers("values") as workers:
        flows.side.await_idle(len(workers))
        flows.rerun("p", whole=0, piece=5)
        done = "bull:c:completed"
        wait_for(lambda: flows.client.zscore(done, "p") is not None, "the root's completion")
        runs = [run["id"] for worker in workers for run in worker.timed()]
    assert sorted(runs) == sorted(flows.jobs)
    assert len(flows.children_values("m")) == 20
    flows.assert_nothing_left()


@ONE_SERVER
@pytest.mark.releases(since="5.49.2")
def test_a_parent_that_waits_only_to_be_failed_is_saved_from_it(stage: Stage) -> None:
    """Since 5.49.2 a worker of the parent's queue has to fail it; here none has come by yet."""
    flows = FlowStage(
        stage,
        tree("p", tree("a", queue="b", fails=True, option=FAIL), tree("d", queue="b")),
        tree("o", tree("e", queue="b", fails=True, option=FAIL), priority=2),
        tree("other"),
    )
    for side in flows.sides():
        side.open()
    for root in flows.trees:
        flows.side.run("flow", tree=root.definition())
    flows.work("data", ["b"])
    assert flows.states() == {
        "p": ["wait"],
        "o": ["prioritized"],
        "other": ["wait"],
        "a": ["failed"],
        "d": ["completed"],
        "e": ["failed"],
    }
    flows.rerun("a")
    flows.rerun("o")
    runs = flows.work()
    flows.assert_in_order(runs)
    assert set(runs) == {"a", "p", "e", "o", "other"}
    flows.assert_nothing_left()
    assert flows.states() == {id: ["completed"] for id in flows.jobs}


@ONE_SERVER
@pytest.mark.releases(since="2.1.0")
def test_a_child_that_was_retried_by_itself_is_not_run_again(stage: Stage) -> None:
    """A child completes and stays in its parent's `unsuccessful`, its result not in `processed`.

    So a retry of 5.42.0 to 5.58.1 leaves it: no later retry of the parent could ever complete.
    """
    flows = FlowStage(
        stage,
        tree("p", tree("a", queue="b"), tree("b", queue="b", fails=True, option=FAIL)),
        tree("w", tree("c", queue="b", fails=True, option=FAIL)),
    )
    flows.seed()
    flows.side.beside("b").run("retry", ids=["b"], state="failed")
    assert flows.work() == ["b"]
    flows.side.beside("b").run("retry", ids=["c"], state="failed")
    flows.rerun("p")
    flows.rerun("w")
    runs = flows.work()
    flows.assert_in_order(runs)
    assert sorted(runs) == ["c", "p", "w"]
    assert flows.children_values("p") == {"a", "b"}
    assert flows.children_values("w") == {"c"}
    flows.assert_nothing_left()


@ONE_SERVER
def test_where_nothing_failed_nothing_is_written(stage: Stage) -> None:
    flows = FlowStage(
        stage,
        tree("p", tree("a", queue="b")),
        tree("o", tree("b", queue="b", fails=True, option=IGNORE)),
    )
    flows.seed()
    before = digest(flows.client)
    assert flows.plan("p").refusal == "no failed job to rerun"
    if flows.states()["o"] == ["completed"]:
        ignored = "no failed job to rerun: 1 failed child is ignored by a parent"
        assert flows.plan("o").refusal == ignored
    assert digest(flows.client) == before


@ONE_SERVER
@pytest.mark.releases(since="2.1.0")
def test_a_failed_flow_that_fails_again_can_be_rerun_again(stage: Stage) -> None:
    flows = FlowStage(
        stage, tree("p", tree("m", tree("a", queue="b", fails=True, option=FAIL), option=FAIL))
    )
    flows.seed()
    flows.rerun("p")
    assert flows.work("data")[0] == "a"
    assert flows.states() == {id: ["failed"] for id in flows.jobs}
    flows.rerun("p")
    assert flows.work() == ["a", "m", "p"]
    flows.assert_nothing_left()


@ONE_SERVER
def test_a_sibling_that_has_not_run_yet_is_waited_for(stage: Stage) -> None:
    flows = FlowStage(
        stage,
        tree("p", tree("a", queue="b", fails=True, option=FAIL), tree("c", queue="c")),
    )
    for side in flows.sides():
        side.open()
    flows.side.run("flow", tree=flows.trees[0].definition())
    flows.work("data", ["b", "q"])
    plan = flows.rerun("p")
    assert [(step.node.id, step.part) for step in plan.steps if not step.part.reruns] == [
        ("c", Part.UNDER_WAY)
    ]
    runs = flows.work()
    flows.assert_in_order(runs)
    assert sorted(runs) == ["a", "c", "p"]
    assert flows.children_values("p") == {"a", "c"}
    flows.assert_nothing_left()


@ONE_SERVER
@pytest.mark.releases(since="2.1.0")
def test_what_a_plain_retry_is_warned_of_comes_true(stage: Stage) -> None:
    """Of a parent: up to 5.41.8 it is stuck in active, since 5.58.1 it fails again."""
    flows = FlowStage(
        stage,
        tree("p", tree("a", queue="b", fails=True, option=FAIL)),
        tree("o", tree("c", queue="b", fails=True, option=FAIL)),
    )
    flows.seed()
    [alone] = flows.warnings("p")
    assert flows.retry("p") == [1]
    with flows.workers("values") as workers:
        wait_for(lambda: any(worker.until() for worker in workers), "the parent's run")
        stuck = Trouble.PARENT_IS_STUCK
        if alone is stuck:
            wait_for(lambda: not flows.client.exists(f"{flows.jobs['p'].key}:lock"), "no lock")
        else:
            assert alone is Trouble.PARENT_FAILS_AGAIN
            wait_for(lambda: flows.client.zscore("bull:q:failed", "p"), "the parent's failure")
        place = "active" if alone is stuck else "failed"
        assert flows.states()["p"] == [place]
    assert flows.warnings("c") == [Trouble.PARENT_STAYS_FAILED]
    assert flows.retry("c") == [1]
    assert flows.work(queues=["b"]) == ["c"]
    assert flows.states()["c"] == ["completed"]
    assert flows.states()["o"] == ["failed"]
