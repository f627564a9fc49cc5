"""The rerun of a flow, taken back: every key as before; what has moved on is left alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.planning.plan import Resets
from tests.operations.undoing import carried_out, undone
from tests.oracle.flow_stage import FAIL, IGNORE, ONE_SERVER, FlowStage, tree
from tests.oracle.stage import Stage
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
    # The root waits for a child that failed: of such a flow nothing was finished before.
    finished = flows.states()["root"] != ["waiting-children"]
    rerun(flows, tmp_path, "leaf", start, Resets(made=True))
    assert kept(side.snapshot()) != before
    results = undo(flows, tmp_path)
    assert {one.code for one in results.values()} == {Code.DONE}
    after = kept(side.snapshot())
    if start is Start.FAILURE or finished:
        assert after == before


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
