"""A retry on the screen: its pace, its banner, its stop, and its journal."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis.asyncio
from bullmq import Job

from qtui.bullmq.keys import QueueKey
from qtui.operations.journal.reading import campaigns
from qtui.ui.dialogs import ask
from qtui.ui.dialogs.ask import AskDialog
from tests.patience import PATIENCE
from tests.seeds import raw_failed
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill, succeed, working


async def fail(job: Job, token: str) -> object:
    raise RuntimeError("Timeout of 5000ms exceeded")


async def test_the_banner_shows_what_became_of_the_jobs(redis_url: str) -> None:
    await fill(redis_url, "payments", 6)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 6")
        await driver.press("a")
        await driver.press("r")
        await driver.sees("y retry 6 jobs")
        await driver.press("y")
        await driver.sees("0 of 6 completed · 6 waiting")
        async with working(redis_url, "payments", succeed):
            await driver.sees("6 of 6 jobs retried · 6 of 6 completed")
        await driver.sees("✔ completed")
        await driver.press("ctrl+r")
        assert "6 of 6 completed" in driver.text()
        await driver.press("escape")
        await driver.until(lambda: "recovered" not in driver.text(), "the banner to go")


@pytest.mark.slow
async def test_failures_again_are_named(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 2")
        async with working(redis_url, "payments", fail):
            await driver.press("a")
            await driver.press("r")
            await driver.sees("y retry 2 jobs")
            await driver.press("y")
            await driver.sees("2 failed again (Timeout of <n>ms exceeded)")
        await driver.sees("✗ failed again: Timeout of 5000ms exceeded")


@pytest.mark.slow
async def test_hints_give_way_to_what_came_of_the_jobs(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.sees("failed 2")
        await driver.press("p")
        await driver.sees("Only delayed jobs can be promoted.")
        await driver.press("a")
        assert "Only delayed" not in driver.text()
        async with working(redis_url, "payments", fail):
            await driver.press("r")
            await driver.sees("y retry 2 jobs")
            await driver.press("y")
            await driver.sees("2 of 2 jobs retried · 0 of 2 completed · 2 failed again")
        assert "esc closes" not in driver.line_with("2 failed again")


@pytest.mark.slow
async def test_a_canary_that_fails_leaves_the_others_untouched(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 60)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 60")
        async with working(redis_url, "payments", fail):
            await driver.press("R")
            await driver.sees("y retry 60 jobs")
            await driver.press("c")
            await driver.sees("first 20, continue if ≤ 10 % fail again")
            await driver.press("y")
            await driver.sees("of 20 jobs failed again (limit 10 %)")
            await driver.sees("40 not retried")
        assert await client.llen("bull:payments:wait") == 0
        assert await client.zcard("bull:payments:failed") == 60


@pytest.mark.slow
async def test_a_rate_is_kept_and_x_stops(redis_url: str, client: redis.asyncio.Redis) -> None:
    await fill(redis_url, "payments", 100)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 100")
        await driver.press("R")
        await driver.sees("y retry 100 jobs")
        await driver.press("t")
        await driver.sees("10 jobs/s")
        await driver.press("y")
        await driver.sees("retrying: ")
        await driver.press("x")
        await driver.sees("not retried")
        waiting = await client.llen("bull:payments:wait")
        assert 0 < waiting < 100
        assert await client.zcard("bull:payments:failed") == 100 - waiting
        # The toggles keep their setting.
        await driver.press("R")
        await driver.sees("10 jobs/s")


@pytest.mark.slow
async def test_a_queue_that_is_flushed_in_the_middle_is_called_gone_and_not_foreign(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 60)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 60")
        await driver.press("R")
        await driver.sees("y retry 60 jobs")
        await driver.press("t")
        await driver.sees("10 jobs/s")
        await driver.press("y")
        await driver.sees("retrying: ")
        async with asyncio.timeout(PATIENCE):
            while not await client.llen("bull:payments:wait"):
                pass
        await client.flushall()
        await driver.sees("stopped: the queue's keys are gone since")
        assert await client.dbsize() == 0


async def test_nothing_is_sent_when_it_can_not_be_written_down(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await fill(redis_url, "payments", 2)
    folder = tmp_path / "journal"
    folder.write_text("a file where the folder should be")
    async with inspector(redis_url, journal=folder) as driver:
        await driver.sees("failed 2")
        await driver.press("a")
        await driver.press("r")
        await driver.sees("y retry 2 jobs")
        await driver.press("y")
        await driver.sees("nothing was retried: ")
        assert await client.zcard("bull:payments:failed") == 2


async def test_the_journal_shows_a_retry_and_what_it_wiped(redis_url: str, tmp_path: Path) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, journal=tmp_path / "journal") as driver:
        await driver.press("L")
        await driver.sees("no operations made from this machine yet")
        await driver.press("q")
        await driver.sees("failed 3")
        await driver.press("a")
        await driver.press("r")
        await driver.sees("y retry 3 jobs")
        await driver.press("y")
        await driver.sees("3 of 3 jobs retried")
        await driver.press("L")
        await driver.sees("3 jobs by id")
        await driver.sees("connect ECONNREFUSED <address>")
        await driver.press("r")
        await driver.sees("This retry is complete")
    [one] = campaigns(tmp_path / "journal")
    assert (one.phase, one.jobs) == ("done", 3)
    assert redis_url.split("@")[-1] in one.header.where


def cut_off(redis_url: str, folder: Path) -> None:
    """Retries everything in a process of its own, and kills that in the middle."""
    environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "qtui.cli", "--redis", redis_url, "retry", "payments"]
    options = ["--all", "--yes", "--rate", "20", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, env=environ) as child:
        assert child.stdout is not None
        assert b'"code": 1' in child.stdout.readline()
        child.send_signal(signal.SIGKILL)


@pytest.mark.slow
async def test_a_retry_that_was_cut_off_continues(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    ids = await fill(redis_url, "payments", 40)
    await asyncio.to_thread(cut_off, redis_url, tmp_path)
    before = await client.llen("bull:payments:wait")
    assert 0 < before < 40
    async with inspector(redis_url, journal=tmp_path / "qtui" / "journal") as driver:
        await driver.sees("A retry was cut off")
        await driver.press("L")
        await driver.sees("unfinished")
        await driver.press("r")
        await driver.sees("40 of 40 jobs retried")
    waiting = await client.lrange("bull:payments:wait", 0, -1)
    assert sorted(waiting) == sorted(ids)


async def test_a_retry_that_was_stopped_continues_from_the_journal(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    ids = await fill(redis_url, "payments", 100)
    async with inspector(redis_url, journal=tmp_path / "journal") as driver:
        await driver.sees("failed 100")
        await driver.press("R")
        await driver.sees("y retry 100 jobs")
        await driver.press("t", "y")  # 10 jobs/s: ten seconds
        await driver.until(lambda: driver.inspector.campaigns.under_way, "the retry")
        await driver.press("L")
        await driver.sees("state      running")
        await driver.press("r")
        await driver.sees("This retry is still running (esc, then x stops it)")
        await driver.press("escape", "x")
        await driver.sees("stopped")
        assert await client.llen("bull:payments:wait") < 100
        await driver.press("L")
        await driver.sees("state      stopped")
        await driver.press("r")
        await driver.sees("100 of 100 jobs retried")
    assert sorted(await client.lrange("bull:payments:wait", 0, -1)) == sorted(ids)


@pytest.mark.slow
async def test_a_retry_that_fails_again_goes_on_hold_and_asks(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    # At 10 a second it would last a minute, however busy the machine is.
    ids = [str(one) for one in range(1, 601)]
    payments = QueueKey.of("bull", "payments")
    await raw_failed(client, ids, payments, change=lambda place: {"opts": '{"attempts":1}'})
    async with inspector(redis_url, size=(120, 36), journal=tmp_path) as driver:
        await driver.sees("failed 600")
        await driver.press("R")
        await driver.sees("y retry 600 jobs")
        await driver.press("t")
        await driver.sees("at most 10 jobs/s")
        assert "on hold if over 10 % of the last 200 fail again" in driver.text()
        await driver.press("y", *"600")
        async with working(redis_url, "payments", fail):
            await driver.sees("The retry in payments is on hold: ")
            assert re.search(
                r"\d+ of (the last )?\d+ jobs failed again \(limit 10 %\)", flat(driver)
            )
            assert "Most common error: Timeout of <n>ms exceeded." in flat(driver)
            assert "Continue retrying?" in flat(driver)
            [run] = driver.inspector.campaigns.all()
            decided = run.campaign.decided
            assert decided < 600
            await until_armed(driver)
            await driver.press("y")
            await driver.until(lambda: run.campaign.decided > decided, "more jobs")
            # It fails again, so it asks again.
            await driver.sees("The retry in payments is on hold: ")
            await until_armed(driver)
            await driver.press("escape")
            await driver.sees("not retried")
        assert "failed again (limit 10 %)" in driver.line_with("not retried")
        assert "L to resume" in driver.line_with("not retried")
        left = run.campaign.selected - run.campaign.decided
        assert left > 0
    [one] = campaigns(tmp_path)
    assert (one.phase, sum(one.codes.values())) == ("stopped", 600 - left)
    assert "failed again (limit 10 %)" in one.note


@pytest.mark.slow
async def test_the_banner_says_how_fast_it_is_and_how_long_it_takes(redis_url: str) -> None:
    await fill(redis_url, "payments", 200)
    async with inspector(redis_url, size=(120, 36)) as driver:
        await driver.sees("failed 200")
        await driver.press("R")
        await driver.sees("y retry 200 jobs")
        await driver.press("t", "y", *"200")
        await driver.until(
            lambda: re.search(r"of 200 jobs · \d+/s, \d+ s left", driver.text()) is not None,
            "its speed",
        )
        await driver.press("x")
        await driver.sees("not retried")
        assert " left · " not in driver.line_with("not retried")


async def until_armed(driver: Driver) -> None:
    """Waits until a question that opened by itself takes an answer."""
    dialog = driver.app.screen
    assert isinstance(dialog, AskDialog)
    await driver.until(lambda: dialog.is_armed, "that it takes an answer")


async def test_a_question_that_opens_by_itself_takes_no_key_that_was_meant_for_the_list(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with inspector(redis_url) as driver:
        answers = list[bool | None]()
        monkeypatch.setattr(ask, "_ARMED_AFTER", 3600.0)
        early = AskDialog("Continue?", "continue", "stop it", unasked=True)
        driver.app.push_screen(early, answers.append)
        await driver.sees("y continue")
        await driver.press("y", "n", "escape")
        assert driver.app.screen is early
        assert answers == []
        monkeypatch.undo()
        dialog = AskDialog("Really?", "continue", "stop it", unasked=True)
        driver.app.push_screen(dialog, answers.append)
        await driver.sees("Really?")
        await until_armed(driver)
        await driver.press("y")
        await driver.until(lambda: answers == [True], "the answer")


def flat(driver: Driver) -> str:
    """The screen as one line, without frames."""
    return " ".join(" ".join(driver.lines()).replace("│", " ").split())
