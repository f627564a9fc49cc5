"""Real BullMQ queues for the screen's tests, made and worked by the official Python package."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bullmq import Job, Queue, Worker

from tests.patience import PATIENCE
from tests.workers import end


async def fill(
    url: str,
    queue: str,
    jobs: int,
    *,
    error: Callable[[int], str] = lambda place: "connect ECONNREFUSED 10.0.0.7:5432",
    name: str = "charge",
    data: Callable[[int], object] = lambda place: {"customer": f"cus_{place}"},
    opts: dict[str, Any] | None = None,
) -> list[str]:
    """Adds jobs and lets a worker fail them all; their ids, oldest first."""
    source = Queue(queue, {"connection": url})
    bulk = [
        {"name": name, "data": data(place), "opts": {"attempts": 1, **(opts or {})}}
        for place in range(jobs)
    ]
    before = (await source.getJobCounts("failed"))["failed"]
    added = await source.addBulk(bulk)
    places = {job.id: place for place, job in enumerate(added)}

    async def fail(job: Job, token: str) -> object:
        raise RuntimeError(error(places[job.id]))

    async with working(url, queue, fail):
        await until_failed(source, before + jobs)
    await source.close()
    return [job.id for job in added]


async def until_failed(queue: Queue, jobs: int) -> None:
    """Waits until this many jobs are in failed."""
    deadline = time.monotonic() + PATIENCE
    while (await queue.getJobCounts("failed"))["failed"] < jobs:
        assert time.monotonic() < deadline, "the jobs did not fail in time"


@asynccontextmanager
async def working(
    url: str, queue: str, processor: Callable[[Job, str], Any], **opts: object
) -> AsyncIterator[Worker]:
    """A worker on a queue for as long as the block lasts."""
    worker = Worker(queue, processor, {"connection": url, "concurrency": 8, **opts})
    try:
        yield worker
    finally:
        await end(worker)


async def succeed(job: Job, token: str) -> object:
    """A processor whose provider came back."""
    return {"ok": job.id}


class Clock:
    """The time of day, which can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        self._true = true = time.time
        monkeypatch.setattr(time, "time", lambda: true() + self._ahead)

    @property
    def now(self) -> float:
        """The time by this clock, ms since the epoch."""
        return 1000 * (self._true() + self._ahead)

    def forward(self, hours: float = 0.0, *, seconds: float = 0.0) -> None:
        """Lets time pass."""
        self._ahead += 3600 * hours + seconds
