"""What has become of a retried job, told from where it stands."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from qtui.bullmq.model import JobState
from qtui.bullmq.reader import Reader, Whereabouts
from qtui.bullmq.writer import Picked, Writer
from qtui.demo.server import EmbeddedServer
from qtui.retry.outcome import Fate, Outcome, outcome
from tests.seeds import QUEUE, failed_jobs, real_queue


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Whereabouts(JobState.WAITING), Outcome(Fate.WAITING)),
        (Whereabouts(JobState.PAUSED), Outcome(Fate.WAITING)),
        (Whereabouts(JobState.PRIORITIZED, score=5), Outcome(Fate.WAITING)),
        # It failed once more, and attempts are left: BullMQ waits before it tries again.
        (Whereabouts(JobState.DELAYED, score=5), Outcome(Fate.WAITING)),
        (Whereabouts(JobState.WAITING_CHILDREN, score=5), Outcome(Fate.WAITING)),
        (Whereabouts(JobState.ACTIVE), Outcome(Fate.ACTIVE)),
        (Whereabouts(JobState.COMPLETED, score=5), Outcome(Fate.COMPLETED)),
        (
            Whereabouts(JobState.FAILED, score=5, failed_reason="\nTimeout\x1b\nat x"),
            Outcome(Fate.FAILED_AGAIN, "Timeout␛"),
        ),
        (Whereabouts(JobState.FAILED, score=5), Outcome(Fate.FAILED_AGAIN)),
        # Between two places, or in a list that was not searched.
        (Whereabouts(None), Outcome(Fate.WAITING)),
        (Whereabouts(None, exists=False), Outcome(Fate.GONE)),
        (Whereabouts(JobState.FAILED, exists=False, score=5), Outcome(Fate.FAILED_AGAIN)),
    ],
)
def test_a_place_tells_a_fate(where: Whereabouts, expected: Outcome) -> None:
    assert outcome(where) == expected


def test_what_is_final() -> None:
    assert [fate for fate in Fate if not fate.is_final] == [Fate.WAITING, Fate.ACTIVE]


async def test_a_real_job_from_its_retry_to_its_end(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    reader, gate = Reader(any_client), asyncio.Event()
    started = asyncio.Event()

    async def hold(*_: object) -> str:
        started.set()
        await gate.wait()
        return "done"

    async def fate(job_id: str) -> Outcome:
        return outcome((await reader.whereabouts(QUEUE, [job_id]))[job_id])

    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 3, attempts=1)
        assert await fate(ids[0]) == Outcome(Fate.FAILED_AGAIN, "boom")
        await Writer(any_client).retry(QUEUE, JobState.FAILED, [Picked(one) for one in ids])
        await any_client.hset(QUEUE.job(ids[2]), "opts", '{"removeOnComplete":true}')
        assert await fate(ids[0]) == Outcome(Fate.WAITING)
        async with real.worker(processor=hold) as ended:
            await started.wait()
            assert await fate(ids[0]) == Outcome(Fate.ACTIVE)
            assert await fate(ids[1]) == Outcome(Fate.WAITING)
            gate.set()
            await ended(3)
        assert await fate(ids[0]) == Outcome(Fate.COMPLETED)
        assert await fate(ids[2]) == Outcome(Fate.GONE)
