"""Act, then undo: every key as before. What has moved on is left alone, and said to be."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.reading import JournalError, find, read_header, read_lines, summary
from qtui.operations.journal.writing import Journal
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.promote.plan import make_promotion_plan
from qtui.operations.remove.plan import make_removal_plan
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.resuming.same_server import OtherServer
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import chosen
from qtui.operations.undo.deeds import read_deeds
from qtui.operations.undo.plan import last_operation, make_undo_plan
from qtui.operations.undo.undo import Undo
from tests.operations.editing import added
from tests.operations.undoing import (
    WHERE,
    all_done,
    carried_out,
    keyspace,
    newest,
    retried,
    undone,
)
from tests.seeds import QUEUE, census, failed_jobs, job, raw_failed, raw_list, raw_meta, real_queue
from tests.servers import connect, flush

FAILED, COMPLETED = JobState.FAILED, JobState.COMPLETED

JOBS = st.lists(
    st.fixed_dictionaries(
        {
            "error": st.sampled_from(["", "boom", "a longer error " * 20]),
            "priority": st.sampled_from([0, 0, 1, 3]),
            "lifo": st.booleans(),
            "attempts": st.integers(1, 2),
        }
    ),
    min_size=1,
    max_size=8,
)


def _options(one: dict[str, Any]) -> dict[str, Any]:
    found = {"attempts": one["attempts"]}
    if one["priority"]:
        found["priority"] = one["priority"]
    if one["lifo"]:
        found["lifo"] = True
    return found


@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    jobs=JOBS,
    waiting=st.integers(0, 3),
    paused=st.booleans(),
    state=st.sampled_from([FAILED, COMPLETED]),
    resets=st.builds(Resets, made=st.booleans(), started=st.booleans()),
    some=st.booleans(),
)
def test_a_retry_and_its_undo_leave_every_key_as_it_was_and_so_does_the_undo_of_the_undo(
    server: EmbeddedServer,
    jobs: list[dict[str, Any]],
    waiting: int,
    paused: bool,
    state: JobState,
    resets: Resets,
    some: bool,
) -> None:
    async def run() -> None:
        flush(server)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with real_queue(server) as queue, connect(server) as client:
                made = [job(error=one["error"], **_options(one)) for one in jobs]
                await queue.add(*made)
                runs = sum(one["attempts"] if one["error"] else 1 for one in jobs)
                await queue.work(runs)
                await queue.add(*(job() for _ in range(waiting)))
                if paused:
                    await queue.queue.pause()
                ids = [str(one) for one in await client.zrange(QUEUE.key(state.key), 0, -1)]
                ids = ids[: len(ids) // 2] if some else ids
                if not ids:
                    return
                before = await keyspace(client)
                assert all_done(await retried(client, folder, ids, state=state, resets=resets))
                acted = await keyspace(client)
                assert acted != before
                plan, results = await undone(client, folder)
                assert (plan.back, len(results)) == (len(ids), len(ids))
                assert all_done(results)
                assert await keyspace(client) == before
                plan, results = await undone(client, folder)
                assert all_done(results)
                assert plan.back == len(ids)
                assert _without_order(await keyspace(client)) == _without_order(acted)
                _, results = await undone(client, folder)
                assert all_done(results)
                assert await keyspace(client) == before

    asyncio.run(run())


def _without_order(keys: dict[str, object]) -> dict[str, object]:
    """Scores of prioritized jobs are numbered anew, in the same order."""
    name = QUEUE.key("prioritized")
    found = keys.get(name)
    members = [member for member, _ in found] if isinstance(found, list) else found
    return {**keys, name: members}


async def test_jobs_that_a_worker_took_are_left_alone(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        ids = await failed_jobs(queue, 9)
        await retried(client, tmp_path, ids)
        await queue.work(2)
        ran = queue.ran[len(ids) :]  # one more may have begun before the worker closed
        left = [one for one in ids if one not in ran]
        plan, results = await undone(client, tmp_path)
        assert plan.tally == {
            (Code.DONE, "back to failed"): len(left),
            (Code.NOT_IN_STATE, "has run since"): len(ran),
        }
        assert {one.job_id: (one.code, one.error) for one in results} == {
            **{one: (Code.NOT_IN_STATE, "has run since") for one in ran},
            **{one: (Code.DONE, "") for one in left},
        }
        assert await census(client) == {one: ["failed"] for one in ids}
        before = await keyspace(client)
        plan, results = await undone(client, tmp_path, find(tmp_path, _first(tmp_path)))
        assert not plan.back
        assert {one.code for one in results} == {Code.NOT_IN_STATE}
        assert await keyspace(client) == before


def _first(folder: Path) -> str:
    return min(
        (path.stem for path in folder.iterdir()),
        key=lambda one: (folder / f"{one}.jsonl").stat().st_ctime_ns,
    )


def _last(folder: Path) -> str:
    one = last_operation(folder, WHERE).undoable
    assert one is not None
    return one.id


async def test_only_the_jobs_that_were_asked_for_and_the_rest_later(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with connect(server) as client:
        ids = await raw_failed(client, map(str, range(6)))
        before = await keyspace(client)
        await retried(client, tmp_path, ids)
        operation = newest(tmp_path)
        plan, results = await undone(client, tmp_path, operation, ["1", "4", "77"])
        assert plan.missing == ("77",)
        assert {one.job_id for one in results} == {"1", "4"}
        assert _last(tmp_path) == operation
        # Those of before are asked for again, with another: the rest can be undone still.
        _, results = await undone(client, tmp_path, operation, ["0", "1", "2", "4"])
        assert sorted(one.job_id for one in results if one.done) == ["0", "2"]
        assert _last(tmp_path) == operation
        _, results = await undone(client, tmp_path, operation)
        assert sorted(one.job_id for one in results if one.done) == ["3", "5"]
        assert await keyspace(client) == before
        last = last_operation(tmp_path, WHERE)
        assert last.undoable is None
        assert last.nothing == "nothing to undo: all that was done here is undone already"


async def test_the_journal_of_an_undo_names_what_it_undoes(client: Redis, tmp_path: Path) -> None:
    ids = await raw_failed(client, ["a", "b"])
    await retried(client, tmp_path, ids)
    operation = newest(tmp_path)
    await undone(client, tmp_path)
    header = read_header(tmp_path, newest(tmp_path))
    assert (header.action, header.undoes, header.effect) == ("undo", operation, "unretry")
    assert (header.selection.kind, header.selection.jobs) == ("undo", 2)
    lines = [line for line in read_lines(tmp_path, header.id) if line["type"] == "job"]
    assert [(line["id"], line["place"]) for line in lines] == [("b", "wait"), ("a", "wait")]
    await undone(client, tmp_path)
    again = read_header(tmp_path, newest(tmp_path))
    assert (again.undoes, again.effect) == (header.id, "retry")
    assert summary(tmp_path, again.id).codes == {Code.DONE: 2}
    # The undo is undone, so the retry is what a plain undo would take back.
    assert _last(tmp_path) == operation


async def test_another_server_is_refused(client: Redis, tmp_path: Path) -> None:
    await retried(client, tmp_path, await raw_failed(client, ["a"]))
    name = newest(tmp_path)
    plan = await make_undo_plan(client, tmp_path, name, "redis://other:6379/0")
    assert plan.back == 1  # the same data under another name
    elsewhere = last_operation(tmp_path, "redis://other:6379/0")
    assert elsewhere.undoable is None
    assert elsewhere.nothing == "nothing to undo: the journal has no operation on this server"
    text = (tmp_path / f"{name}.jsonl").read_text("ascii")
    header, rest = text.split("\n", 1)
    assert '"server":' in header
    start = header.index(',"server":')
    (tmp_path / f"{name}.jsonl").write_text(
        header[:start] + header[header.index("}", start) + 1 :] + "\n" + rest, "ascii"
    )
    with pytest.raises(OtherServer, match="connect there to undo it"):
        await make_undo_plan(client, tmp_path, name, "redis://other:6379/0")
    plan = await make_undo_plan(client, tmp_path, name, "redis://other:6379/0", anyway=True)
    assert plan.back == 1


@pytest.mark.slow
async def test_many_jobs_go_back_and_the_calls_are_short(client: Redis, tmp_path: Path) -> None:
    ids = await raw_failed(client, (f"j{number}" for number in range(3000)))
    before = await keyspace(client)
    await retried(client, tmp_path, ids)
    plan = await make_undo_plan(client, tmp_path, newest(tmp_path), WHERE)
    assert (plan.jobs, plan.back, plan.forecasts) == (3000, 3000, ())
    await client.config_set("slowlog-log-slower-than", 20_000)
    await client.slowlog_reset()
    results = await carried_out(client, tmp_path, Undo(client, plan.deeds))
    assert all_done(results)
    assert await client.slowlog_get() == []
    assert await keyspace(client) == before


@pytest.mark.parametrize("options", [{}, {"priority": 3}, {"delay": 3_600_000}, {"lifo": True}])
async def test_an_added_job_goes_again_and_its_undo_brings_it_back(
    server: EmbeddedServer, tmp_path: Path, options: dict[str, object]
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        await queue.add(job(), job(priority=5))
        before = await keyspace(client)
        new = await added(client, tmp_path, "n", **options)
        acted = await keyspace(client)
        plan, results = await undone(client, tmp_path)
        assert (plan.back, [one.code for one in results]) == (1, [Code.DONE])
        assert await keyspace(client) == before
        _, results = await undone(client, tmp_path)
        assert [one.code for one in results] == [Code.DONE]
        assert await keyspace(client) == acted
        plan, results = await undone(client, tmp_path)
        assert all_done(results)
        assert await keyspace(client) == before
        assert new.job_id not in await census(client)


async def test_an_added_job_that_has_run_or_was_edited_stays(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        await queue.add(job())
        await queue.work(1)
        new = await added(client, tmp_path)
        await client.hset(QUEUE.job(new.job_id), "data", '{"other":1}')
        before = await keyspace(client)
        plan, results = await undone(client, tmp_path)
        assert [(one.code, one.error) for one in results] == [
            (Code.NOT_IN_STATE, "was changed since")
        ]
        assert not plan.back
        assert await keyspace(client) == before
        await queue.work(1)
        before = await keyspace(client)
        _, results = await undone(client, tmp_path, _first(tmp_path))
        assert [one.error for one in results] == ["has run since"]
        assert await keyspace(client) == before


def test_jobs_are_undone_in_the_opposite_order_of_their_calls_whatever_is_known_of_each(
    tmp_path: Path,
) -> None:
    """One in doubt came first; where order counts, as in a flow's rerun, that was the wrong end."""
    header = Header(
        where=WHERE,
        queue=QUEUE.base,
        prefix=QUEUE.prefix,
        state="failed",
        selection=WrittenSelection(kind="ids", jobs=4),
    )
    with Journal.create(tmp_path, header) as journal:
        journal.snapshots(snapshot_lines([Snapshot(one, 1.0, {}) for one in "abcd"]))
        journal.codes([Result("a", Code.DONE, "wait"), Result("b", Code.UNKNOWN)])
        journal.codes([Result("d", Code.DONE, "wait"), Result("c", Code.DONE, "wait")])
        journal.end("done", Counter(), "")
    assert list(read_deeds(tmp_path, journal.id).ids()) == ["d", "c", "b", "a"]


async def test_an_operation_whose_result_another_qtui_still_shows_can_be_undone(
    client: Redis, tmp_path: Path
) -> None:
    """It keeps the journal open; what is under way has to be stopped first."""
    names = await raw_failed(client, map(str, range(3)))
    before = await keyspace(client)
    plan = await make_plan(client, chosen(QUEUE, JobState.FAILED, names))
    action = Retry(client, RetryWriter(client), plan, Resets())
    shown = Campaign(client, action, record=Recorder(folder=tmp_path, where=WHERE, how="test"))
    async for _ in shown.run():
        with pytest.raises(JournalError, match="is still running: stop it first"):
            read_deeds(tmp_path, newest(tmp_path))
    _, results = await undone(client, tmp_path)
    assert all_done(results)
    assert await keyspace(client) == before
    shown.close()


PROMOTED = st.lists(
    st.fixed_dictionaries({"priority": st.sampled_from([0, 0, 2]), "lifo": st.booleans()}),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(jobs=PROMOTED, waiting=st.integers(0, 2), paused=st.booleans(), some=st.booleans())
def test_a_promotion_and_its_undo_leave_every_key_as_it_was(
    server: EmbeddedServer, jobs: list[dict[str, Any]], waiting: int, paused: bool, some: bool
) -> None:
    async def run() -> None:
        flush(server)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with real_queue(server) as queue, connect(server) as client:
                await queue.add(job())
                await queue.work(1)  # what has run shows which release runs the queue
                options = [_options({**one, "attempts": 1}) for one in jobs]
                names = await queue.add(*(job(delay=3_600_000, **one) for one in options))
                await queue.add(*(job() for _ in range(waiting)))
                if paused:
                    await queue.queue.pause()
                names = names[::2] if some else names
                before = await keyspace(client)
                selection = chosen(QUEUE, JobState.DELAYED, names)
                plan = await make_promotion_plan(client, selection)
                action = plan.action(client, PlanOptions())
                assert all_done(await carried_out(client, folder, action))
                acted = await keyspace(client)
                _, results = await undone(client, folder)
                assert all_done(results)
                assert await keyspace(client) == before
                _, results = await undone(client, folder)
                assert all_done(results)
                assert _without_order(await keyspace(client)) == _without_order(acted)
                _, results = await undone(client, folder)
                assert all_done(results)
                assert await keyspace(client) == before

    asyncio.run(run())


async def test_a_promoted_job_that_has_run_or_was_moved_is_left_alone(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        names = await queue.add(*(job(delay=3_600_000) for _ in range(4)))
        selection = chosen(QUEUE, JobState.DELAYED, names)
        plan = await make_promotion_plan(client, selection)
        await carried_out(client, tmp_path, plan.action(client, PlanOptions()))
        await client.hset(QUEUE.job(names[3]), "delay", 5)
        await queue.work(1)
        ran = set(queue.ran)
        before = await keyspace(client)
        plan_of_undo, results = await undone(client, tmp_path)
        why = {one.job_id: one.error for one in results if not one.done}
        assert {one for one, words in why.items() if words == "has run since"} == ran
        if names[3] not in ran:
            assert why[names[3]] == "was changed since"
        assert plan_of_undo.back == len(names) - len(why)
        after = await keyspace(client)
        assert all(after[QUEUE.job(one)] == before[QUEUE.job(one)] for one in why)


async def test_a_parent_that_was_removed_after_its_child_comes_back_with_it(
    client: Redis, tmp_path: Path
) -> None:
    """It was read before the child went, so it waits for a child that has to be there first."""
    await raw_list(client, "wait", ["c", "p"])
    about = f'{{"id":"p","queueKey":"{QUEUE.base}"}}'
    await client.hset(QUEUE.job("c"), mapping={"parentKey": QUEUE.job("p"), "parent": about})
    await client.sadd(QUEUE.job("p", "dependencies"), QUEUE.job("c"))
    before = await keyspace(client)
    selection = chosen(QUEUE, JobState.WAITING, ["c", "p"])
    plan = await make_removal_plan(client, selection, rate=0)
    assert all_done(await carried_out(client, tmp_path, plan.action(client, PlanOptions())))
    assert await census(client) == {}
    _, results = await undone(client, tmp_path)
    assert all_done(results)
    assert await keyspace(client) == before


async def test_a_parent_that_waited_in_vain_comes_back_to_wait_for_the_same_children(
    client: Redis, tmp_path: Path
) -> None:
    await raw_meta(client)
    for name in ("p", "c"):
        await client.hset(QUEUE.job(name), mapping={"name": name, "timestamp": "1"})
    await client.zadd(QUEUE.key("waiting-children"), {"p": 1})
    await client.rpush(QUEUE.key("wait"), "c")
    await client.sadd(QUEUE.job("p", "dependencies"), QUEUE.job("gone"), QUEUE.job("c"))
    before = await keyspace(client)
    selection = chosen(QUEUE, JobState.WAITING_CHILDREN, ["p"])
    plan = await make_removal_plan(client, selection, rate=0)
    assert all_done(await carried_out(client, tmp_path, plan.action(client, PlanOptions())))
    _, results = await undone(client, tmp_path)
    assert all_done(results)
    assert await keyspace(client) == before
    # With a child that ended meanwhile it would wait for more than before.
    plan = await make_removal_plan(client, selection, rate=0)
    assert all_done(await carried_out(client, tmp_path, plan.action(client, PlanOptions())))
    await client.delete(QUEUE.job("c"), QUEUE.key("wait"))
    _, [result] = await undone(client, tmp_path)
    assert result.error == "it would wait for a child that never finishes"
