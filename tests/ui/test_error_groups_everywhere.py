"""Error groups of several queues: counted together, and retried in all of them."""

from __future__ import annotations

import pytest
import redis.asyncio
from bullmq import Job

from qtui.bullmq.codes import Code
from qtui.bullmq.keys import QueueKey
from qtui.operations.journal.reading import summary
from qtui.ui.screens.errors import ErrorsScreen
from tests.ui.driver import inspector
from tests.ui.grouping import DECLINED, line_of, open_groups, three_kinds
from tests.ui.stage import fill, succeed, working


async def test_groups_of_all_queues(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    await fill(redis_url, "emails", 3, error=lambda _: "card_declined")
    await fill(redis_url, "reports", 2, error=lambda _: "disk full")
    async with inspector(redis_url) as driver:
        await driver.sees("reports")
        await open_groups(driver, of_all_queues=True)
        assert "4 groups · 17 jobs" in driver.line_with("Errors in 3 queues")
        assert line_of(driver, DECLINED)[0] == "5"
        assert "emails, payments" in driver.line_with(DECLINED)
        await driver.press("G", "enter")
        await driver.sees("2 of 2 match")
        assert driver.inspector.board.queue == QueueKey.of("bull", "reports")
        assert driver.inspector.queues.selected == QueueKey.of("bull", "reports")


async def test_a_group_in_several_queues_is_retried_in_all_as_one_campaign(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    await fill(redis_url, "emails", 4, error=lambda _: "card_declined")
    await fill(redis_url, "reports", 2, error=lambda _: "disk full")
    async with inspector(redis_url, size=(120, 36)) as driver:
        await driver.sees("reports")
        await open_groups(driver, of_all_queues=True)
        await driver.sees("queues")
        await driver.press("j")
        await driver.sees("emails 4 · payments 2")
        await driver.press("r")
        await driver.sees("y retry 6 jobs")
        assert "in 2 queues" in driver.line_with("Retry all failed jobs that match")
        assert "emails" in driver.line_with("→ waiting")
        await driver.press("m", "y")
        await driver.sees("6 of 6 jobs retried")
        assert await client.llen("bull:payments:wait") == 2
        assert await client.llen("bull:emails:wait") == 4
        assert await client.llen("bull:reports:wait") == 0
        assert driver.inspector.board.queue == QueueKey.of("bull", "emails")
        assert "2 queues" in driver.line_with("6 of 6 jobs retried")
        assert driver.text().count("✔ waiting") >= 4

        async def fail(job: Job, token: str) -> object:
            raise RuntimeError("still declined")

        async with (
            working(redis_url, "payments", succeed),
            working(redis_url, "emails", fail),
        ):
            await driver.sees("2 completed")
            await driver.sees("4 failed again")
            await driver.sees("✗ failed again: still")
        [run] = driver.inspector.campaigns.all()
        assert driver.inspector.session.journal is not None
        found = summary(driver.inspector.session.journal, run.id)
        assert (found.phase, found.codes) == ("done", {Code.DONE: 6})
        assert (found.header.selection.kind, found.header.resets["made"]) == ("queries", True)


async def test_all_groups_of_all_queues_are_planned_together(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "emails", 3, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        await open_groups(driver, of_all_queues=True)
        await driver.press("R")
        await driver.sees("y retry 5 jobs")
        assert "Retry all failed jobs in 2 queues" in driver.text()
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, ErrorsScreen), "the groups")
        assert await client.llen("bull:payments:wait") == 0


@pytest.mark.slow
async def test_of_several_queues_one_that_is_busy_waits(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    await fill(redis_url, "emails", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        await open_groups(driver, of_all_queues=True)
        await driver.press("r")
        await driver.sees("y retry 6 jobs")
        await driver.press("t", "y")  # 10 a second: it is still at it for a moment
        await driver.until(lambda: bool(driver.inspector.campaigns.all()), "the campaign")
        [run] = driver.inspector.campaigns.all()
        assert set(run.queues) == {QueueKey.of("bull", "payments"), QueueKey.of("bull", "emails")}
        for queue in run.queues:
            assert driver.inspector.campaigns.on(queue) in (run, None)
        await driver.sees("6 of 6 jobs retried")


@pytest.mark.slow
async def test_read_only_a_retry_in_several_queues_is_a_dry_run(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "emails", 2)
    async with inspector(redis_url, read_only=True) as driver:
        await driver.sees("emails")
        await open_groups(driver, of_all_queues=True)
        await driver.press("r")
        await driver.sees("this is a dry run; nothing will be written")
        await driver.press("y")
        await driver.sees("Dry run: retry all failed jobs that match")
        assert await client.llen("bull:payments:wait") == 0


async def test_one_queue_of_several_has_room_for_its_errors(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    await fill(redis_url, "emails", 2)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.sees("emails")
        await open_groups(driver, of_all_queues=True)
        assert "connect ECONNREFUSED" in driver.text()
        assert "payments" in driver.text()
