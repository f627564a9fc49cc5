"""Jobs that the tests of the script retry, and how."""

from __future__ import annotations

from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from tests.seeds import (
    QUEUE,
)

FAILED, COMPLETED = JobState.FAILED, JobState.COMPLETED


def picked(ids: list[str] | str, score: float | None = None) -> list[Picked]:
    return [Picked(one, score) for one in ids]


async def codes(client: Redis, jobs: list[Picked], queue: QueueKey = QUEUE) -> list[int]:
    batch = await RetryWriter(client).retry(queue, FAILED, jobs)
    assert [result.job_id for result in batch.results] == [one.job_id for one in jobs]
    return [int(result.code) for result in batch.results]


async def digest(client: Redis) -> object:
    return await client.execute_command("DEBUG", "DIGEST")
