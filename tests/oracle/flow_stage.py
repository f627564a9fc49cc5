"""Flows on the stage: added and failed by a real release, rerun by qtui, worked by the release."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest
import redis.asyncio

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey, is_marker
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.flow_rerun.plan import RerunPlan, Start
from qtui.operations.flow_rerun.planning import make_rerun_plan
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.planning.family_warnings import Trouble, family_warnings
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import chosen, query
from tests.oracle.keyspace import census, members
from tests.oracle.stage import Side, Stage, Worker, wait_for

ONE_SERVER = pytest.mark.parametrize("oracle_server", ["valkey"], indirect=True)
"""For cases in which the release matters and the server does not."""

BUSY: Final = ("wait", "active", "paused", "prioritized", "delayed")

FAIL, CONTINUE = "failParentOnFailure", "continueParentOnFailure"
IGNORE, REMOVE = "ignoreDependencyOnFailure", "removeDependencyOnFailure"
SINCE: Final = {
    "": (1, 16, 0),
    FAIL: (2, 1, 0),
    REMOVE: (4, 4, 0),
    IGNORE: (5, 2, 0),
    CONTINUE: (5, 47, 0),
}


@dataclass(frozen=True)
class Tree:
    """A job and the jobs below it; `outcome` is that of its first run."""

    id: str
    queue: str = "q"
    outcome: str = "ok"
    children: tuple[Tree, ...] = ()
    opts: dict[str, object] = field(default_factory=dict)

    def definition(self) -> dict[str, Any]:
        """As a FlowProducer takes it."""
        found: dict[str, Any] = {
            "name": self.id,
            "queueName": self.queue,
            "data": {"outcome": self.outcome},
            "opts": {"jobId": self.id, **self.opts},
        }
        if self.children:
            found["children"] = [child.definition() for child in self.children]
        return found

    def all(self) -> Iterator[Tree]:
        """It and all below, parents first."""
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def key(self) -> str:
        """The full key of the job."""
        return f"bull:{self.queue}:{self.id}"


def tree(
    id: str,
    *children: Tree,
    queue: str = "q",
    fails: bool = False,
    option: str = "",
    **opts: object,
) -> Tree:
    """A job of a flow; with `option` its failure does that to its parent."""
    if option:
        opts[option] = True
    return Tree(id, queue, "fail" if fails else "ok", children, opts)


class FlowStage:
    """Flows on our side of a stage."""

    def __init__(self, stage: Stage, *trees: Tree) -> None:
        self.trees = trees
        self.release = stage.release
        self._stage = stage
        self.side = stage.ours
        self.client = self.side.client
        self.jobs = {one.id: one for root in trees for one in root.all()}
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.queues = sorted({one.queue for one in self.jobs.values()})

    def connect(self) -> redis.asyncio.Redis:
        """A client to our side that reads replies as qtui does; the caller closes it."""
        path = str(self.side.where()["socket"])
        return redis.asyncio.Redis(
            unix_socket_path=path,
            db=self.side.database,
            decode_responses=True,
            encoding_errors="surrogateescape",
        )

    def sides(self) -> list[Side]:
        """One a queue."""
        return [self.side.beside(queue) for queue in self.queues]

    def seed(self) -> None:
        """Add the flows and work them, each job as its data says, until nothing more happens."""
        for side in self.sides():
            side.open()
        for root in self.trees:
            self.side.run("flow", tree=root.definition())
        self.work("data")

    @contextlib.contextmanager
    def workers(self, outcome: str, queues: Sequence[str] = ()) -> Iterator[list[Worker]]:
        """A worker on each of the queues, or on all."""
        with contextlib.ExitStack() as stack:
            wanted = queues or self.queues
            yield [stack.enter_context(self.side.beside(queue).worker(outcome)) for queue in wanted]

    def work(self, outcome: str = "values", queues: Sequence[str] = ()) -> list[str]:
        """Let workers work until nothing more happens; the ids in the order of their runs."""
        with self.workers(outcome, queues) as workers:
            wanted = queues or self.queues
            wait_for(lambda: self.is_quiet(wanted), "every job at rest")
            self.side.await_idle(len(workers))
            wait_for(lambda: self.is_quiet(wanted), "every job at rest")
            runs = [run for worker in workers for run in worker.timed()]
        self.began |= {run["id"]: run["began"] for run in runs}
        self.ended |= {run["id"]: run["ended"] for run in runs if "ended" in run}
        return [run["id"] for run in sorted(runs, key=lambda run: float(run["began"]))]

    def is_quiet(self, queues: Sequence[str]) -> bool:
        """Whether no job of these queues runs, or will run soon; paused ones do not count."""
        return not any(self._busy(f"bull:{queue}") for queue in queues)

    def _busy(self, base: str) -> bool:
        # By what each key is: between a look at its type and one at its members it may be made.
        paused = self.client.hexists(f"{base}:meta", "paused")
        lists = ["active"] if paused else ["active", "wait"]
        ids = [one for name in lists for one in members(self.client, f"{base}:{name}")]
        names = ["delayed"] if paused else ["delayed", "prioritized"]
        sets = [self.client.zcard(f"{base}:{name}") for name in names]
        return any(sets) or not all(is_marker(one) for one in ids)

    def plan(self, id: str, start: Start = Start.FAILURE, *, drop_lost: bool = False) -> RerunPlan:
        """The plan of a rerun of the flow of this job."""

        async def call() -> RerunPlan:
            async with self.connect() as client:
                return await make_rerun_plan(
                    client, self._queue(id), id, start, drop_lost=drop_lost
                )

        return asyncio.run(call())

    def carry_out(
        self, plan: RerunPlan, resets: Resets | None = None, **options: Any
    ) -> list[Result]:
        """Carry a plan out; the results of its jobs."""

        async def call() -> list[Result]:
            async with self.connect() as client:
                rerun = Rerun(client, RerunWriter(client), plan, resets or Resets(), **options)
                campaign = Campaign(client, rerun)
                results = [one async for some in campaign.run() for one in some]
                assert campaign.notes == []
                return results

        return asyncio.run(call())

    def rerun(self, id: str, start: Start = Start.FAILURE, **options: Any) -> RerunPlan:
        """Rerun the flow of this job; every job of the plan must be rerun."""
        plan = self.plan(id, start)
        assert plan.refusal == "", plan.refusal
        results = self.carry_out(plan, **options)
        assert [result.code for result in results if not result.done] == []
        assert len(results) == plan.jobs
        return plan

    def retry(self, id: str) -> list[int]:
        """Retry this one failed job with qtui, plainly; its code."""

        async def call() -> list[int]:
            async with self.connect() as client:
                batch = await RetryWriter(client).retry(
                    self._queue(id), JobState.FAILED, [Picked(id)]
                )
                return [int(result.code) for result in batch.results]

        return asyncio.run(call())

    def retry_all(
        self, state: JobState, ids: Sequence[str] | None = None, queue: str = "q"
    ) -> tuple[Plan, list[Result]]:
        """Retry jobs of a state with qtui, all of them by default: the plan, and what it did."""

        async def call() -> tuple[Plan, list[Result]]:
            async with self.connect() as client:
                base = QueueKey.of("bull", queue)
                selection = (
                    chosen(base, state, ids)
                    if ids is not None
                    else await query(client, base, state)
                )
                plan = await make_plan(client, selection, rate=0)
                campaign = Campaign(client, Retry(client, RetryWriter(client), plan, Resets()))
                results = [one async for some in campaign.run() for one in some]
                assert campaign.notes == []
                return plan, results

        return asyncio.run(call())

    def warnings(self, id: str) -> list[Trouble]:
        """What the plan of such a retry warns of."""

        async def call() -> list[Trouble]:
            async with self.connect() as client:
                reader, queue = Reader(client), self._queue(id)
                rows = await reader.rows(queue, JobState.FAILED, [id])
                evidence = await reader.evidence(queue)
                found = await family_warnings(client, queue, rows, evidence)
                return [one.trouble for one in found]

        return asyncio.run(call())

    def _queue(self, id: str) -> QueueKey:
        return QueueKey.of("bull", self.jobs[id].queue)

    def states(self) -> dict[str, list[str]]:
        """Where each job of every queue is."""
        return {
            id: places
            for side in self.sides()
            for id, places in census(self.client, side.queue).items()
        }

    def value(self, id: str) -> Any:
        """The return value of a job."""
        held = self.client.hget(self.jobs[id].key, "returnvalue")
        return json.loads(cast("str", held)) if held is not None else None

    def children_values(self, id: str) -> set[str]:
        """The children whose values a job had when it ran."""
        keys = {one.key: one.id for one in self.jobs.values()}
        return {keys[key] for key in self.value(id)["children"]}

    def assert_nothing_left(self) -> None:
        """Nothing runs, nothing waits, and no parent knows of a child that is not done."""
        for queue in self.queues:
            for place in (*BUSY, "waiting-children"):
                found = members(self.client, f"bull:{queue}:{place}")
                left = [one for one in found if not is_marker(one)]
                assert left == [], f"{queue}:{place}"
        for one in self.jobs.values():
            for suffix in ("dependencies", "unsuccessful"):
                assert self.client.exists(f"{one.key}:{suffix}") == 0, f"{one.key}:{suffix}"

    def assert_in_order(self, runs: Sequence[str]) -> None:
        """No job ran twice, and no parent before its children had ended."""
        assert len(runs) == len(set(runs))
        for one in self.jobs.values():
            for child in one.children:
                if one.id in runs and child.id in runs:
                    assert self.ended[child.id] < self.began[one.id], (child.id, one.id)
