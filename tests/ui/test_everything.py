"""Everything that a list is about, marked and retried as a query: the count, and what is not in it.

The jobs are real ones where they are run, raw ones where only their number counts.
"""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from tests.patience import PATIENCE
from tests.seeds import raw_failed
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

BIG = QueueKey.of("bull", "big")
WAIT = "bull:payments:wait"


def by_turns(place: int) -> str:
    return "Timeout" if place % 2 else "ECONNREFUSED"


async def until_waiting(client: redis.asyncio.Redis, jobs: int, key: str = WAIT) -> list[str]:
    """Waits until this many jobs were retried; the ids of those that wait."""
    async with asyncio.timeout(PATIENCE):
        while await client.llen(key) < jobs:
            pass
    return [str(one) for one in await client.lrange(key, 0, -1)]


async def look_for(driver: Driver, words: str) -> None:
    """Types a filter and enters it."""
    await driver.press("slash")
    await driver.press(*words, "enter")


async def test_plus_marks_all_and_again_clears(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 5)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 5")
        await driver.press("plus")
        await driver.sees("all 5 jobs marked")
        assert all("●" in driver.row(one) for one in ids)
        await driver.press("space")
        await driver.sees("All jobs are marked; press + to clear that first.")
        await driver.press("plus")
        assert "marked" not in driver.lines()[-1]
        assert not any("●" in driver.row(one) for one in ids)


async def test_plus_takes_the_place_of_single_marks(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 3")
        await driver.press("space", "plus")
        await driver.sees("all 3 jobs marked")
        await driver.press("plus")
        assert not len(driver.inspector.board.marks)


async def test_everything_is_retried(redis_url: str, client: redis.asyncio.Redis) -> None:
    ids = await fill(redis_url, "payments", 4)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 4")
        await driver.press("plus")
        await driver.press("r")
        await driver.sees("Retry all failed jobs in payments")
        await driver.sees("y retry 4 jobs")
        await driver.press("y")
        assert sorted(await until_waiting(client, 4)) == sorted(ids)
        await driver.sees("✔ waiting")
        assert "marked" not in driver.lines()[-1]


async def test_what_fails_after_it_was_marked_is_not_in_it(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 4)
    async with inspector(redis_url, refresh=0.5) as driver:
        await driver.sees("failed 4")
        await driver.press("plus")
        await driver.sees("all 4 jobs marked")
        new = await fill(redis_url, "payments", 2, name="newcomer")
        await driver.sees("newcomer")
        assert "●" in driver.row(ids[3])
        assert "●" not in driver.row(new[0])
        await driver.press("r")
        await driver.sees("y retry 4 jobs")
        await driver.press("y")
        assert sorted(await until_waiting(client, 4)) == sorted(ids)
        await driver.sees("✔ waiting")
        assert await client.zcard("bull:payments:failed") == 2


async def test_with_a_filter_it_is_what_matches(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 6, error=by_turns)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 6")
        await look_for(driver, "error:timeout")
        await driver.sees("3 of 6 match")
        await driver.press("plus")
        await driver.sees("3 matches marked")
        await driver.press("R")
        await driver.sees("Retry all failed jobs that match error:timeout in payments")
        await driver.sees("y retry 3 jobs")
        await driver.press("y")
        assert sorted(await until_waiting(client, 3)) == [ids[1], ids[3], ids[5]]


@pytest.mark.slow
async def test_the_count_is_a_least_one_while_it_searches(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(1500)], BIG)
    async with inspector(redis_url, scan_rate=500.0) as driver:
        await driver.sees("1,500")
        await driver.press("slash")
        for key in (*"error:boom", "enter"):
            driver.app.simulate_key(key)
        await driver.sees("of 1,500")
        driver.app.simulate_key("plus")
        await driver.sees("at least ")
        await driver.until(lambda: "at least" not in driver.lines()[-1], "the end of the search")
        await driver.sees("1,500 matches marked")


async def test_another_state_clears_everything(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 3")
        await driver.press("plus")
        await driver.sees("all 3 jobs marked")
        await driver.press("2", "1")
        assert "marked" not in driver.lines()[-1]


async def test_jobs_of_every_state_are_marked_but_only_finished_ones_retried(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = [f"j{place}" for place in range(9)]
    await raw_failed(client, ids, QueueKey.of("bull", "payments"))
    for place, state in enumerate(("wait", "active", "paused")):
        await client.lpush(f"bull:payments:{state}", *ids[2 * place : 2 * place + 2])
    for place, state in enumerate(("delayed", "prioritized", "waiting-children"), 3):
        await client.zadd(f"bull:payments:{state}", {ids[place]: 4096 * place, "x": 1})
    async with inspector(redis_url) as driver:
        await driver.sees("failed 9")
        for key in "345678":
            await driver.press(key)
            await driver.until(lambda: driver.inspector.table.length == 2, "both jobs")
            await driver.press("space")
            await driver.sees("1 marked")
            await driver.press("a")
            await driver.sees("2 marked")
            await driver.press("plus")
            await driver.sees("all 2 jobs marked")
            assert driver.text().count(" ● ") + driver.text().count("▌●") == 2
            await driver.press("plus", "v", "j", "v")
            await driver.sees("2 marked")
            await driver.press("a")
        await driver.press("3", "r")
        await driver.sees("Only failed and completed jobs can be retried")
        await driver.press("R")
        await driver.sees("Only failed and completed jobs can be retried")


async def test_read_only_plans_a_dry_run_of_everything(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, read_only=True) as driver:
        await driver.sees("failed 3")
        await driver.press("plus")
        await driver.sees("Read-only: actions and marks are off")
        await driver.press("R")
        await driver.sees("Dry run: retry all failed jobs in payments")
        await driver.sees("this is a dry run; nothing will be written")


async def test_above_a_hundred_the_count_is_typed(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(101)], BIG)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 101")
        await driver.press("R")
        await driver.sees("y retry 101 jobs")
        await driver.press("y")
        await driver.sees("type 101 to retry 101 jobs")
        await driver.press("1", "1", "0")
        assert await client.llen("bull:big:wait") == 0
        assert "type 101 to retry" in driver.text()
        await driver.press("backspace", "backspace", "0", "1")
        assert len(await until_waiting(client, 101, "bull:big:wait")) == 101


@pytest.mark.slow
async def test_up_to_a_hundred_a_key_is_enough(redis_url: str, client: redis.asyncio.Redis) -> None:
    await raw_failed(client, [f"j{place}" for place in range(100)], BIG)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 100")
        await driver.press("R")
        await driver.sees("y retry 100 jobs")
        await driver.press("y")
        assert len(await until_waiting(client, 100, "bull:big:wait")) == 100


@pytest.mark.slow
async def test_a_plan_that_is_left_retries_nothing_and_keeps_the_marks(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 3")
        await driver.press("plus")
        await driver.press("r")
        await driver.sees("y retry 3 jobs")
        await driver.press("escape")
        await driver.sees("all 3 jobs marked")
        assert await client.llen(WAIT) == 0


@pytest.mark.slow
async def test_more_than_can_be_marked_one_by_one_is_one_query(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(10_050)], BIG)
    async with inspector(redis_url) as driver:
        await driver.sees("10,050")
        await driver.press("a")
        await driver.sees("Marked only the first 10,000 of 10,050 jobs;")
        await driver.press("plus")
        await driver.sees("all 10,050 jobs marked")
        assert not len(driver.inspector.board.marks)
