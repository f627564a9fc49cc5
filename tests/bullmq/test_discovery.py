"""Which queues are found under a prefix, and what is no queue however it is called."""

from __future__ import annotations

import pytest
from bullmq import FlowProducer
from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.bullmq.reads.queues.discovery import discover
from qtui.bullmq.reads.status import read_status
from qtui.demo.server import EmbeddedServer
from tests.seeds import job, raw_fields, raw_meta, real_queue
from tests.wires import counted


async def found(client: Redis, *prefixes: str) -> list[QueueKey]:
    """The queues that are found, each of them once."""
    queues = [queue async for some in discover(client, prefixes) for queue in some]
    assert len(queues) == len(set(queues))
    return sorted(queues)


async def bases(client: Redis, *prefixes: str) -> list[str]:
    return [queue.base for queue in await found(client, *prefixes)]


NAMES = [
    "payments",
    "with blank",
    "{tagged}",
    "stars*and?[brackets]^\\",
    "名前",
    "not utf-8 \udcff\udcfe",
    "meta",
    "id",
    "wait",
    "eu:payments",
    "a:b:c:meta",
    "0",
    "\x1b]0;x\x07",
]


async def test_queues_of_any_name(any_client: Redis) -> None:
    queues = sorted(QueueKey.of("bull", name) for name in NAMES)
    for queue in queues:
        await raw_meta(any_client, queue)
    seen = await found(any_client, "bull")
    assert seen == queues
    assert sorted(queue.name for queue in seen) == sorted(NAMES)
    assert {queue.prefix for queue in seen} == {"bull"}


@pytest.mark.parametrize(
    "prefix", ["{bull}", "app:eu:bull", "a*b", "[x]", "\\", "b\udcff", "with blank", "^", "?"]
)
async def test_queues_under_any_prefix(any_client: Redis, prefix: str) -> None:
    queue = QueueKey.of(prefix, "q")
    await raw_meta(any_client, queue)
    # A pattern, if the prefix were taken for one, would match these.
    for decoy in ("aXb", "x", "Z", "bull"):
        await raw_meta(any_client, QueueKey.of(decoy, "q"))
    assert await found(any_client, prefix) == [queue]


async def test_real_queues_are_found_from_their_first_job_on(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    async with (
        real_queue(any_server, QueueKey.of("bull", "a")) as one,
        real_queue(any_server, QueueKey.of("{app}", "b")) as other,
    ):
        await one.add(job())
        await other.add(job())
        await other.queue.pause()
        flow = FlowProducer(any_server.url)
        child = {"name": "c", "queueName": "child", "data": {}}
        await flow.add({"name": "p", "queueName": "parent", "data": {}, "children": [child]})
        await flow.close()
        assert await bases(any_client, "bull", "{app}") == [
            "bull:a",
            "bull:child",
            "bull:parent",
            "{app}:b",
        ]
        await one.queue.pause()
        await one.queue.obliterate(force=True)
    assert await bases(any_client, "bull") == ["bull:child", "bull:parent"]


async def test_a_queue_belongs_to_the_longest_of_nested_prefixes(client: Redis) -> None:
    for base in ("bull:q", "bull:eu:q", "bull:eu:west:q", "bull:eu"):
        await client.hset(f"{base}:meta", "opts.maxLenEvents", 10)
    queues = await found(client, "bull", "bull:eu:west", "bull:eu", "bull")
    assert [(queue.prefix, queue.name) for queue in queues] == [
        ("bull", "eu"),
        ("bull:eu", "q"),
        ("bull:eu:west", "q"),
        ("bull", "q"),
    ]
    # Where only the short one is asked for, the rest is part of the name.
    assert [queue.name for queue in await found(client, "bull")] == [
        "eu",
        "eu:q",
        "eu:west:q",
        "q",
    ]


@pytest.mark.parametrize(
    "job_id", ["meta", "id", "order:meta", "order:id", "repeat:x:meta", ":meta", "a:b:id"]
)
async def test_jobs_are_no_queues_with_any_id(client: Redis, job_id: str) -> None:
    queue = QueueKey.of("bull", "q")
    await raw_meta(client, queue)
    if job_id != "meta":
        await client.hset(queue.job(job_id), mapping=raw_fields())
        await client.zadd(queue.key("failed"), {job_id: 1})
    assert await bases(client, "bull") == ["bull:q"]


async def test_keys_of_the_relay_are_no_queues(client: Redis) -> None:
    for key in ("bull::relay:x:meta", "bull::meta", "bull:::meta", "bull:meta", "bullx:q:meta"):
        await client.hset(key, "opts.maxLenEvents", 10)
    await client.set("bull::relay:x:id", 5)
    assert await bases(client, "bull") == []


async def test_what_is_left_of_a_deleted_queue_is_no_queue(client: Redis) -> None:
    await client.xadd("bull:only-events:events", {"event": "added"})
    await client.set("bull:only-id:id", 7)
    await client.hset("bull:bare-meta:meta", "something", "else")
    await client.hset("bull:bull4-paused:meta", "paused", 1)
    await client.set("bull:string-meta:meta", "junk")
    await client.lpush("bull:list-id:id", "junk")
    await client.hset("bull:only-jobs:1", mapping=raw_fields())
    assert await bases(client, "bull") == []


async def test_a_queue_without_meta_is_found_by_its_counter_and_its_jobs(client: Redis) -> None:
    # Workers and some ports write no meta; Bull 3/4 has none.
    await client.set("bull:port:id", 1)
    await client.xadd("bull:port:events", {"event": "added"})
    await client.set("bull:old:id", 1)
    await client.lpush("bull:old:wait", "1")
    queues = await found(client, "bull")
    assert [queue.base for queue in queues] == ["bull:old", "bull:port"]
    kinds = [status.kind for status in await read_status(client, queues)]
    assert kinds == [Kind.BULL, Kind.BULLMQ]


async def test_a_queue_of_bull_4_is_recognised(client: Redis) -> None:
    """The keys of bull 4.16.5 with one waiting, one completed and one failed job, and paused."""
    await client.set("bull:old:id", 3)
    await client.hset("bull:old:meta", "paused", 1)
    await client.set("bull:old:meta-paused", 1)
    await client.lpush("bull:old:paused", "3")
    await client.zadd("bull:old:completed", {"1": 1_700_000_000_000})
    await client.zadd("bull:old:failed", {"2": 1_700_000_000_001})
    await client.set("bull:old:stalled-check", 1_700_000_000_000)
    for number in "123":
        await client.hset(
            f"bull:old:{number}",
            mapping={
                "name": "__default__",
                "data": "{}",
                "opts": '{"attempts":1,"delay":0,"timestamp":1700000000000}',
                "timestamp": 1_700_000_000_000,
                "priority": 0,
                "delay": 0,
            },
        )
    [queue] = await found(client, "bull")
    [status] = await read_status(client, [queue])
    assert (status.kind, status.paused) == (Kind.BULL, True)


async def test_50_queues_among_20_000_jobs_are_found_in_slices(
    server: EmbeddedServer, client: Redis
) -> None:
    queues = [QueueKey.of("bull", f"q{number}") for number in range(50)]
    for queue in queues:
        await raw_meta(client, queue)
        pipe = client.pipeline(transaction=False)
        for one in range(400):
            job_id = f"{one}" if one % 50 else f"{one}:meta"
            pipe.hset(queue.job(job_id), "name", "n")
        await pipe.execute()
    async with counted(server) as (counting, trips):
        slices = [some async for some in discover(counting, ["bull"])]
    # Table sizes are powers of two, so a slice is about a thousand keys, and some are empty.
    assert 15 <= len(slices) <= 40
    assert sorted(queue for some in slices for queue in some) == sorted(queues)
    assert trips.count <= 1 + 2 * len(slices)


async def test_a_search_can_be_left_at_any_moment(client: Redis) -> None:
    await client.mset({f"bull:q{number}:id": 1 for number in range(5000)})
    seen = 0
    async for _ in discover(client, ["bull"]):
        seen += 1
        break
    assert seen == 1
    assert await client.ping()
