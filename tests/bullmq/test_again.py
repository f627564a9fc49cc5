"""Connections that only look alive: a read goes out again on a fresh one, a write never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from qtui.bullmq.ask import ask
from qtui.bullmq.connection import link
from qtui.bullmq.connection.client import Client, connect, explain, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.stream import wait_for_events
from tests.bullmq.test_connection import ours
from tests.bullmq.topologies import Process, Topologies, Topology, soon
from tests.wires import Tunnel, open_tunnel

Accident = Callable[[Tunnel], None]

ACCIDENTS = pytest.mark.parametrize("accident", [Tunnel.drop, Tunnel.cut], ids=["drop", "cut"])
READ = ("GET", "{k}")


@asynccontextmanager
async def through_a_tunnel(
    topology: Topology, patience: float = 0.5
) -> AsyncIterator[tuple[Client, Tunnel]]:
    """A client of one server, and what lies between them."""
    async with open_tunnel(topology.data[0].port) as tunnel:
        target = parse_target(f"redis://127.0.0.1:{tunnel.port}")
        client = connect(target, read_only=False, timeout=patience)
        try:
            yield client, tunnel
        finally:
            await client.aclose()


@ACCIDENTS
@pytest.mark.parametrize("pipelined", [False, True], ids=["alone", "in a pipeline"])
async def test_a_read_is_sent_again_on_a_fresh_connection(
    standalone: Topology, accident: Accident, pipelined: bool
) -> None:
    async with through_a_tunnel(standalone) as (client, tunnel):
        await client.set("{k}", "kept")
        for _ in range(3):
            # All the connections in the pool are equally old.
            await asyncio.gather(*(client.get("{k}") for _ in range(4)))
            accident(tunnel)
            if pipelined:
                assert await ask(client, [READ, READ]) == ["kept", "kept"]
            else:
                assert await client.get("{k}") == "kept"


async def test_a_write_is_not_sent_again(standalone: Topology) -> None:
    async with through_a_tunnel(standalone) as (client, tunnel):
        await client.set("{k}", 0)
        tunnel.drop()
        with pytest.raises(TimeoutError):
            await client.incr("{k}")
        assert await client.get("{k}") == "0"
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command("GET", "{k}")
        pipeline.execute_command("INCR", "{k}")
        tunnel.drop()
        with pytest.raises(TimeoutError):
            await pipeline.execute()
        assert await client.get("{k}") == "0"


async def test_a_connection_that_was_closed_meanwhile_is_made_anew_before_a_write(
    topology: Topology,
) -> None:
    client = connect(parse_target(topology.url), read_only=False)
    await client.set("{k}", 0)
    for process in topology.data:
        with process.admin() as admin:
            admin.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
    await soon(lambda: not any(map(ours, topology.data)), "all are closed")
    # Our loop has to take in what the server did; it is idle for longer between two commands.
    for _ in range(10):
        await asyncio.sleep(0)
    assert await client.incr("{k}") == 1
    await client.aclose()


async def test_a_connection_that_fell_asleep_proves_itself_before_a_write(
    standalone: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_PROOF", 0.2)
    async with through_a_tunnel(standalone) as (client, tunnel):
        await client.set("{k}", 0)
        tunnel.drop()
        connection = client.connection_pool._available_connections[0]  # type: ignore[union-attr]
        connection.next_health_check = 0  # as after ten seconds
        assert await client.incr("{k}") == 1
        assert tunnel.opened == 2


async def test_a_server_that_is_gone_is_blamed_after_the_second_try() -> None:
    with Process() as process:
        url = f"redis://127.0.0.1:{process.port}"
        client = connect(parse_target(url), read_only=True)
        assert await client.get("k") is None
        process.kill()
        with pytest.raises(ConnectionError) as caught:
            await client.get("k")
        assert "refused the connection" in str(explain(caught.value, parse_target(url)))
        process.start()
        assert await client.get("k") is None
        await client.aclose()


async def test_a_server_that_hangs_is_given_up_within_twice_the_time_out(
    standalone: Topology,
) -> None:
    async with through_a_tunnel(standalone, patience=0.3) as (client, _):
        assert await client.get("k") is None
        with standalone.data[0].admin() as admin:
            admin.execute_command("CLIENT PAUSE", 3000, "ALL")
            loop = asyncio.get_running_loop()
            started = loop.time()
            with pytest.raises(RedisError) as caught:
                await client.get("k")
            assert loop.time() - started < 2
            assert "did not answer in time" in str(explain(caught.value, parse_target("redis://h")))


@pytest.mark.slow
@ACCIDENTS
async def test_waiting_for_events_survives_a_lost_connection(
    standalone: Topology, accident: Accident
) -> None:
    queue = QueueKey.of("bull", "q")
    async with through_a_tunnel(standalone, patience=2.5) as (client, tunnel):
        waits = asyncio.ensure_future(wait_for_events(client, [queue]))
        await soon(lambda: tunnel.opened == 1, "it waits")
        with standalone.data[0].admin() as admin:
            await soon(lambda: admin.info("clients")["blocked_clients"] == 1, "it waits")
            accident(tunnel)
            await soon(lambda: tunnel.opened == 2, "it waits again")
            await soon(
                lambda: bool(admin.info("clients")["blocked_clients"]) and _adds(admin), "an event"
            )
            assert await waits == {queue}


def _adds(admin: object) -> bool:
    admin.xadd("bull:q:events", {"event": "added"})  # type: ignore[attr-defined]
    return True


async def test_a_node_of_a_cluster_that_hung_up_is_asked_again(topologies: Topologies) -> None:
    topology = topologies.get("cluster")
    client = connect(parse_target(topology.url), read_only=True)
    for pipelined in (False, True):
        assert await ask(client, [("GET", f"{{{name}}}") for name in "abcdef"]) == [None] * 6
        for process in topology.data:
            with process.admin() as admin:
                admin.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        if pipelined:
            assert await ask(client, [("GET", f"{{{name}}}") for name in "abcdef"]) == [None] * 6
        else:
            assert [await client.get(f"{{{name}}}") for name in "abcdef"] == [None] * 6
    await client.aclose()
