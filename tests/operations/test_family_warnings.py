"""The plan of a plain retry knows what it leaves behind in flows."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.operations.planning.family_warnings import Trouble, family_warnings
from tests.operations.flows import (
    KIDS,
    raw_flow,
)
from tests.seeds import QUEUE

FAILED = JobState.FAILED


async def warnings_for(
    client: Redis, queue: QueueKey, ids: Sequence[str]
) -> list[tuple[Trouble, str]]:
    reader = Reader(client)
    rows = await reader.rows(queue, FAILED, ids)
    found = await family_warnings(client, queue, rows, await reader.evidence(queue))
    return [(one.trouble, one.sentence) for one in found]


async def test_a_plain_retry_is_warned_of_what_it_leaves_behind(client: Redis) -> None:
    await raw_flow(client, 3)
    await client.hset(QUEUE.key("meta"), "version", "bullmq:5.81.5")
    assert await warnings_for(client, KIDS, ["c0", "c1"]) == [
        (
            Trouble.PARENT_STAYS_FAILED,
            "2 jobs are children of a failed parent, which stays failed even if they complete: "
            "rerun the flow's failed jobs instead.",
        )
    ]
    assert await warnings_for(client, QUEUE, ["p"]) == [
        (
            Trouble.PARENT_FAILS_AGAIN,
            "1 job is a parent with unfinished children; retried alone, such a job runs, its "
            "completion is refused (-4, -9), and it fails again: "
            "rerun the flow's failed jobs instead.",
        )
    ]
    # An older release keeps the failed child among the pending ones, and the parent in active.
    await client.hset(QUEUE.key("meta"), "version", "bullmq:4.18.3")
    assert [one for one, _ in await warnings_for(client, QUEUE, ["p"])] == [Trouble.PARENT_IS_STUCK]


async def test_jobs_without_a_family_are_not_warned_of(client: Redis) -> None:
    await raw_flow(client, 0)
    assert await warnings_for(client, QUEUE, ["p", "gone"]) == []
