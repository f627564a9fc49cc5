"""Clients to real servers in all arrangements, and what becomes of commands when one is lost."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError, TimeoutError

from qtui.bullmq.connection.client import (
    Client,
    Server,
    connect,
    explain,
    identify,
    parse_target,
)
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import (
    Process,
    Topologies,
    Topology,
    cluster_nodes,
    cluster_replica,
    soon,
    until,
    whole,
)
from tests.patience import AT_ONCE, PATIENCE


@pytest.fixture
async def client(topology: Topology) -> AsyncIterator[Client]:
    """A client of each arrangement that may write."""
    client = connect(parse_target(topology.url), read_only=False, timeout=PATIENCE)
    yield client
    await client.aclose()


@pytest.fixture
async def hasty(topology: Topology) -> AsyncIterator[Client]:
    """One that waits for a second."""
    client = connect(parse_target(topology.url), read_only=False, timeout=1.0)
    yield client
    await client.aclose()


async def alone(client: Client, *command: str | int) -> object:
    """One command and its reply."""
    return await client.execute_command(*command)


async def in_a_pipeline(client: Client, *command: str | int) -> object:
    """One command sent by a pipeline."""
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command(*command)
    return await pipeline.execute()


def blocked(topology: Topology) -> bool:
    """Whether any client waits in a blocking command."""
    return any(waiting(process) for process in topology.data)


def waiting(process: Process) -> list[dict[str, Any]]:
    """The clients of one server that wait in a blocking command."""
    with process.admin() as admin:
        return [entry for entry in admin.client_list() if "b" in entry["flags"]]


async def test_a_client_reads_writes_and_pipelines_in_every_arrangement(
    topology: Topology, client: Client
) -> None:
    assert await client.ping()
    assert await client.hset("{q}:1", mapping={"name": "charge"}) == 1
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("HGET", "{q}:1", "name")
    pipeline.execute_command("ZADD", "{q}:failed", 1.5, "1")
    pipeline.execute_command("ZRANGE", "{q}:failed", 0, -1, "WITHSCORES")
    assert await pipeline.execute() == ["charge", 1, ["1", "1.5"]]
    server = await identify(client)
    mode = "cluster" if topology.name == "cluster" else "standalone"
    assert server == Server("Redis", server.version, mode, "master")
    assert re.fullmatch(r"\d+\.\d+\.\d+", server.version)


async def test_connections_carry_our_name(topology: Topology, client: Client) -> None:
    await client.get("k")
    names: set[str] = set()
    for process in topology.data:
        with process.admin() as admin:
            names |= {entry["name"] for entry in admin.client_list()}
    assert "qtui" in names


async def test_text_that_is_no_utf8_keeps_its_identity(client: Client) -> None:
    raw = "a\udcff\udc80é"
    await client.set(raw, raw)
    assert await client.get(raw) == raw
    assert await client.strlen(raw) == 5


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_the_server_says_what_it_is(kind: str, any_server: EmbeddedServer) -> None:
    client = connect(parse_target(any_server.url), read_only=True)
    server = await identify(client)
    await client.aclose()
    with redis.Redis.from_url(any_server.url, decode_responses=True) as admin:
        info = admin.info("server")
    if "valkey_version" in info:
        assert server == Server("Valkey", info["valkey_version"], "standalone", "master")
    else:
        assert server == Server("Redis", info["redis_version"], "standalone", "master")


async def test_the_server_says_what_it_is_even_where_info_is_refused(
    topologies: Topologies,
) -> None:
    process = topologies.own(Process())
    with process.admin() as admin:
        admin.acl_setuser("watch", enabled=True, nopass=True, commands=["+get"], keys=["bull:*"])
        version = admin.info("server")["redis_version"]
    client = connect(parse_target(f"redis://watch:x@127.0.0.1:{process.port}"), read_only=True)
    assert await identify(client) == Server("Redis", version, "standalone", "master")
    await client.aclose()


async def test_a_replica_and_a_sentinel_say_so(topologies: Topologies) -> None:
    sentinel = topologies.get("sentinel").sentinel
    assert sentinel is not None
    with Process("--replicaof", "127.0.0.1 1") as replica:
        client = connect(parse_target(f"redis://127.0.0.1:{replica.port}"), read_only=False)
        assert (await identify(client)).role == "replica"
        await client.aclose()
    client = connect(parse_target(f"redis://127.0.0.1:{sentinel.port}"), read_only=True)
    assert (await identify(client)).mode == "sentinel"
    await client.aclose()


async def test_a_sentinel_that_is_dead_is_passed_over(topologies: Topologies) -> None:
    topology = topologies.get("sentinel")
    assert topology.sentinel is not None
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{topology.sentinel.port}/main/3"
    client = connect(parse_target(url), read_only=False)
    assert await client.set("k", "in database 3")
    await client.aclose()
    with topology.data[0].admin() as admin:
        assert admin.info("keyspace").keys() == {"db3"}


async def test_closing_a_client_closes_all_its_connections(topology: Topology) -> None:
    client = connect(parse_target(topology.url), read_only=True)
    await client.get("k")
    await client.aclose()
    processes = [*topology.data, *([topology.sentinel] if topology.sentinel else [])]
    await soon(lambda: not any(ours(process) for process in processes), "no connection is left")


def ours(process: Process) -> list[dict[str, Any]]:
    """Our connections to one server."""
    with process.admin() as admin:
        return [entry for entry in admin.client_list() if entry["name"] == "qtui"]


# --- lost connections ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["standalone", "cluster"])
async def test_a_command_may_block_for_less_than_the_time_out(
    topologies: Topologies, name: str
) -> None:
    client = connect(parse_target(topologies.get(name).url), read_only=True, timeout=5.0)
    started = time.monotonic()
    assert await client.execute_command("XREAD", "BLOCK", 2000, "STREAMS", "{k}", "$") in ([], {})
    assert time.monotonic() - started > 1.9
    await client.aclose()


async def test_a_command_that_blocks_for_longer_fails_alone(
    topology: Topology, hasty: Client
) -> None:
    url = topology.url
    with pytest.raises(TimeoutError) as caught:
        await hasty.execute_command("XREAD", "BLOCK", 60_000, "STREAMS", "{k}", "$")
    assert "did not answer in time" in str(explain(caught.value, parse_target(url)))
    await soon(lambda: not blocked(topology), "the server has seen the connection close")
    assert await hasty.get("{k}") is None


async def test_a_write_whose_reply_is_late_is_not_sent_again(
    topology: Topology, hasty: Client
) -> None:
    # Runs for longer than the time-out of a second.
    script = """
        redis.call('INCR', KEYS[1])
        local start = redis.call('TIME')
        repeat
            local now = redis.call('TIME')
        until (now[1] - start[1]) * 1e6 + (now[2] - start[2]) > 1.3e6
    """
    with pytest.raises(TimeoutError):
        await hasty.eval(script, 1, "{k}")
    # Behind the script, and behind a second one if there were any.
    for process in topology.data:
        with process.admin() as admin:
            assert admin.ping()
    assert await hasty.get("{k}") == "1"


@pytest.mark.parametrize("pipelined", [False, True], ids=["alone", "in a pipeline"])
async def test_a_write_whose_connection_is_lost_is_not_sent_again(
    topology: Topology, client: Client, pipelined: bool
) -> None:
    send = in_a_pipeline if pipelined else alone
    command = asyncio.ensure_future(send(client, "BLPOP", "{k}", 0))
    await soon(lambda: blocked(topology), "the command has been sent")
    for process in topology.data:
        with process.admin() as admin:
            for entry in waiting(process):
                admin.client_kill_filter(_id=entry["id"])
    with pytest.raises(ConnectionError):
        await command
    # A second BLPOP would take it.
    assert await client.rpush("{k}", "job") == 1
    assert await client.llen("{k}") == 1


async def test_all_connections_of_a_dead_server_heal_by_themselves(topologies: Topologies) -> None:
    process = topologies.own(Process())
    target = parse_target(f"redis://127.0.0.1:{process.port}")
    client = connect(target, read_only=False)
    await asyncio.gather(*(client.get(str(number)) for number in range(20)))
    process.kill()
    started = time.monotonic()
    for _ in range(10):
        with pytest.raises(ConnectionError) as caught:
            await client.get("k")
    assert "refused the connection" in str(explain(caught.value, target))
    assert time.monotonic() - started < AT_ONCE
    process.start()
    assert await asyncio.gather(*(client.set(str(number), 1) for number in range(20)))
    await client.aclose()


@pytest.mark.slow
async def test_a_cluster_client_finds_the_node_that_took_over() -> None:
    with ExitStack() as stack:
        nodes = cluster_nodes(stack)
        old, new = nodes[0], stack.enter_context(cluster_replica(nodes[0]))
        url = f"redis+cluster://127.0.0.1:{nodes[1].port}"
        single, pipelined = (connect(parse_target(url), read_only=False) for _ in range(2))
        # Slot 3300 is of the first node.
        assert await single.set("{b}", "kept")
        assert await in_a_pipeline(pipelined, "GET", "{b}") == ["kept"]
        with new.admin() as admin:
            until(lambda: admin.dbsize() == 1, "the replica has the key")
            admin.execute_command("CLUSTER FAILOVER", "TAKEOVER")
        old.kill()
        until(lambda: all(whole(node) for node in (*nodes[1:], new)), "the replica took over")
        # A write goes out once; a read is asked of the new node at once.
        with pytest.raises(ConnectionError):
            await in_a_pipeline(pipelined, "SET", "{b}", "new")
        assert await in_a_pipeline(pipelined, "GET", "{b}") == ["kept"]
        assert await single.get("{b}") == "kept"
        await single.aclose()
        await pipelined.aclose()


async def test_the_ninth_connection_waits_for_one_of_eight(standalone: Topology) -> None:
    client = connect(parse_target(standalone.url), read_only=False, timeout=2.0)
    waits = [asyncio.ensure_future(client.blpop(f"k{number}", 1)) for number in range(8)]
    await soon(lambda: len(waiting(standalone.data[0])) == 8, "all connections are in use")
    assert await client.get("k") is None
    assert await asyncio.gather(*waits) == [None] * 8
    await client.aclose()
    with standalone.data[0].admin() as admin:
        assert admin.info("stats")["rejected_connections"] == 0


async def test_a_cancelled_command_leaves_no_reply_behind(client: Client) -> None:
    await client.set("{k}", "right")
    for _ in range(20):
        command = asyncio.ensure_future(client.execute_command("BLPOP", "{none}", 0.5))
        await asyncio.sleep(0)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        assert await client.get("{k}") == "right"
