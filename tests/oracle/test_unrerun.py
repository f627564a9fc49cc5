"""The rerun of a flow, taken back: every key as before; what has moved on is left alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final, cast

import pytest

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.journal.reading import JournalError
from qtui.operations.planning.plan import Resets
from tests.operations.undoing import carried_out, undone
from tests.oracle.flow_stage import FAIL, IGNORE, ONE_SERVER, FlowStage, tree
from tests.oracle.keyspace import Value
from tests.oracle.stage import Stage, job
from tests.oracle.test_unretry import kept

compact: Final = json.JSONEncoder(separators=(",", ":")).encode
"""A line as a journal has it."""


def rerun(
    flows: FlowStage,
    folder: Path,
    id: str,
    start: Start,
    resets: Resets,
    *,
    drop_lost: bool = False,
) -> None:
    """Reruns a flow with a journal."""

    async def go() -> None:
        async with flows.connect() as client:
            queue = flows._queue(id)
            plan = await make_rerun_plan(client, queue, id, start, drop_lost=drop_lost)
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


def undone_and_redone(flows: FlowStage, folder: Path, before: dict[str, Value]) -> None:
    """Takes a rerun back, and that, and that: every key as before it, as after it, as before it."""
    after = kept(flows.side.snapshot())
    for expected in (before, after, before):
        results = undo(flows, folder)
        assert {one.code for one in results.values()} == {Code.DONE}, results
        now = kept(flows.side.snapshot())
        assert without_moments(now) == without_moments(expected)
        assert expected is after or now == expected


def without_moments(keys: dict[str, Value]) -> dict[str, object]:
    """A job that is rerun again waits since a later moment, and behind others of its priority."""
    anew = (":waiting-children", ":prioritized")
    return {
        key: [name for name, _ in cast("list[tuple[str, float]]", value[1])]
        if key.endswith(anew)
        else value
        for key, value in keys.items()
    }


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
    undone_and_redone(flows, tmp_path, before)


@ONE_SERVER
@pytest.mark.parametrize("start", list(Start))
def test_a_parent_that_waited_for_children_waits_since_the_same_moment(
    stage: Stage, tmp_path: Path, start: Start
) -> None:
    """That score shows which jobs have run when a rerun from the start was cut off."""
    children = tree("one"), tree("two", fails=True)
    flows = FlowStage(stage, tree("root", *children, attempts=3))
    flows.seed()
    side = flows.side
    assert flows.states()["root"] == ["waiting-children"]
    side.client.hset(side.key("root"), mapping={"processedOn": "5", "failedReason": "once"})
    before = kept(side.snapshot())
    rerun(flows, tmp_path, "root", start, Resets(made=True, started=True))
    assert kept(side.snapshot()) != before
    undone_and_redone(flows, tmp_path, before)


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
    undone_and_redone(flows, tmp_path, before)


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
    undone_and_redone(flows, tmp_path, before)


@ONE_SERVER
@pytest.mark.parametrize("start", list(Start))
@pytest.mark.releases(since="5.42.0")
def test_what_a_parent_held_about_children_that_did_not_run_again_is_there_again(
    stage: Stage, tmp_path: Path, start: Start
) -> None:
    """One is gone, and the rerun drops it; the result of another is missing, and it records it."""
    names = ("fails", "lost", "ended")
    children = (tree(name, fails=True, option=FAIL, queue="r") for name in names)
    flows = FlowStage(stage, tree("root", *children))
    flows.seed()
    side = flows.side
    gone, ended = flows.jobs["lost"].key, side.beside("r")
    side.client.delete(gone)
    side.client.zrem(ended.key("failed"), "lost")
    # As a retry of 5.42.0 to 5.58.1 leaves it, which does not tell the parent.
    side.client.zrem(ended.key("failed"), "ended")
    side.client.zadd(ended.key("completed"), {"ended": 7})
    side.client.hset(ended.key("ended"), "returnvalue", "1")
    side.client.hdel(ended.key("ended"), "failedReason")
    before = kept(side.snapshot())
    rerun(flows, tmp_path, "root", start, Resets(), drop_lost=True)
    assert gone not in side.client.smembers(side.key("root:dependencies"))
    assert kept(side.snapshot()) != before
    undone_and_redone(flows, tmp_path, before)


@ONE_SERVER
@pytest.mark.releases(since="6.7.0")
def test_a_journal_of_before_is_undone_as_far_as_it_says_and_that_cannot_be_undone(
    stage: Stage, tmp_path: Path
) -> None:
    """It has neither since when the root waited, nor where the rerun began."""
    flows = FlowStage(stage, tree("root", tree("one"), tree("two", fails=True)))
    flows.seed()
    states = flows.states()
    rerun(flows, tmp_path, "root", Start.START, Resets())
    [file] = tmp_path.glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    for line in lines:
        line.pop("children", None)
        if line.get("state") == "waiting-children":
            del line["score"]
        if line["type"] == "campaign":
            del line["options"]["start"]
    file.write_text("".join(f"{compact(line)}\n" for line in lines), "ascii")
    assert {one.code for one in undo(flows, tmp_path).values()} == {Code.DONE}
    assert flows.states() == states
    with pytest.raises(JournalError, match="rerun the flow again"):
        undo(flows, tmp_path)
