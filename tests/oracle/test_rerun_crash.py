"""A rerun that is cut off between any two writes: the same command again brings it to its end."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import RerunPlan, Start
from qtui.operations.flow_rerun.rerun import Rerun, calls
from qtui.operations.planning.plan import Resets
from tests.oracle.flow_stage import FAIL, ONE_SERVER, FlowStage, Tree, tree
from tests.oracle.stage import Stage

SMALL: Final[dict[str, Any]] = {"whole": 0, "piece": 2}
"""So that a flow of ten jobs goes in as many steps as one of a thousand."""


class Killed(Exception):
    """The process is no more."""


class Mortal(RerunWriter):
    """A writer whose process is killed after this many calls."""

    def __init__(self, client: Any, calls_left: int) -> None:
        super().__init__(client)
        self._calls_left = calls_left

    async def rerun(self, *arguments: Any, **options: Any) -> Batch:
        if self._calls_left == 0:
            raise Killed
        self._calls_left -= 1
        return await super().rerun(*arguments, **options)


def _cut_off(flows: FlowStage, plan: RerunPlan, after: int) -> None:
    """Carry out this many calls of a plan, and no more."""

    async def call() -> None:
        async with flows.connect() as client:
            rerun = Rerun(client, Mortal(client, after), plan, Resets(), **SMALL)
            await drain(Campaign(client, rerun))

    async def drain(campaign: Campaign[Rerun]) -> None:
        async for results in campaign.run():
            assert all(one.done for one in results)

    with pytest.raises(Killed):
        asyncio.run(call())


def _flow(name: str, option: str = FAIL) -> Tree:
    """One part of the tree has failed, another waits for ever, a third is done."""

    def leaf(mid: str, at: int, fails: bool, option: str = "") -> Tree:
        return tree(f"{name}-{mid}{at}", queue="c", fails=fails, option=option)

    failed = (leaf("m", at, at > 0, FAIL) for at in range(4))
    waiting = (leaf("n", at, at == 2) for at in range(3))
    return tree(
        name,
        tree(f"{name}-m", *failed, queue="b", option=option),
        tree(f"{name}-n", *waiting, queue="b"),
        tree(f"{name}-o", leaf("o", 0, False), queue="b"),
    )


@ONE_SERVER
@pytest.mark.parametrize(
    ("start", "worked", "option"),
    [
        pytest.param(Start.FAILURE, False, FAIL, id="failure"),
        pytest.param(Start.FAILURE, True, FAIL, id="failure-worked"),
        pytest.param(Start.START, False, FAIL, id="start"),
        pytest.param(Start.START, True, FAIL, id="start-worked"),
        # The root has never run: it waits, before the rerun and after.
        pytest.param(Start.START, True, "", id="start-worked-root-waits"),
    ],
)
def test_a_rerun_that_was_cut_off_ends_the_same(
    stage: Stage, start: Start, worked: bool, option: str
) -> None:
    """One flow for each step after which it is cut off, all on one stage, and each cut off twice.

    Between the commands the workers may have worked, or not.
    """
    probe = FlowStage(stage, _flow("probe", option))
    probe.seed()
    steps = len(calls(probe.rerun("probe", start), **SMALL))
    assert steps > 5
    probe.work()
    flows = FlowStage(stage, *(_flow(f"f{after}", option) for after in range(steps)))
    flows.seed()
    expected: list[str] = []
    runs: list[str] = []
    for second in (False, True):
        for after, root in enumerate(flows.trees):
            plan = flows.plan(root.id, start)
            if not second:
                expected += [step.node.id for step in plan.steps if step.part.reruns]
            left = len(calls(plan, **SMALL))
            _cut_off(flows, plan, min(left - 1, 1) if second else after)
        runs += flows.work() if worked else []
    for root in flows.trees:
        flows.rerun(root.id, start, **SMALL)
    runs += flows.work()
    # No job ran twice, though the same command was given three times.
    assert sorted(runs) == sorted(expected)
    flows.assert_in_order(runs)
    flows.assert_nothing_left()
    for one in flows.jobs.values():
        if one.children and one.id in runs:
            assert flows.children_values(one.id) == {child.id for child in one.children}
