"""Families taken back in part, or that went in several calls: no parent is harmed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.edit.plan import Wish
from qtui.operations.planning.plan import Resets
from qtui.operations.remove.plan import make_removal_plan
from qtui.operations.remove.remove import Remove
from qtui.operations.supply.selection import chosen, query
from tests.operations.editing import edited
from tests.operations.undoing import carried_out, newest, retried, undone
from tests.oracle.flow_stage import FAIL, IGNORE, ONE_SERVER, FlowStage, tree
from tests.oracle.stage import Stage
from tests.oracle.test_unretry import kept

pytestmark = [ONE_SERVER, pytest.mark.releases(since="5.42.0")]

MOVED = (Code.NOT_IN_STATE, "its parent waits for it to run again")


def add(flows: FlowStage) -> None:
    """Adds the flows; nothing runs."""
    for side in flows.sides():
        side.open()
    for root in flows.trees:
        flows.side.run("flow", tree=root.definition())


def retry(flows: FlowStage, folder: Path, *ids: str, queue: str = "q") -> None:
    async def go() -> list[Result]:
        async with flows.connect() as client:
            wanted = chosen(QueueKey.of("bull", queue), JobState.FAILED, ids)
            return await retried(client, folder, ids, selection=wanted, resets=Resets(made=True))

    assert {one.code for one in asyncio.run(go())} == {Code.DONE}


def remove(
    flows: FlowStage, folder: Path, state: JobState, *ids: str, queue: str = "q"
) -> list[str]:
    """Removes jobs, or all of the state; their ids in order."""

    async def go() -> list[Result]:
        async with flows.connect() as client:
            base = QueueKey.of("bull", queue)
            wanted = chosen(base, state, ids) if ids else await query(client, base, state)
            plan = await make_removal_plan(client, wanted, rate=0)
            assert plan.tally.released() == []
            return await carried_out(client, folder, Remove(client, RemoveWriter(client), plan))

    results = asyncio.run(go())
    assert {one.code for one in results} == {Code.DONE}
    return [one.job_id for one in results]


def undo(flows: FlowStage, folder: Path, *only: str, name: str = "") -> dict[str, tuple[Code, str]]:
    """Takes an operation back, the newest by default; by id the code and why or where to.

    That is what the plan says, too.
    """

    async def go() -> tuple[Sequence[Result], Sequence[Result]]:
        async with flows.connect() as client:
            plan, results = await undone(client, folder, name, only)
            return plan.forecasts, results

    planned, results = (
        {one.job_id: (one.code, one.error or one.target) for one in some}
        for some in asyncio.run(go())
    )
    assert planned == results
    return results


FLOWS = [f"{number:02}" for number in range(12)]
"""Each with two jobs to be removed: more than are sent in the first call."""


def test_parents_come_back_with_children_that_went_in_a_call_before(
    stage: Stage, tmp_path: Path
) -> None:
    """They were read with these, since all are written down before the first call is sent."""
    trees = [
        tree(
            f"p{one}",
            tree(f"d{one}", fails=True),
            tree(f"e{one}", fails=True, option=FAIL, queue="r"),
        )
        for one in FLOWS
    ]
    flows = FlowStage(stage, *trees)
    add(flows)
    flows.work("data", ["q"])
    flows.work("data")
    before = kept(flows.side.snapshot())
    removed = remove(flows, tmp_path, JobState.FAILED)
    assert set(removed[:12]) == {f"d{one}" for one in FLOWS}
    assert set(removed[12:]) == {f"p{one}" for one in FLOWS}
    assert {code for code, _ in undo(flows, tmp_path).values()} == {Code.DONE}
    assert kept(flows.side.snapshot()) == before


def test_no_parent_is_released_that_is_removed_as_well(stage: Stage, tmp_path: Path) -> None:
    """Flows that were added at once: by their ids all children come before all parents."""
    trees = [
        tree(f"z{one}", tree(f"a{one}", tree(f"l{one}", queue="r"), timestamp=1), timestamp=1)
        for one in FLOWS
    ]
    flows = FlowStage(stage, *trees)
    add(flows)
    before = kept(flows.side.snapshot())
    assert set(remove(flows, tmp_path, JobState.WAITING_CHILDREN)) == {
        f"{name}{one}" for name in "az" for one in FLOWS
    }
    assert flows.side.members("wait") == []
    assert {code for code, _ in undo(flows, tmp_path).values()} == {Code.DONE}
    assert kept(flows.side.snapshot()) == before
    flows.work("ok")
    assert {state for where in flows.states().values() for state in where} == {"completed"}


def test_a_parent_alone_does_not_come_back_to_wait_for_a_child_that_is_gone(
    stage: Stage, tmp_path: Path
) -> None:
    flows = FlowStage(stage, tree("z", tree("a", tree("l", queue="r"), timestamp=1), timestamp=1))
    add(flows)
    before = kept(flows.side.snapshot())
    assert remove(flows, tmp_path, JobState.WAITING_CHILDREN) == ["z", "a"]
    name = newest(tmp_path)
    why = "it would wait for a child that never finishes"
    assert undo(flows, tmp_path, "z", name=name) == {"z": (Code.NOT_IN_STATE, why)}
    found = undo(flows, tmp_path, name=name)
    assert list(found.values()) == [(Code.DONE, "waiting-children")] * 2
    assert kept(flows.side.snapshot()) == before


@pytest.mark.parametrize("again", [True, False], ids=["runs again", "failed still"])
def test_a_child_comes_back_to_a_parent_that_had_failed_unless_that_one_runs_again(
    stage: Stage, tmp_path: Path, again: bool
) -> None:
    """With a child to wait for, a parent that runs can't complete."""
    children = tree("d", fails=True, option=FAIL, queue="r"), tree("c", queue="s")
    flows = FlowStage(stage, tree("p", *children))
    add(flows)
    flows.work("data", ["r", "q"])
    assert flows.states() == {"p": ["failed"], "d": ["failed"], "c": ["wait"]}
    before = kept(flows.side.snapshot())
    remove(flows, tmp_path, JobState.WAITING, "c", queue="s")
    name = newest(tmp_path)
    if again:
        retry(flows, tmp_path, "d", queue="r")
        flows.work("ok", ["r"])
        retry(flows, tmp_path, "p")
    assert undo(flows, tmp_path, name=name) == {"c": (Code.DONE, "wait")}
    if again:
        assert "p" in flows.work("ok", ["q"])
        flows.work("ok")
        assert flows.states() == {"p": ["completed"], "d": ["completed"], "c": ["completed"]}
    else:
        assert kept(flows.side.snapshot()) == before


@pytest.mark.parametrize("option", [FAIL, IGNORE])
def test_a_failed_child_does_not_go_back_to_fail_a_parent_that_waits(
    stage: Stage, tmp_path: Path, option: str
) -> None:
    """It would run when its other child has, and could not complete."""
    children = [tree(id, fails=True, option=one) for id, one in (("c", FAIL), ("d", option))]
    flows = FlowStage(stage, tree("p", *children))
    flows.seed()
    before = kept(flows.side.snapshot())
    retry(flows, tmp_path, "p", "c", "d")
    name = newest(tmp_path)
    assert flows.states()["p"] == ["waiting-children"]
    assert undo(flows, tmp_path, "c", name=name) == {"c": MOVED}
    found = undo(flows, tmp_path, name=name)
    assert list(found.values()) == [(Code.DONE, "failed")] * 3
    assert kept(flows.side.snapshot()) == before
    name = newest(tmp_path)
    assert undo(flows, tmp_path, "p", name=name) == {"p": (Code.FAILED_CHILD, "bull:q:c")}
    assert {code for code, _ in undo(flows, tmp_path, name=name).values()} == {Code.DONE}
    assert set(flows.work("ok")) == {"p", "c", "d"}
    assert {state for where in flows.states().values() for state in where} == {"completed"}


def test_a_parent_of_which_the_journal_has_no_code_waits_for_its_child_when_it_is_retried_again(
    stage: Stage, tmp_path: Path
) -> None:
    """The retry was cut off before it wrote where the parent went."""
    flows = FlowStage(stage, tree("p", tree("c", fails=True, option=FAIL)))
    flows.seed()
    retry(flows, tmp_path, "p", "c")
    journal = tmp_path / f"{newest(tmp_path)}.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(at for at, one in enumerate(lines) if one.startswith('{"type":"code","id":"p"'))
    journal.write_text("".join(lines[:cut]))
    assert list(undo(flows, tmp_path).values()) == [(Code.DONE, "failed")] * 2
    found = undo(flows, tmp_path)
    assert found == {"c": (Code.DONE, "wait"), "p": (Code.DONE, "waiting-children")}
    flows.work("ok")
    assert flows.states() == {"p": ["completed"], "c": ["completed"]}


def test_only_one_of_two_ignored_children_goes_back_from_a_parent_that_waits(
    stage: Stage, tmp_path: Path
) -> None:
    children = [tree(id, fails=True, option=IGNORE) for id in ("c", "d")]
    flows = FlowStage(stage, tree("p", *children, fails=True))
    flows.seed()
    retry(flows, tmp_path, "p", "c", "d")
    assert flows.states()["p"] == ["waiting-children"]
    found = undo(flows, tmp_path, "c", "d")
    assert sorted(found.values()) == [MOVED, (Code.DONE, "failed")]
    flows.work("ok")
    assert flows.states()["p"] == ["completed"]


def test_a_child_that_was_edited_and_retried_stays_once_a_parent_waits_for_it(
    stage: Stage, tmp_path: Path
) -> None:
    children = [tree(id, fails=True, option=FAIL) for id in ("c", "d")]
    flows = FlowStage(stage, tree("p", *children))
    flows.seed()

    async def edit() -> Result:
        async with flows.connect() as client:
            return await edited(client, tmp_path, "c", Wish(data='{"outcome":"ok"}', retry=True))

    assert asyncio.run(edit()).done
    name = newest(tmp_path)
    retry(flows, tmp_path, "p", "d")
    assert flows.states()["p"] == ["waiting-children"]
    assert undo(flows, tmp_path, name=name) == {"c": MOVED}
    flows.work("ok")
    assert {state for where in flows.states().values() for state in where} == {"completed"}
