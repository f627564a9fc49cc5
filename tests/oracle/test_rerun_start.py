"""A flow that is rerun from the start: every job once more, children before parents."""

from __future__ import annotations

from qtui.operations.flow_rerun.plan import Part, Start
from qtui.operations.planning.plan import Resets
from tests.oracle.flow_stage import FAIL, ONE_SERVER, FlowStage, Tree, tree
from tests.oracle.keyspace import digest
from tests.oracle.stage import Stage


def _flow(name: str, *, fails: bool) -> Tree:
    """Three levels over three queues."""
    return tree(
        name,
        tree(
            f"{name}-m",
            tree(f"{name}-a", queue="c"),
            tree(f"{name}-b", queue="c", fails=fails, option=FAIL),
            queue="b",
            option=FAIL,
            priority=2,
        ),
        tree(f"{name}-n", tree(f"{name}-c", queue="c", priority=1), queue="b"),
        tree(f"{name}-d", queue="b"),
    )


def _assert_whole(flows: FlowStage) -> None:
    flows.assert_nothing_left()
    assert flows.states() == {id: ["completed"] for id in flows.jobs}
    for one in flows.jobs.values():
        assert flows.children_values(one.id) == {child.id for child in one.children}


def test_every_job_runs_once_children_before_parents(stage: Stage) -> None:
    flows = FlowStage(stage, _flow("done", fails=False), _flow("broken", fails=True), tree("alone"))
    flows.seed()
    for root in flows.trees:
        plan = flows.rerun(root.children[0].id if root.children else root.id, Start.START)
        assert {step.node.id for step in plan.steps} == {one.id for one in root.all()}
        kept = [one.id for one in root.all() if flows.client.exists(f"{one.key}:processed")]
        assert kept == []
    runs = flows.work()
    flows.assert_in_order(runs)
    assert sorted(runs) == sorted(flows.jobs)
    _assert_whole(flows)


@ONE_SERVER
def test_a_parent_that_waits_for_a_failed_child_is_rerun_with_it(stage: Stage) -> None:
    flows = FlowStage(stage, tree("p", tree("a", queue="b"), tree("b", queue="b", fails=True)))
    flows.seed()
    assert flows.states()["p"] == ["waiting-children"]
    flows.rerun("p", Start.START)
    runs = flows.work()
    flows.assert_in_order(runs)
    assert sorted(runs) == ["a", "b", "p"]
    _assert_whole(flows)


@ONE_SERVER
def test_children_whose_job_is_gone_keep_their_stored_results(stage: Stage) -> None:
    flows = FlowStage(
        stage,
        tree("p", tree("a", queue="b", removeOnComplete=True), tree("b", queue="b")),
        tree("only", tree("c", queue="b", removeOnComplete=True)),
    )
    flows.seed()
    plan = flows.rerun("p", Start.START)
    assert [step.node.id for step in plan.of(Part.GONE)] == ["a"]
    gone = "bull:b:a is gone and can't run again: its stored result is kept."
    assert gone in plan.notes
    flows.rerun("only", Start.START)
    runs = flows.work()
    assert sorted(runs) == ["b", "only", "p"]
    assert runs.index("b") < runs.index("p")
    assert flows.children_values("p") == {"a", "b"}
    assert flows.children_values("only") == {"c"}
    flows.assert_nothing_left()


@ONE_SERVER
def test_a_flow_that_is_not_at_rest_is_refused_with_the_reason(stage: Stage) -> None:
    flows = FlowStage(stage, tree("p", tree("a", queue="b"), tree("b", queue="c")))
    for side in flows.sides():
        side.open()
    flows.side.run("flow", tree=flows.trees[0].definition())
    flows.work("values", ["b"])
    before = digest(flows.client)
    refusal = "the flow is still running (1 waiting): bull:c:b"
    assert flows.plan("a", Start.START).refusal == refusal
    assert digest(flows.client) == before


@ONE_SERVER
def test_counters_are_reset_only_if_asked_for(stage: Stage) -> None:
    flows = FlowStage(stage, tree("p", tree("a", queue="b")), tree("o", tree("b", queue="b")))
    flows.seed()
    plan = flows.plan("p", Start.START)
    flows.carry_out(plan, Resets(made=True, started=True))
    flows.rerun("o", Start.START)
    modern = stage.release.at_least_5
    names = ("atm", "ats") if modern else ("attemptsMade",)
    for id, expected in {"p": None, "a": None, "o": "1", "b": "1"}.items():
        assert [flows.client.hget(flows.jobs[id].key, name) for name in names] == [expected] * len(
            names
        )
    assert sorted(flows.work()) == sorted(flows.jobs)
    _assert_whole(flows)
