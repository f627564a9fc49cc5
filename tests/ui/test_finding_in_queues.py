"""From the queue list: a job by its id wherever it is, and a queue by its name."""

from __future__ import annotations

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from tests.ui.driver import inspector
from tests.ui.stage import fill


async def test_an_id_is_found_in_whichever_queue_it_is(redis_url: str) -> None:
    await fill(redis_url, "payments", 5)
    await fill(redis_url, "emails", 1)
    [wanted] = await fill(redis_url, "reports", 1, opts={"jobId": "abc-1"})
    async with inspector(redis_url) as driver:
        await driver.sees("payments")
        driver.inspector.queues.focus()
        await driver.press("slash")
        assert "finds a job in any queue" in driver.lines()[-2]
        await driver.type(f"id:{wanted}")
        await driver.press("enter")
        await driver.sees("Job abc-1 is failed in reports")
        assert driver.inspector.board.queue == QueueKey.of("bull", "reports")
        assert driver.inspector.board.state is JobState.FAILED
        assert driver.inspector.table.cursor_id == wanted


async def test_an_id_in_two_queues_asks_which(redis_url: str) -> None:
    await fill(redis_url, "payments", 2, opts=None)
    await fill(redis_url, "emails", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("payments")
        driver.inspector.queues.focus()
        await driver.press("slash")
        await driver.press(*"id:1", "enter")
        await driver.sees("Several queues hold a job 1")
        assert driver.line_with("payments  ")
        await driver.press("j", "enter")
        await driver.sees("Job 1 is failed in emails")
        assert driver.inspector.board.queue == QueueKey.of("bull", "emails")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("id:none", "No job none in 2 queues."),
        ("error:x", "No queue name contains error:x."),
        ("nowhere", "No job nowhere in 2 queues."),
    ],
)
async def test_what_is_nowhere_is_said(redis_url: str, typed: str, said: str) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "emails", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        driver.inspector.queues.focus()
        before = driver.inspector.board.queue
        await driver.press("slash")
        await driver.press(*typed, "enter")
        await driver.sees(said)
        assert driver.inspector.board.queue == before
        assert "enter jobs" in driver.lines()[-1], "the keys are back"


async def test_a_word_goes_to_the_queue_of_that_name(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "emails", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        driver.inspector.queues.focus()
        await driver.press("slash")
        await driver.press(*"EMAI", "enter")
        await driver.until(
            lambda: driver.inspector.board.queue == QueueKey.of("bull", "emails"), "the queue"
        )
        assert driver.inspector.queues.selected == QueueKey.of("bull", "emails")
        await driver.sees("failed 1")
