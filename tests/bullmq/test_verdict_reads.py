"""Why a job waits is read at a price that does not grow with the line before it."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from qtui.bullmq.model import JobState
from qtui.bullmq.verdicts.job import COUNTED, judge_job, read_job_facts
from qtui.bullmq.verdicts.queue import read_queue_facts
from tests.seeds import QUEUE


@pytest.mark.parametrize("near", [None, JobState.WAITING])
@pytest.mark.parametrize(
    ("ahead", "words"), [(COUNTED + 5, "behind at least 10,000 jobs"), (3, "behind 3 jobs")]
)
async def test_a_place_far_back_in_line_is_not_looked_for(
    client: Redis, near: JobState | None, ahead: int, words: str
) -> None:
    await client.rpush(QUEUE.key("wait"), "last", *map(str, range(ahead)))
    await client.hset(QUEUE.job("last"), mapping={"name": "a", "timestamp": "1"})
    await client.rpush(QUEUE.key("active"), "busy")
    job = await read_job_facts(client, QUEUE, "last", near=near)
    queue = await read_queue_facts(client, QUEUE, workers=1)
    assert job.state is JobState.WAITING
    assert judge_job(job, queue).words == words


async def test_a_job_that_has_begun_meanwhile_is_active(client: Redis) -> None:
    await client.rpush(QUEUE.key("active"), "begun")
    await client.hset(QUEUE.job("begun"), mapping={"name": "a", "timestamp": "1"})
    job = await read_job_facts(client, QUEUE, "begun", near=JobState.WAITING)
    assert job.state is JobState.ACTIVE
