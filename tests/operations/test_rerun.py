"""A rerun does what its plan says, or nothing; and once, for any lost reply."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.flow_rerun.plan import Part
from qtui.operations.flow_rerun.progress import read_progress
from qtui.operations.flow_rerun.rerun import JOBS_A_CALL, Rerun, calls
from qtui.operations.planning.plan import Resets
from tests.operations.flows import (
    KIDS,
    carry_out,
    digest,
    failed_flow,
    plan_of,
    raw_flow,
    rerun_of,
)
from tests.patience import PATIENCE
from tests.seeds import QUEUE, START, census, real_queue
from tests.wires import Accident, open_proxy


async def test_a_plan_shows_what_runs_what_follows_and_what_stays(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, "", "boom", "bang")
    before = await digest(client)
    plan = await plan_of(client, "c0")
    assert [(step.node.id, step.part, step.fate) for step in plan.steps] == [
        ("p", Part.FOLLOWS, "runs after 2 children"),
        ("c1", Part.RUNS, "runs first"),
        ("c2", Part.RUNS, "runs first"),
    ]
    assert plan.done == 1
    expected = "2 failed jobs run again, then 1 ancestor after its children; 1 job stays completed"
    assert plan.headline == expected
    assert list(plan.warnings(Resets())) == [
        "No worker seen on bull:q, bull:kids: the jobs there wait until one connects.",
        "3 jobs have used up their attempts: a failure is final.",
    ]
    assert await digest(client) == before


async def test_when_a_job_has_moved_meanwhile_nothing_is_written(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, "boom", "bang")
    plan = await plan_of(client)
    await client.zadd(KIDS.key("failed"), {"c1": 1})
    before = await digest(client)
    codes = await carry_out(rerun_of(client, plan))
    assert codes == {"p": Code.NOT_IN_STATE, "c0": Code.REFUSED, "c1": Code.NOT_IN_STATE}
    assert await digest(client) == before


async def test_when_a_parent_has_moved_meanwhile_nothing_is_written(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, "boom")
    plan = await plan_of(client)
    await client.zadd(QUEUE.key("failed"), {"p": 1})
    before = await digest(client)
    codes = await carry_out(rerun_of(client, plan))
    assert codes == {"p": Code.NOT_IN_STATE, "c0": Code.REFUSED}
    assert await digest(client) == before


async def test_a_second_rerun_of_the_same_plan_does_nothing(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, "boom")
    plan = await plan_of(client)
    assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
    before = await digest(client)
    assert Code.DONE not in (await carry_out(rerun_of(client, plan))).values()
    assert await digest(client) == before


LOST, LATE, REPLY = Accident.CALL_LOST, Accident.CALL_LATE, Accident.REPLY_LOST


@pytest.mark.parametrize("whole", [JOBS_A_CALL, 0], ids=["one-step", "many-steps"])
@pytest.mark.parametrize(
    ("accidents", "late_comes_first"),
    [
        ([REPLY], True),
        ([LOST, REPLY], True),
        ([LOST, LOST], True),
        ([LATE], True),
        ([LATE], False),
        ([LATE, REPLY], True),
    ],
)
async def test_after_any_loss_on_the_way_each_job_runs_once(
    server: EmbeddedServer,
    client: Redis,
    accidents: Sequence[Accident],
    late_comes_first: bool,
    whole: int,
) -> None:
    await failed_flow(server, "", *["boom"] * 5)
    plan = await plan_of(client)
    async with open_proxy(server) as proxy, proxy.client() as ours:
        proxy.late_comes_first = late_comes_first
        writer = RerunWriter(ours)
        # The server knows the script: the first call is it.
        await writer.rerun((), (), mode=plan.mode)
        proxy.accidents[:] = accidents
        rerun = Rerun(ours, writer, plan, Resets(), whole=whole, piece=2)
        codes = await carry_out(Campaign(ours, rerun))
        await proxy.deliver()
        assert proxy.happened == len(accidents)
    assert set(codes) == {"p", "c1", "c2", "c3", "c4", "c5"}
    assert set(codes.values()) == {Code.DONE}
    async with real_queue(server, KIDS) as kids, real_queue(server) as parents:
        for at in range(1, 6):
            await client.hset(KIDS.job(f"c{at}"), "data", "{}")
        await kids.work(5)
        await parents.work(1)
        assert kids.ran == ["c1", "c2", "c3", "c4", "c5"]
    assert await census(client) == {"p": ["completed"]}


async def test_a_server_that_stays_away_leaves_it_unknown(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, "boom")
    plan = await plan_of(client)
    async with open_proxy(server) as proxy, proxy.client() as ours:
        await RerunWriter(ours).rerun((), (), mode=plan.mode)

        async def leave() -> None:
            proxy.away = True

        proxy.accidents, proxy.after = [LOST], leave
        campaign = rerun_of(ours, plan, patience=0.3)
        assert set((await carry_out(campaign)).values()) == {Code.UNKNOWN}
        assert campaign.phase is Phase.LOST
    assert await census(client) == {"p": ["failed"]}


async def test_a_stop_ends_it_after_the_call_under_way(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, *["boom"] * 6)
    rerun = rerun_of(client, await plan_of(client), whole=0, piece=2)
    async for _ in rerun.run():
        rerun.stop()
    assert rerun.done == 0 < rerun.selected
    assert rerun.phase is Phase.STOPPED
    # The parent waits, and the same rerun does the rest.
    assert await census(client) == {"p": ["waiting-children"]}
    again = await plan_of(client)
    assert again.jobs == 7
    assert set((await carry_out(rerun_of(client, again))).values()) == {Code.DONE}


async def test_progress_counts_what_has_finished_anew(
    server: EmbeddedServer, client: Redis
) -> None:
    await failed_flow(server, "", "boom", "bang")
    plan = await plan_of(client)
    await carry_out(rerun_of(client, plan))
    assert (await read_progress(client, plan)).words == "rerun: 0 of 3 completed"
    await client.hset(KIDS.job("c1"), "data", "{}")
    async with real_queue(server, KIDS) as kids:
        await kids.work(2)
    progress = await read_progress(client, plan)
    assert progress.words == "rerun: 1 of 3 completed · 1 failed again"
    assert [node.id for node in progress.failed] == ["c2"]
    assert not progress.is_over
    async with real_queue(server) as parents:
        await parents.work(1)
    progress = await read_progress(client, plan)
    assert progress.is_over
    assert progress.words == "rerun: 1 of 3 completed · 2 failed again"


async def test_a_parent_is_not_released_before_its_last_children_are_put_back(
    client: Redis,
) -> None:
    """Of the first part of its children all are done, and not one is pending."""
    await raw_flow(client, 5)
    for job_id in ("c0", "c1"):
        await client.zrem(KIDS.key("failed"), job_id)
        await client.zadd(KIDS.key("completed"), {job_id: START})
    plan = await plan_of(client)
    assert len(await carry_out(rerun_of(client, plan, whole=0, piece=2))) == plan.jobs == 4
    assert await census(client) == {"p": ["waiting-children"]}
    pending = {KIDS.job(f"c{at}") for at in range(2, 5)}
    assert await client.smembers(QUEUE.job("p", "dependencies")) == pending


@pytest.mark.slow
async def test_a_flow_of_thousands_goes_in_bounded_steps(client: Redis) -> None:
    await raw_flow(client, 3000)
    plan = await plan_of(client)
    carried = calls(plan)
    assert (
        max(len(call.names()) + sum(len(p.children) for p in call.parents) for call in carried)
        <= 201
    )
    assert len(carried) == 60
    await client.config_resetstat()
    assert len(await carry_out(rerun_of(client, plan))) == 3001
    used = (await client.info("commandstats"))["cmdstat_evalsha"]
    assert used["usec_per_call"] < 20_000
    assert await client.llen(KIDS.key("wait")) == 3000
    assert await client.scard(QUEUE.job("p", "dependencies")) == 3000
    assert not await client.exists(QUEUE.job("p", "unsuccessful"))
    assert await census(client) == {"p": ["waiting-children"]}


PROGRAM = """
import asyncio, sys
from redis.asyncio import Redis
from qtui.bullmq.writers.rerun import RerunWriter
from qtui.bullmq.keys import QueueKey
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Resets
from qtui.operations.flow_rerun.rerun import Rerun
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.planning import make_rerun_plan

class Asking(RerunWriter):
    async def rerun(self, *calls, **how):
        print(len(calls), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return await super().rerun(*calls, **how)

async def main():
    client = Redis.from_url(sys.argv[1], decode_responses=True)
    plan = await make_rerun_plan(client, QueueKey.of("bull", "q"), "p", Start.FAILURE)
    rerun = Rerun(client, Asking(client), plan, Resets(), whole=0, piece=2)
    async for _ in Campaign(client, rerun).run():
        pass

asyncio.run(main())
"""
"""A rerun in small steps that says when it is about to take one, and takes it when asked to."""


async def test_a_process_that_is_killed_leaves_a_flow_that_the_next_one_finishes(
    server: EmbeddedServer, client: Redis
) -> None:
    for steps in (1, 4):  # while parents are parked, and between two releases
        await client.flushall()
        await raw_flow(client, 5)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, server.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            for _ in range(steps):
                assert await process.stdout.readline()
                process.stdin.write(b"\n")
            assert await process.stdout.readline()
            process.kill()
            await process.wait()
        plan = await plan_of(client)
        assert set((await carry_out(rerun_of(client, plan))).values()) == {Code.DONE}
        assert await census(client) == {"p": ["waiting-children"]}
        waiting = await client.lrange(KIDS.key("wait"), 0, -1)
        assert sorted(waiting) == ["c0", "c1", "c2", "c3", "c4"]
        assert await client.scard(QUEUE.job("p", "dependencies")) == 5
