"""`qtui retry` of a whole flow says that parents run after their children, and has them do so."""

from __future__ import annotations

import asyncio

import pytest
from bullmq import FlowProducer

from tests.cli.stage import Stage, connect, invoke, play


@pytest.fixture
def completed(redis_url: str) -> str:
    """A parent and its two children in one queue, completed by the real BullMQ."""

    async def add() -> None:
        producer = FlowProducer(redis_url, {"prefix": "bull"})
        kids = [
            {"name": "kid", "queueName": "payments", "data": {}, "opts": {"jobId": one}}
            for one in ("a", "b")
        ]
        parent = {"name": "sum", "queueName": "payments", "data": {}, "opts": {"jobId": "p"}}
        await producer.add({**parent, "children": kids})
        await producer.close()

    async def act(stage: Stage) -> None:
        await stage.complete(3, 7)

    asyncio.run(add())
    play(redis_url, act)
    return redis_url


def test_a_dry_run_says_which_parents_run_after_their_children(completed: str) -> None:
    which = ("retry", "payments", "--all", "--state", "completed", "--dry-run")
    found = invoke("--redis", completed, *which)
    assert found.code == 0
    assert "▲ 1 parent runs after its children." in found.err
    assert "sum" in found.err
    assert "→ waiting-children, runs after its children" in found.err
    found = invoke("--redis", completed, *which, "--json")
    assert {one["id"]: one["target"] for one in found.objects[:-1]} == {
        "a": "wait",
        "b": "wait",
        "p": "waiting-children",
    }
    assert found.summary["after_children"] == 1
    # Alone it is retried as BullMQ does it.
    found = invoke("--redis", completed, "retry", "payments", "p", *which[3:], "--json")
    assert found.objects[0]["target"] == "wait"
    assert "after_children" not in found.summary


def test_the_flow_runs_again_and_its_results_are_whole(completed: str) -> None:
    command = ("retry", "payments", "--all", "--state", "completed", "--yes", "--json")
    found = invoke("--redis", completed, *command)
    assert found.code == 0
    assert found.objects[-2] == {"id": "p", "code": 1, "target": "waiting-children"}
    assert found.summary["after_children"] == 1
    play(completed, lambda stage: stage.complete(3, 8))
    client = connect(completed)
    assert client.zcard("bull:payments:completed") == 3
    assert client.hgetall("bull:payments:p:processed") == {
        "bull:payments:a": "8",
        "bull:payments:b": "8",
    }


def test_a_completed_parent_of_children_that_are_not_done_is_warned_of(completed: str) -> None:
    invoke("--redis", completed, "retry", "payments", "a", "--state", "completed", "--yes")
    command = ("retry", "payments", "p", "--state", "completed", "--dry-run")
    found = invoke("--redis", completed, *command)
    assert "1 job is a parent with unfinished children" in found.err
    assert "its result lost" in found.err or "stays in active" in found.err


def test_a_family_removed_with_its_children_and_by_name_comes_back_whole(completed: str) -> None:
    """Each child is in the selection itself too, and goes before its parent or with it."""
    client = connect(completed)
    before = {key: client.hgetall(f"bull:payments:{key}") for key in ("a", "b", "p")}
    command = ("remove", "payments", "--all", "--state", "completed", "--with-children")
    removed = invoke("--redis", completed, *command, "--yes", "--json")
    assert client.keys("bull:payments:[abp]*") == []
    back = invoke("--redis", completed, "undo", removed.summary["journal"], "--yes", "--json")
    assert back.code == 0, back.out
    assert back.summary["done"] == removed.summary["done"]
    assert {key: client.hgetall(f"bull:payments:{key}") for key in before} == before
    assert client.zcard("bull:payments:completed") == 3
