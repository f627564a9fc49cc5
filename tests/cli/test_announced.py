"""Servers that are reached elsewhere from here than where a Sentinel or a cluster says they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qtui.bullmq.connection.client import Reach, connect, parse_target
from tests.bullmq.topologies import Process, Topology, cluster_nodes, sentinel_at
from tests.cli.stage import invoke
from tests.kinds import NAMES, fill
from tests.servers import free_port

HOST = "node-{}.qtui.invalid"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Topology]:
    """A cluster whose nodes announce names that can't be resolved here."""

    def options(number: int) -> list[str]:
        hostname = ["--cluster-announce-hostname", HOST.format(number)]
        return [*hostname, "--cluster-preferred-endpoint-type", "hostname"]

    with ExitStack() as stack:
        nodes = cluster_nodes(stack, options)
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
        topology = Topology("cluster", url, nodes)
        yield topology


def ways() -> list[str]:
    """What maps all names of the cluster."""
    hosts = map(HOST.format, range(3))
    return [word for host in hosts for word in ("--announced", f"{host}=127.0.0.1")]


@pytest.mark.slow
def test_a_node_that_is_announced_wrongly_is_named(cluster: Topology) -> None:
    said = invoke("--redis", cluster.url, "queues")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith(f"qtui: {cluster.url}: node-")
    assert "a node that the cluster announces: no such host" in said.err
    assert "add --announced node-" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_map_leads_to_the_nodes(cluster: Topology, scheme: str) -> None:
    port = cluster.data[1].port
    fill_by_nodes(cluster)
    said = invoke("--redis", f"{scheme}://127.0.0.1:{port}", *ways(), "queues", "--json")
    assert said.err == ""
    assert {one["name"] for one in said.objects} == set(NAMES)
    done = invoke(
        "--redis", f"{scheme}://127.0.0.1:{port}", *ways(), "retry", "{a}", "1", "--yes", "--json"
    )
    assert done.summary["retried"] == 1


def test_a_key_that_moved_is_followed_by_the_map(cluster: Topology) -> None:
    """MOVED names the node as the cluster does; 3300 is the slot of {b}."""
    fill_by_nodes(cluster)
    url = f"redis+cluster://127.0.0.1:{cluster.data[2].port}"
    routes = (f"{HOST.format(number)}=127.0.0.1" for number in range(3))
    target = Reach(announced=tuple(routes)).of(parse_target(url))

    async def follow() -> tuple[object, object]:
        client = connect(target, read_only=True)
        try:
            before = await client.execute_command("GET", "{b}:moving")
            move(cluster, slot=3300, to=1)
            return before, await client.execute_command("GET", "{b}:moving")
        finally:
            await client.aclose()

    try:
        assert asyncio.run(follow()) == (None, None)
        with cluster.data[1].admin() as admin:
            stats = admin.info("commandstats")
        assert stats["cmdstat_get"]["calls"] - stats["cmdstat_get"]["rejected_calls"] == 1
    finally:
        move(cluster, slot=3300, to=0)


def move(cluster: Topology, *, slot: int, to: int) -> None:
    """Gives an emptied slot to another node."""
    for process in cluster.data:
        with process.admin() as admin:
            admin.flushall()
            admin.config_resetstat()
    with cluster.data[to].admin() as admin:
        name = admin.execute_command("CLUSTER MYID")
    for process in (cluster.data[to], *cluster.data):
        with process.admin() as admin:
            admin.execute_command("CLUSTER SETSLOT", slot, "NODE", name)


def fill_by_nodes(cluster: Topology) -> None:
    """Fills it; its names mean nothing to redis-py either."""
    for process in cluster.data:
        with process.admin() as admin:
            admin.flushall()
            admin.config_set("cluster-preferred-endpoint-type", "ip")
    fill(cluster)
    for process in cluster.data:
        with process.admin() as admin:
            admin.config_set("cluster-preferred-endpoint-type", "hostname")


def test_a_master_that_is_announced_wrongly_is_named_and_mapped(tmp_path: Path) -> None:
    dead = free_port()
    with Process() as master, sentinel_at(f"127.0.0.1 {dead}") as sentinel:
        fill(Topology("master", "", (master,)))
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0"
        said = invoke("--redis", url, "queues")
        assert said.code == 3
        assert said.err == (
            f"qtui: {url}: 127.0.0.1:{dead}, the master that the Sentinels announce, refused the"
            " connection: is the server up and the port right? Where it has another address for"
            f" you, add --announced 127.0.0.1:{dead}=HOST:PORT\n"
        )
        way = f"127.0.0.1:{dead}=localhost:{master.port}"
        said = invoke("--redis", url, "--announced", way, "queues", "--json")
        assert {one["name"] for one in said.objects} == set(NAMES)
        config = tmp_path / "config.toml"
        config.write_text(f'[profiles.away]\nredis = "{url}"\nannounced = ["{way}"]\n')
        said = invoke("--config", str(config), "--profile", "away", "queues", "--json")
        assert {one["name"] for one in said.objects} == set(NAMES)
        wrong = f"127.0.0.1:{dead}=localhost:{dead}"
        said = invoke("--redis", url, "--announced", wrong, "queues")
        assert f"(connecting to localhost:{dead} for it, see --announced)" in said.err


def test_the_url_itself_may_be_mapped(tmp_path: Path) -> None:
    with Process() as process:
        fill(Topology("one", "", (process,)))
        way = f"cache-1.qtui.invalid:6379=127.0.0.1:{process.port}"
        said = invoke("--redis", "redis://cache-1.qtui.invalid", "--announced", way, "queues")
        assert (said.code, "{a}" in said.out) == (0, True)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("10.0.0.5", "must be ANNOUNCED=REACHABLE"),
        ("=localhost:1", "must be ANNOUNCED=REACHABLE"),
        ("10.0.0.5:1=", "must be ANNOUNCED=REACHABLE"),
        ("a b=c", "must be ANNOUNCED=REACHABLE"),
        ("a\x1b[31m=c", "must be ANNOUNCED=REACHABLE"),
        ("10.0.0.5:6379=localhost", "a port on both sides or on neither"),
        ("10.0.0.5=localhost:1", "a port on both sides or on neither"),
        ("10.0.0.5:0=localhost:1", "needs host or host:port on both sides"),
        ("10.0.0.5:1=localhost:99999", "needs host or host:port on both sides"),
        ("::1=localhost", "an IPv6 address in brackets"),
        ("redis://:hunter2@h:1=localhost:1", "needs host or host:port on both sides"),
        ("", "is empty"),
    ],
)
def test_a_map_that_makes_no_sense_is_a_usage_error(way: str, words: str) -> None:
    said = invoke("--redis", "redis://127.0.0.1:1", "--announced", way, "queues")
    assert said.code == 2
    assert words in said.err
    assert "\x1b" not in said.err
    assert "hunter2" not in said.err


def test_a_socket_has_no_address_to_map() -> None:
    said = invoke("--redis", "unix:///nowhere", "--announced", "a=b", "queues")
    assert (said.code, "a unix socket has none" in said.err) == (2, True)
