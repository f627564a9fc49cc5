"""The rerun of a flow, taken back: every key as before; what has moved on is left alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.planning.plan import Resets
from tests.operations.undoing import carried_out, undone
from tests.oracle.flow_stage import FAIL, IGNORE, ONE_SERVER, FlowStage, tree
from tests.oracle.stage import Stage, job
from tests.oracle.test_unretry import kept


def rerun(flows: FlowStage, folder: Path, id: str, start: Start, resets: Resets) -> None:
    """Reruns a flow with a journal."""

    async def go() -> None:
        async with flows.connect() as client:
            plan = await make_rerun_plan(client, flows._queue(id), id, start)
            assert not plan.refusal
            action = Rerun(client, RerunWriter(client), plan, resets)
            assert all(one.done for one in await carried_out(client, folder, action))

    asyncio.run(go())


def undo(flows: FlowStage, folder: Path) -> dict[str, Result]:
    """Takes it back; the results by id."""

    async def go() -> list[Result]:
        async with flows.connect() as client:
            _, results = await undone(client, folder)
            return results

    return {one.job_id.rpartition(":")[2]: one for one in asyncio.run(go())}


@ONE_SERVER
@pytest.mark.parametrize(
    ("start", "option"),
    [(Start.FAILURE, FAIL), (Start.START, FAIL), (Start.FAILURE, IGNORE)],
)
@pytest.mark.releases(since="2.1.0")
def test_a_flow_is_as_it_was_before_its_rerun(
    stage: Stage, tmp_path: Path, start: Start, option: str
) -> None:
    leaf = tree("leaf", fails=True, option=option, queue="r")
    flows = FlowStage(stage, tree("root", tree("middle", leaf, tree("side")), tree("other")))
    flows.seed()
    side = flows.side
    before = kept(side.snapshot())
    rerun(flows, tmp_path, "leaf", start, Resets(made=True))
    assert kept(side.snapshot()) != before
    results = undo(flows, tmp_path)
    assert {one.code for one in results.values()} == {Code.DONE}
    assert kept(side.snapshot()) == before


@ONE_SERVER
@pytest.mark.parametrize("start", list(Start))
def test_a_parent_that_waited_for_children_waits_since_the_same_moment(
    stage: Stage, tmp_path: Path, start: Start
) -> None:
    """By that moment qtui tells what has run in a rerun from the start that was cut off."""
    children = tree("one"), tree("two", fails=True)
    flows = FlowStage(stage, tree("root", *children, attempts=3))
    flows.seed()
    side = flows.side
    assert flows.states()["root"] == ["waiting-children"]
    side.client.hset(side.key("root"), mapping={"processedOn": "5", "failedReason": "once"})
    before = kept(side.snapshot())
    rerun(flows, tmp_path, "root", start, Resets(made=True, started=True))
    assert kept(side.snapshot()) != before
    assert {one.code for one in undo(flows, tmp_path).values()} == {Code.DONE}
    assert kept(side.snapshot()) == before


@ONE_SERVER
@pytest.mark.parametrize(("priority", "completes"), [(0, False), (0, True), (2, False), (2, True)])
@pytest.mark.releases(since="5.49.2")
def test_a_parent_that_waited_only_to_be_failed_waits_where_it_did(
    stage: Stage, tmp_path: Path, priority: int, completes: bool
) -> None:
    """A worker of its queue has yet to fail it: that of its child was faster."""
    opts: dict[str, Any] = {"priority": priority} if priority else {}
    child = tree("child", fails=True, option=FAIL, queue="r")
    flows = FlowStage(stage, tree("root", child, **opts))
    side = flows.side
    for one in flows.sides():
        one.open()
    side.run("add", jobs=[job("first", **opts)])
    side.run("flow", tree=flows.trees[0].definition())
    with side.beside("r").worker("data") as worker:
        worker.until(ends=1)
    side.run("add", jobs=[job("last", **opts)])
    assert side.client.hexists(side.key("root"), "defa")
    if completes:  # it has nothing left to wait for, and the rerun only takes the failure away
        flows.retry("child")
        with side.beside("r").worker("ok") as worker:
            worker.until(ends=1)
    before = kept(side.snapshot())
    rerun(flows, tmp_path, "root", Start.FAILURE, Resets(made=True))
    assert kept(side.snapshot()) != before
    assert {one.code for one in undo(flows, tmp_path).values()} == {Code.DONE}
    assert kept(side.snapshot()) == before


@ONE_SERVER
@pytest.mark.releases(since="5.42.0")
def test_a_job_that_has_started_runs_on_and_the_rest_goes_back(
    stage: Stage, tmp_path: Path
) -> None:
    one, two = (tree(id, fails=True, option=FAIL, queue="r") for id in ("one", "two"))
    flows = FlowStage(stage, tree("root", one, two))
    flows.seed()
    rerun(flows, tmp_path, "root", Start.FAILURE, Resets())
    with flows.side.beside("r").worker("hold") as worker:
        [runs] = worker.until(starts=1)
        results = undo(flows, tmp_path)
        left = "two" if runs == "one" else "one"
        assert results[runs].code is Code.NOT_IN_STATE
        assert results[left].code is Code.DONE
        assert results["root"].code is Code.DONE
        worker.release()
        worker.until(ends=1)
        flows.side.beside("r").await_idle()
    assert flows.states() == {"root": ["failed"], runs: ["completed"], left: ["failed"]}


@ONE_SERVER
@pytest.mark.releases(since="2.1.0", before="5.0.0")
def test_ids_with_colons_are_told_from_the_names_of_queues(stage: Stage, tmp_path: Path) -> None:
    leaf = tree("a:leaf", fails=True, queue="r")
    flows = FlowStage(stage, tree("an:other:root", leaf))
    flows.seed()
    before = kept(flows.side.snapshot())
    rerun(flows, tmp_path, "an:other:root", Start.FAILURE, Resets())
    assert kept(flows.side.snapshot()) != before
    assert {one.code for one in undo(flows, tmp_path).values()} == {Code.DONE}
    assert kept(flows.side.snapshot()) == before
