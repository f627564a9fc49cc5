"""A rerun that is taken back for some jobs of its flow, and that for some: no parent is stuck."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.planning.plan import Resets
from tests.operations.undoing import undone
from tests.oracle.flow_stage import FAIL, IGNORE, ONE_SERVER, FlowStage, tree
from tests.oracle.stage import Stage
from tests.oracle.test_unrerun import rerun, undo

JOBS = ("root", "one", "two")
SOME = [some for many in (1, 2, 3) for some in combinations(JOBS, many)]
PAIRS = [(back, again) for back in SOME for again in SOME if set(again) <= set(back)]
FEW = [pair for pair in PAIRS if pair[0] in (("root", "two"), JOBS) and pair[1][0] == "root"]


_SLOW = "QTUI_SLOW" in os.environ


def undo_some(
    flows: FlowStage, folder: Path, some: Sequence[str]
) -> tuple[dict[str, Result], dict[str, Result]]:
    """Takes the newest operation back for some jobs; by id what the plan says, and the results."""

    async def go() -> tuple[Sequence[Result], Sequence[Result]]:
        async with flows.connect() as client:
            plan, results = await undone(client, folder, only=[flows.jobs[id].key for id in some])
            return plan.forecasts, results

    planned, results = asyncio.run(go())
    return by_id(planned), by_id(results)


def by_id(results: Sequence[Result]) -> dict[str, Result]:
    return {one.job_id.rpartition(":")[2]: one for one in results}


@ONE_SERVER
@pytest.mark.parametrize(
    ("back", "again"), PAIRS if _SLOW else FEW[::2], ids=lambda some: "+".join(some)
)
@pytest.mark.parametrize(
    ("start", "option"), [(Start.START, IGNORE), (Start.START, ""), (Start.FAILURE, FAIL)]
)
@pytest.mark.releases(since="5.42.0")
def test_no_parent_waits_for_a_child_that_does_not_run(
    stage: Stage,
    tmp_path: Path,
    start: Start,
    option: str,
    back: Sequence[str],
    again: Sequence[str],
) -> None:
    fails = start is Start.FAILURE
    children = [tree(id, fails=fails, option=option, queue="r") for id in ("one", "two")]
    flows = FlowStage(stage, tree("root", *children))
    flows.seed()
    rerun(flows, tmp_path, "root", start, Resets(made=True))
    undo_some(flows, tmp_path, back)
    expected, results = undo_some(flows, tmp_path, again)
    if "root" in again and set(back) > set(again):
        assert expected == results
        codes = {id: Code.NOT_IN_STATE if id == "root" else Code.REFUSED for id in again}
        assert {id: one.code for id, one in results.items()} == codes
    else:
        assert {one.code for one in (*expected.values(), *results.values())} <= {Code.DONE}
    flows.work("ok")
    states = {state for where in flows.states().values() for state in where}
    assert states <= {"completed", "failed"}, flows.states()


@ONE_SERVER
@pytest.mark.releases(since="6.7.0")
def test_a_parent_waits_for_children_that_come_in_a_later_call(
    stage: Stage, tmp_path: Path
) -> None:
    """An undo sends some two hundred jobs at once, parents first."""
    children = [tree(f"c{number}", queue="r") for number in range(300)]
    flows = FlowStage(stage, tree("root", *children))
    flows.seed()
    rerun(flows, tmp_path, "root", Start.START, Resets())
    for _ in ("back", "again"):
        assert {one.code for one in undo(flows, tmp_path).values()} == {Code.DONE}
    assert flows.states()["root"] == ["waiting-children"]
    flows.work("ok")
    assert {state for where in flows.states().values() for state in where} == {"completed"}
