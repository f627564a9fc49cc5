"""`U` on the screen and `u` in the journal: what was done is taken back, and that is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill, succeed, working


async def state_of(client: redis.asyncio.Redis) -> tuple[object, object]:
    return (
        await client.zrange("bull:payments:failed", 0, -1, withscores=True),
        await client.lrange("bull:payments:wait", 0, -1),
    )


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_a_retry_is_undone_and_that_undone_in_turn(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path, size: tuple[int, int]
) -> None:
    ids = await fill(redis_url, "payments", 3)
    before = await state_of(client)
    async with inspector(redis_url, size=size, journal=tmp_path) as driver:
        await driver.sees("failed 3")
        await driver.press("U")
        await driver.sees("Nothing to undo: the journal has no operation on this server.")
        await driver.press("a")
        await driver.press("r")
        await driver.sees("y retry 3 jobs")
        await driver.press("y")
        await driver.sees("3 of 3 jobs retried")
        after = await state_of(client)
        await driver.press("U")
        await driver.sees("Undo the retry of 3 jobs in payments")
        await driver.sees("y undo 3 jobs")
        await driver.press("y")
        await driver.sees("3 of 3 jobs undone")
        assert await state_of(client) == before
        assert "✔ undone" in driver.row(ids[0])
        await driver.press("L")
        await driver.sees(" u undo ")
        await driver.press("u")
        await driver.sees("Undo the undo of 3 jobs in payments")
        await driver.sees("y undo 3 jobs")
        await driver.press("y")
        await driver.until(lambda: not driver.inspector.campaigns.under_way, "its end")
        await driver.sees("3 of 3 jobs undone")
        assert await state_of(client) == after


async def test_the_key_bar_has_the_undo_only_where_there_is_something_to_undo(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    """Also over the inspector, and where another qtui did it before this one began."""
    await fill(redis_url, "payments", 1)

    async with inspector(redis_url, size=(180, 40), journal=tmp_path) as driver:
        await driver.sees("failed 1")
        await driver.settle()
        assert "U undo" not in driver.text()
        await driver.press("l")
        await driver.sees("c concurrency")
        assert "U undo" not in driver.text()
        await driver.press("c", "3", "enter")
        await driver.press("y")
        await driver.sees("U undo")
        await driver.press("q")
        await driver.sees("U undo")
    async with inspector(redis_url, size=(180, 40), journal=tmp_path) as driver:
        await driver.sees("U undo")
        await driver.press("U")
        await driver.sees("y undo 1 queue")
        await driver.press("y")
        await driver.sees("1 of 1 queue undone")
        await driver.until(lambda: "U undo" not in driver.text(), "the key bar without an undo")


@pytest.mark.slow
async def test_a_removal_is_undone_and_what_has_moved_on_is_left_alone(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    ids = await fill(redis_url, "payments", 2)
    before = [await client.hgetall(f"bull:payments:{one}") for one in ids]
    async with inspector(redis_url, journal=tmp_path) as driver:
        await driver.sees("failed 2")
        await driver.press("a")
        await driver.press("D")
        await driver.sees("y remove 2 jobs")
        await driver.press("y")
        await driver.sees("2 of 2 jobs removed")
        await driver.press("U")
        await driver.sees("Undo the removal of 2 jobs in payments")
        await driver.sees("y undo 2 jobs")
        await driver.press("y")
        await driver.sees("2 of 2 jobs undone")
        assert [await client.hgetall(f"bull:payments:{one}") for one in ids] == before
        await driver.press("escape")
        await driver.press("r")
        await driver.sees("y retry 1 job")
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        async with working(redis_url, "payments", succeed):
            await driver.sees("✔ completed")
        await driver.press("U")
        await driver.sees("Nothing can be undone")
        await driver.sees("An earlier operation: L, then u.")
        await driver.press("y")
        assert "Nothing can be undone" in driver.text()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_a_removed_queue_leads_to_the_operation_before_it_or_to_the_journal(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path, size: tuple[int, int]
) -> None:
    payments = QueueKey.of("bull", "payments")
    for name in ("payments", "emails", "orders"):
        await fill(redis_url, name, 1)
    async with inspector(redis_url, size=size, journal=tmp_path) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 3, "all queues")
        await remove_queue(driver, "payments")
        await driver.press("U")
        await driver.sees("The removal of bull:payments, ")
        await driver.sees("is final: a removed queue can't be")
        await driver.until(lambda: driver.inspector.board.queue != payments, "another queue")
        await driver.sees("L lists all operations.")
        driver.inspector.lists.go_to_queue(QueueKey.of("bull", "emails"))
        await driver.press("P")
        await driver.sees("Pause emails")
        await driver.press("y")
        await driver.sees("1 of 1 queue paused")
        await remove_queue(driver, "orders")
        await driver.press("U")
        await driver.sees("Undo the pause of emails")
        await driver.sees("▲ The removal of bull:orders, ")
        await driver.press("y")
        await driver.sees("1 of 1 queue undone")
        assert not await client.hexists("bull:emails:meta", "paused")


@pytest.mark.slow
async def test_a_removal_that_is_final_is_said_also_where_the_one_before_it_left_nothing(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, journal=tmp_path, size=(120, 36)) as driver:
        await driver.sees("failed 1")
        await driver.press("P")
        await driver.sees("y pause payments")
        await driver.press("y")
        await driver.sees("1 of 1 queue paused")
        await remove_queue(driver, "payments")
        await driver.press("U")
        await driver.sees("Nothing can be undone: ")
        await driver.sees("The removal of bull:payments, ")
        await driver.sees("is final: a removed queue can't be")


async def remove_queue(driver: Driver, name: str) -> None:
    driver.inspector.lists.go_to_queue(QueueKey.of("bull", name))
    await driver.press("X")
    await driver.sees(f"Remove the queue {name}")
    await driver.sees("y remove")
    await driver.press("y")
    await driver.sees(f"type {name} and press enter")
    await driver.type(name)
    await driver.press("enter")
    await driver.sees("1 of 1 queue removed")


async def test_in_read_only_mode_an_undo_is_a_dry_run(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, journal=tmp_path) as driver:
        await driver.sees("failed 1")
        await driver.press("D")
        await driver.sees("y remove 1 job")
        await driver.press("y")
        await driver.sees("1 of 1 job removed")
    async with inspector(redis_url, journal=tmp_path, read_only=True) as driver:
        await driver.press("U")
        await driver.sees("Dry run: undo the removal of 1 job in payments")
        await driver.press("y")
        await driver.sees("READ-ONLY: this is a dry run")
        assert await client.zcard("bull:payments:failed") == 0
