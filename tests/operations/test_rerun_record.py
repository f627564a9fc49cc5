"""A rerun is written down: snapshots before each call, codes after it, outcomes in the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.lineage import NODES_AT_ONCE
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.rerun import Parked, Released, RerunWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.flow_rerun.plan import RerunPlan
from qtui.operations.flow_rerun.progress import read_progress
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.following.outcome import Fate, Outcome
from qtui.operations.journal.facts import Header, WrittenSelection
from qtui.operations.journal.lines import outcome_of
from qtui.operations.journal.reading import JournalError, ids, read_lines, rebuilt, summary
from qtui.operations.journal.writing import Journal
from qtui.operations.planning.plan import Resets
from qtui.operations.resuming.recorder import Recorder
from tests.operations.flows import KIDS, carry_out, digest, plan_of, raw_flow, rerun_of
from tests.seeds import QUEUE, START
from tests.wires import counted

WHERE = "redis://cache-1:6379/0"


class Witness(RerunWriter):
    """A writer that looks, before each call is sent, whether what it wipes is written down."""

    def __init__(self, client: Client, folder: Path) -> None:
        super().__init__(client)
        self.folder = folder
        self.calls = 0

    async def rerun(
        self, parents: Sequence[Parked], released: Sequence[Released], **how: Any
    ) -> Batch:
        names = {parent.name.key for parent in parents}
        names |= {one.queue.job(job.job_id) for one in released for job in one.jobs}
        [campaign] = ids(self.folder)
        assert names <= {one.id for one in rebuilt(self.folder, campaign)}
        self.calls += 1
        return await super().rerun(parents, released, **how)


def recorded(client: Client, plan: RerunPlan, folder: Path) -> Campaign[Rerun]:
    """A rerun in several calls, with a journal."""
    writer = Witness(client, folder)
    rerun = Rerun(client, writer, plan, Resets(made=True), whole=0, piece=2)
    return Campaign(client, rerun, record=Recorder(folder=folder, where=WHERE, how="key r"))


async def test_every_job_is_written_down_once_before_its_call(
    client: Redis, tmp_path: Path
) -> None:
    await raw_flow(client, 5)
    plan = await plan_of(client)
    rerun = recorded(client, plan, tmp_path)
    async for _ in rerun.run():
        # A call is never sent before what it wipes is there.
        lines = list(read_lines(tmp_path, ids(tmp_path)[0]))
        written = {line["id"] for line in lines if line["type"] == "job"}
        coded = {line["id"] for line in lines if line["type"] == "code"}
        assert coded <= written
    rerun.close()
    [campaign_id] = ids(tmp_path)
    one = summary(tmp_path, campaign_id)
    assert (one.phase, one.jobs, dict(one.codes)) == ("done", 6, {Code.DONE: 6})
    assert (one.header.queue, one.header.resets) == (QUEUE.base, {"made": True, "started": False})
    wiped = list(rebuilt(tmp_path, campaign_id))
    assert [job.id for job in wiped] == [
        QUEUE.job("p"),
        *(KIDS.job(f"c{at}") for at in range(5)),
    ]
    assert [job.score for job in wiped] == [START, *(START + at for at in range(5))]
    assert all(job.fields["failedReason"] for job in wiped)


async def test_the_state_of_a_job_is_said_if_it_had_not_failed(
    client: Redis, tmp_path: Path
) -> None:
    await raw_flow(client, 1)
    await client.zrem(QUEUE.key("failed"), "p")
    await client.zadd(QUEUE.key("waiting-children"), {"p": START})
    await carry_out(recorded(client, await plan_of(client), tmp_path))
    states = {job.id: job.state for job in rebuilt(tmp_path, ids(tmp_path)[0])}
    assert states == {QUEUE.job("p"): "waiting-children", KIDS.job("c0"): ""}


async def test_without_a_journal_nothing_is_sent(client: Redis, tmp_path: Path) -> None:
    await raw_flow(client, 2)
    (tmp_path / "journal").write_text("no folder")
    before = await digest(client)
    rerun = recorded(client, await plan_of(client), tmp_path / "journal")
    with pytest.raises(JournalError):
        await carry_out(rerun)
    assert (rerun.done, rerun.phase, rerun.journal) == (0, Phase.STOPPED, None)
    assert await digest(client) == before


async def test_a_journal_that_fills_up_ends_the_rerun_before_the_next_call(
    client: Redis, tmp_path: Path
) -> None:
    await raw_flow(client, 5)
    plan = await plan_of(client)
    header = Header(
        where=WHERE,
        queue=QUEUE.base,
        prefix="bull",
        state="failed",
        selection=WrittenSelection(kind="flow", jobs=plan.jobs),
    )

    def small(_: Campaign[JobAction]) -> Journal:
        return Journal.create(tmp_path, header, limit=2600)

    action = Rerun(client, RerunWriter(client), plan, Resets(), whole=0, piece=2)
    rerun = Campaign(client, action, record=small)
    await carry_out(rerun)
    assert "limit" in rerun.why
    rerun.close()
    one = summary(tmp_path, ids(tmp_path)[0])
    assert (one.phase, one.note) == ("stopped", rerun.why)
    assert one.codes.get(Code.DONE, 0) == rerun.done
    # The leaves go last: none of them may run before all is written down.
    failed = await client.zcard(KIDS.key("failed"))
    assert failed > 0
    assert rerun.done < rerun.selected
    # The same rerun again, with room, does the rest.
    again = rerun_of(client, await plan_of(client))
    await carry_out(again)
    assert await client.zcard(KIDS.key("failed")) == 0


async def test_outcomes_are_written_when_they_are_final(client: Redis, tmp_path: Path) -> None:
    await raw_flow(client, 3)
    plan = await plan_of(client)
    rerun = recorded(client, plan, tmp_path)
    await carry_out(rerun)
    wait = [QUEUE.key("waiting-children")]
    assert await client.zscore(wait[0], "p") is not None
    await client.delete(KIDS.key("wait"), KIDS.job("c2"))
    await client.zadd(KIDS.key("completed"), {"c0": START + 99})
    await client.zadd(KIDS.key("failed"), {"c1": START + 99})
    await client.hset(KIDS.job("c1"), "failedReason", "no\x1b\nmore")
    progress = await read_progress(client, plan)
    assert (
        progress.words == "rerun: 1 of 4 completed · 1 failed again · 1 removed (outcome unknown)"
    )
    assert not progress.is_over
    expected = {
        KIDS.job("c0"): Outcome(Fate.COMPLETED),
        KIDS.job("c1"): Outcome(Fate.FAILED_AGAIN, "no␛"),
        KIDS.job("c2"): Outcome(Fate.GONE),
    }
    assert progress.outcomes() == {QUEUE.job("p"): Outcome(Fate.WAITING), **expected}
    # What is decided is not looked at again, nor forgotten.
    await client.zrem(KIDS.key("completed"), "c0")
    again = await read_progress(client, plan, progress)
    assert again.outcomes() == progress.outcomes()
    rerun.action.progress = again
    rerun.close()
    lines = list(read_lines(tmp_path, ids(tmp_path)[0]))
    assert dict(outcome_of(one) for one in lines if one["type"] == "outcome") == expected
    assert lines[-1]["type"] == "end"


async def test_of_many_jobs_only_those_that_ended_are_read(
    server: EmbeddedServer, client: Redis
) -> None:
    many = NODES_AT_ONCE + 50
    await raw_flow(client, many)
    plan = await plan_of(client)
    await carry_out(rerun_of(client, plan))
    async with counted(server) as (counting, trips):
        progress = await read_progress(counting, plan)
        assert progress.nodes == {}
        assert trips.count == 1
    assert progress.words == f"rerun: 0 of {many + 1} completed"
    await client.zadd(KIDS.key("completed"), {"c7": START + 7})
    await client.zadd(KIDS.key("failed"), {"c8": START + 9})
    await client.delete(KIDS.job("c9"))
    progress = await read_progress(client, plan, progress)
    assert progress.outcomes() == {
        KIDS.job("c7"): Outcome(Fate.COMPLETED),
        KIDS.job("c8"): Outcome(Fate.FAILED_AGAIN),
        KIDS.job("c9"): Outcome(Fate.GONE),
    }
    assert progress.words == (
        f"rerun: 1 of {many + 1} completed · 1 failed again · 1 removed (outcome unknown)"
    )
