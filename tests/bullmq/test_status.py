"""Counts and condition of queues."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from bullmq import FlowProducer
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError

from qtui.bullmq.connection.trouble import Unable
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind, QueueStatus
from qtui.bullmq.reads.status import read_status
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, job, raw_failed, raw_list, raw_meta, real_queue
from tests.servers import connect
from tests.wires import counted

HOUR = 3_600_000


async def status_of(client: Redis, queue: QueueKey = QUEUE) -> QueueStatus:
    [status] = await read_status(client, [queue])
    return status


async def test_the_counts_are_those_of_bullmq(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    held, release = asyncio.Event(), asyncio.Event()

    async def hold(*_: object) -> None:
        held.set()
        await release.wait()

    async with real_queue(any_server) as real:
        await real.add(*(job(error="boom") for _ in range(3)), *(job() for _ in range(4)))
        await real.work(7)
        flow = FlowProducer(any_server.url)
        child = {"name": "c", "queueName": "other", "data": {}}
        await flow.add({"name": "p", "queueName": "q", "data": {}, "children": [child]})
        await flow.close()
        await real.add(job("held"))
        workers = AsyncExitStack()
        await workers.enter_async_context(real.worker(processor=hold))
        await held.wait()
        await real.add(
            job(delay=HOUR), job(delay=HOUR), *(job(priority=n) for n in (3, 1, 2, 1, 1))
        )
        await real.add(*(job() for _ in range(6)))
        theirs = await real.queue.getJobCounts()
        ours = await status_of(any_client)
        assert {state.value: ours.counts[state] for state in JobState if state.value in theirs} == {
            **theirs,
        }
        assert list(ours.counts.values()) == [3, 4, 6, 1, 2, 5, 1, 0]
        assert (ours.kind, ours.paused, ours.exists) == (Kind.BULLMQ, False, True)
        assert (ours.concurrency, ours.maxed, ours.waiting) == (None, False, 11)

        await real.queue.pause()
        await real.queue.setGlobalConcurrency(1)
        ours = await status_of(any_client)
        assert (ours.paused, ours.concurrency, ours.maxed) == (True, 1, True)
        assert ours.waiting == 11
        release.set()
        # What it held is done, and the queue is paused.
        await workers.aclose()


@pytest.mark.parametrize(
    ("members", "jobs"),
    [
        (["0"], 0),
        (["0:0"], 0),
        (["0:1", "0:2"], 0),
        (["0:1", "1"], 1),
        (["1", "0"], 1),
        (["0:1", "1", "2", "3", "0:2"], 3),
        (["1", "2", "0:5", "3"], 3),
        (["1", "0:5", "2", "3", "4", "5", "6", "7", "0:6", "8"], 8),
        (["0:a:b", "00", "0x"], 3),
        ([str(n) for n in range(1, 9)], 8),
    ],
)
async def test_markers_are_no_jobs(client: Redis, members: list[str], jobs: int) -> None:
    for state in ("wait", "paused", "active"):
        await raw_list(client, state, members)
    counts = (await status_of(client)).counts
    states = (JobState.WAITING, JobState.PAUSED, JobState.ACTIVE)
    assert [counts[state] for state in states] == [jobs] * 3


async def test_200_queues_cost_one_round_trip(server: EmbeddedServer, client: Redis) -> None:
    queues = [QueueKey.of("bull", f"q{number}") for number in range(200)]
    for number, queue in enumerate(queues):
        await raw_meta(client, queue)
        await client.zadd(queue.key("failed"), {str(one): one for one in range(number)} or {"x": 1})
    async with counted(server) as (counting, trips):
        statuses = await read_status(counting, queues)
        assert trips.count == 1
    assert [status.queue for status in statuses] == queues
    assert [status.failed for status in statuses] == [1, *range(1, 200)]
    assert all(status.exists for status in statuses)


async def test_no_queues_cost_nothing(client: Redis) -> None:
    assert await read_status(client, []) == []


@pytest.mark.parametrize("state", list(JobState))
async def test_a_state_key_of_a_wrong_type_costs_only_its_own_count(
    any_client: Redis, state: JobState
) -> None:
    await raw_failed(any_client, ["1"])
    await any_client.delete(QUEUE.key(state.key))
    await any_client.set(QUEUE.key(state.key), "junk")
    status = await status_of(any_client)
    assert status.counts[state] is None
    assert status.count(state) == 0
    others = [count for other, count in status.counts.items() if other is not state]
    assert None not in others
    assert (status.exists, status.kind) == (True, Kind.BULLMQ)


@pytest.mark.parametrize("suffix", ["meta", "events", "groups", "id"])
async def test_other_keys_of_a_wrong_type_do_no_harm(client: Redis, suffix: str) -> None:
    await raw_failed(client, ["1"])
    await client.delete(QUEUE.key(suffix))
    await client.sadd(QUEUE.key(suffix), "junk")
    assert (await status_of(client)).failed == 1


async def test_a_queue_that_may_not_be_read_is_no_queue(client: Redis) -> None:
    await raw_failed(client, ["1"])
    await client.acl_setuser("blind", enabled=True, nopass=True, commands=["+@read"])
    await client.acl_setuser("blind", enabled=True, keys=["bull:other:*"])
    try:
        async with _login(client, "blind") as blind:
            status = await status_of(blind)
            assert set(status.counts.values()) == {None}
            assert not status.exists
    finally:
        await client.acl_deluser("blind")


async def test_a_server_that_is_loading_is_not_an_empty_one(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_failed(client, [str(number) for number in range(1000)])
    await client.config_set("key-load-delay", 300)
    await client.config_set("loading-process-events-interval-bytes", 1024)
    async with connect(server) as other:
        reload = asyncio.ensure_future(other.execute_command("DEBUG", "RELOAD"))
        try:
            with pytest.raises(Unable) as refused:
                await _count_until(client, reload)
        finally:
            await reload
            await client.config_set("key-load-delay", 0)
    assert refused.value.condition == "Redis is loading its data"
    assert isinstance(refused.value.__cause__, BusyLoadingError)
    assert (await status_of(client)).failed == 1000


async def _count_until(client: Redis, end: asyncio.Future[object]) -> None:
    while not end.done():
        assert (await status_of(client)).failed == 1000


def _login(client: Redis, user: str) -> Redis:
    path = client.connection_pool.connection_kwargs["path"]
    return Redis(unix_socket_path=path, username=user, password="any", decode_responses=True)


async def test_jobs_that_may_not_be_read_show_nothing_and_cost_nothing(client: Redis) -> None:
    await raw_failed(client, ["1"])
    await client.delete(QUEUE.key("meta"))
    assert (await status_of(client)).kind is Kind.BULLMQ
    await client.acl_setuser("blind", enabled=True, nopass=True, commands=["+@read"])
    await client.acl_setuser("blind", enabled=True, keys=[QUEUE.key("failed")])
    try:
        async with _login(client, "blind") as blind:
            status = await status_of(blind)
            assert (status.failed, status.kind) == (1, Kind.BULL)
    finally:
        await client.acl_deluser("blind")


@pytest.mark.parametrize(
    ("concurrency", "read"), [("5", 5), ("junk", None), ("", None), ("1e999", None)]
)
async def test_a_garbled_concurrency_is_none(
    client: Redis, concurrency: str, read: int | None
) -> None:
    await raw_meta(client, concurrency=concurrency)
    assert (await status_of(client)).concurrency == read


class TestKind:
    async def test_bull_4_has_no_stream_and_no_fields_of_ours(self, client: Redis) -> None:
        await client.set(QUEUE.key("id"), 2)
        await client.hset(QUEUE.job("1"), mapping={"name": "__default__", "timestamp": 1})
        await client.lpush(QUEUE.key("wait"), "1")
        status = await status_of(client)
        assert (status.kind, status.exists, status.waiting) == (Kind.BULL, True, 1)
        await client.hset(QUEUE.key("meta"), "paused", 1)
        await client.set(QUEUE.key("meta-paused"), 1)
        status = await status_of(client)
        assert (status.kind, status.exists, status.paused) == (Kind.BULL, True, True)

    async def test_pro_by_its_version(self, client: Redis) -> None:
        await raw_meta(client, version="bullmq-pro:7.1.0")
        assert (await status_of(client)).kind is Kind.PRO

    async def test_pro_by_its_groups(self, client: Redis) -> None:
        await raw_meta(client, version="bullmq:5.1.0")
        await client.zadd(QUEUE.key("groups"), {"g": 1})
        assert (await status_of(client)).kind is Kind.PRO

    async def test_a_port_that_writes_no_meta_is_known_by_its_stream(self, client: Redis) -> None:
        await client.set(QUEUE.key("id"), 1)
        await client.xadd(QUEUE.key("events"), {"event": "added", "jobId": "1"})
        status = await status_of(client)
        assert (status.kind, status.exists, status.version) == (Kind.BULLMQ, True, "")

    async def test_a_queue_with_prioritized_jobs_is_no_bull(self, client: Redis) -> None:
        await client.set(QUEUE.key("id"), 1)
        await client.zadd(QUEUE.key("prioritized"), {"1": 1})
        assert (await status_of(client)).kind is Kind.BULLMQ


async def test_versions_are_shown_as_they_are(client: Redis) -> None:
    await raw_meta(client, version="bullmq:5.81.5")
    assert (await status_of(client)).version == "bullmq:5.81.5"
