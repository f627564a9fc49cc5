"""How many workers are seen on a queue."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection import connect, parse
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.workers import count_workers, queues_of_workers, read_workers
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topologies
from tests.seeds import BOUND, QUEUE, real_queue

LINE = "id=3 addr=/tmp/s.sock:0 laddr= fd=8 name={} age=0 idle=0 flags=N db=0 cmd=bzpopmin user=x"


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
    listed = "\n".join((LINE.format(name), LINE.format("other"), "garbage", ""))
    assert count_workers(listed, [QUEUE]) == {QUEUE: workers}


@pytest.mark.parametrize("name", ["payments", "名前", "a:b", "x\udcff", "with blank"])
@pytest.mark.parametrize("prefix", ["bull", "app:bull", "{bull}"])
def test_queues_of_any_name_have_workers(prefix: str, name: str) -> None:
    queue = QueueKey.of(prefix, name)
    listed = LINE.format(f"{prefix}:{encoded(name)}") + "\n"
    assert count_workers(listed * 3, [queue, QUEUE])[queue] == 3


def test_the_queues_of_workers_are_candidates() -> None:
    names = [f"bull:{encoded('emails')}", f"app:{encoded('x')}:w:1", "bull:plain", "bull:", "qtui"]
    listed = "\n".join(map(LINE.format, names))
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
        async with asyncio.timeout(BOUND):
            while await read_workers(any_client, list(expected)) != expected:
                pass


async def test_where_client_list_is_refused_nobody_knows(client: Redis) -> None:
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


async def test_on_a_cluster_nobody_knows(topologies: Topologies) -> None:
    client = connect(parse(topologies.get("cluster").url), read_only=True)
    try:
        assert await read_workers(client, [QUEUE]) is None
    finally:
        await client.aclose()
