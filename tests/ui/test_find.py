"""F: one search over all queues and states, and the way to what it found."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.demo.server import EmbeddedServer
from qtui.ui.screens.find import FindScreen
from tests.seeds import raw_failed, raw_list
from tests.servers import start, tcp_port
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

PAYMENTS, EMAILS, BIG = (QueueKey.of("bull", name) for name in ("payments", "emails", "big"))


async def world(client: redis.asyncio.Redis) -> None:
    """Jobs in two queues and several states; one id is in both."""
    await raw_failed(client, ["1", "2", "order-7"], PAYMENTS)
    await raw_list(client, "wait", ["order-7", "w"], EMAILS)
    await raw_failed(client, ["done-1"], EMAILS, state="completed")


async def search(driver: Driver, text: str) -> None:
    """Opens the search and looks for something, to the end."""
    await driver.press("F")
    await driver.sees("Find in")
    await driver.press(*text, "enter")
    await driver.until(lambda: not driver.app.screen.workers or not busy(driver), "the search")


def busy(driver: Driver) -> bool:
    screen = driver.app.screen
    return isinstance(screen, FindScreen) and screen.is_busy("hunt")


def rows(driver: Driver) -> list[str]:
    """The lines of the list."""
    return [line[1:].rstrip() for line in driver.lines()[3:-2] if line[1:].strip()]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_a_word_is_found_in_every_queue_and_state(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    await world(client)
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("emails")
        await search(driver, "order-7")
        assert "Find in 2 queues  / order-7" in driver.lines()[0]
        await driver.sees("2 jobs found in 2 queues")
        found = [tuple(row.split()[:4]) for row in rows(driver)]
        assert found == [
            ("payments", "failed", "order-7", "charge"),
            ("emails", "waiting", "order-7", "n"),
        ]


async def test_enter_opens_the_job_in_its_state_and_F_leads_back(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await world(client)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        await search(driver, "order-7")
        await driver.press("j", "enter")
        await driver.sees("Job order-7 is waiting in emails.")
        board = driver.inspector.board
        assert (board.queue, board.state) == (EMAILS, JobState.WAITING)
        assert driver.inspector.table.cursor_id == "order-7"
        assert driver.inspector.queues.selected == EMAILS
        await driver.press("F")
        await driver.sees("2 jobs found in 2 queues")
        assert next(line for line in driver.lines() if "▌" in line).split()[0] == "▌emails"
        # It has moved since it was found.
        await client.lrem(EMAILS.key("wait"), 1, "order-7")
        await client.zadd(EMAILS.key("failed"), {"order-7": 1_700_000_000_000})
        await driver.press("enter")
        await driver.sees("Job order-7 is failed in emails.")
        await driver.press("F")
        await client.delete(EMAILS.job("order-7"), EMAILS.key("failed"))
        await driver.press("enter")
        await driver.sees("Job order-7 in emails is gone.")
        assert "Find in" in driver.lines()[0]


@pytest.mark.slow
async def test_a_queue_is_found_by_its_name(redis_url: str, client: redis.asyncio.Redis) -> None:
    await world(client)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        driver.inspector.queues.focus()
        await search(driver, "EMAI")
        assert rows(driver)[0].split()[:2] == ["emails", "queue"]
        assert "enter open queue" in driver.lines()[-1]
        await driver.press("enter")
        await driver.until(lambda: driver.inspector.board.queue == EMAILS, "the queue")
        assert driver.inspector.queues.selected == EMAILS


@pytest.mark.slow
async def test_a_filter_a_mistake_in_it_and_another_search(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await world(client)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        await search(driver, "error:boom id=2")
        assert [row.split()[2] for row in rows(driver)] == ["2"]
        await driver.press("slash", "ctrl+u")
        await driver.press(*"err:x", "enter")
        await driver.sees("^ ")
        await driver.press("end", "ctrl+u")
        await driver.press(*"none-such", "enter")
        await driver.sees(
            "no id and no name contains none-such: try error:none-such or data:none-such"
        )
        await driver.press("F", "ctrl+u")
        await driver.press(*"name=charge", "enter")
        await driver.sees("4 jobs found in 2 queues · searched 6 jobs")
        await client.zadd(PAYMENTS.key("failed"), {"3": 1_700_000_900_000})
        await client.hset(PAYMENTS.job("3"), mapping={"name": "charge", "timestamp": 1})
        await driver.press("ctrl+r")
        await driver.sees("5 jobs found in 2 queues · searched 7 jobs")


@pytest.mark.slow
async def test_it_is_throttled_stops_at_once_and_continues(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await world(client)
    await raw_failed(client, [f"b{number}" for number in range(20_000)], BIG)
    async with inspector(redis_url, scan_rate=2000) as driver:
        await driver.until(lambda: len(driver.inspector.poll.worst_first()) == 3, "all queues")
        await driver.press("F", *"w", "enter")
        await driver.sees("queue 1 of 3")
        await driver.press("escape")
        await driver.sees("stopped, ctrl+r continues")
        assert not busy(driver)
        assert "of 20,006 jobs" in driver.text()
        await driver.press("ctrl+r")
        await driver.until(lambda: "stopped" not in driver.lines()[1], "it to continue")
        await driver.press("q")
        assert "Find" not in driver.lines()[0]
        await driver.press("F")
        await driver.sees("queue 1 of 3")
        await driver.press("escape", "escape")
        await driver.until(lambda: "Find" not in driver.lines()[0], "the inspector")


async def test_esc_before_anything_was_searched_changes_nothing(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await world(client)
    async with inspector(redis_url) as driver:
        await driver.sees("emails")
        before = driver.inspector.board.queue
        await driver.press("F", *"half", "escape")
        await driver.until(lambda: "Find" not in driver.lines()[0], "the inspector")
        assert driver.inspector.board.queue == before
        await driver.press("F", "enter")
        await driver.until(lambda: "Find" not in driver.lines()[0], "the inspector")


async def test_hostile_jobs_are_only_shown(redis_url: str, client: redis.asyncio.Redis) -> None:
    evil = "\x1b]0;x\x07[/red]\x9b2J\u202e"
    hostile = QueueKey.of("bull", evil)
    await raw_failed(client, [evil], hostile, change=lambda _: {"name": evil, "failedReason": evil})
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.until(lambda: driver.inspector.table.length, "the job")
        await search(driver, "red")
        await driver.sees("1 job found")
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(driver.text())
        await driver.press("G", "enter")
        await driver.until(lambda: driver.inspector.table.cursor_id == evil, "the job")
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(driver.text())


async def test_read_only_with_no_more_than_reading(
    server: EmbeddedServer, client: redis.asyncio.Redis
) -> None:
    await world(client)
    before = await client.execute_command("DEBUG", "DIGEST")
    await client.execute_command(
        *("ACL", "SETUSER", "watch", "on", ">pw", "resetkeys", "~bull:payments:*"),
        *("-@all", "+@read"),
    )
    url = server.url.replace("unix://", "unix://watch:pw@")
    async with inspector(url, read_only=True, queues=("payments", "emails")) as driver:
        await search(driver, "order-7")
        assert "READ-ONLY" in driver.lines()[0]
        await driver.sees("1 job found")
    assert await client.execute_command("DEBUG", "DIGEST") == before


@pytest.mark.slow
async def test_a_server_that_went_away_is_waited_for() -> None:
    with start("valkey", tcp=True) as first:
        port = tcp_port(first)
        url = f"redis://127.0.0.1:{port}/0"
        await fill(url, "payments", 2)
        async with inspector(url, refresh=0.2) as driver:
            await driver.sees("failed 2")
            await driver.press("F")
            await asyncio.to_thread(first.stop)
            await driver.press(*"charge", "enter")
            await driver.sees("Connection lost; the search continues")
            with start("valkey", ("--port", str(port), "--bind", "127.0.0.1")):
                await fill(url, "payments", 2)
                await driver.sees("2 jobs found")


@pytest.mark.slow
async def test_a_slash_is_a_filter_of_the_list_wherever_the_focus_is(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await world(client)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 3")
        for pane in (driver.inspector.queues, driver.inspector.detail, driver.inspector.table):
            driver.inspector.lists.filter(None)
            await driver.settle()
            driver.app.screen.set_focus(pane)
            await driver.press("slash")
            await driver.sees("empty shows all jobs")
            await driver.press(*"id=2", "enter")
            await driver.sees("1 of 3 match")
            assert driver.inspector.board.queue == PAYMENTS
            assert driver.app.focused is driver.inspector.table
