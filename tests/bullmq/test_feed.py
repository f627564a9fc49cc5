"""The events of several queues together: the latest, then each once, and what was missed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import Client, connect, open_client, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.feed import AT_ONCE, Feed, Missed, News, QueueEvent
from qtui.bullmq.reads.events.names import read_names
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topology
from tests.seeds import job, real_queue

A, B, C = (QueueKey.of("bull", name) for name in "abc")


@pytest.fixture
async def ours(any_server: EmbeddedServer) -> AsyncIterator[Client]:
    """A connection that sends nothing but reads."""
    client = connect(parse_target(any_server.url), read_only=True)
    yield client
    await client.aclose()


async def put(client: Redis, queue: QueueKey, *times: int, **fields: str) -> None:
    """Events at some times, in ms, each about a job of that name."""
    pipe = client.pipeline(transaction=False)
    for at in times:
        event = {"event": "waiting", "jobId": str(at)} | fields
        pipe.xadd(queue.key("events"), event, id=f"{at}-*")  # type: ignore[arg-type]
    await pipe.execute()


def ids(news: News) -> list[str]:
    return [one.job_id if isinstance(one, QueueEvent) else "missed" for one in news]


async def test_the_latest_of_all_queues_together_whoever_is_busiest(
    ours: Client, any_client: Redis
) -> None:
    busy, idle = range(1000, 1600), range(100, 2000, 100)
    await put(any_client, A, *busy)
    await put(any_client, B, *idle)
    for most in (0, 1, 30, 150, 10_000):
        news = await Feed(ours).latest([A, B, C], most)
        wanted = sorted([*busy, *idle], reverse=True)[:most]
        assert ids(news) == [str(at) for at in reversed(wanted)]


async def test_after_the_latest_each_event_comes_once(ours: Client, any_client: Redis) -> None:
    await put(any_client, A, 1, 2)
    feed = Feed(ours)
    assert ids(await feed.latest([A, B], 1)) == ["2"]
    assert await feed.read() == []
    await put(any_client, A, 3, 5)
    await put(any_client, B, 4)
    assert set(await feed.wait(2000)) == {A, B}
    assert ids(await feed.read()) == ["3", "4", "5"]
    assert await feed.read() == []
    await put(any_client, B, *range(10, 20 + AT_ONCE))
    found: list[str] = []
    while news := await feed.read([B]):
        assert len(news) <= AT_ONCE
        found += ids(news)
    assert found == [str(at) for at in range(10, 20 + AT_ONCE)]


async def test_what_was_trimmed_unread_is_reported_in_its_place(
    ours: Client, any_client: Redis
) -> None:
    await put(any_client, A, 1)
    feed = Feed(ours)
    await feed.latest([A, B], 10)
    await put(any_client, A, 2, 3, 4)
    await put(any_client, B, 5)
    await any_client.xtrim(A.key("events"), maxlen=2, approximate=False)
    news = await feed.read()
    assert ids(news) == ["missed", "3", "4", "5"]
    assert news[0] == Missed(A, 3, trimmed=True)
    await any_client.delete(A.key("events"))
    assert await feed.read() == []
    await put(any_client, A, 9)
    assert ids(await feed.read()) == ["missed", "9"]


async def test_where_it_is_taken_up_again_too_much_is_left_out_and_reported(
    ours: Client, any_client: Redis
) -> None:
    await put(any_client, A, 1)
    feed = Feed(ours)
    await feed.latest([A], 5)
    await put(any_client, A, 2, 3)
    assert ids(await feed.latest([A], 5)) == ["2", "3"]
    await put(any_client, A, *range(4, 30))
    news = await feed.latest([A], 5)
    assert news[0] == Missed(A, 25, trimmed=False)
    assert ids(news) == ["missed", "25", "26", "27", "28", "29"]
    assert await feed.latest([A], 5) == []


async def test_what_is_no_stream_or_refused_costs_the_others_nothing(
    ours: Client, any_client: Redis
) -> None:
    await any_client.set(A.key("events"), "junk")
    await put(any_client, B, 1)
    feed = Feed(ours)
    assert ids(await feed.latest([A, B], 10)) == ["1"]
    await put(any_client, B, 2)
    assert B in await feed.wait(2000)
    assert ids(await feed.read()) == ["2"]
    assert not feed.refused
    await any_client.execute_command("ACL", "SETUSER", "default", "-xrevrange")
    other = Feed(ours)
    assert await other.latest([A, B], 10) == []
    assert set(other.refused) == {A, B}
    assert not other.read_to
    assert await other.read() == []


async def test_large_events_are_read_whole_a_few_at_a_time(ours: Client, any_client: Redis) -> None:
    large = "x" * 3_000_000
    await put(any_client, A, *range(1, 9), returnvalue=large)
    await put(any_client, B, 3)
    feed = Feed(ours)
    news = await feed.latest([A, B], 100)
    assert ids(news)[-1] == "8", "the newest is among them, however few fit"
    await put(any_client, A, *range(10, 16), returnvalue=large)
    found: News = []
    while news := await feed.read():
        found += news
    assert ids(found) == [str(at) for at in range(10, 16)]
    assert all(isinstance(one, QueueEvent) and one.fields["returnvalue"] == large for one in found)


async def test_a_real_job_is_heard_with_its_name(any_server: EmbeddedServer, ours: Client) -> None:
    async with real_queue(any_server, B) as real:
        feed = Feed(ours)
        await feed.latest([A, B], 10)
        [job_id] = await real.add(job("charge"))
        assert set(await feed.wait(2000)) == {B}
        [first, *_] = await feed.read()
        assert isinstance(first, QueueEvent)
        assert (first.name, first.job_id) == ("added", job_id)
        names = await read_names(ours, [(B, job_id), (A, "none")])
        assert names == {(B, job_id): "charge", (A, "none"): ""}


async def test_in_every_arrangement_of_servers(topology: Topology) -> None:
    client = await open_client(parse_target(topology.url), read_only=True)
    try:
        with topology.writer() as writer:
            writer.xadd(A.key("events"), {"event": "waiting", "jobId": "1"})
            feed = Feed(client)
            assert ids(await feed.latest([A, B], 10)) == ["1"]
            writer.xadd(B.key("events"), {"event": "waiting", "jobId": "2"})
            assert B in await feed.wait(2000)
            assert ids(await feed.read()) == ["2"]
    finally:
        await client.aclose()
