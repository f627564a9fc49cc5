"""Schedulers on a stage: made, killed and read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.schedulers.read import read_scheduler, read_schedulers
from qtui.bullmq.schedulers.scheduler import Scheduler
from tests.oracle.stage import Side, job

T = TypeVar("T")

QUEUE: Final = QueueKey.of("bull", "q")
HOUR: Final = 3_600_000


def on(side: Side, work: Callable[[Redis], Awaitable[T]], **options: object) -> T:
    """What comes of some work with a client of ours."""

    async def call() -> T:
        settings = dict(side.client.connection_pool.connection_kwargs)
        client = Redis(
            unix_socket_path=str(settings["path"]),
            db=side.database,
            decode_responses=True,
            encoding_errors="surrogateescape",
            **options,  # type: ignore[arg-type]
        )
        async with client:
            return await work(client)

    return asyncio.run(call())


def schedulers(side: Side, **options: object) -> dict[str, Scheduler]:
    """All schedulers of the queue, by id."""
    page = on(side, lambda client: read_schedulers(client, QUEUE), **options)
    assert page.total == len(page.schedulers)
    return {one.id: one for one in page.schedulers}


def scheduler(side: Side, scheduler_id: str) -> Scheduler:
    """One scheduler in full."""
    found = on(side, lambda client: read_scheduler(client, QUEUE, scheduler_id))
    assert found is not None
    return found


def kill(side: Side) -> None:
    """Let a drain of the release cut the iterations out of `wait` (D1 of 5.41.0 to 6.7.0).

    Iterations that wait behind other jobs are kept by name, and then trimmed by number.
    """
    side.run("drain")


def seed_waiting(side: Side) -> None:
    """Jobs that an iteration comes to wait behind."""
    side.open()
    side.run("add", jobs=[job("one"), job("two")])
