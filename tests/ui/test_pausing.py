"""`P` on the screen: one queue, marked queues, a resume, and what a profile or read-only leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio
from bullmq import Queue

from qtui.operations.journal.reading import campaigns
from tests.ui.driver import Driver, inspector


async def add(url: str, *names: str) -> None:
    """Queues of real BullMQ, each with two jobs that wait."""
    for name in names:
        queue = Queue(name, {"connection": url})
        await queue.addBulk([{"name": "mail", "data": {}, "opts": {}} for _ in range(2)])
        await queue.close()


async def is_paused(url: str, name: str) -> bool:
    queue = Queue(name, {"connection": url})
    try:
        return bool(await queue.isPaused())
    finally:
        await queue.close()


async def seen(driver: Driver, queues: int) -> None:
    await driver.until(lambda: len(driver.inspector.poll.statuses) == queues, "the queues")
    await driver.settle()


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_queue_is_paused_and_resumed_with_a_reason(
    redis_url: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    await add(redis_url, "mail")
    async with inspector(redis_url, size=size, journal=tmp_path) as driver:
        await seen(driver, 1)
        await driver.press("P")
        await driver.sees("Pause mail")
        await driver.sees("y pause mail")
        await driver.press("R", *"deploy", "enter")
        await driver.press("y")
        await driver.sees(" mail  1 of 1 queue paused")
        assert await is_paused(redis_url, "mail")
        await driver.sees("‖ mail")
        await driver.press("escape", "P")
        await driver.sees("y resume mail")
        await driver.press("y")
        await driver.sees("1 of 1 queue resumed")
        assert not await is_paused(redis_url, "mail")
        await driver.press("escape", "U")
        await driver.sees("Undo the resume of mail, ")
    assert sorted(one.header.reason for one in campaigns(tmp_path)) == ["", "deploy"]


@pytest.mark.slow
async def test_marked_queues_are_paused_and_others_are_not(redis_url: str) -> None:
    await add(redis_url, "a", "b", "c")
    async with inspector(redis_url) as driver:
        await seen(driver, 3)
        driver.inspector.queues.focus()
        await driver.press("space", "space")  # the second takes the queue below
        await driver.sees("2 queues marked")
        await driver.press("escape")
        await driver.until(lambda: "marked" not in driver.text(), "no marks")
        await driver.press("k", "space", "j", "j", "space")
        await driver.sees("2 queues marked")
        await driver.press("P")
        await driver.sees("Pause 2 queues")
        assert driver.app.screen.has_class("-dangerous")
        await driver.press("y")
        await driver.sees(" 2 queues  2 of 2 queues paused")
        assert [await is_paused(redis_url, name) for name in "abc"].count(True) == 2
        assert "marked" not in driver.text()
        await driver.press("a", "P")
        await driver.sees("Pause 3 queues")
        await driver.sees("paused already")
        await driver.sees("y pause")


async def test_where_another_was_faster_the_line_says_what_it_found(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await add(redis_url, "mail")
    async with inspector(redis_url, journal=tmp_path) as driver:
        await seen(driver, 1)
        await driver.press("P")
        await driver.sees("y pause mail")
        await client.hset("bull:mail:meta", "paused", "1")
        await driver.press("y")
        await driver.sees("0 of 1 queue paused · left alone: 1 · is paused already")
        await client.hdel("bull:mail:meta", "paused")
        await driver.press("ctrl+r")
        await driver.press("P")
        await driver.sees("y pause mail")
        await driver.press("y")
        await driver.sees("1 of 1 queue paused")
        await driver.press("U")
        await driver.sees("y undo 1 queue")
        await client.hdel("bull:mail:meta", "paused")
        await client.rename("bull:mail:paused", "bull:mail:wait")
        await driver.press("y")
        await driver.sees("0 of 1 queue undone · left alone: 1 · is not paused")
        await driver.press("L")
        await driver.sees("undo 1 queue of ")


async def test_in_read_only_mode_it_is_a_dry_run(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url, "mail")
    async with inspector(redis_url, read_only=True) as driver:
        await seen(driver, 1)
        assert "P pause" not in driver.text()
        await driver.press("P")
        await driver.sees("Dry run: pause mail")
        await driver.press("y")
        await driver.sees("READ-ONLY: this is a dry run")
        assert not await client.hexists("bull:mail:meta", "paused")


async def test_all_that_waits_is_in_the_plan_of_one_queue_and_a_long_name_takes_one_line(
    redis_url: str,
) -> None:
    name = "the-queue-with-the-longest-of-all-names-" * 5
    queue = Queue(name, {"connection": redis_url})
    await queue.add("mail", {}, {"delay": 600_000})
    await queue.addBulk([{"name": "mail", "data": {}, "opts": {"priority": 1}}] * 2)
    await queue.addBulk([{"name": "mail", "data": {}}] * 12)
    await queue.close()
    async with inspector(redis_url, size=(80, 24)) as driver:
        await seen(driver, 1)
        await driver.press("P")
        await driver.sees("12 waiting, 2 prioritized, 1 delayed")
        await driver.sees("→ paused, 12 kept in paused")
        [answer] = [line for line in driver.lines() if "esc cancel" in line]
        assert "y pause the-queue" in answer


async def test_all_that_waits_is_in_the_plan_of_many_queues_too(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    """Of more than three it was cut to `12 waiting, 2 prio…` on a narrow screen."""
    names = [f"payments-{place}" for place in range(5)]
    for name in names:
        queue = Queue(name, {"connection": redis_url})
        await queue.add("mail", {}, {"delay": 600_000})
        await queue.addBulk([{"name": "mail", "data": {}, "opts": {"priority": 1}}] * 2)
        await queue.addBulk([{"name": "mail", "data": {}}] * 12)
        await queue.close()
    async with inspector(redis_url, size=(80, 24)) as driver:
        await seen(driver, 5)
        driver.inspector.queues.focus()
        await driver.press("a")
        await driver.press("P")
        await driver.sees("Pause 5 queues")
        await driver.sees("R reason")
        lines = driver.text().splitlines()
        for name in names:
            [at] = [at for at, line in enumerate(lines) if f"1  {name}" in line]
            assert "12 waiting, 2 prioritized, 1 delayed" in lines[at]
            assert "→ paused, 12 kept in paused" in lines[at + 1]


async def test_what_is_refused_for_another_library_reads_as_a_sentence(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await client.set("bull:mail:id", 1)
    await client.lpush("bull:mail:wait", "1")
    await client.hset("bull:mail:1", mapping={"name": "__default__", "data": "{}", "opts": "{}"})
    async with inspector(redis_url) as driver:
        await seen(driver, 1)
        await driver.press("P")
        await driver.sees("mail is a Bull 3/4 queue: ")
        await driver.press("escape")
        await driver.until(lambda: "esc cancel" not in driver.text(), "the plan to close")
        await driver.press("l")
        await driver.sees("no deduplication key is held")
        await driver.press("c")
        await driver.sees("Concurrency: ")
        for key in ("5", "enter"):
            await driver.press(key)
        await driver.sees("mail is a Bull 3/4 queue: ")
