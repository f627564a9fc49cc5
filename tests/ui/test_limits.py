"""`l` on the screen: who holds a queue's limits, what is set and released there. `X`: a removal."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio
from bullmq import Queue

from tests.ui.driver import Driver, inspector

META = "bull:mail:meta"


async def add(url: str) -> None:
    """A queue with a job that holds a deduplication id, and a manual rate limit."""
    queue = Queue("mail", {"connection": url})
    await queue.add("mail", {}, {"deduplication": {"id": "once"}})
    await queue.add("mail", {}, {"deduplication": {"id": "other", "ttl": 630_000}})
    await queue.rateLimit(600_000)
    await queue.setGlobalConcurrency(2)
    await queue.close()


async def opened(driver: Driver) -> None:
    await driver.until(lambda: len(driver.inspector.poll.statuses) == 1, "the queue")
    await driver.press("l")
    await driver.sees("0 of 2 jobs active")
    await driver.sees("once")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_it_shows_who_holds_what(redis_url: str, size: tuple[int, int]) -> None:
    await add(redis_url)
    async with inspector(redis_url, size=size) as driver:
        await opened(driver)
        assert "no global limit" in driver.line_with("rate")
        assert "manually: workers with a limiter option start no job" in driver.line_with("limited")
        assert "never" in driver.line_with("once")
        assert "10 m" in driver.line_with("other")
        await driver.press("escape")
        await driver.sees("Queues 1")


@pytest.mark.slow
async def test_limits_are_set_and_released_with_a_plan_each(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url)
    async with inspector(redis_url) as driver:
        await opened(driver)
        for key in ("c", "backspace", "0", "enter"):
            await driver.press(key)
        await driver.sees("pause the queue")
        for key in ("backspace", "5", "enter"):
            await driver.press(key)
        await driver.sees("5, was 2")
        await driver.press("y")
        await driver.sees("0 of 5 jobs active")
        await driver.sees("1 of 1 queue changed")
        assert await client.hget(META, "concurrency") == "5"
        await driver.press("t", *"100/10s", "enter")
        await driver.sees("10.0 s, was none")
        await driver.press("y")
        await driver.sees("100 jobs in 10.0 s")
        await driver.press("r")
        await driver.sees("up to 30.0 s more")
        await driver.press("y")
        await driver.until(lambda: "manually" not in driver.text(), "the release")
        assert not await client.exists("bull:mail:limiter")
        await driver.press("r")
        await driver.sees("No rate limit holds now.")
        await driver.press("D")
        await driver.sees('dedup key "once"')
        await driver.press("y")
        await driver.until(lambda: "once" not in driver.text(), "the release of the key")
        assert not await client.exists("bull:mail:de:once")
        await driver.sees("1 of 1 queue changed · U undoes")
        await driver.press("U")
        await driver.sees("Undo the change of mail")
        await driver.press("y")
        await driver.sees("1 of 1 queue undone")
        assert await client.exists("bull:mail:de:once")
        await driver.press("escape")
        await driver.sees("1 of 1 queue undone")


async def test_esc_while_a_value_is_typed_leaves_all_as_it_is(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url)
    async with inspector(redis_url) as driver:
        await opened(driver)
        await driver.press("c", "9", "escape")
        await driver.press("t", *"none", "enter")
        await driver.sees("The limits already have these values.")
        await driver.press("escape")
        assert await client.hget(META, "concurrency") == "2"


async def test_in_read_only_mode_its_plans_are_dry_runs(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url)
    async with inspector(redis_url, read_only=True) as driver:
        await opened(driver)
        assert "c concurrency" not in driver.text()
        await driver.press("D")
        await driver.sees("Dry run: change the limits of mail")
        await driver.press("y")
        await driver.sees("READ-ONLY: this is a dry run")
        assert await client.exists("bull:mail:de:once")


async def test_a_queue_is_removed_when_its_name_is_typed(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url)
    async with inspector(redis_url) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 1, "the queue")
        await driver.press("X")
        await driver.sees("can't be undone")
        assert driver.app.screen.has_class("-dangerous")
        await driver.press("y")
        await driver.sees("type mail and press enter")
        await driver.type("mai")
        await driver.press("enter")
        assert await client.exists(META)
        await driver.press("l", "enter")
        await driver.sees("1 of 1 queue removed · 2 jobs")
        assert await client.keys("*") == []


async def test_why_a_queue_was_left_alone_is_in_the_line_of_the_action(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await add(redis_url)
    async with inspector(redis_url) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 1, "the queue")
        await driver.press("X")
        await driver.sees("can't be undone")
        await client.lpush("bull:mail:active", "1")  # a worker takes it meanwhile
        await client.set("bull:mail:1:lock", "token")
        await driver.press("y", *"mail", "enter")
        await driver.sees("left alone: 1 · job 1 is active: a worker holds its lock")
        assert await client.exists(META)


async def leave(driver: Driver) -> None:
    """Closes a plan, before the next key is pressed."""
    await driver.press("escape")
    await driver.until(lambda: "esc cancel" not in driver.text(), "the plan to close")


@pytest.mark.slow
async def test_the_line_says_what_is_typed_and_the_undo_what_it_puts_back(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await add(redis_url)
    async with inspector(redis_url, size=(80, 24), journal=tmp_path) as driver:
        await opened(driver)
        await driver.press("t")
        await driver.sees(
            "Rate: most starts, such as 100/10s, or none · enter plans it · esc leaves"
        )
        assert driver.text().count("most starts") == 1, "said once"
        await driver.press("escape")
        await driver.until(lambda: "Rate: " not in driver.text(), "the line to close")
        await driver.press("c")
        await driver.sees("Concurrency: most active jobs, or none · enter plans it")
        await driver.press("enter")
        await driver.sees("The limits already have these values.")
        await leave(driver)
        await driver.press("c")
        await driver.sees("Concurrency: ")
        for key in ("backspace", "5", "enter"):
            await driver.press(key)
        await driver.sees("→ 5, was 2")
        assert not driver.app.screen.has_class("-dangerous")
        await driver.press("y")
        await driver.sees("1 of 1 queue changed")
        await driver.press("U")
        await driver.sees("→ concurrency 2, was 5")
        await leave(driver)
        await driver.press("j", "D")
        await driver.sees('dedup key "other"')
        assert driver.app.screen.has_class("-dangerous")
        await driver.press("y")
        await driver.sees("1 of 1 queue changed")
        await driver.press("U")
        await driver.sees('→ dedup key "other" held by job 2 again')
        await leave(driver)
        await driver.press("r")
        await driver.sees("the rate limit that holds now")
        await driver.press("y")
        await driver.sees("no global limit")
        await driver.until(lambda: "limited" not in driver.text(), "the release")
        await driver.press("U")
        await driver.sees("→ rate limit that holds now holds again, for 9 m")


async def test_where_one_may_only_look_is_said_with_the_queue_s_prefix(redis_url: str) -> None:
    queue = Queue("mail", {"connection": redis_url, "prefix": "{shop}"})
    await queue.add("mail", {})
    await queue.close()
    async with inspector(redis_url, read_only=True, prefixes=("{shop}",)) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 1, "the queue")
        await driver.press("l")
        await driver.sees("no deduplication key is held")
        assert "{shop}:mail" in driver.lines()[0]
        assert "READ-ONLY" in driver.lines()[0]
