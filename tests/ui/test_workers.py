"""`w` on the screen: who works on a queue, on which job, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis.asyncio
from bullmq import Job, Queue

from tests.patience import PATIENCE
from tests.ui.driver import Driver, inspector
from tests.ui.stage import working


@asynccontextmanager
async def busy(url: str, *names: str, queue: str = "mail") -> AsyncIterator[asyncio.Event]:
    """Workers of these names that hold a job each until the event is set."""
    release, started = asyncio.Event(), asyncio.Semaphore(0)

    async def hold(job: Job, token: str) -> None:
        started.release()
        await release.wait()

    source = Queue(queue, {"connection": url})
    async with AsyncExitStack() as stack:
        for name in names:
            await source.add("charge", {})
            one = working(url, queue, hold, name=name, concurrency=1)
            await stack.enter_async_context(one)
            async with asyncio.timeout(PATIENCE):
                await started.acquire()
        await source.close()
        try:
            yield release
        finally:
            release.set()


async def opened(driver: Driver) -> None:
    await driver.until(lambda: driver.inspector.board.queue is not None, "a queue")
    await driver.press("w")
    await driver.sees(" Workers ")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_a_worker_and_its_job_are_one_row(redis_url: str, size: tuple[int, int]) -> None:
    async with busy(redis_url, "mailer-1"), inspector(redis_url, size=size) as driver:
        await opened(driver)
        await driver.sees("1 busy · 1 active job")
        assert "mail" in driver.lines()[0]
        row = driver.line_with("mailer-1")
        assert row.split()[1 if size[0] < 101 else 2 :][:2] == ["1", "charge"]
        assert "expired" not in row
        await driver.sees("job 1 charge · active for ")
        assert "lock left " in driver.text()
        assert "enter open the job" in driver.lines()[-1]
        await driver.press("enter")
        await driver.sees("Job 1 is active in mail.")


async def test_a_lock_that_has_expired_is_loud_and_the_list_follows(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    async with busy(redis_url, "one") as release, inspector(redis_url, refresh=0.2) as driver:
        await opened(driver)
        await driver.sees("1 busy")
        lock = "bull:mail:1:lock"
        token = await client.get(lock) or ""
        await client.delete(lock)
        await driver.sees("1 without a lock")
        await driver.sees("the next check of a worker puts it back or fails it")
        assert "expired" in driver.line_with("charge")
        await client.set(lock, token, px=30_000)
        await driver.until(lambda: "without a lock" not in driver.text(), "the lock")
        release.set()
        await driver.until(lambda: "0 active jobs" in driver.text(), "the end of the job")
        await driver.sees("idle")


async def test_all_queues_and_those_whose_jobs_have_no_worker(redis_url: str) -> None:
    lonely = Queue("[/lonely]\x1b[31m", {"connection": redis_url})
    await lonely.addBulk([{"name": "a", "data": {}}] * 3)
    async with busy(redis_url, "one"), inspector(redis_url, size=(80, 24)) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 2, "both queues")
        driver.inspector.queues.focus()
        await driver.press("w")
        await driver.sees("2 queues")
        await driver.sees("none seen")
        assert "3 waiting" in driver.line_with("none seen")
        assert "[/lonely]␛[31m" in driver.line_with("none seen")
        assert "mail" in driver.line_with("charge")
        assert "\x1b" not in driver.text()
        await driver.press("enter")
        await driver.sees("There is no job here.")
        await driver.press("escape")
        assert "Workers" not in driver.lines()[0]
    await lonely.close()


async def test_a_user_who_may_only_read_sees_the_jobs_and_which_right_is_lacking(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    rights = ("on", "nopass", "~bull:*", "+@read", "+ping")
    await client.execute_command("ACL", "SETUSER", "watcher", *rights)
    url = redis_url.replace("unix://", "unix://watcher:secret@")
    async with busy(redis_url, "one"):
        try:
            async with inspector(url, read_only=True) as driver:
                await opened(driver)
                await driver.sees("idle workers need +client|list")
                assert "READ-ONLY" in driver.lines()[0]
                assert "workers unknown · 1 busy" in driver.lines()[0]
                assert "charge" in driver.text()

        finally:
            await client.acl_deluser("watcher")


async def test_whether_a_queue_has_workers_is_unknown_to_a_user_who_may_not_see_connections(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    lonely = Queue("lonely", {"connection": redis_url})
    await lonely.add("a", {})
    await lonely.close()
    rights = ("on", "nopass", "~bull:*", "+@read", "+ping")
    await client.execute_command("ACL", "SETUSER", "watcher", *rights)
    try:
        url = redis_url.replace("unix://", "unix://watcher:secret@")
        async with inspector(url, read_only=True) as driver:
            await opened(driver)
            await driver.sees("1 waiting")
            assert "unknown" in driver.line_with("1 waiting")
            await driver.sees("workers unknown: this user may not see the connections")
            assert "none seen" not in driver.text()
    finally:
        await client.acl_deluser("watcher")


async def test_the_cursor_stays_with_its_job_while_others_come(redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(busy(redis_url, "one"))
        driver = await stack.enter_async_context(inspector(redis_url, refresh=0.2))
        await opened(driver)
        await driver.sees("1 busy")
        await stack.enter_async_context(busy(redis_url, "two"))
        await driver.sees("2 busy")
        await driver.press("G")
        under = next(line for line in driver.lines() if line.startswith("▌"))
        await stack.enter_async_context(busy(redis_url, "three"))
        await driver.sees("3 busy")
        now = next(line for line in driver.lines() if line.startswith("▌"))
        assert now.split()[:2] == under.split()[:2]
