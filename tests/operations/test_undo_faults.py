"""An undo that meets trouble: lost calls, a server in trouble, kills, another operator."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import pytest
from bullmq import FlowProducer
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.options import new_job
from qtui.bullmq.reads.queues.made import FIRST, is_as_made
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.add import UnmakeWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.add.plan import plan_add
from qtui.operations.edit.plan import Wish
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import (
    JournalError,
    ids,
    path_of,
    progress_of,
    read_header,
    summary,
)
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.promote.plan import make_promotion_plan
from qtui.operations.remove.plan import CHILDREN_TOO, make_removal_plan
from qtui.operations.resuming.interrupted import AllDone
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import chosen
from qtui.operations.undo.plan import last_operation, make_undo_plan
from qtui.operations.undo.resuming import InterruptedUndo
from qtui.operations.undo.undo import Undo
from tests.operations.campaigns import proxied
from tests.operations.editing import plan_edit
from tests.operations.flows import KIDS
from tests.operations.test_losses import ACCIDENTS
from tests.operations.undoing import (
    WHERE,
    all_done,
    carried_out,
    keyspace,
    newest,
    retried,
    undone,
)
from tests.patience import PATIENCE
from tests.seeds import (
    QUEUE,
    census,
    failed_jobs,
    job,
    raw_failed,
    real_queue,
    soon,
)
from tests.servers import connect
from tests.wires import Accident

JOBS = 240


async def begun(
    client: Redis, folder: Path, only: tuple[str, ...] = (), patience: float = 20
) -> Campaign[Undo]:
    """The undo of the one operation that there is."""
    plan = await make_undo_plan(client, folder, newest(folder), WHERE, only)
    record = Recorder(folder=folder, where=WHERE, how="test")
    return Campaign(client, Undo(client, plan.deeds, only), record=record, patience=patience)


async def cut_off(campaign: Campaign[Undo], after: int) -> list[Result]:
    """Runs it until this many jobs have codes; then it is as dead as after a kill."""
    found: list[Result] = []
    async with aclosing(campaign.run()) as running:
        async for batch in running:
            found += batch
            if len(found) >= after:
                break
        assert campaign.journal is not None
        campaign.journal.close()
    return found


def forget_last_codes(folder: Path, name: str, jobs: int) -> None:
    """Cuts off the last lines from the last codes on, as if the process had died before them."""
    path = path_of(folder, name)
    lines = path.read_text("ascii").splitlines(keepends=True)
    while not lines[-1].startswith('{"type":"code"'):
        lines.pop()
    path.write_text("".join(lines[:-jobs]), "ascii")


@pytest.mark.parametrize(("accidents", "late_comes_first"), [ACCIDENTS[0], *ACCIDENTS[3:]])
async def test_after_any_loss_on_the_way_each_job_goes_back_once(
    server: EmbeddedServer, tmp_path: Path, accidents: list[Accident], late_comes_first: bool
) -> None:
    async with proxied(server) as (proxy, client):
        names = await raw_failed(client, map(str, range(JOBS)))
        before = await keyspace(client)
        await retried(client, tmp_path, names)
        campaign = await begun(client, tmp_path)
        proxy.late_comes_first = late_comes_first
        found: list[Result] = []
        async for batch in campaign.run():
            found += batch
            if len(found) == len(batch):
                proxy.accidents[:] = accidents
        campaign.close()
        await proxy.deliver()
        assert proxy.happened == len(accidents)
        assert Counter(one.job_id for one in found) == dict.fromkeys(names, 1)
        assert all_done(found)
        assert campaign.phase is Phase.DONE
        assert await keyspace(client) == before


async def test_an_operation_whose_undo_is_in_doubt_is_still_the_last_one(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """U was about the operation before it."""
    async with proxied(server) as (proxy, client):
        await retried(client, tmp_path, await raw_failed(client, ["a"]))
        campaign = await begun(client, tmp_path, patience=0.1)
        proxy.accidents[:] = [Accident.CALL_LOST]

        async def go_away() -> None:
            proxy.away = True

        proxy.after = go_away
        [result] = [one async for batch in campaign.run() for one in batch]
        campaign.close()
        assert (result.code, campaign.phase) == (Code.UNKNOWN, Phase.LOST)
        last = last_operation(tmp_path, WHERE).undoable
        assert last is not None
        assert last.id == first_of(tmp_path)


async def test_a_server_that_takes_no_writes_is_waited_for(client: Redis, tmp_path: Path) -> None:
    names = await raw_failed(client, map(str, range(JOBS)))
    before = await keyspace(client)
    await retried(client, tmp_path, names)
    campaign, found = await begun(client, tmp_path), list[Result]()

    async def go() -> None:
        async for batch in campaign.run():
            if not found:
                await client.config_set("min-replicas-to-write", 1)
            found.extend(batch)

    running = asyncio.ensure_future(go())
    try:
        await soon(lambda: bool(campaign.trouble) or running.done())
        assert campaign.trouble == "Redis has too few replicas and takes no writes"
    finally:
        await client.config_set("min-replicas-to-write", 0)
    await running
    campaign.close()
    assert all_done(found)
    assert await keyspace(client) == before


async def test_a_restoration_that_was_killed_puts_every_job_into_its_place_in_line(
    client: Redis, tmp_path: Path
) -> None:
    """Those that were written down and not sent come first when it is resumed, in their order."""
    names = await raw_failed(client, map(str, range(4 * JOBS)))
    await client.delete(QUEUE.key("failed"))
    await client.lpush(QUEUE.key("wait"), *names)
    for one in names:  # added at the same moment, so that their age does not show their order
        await client.hset(QUEUE.job(one), "timestamp", "1")
    before = await keyspace(client)
    plan = await make_removal_plan(client, chosen(QUEUE, JobState.WAITING, names), rate=0)
    assert all_done(await carried_out(client, tmp_path, plan.action(client, PlanOptions())))
    campaign = await begun(client, tmp_path)
    await cut_off(campaign, 20)
    assert campaign.journal is not None
    name = campaign.journal.id
    there = set(await client.lrange(QUEUE.key("wait"), 0, -1))
    unsent = [one for one in progress_of(tmp_path, name).doubtful if one.job_id not in there]
    assert len(unsent) > 1
    again = await InterruptedUndo.take(tmp_path, name, WHERE).campaign(client)
    assert all_done([result async for batch in again.run() for result in batch])
    again.close()
    assert await keyspace(client) == before


@pytest.mark.parametrize("lost_codes", [0, 3])
@pytest.mark.parametrize("only", [False, True])
async def test_an_undo_that_was_killed_is_resumed_and_each_job_goes_back_once(
    client: Redis, tmp_path: Path, lost_codes: int, only: bool
) -> None:
    names = await raw_failed(client, map(str, range(JOBS)))
    before = await keyspace(client)
    await retried(client, tmp_path, names)
    chosen = tuple(names[: JOBS // 2]) if only else ()
    wanted = chosen or tuple(names)
    campaign = await begun(client, tmp_path, chosen)
    found = await cut_off(campaign, 20)
    assert campaign.journal is not None
    name = campaign.journal.id
    if lost_codes:
        forget_last_codes(tmp_path, name, lost_codes)
        assert len(progress_of(tmp_path, name).doubtful) >= lost_codes
    again = await InterruptedUndo.take(tmp_path, name, WHERE).campaign(client)
    assert again.selected == len(wanted)
    more = [result async for batch in again.run() for result in batch]
    again.close()
    assert all_done(more)
    assert Counter(one.job_id for one in more).most_common(1)[0][1] == 1
    assert {one.job_id for one in (*found, *more)} == set(wanted)
    assert summary(tmp_path, name).codes == {Code.DONE: len(wanted)}
    places = await census(client)
    assert {one: places[one] for one in wanted} == {one: ["failed"] for one in wanted}
    if not only:
        assert await keyspace(client) == before
    with pytest.raises(AllDone):
        InterruptedUndo.take(tmp_path, name, WHERE)
    with pytest.raises(JournalError, match="is no undo"):
        InterruptedUndo.take(tmp_path, next(one for one in ids(tmp_path) if one != name), WHERE)


async def test_an_operation_that_was_cut_off_is_undone_with_the_jobs_in_doubt(
    client: Redis, tmp_path: Path
) -> None:
    """Nobody knows where the retry put those whose codes were lost."""
    names = await raw_failed(client, map(str, range(40)))
    await client.hset(QUEUE.job("3"), "priority", 2)
    before = await keyspace(client)
    await retried(client, tmp_path, names)
    name = newest(tmp_path)
    path = path_of(tmp_path, name)
    lines = [one for one in path.read_text("ascii").splitlines() if '"end"' not in one]
    path.write_text("\n".join([*lines[:-10], ""]), "ascii")
    plan, results = await undone(client, tmp_path)
    assert plan.jobs == 40
    assert all_done(results)
    assert await keyspace(client) == before


async def test_one_undoes_while_another_retries_again_and_a_worker_runs_them(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """Whoever comes first: no job is in two places, and none runs that was undone."""
    one_folder, other_folder = tmp_path / "one", tmp_path / "other"
    chance = random.Random(7)
    async with (
        real_queue(server) as queue,
        connect(server) as one,
        connect(server) as other,
    ):
        names = await failed_jobs(queue, 60, attempts=1)
        await retried(one, one_folder, names)
        plan = await make_undo_plan(one, one_folder, newest(one_folder), WHERE)
        chance.shuffle(names)
        async with queue.worker(2) as ended:
            undo, _ = await asyncio.gather(
                carried_out(one, one_folder, Undo(one, plan.deeds)),
                retried(other, other_folder, names[:30]),
            )
            async with asyncio.timeout(PATIENCE):
                while not await _all_failed(one, len(names)):
                    await ended(0)
        assert await census(one) == {name: ["failed"] for name in names}
        again = Counter(queue.ran[len(names) :])
        back = {one.job_id for one in undo if one.done}
        # A job that went back may run for the other operator's retry, once.
        assert all(number <= 2 for number in again.values())
        assert not {name for name in back if again[name] > 1}
        assert {one.code for one in undo} <= {Code.DONE, Code.NOT_IN_STATE}


async def _all_failed(client: Redis, jobs: int) -> bool:
    await asyncio.sleep(0.005)  # between two looks; the condition decides
    return int(await client.zcard(QUEUE.key("failed"))) == jobs


async def test_another_server_that_lost_the_undo_gets_it_again(
    client: Redis, tmp_path: Path
) -> None:
    """As after a failover, the jobs are where the retry put them, though their codes said 1."""
    names = await raw_failed(client, map(str, range(JOBS)))
    before = await keyspace(client)
    await retried(client, tmp_path, names)
    acted = {key: await client.dump(key) async for key in client.scan_iter(count=1000)}
    campaign = await begun(client, tmp_path)
    found: list[Result] = []
    restored = False
    async for batch in campaign.run():
        found += batch
        if len(found) == JOBS and not restored:
            restored = True
            await client.flushall()
            await client.execute_command("DEBUG", "CHANGE-REPL-ID")
            for key, value in acted.items():
                assert value is not None
                await client.restore(key, 0, value)
    campaign.close()
    assert campaign.withdrawn == JOBS
    assert campaign.codes == {Code.DONE: JOBS}
    assert await keyspace(client) == before


async def test_memory_that_is_full_keeps_no_job_back(client: Redis, tmp_path: Path) -> None:
    """Redis lets a script continue that has begun to write; it begins with a removal."""
    names = await raw_failed(client, map(str, range(JOBS)))
    before = await keyspace(client)
    await retried(client, tmp_path, names)
    campaign = await begun(client, tmp_path)
    try:
        async for _ in campaign.run():
            await client.config_set("maxmemory", 1)
    finally:
        await client.config_set("maxmemory", 0)
    campaign.close()
    assert campaign.codes == {Code.DONE: JOBS}
    assert await keyspace(client) == before


@pytest.mark.parametrize("command", ["ZADD", "LREM", "HSET"])
async def test_a_right_that_is_missing_stops_it_and_what_is_left_is_done_later(
    client: Redis, tmp_path: Path, command: str
) -> None:
    names = await raw_failed(client, map(str, range(JOBS)))
    before = await keyspace(client)
    await retried(client, tmp_path, names)
    campaign = await begun(client, tmp_path)
    try:
        async for _ in campaign.run():
            await client.execute_command("ACL", "SETUSER", "default", f"-{command}")
    finally:
        await client.execute_command("ACL", "SETUSER", "default", "+@all")
    campaign.close()
    assert (campaign.phase, campaign.refused) == (Phase.STOPPED, True)
    assert campaign.why == f"the ACL of Redis does not let this user run {command}"
    assert campaign.decided == campaign.done < JOBS
    assert len([one for one in (await census(client)).values() if one == ["failed"]]) == (
        campaign.done
    )
    name = campaign.journal.id if campaign.journal is not None else ""
    again = await InterruptedUndo.take(tmp_path, name, WHERE).campaign(client)
    assert all_done([result async for batch in again.run() for result in batch])
    again.close()
    assert await keyspace(client) == before


FORBIDDEN_EFFECTS = {"retry": "hdel", "edit": "hdel", "promote": "hset"}
"""What follows the move of a job: where Redis refuses it, the job is done with a note."""


@pytest.mark.parametrize("action", FORBIDDEN_EFFECTS)
async def test_fields_that_redis_did_not_let_an_action_clear_do_not_say_that_the_job_has_run(
    client: Redis, server: EmbeddedServer, tmp_path: Path, action: str
) -> None:
    async with real_queue(server) as queue:
        await queue.add(job(error="x", jobId="f"), job(delay=60_000, jobId="d"))
        await queue.work(1)
    before = await keyspace(client)
    made: JobAction
    if action == "retry":
        plan = await make_plan(client, chosen(QUEUE, JobState.FAILED, ["f"]))
        made = Retry(client, RetryWriter(client), plan, Resets())
    elif action == "edit":
        edit = await plan_edit(client, QUEUE, "f", Wish(data='{"a": 1}', retry=True))
        made = edit.action(client)
    else:
        delayed = chosen(QUEUE, JobState.DELAYED, ["d"])
        made = (await make_promotion_plan(client, delayed, rate=0)).action(client, PlanOptions())
    campaign = Campaign(client, made, record=Recorder(folder=tmp_path, where=WHERE, how="test"))
    forbidden = FORBIDDEN_EFFECTS[action]
    await client.execute_command("ACL", "SETUSER", "default", f"-{forbidden}")
    try:
        [result] = [one async for batch in campaign.run() for one in batch]
    finally:
        await client.execute_command("ACL", "SETUSER", "default", "+@all")
    campaign.close()
    assert result.done
    [note] = campaign.notes
    assert forbidden in note.lower()
    _, [result] = await undone(client, tmp_path)
    assert result.code is Code.DONE, result
    assert await keyspace(client) == before


async def test_a_queue_that_redis_does_not_let_go_stays_and_its_job_is_gone_all_the_same(
    client: Redis, tmp_path: Path
) -> None:
    plan = await plan_add(client, QUEUE, new_job("n", "{}", {}), may_be_new=True)
    [made] = await carried_out(client, tmp_path, plan.action(client))
    campaign = await begun(client, tmp_path)
    await client.execute_command("ACL", "SETUSER", "default", "-get")  # to ask for its counter
    try:
        [result] = [one async for batch in campaign.run() for one in batch]
    finally:
        await client.execute_command("ACL", "SETUSER", "default", "+@all")
    campaign.close()
    assert result.code is Code.DONE
    [note] = campaign.notes
    assert f"its empty queue is left, and `qtui undo {first_of(tmp_path)}` removes it" in note
    assert await client.exists(QUEUE.key("meta"), QUEUE.job(made.job_id)) == 1
    _, [result] = await undone(client, tmp_path, first_of(tmp_path))
    assert result.code is Code.DONE
    assert await client.keys() == []


async def made_with_its_queue(client: Redis, folder: Path) -> None:
    plan = await plan_add(client, QUEUE, new_job("n", "{}", {}), may_be_new=True)
    assert all_done(await carried_out(client, folder, plan.action(client)))


@pytest.mark.parametrize("accident", list(Accident))
async def test_a_queue_goes_with_its_job_though_the_connection_is_lost_between_the_two(
    server: EmbeddedServer, tmp_path: Path, accident: Accident
) -> None:
    async with proxied(server) as (proxy, client):
        await made_with_its_queue(client, tmp_path)
        acted = await keyspace(client)
        await client.script_load(script_text("remove"))
        await client.script_load(script_text("unmake"))
        campaign = await begun(client, tmp_path)
        proxy.passing, proxy.accidents[:] = 1, [accident]
        [result] = [one async for batch in campaign.run() for one in batch]
        campaign.close()
        await proxy.deliver()
        assert (result.code, proxy.happened, campaign.notes) == (Code.DONE, 1, [])
        assert await client.keys() == []
        _, [result] = await undone(client, tmp_path)
        assert (result.code, await keyspace(client)) == (Code.DONE, acted)


@pytest.mark.parametrize("way", ["resumed", "repeated"])
async def test_a_queue_that_an_undo_left_when_it_was_cut_off_goes_when_it_is_done_again(
    client: Redis, tmp_path: Path, way: str
) -> None:
    await made_with_its_queue(client, tmp_path)
    acted = await keyspace(client)
    campaign = await begun(client, tmp_path)
    await client.execute_command("ACL", "SETUSER", "default", "-get")  # to ask for its counter
    try:
        await cut_off(campaign, 1)
    finally:
        await client.execute_command("ACL", "SETUSER", "default", "+@all")
    name = newest(tmp_path)
    forget_last_codes(tmp_path, name, 1)
    if way == "resumed":
        again = await InterruptedUndo.take(tmp_path, name, WHERE).campaign(client)
        [result] = [one async for batch in again.run() for one in batch]
        again.close()
    else:
        plan, [result] = await undone(client, tmp_path, first_of(tmp_path))
        assert plan.groups() == [(1, Code.DONE, "its empty queue removed")]
    assert result.code is Code.DONE
    assert await client.keys() == []
    _, [result] = await undone(client, tmp_path, name)
    assert (result.code, await keyspace(client)) == (Code.DONE, acted)


async def test_a_queue_stays_whose_job_ran_with_a_worker_that_writes_no_settings(
    client: Redis, server: EmbeddedServer, tmp_path: Path
) -> None:
    """Its events say that it was used: the job deleted itself when it was done."""
    plan = await plan_add(
        client, QUEUE, new_job("n", "{}", {"removeOnComplete": True}), may_be_new=True
    )
    await carried_out(client, tmp_path, plan.action(client))
    async with real_queue(server) as queue:
        await queue.work(1)
    assert not await client.exists(QUEUE.job("1"))
    assert set(await client.hgetall(QUEUE.key("meta"))) == {"opts.maxLenEvents"}
    assert not await is_as_made(client, QUEUE)
    assert (await UnmakeWriter(client).unmake(QUEUE, FIRST)).code is Code.NOT_IN_STATE
    _, [result] = await undone(client, tmp_path)
    assert result.code is Code.NO_SUCH_JOB
    assert await client.exists(QUEUE.key("meta")) == 1


async def removed_family(client: Redis, server: EmbeddedServer, folder: Path) -> None:
    """A parent that waits for children in two queues is removed together with them."""
    producer = FlowProducer(server.url, {"prefix": "bull"})
    queues = (QUEUE.name, KIDS.name)
    children = [{**job("kid", jobId=f"c-{name}"), "queueName": name} for name in queues]
    await producer.add({**job(jobId="p"), "queueName": QUEUE.name, "children": children})
    await producer.close()
    picked = chosen(QUEUE, JobState.WAITING_CHILDREN, ["p"])
    plan = await make_removal_plan(client, picked, rate=0)
    options = PlanOptions(on=frozenset({CHILDREN_TOO}))
    assert all_done(await carried_out(client, folder, plan.action(client, options)))


async def test_full_memory_is_waited_for_by_a_family_too(
    client: Redis, server: EmbeddedServer, tmp_path: Path
) -> None:
    """Its top was left alone, since it would have waited for the child that was refused."""
    await removed_family(client, server, tmp_path)
    campaign, found = await begun(client, tmp_path), list[Result]()

    async def go() -> None:
        async for batch in campaign.run():
            found.extend(batch)

    await client.config_set("maxmemory", 1)
    running = asyncio.ensure_future(go())
    try:
        await soon(lambda: bool(campaign.trouble) or running.done())
        assert campaign.trouble == "Redis is out of memory and takes no writes"
    finally:
        await client.config_set("maxmemory", 0)
    await running
    campaign.close()
    assert all_done(found)
    assert await census(client) == {"p": ["waiting-children"], f"c-{QUEUE.name}": ["wait"]}


async def test_a_family_of_which_redis_refuses_one_stays_away_whole(
    client: Redis, server: EmbeddedServer, tmp_path: Path
) -> None:
    """Its children would run, and end, without their parent."""
    await removed_family(client, server, tmp_path)
    await client.set(KIDS.key("wait"), "not a list")
    before = await keyspace(client)
    _, [result] = await undone(client, tmp_path)
    assert (result.code, "WRONGTYPE" in result.error) == (Code.REFUSED, True)
    assert await keyspace(client) == before
    await client.delete(KIDS.key("wait"))
    _, [result] = await undone(client, tmp_path, first_of(tmp_path))
    assert result.code is Code.DONE
    assert await client.lrange(KIDS.key("wait"), 0, -1) == [f"c-{KIDS.name}"]
    assert await client.smembers(QUEUE.job("p", "dependencies")) == {
        QUEUE.job(f"c-{QUEUE.name}"),
        KIDS.job(f"c-{KIDS.name}"),
    }


def first_of(folder: Path) -> str:
    """The operation that began first."""
    return min(ids(folder), key=lambda one: read_header(folder, one).at)
