"""Jobs that were retried, run once more, and are followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.follower import Follower
from tests.seeds import QUEUE, Processor, RealQueue, failed_jobs, real_queue

FAILED: Final = JobState.FAILED
EVENTS: Final = QUEUE.key("events")


async def began(client: Client, *, state: JobState = FAILED, most: int = 1000) -> Follower:
    follower = Follower(client, QUEUE, state, most=most)
    await follower.begin()
    return follower


async def retry(
    client: Redis, ids: Sequence[str], state: JobState = FAILED, *, made: bool = False
) -> list[Result]:
    picked = [Picked(one) for one in ids]
    done = await RetryWriter(client).retry(QUEUE, state, picked, reset_attempts_made=made)
    return done.results


def by_plan(plan: Mapping[str, str]) -> Processor:
    """Jobs end as the plan says: with an error, or well where it says none."""

    async def process(one: Any, _token: str) -> str:
        if error := plan.get(str(one.id)):
            raise RuntimeError(error)
        return "done"

    return process


@asynccontextmanager
async def retried(
    server: EmbeddedServer, client: Redis, ours: Client, number: int, **options: Any
) -> AsyncIterator[tuple[RealQueue, list[str], Follower]]:
    """Jobs that failed with ``boom``, are followed, and wait once more."""
    async with real_queue(server) as real:
        ids = await failed_jobs(real, number, **options)
        follower = await began(ours)
        follower.add(await retry(client, ids), ["boom"] * number)
        yield real, ids, follower


async def run(real: RealQueue, ends: int, plan: Mapping[str, str] | None = None) -> None:
    async with real.worker(processor=by_plan(plan or {})) as ended:
        await ended(ends)
