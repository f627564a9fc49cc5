"""One search over all states of many queues: every job that matches, wherever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import Client, connect, open_client, parse_target
from qtui.bullmq.filter import FilterError, parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.everywhere import Everywhere, FoundJob
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topology
from tests.seeds import START, raw_failed, raw_fields, raw_list, raw_meta

A, B, C = (QueueKey.of("bull", name) for name in "abc")


@pytest.fixture
async def ours(any_server: EmbeddedServer) -> AsyncIterator[Client]:
    """A connection that sends nothing but reads."""
    client = connect(parse_target(any_server.url), read_only=True)
    yield client
    await client.aclose()


async def found(search: Everywhere) -> list[FoundJob]:
    return [one async for some in search.steps() for one in some]


def named(jobs: Sequence[FoundJob]) -> list[tuple[str, str, str]]:
    return [(job.queue.name, job.state.value, job.row.id) for job in jobs]


async def world(client: Redis) -> None:
    """Jobs in several states of three queues."""
    await raw_failed(client, ["f1", "f2"], A)
    await raw_failed(client, ["c1", "order-7"], A, state="completed")
    await raw_list(client, "wait", ["w1", "order-7x"], B)
    await raw_meta(client, C)
    await client.zadd(C.key("delayed"), {"d1": START * 4096})
    await client.hset(C.job("d1"), mapping=raw_fields() | {"name": "order-7"})


async def test_ids_first_then_every_state_of_every_queue(ours: Client, any_client: Redis) -> None:
    await world(any_client)
    search = Everywhere(ours, [A, B, C], parse_filter("order-7"), rate=0)
    jobs = await found(search)
    assert named(jobs) == [
        ("a", "completed", "order-7"),
        ("b", "waiting", "order-7x"),
        ("c", "delayed", "d1"),
    ]
    assert (search.finished, search.seen, search.total) == (True, 7, 7)
    assert jobs[2].row.score == START * 4096
    assert jobs[0].row.name == "charge"


async def test_an_exact_id_is_looked_up_and_nothing_is_searched(
    ours: Client, any_client: Redis
) -> None:
    await world(any_client)
    queues = [QueueKey.of("bull", f"q{number}") for number in range(500)]
    await any_client.config_resetstat()
    search = Everywhere(ours, [*queues, A, B, C], parse_filter("id=d1 | id=w1"), rate=0)
    assert sorted(named(await found(search))) == [("b", "waiting", "w1"), ("c", "delayed", "d1")]
    stats = await any_client.info("commandstats")
    assert search.finished
    assert not {"cmdstat_sort_ro", "cmdstat_zrange", "cmdstat_zrevrange"} & set(stats)
    only = Everywhere(ours, [A, B, C], parse_filter("id=d1 name=other"), rate=0)
    assert await found(only) == []


async def test_every_job_is_found_in_any_state(ours: Client, any_client: Redis) -> None:
    wanted: set[tuple[QueueKey, JobState, str]] = set()
    for state in JobState:
        queue = QueueKey.of("bull", f"of-{state}")
        ids = [f"{state}-{number}" for number in range(3)]
        if state.is_list:
            await raw_list(any_client, state.key, ids, queue)
        else:
            await raw_failed(any_client, ids, queue, state=state.key)
        wanted |= {(queue, state, one) for one in ids}
    queues = sorted({queue for queue, _, _ in wanted})
    jobs = await found(Everywhere(ours, queues, parse_filter("!name=nothing"), rate=0))
    assert {(job.queue, job.state, job.row.id) for job in jobs} == wanted
    assert len(jobs) == len(wanted)


async def test_one_that_fails_while_it_is_searched_is_found(
    ours: Client, any_client: Redis
) -> None:
    await raw_failed(any_client, ["old"], A)
    await raw_list(any_client, "active", ["runs"], A)
    search = Everywhere(ours, [A], parse_filter("name=n | name=charge"), rate=0)
    met = []
    async for jobs in search.steps():
        met += named(jobs)
        if ("a", "failed", "old") in met and await any_client.lrem(A.key("active"), 1, "runs"):
            await any_client.zadd(A.key("failed"), {"runs": START + 5000})
    assert ("a", "failed", "runs") in met


async def test_a_search_that_was_left_continues_where_it_was(
    ours: Client, any_client: Redis
) -> None:
    for queue in (A, B, C):
        await raw_failed(any_client, [f"{queue.name}{number}" for number in range(5)], queue)
    search = Everywhere(ours, [A, B, C], parse_filter("!name=x"), rate=0)
    met = set()
    async for jobs in search.steps():
        met.update(named(jobs))
        if any(job.queue == B for job in jobs):
            break
    assert not search.finished
    assert search.queue == B
    rest = await found(search)
    assert {job.queue for job in rest} == {B, C}
    assert len(met | set(named(rest))) == 15
    assert search.finished


async def test_a_queue_that_vanishes_or_is_broken_costs_the_others_nothing(
    ours: Client, any_client: Redis
) -> None:
    await world(any_client)
    await any_client.delete(A.key("failed"))
    await any_client.set(A.key("failed"), "junk")
    search = Everywhere(ours, [A, B, C], parse_filter("!name=x"), rate=0)
    met: list[tuple[str, str, str]] = []
    async for jobs in search.steps():
        met += named(jobs)
        if keys := [key async for key in any_client.scan_iter("bull:b:*")]:
            await any_client.delete(*keys)
    assert {queue for queue, _, _ in met} == {"a", "c"}
    assert not search.refused


async def test_a_queue_that_an_acl_hides_is_named(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    await world(any_client)
    await any_client.execute_command(
        *("ACL", "SETUSER", "part", "on", ">pw", "resetkeys", "~bull:a:*", "~bull:c:*"),
        *("-@all", "+@read"),
    )
    client = connect(
        parse_target(any_server.url.replace("unix://", "unix://part:pw@")), read_only=True
    )
    try:
        for text in ("order-7", "name=charge | name=order-7"):
            search = Everywhere(client, [A, B, C], parse_filter(text), rate=0)
            assert {queue for queue, _, _ in named(await found(search))} == {"a", "c"}
            assert list(search.refused) == [B]
    finally:
        await client.aclose()
        await any_client.acl_deluser("part")


async def test_a_pattern_that_runs_away_ends_it(ours: Client, any_client: Redis) -> None:
    await raw_failed(any_client, ["x"], A, change=lambda _: {"failedReason": "a" * 50 + "!"})
    search = Everywhere(ours, [A], parse_filter("error:re:(a|a)*$"), rate=0)
    with pytest.raises(FilterError):
        await found(search)


async def test_in_every_arrangement_of_servers(topology: Topology) -> None:
    client = await open_client(parse_target(topology.url), read_only=True)
    try:
        with topology.writer() as writer:
            for queue in (A, B):
                writer.hset(queue.key("meta"), mapping={"opts.maxLenEvents": 10_000})
                writer.hset(queue.job("7"), mapping=raw_fields())
                writer.zadd(queue.key("failed"), {"7": START})
        for text in ("id=7", "error:boom"):
            jobs = await found(Everywhere(client, [A, B], parse_filter(text), rate=0))
            assert named(jobs) == [("a", "failed", "7"), ("b", "failed", "7")]
    finally:
        await client.aclose()
