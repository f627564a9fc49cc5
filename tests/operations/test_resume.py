"""A campaign that was cut off is resumed from its journal, once, and retries no job twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostConnection

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign, Phase
from qtui.operations.engine.pace import Pace
from qtui.operations.journal.facts import Snapshot
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.reading import (
    JournalError,
    ids,
    path_of,
    progress_of,
    read_lines,
    summary,
)
from qtui.operations.journal.writing import Journal
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.resuming.interrupted import Interrupted
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.resuming import resume_retry
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.operations.campaigns import FAILED, codes, ours_to, plan_of, proxied, run
from tests.seeds import QUEUE, RealQueue, census, failed_jobs, raw_failed, real_queue, soon

WHERE = "redis://cache-1:6379/0"


async def plan_for(client: Client, names: Sequence[str], by_query: bool) -> Plan:
    if not by_query:
        return await plan_of(client, names)
    return await make_plan(client, await query(client, QUEUE, FAILED), rate=0)


def begun(client: Client, plan: Plan, folder: Path, pace: Pace | None = None) -> Campaign[Retry]:
    record = Recorder(folder=folder, where=WHERE, how="key r")
    return Campaign(
        client, Retry(client, RetryWriter(client), plan, Resets()), pace, record=record, patience=10
    )


async def resumed(client: Client, folder: Path) -> Campaign[Retry]:
    """The one campaign that there is, taken over."""
    [name] = ids(folder)
    return await resume_retry(Interrupted.take(folder, name, WHERE), client, RetryWriter(client))


async def cut_off(campaign: Campaign[Retry], after: int) -> list[Result]:
    """Runs it until this many jobs are reported; then it is as dead as after a kill."""
    found: list[Result] = []
    async with aclosing(campaign.run()) as running:
        async for batch in running:
            found += batch
            if len(found) >= after:
                break
        assert campaign.journal is not None
        campaign.journal.close()  # its lock, and all that it could still write
    return found


def forget_codes(folder: Path, jobs: int) -> list[str]:
    """Cuts the codes of the last batch off, as if the process had died before they came."""
    [name] = ids(folder)
    path = path_of(folder, name)
    lines = path.read_text("ascii").splitlines(keepends=True)
    while not lines[-1].startswith('{"type":"code"'):
        lines.pop()
    dropped = lines[-jobs:]
    assert all(one.startswith('{"type":"code"') for one in dropped)
    path.write_text("".join(lines[:-jobs]), "ascii")
    return [one.split('"')[7] for one in dropped]


@pytest.mark.parametrize("by_query", [True, False])
@pytest.mark.parametrize("forgotten", [0, 20])
async def test_what_is_left_is_retried_and_what_is_in_doubt_is_read(
    server: EmbeddedServer, client: Redis, tmp_path: Path, by_query: bool, forgotten: int
) -> None:
    names = await raw_failed(client, map(str, range(1, 2001)))
    first = begun(client, await plan_for(client, names, by_query), tmp_path)
    early = await cut_off(first, 300)
    assert len(early) < 2000
    doubtful = forget_codes(tmp_path, forgotten) if forgotten else []
    second = await resumed(client, tmp_path)
    assert second.selected == 2000
    assert second.decided == len(early) - len(doubtful)
    late = await run(second)
    second.close()
    assert second.phase is Phase.DONE
    assert second.codes == Counter({Code.DONE: 2000})
    rest = codes(late)
    assert set(rest) == set(names) - {one.job_id for one in early} | set(doubtful)
    assert set(rest.values()) == {Code.DONE}
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == names[::-1]
    assert await client.exists(QUEUE.key("failed")) == 0
    [name] = ids(tmp_path)
    found = summary(tmp_path, name)
    assert (found.phase, found.codes, found.running) == ("done", {Code.DONE: 2000}, False)
    written = Counter(one["id"] for one in read_lines(tmp_path, name) if one["type"] == "code")
    assert written == dict.fromkeys(names, 1)


@pytest.mark.parametrize("by_query", [True, False])
async def test_jobs_in_doubt_that_were_never_sent_are_sent(
    client: Redis, tmp_path: Path, by_query: bool
) -> None:
    names = await raw_failed(client, map(str, range(1, 101)))
    plan = await plan_for(client, names, by_query)
    journal = Recorder(folder=tmp_path, where=WHERE, how="key r")(begun(client, plan, tmp_path))
    scores = [await client.zscore(QUEUE.key("failed"), one) for one in names[:30]]
    journal.snapshots(
        snapshot_lines(
            [Snapshot(one, at, {"name": "n"}) for one, at in zip(names[:30], scores, strict=True)]
        )
    )
    journal.close()
    assert [one.job_id for one in progress_of(tmp_path, journal.id).doubtful] == names[:30]
    campaign = await resumed(client, tmp_path)
    assert codes(await run(campaign)) == dict.fromkeys(names, Code.DONE)
    campaign.close()
    assert await census(client) == {one: ["wait"] for one in names}


@pytest.mark.slow
@pytest.mark.parametrize("by_query", [True, False])
async def test_jobs_that_failed_again_meanwhile_are_left_alone(
    server: EmbeddedServer, client: Redis, tmp_path: Path, by_query: bool
) -> None:
    async with real_queue(server) as real:
        names = await failed_jobs(real, 900, attempts=1)
        first = begun(client, await plan_for(client, names, by_query), tmp_path, Pace(rate=500))
        early = await cut_off(first, 200)
        doubtful = forget_codes(tmp_path, 30)
        assert len(doubtful) == 30
        # What was answered and what was on its way when it died count as well.
        moved = await client.llen(QUEUE.key("wait"))
        assert moved >= len(early)
        await real.work(moved, 20)
        assert await client.llen(QUEUE.key("wait")) == 0
        second = await resumed(client, tmp_path)
        assert second.pace == Pace(rate=500)
        async with real.worker(20) as ended:
            await run(second)
            second.close()
            await ended(900 - moved)
        assert second.codes == Counter({Code.DONE: 900})
        assert Counter(real.ran) == dict.fromkeys(names, 2)
        assert await census(client) == {one: ["failed"] for one in names}
        with pytest.raises(JournalError, match="is complete"):
            await resumed(client, tmp_path)


async def test_jobs_in_doubt_that_are_gone_are_unknown(client: Redis, tmp_path: Path) -> None:
    names = await raw_failed(client, map(str, range(1, 301)))
    early = await cut_off(begun(client, await plan_for(client, names, True), tmp_path), 50)
    doubtful = forget_codes(tmp_path, 10)
    assert len(doubtful) == 10
    await client.delete(*map(QUEUE.job, doubtful))
    await client.lrem(QUEUE.key("wait"), 0, doubtful[0])
    second = await resumed(client, tmp_path)
    found = codes(await run(second))
    second.close()
    assert {one: found[one] for one in doubtful} == dict.fromkeys(doubtful, Code.UNKNOWN)
    assert second.codes == Counter({Code.DONE: 290, Code.UNKNOWN: 10})
    assert len(early) + len(found) == 310


@pytest.mark.slow
async def test_two_at_a_time_go_not(client: Redis, tmp_path: Path) -> None:
    names = await raw_failed(client, map(str, range(1, 1001)))
    running = begun(client, await plan_for(client, names, True), tmp_path)
    found: list[Result] = []
    refused = 0
    async for batch in running.run():
        found += batch
        if running.decided < 1000:
            with pytest.raises(JournalError, match="still running"):
                await resumed(client, tmp_path)
            refused += 1
            running.stop()
    running.close()
    assert refused
    [name] = ids(tmp_path)
    one = Interrupted.take(tmp_path, name, WHERE)
    with pytest.raises(JournalError, match="still running"):
        Interrupted.take(tmp_path, name, WHERE)
    campaign = await resume_retry(one, client, RetryWriter(client))
    found += await run(campaign)
    campaign.close()
    assert codes(found) == dict.fromkeys(names, Code.DONE)


async def test_on_another_server_it_is_refused_and_left_as_it_was(
    client: Redis, tmp_path: Path
) -> None:
    names = await raw_failed(client, map(str, range(1, 1001)))
    await cut_off(begun(client, await plan_for(client, names, True), tmp_path), 50)
    [name] = ids(tmp_path)
    before = path_of(tmp_path, name).read_bytes()
    with pytest.raises(
        JournalError, match="ran on redis://cache-1:6379/0: connect there to resume it"
    ):
        Interrupted.take(tmp_path, name, "redis://cache-2:6379/0")
    assert path_of(tmp_path, name).read_bytes() == before


async def test_one_that_was_cut_off_before_it_sent_anything_says_so(
    client: Redis, tmp_path: Path
) -> None:
    names = await raw_failed(client, map(str, range(1, 21)))
    plan = await plan_for(client, names, False)
    journal = Recorder(folder=tmp_path, where=WHERE, how="key r")(begun(client, plan, tmp_path))
    journal.close()
    path = path_of(tmp_path, journal.id)
    path.write_text(path.read_text("ascii").splitlines(keepends=True)[0], "ascii")
    with pytest.raises(JournalError, match="before it sent anything"):
        await resumed(client, tmp_path)
    assert await census(client) == {one: ["failed"] for one in names}


@pytest.mark.slow
async def test_a_server_that_is_away_when_it_resumes_leaves_it_free_for_the_next(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    names = await raw_failed(client, map(str, range(1, 1001)))
    early = await cut_off(begun(client, await plan_for(client, names, True), tmp_path), 50)
    [name] = ids(tmp_path)
    async with proxied(server) as (proxy, ours):
        proxy.away = True
        await ours.connection_pool.disconnect()
        with pytest.raises((LostConnection, OSError)):
            await resume_retry(Interrupted.take(tmp_path, name, WHERE), ours, RetryWriter(ours))
        proxy.away = False
        campaign = await resume_retry(
            Interrupted.take(tmp_path, name, WHERE), ours, RetryWriter(ours)
        )
        proxy.away = True
        await ours.connection_pool.disconnect()
        assert await run(campaign) == []
        assert campaign.phase is Phase.LOST
        campaign.close()
    third = await resumed(client, tmp_path)
    found = await run(third)
    third.close()
    assert codes([*early, *found]) == dict.fromkeys(names, Code.DONE)


def _has_run(real: RealQueue, jobs: int) -> bool:
    return len(real.ran) == jobs


async def test_a_canary_flies_again(server: EmbeddedServer, tmp_path: Path) -> None:
    client = ours_to(server)
    async with real_queue(server) as real:
        names = await failed_jobs(real, 60, attempts=1)
        for expected in (10, 20):
            if expected == 10:
                pace = Pace(canary=10, canary_seconds=15)
                campaign = begun(client, await plan_for(client, names, True), tmp_path, pace)
            else:
                campaign = await resumed(client, tmp_path)
            async with real.worker():
                await run(campaign)
                await soon(partial(_has_run, real, 60 + expected))
            campaign.close()
            assert campaign.phase is Phase.STOPPED
            assert campaign.done == expected
    assert Counter(real.ran) == Counter(names) + Counter(names[:20])
    await client.aclose()


async def test_the_first_finish_alone_counts_for_a_job_in_doubt(
    client: Redis, tmp_path: Path
) -> None:
    """It was retried elsewhere and failed once more: that failure was not chosen."""
    names = await raw_failed(client, map(str, range(1, 11)))
    plan = await plan_for(client, names, False)
    journal: Journal = Recorder(folder=tmp_path, where=WHERE, how="key r")(
        begun(client, plan, tmp_path)
    )
    at = await client.zscore(QUEUE.key("failed"), "1")
    journal.snapshots(snapshot_lines([Snapshot("1", at, {"name": "n"})]))
    journal.close()
    await RetryWriter(client).retry(QUEUE, FAILED, [Picked("1")])
    await client.lrem(QUEUE.key("wait"), 0, "1")
    await client.zadd(QUEUE.key("failed"), {"1": float(at or 0) + 1})
    campaign = await resumed(client, tmp_path)
    found = codes(await run(campaign))
    campaign.close()
    assert found == dict.fromkeys(names, Code.DONE)
    assert await client.zscore(QUEUE.key("failed"), "1") == float(at or 0) + 1
