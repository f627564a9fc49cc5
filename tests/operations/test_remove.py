"""Removals as campaigns: the plan, what stays and why, the journal, resuming, and the undo."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.events.removals import removed_lately
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids, path_of, progress_of, read_header, summary
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.remove.forecast import Prediction
from qtui.operations.remove.plan import (
    CHILDREN_TOO,
    WITHOUT_UNDO,
    RemovalPlan,
    make_removal_plan,
)
from qtui.operations.remove.remove import Remove
from qtui.operations.remove.resuming import resume_removal
from qtui.operations.resuming.interrupted import AllDone, Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.supply.selection import Chosen, chosen, query
from qtui.verbs import Verb
from tests.operations.campaigns import campaign_of, codes, ours_to, plan_for, proxied
from tests.operations.test_losses import ACCIDENTS
from tests.operations.undoing import WHERE, carried_out, keyspace, undone
from tests.seeds import QUEUE, START, Fields, raw_failed, raw_fields, raw_meta
from tests.wires import Accident

FAILED, WAITING, DELAYED = JobState.FAILED, JobState.WAITING, JobState.DELAYED
PARENTS = JobState.WAITING_CHILDREN
KIDS = QueueKey.of("bull", "kids")
NONE = PlanOptions()


def options(*on: str) -> PlanOptions:
    return PlanOptions(on=frozenset(on))


async def plan_of(
    client: Client, state: JobState, names: Sequence[str] = (), wanted: str = ""
) -> RemovalPlan:
    """The plan for jobs by id, or for those of the state that match."""
    if names:
        return await make_removal_plan(client, chosen(QUEUE, state, names), rate=0)
    found = parse_filter(wanted) if wanted else None
    return await make_removal_plan(client, await query(client, QUEUE, state, found), rate=0)


async def removed(
    client: Client,
    folder: Path,
    plan: RemovalPlan,
    *,
    children: bool = False,
    without_undo: bool = False,
) -> dict[str, Result]:
    """Removes a plan's jobs with a journal; the results by id."""
    writer = RemoveWriter(client)
    action = Remove(client, writer, plan, children=children, without_undo=without_undo)
    results = await carried_out(client, folder, action)
    assert len({one.job_id for one in results}) == len(results)
    return {one.job_id: one for one in results}


def _fields(name: str, at: int) -> Fields:
    return {"name": name, "data": "{}", "opts": "{}", "timestamp": at}


async def waiting(client: Redis, *names: str) -> None:
    """Jobs that wait, the first to run first."""
    await raw_meta(client)
    for place, name in enumerate(names):
        fields = _fields("charge", START + place)
        await client.hset(QUEUE.job(name), mapping=fields)
        await client.lpush(QUEUE.key("wait"), name)


async def a_flow(client: Redis, children: int = 2, name: str = "p") -> list[str]:
    """A parent that waits, with children that wait in another queue; their ids."""
    await raw_meta(client)
    await raw_meta(client, KIDS)
    await client.hset(QUEUE.job(name), mapping=_fields("parent", START))
    await client.zadd(QUEUE.key("waiting-children"), {name: START})
    kids = [f"{name}-{number}" for number in range(children)]
    for kid in kids:
        about = f'{{"id":"{name}","queueKey":"{QUEUE.base}"}}'
        fields = _fields("kid", START)
        fields.update({"parentKey": QUEUE.job(name), "parent": about})
        await client.hset(KIDS.job(kid), mapping=fields)
        await client.lpush(KIDS.key("wait"), kid)
        await client.sadd(QUEUE.job(name, "dependencies"), KIDS.job(kid))
    return kids


# The plan -----------------------------------------------------------------------------------------


async def test_a_plan_says_how_many_go_and_reads_only(client: Redis) -> None:
    await raw_failed(client, ["a", "b", "c"])
    before = await client.execute_command("DEBUG", "DIGEST")
    plan = await plan_of(client, FAILED, ["a", "b", "gone"])
    assert (plan.jobs, plan.removable(NONE), plan.refusal) == (3, 2, "")
    assert plan.go(NONE) == "remove 2 jobs"
    assert [(one.number, one.place, one.refusal) for one in plan.lines(NONE)] == [
        (2, "removed", ""),
        (1, "", "-1 job is gone"),
    ]
    assert list(plan.warnings(NONE)) == ["1 job is gone already (-1)."]
    assert await client.execute_command("DEBUG", "DIGEST") == before


async def test_a_large_removal_wants_the_count_typed(client: Redis) -> None:
    await raw_failed(client, map(str, range(101)))
    plan = await plan_of(client, FAILED)
    assert plan.confirmation(NONE) == "101"
    assert (await plan_of(client, FAILED, ["1"])).confirmation(NONE) == ""


async def test_it_names_the_parents_that_run_and_the_children_that_stay(client: Redis) -> None:
    kids = await a_flow(client)
    plan = await plan_of(client, PARENTS)
    [warning] = plan.warnings(NONE)
    assert warning == "1 job has 2 children, which stay and run without a parent."
    assert plan.go(options(CHILDREN_TOO)) == "remove 1 job and all below them"
    [warning] = plan.warnings(options(CHILDREN_TOO))
    assert warning == "1 job has 2 children: these and all below them are removed too."
    below = chosen(KIDS, WAITING, kids)
    [warning] = (await make_removal_plan(client, below)).warnings(NONE)
    assert warning == (
        "1 parent loses the last child it waits for: it runs next, without the results of what"
        " is removed (bull:q:p)."
    )
    half = await make_removal_plan(client, chosen(KIDS, WAITING, kids[:1]))
    assert list(half.warnings(NONE)) == []


async def test_it_names_what_stays_and_why(client: Redis) -> None:
    await raw_meta(client)
    predicted: list[Prediction] = []
    fields = raw_fields()
    at = START + 60_000
    for name in ("locked", "loose"):
        await client.hset(QUEUE.job(name), mapping=fields)
        await client.lpush(QUEUE.key("active"), name)
    await client.set(QUEUE.job("locked", "lock"), "token")
    await client.hset(QUEUE.job(f"repeat:s:{at}"), mapping=fields | {"rjk": "s"})
    await client.zadd(QUEUE.key("repeat"), {"s": at})
    await client.zadd(QUEUE.key("delayed"), {f"repeat:s:{at}": at * 4096, "dangling": 5})
    plan = await plan_of(client, JobState.ACTIVE)
    assert plan.removable(NONE) == 1
    assert list(plan.warnings(NONE)) == ["1 job is locked by a worker: it stays (0)."]
    selection = chosen(QUEUE, DELAYED, [f"repeat:s:{at}", "dangling"])
    plan = await make_removal_plan(client, selection, report=predicted.extend)
    assert [(one.code, one.target) for one in predicted] == [(-8, ""), (1, "cleared")]
    first, second = plan.warnings(NONE)
    assert first == "1 id has no job data: only the id is removed."
    assert second.endswith("remove the scheduler instead (s).")


async def test_a_deduplication_that_is_let_go_is_named(client: Redis) -> None:
    await waiting(client, "a", "b")
    for name in ("a", "b"):
        await client.hset(QUEUE.job(name), "deid", "one")
    await client.set(QUEUE.key("de:one"), "a")
    plan = await plan_of(client, WAITING)
    assert list(plan.warnings(NONE)) == ["1 deduplication id is released (one)."]


# The campaign -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [FAILED, WAITING, DELAYED])
@pytest.mark.parametrize("by_query", [True, False], ids=["query", "ids"])
async def test_jobs_of_a_state_go_and_an_undo_brings_every_key_back(
    client: Redis, tmp_path: Path, state: JobState, by_query: bool
) -> None:
    names = [str(number) for number in range(1, 251)]
    if state is WAITING:
        await waiting(client, *names)
    else:
        await raw_failed(client, names)
    if state is DELAYED:
        await client.rename(QUEUE.key("failed"), QUEUE.key("delayed"))
    await client.rpush(QUEUE.job("7", "logs"), "one", "two")
    before = await keyspace(client)
    plan = await plan_of(client, state, () if by_query else names)
    results = await removed(client, tmp_path, plan)
    assert {one.code for one in results.values()} == {Code.DONE}
    assert set(results) == set(names)
    assert set(map(str, await client.keys())) <= {
        QUEUE.key(one) for one in ("events", "meta", "marker")
    }
    header = read_header(tmp_path, ids(tmp_path)[0])
    assert (header.action, header.state) == ("remove", state.value)
    undo, back = await undone(client, tmp_path)
    assert {one.code for one in back} == {Code.DONE}, undo
    assert await keyspace(client) == before


async def test_a_filter_takes_its_jobs_out_of_a_list_and_the_undo_puts_each_in_its_place(
    client: Redis, tmp_path: Path
) -> None:
    names = [str(number) for number in range(1, 61)]
    await waiting(client, *names)
    for name in names[::3]:
        await client.hset(QUEUE.job(name), "name", "poison")
    before = await keyspace(client)
    results = await removed(client, tmp_path, await plan_of(client, WAITING, wanted="name=poison"))
    assert set(results) == set(names[::3])
    order = await client.lrange(QUEUE.key("wait"), 0, -1)
    assert order[::-1] == [name for name in names if name not in results]
    await undone(client, tmp_path)
    assert await keyspace(client) == before


async def test_jobs_that_changed_since_the_plan_stay(client: Redis, tmp_path: Path) -> None:
    await waiting(client, "a", "b", "c")
    plan = await plan_of(client, WAITING)
    await client.lrem(QUEUE.key("wait"), 1, "a")
    await client.lpush(QUEUE.key("active"), "a")
    await client.hset(QUEUE.job("b"), "processedOn", START + 5)  # it ran, and waits again
    await client.delete(QUEUE.job("c"))
    await client.lrem(QUEUE.key("wait"), 1, "c")
    results = await removed(client, tmp_path, plan)
    assert {name: int(one.code) for name, one in results.items()} == {"a": -3, "b": -3, "c": -1}


async def test_a_family_goes_and_comes_back_as_one(client: Redis, tmp_path: Path) -> None:
    kids = await a_flow(client, 3)
    await client.lrem(KIDS.key("wait"), 1, kids[0])
    await client.zadd(KIDS.key("failed"), {kids[0]: START + 9})
    await client.hset(KIDS.job(kids[0]), "finishedOn", START + 9)
    before = await keyspace(client)
    results = await removed(client, tmp_path, await plan_of(client, PARENTS), children=True)
    assert {one.target for one in results.values()} == {"removed with 3 jobs below it"}
    assert await client.exists(QUEUE.job("p"), *map(KIDS.job, kids)) == 0
    assert read_header(tmp_path, ids(tmp_path)[0]).options == {"children": True}
    await undone(client, tmp_path)
    assert await keyspace(client) == before
    await undone(client, tmp_path)
    assert await client.exists(QUEUE.job("p"), *map(KIDS.job, kids)) == 0


async def test_a_family_with_a_running_child_stays(client: Redis, tmp_path: Path) -> None:
    kids = await a_flow(client)
    await a_flow(client, name="other")
    await client.lrem(KIDS.key("wait"), 1, kids[0])
    await client.lpush(KIDS.key("active"), kids[0])
    await client.set(KIDS.job(kids[0], "lock"), "token")
    plan = await plan_of(client, PARENTS)
    results = await removed(client, tmp_path, plan, children=True)
    assert {name: int(one.code) for name, one in results.items()} == {"p": 0, "other": 1}
    assert results["p"].error == f"{KIDS.job(kids[0])}: a worker holds its lock"


async def test_too_many_below_are_not_taken_in_one_step(client: Redis, tmp_path: Path) -> None:
    await a_flow(client, 501)
    plan = await plan_of(client, PARENTS)
    results = await removed(client, tmp_path, plan, children=True, without_undo=False)
    assert "more than 500 jobs are below it" in results["p"].error
    assert await client.exists(QUEUE.job("p"))


async def test_what_no_undo_could_bring_back_stays_unless_asked_for(
    client: Redis, tmp_path: Path
) -> None:
    await raw_failed(client, ["large", "small"])
    await client.hset(QUEUE.job("large"), "data", "x" * 4_100_000)
    plan = await plan_of(client, FAILED)
    assert plan.go(NONE) == "remove 1 job"
    assert plan.go(options(WITHOUT_UNDO)) == "remove 2 jobs"
    assert any("they stay, since that could not" in words for words in plan.warnings(NONE))
    assert any("removed for good" in words for words in plan.warnings(options(WITHOUT_UNDO)))
    results = await removed(client, tmp_path, plan)
    assert {name: int(one.code) for name, one in results.items()} == {"large": 0, "small": 1}
    assert "its fields are too large" in results["large"].error
    plan = await plan_of(client, FAILED)
    results = await removed(client, tmp_path, plan, without_undo=True)
    assert [int(one.code) for one in results.values()] == [1]
    _, [back] = await undone(client, tmp_path)
    assert int(back.code) == 0
    assert "does not hold the whole job" in back.error


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

    Each with qtui's own client, which sends a read again: with a bare one a connection that is lost
    on a busy machine leaves jobs in doubt, and those that the other has removed are unknown then.
    """
    names = await raw_failed(client, [str(number) for number in range(1, 601)])
    plan = await plan_of(client, FAILED)

    async def run(campaign: Campaign[JobAction]) -> dict[str, Code]:
        return codes([one async for batch in campaign.run() for one in batch])

    async with ours_to(server) as one, ours_to(server) as other:
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
