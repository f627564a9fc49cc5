"""New jobs and copies, with a journal; and their undo, while no worker has had them."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.new_job.options import new_job
from qtui.demo.server import EmbeddedServer
from qtui.operations.add.plan import NotAddable, copy_of, plan_add, read_copied
from qtui.operations.journal.reading import read_header, read_lines
from tests.operations.editing import added
from tests.operations.undoing import carried_out, keyspace, newest, undone
from tests.seeds import QUEUE, census, job, real_queue
from tests.servers import connect, flush

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.sampled_from([1, 3]),
        "delay": st.just(60_000),
        "lifo": st.booleans(),
        "jobId": st.sampled_from(["a", "b", "c"]),
        "attempts": st.integers(0, 3),
    },
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(OPTIONS, min_size=1, max_size=3), paused=st.booleans())
def test_new_jobs_and_their_undo_leave_every_key_as_it_was(
    server: EmbeddedServer, some: list[dict[str, object]], paused: bool
) -> None:
    async def run() -> None:
        flush(server)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with real_queue(server) as queue, connect(server) as client:
                await queue.add(job())
                await queue.work(1)
                await queue.add(job(), job(priority=2))
                if paused:
                    await queue.queue.pause()
                for options in some:
                    before = await keyspace(client)
                    plan = await plan_add(client, QUEUE, new_job("n", '{"new":true}', options))
                    if plan.taken:
                        assert plan.refusal.startswith("another job has the id")
                        continue
                    assert (await added(client, folder, "n", **options)).code is Code.DONE
                    acted = await keyspace(client)
                    for expected in (before, acted, before, acted):
                        _, [result] = await undone(client, folder)
                        assert result.code is Code.DONE, result
                        assert await keyspace(client) == expected

    asyncio.run(run())


@pytest.mark.parametrize("options", [{}, {"priority": 2}, {"delay": 60_000}, {"jobId": "own"}])
async def test_a_queue_that_was_made_for_a_job_goes_with_it_and_comes_back(
    client: Redis, tmp_path: Path, options: dict[str, object]
) -> None:
    plan = await plan_add(client, QUEUE, new_job("n", "{}", options), may_be_new=True)
    [made] = await carried_out(client, tmp_path, plan.action(client))
    assert made.done
    acted = await keyspace(client)
    for expected in ({}, acted, {}):
        _, [result] = await undone(client, tmp_path)
        assert result.code is Code.DONE, result
        assert await keyspace(client) == expected
    assert await client.keys() == []  # the counter and the events, by which it would be listed


async def test_a_queue_that_was_made_and_is_used_since_stays(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with connect(server) as client:
        plan = await plan_add(client, QUEUE, new_job("n", "{}", {}), may_be_new=True)
        [made] = await carried_out(client, tmp_path, plan.action(client))
        async with real_queue(server) as queue:
            await queue.queue.pause()
            _, [result] = await undone(client, tmp_path)
            assert result.code is Code.DONE
            assert await client.hget(QUEUE.key("meta"), "paused") == "1"
            assert not await client.exists(QUEUE.job(made.job_id))


async def test_a_copy_runs_as_the_old_job_would_and_is_named_in_the_journal(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with real_queue(server) as queue, connect(server) as client:
        await queue.add(job(attempts=2, delay=10, jobId="old", removeOnFail=5))
        await queue.work(1)
        old = await read_copied(client, QUEUE, "old")
        made = copy_of(old, options={"lifo": True})
        plan = await plan_add(client, QUEUE, made, copied="old")
        [result] = await carried_out(client, tmp_path, plan.action(client))
        assert result.target == "wait"
        header = read_header(tmp_path, newest(tmp_path))
        assert (header.action, header.options) == ("duplicate", {"copied": "old"})
        [line] = [line for line in read_lines(tmp_path, header.id) if line["type"] == "job"]
        assert line["id"] == result.job_id
        fields = await client.hgetall(QUEUE.job(result.job_id))
        assert (fields["data"], fields["delay"]) == (old.data, "0")
        assert json.loads(fields["opts"]) == {"attempts": 2, "removeOnFail": 5, "lifo": True}
        await queue.work(1)
        assert (await census(client))[result.job_id] == ["completed"]
        _, [left] = await undone(client, tmp_path)
        assert (left.code, left.error) == (Code.NOT_IN_STATE, "has run since")
        with pytest.raises(NotAddable, match="no job gone in bull:"):
            await read_copied(client, QUEUE, "gone")
