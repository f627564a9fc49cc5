"""How many workers are seen on a queue."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack
from typing import Final

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.workers import count_workers, queues_of_workers, read_workers
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topologies
from tests.patience import PATIENCE
from tests.seeds import QUEUE, real_queue
from tests.servers import connect as connect_to

LINE = "id=3 addr=/tmp/s.sock:0 laddr= fd=8 name={} age=0 idle=0 flags=N db=0 cmd={} user=x"


def encoded(name: str) -> str:
    return base64.b64encode(name.encode("utf-8", "surrogateescape")).decode()


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        (f"bull:{encoded('q')}", 1),
        (f"bull:{encoded('q')}:w:mailer-1", 1),
        (f"bull:{encoded('q')}:w:{encoded('q')}", 1),
        (f"bull:{encoded('q')}:qe", 0),
        (f"bull:{encoded('qq')}", 0),
        (f"bulls:{encoded('q')}", 0),
        ("", 0),
        ("bull:", 0),
        ("bull:q:qe", 0),
    ],
)
def test_a_worker_is_known_by_the_name_of_its_connection(name: str, workers: int) -> None:
    listed = "\n".join((LINE.format(name, "evalsha"), LINE.format("other", "ping"), "garbage", ""))
    assert count_workers(listed, [QUEUE]) == {QUEUE: workers}


@pytest.mark.parametrize("name", ["payments", "名前", "a:b", "x\udcff", "with blank"])
@pytest.mark.parametrize("prefix", ["bull", "app:bull", "{bull}"])
def test_queues_of_any_name_have_workers(prefix: str, name: str) -> None:
    queue = QueueKey.of(prefix, name)
    listed = LINE.format(f"{prefix}:{encoded(name)}", "bzpopmin") + "\n"
    assert count_workers(listed * 3, [queue, QUEUE])[queue] == 3


def test_the_queues_of_workers_are_candidates() -> None:
    names = [f"bull:{encoded('emails')}", f"app:{encoded('x')}:w:1", "bull:plain", "bull:", "qtui"]
    listed = "\n".join(LINE.format(name, "bzpopmin") for name in names)
    found = {queue.base for queue in queues_of_workers(listed, ["bull", "app"])}
    assert {"bull:emails", "app:x", "bull:plain"} <= found
    assert "bull:" not in found


async def test_real_workers_are_counted_while_they_are_there(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    async with real_queue(any_server) as real, AsyncExitStack() as workers:
        assert await read_workers(any_client, [QUEUE]) == {QUEUE: 0}
        for _ in range(2):
            await workers.enter_async_context(real.worker())
        await any_client.client_setname("bull:" + encoded("other"))
        expected = {QUEUE: 2, QueueKey.of("bull", "other"): 1}
        async with asyncio.timeout(PATIENCE):
            while await read_workers(any_client, list(expected)) != expected:
                pass


async def test_where_client_list_is_refused_workers_are_unknown(client: Redis) -> None:
    await client.acl_setuser(
        "watcher", enabled=True, nopass=True, categories=["+@read"], commands=["+ping"]
    )
    path = client.connection_pool.connection_kwargs["path"]
    try:
        async with Redis(
            unix_socket_path=path, username="watcher", password="any", decode_responses=True
        ) as watcher:
            assert await read_workers(watcher, [QUEUE]) is None
    finally:
        await client.acl_deluser("watcher")


BLOCKED: Final = "bzpopmin"
BUSY: Final = "evalsha"


@pytest.mark.parametrize(
    ("connections", "workers"),
    [
        ([("bull:q", BLOCKED)], 1),
        ([("bull:q", BLOCKED), ("bull:q", BUSY)], 1),
        ([("bull:q", BLOCKED), ("bull:q", BUSY)] * 2, 2),
        ([("bull:q", BLOCKED)] * 4, 4),
        ([("bull:q:w:mailer", BLOCKED)] * 3, 3),
        ([("bull:q", "brpoplpush")] * 3, 3),
        ([("bull:q", BUSY)] * 4, 2),
        ([("bull:q", BUSY)] * 3, 2),
        ([("bull:q", BLOCKED), ("bull:q", BUSY), *[("bull:q", BLOCKED)] * 3], 4),
        ([(f"bull:{encoded('q')}", BLOCKED)] * 2 + [("bull:q", BLOCKED)] * 2, 4),
        ([("", BUSY)] * 3, 0),
        ([("", BLOCKED)], None),
        ([("", BLOCKED), (f"bull:{encoded('q')}", BLOCKED)], 1),
        ([("bull:other", BLOCKED)], 0),
    ],
)
async def test_connections_named_as_the_ports_name_theirs(
    any_server: EmbeddedServer, connections: list[tuple[str, str]], workers: int | None
) -> None:
    """Node, Python and Elixir name their connections in three ways, .NET not at all."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as waiting:
        tasks = []
        for name, command in connections:
            client = connect_to(any_server, single_connection_client=True)
            connection = await stack.enter_async_context(client)
            if name:
                await connection.client_setname(name)
            if command == BUSY:
                await connection.eval("return 1", 0)
            else:
                words = (
                    ("BZPOPMIN", "bull:q:marker")
                    if command == BLOCKED
                    else ("BRPOPLPUSH", "bull:q:wait", "bull:q:active")
                )
                tasks.append(waiting.create_task(connection.execute_command(*words, 0)))
        async with connect_to(any_server) as client:
            async with asyncio.timeout(PATIENCE):
                while (await client.info("clients"))["blocked_clients"] < len(tasks):
                    pass
            assert await read_workers(client, [QUEUE]) == {QUEUE: workers}
        for task in tasks:
            task.cancel()


async def test_on_a_cluster_the_node_that_has_the_queue_is_asked(topologies: Topologies) -> None:
    topology = topologies.get("cluster")
    queues = [QueueKey.of("bull", name) for name in ("{a}", "{b}", "{c}")]
    async with AsyncExitStack() as stack:
        client = connect(parse_target(topology.url), read_only=True)
        stack.push_async_callback(client.aclose)
        assert await read_workers(client, queues) == dict.fromkeys(queues, 0)
        # ioredis connects to each node under one name.
        for process in topology.data:
            for name in ["{a}", "{b}", "{b}"]:
                other = Redis(port=process.port, single_connection_client=True)
                await stack.enter_async_context(other)
                await other.client_setname("bull:" + encoded(name))
        assert await read_workers(client, queues) == dict(zip(queues, (1, 2, 0), strict=True))
