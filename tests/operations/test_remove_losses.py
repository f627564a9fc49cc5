"""Removals that are cut off, or whose replies are lost: each job goes once, and no other does."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.events.removals import removed_lately
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids, path_of, progress_of, summary
from qtui.operations.remove.plan import RemovalPlan
from qtui.operations.remove.remove import Remove
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import AllDone, Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.supply.selection import Chosen
from qtui.verbs import Verb
from tests.operations.campaigns import campaign_of, codes, ours_to, plan_for, proxied
from tests.operations.removing import FAILED, WAITING, plan_of, removed, waiting
from tests.operations.test_losses import ACCIDENTS
from tests.operations.undoing import WHERE, keyspace, undone
from tests.patience import PATIENCE
from tests.seeds import QUEUE, START, raw_failed, raw_fields
from tests.wires import Accident

# Cut off ------------------------------------------------------------------------------------------


async def cut_off(client: Client, folder: Path, plan: RemovalPlan, after: int) -> list[Result]:
    """Runs a removal until this many jobs are reported; then it is as dead as after a kill."""
    record = Recorder(folder=folder, where=WHERE, how="key D")
    campaign = Campaign(client, Remove(client, RemoveWriter(client), plan), record=record)
    found: list[Result] = []
    async with aclosing(campaign.run()) as running:
        async for batch in running:
            found += batch
            if len(found) >= after:
                break
        assert campaign.journal is not None
        campaign.journal.close()
    return found


@pytest.mark.parametrize("state", [FAILED, WAITING])
@pytest.mark.parametrize("forgotten", [0, 30])
async def test_one_that_was_cut_off_resumes_and_removes_each_job_once(
    client: Redis, tmp_path: Path, state: JobState, forgotten: int
) -> None:
    names = [str(number) for number in range(1, 901)]
    if state is WAITING:
        await waiting(client, *names)
    else:
        await raw_failed(client, names)
    before = await keyspace(client)
    done = await cut_off(client, tmp_path, await plan_of(client, state), 100)
    [name] = ids(tmp_path)
    if forgotten:
        path = path_of(tmp_path, name)
        lines = path.read_text("ascii").splitlines(keepends=True)
        at = [place for place, one in enumerate(lines) if one.startswith('{"type":"code"')]
        path.write_text("".join(lines[: at[-forgotten]]), "ascii")
    again = "again"  # added since: it is not of this selection
    await client.hset(QUEUE.job(again), mapping=raw_fields())
    if state is WAITING:
        await client.lpush(QUEUE.key("wait"), again)
    else:
        await client.zadd(QUEUE.key("failed"), {again: START * 2})
    taken = Interrupted.take(tmp_path, name, WHERE, verb=Verb.REMOVE)
    campaign = await resume_removal(taken, client, RemoveWriter(client))
    found = [one async for batch in campaign.run() for one in batch]
    campaign.close()
    assert campaign.phase is Phase.DONE
    assert campaign.codes == {Code.DONE: len(names)}
    decided = {one.job_id for one in found} | {one.job_id for one in done}
    assert decided == set(names)
    assert await client.exists(*map(QUEUE.job, names)) == 0
    assert await client.exists(QUEUE.job(again)) == 1
    assert summary(tmp_path, name).codes == {Code.DONE: len(names)}
    assert not progress_of(tmp_path, name).doubtful
    with pytest.raises(AllDone):
        Interrupted.take(tmp_path, name, WHERE, verb=Verb.REMOVE)
    await client.delete(QUEUE.job(again))
    await client.lrem(QUEUE.key("wait"), 1, again) if state is WAITING else None
    await client.zrem(QUEUE.key("failed"), again) if state is FAILED else None
    await undone(client, tmp_path)
    assert await keyspace(client) == before


@pytest.mark.slow
async def test_jobs_of_a_list_that_go_in_any_order_and_are_cut_off_come_back_to_their_places(
    client: Redis, tmp_path: Path
) -> None:
    names = [str(number) for number in range(1, 1501)]
    await waiting(client, *names)
    before = await keyspace(client)
    any_order = random.Random(3).sample(names, len(names))
    await cut_off(client, tmp_path, await plan_of(client, WAITING, any_order), 200)
    [name] = ids(tmp_path)
    taken = Interrupted.take(tmp_path, name, WHERE, verb=Verb.REMOVE)
    campaign = await resume_removal(taken, client, RemoveWriter(client))
    async for _ in campaign.run():
        pass
    campaign.close()
    assert campaign.codes == {Code.DONE: len(names)}
    await undone(client, tmp_path)
    assert await keyspace(client) == before


# Lost on the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "accidents", "late_comes_first"),
    [*((FAILED, *one) for one in ACCIDENTS), (WAITING, [Accident.CALL_LATE], True)],
)
async def test_with_any_reply_lost_each_job_is_removed_once(
    server: EmbeddedServer,
    client: Redis,
    state: JobState,
    accidents: list[Accident],
    late_comes_first: bool,
) -> None:
    names = [str(number) for number in range(1, 161)]
    await (waiting(client, *names) if state is WAITING else raw_failed(client, names))
    plan = await plan_of(client, state)
    async with proxied(server) as (proxy, ours):
        campaign = Campaign(ours, Remove(ours, RemoveWriter(ours), plan), patience=10)
        proxy.late_comes_first = late_comes_first
        found: list[Result] = []
        async for batch in campaign.run():
            found += batch
            if len(found) == len(batch):
                proxy.accidents[:] = accidents
        await proxy.deliver()
    assert codes(found) == dict.fromkeys(names, Code.DONE)
    assert campaign.phase is Phase.DONE
    assert not await client.exists(*map(QUEUE.job, names))
    removals = await removed_lately(client, QUEUE, names)
    assert removals == set(names)
    assert await client.xlen(QUEUE.key("events")) == len(names)


async def test_jobs_that_ran_and_were_deleted_while_a_call_was_lost_are_not_claimed(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    names = [str(number) for number in range(1, 41)]
    await waiting(client, *names)
    plan = await plan_of(client, WAITING)

    async def run() -> None:
        for name in names[:10]:
            await client.lrem(QUEUE.key("wait"), 1, name)
            await client.delete(QUEUE.job(name))
            await client.xadd(QUEUE.key("events"), {"event": "completed", "jobId": name})

    async with proxied(server) as (proxy, ours):
        record = Recorder(folder=tmp_path, where=WHERE, how="key D")
        action = Remove(ours, RemoveWriter(ours), plan)
        campaign = Campaign(ours, action, record=record, patience=10)
        await ours.script_load(script_text("whole"))
        await ours.script_load(script_text("remove"))
        sent = RemoveWriter.remove

        async def lost(*words: object, **named: object) -> Batch:
            proxy.accidents, proxy.after = [Accident.CALL_LOST], run
            action.writer.remove = partial(sent, action.writer)  # type: ignore[method-assign]
            return await sent(action.writer, *words, **named)  # type: ignore[arg-type]

        action.writer.remove = lost  # type: ignore[method-assign]
        found = codes([one async for batch in campaign.run() for one in batch])
        campaign.close()
    assert found == {
        **dict.fromkeys(names[:10], Code.NO_SUCH_JOB),
        **dict.fromkeys(names[10:], Code.DONE),
    }
    _, back = await undone(client, tmp_path)
    assert {one.job_id for one in back if one.done} == set(names[10:])
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == names[10:][::-1]


@pytest.mark.parametrize("has_event", [True, False], ids=["event", "trimmed"])
async def test_of_a_job_without_a_code_the_events_say_whether_it_was_removed_or_ran(
    client: Redis, tmp_path: Path, has_event: bool
) -> None:
    """One that ran, and was deleted at its end, must not be made to run again by an undo."""
    names = [str(number) for number in range(1, 31)]
    await waiting(client, *names)
    before = await keyspace(client)
    await removed(client, tmp_path, await plan_of(client, WAITING))
    [name] = ids(tmp_path)
    path = path_of(tmp_path, name)
    lines = path.read_text("ascii").splitlines(keepends=True)
    path.write_text("".join(one for one in lines if '"type":"code"' not in one), "ascii")
    await client.xadd(QUEUE.key("events"), {"event": "completed", "jobId": "7"})
    if not has_event:
        await client.xtrim(QUEUE.key("events"), maxlen=0, approximate=False)
    plan, back = await undone(client, tmp_path)
    ran = {"7"} if has_event else set(names)
    assert plan.back == len(names) - len(ran)
    assert {one.job_id for one in back if not one.done} == ran
    assert {one.code for one in back if not one.done} == {Code.REFUSED}
    assert all("it may have run" in one.error for one in back if not one.done)
    assert (await keyspace(client) == before) is False
    assert await client.llen(QUEUE.key("wait")) == plan.back


async def test_pins_of_a_query_on_a_list_are_in_the_journal(client: Redis) -> None:
    await waiting(client, "a", "b")
    plan = await plan_of(client, WAITING)
    assert isinstance(plan.selection, Chosen)
    assert [one.job_id for one in plan.selection.jobs] == ["a", "b"]
    assert all(one.pinned for one in plan.selection.jobs)


async def test_two_who_do_opposite_things_at_once_share_the_jobs(
    server: EmbeddedServer, client: Redis
) -> None:
    """One removes what the other retries: each job has one of both, and none is lost.

    With time enough for a machine that is too busy to answer in 5 s. Of a retry whose reply is lost
    nothing tells whether its job ran before the other removed it: its code is unknown.
    """
    names = await raw_failed(client, [str(number) for number in range(1, 601)])
    plan = await plan_of(client, FAILED)

    async def run(campaign: Campaign[JobAction]) -> dict[str, Code]:
        return codes([one async for batch in campaign.run() for one in batch])

    async with ours_to(server, PATIENCE) as one, ours_to(server, PATIENCE) as other:
        retried = campaign_of(one, await plan_for(one))
        gone = Campaign(other, Remove(other, RemoveWriter(other), plan))
        first, second = await asyncio.gather(run(retried), run(gone))
    runs = {name for name, code in first.items() if code is Code.DONE}
    away = {name for name, code in second.items() if code is Code.DONE}
    neither = set(names) - runs - away
    assert not neither, {name: (first.get(name), second.get(name)) for name in neither}
    assert not runs & away
    assert set(await client.lrange(QUEUE.key("wait"), 0, -1)) == runs
    others = {code for code in (*first.values(), *second.values()) if code is not Code.DONE}
    assert others <= {Code.NO_SUCH_JOB, Code.NOT_IN_STATE}
