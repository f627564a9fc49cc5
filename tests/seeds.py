"""Queues to test on: real ones, made and worked by the official Python package, and raw keyspaces.

Raw ones are written by hand where a release that has no Python package, or garbage, is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import redis.asyncio
from bullmq import Job, Queue, Worker
from redis.typing import EncodableT, FieldT

from qtui.bullmq.keys import QueueKey
from qtui.demo.server import EmbeddedServer
from tests.patience import PATIENCE
from tests.workers import finish

QUEUE: Final = QueueKey.of("bull", "q")
"""The queue of most tests."""

START: Final = 1_700_000_000_000
"""When the first raw job finished, in ms; each next one a second later."""

Fields: TypeAlias = dict[FieldT, EncodableT]


Processor = Callable[[Any, str], Awaitable[Any]]


async def soon(condition: Callable[[], bool]) -> None:
    """Returns as soon as a condition holds that our own event loop brings about."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.001)  # between two looks; the condition decides


class RealQueue:
    """A queue of the official package, and workers that run its jobs.

    A job whose data has an ``error`` fails with it; any other completes with its data's ``result``.
    """

    def __init__(self, url: str, key: QueueKey) -> None:
        """Open it; writes nothing yet."""
        self.key = key
        self.options = {"connection": url, "prefix": key.prefix}
        self.queue: Queue = Queue(key.name, self.options)
        self.ran: list[str] = []
        """Ids in the order in which runs began."""

    async def add(self, *jobs: Mapping[str, Any]) -> list[str]:
        """Adds jobs, each the keywords of `job`."""
        added: list[Job] = await self.queue.addBulk([dict(one) for one in jobs])
        return [str(one.id) for one in added]

    async def work(self, ends: int, concurrency: int = 1) -> None:
        """Lets a worker work until this many runs have ended."""
        async with self.worker(concurrency) as ended:
            await ended(ends)

    @asynccontextmanager
    async def worker(
        self, concurrency: int = 1, processor: Processor | None = None
    ) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """A worker, and what waits until it has ended this many runs."""
        ended = 0

        def end(*_: object) -> None:
            nonlocal ended
            ended += 1

        haste = {"drainDelay": 0.05, "runRetryDelay": 50, "autorun": False}
        options = {**self.options, **haste, "concurrency": concurrency}
        worker = Worker(self.key.name, processor or self._run, options)
        worker.on("completed", end)
        worker.on("failed", end)
        running = asyncio.ensure_future(worker.run())
        try:
            await soon(lambda: worker.running)
            yield lambda ends: soon(lambda: ended >= ends)
        finally:
            async with asyncio.timeout(PATIENCE):
                await finish(worker, running)

    async def _run(self, one: Job, _token: str) -> object:
        self.ran.append(str(one.id))
        if one.data.get("error"):
            raise RuntimeError(one.data["error"])
        return one.data.get("result")


@asynccontextmanager
async def real_queue(server: EmbeddedServer, key: QueueKey = QUEUE) -> AsyncIterator[RealQueue]:
    """A real queue, closed at the end."""
    queue = RealQueue(server.url, key)
    try:
        yield queue
    finally:
        await queue.queue.close()


def job(
    name: str = "charge", *, data: Any = None, error: str = "", **options: Any
) -> dict[str, Any]:
    """A job to add: fails with ``error`` if there is one; ``options`` are BullMQ's."""
    content = data if data is not None else {"error": error}
    return {"name": name, "data": content, "opts": options}


async def failed_jobs(queue: RealQueue, number: int, **options: Any) -> list[str]:
    """Adds jobs and lets each fail once, in order."""
    ids = await queue.add(*(job(error="boom", **options) for _ in range(number)))
    await queue.work(number)
    return ids


def raw_fields(place: int = 0) -> Fields:
    """The hash of a job that failed under 5.x, at `START` and ``place`` seconds."""
    finished = START + 1000 * place
    return {
        "name": "charge",
        "data": "{}",
        "opts": '{"attempts":3}',
        "timestamp": finished - 5000,
        "processedOn": finished - 100,
        "finishedOn": finished,
        "delay": 0,
        "priority": 0,
        "ats": 1,
        "atm": 1,
        "failedReason": "boom",
    }


async def raw_meta(client: redis.asyncio.Redis, queue: QueueKey = QUEUE, **more: str | int) -> None:
    """What makes a queue one of BullMQ's."""
    fields: Fields = {"opts.maxLenEvents": 10_000}
    fields.update(more)
    await client.hset(queue.key("meta"), mapping=fields)


async def raw_failed(
    client: redis.asyncio.Redis,
    ids: Iterable[str],
    queue: QueueKey = QUEUE,
    *,
    state: str = "failed",
    change: Callable[[int], Fields] = lambda place: {},
) -> list[str]:
    """Finished jobs, a second apart, the first the oldest; ``change`` adds to their fields."""
    ids = list(ids)
    await raw_meta(client, queue)
    for start in range(0, len(ids), 1000):
        pipe = client.pipeline(transaction=False)
        for place, job_id in enumerate(ids[start : start + 1000], start):
            pipe.hset(queue.job(job_id), mapping=raw_fields(place) | change(place))
            pipe.zadd(queue.key(state), {job_id: START + 1000 * place})
        await pipe.execute()
    return ids


async def raw_list(
    client: redis.asyncio.Redis, state: str, members: Sequence[str], queue: QueueKey = QUEUE
) -> None:
    """A list state from head to tail, markers and all, with a hash for each job."""
    await raw_meta(client, queue)
    pipe = client.pipeline(transaction=False)
    pipe.rpush(queue.key(state), *members)
    for member in members:
        if not member.startswith("0"):
            fields: Fields = {"name": "n", "timestamp": START, "data": "{}", "opts": "{}"}
            pipe.hset(queue.job(member), mapping=fields)
    await pipe.execute()


async def census(client: redis.asyncio.Redis, queue: QueueKey = QUEUE) -> dict[str, list[str]]:
    """For each id the states in which it is, once for each time."""
    found: dict[str, list[str]] = {}
    for state in ("wait", "paused", "active"):
        for one in await client.lrange(queue.key(state), 0, -1):
            found.setdefault(str(one), []).append(state)
    for state in ("prioritized", "delayed", "waiting-children", "completed", "failed"):
        for member in await client.zrange(queue.key(state), 0, -1):
            found.setdefault(str(member), []).append(state)
    return found
