"""Edits, new jobs and copies on a cluster, and their undo: one slot holds a whole queue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.options import new_job
from qtui.operations.add.plan import copy_of, plan_add, read_copied
from qtui.operations.edit.plan import Wish
from tests.bullmq.topologies import Topologies
from tests.operations.editing import plan_edit
from tests.operations.undoing import carried_out, undone

QUEUE = QueueKey.of("{bull}", "pay")


@pytest.fixture
async def cluster(topologies: Topologies) -> AsyncIterator[Client]:
    """A client of an empty cluster."""
    client = connect(parse_target(topologies.get("cluster").url), read_only=False)
    yield client
    await client.aclose()


async def _failed(client: Client) -> None:
    """A queue of 5.81.5 with one failed job that has a priority."""
    await client.hset(QUEUE.key("meta"), "version", "bullmq:5.81.5")
    await client.hset(QUEUE.key("meta"), "opts.maxLenEvents", "10")
    fields = {
        "name": "charge",
        "data": '{"n":1}',
        "opts": '{"attempts":1,"priority":2}',
        "timestamp": "1",
        "delay": "0",
        "priority": "2",
        "atm": "1",
        "ats": "1",
        "processedOn": "2",
        "finishedOn": "3",
        "failedReason": "boom",
        "stacktrace": "[]",
    }
    for field, value in fields.items():
        await client.hset(QUEUE.job("f"), field, value)
    await client.zadd(QUEUE.key("failed"), {"f": 3})


async def test_an_edit_with_retry_is_one_step_and_can_be_undone(
    cluster: Client, tmp_path: Path
) -> None:
    await _failed(cluster)
    before = await cluster.hgetall(QUEUE.job("f"))
    plan = await plan_edit(cluster, QUEUE, "f", Wish(data='{"n": 2}', priority=0, retry=True))
    assert plan.refusal == ""
    [result] = await carried_out(cluster, tmp_path, plan.action(cluster))
    assert (result.code, result.target) == (Code.DONE, "wait")
    assert await cluster.lrange(QUEUE.key("wait"), 0, -1) == ["f"]
    assert await cluster.hget(QUEUE.job("f"), "data") == '{"n":2}'
    _, [back] = await undone(cluster, tmp_path)
    assert back.code is Code.DONE, back
    assert await cluster.llen(QUEUE.key("wait")) == 0
    assert await cluster.zscore(QUEUE.key("failed"), "f") == 3
    assert await cluster.hgetall(QUEUE.job("f")) == before


async def test_a_new_job_and_a_copy_are_added_and_taken_back(
    cluster: Client, tmp_path: Path
) -> None:
    await _failed(cluster)
    plan = await plan_add(cluster, QUEUE, new_job("n", "{}", {"delay": 60_000}))
    [result] = await carried_out(cluster, tmp_path, plan.action(cluster))
    assert (result.code, result.target) == (Code.DONE, "delayed")
    assert await cluster.zrange(QUEUE.key("delayed"), 0, -1) == [result.job_id]
    _, [back] = await undone(cluster, tmp_path)
    assert back.code is Code.DONE, back
    assert await cluster.zcard(QUEUE.key("delayed")) == 0

    copy = copy_of(await read_copied(cluster, QUEUE, "f"))
    plan = await plan_add(cluster, QUEUE, copy, copied="f")
    [result] = await carried_out(cluster, tmp_path, plan.action(cluster))
    assert (result.code, result.target) == (Code.DONE, "prioritized")
    made = await cluster.hgetall(QUEUE.job(result.job_id))
    assert (made["name"], made["data"]) == ("charge", '{"n":1}')
    assert json.loads(made["opts"]) == {"attempts": 1, "priority": 2}
    _, [back] = await undone(cluster, tmp_path)
    assert back.code is Code.DONE, back
    assert await cluster.exists(QUEUE.job(result.job_id)) == 0
    assert await cluster.hget(QUEUE.job("f"), "failedReason") == "boom"
