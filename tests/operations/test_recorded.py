"""A campaign with its journal: what it wipes is on record before it is wiped, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.call_size import LARGEST_CALL
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.reading import JournalError, ids, path_of, read_lines, rebuilt, summary
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.operations.campaigns import FAILED, codes, plan_of, proxied, run
from tests.seeds import QUEUE, Fields, census, failed_jobs, raw_failed, real_queue, soon
from tests.wires import Accident, Proxy, _reply, _request, writes

_ARGUMENTS_BEFORE_JOBS = 5
"""Of `lua/retry.lua`."""


class Witness(Proxy):
    """Shows each call of a script that writes to a callback before it gets to the server."""

    def __init__(self, server: EmbeddedServer, look: Callable[[list[str]], None]) -> None:
        """Nothing listens yet."""
        super().__init__(server)
        self.look = look

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.server.path)
        try:
            while request := await _request(reader):
                if writes(request):
                    words = request.decode().split("\r\n")[2::2]
                    keys = int(words[2])  # after EVALSHA and the script
                    self.look(words[3 + keys + _ARGUMENTS_BEFORE_JOBS :: 2])
                up_writer.write(request)
                writer.write(await _reply(up_reader))
                await writer.drain()
        finally:
            up_writer.close()


@asynccontextmanager
async def witnessed(
    server: EmbeddedServer, look: Callable[[list[str]], None]
) -> AsyncIterator[Client]:
    """Qtui's client behind a witness."""
    proxy = Witness(server, look)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        async with proxy.client() as client:
            yield client
    finally:
        listener.close()


async def all_of(client: Client) -> Plan:
    return await make_plan(client, await query(client, QUEUE, FAILED), rate=0)


def recorded(client: Client, plan: Plan, folder: Path, pace: Pace | None = None) -> Campaign[Retry]:
    record = Recorder(folder=folder, where="redis://cache-1:6379/0", how="key r")
    retry = Retry(client, RetryWriter(client), plan, Resets(made=True))
    return Campaign(client, retry, pace, record=record, patience=10)


def lines(folder: Path, kind: str) -> list[dict[str, object]]:
    """The lines of a kind in the one journal there is."""
    [campaign] = ids(folder)
    return [one for one in read_lines(folder, campaign) if one["type"] == kind]


def of_job(place: int) -> Fields:
    return {
        "failedReason": f"Timeout of {place} ms",
        "stacktrace": json.dumps([f"Error: {place}\n  at x.js"]),
        "parent": '{"id":"p"}',
        "data": "not for the journal",
    }


@pytest.mark.slow
@pytest.mark.parametrize("by_query", [True, False])
@pytest.mark.parametrize("pace", [None, Pace(rate=2000), Pace(max_waiting=10_000)])
async def test_a_snapshot_is_on_record_when_its_batch_is_sent(
    server: EmbeddedServer, client: Redis, tmp_path: Path, by_query: bool, pace: Pace | None
) -> None:
    names = await raw_failed(client, map(str, range(1, 1501)), change=of_job)
    folder, sent = tmp_path / "journal", Counter[str]()

    def look(batch: list[str]) -> None:
        # Opened anew: what the kernel has of it, which the death of this process does not touch.
        [campaign] = ids(folder)
        known = {one.id: one.fields for one in rebuilt(folder, campaign)}
        for job_id in batch:
            assert known[job_id]["failedReason"] == f"Timeout of {int(job_id) - 1} ms"
        sent.update(batch)

    async with witnessed(server, look) as ours:
        plan = await all_of(ours) if by_query else await plan_of(ours, names)
        campaign = recorded(ours, plan, folder, pace)
        found = await run(campaign)
        campaign.close()
    assert campaign.phase is Phase.DONE
    assert codes(found) == dict.fromkeys(names, Code.DONE)
    assert sent.keys() == set(names)
    assert [one["id"] for one in lines(folder, "job")] == names
    assert [one["id"] for one in lines(folder, "code")] == names


async def test_a_job_is_in_the_journal_as_it_was_in_redis(client: Redis, tmp_path: Path) -> None:
    names = await raw_failed(client, ["1", "2"], change=of_job)
    before = [await client.hgetall(QUEUE.job(one)) for one in names]
    scores = [await client.zscore(QUEUE.key("failed"), one) for one in names]
    campaign = recorded(client, await all_of(client), tmp_path)
    await run(campaign)
    campaign.close()
    for found, fields, score in zip(lines(tmp_path, "job"), before, scores, strict=True):
        kept = {name: value for name, value in fields.items() if name != "data"}
        assert found["fields"] == kept
        assert found["score"] == score
    [header] = lines(tmp_path, "campaign")
    [end] = lines(tmp_path, "end")
    assert header["where"] == "redis://cache-1:6379/0"
    assert header["how"] == "key r"
    assert header["resets"] == {"made": True, "started": False}
    assert (end["phase"], end["codes"]) == ("done", {"1": 2})


@pytest.mark.parametrize("accident", list(Accident))
async def test_a_lost_connection_leaves_one_line_of_each_kind_a_job(
    server: EmbeddedServer, tmp_path: Path, accident: Accident
) -> None:
    async with proxied(server) as (proxy, ours), real_queue(server) as real:
        names = await failed_jobs(real, 400, attempts=1)
        campaign = recorded(ours, await all_of(ours), tmp_path)
        proxy.late_comes_first = True
        found: list[Result] = []
        async with real.worker(10) as ended:
            async for batch in campaign.run():
                found += batch
                if len(found) == len(batch):
                    proxy.accidents[:] = [accident, accident]
            await proxy.deliver()
            await ended(len(names))
        campaign.close()
        assert proxy.happened == 2
        assert codes(found) == dict.fromkeys(names, Code.DONE)
        assert Counter(real.ran) == dict.fromkeys(names, 2)
    for kind in ("job", "code"):
        assert Counter(one["id"] for one in lines(tmp_path, kind)) == dict.fromkeys(names, 1)
    [campaign_id] = ids(tmp_path)
    assert summary(tmp_path, campaign_id).codes == {Code.DONE: 400}


async def test_a_server_that_is_away_for_a_while_is_waited_for(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    names = await raw_failed(client, map(str, range(1500)))
    async with proxied(server) as (proxy, ours):
        campaign = recorded(ours, await all_of(ours), tmp_path)
        found: list[Result] = []

        async def return_later() -> None:
            # Lost is the next call, or a read before it.
            await soon(lambda: campaign.phase is Phase.READING or campaign.trouble != "")
            proxy.away = False

        back: asyncio.Future[None] | None = None
        async for batch in campaign.run():
            found += batch
            if back is None:
                proxy.away = True
                back = asyncio.ensure_future(return_later())
        assert back is not None
        await back
        campaign.close()
    assert codes(found) == dict.fromkeys(names, Code.DONE)
    assert [one["id"] for one in lines(tmp_path, "code")] == names
    assert await census(client) == {one: ["wait"] for one in names}


async def test_a_canary_that_fails_leaves_no_snapshot_of_others(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    async with real_queue(server) as real:
        await failed_jobs(real, 100, attempts=1)
        # Of jobs that failed in one millisecond Redis puts 10 before 9.
        names = await client.zrange(QUEUE.key("failed"), 0, -1)
        campaign = recorded(client, await all_of(client), tmp_path, Pace(canary=10))
        async with real.worker():
            await run(campaign)
        campaign.close()
    for kind in ("job", "code"):
        assert [one["id"] for one in lines(tmp_path, kind)] == names[:10]
    end = lines(tmp_path, "end")[-1]
    assert end["phase"] == "stopped"
    assert "failed again" in str(end["note"])


async def test_a_stop_leaves_no_snapshot_of_jobs_that_were_not_sent(
    client: Redis, tmp_path: Path
) -> None:
    names = await raw_failed(client, map(str, range(3000)))
    campaign = recorded(client, await all_of(client), tmp_path)
    found: list[Result] = []
    async for batch in campaign.run():
        found += batch
        campaign.stop()
    campaign.close()
    assert 0 < len(found) < 3000
    sent = [one.job_id for one in found]
    assert sent == names[: len(sent)]
    for kind in ("job", "code"):
        assert [one["id"] for one in lines(tmp_path, kind)] == sent


async def test_who_stops_listening_has_all_but_the_last_batch_on_record(
    client: Redis, tmp_path: Path
) -> None:
    await raw_failed(client, map(str, range(3000)))
    campaign = recorded(client, await all_of(client), tmp_path)
    reported = 0
    async with aclosing(campaign.run()) as running:
        while reported < 1000:
            reported += len(await anext(running))
    campaign.close()
    coded = {one["id"] for one in lines(tmp_path, "code")}
    moved = {one for one, places in (await census(client)).items() if places == ["wait"]}
    assert len(coded) == campaign.decided >= reported
    assert coded <= moved
    assert len(moved - coded) <= LARGEST_CALL


async def test_what_became_of_jobs_is_written_down_when_it_is_closed(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    async with real_queue(server) as real:
        names = await failed_jobs(real, 12, attempts=1)
        await client.hset(QUEUE.job(names[0]), "data", '{"result": "done"}')
        campaign = recorded(client, await all_of(client), tmp_path)
        async with real.worker():
            await run(campaign)
            await campaign.action.follower.settle(15)
        campaign.close()
    fates = {one["id"]: one["fate"] for one in lines(tmp_path, "outcome")}
    assert fates == {one: "failed again" for one in names} | {names[0]: "completed"}


async def test_without_a_journal_nothing_is_sent(client: Redis, tmp_path: Path) -> None:
    names = await raw_failed(client, map(str, range(50)))
    (tmp_path / "file").write_text("in the way")
    campaign = recorded(client, await all_of(client), tmp_path / "file")
    with pytest.raises(JournalError):
        await run(campaign)
    assert (campaign.phase, campaign.decided, campaign.journal) == (Phase.STOPPED, 0, None)
    campaign.close()
    assert await census(client) == {one: ["failed"] for one in names}


async def test_a_journal_that_is_deleted_under_its_hands_stops_it(
    client: Redis, tmp_path: Path
) -> None:
    names = await raw_failed(client, map(str, range(3000)))
    campaign = recorded(client, await all_of(client), tmp_path)
    found: list[Result] = []
    async for batch in campaign.run():
        if not found:
            [name] = ids(tmp_path)
            path_of(tmp_path, name).unlink()
        found += batch
    campaign.close()
    assert campaign.phase is Phase.STOPPED
    assert "was deleted" in campaign.why
    assert 0 < len(found) < 3000
    _assert_moved(await census(client), found, names)


def _assert_moved(places: dict[str, list[str]], found: Sequence[Result], names: list[str]) -> None:
    moved = {one.job_id for one in found if one.done}
    assert places == {one: ["wait" if one in moved else "failed"] for one in names}
