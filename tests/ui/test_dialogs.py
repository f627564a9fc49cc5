"""Dialogs at every size: the line that answers is on the screen, and the rest can be reached."""

from __future__ import annotations

import re

import pytest
import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.text import count
from qtui.ui.dialogs.ask import AskDialog
from tests.seeds import Fields, raw_failed, raw_meta
from tests.ui.driver import Driver, inspector
from tests.ui.flows import failed_report

SIZES = [
    *((60, 16), (80, 24), (100, 36), (110, 36), (120, 24), (120, 28), (120, 30), (120, 36)),
    *((120, 40), (120, 50), (160, 45), (200, 60)),
]
SMALLEST = (44, 10)
PAYMENTS = QueueKey.of("bull", "payments")
JOBS = 1003


async def failed_under_warnings(client: redis.asyncio.Redis, groups: int, warnings: int) -> None:
    """A queue whose plan has this many groups and warnings."""

    def change(place: int) -> Fields:
        fields: Fields = {"name": f"name-{place % groups}", "failedReason": f"E{place % groups}"}
        if warnings > 1:
            fields["atm"] = 3  # of three: used up
        if warnings > 2 and place % 3 == 0:
            parent = f"bull:orders:{place}"
            fields["parentKey"] = parent
            fields["parent"] = f'{{"id":"{place}","queueKey":"bull:orders"}}'
        return fields

    await raw_failed(client, [f"j{place}" for place in range(JOBS)], PAYMENTS, change=change)
    if warnings:
        await raw_meta(client, PAYMENTS, paused=1)
    if warnings > 2:
        orders = QueueKey.of("bull", "orders")
        parents = [str(place) for place in range(0, JOBS, 3)]
        await raw_failed(client, parents, orders, change=lambda place: {"attemptsMade": 3})
        for parent in parents[:20]:
            await client.sadd(f"bull:orders:{parent}:dependencies", f"bull:payments:j{parent}")


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "warnings"), [(1, 0), (40, 3)])
async def test_the_count_and_the_line_that_confirms_are_on_the_screen(
    redis_url: str, client: redis.asyncio.Redis, groups: int, warnings: int
) -> None:
    await failed_under_warnings(client, groups, warnings)
    async with inspector(redis_url, size=(120, 36)) as driver:
        await driver.press("R")
        await driver.sees(f"y retry {count(JOBS)} jobs")
        for size in [*SIZES, SMALLEST]:
            await driver.resize(*size)
            assert_whole(driver, f"y retry {count(JOBS)} jobs", "esc cancel")
        await driver.resize(120, 36)
        await driver.press("y")
        for size in [*SIZES, SMALLEST]:
            await driver.resize(*size)
            assert_whole(driver, f"type {JOBS} to retry {count(JOBS)} jobs:", "▏", "esc cancel")
        await driver.press("1", "0")
        assert_whole(driver, "10▏")


@pytest.mark.slow
async def test_every_line_of_a_plan_is_shown_or_can_be_scrolled_to(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_under_warnings(client, groups=12, warnings=3)
    async with inspector(redis_url) as driver:
        await driver.press("R")
        await driver.sees(f"y retry {count(JOBS)} jobs")
        for size in [*SIZES[:2], (120, 24), (200, 60), SMALLEST]:
            await driver.resize(*size)
            await driver.press("g")
            assert "▲ " not in driver.line_with("╰")
            seen, before = squeezed(driver), ""
            while "▼" in driver.text() and driver.text() != before:
                before = driver.text()
                await driver.press("j")
                seen += squeezed(driver)
            assert "▼" not in driver.text()
            for words in (*(f"E{group} " for group in range(12)), "is paused", "attempts: they"):
                assert words in seen, f"{words} can't be reached at {size}"


@pytest.mark.slow
async def test_the_rerun_of_a_flow_is_confirmed_at_every_size(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    for queue in ("reports", "invoices", "render"):
        await client.hset(f"bull:{queue}:meta", "paused", 1)
    async with inspector(redis_url) as driver:
        await driver.press("f")
        await driver.sees("Flow of")
        await driver.press("r")
        await driver.sees("y rerun")
        for size in [*SIZES, SMALLEST]:
            await driver.resize(*size)
            assert_whole(driver, "tab (•) failed jobs only", "y rerun", "esc cancel")
            assert "▼" in driver.text() or "paused" in squeezed(driver)


@pytest.mark.slow
async def test_a_question_can_be_answered_at_every_size(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(3)], PAYMENTS)
    async with inspector(redis_url) as driver:
        question = "A retry is running. Stop it after the batches on their way, and quit? " * 9
        driver.app.push_screen(AskDialog(question, "stop and quit", "continue"))
        await driver.sees("stop and quit")
        for size in [*SIZES, SMALLEST]:
            await driver.resize(*size)
            assert_whole(driver, "y stop and quit", "esc continue")


@pytest.mark.slow
async def test_the_help_fits_every_size(redis_url: str, client: redis.asyncio.Redis) -> None:
    await raw_failed(client, ["j0"], PAYMENTS)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("question_mark")
        for size in [*SIZES, SMALLEST]:
            await driver.resize(*size)
            assert_whole(driver, "esc closes")


async def test_keys_that_are_meant_for_a_dialog_do_not_reach_the_list(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(150)], PAYMENTS)
    async with inspector(redis_url) as driver:
        await driver.press("R")
        await driver.sees("y retry 150 jobs")
        await driver.press("y", "1", "5", "0", "0", "enter")
        await driver.sees("150 of 150 jobs retried")
        await driver.press("enter")
        assert "Queues 1" in driver.text(), "Enter has opened a job"


@pytest.mark.slow
async def test_a_key_pressed_twice_answers_a_dialog_once(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(3)], PAYMENTS)
    async with inspector(redis_url) as driver:
        await driver.press("r")
        await driver.sees("y retry 1 job")
        await driver.press("y", "y")
        await driver.sees("1 of 1 job retried")
        assert "copied" not in driver.text()
        await driver.press("j", "r")
        await driver.sees("esc cancel")
        await driver.press("escape", "escape")
        await driver.press("r")
        await driver.sees("esc cancel")
        await driver.press("escape", "k")  # what is typed ahead for the list reaches it
        assert driver.app.focused is driver.inspector.table


def squeezed(driver: Driver) -> str:
    """The screen in one line, frames and runs of blanks as one blank."""
    return re.sub(r"[\s│▌▎▏▕]+", " ", driver.text())


def assert_whole(driver: Driver, *pieces: str) -> None:
    """The pieces are on the screen, whole: wrapped, perhaps, but within the dialog's frame."""
    text = squeezed(driver)
    for piece in pieces:
        assert piece.strip("▏") in text, f"{piece!r} is cut:\n{driver.text()}"
    assert "╰" in driver.text(), f"the frame's last line is off the screen:\n{driver.text()}"
