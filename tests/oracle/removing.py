"""Removes and restores jobs with qtui on one side of a stage."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import redis.asyncio

from qtui.bullmq.codes import Result
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.scripted.whole import Unread, Whole
from qtui.bullmq.reads.scripted.wholes import Wholes
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.remove import Below, RemoveWriter
from qtui.bullmq.writers.restore import RestoreWriter
from tests.oracle.flow_stage import tree
from tests.oracle.keyspace import Value
from tests.oracle.stage import Side, Stage


def connect_to(side: Side) -> redis.asyncio.Redis:
    """A client to one side that reads replies as qtui does; the caller closes it."""
    return redis.asyncio.Redis(
        unix_socket_path=str(side.where()["socket"]),
        db=side.database,
        decode_responses=True,
        encoding_errors="surrogateescape",
    )


def remove(
    side: Side, ids: Sequence[str | Picked], state: JobState, *below: Below, queue: str = ""
) -> list[Result]:
    """Removes jobs with qtui on one side; nothing else may have gone wrong."""

    async def call() -> Batch:
        async with connect_to(side) as client:
            picked = [one if isinstance(one, Picked) else Picked(one) for one in ids]
            key = QueueKey.of("bull", queue or side.queue)
            return await RemoveWriter(client).remove(key, state, picked, below)

    batch = asyncio.run(call())
    assert batch.note == ""
    return batch.results


def codes(results: Sequence[Result]) -> list[int]:
    return [int(one.code) for one in results]


def events_of(value: Value | None) -> list[dict[str, str]]:
    assert value is not None
    assert isinstance(value[1], list)
    return [dict(one) for one in value[1]]


def add_flow(stage: Stage, *children: str, queue: str = "q", priority: int = 0) -> None:
    """A parent whose children have not run."""
    stage.official.open()
    if queue != "q":
        stage.official.beside(queue).open()
    kids = [tree(one, queue=queue) for one in children]
    stage.official.run("flow", tree=tree("parent", *kids, priority=priority).definition())


def restore(side: Side, gone: Sequence[Whole]) -> list[Result]:
    """Restores jobs that were removed in this order."""

    async def call() -> list[Result]:
        results: list[Result] = []
        async with connect_to(side) as client:
            while left := gone[::-1][len(results) :]:
                batch = await RestoreWriter(client).restore([[one] for one in left])
                assert batch.note == ""
                results += batch.results
        return results

    return asyncio.run(call())


def read_whole(side: Side, ids: Sequence[str], state: JobState, queue: str = "q") -> list[Whole]:
    """The jobs with all that belongs to them."""

    async def call() -> list[Whole | Unread]:
        async with connect_to(side) as client:
            return await Wholes(client, QueueKey.of("bull", queue), state).first_of(ids)

    found = [one for one in asyncio.run(call()) if isinstance(one, Whole)]
    assert len(found) == len(ids)
    return found
