"""What has become of a retried job, judged by where it is."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader, Whereabouts
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.following.outcome import Fate, Outcome, Outcomes, OutcomeTally, outcome
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
def test_a_place_shows_a_fate(where: Whereabouts, expected: Outcome) -> None:
    assert outcome(where) == expected


def test_what_is_final() -> None:
    still_open = [Fate.WAITING, Fate.ACTIVE, Fate.DELAYED, Fate.UNDONE]
    assert [fate for fate in Fate if not fate.is_final] == still_open


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (OutcomeTally(), "0 of 0 completed"),
        (
            OutcomeTally(completed=482, failed_again=11, waiting=7, errors=(("Timeout", 11),)),
            "482 of 500 completed · 11 failed again (Timeout) · 7 waiting",
        ),
        (
            OutcomeTally(failed_again=1200, errors=(("a", 1000), ("b\x1b", 150), ("c", 50))),
            "0 of 1,200 completed · 1,200 failed again (1,000 a, 150 b␛, 50 others)",
        ),
        (
            OutcomeTally(completed=1, failed_again=2, errors=(("", 2),), retried_since=1),
            "1 of 3 completed · 2 failed again (no reason given)"
            " · 1 retried since by another client",
        ),
        (
            OutcomeTally(active=1, waiting=2, delayed=3, gone=4, beyond=5),
            "0 of 10 completed · 1 active · 2 waiting · 3 delayed (will run again)"
            " · 4 removed (outcome unknown) · 5 not followed",
        ),
        (
            OutcomeTally(failed_again=2, errors=(("x" * 60, 1), ("y\nz", 1))),
            f"0 of 2 completed · 2 failed again (1 {'x' * 47}…, 1 y)",
        ),
    ],
)
def test_a_tally_in_words(tally: OutcomeTally, words: str) -> None:
    assert tally.words() == words


def test_what_many_errors_have_in_common_is_kept_where_each_is_another() -> None:
    outcomes = Outcomes()
    for number in range(12_000):
        job_id = str(number)
        outcomes.add([job_id], [f"{number} bottles of {'a' * (number % 2)}"])
        assert outcomes.fail(job_id, f"{number + 1} bottles of {'a' * (number % 2)}")
    assert outcomes["7"].error == "8 bottles of a"
    assert outcomes["11000"].error == "<n> bottles of"
    tally = outcomes.tally()
    assert tally == outcomes.tally(outcomes)
    assert tally.same_error == 12_000
    assert set(tally.errors) == {("<n> bottles of", 6_000), ("<n> bottles of a", 6_000)}


def test_that_no_two_errors_have_anything_in_common_costs_no_memory() -> None:
    outcomes = Outcomes()
    words = [
        f"{a}{b}{c}"
        for a in "abcdefghijkl"
        for b in "abcdefghijklmnopqrstuvwxyzäöü" * 2
        for c in "abcdefghijklmnopqrstuvwxyzäöüßàáâé"
    ]
    for number, word in enumerate(words):
        outcomes.add([str(number)], [word])
        outcomes.fail(str(number), word)
    assert len({one.error for one in outcomes.values()}) < 10_500
    assert outcomes.tally().failed_again == outcomes.tally().same_error == len(words)


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
        await RetryWriter(any_client).retry(QUEUE, JobState.FAILED, [Picked(one) for one in ids])
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
