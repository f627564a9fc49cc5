"""Campaigns on several queues at once: each has its line, `x` stops the right one, `q` asks."""

from __future__ import annotations

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from tests.seeds import raw_failed
from tests.ui.driver import Driver, inspector

QUEUES = [QueueKey.of("bull", name) for name in ("emails", "payments")]
EMAILS, PAYMENTS = QUEUES
JOBS = 600
"""At 10 a second they last a minute, however busy the machine is."""


async def begin_slowly(driver: Driver, queue: QueueKey) -> None:
    """Retries all failed jobs of a queue, 10 a second."""
    driver.inspector.lists.go_to_queue(queue)
    await driver.settle()
    await driver.press("R")
    await driver.sees(f"in {queue.name}")
    await driver.sees(f"y retry {JOBS} jobs")
    if "10 jobs/s" not in driver.text():
        await driver.press("t")
    await driver.press("y", *str(JOBS))
    await driver.until(lambda: driver.inspector.campaigns.on(queue), f"the retry of {queue.name}")


@pytest.mark.slow
async def test_each_queue_has_its_campaign_and_its_line(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    for queue in QUEUES:
        await raw_failed(client, [f"j{place}" for place in range(JOBS)], queue)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 2, "both queues")
        await begin_slowly(driver, EMAILS)
        await driver.press("R")
        await driver.sees("Another action is still running on this queue (x stops it).")
        await begin_slowly(driver, PAYMENTS)
        await driver.sees(" payments  retrying: ")
        await driver.sees(" emails  retrying: ")
        await driver.press("x")  # that of the queue shown
        await driver.sees(" payments  stopped")
        assert " emails  retrying: " in driver.text()
        await driver.press("x")  # the only one left, though another queue is shown
        await driver.sees(" emails  stopped")
        await driver.press("x")
        await driver.sees("Nothing is running.")
        await driver.press("escape")
        await driver.until(lambda: "stopped" not in driver.text(), "the lines to go")


@pytest.mark.slow
async def test_x_asks_where_several_run_elsewhere(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    others = QueueKey.of("bull", "others")
    for queue in (*QUEUES, others):
        await raw_failed(client, [f"j{place}" for place in range(JOBS)], queue)
    async with inspector(redis_url) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 3, "the queues")
        for queue in QUEUES:
            await begin_slowly(driver, queue)
        driver.inspector.lists.go_to_queue(others)
        await driver.settle()
        await driver.press("x")
        await driver.sees("Stop which?")
        assert "1 payments" in driver.text()
        await driver.press("9", "2")
        await driver.sees(" emails  stopped")
        assert driver.inspector.campaigns.on(PAYMENTS) is not None


@pytest.mark.slow
@pytest.mark.parametrize("yes", [True, False])
async def test_quitting_names_what_runs_and_stops_all(
    redis_url: str, client: redis.asyncio.Redis, *, yes: bool
) -> None:
    for queue in QUEUES:
        await raw_failed(client, [f"j{place}" for place in range(JOBS)], queue)
    async with inspector(redis_url) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 2, "both queues")
        for queue in QUEUES:
            await begin_slowly(driver, queue)
        await driver.press("q")
        await driver.sees("Still running: retrying in payments, retrying in emails.")
        if not yes:
            await driver.press("n")
            assert len(driver.inspector.campaigns.under_way) == 2
            return
        inspector_screen = driver.inspector
        driver.app.simulate_key("y")
        await driver.until(lambda: not inspector_screen.campaigns.under_way, "the end of both")
    left = [await client.zcard(queue.key("failed")) for queue in QUEUES]
    assert all(0 < one < JOBS for one in left)
