"""Removals and their undo on a cluster, where a parent may be in another slot."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.scripted.whole import Unread, Whole
from qtui.bullmq.reads.scripted.wholes import Wholes
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.restore import RestoreWriter
from tests.bullmq.topologies import Topologies

WAITING = JobState.WAITING
HERE, THERE = QueueKey.of("{bull}", "kids"), QueueKey.of("{other}", "q")


@pytest.fixture
async def cluster(topologies: Topologies) -> AsyncIterator[Client]:
    """A client of an empty cluster."""
    topology = topologies.get("cluster")
    client = connect(parse_target(topology.url), read_only=False)
    yield client
    await client.aclose()


async def _flow(client: Client, parent: QueueKey) -> None:
    for queue in (HERE, parent):
        await client.hset(queue.key("meta"), "opts.maxLenEvents", "10")
    await client.hset(parent.job("p"), "timestamp", "1")
    await client.zadd(parent.key("waiting-children"), {"p": 1})
    await client.sadd(parent.job("p", "dependencies"), HERE.job("c"))
    await client.hset(HERE.job("c"), "timestamp", "1")
    await client.hset(HERE.job("c"), "parentKey", parent.job("p"))
    await client.lpush(HERE.key("wait"), "c")


async def _whole(client: Client) -> Whole | Unread:
    [found] = await Wholes(client, HERE, WAITING).first_of(["c"])
    return found


async def test_a_parent_in_the_same_slot_runs_and_waits_again(cluster: Client) -> None:
    parent = QueueKey.of("{bull}", "parents")
    await _flow(cluster, parent)
    whole = await _whole(cluster)
    assert isinstance(whole, Whole)
    batch = await RemoveWriter(cluster).remove(HERE, WAITING, [Picked("c")])
    assert (batch.results[0].target, batch.note) == (f"released {parent.job('p')}", "")
    assert await cluster.lrange(parent.key("wait"), 0, -1) == ["p"]
    back = await RestoreWriter(cluster).restore([[whole]])
    assert (int(back.results[0].code), back.note) == (1, "")
    assert await cluster.lrange(HERE.key("wait"), 0, -1) == ["c"]
    assert await cluster.zscore(parent.key("waiting-children"), "p") == 1
    assert await cluster.smembers(parent.job("p", "dependencies")) == {HERE.job("c")}


async def test_a_job_whose_parent_is_in_another_slot_stays(cluster: Client) -> None:
    """Else the parent, which can't be changed, would wait for ever."""
    await _flow(cluster, THERE)
    assert isinstance(await _whole(cluster), Unread)
    [result] = (await RemoveWriter(cluster).remove(HERE, WAITING, [Picked("c")])).results
    assert int(result.code) == 0
    assert "non local key" in result.error or "CROSSSLOT" in result.error
    assert await cluster.lrange(HERE.key("wait"), 0, -1) == ["c"]
    assert await cluster.exists(HERE.job("c")) == 1
