"""A cluster that moves a queue's slot: half of its keys are on one node, half on another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis.crc import key_slot

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.connection.cluster import Cluster
from tests.bullmq.topologies import Process, Topology, cluster_joined, cluster_nodes
from tests.cli.stage import Json, invoke
from tests.kinds import NAMES, fill

BASE = "bull:{b}"
MOVED = [f"{BASE}:{key}" for key in ("failed", "0", "c1", "prioritized", "wait")]


@pytest.fixture(params=["a node with slots", "a node without slots"])
def cluster(request: pytest.FixtureRequest) -> Iterator[tuple[Topology, Process]]:
    """A cluster, and the node to which a queue's slot is being moved."""
    with ExitStack() as stack:
        nodes = cluster_nodes(stack)
        topology = Topology("cluster", f"redis://127.0.0.1:{nodes[0].port}", nodes)
        fill(topology)
        [owner] = [node for node in nodes if _has_slot(node)]
        target = next(node for node in nodes if node is not owner)
        if request.param == "a node without slots":
            target = stack.enter_context(cluster_joined(owner))
        _move_half(owner, target)
        yield topology, target


def _has_slot(node: Process) -> bool:
    with node.admin() as admin:
        return bool(admin.execute_command("CLUSTER COUNTKEYSINSLOT", key_slot(BASE.encode())))


def _move_half(owner: Process, target: Process) -> None:
    slot = key_slot(BASE.encode())
    with owner.admin() as giver, target.admin() as taker:
        names = [one.execute_command("CLUSTER MYID") for one in (giver, taker)]
        taker.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[0])
        giver.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[1])
        giver.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *MOVED)


def asked(url: str, *words: str) -> list[dict[str, Json]]:
    """What a command that must succeed prints as JSON."""
    outcome = invoke("--redis", url, *words, "--json")
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.objects


@pytest.mark.slow
def test_every_read_finds_both_halves(cluster: tuple[Topology, Process]) -> None:
    url = cluster[0].url
    queues = {one["name"]: one for one in asked(url, "queues")}
    assert set(queues) == set(NAMES)
    counts = {state: number for state, number in queues["{b}"]["counts"].items() if number}
    assert counts == {"failed": 3, "completed": 2, "waiting": 2, "delayed": 1}
    assert [one["id"] for one in asked(url, "jobs", "{b}")] == ["2", "1", "0"]
    assert [one["id"] for one in asked(url, "jobs", "{b}", "--state", "completed")] == ["c1", "c0"]
    for job_id in ("0", "1"):
        assert asked(url, "show", "{b}", job_id)[0]["data"] == {"n": 1}
        assert asked(url, "flow", "{b}", job_id)[0]["state"] == "failed"
    assert asked(url, "errors", "*")[0]["count"] == 13
    planned = asked(url, "retry", "{b}", "--all", "--dry-run")
    assert planned[-1]["summary"]["selected"] == 3


@pytest.mark.slow
def test_reads_side_by_side_find_a_moved_key(cluster: tuple[Topology, Process]) -> None:
    url = cluster[0].url

    async def read() -> list[str]:
        client = connect(parse_target(url).as_cluster(), read_only=True)
        assert isinstance(client, Cluster)
        try:
            reads = (client.execute_command("HGET", f"{BASE}:{at % 3}", "name") for at in range(60))
            return [str(reply) for reply in await asyncio.gather(*reads)]
        finally:
            await client.aclose()

    assert asyncio.run(read()) == ["charge"] * 60


@pytest.mark.slow
def test_several_keys_in_both_halves_are_said_to_be_moving(
    cluster: tuple[Topology, Process],
) -> None:
    from qtui.bullmq.ask import ask
    from qtui.bullmq.connection.client import explain

    target = parse_target(cluster[0].url).as_cluster()

    async def read() -> str:
        client = connect(target, read_only=True)
        try:
            await ask(client, [("EXISTS", f"{BASE}:failed", f"{BASE}:completed")])
        except Exception as error:
            return str(explain(error, target))
        finally:
            await client.aclose()
        return ""

    assert "moves these keys to another node: try again later" in asyncio.run(read())
