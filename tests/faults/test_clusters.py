"""A cluster in which the queue's slot moves, or its master changes, in the middle of a campaign."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import redis
from redis.crc import key_slot

from tests.bullmq.topologies import Process, cluster_nodes, cluster_replica, until
from tests.faults.campaigns import assert_true, struck
from tests.faults.servers import BASE, JOBS, places, seed

SLOT: Final = key_slot(BASE.encode())
PIECE: Final = 10
"""Keys that are moved at once."""


def client_of(node: Process) -> redis.RedisCluster:
    """A client of the cluster that a node is in."""
    return redis.RedisCluster(host="127.0.0.1", port=node.port, decode_responses=True, protocol=2)


def owner_of(cluster: redis.RedisCluster, nodes: tuple[Process, ...]) -> Process:
    """The node that holds the queue."""
    node = cluster.get_node_from_key(BASE)
    assert node is not None
    [owner] = [one for one in nodes if one.port == node.port]
    return owner


def move_slot(owner: Process, target: Process) -> None:
    """Moves the queue's slot from one node to another, a few keys at a time, and slowly."""
    with owner.admin() as giver, target.admin() as taker:
        names = {
            "from": giver.execute_command("CLUSTER", "MYID"),
            "to": taker.execute_command("CLUSTER", "MYID"),
        }
        taker.execute_command("CLUSTER", "SETSLOT", SLOT, "IMPORTING", names["from"])
        giver.execute_command("CLUSTER", "SETSLOT", SLOT, "MIGRATING", names["to"])
        pieces = 0
        while keys := giver.execute_command("CLUSTER", "GETKEYSINSLOT", SLOT, PIECE):
            where = ("127.0.0.1", target.port, "", 0, 5000)
            giver.execute_command("MIGRATE", *where, "KEYS", *keys)
            pieces += 1
            if pieces % 20 == 0:
                time.sleep(0.05)  # the slower, the longer is the queue in two halves
        for node in (taker, giver):
            node.execute_command("CLUSTER", "SETSLOT", SLOT, "NODE", names["to"])


def test_a_slot_that_is_moved_key_by_key(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = cluster_nodes(stack)
        cluster = stack.enter_context(client_of(nodes[0]))
        ids = seed(cluster)
        owner = owner_of(cluster, nodes)
        target = next(node for node in nodes if node is not owner)
        with owner.admin() as watch:
            url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
            result = struck(url, tmp_path, watch, lambda: move_slot(owner, target))
        with client_of(target) as after:
            assert_true(result, places(after), ids)
        assert (result.code, result.summary["retried"]) == (0, JOBS)


def test_a_replica_that_takes_over(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = cluster_nodes(stack)
        cluster = stack.enter_context(client_of(nodes[0]))
        ids = seed(cluster)
        owner = owner_of(cluster, nodes)
        replica = stack.enter_context(cluster_replica(owner))

        def strike() -> None:
            with replica.admin() as admin:
                admin.execute_command("CLUSTER", "FAILOVER")
                until(lambda: admin.info("replication")["role"] == "master", "it takes over")

        with owner.admin() as watch:
            url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
            result = struck(url, tmp_path, watch, strike)
        with client_of(replica) as after:
            assert_true(result, places(after), ids)
        assert (result.code, result.summary["retried"]) == (0, JOBS)
