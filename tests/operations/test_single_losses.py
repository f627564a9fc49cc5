"""Whatever is lost on the way, a job is added once, edited once, and the code says what is true."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.trouble import Unable
from qtui.bullmq.new_job.options import new_job
from qtui.bullmq.script import script_text
from qtui.bullmq.writers.add import AddWriter, Unreserved
from qtui.bullmq.writers.edit import EditWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.add.plan import plan_add
from qtui.operations.edit.plan import Wish
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.journal.reading import ids, read_lines, summary
from qtui.operations.resuming.recorder import Recorder
from tests.operations.campaigns import ours_to, proxied
from tests.operations.editing import plan_edit
from tests.operations.test_losses import ACCIDENTS
from tests.operations.undoing import keyspace
from tests.patience import PATIENCE
from tests.seeds import QUEUE, census, job, raw_failed, real_queue, soon
from tests.servers import connect, start
from tests.wires import Accident

LOST, LATE, REPLY = Accident.CALL_LOST, Accident.CALL_LATE, Accident.REPLY_LOST


async def _sent(campaign: Campaign[JobAction]) -> Result:
    [result] = [result async for batch in campaign.run() for result in batch]
    campaign.close()
    assert campaign.phase is Phase.DONE
    return result


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(("accidents", "late_comes_first"), ACCIDENTS)
async def test_a_job_is_added_once_and_runs_once(
    server: EmbeddedServer, accidents: list[Accident], late_comes_first: bool, kept: bool
) -> None:
    """Also if a worker has run and removed it before its reply was missed."""
    async with proxied(server) as (proxy, client), real_queue(server) as real:
        await real.add(job())
        await real.work(1)
        await client.script_load(script_text("add"))
        new = new_job("new", '{"n":1}', {} if kept else {"removeOnComplete": True})
        plan = await plan_add(client, QUEUE, new)
        action = plan.action(client, window=0.2)
        await action.prepared(action.job)  # a call that only counts ids
        proxy.accidents[:], proxy.late_comes_first = accidents, late_comes_first
        async with real.worker(2) as ended:
            result = await _sent(Campaign(client, action))
            await proxy.deliver()
            await ended(1)
            await asyncio.sleep(0.01)  # a turn for a second run, if there is one
        assert proxy.happened
        assert result.code is Code.DONE
        assert Counter(real.ran) == {"1": 1, result.job_id: 1}
        places = {"1": ["completed"]} | ({result.job_id: ["completed"]} if kept else {})
        assert await census(client) == places


@pytest.mark.parametrize("retry", [True, False])
@pytest.mark.parametrize(("accidents", "late_comes_first"), ACCIDENTS)
async def test_a_job_is_edited_once(
    server: EmbeddedServer, accidents: list[Accident], late_comes_first: bool, retry: bool
) -> None:
    async with proxied(server) as (proxy, client), real_queue(server) as real:
        await real.add(job(error="boom", attempts=1), job())
        await real.work(2)
        await client.script_load(script_text("edit"))
        job_id = str((await client.zrange(QUEUE.key("failed"), 0, 0))[0])
        wish = Wish(data='{"error":"","n":2}', priority=1, retry=retry)
        plan = await plan_edit(client, QUEUE, job_id, wish)
        proxy.accidents[:], proxy.late_comes_first = accidents, late_comes_first
        async with real.worker(2) as ended:
            result = await _sent(Campaign(client, plan.action(client)))
            await proxy.deliver()
            if retry:
                await ended(1)
        assert proxy.happened
        assert result.code is Code.DONE
        assert Counter(real.ran)[job_id] == 1 + retry
        assert await client.hget(QUEUE.job(job_id), "data") == wish.data
        state = "completed" if retry else "failed"
        assert (await census(client))[job_id] == [state]


async def test_another_hand_that_was_faster_is_not_taken_for_a_lost_call(
    server: EmbeddedServer,
) -> None:
    async with proxied(server) as (proxy, client):
        await raw_failed(client, ["a"])
        await client.script_load(script_text("edit"))
        plan = await plan_edit(client, QUEUE, "a", Wish(data="[1]"))
        proxy.accidents[:] = [LOST]

        async def interfere() -> None:
            async with Redis(unix_socket_path=server.path) as other:
                await other.hset(QUEUE.job("a"), "data", "[2]")

        proxy.after = interfere
        result = await _sent(Campaign(client, plan.action(client)))
        assert (result.code, result.error) == (Code.NOT_IN_STATE, "its data has changed since")
        assert await client.hget(QUEUE.job("a"), "data") == "[2]"


def _campaign(client: Redis, folder: Path, action: JobAction) -> Campaign[JobAction]:
    return Campaign(client, action, record=Recorder(folder=folder, where="here", how="test"))


async def test_a_stop_is_heeded_while_the_server_hangs(tmp_path: Path) -> None:
    with start() as server:
        client = ours_to(server)
        await raw_failed(client, ["a"])
        plan = await plan_edit(client, QUEUE, "a", Wish(data="[1]"))
        campaign = _campaign(client, tmp_path, plan.action(client))
        os.kill(server.pid, signal.SIGSTOP)
        running = asyncio.ensure_future(_all(campaign))
        try:
            await asyncio.sleep(0)
            campaign.stop()
            async with asyncio.timeout(PATIENCE):
                await running
        finally:
            os.kill(server.pid, signal.SIGCONT)
        campaign.close()
        assert campaign.phase in (Phase.STOPPED, Phase.LOST)
        await client.aclose()


async def _all(campaign: Campaign[JobAction]) -> list[Result]:
    try:
        return [result async for batch in campaign.run() for result in batch]
    except TimeoutError:
        return []


@pytest.mark.parametrize(
    "command", ["HSET", "ZADD", "LPUSH", "DEL", "HDEL", "LREM", "ZREM", "INCR"]
)
async def test_what_an_acl_forbids_leaves_all_as_it_was(
    server: EmbeddedServer, tmp_path: Path, command: str
) -> None:
    """Half an edit, or half a job, would be worse than none."""
    async with (
        real_queue(server) as real,
        Redis.from_url(server.url, decode_responses=True) as admin,
    ):
        await real.add(job(error="boom", attempts=1), job())
        await real.work(2)
        waiting = await real.add(job(), job(priority=2))
        rights = ["on", ">secret", "~*", "&*", "+@all", f"-{command.lower()}"]
        await admin.execute_command("ACL", "SETUSER", "narrow", "reset", *rights)
        failed = str((await admin.zrange(QUEUE.key("failed"), 0, 0))[0])
        try:
            async with Redis(
                unix_socket_path=server.path,
                username="narrow",
                password="secret",
                decode_responses=True,
                encoding_errors="surrogateescape",
            ) as client:
                for job_id, wish in (
                    (failed, Wish(data="[1]", priority=3, retry=True)),
                    (waiting[0], Wish(data="[1]", priority=3)),
                    (waiting[1], Wish(data="[1]", priority=0)),
                ):
                    before = await keyspace(admin)
                    plan = await plan_edit(client, QUEUE, job_id, wish)
                    batch = await EditWriter(client).edit(QUEUE, plan.job.seen, plan.change)
                    [result] = batch.results
                    if result.code is Code.REFUSED:
                        assert command.lower() in result.error.lower()
                        assert await keyspace(admin) == before
                    else:
                        assert result.code is Code.DONE
                before = await keyspace(admin)
                writer = AddWriter(client)
                if command == "INCR":
                    with pytest.raises(Unreserved, match="incr"):
                        await writer.reserve(QUEUE)
                else:
                    number = (await writer.reserve(QUEUE)).number
                    new = new_job("new", "{}", {})
                    [result] = (await writer.add(QUEUE, new, number)).results
                    if result.code is Code.REFUSED:
                        assert command in ("HSET", "LPUSH", "DEL")
                        assert await keyspace(admin) == before
        finally:
            await admin.execute_command("ACL", "DELUSER", "narrow")
        places = await census(admin)
        assert all(len(one) == 1 for one in places.values()), places


@pytest.mark.parametrize("key", ["prioritized", "wait", "delayed"])
async def test_a_key_of_a_wrong_type_leaves_all_as_it_was(server: EmbeddedServer, key: str) -> None:
    async with (
        real_queue(server) as real,
        Redis.from_url(server.url, decode_responses=True) as client,
    ):
        await real.add(job(error="boom", attempts=1))
        await real.work(1)
        await client.delete(QUEUE.key(key))
        await client.set(QUEUE.key(key), "junk")
        before = await keyspace(client)
        plan = await plan_edit(client, QUEUE, "1", Wish(data="[1]", priority=2, retry=True))
        [result] = (await EditWriter(client).edit(QUEUE, plan.job.seen, plan.change)).results
        if key == "prioritized":
            assert result.code is Code.REFUSED
            assert await keyspace(client) == before
        writer = AddWriter(client)
        options = {"prioritized": {"priority": 2}, "wait": {}, "delayed": {"delay": 50_000}}[key]
        before = await keyspace(client)
        reserved = await writer.reserve(QUEUE)
        new = new_job("new", "{}", options)
        [result] = (await writer.add(QUEUE, new, reserved.number)).results
        assert result.code is Code.REFUSED
        assert await keyspace(client) == before


async def test_the_journal_names_the_new_job_before_it_is_made(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    """So that whoever finds a campaign cut off knows which id to look for."""
    async with proxied(server) as (proxy, client), real_queue(server) as real:
        await real.add(job())
        await client.script_load(script_text("add"))
        plan = await plan_add(client, QUEUE, new_job("new", '{"n":1}', {"attempts": 2}))
        campaign = _campaign(client, tmp_path, plan.action(client, window=0.2))
        written: list[tuple[object, object]] = []

        async def look() -> None:
            [name] = ids(tmp_path)
            lines = read_lines(tmp_path, name)
            written.extend((line["type"], line["id"]) for line in lines)

        # A number is reserved first, which is a call of its own.
        proxy.passing, proxy.accidents[:], proxy.after = 1, [REPLY], look
        result = await _sent(campaign)
        assert result.code is Code.DONE
        assert written[-1] == ("job", result.job_id)
        assert summary(tmp_path, ids(tmp_path)[0]).codes == {Code.DONE: 1}


async def test_an_id_that_redis_does_not_give_is_a_refusal_of_the_job(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    await raw_failed(client, ["a"])
    await client.delete(QUEUE.key("id"))
    await client.lpush(QUEUE.key("id"), "no counter")
    plan = await plan_add(client, QUEUE, new_job("new", "{}", {}))
    result = await _sent(_campaign(client, tmp_path, plan.action(client)))
    assert result.code is Code.REFUSED
    assert result.error.startswith("INCR: WRONGTYPE")


async def _turn_back(server: EmbeddedServer, kept: dict[bytes, bytes]) -> None:
    """Makes the server what it was: as one is that took over without the last writes."""
    async with Redis(unix_socket_path=server.path) as raw:
        await raw.flushdb()
        for key, value in kept.items():
            await raw.restore(key, 0, value)


async def _kept(server: EmbeddedServer) -> dict[bytes, bytes]:
    async with Redis(unix_socket_path=server.path) as raw:
        return {key: await raw.dump(key) or b"" async for key in raw.scan_iter()}


async def test_what_a_server_that_took_over_has_lost_is_done_again_and_nothing_else(
    server: EmbeddedServer,
) -> None:
    async with real_queue(server) as real, connect(server) as client:
        await real.add(job(error="boom", attempts=1))
        await real.work(1)
        kept = await _kept(server)
        edit = (await plan_edit(client, QUEUE, "1", Wish(data="[1]", retry=True))).action(client)
        plan = await plan_add(client, QUEUE, new_job("new", "[2]", {}))
        add = plan.action(client, window=0.05)
        for action in (edit, add):
            await action.begin()
            for turn in range(2):
                load = await action.next()
                assert load is not None
                load.take()
                await load.snapshot(None)
                batch = await load.send()
                load.settle(batch.results)
                assert batch.results[0].code is Code.DONE
                assert await action.next() is None
                assert await action.lost() == []
                if turn == 0:
                    await _turn_back(server, kept)
                    lost = await action.lost()
                    assert [one.job_id for one in lost] == [batch.results[0].job_id]
                    action.withdraw(lost)
            kept = await _kept(server)
        assert await client.hget(QUEUE.job("1"), "data") == "[1]"
        assert await client.hget(QUEUE.job("2"), "data") == "[2]"
        assert await client.lrange(QUEUE.key("wait"), 0, -1) == ["2", "1"]


async def test_a_server_that_takes_no_writes_is_waited_for(tmp_path: Path) -> None:
    with start() as server:
        client = ours_to(server)
        await raw_failed(client, ["a"])
        plan = await plan_edit(client, QUEUE, "a", Wish(data="[1]", priority=2))
        campaign = _campaign(client, tmp_path, plan.action(client))
        await client.config_set("min-replicas-to-write", 1)
        running = asyncio.ensure_future(_sent(campaign))
        await soon(lambda: "too few replicas" in campaign.trouble)
        await client.config_set("min-replicas-to-write", 0)
        result = await running
        assert result.code is Code.DONE
        assert await client.hmget(QUEUE.job("a"), "data", "priority") == ["[1]", "2"]
        await client.config_set("min-replicas-to-write", 1)
        new = (await plan_add(client, QUEUE, new_job("new", "{}", {}))).action(client)
        with pytest.raises(Unable, match="NOREPLICAS"):
            await new.next()
        await client.aclose()
