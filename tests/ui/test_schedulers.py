"""The schedulers of a queue on the screen: the dead are loud, and can be revived."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio
from bullmq import Queue

from qtui.operations.journal.reading import campaigns
from tests.ui.driver import Driver, inspector

HOUR = 3_600_000


async def schedulers(url: str) -> None:
    """A dead one (D1: a drain of BullMQ's own cuts out its iteration), and one that waits."""
    queue = Queue("mail", {"connection": url})
    await queue.addBulk([{"name": "one", "data": {}}, {"name": "two", "data": {}}])
    await queue.upsertJobScheduler("digest", {"every": HOUR}, "[/tick]", {"a": 1})
    night = {"pattern": "0 3 * * *", "tz": "Europe/Berlin"}
    await queue.upsertJobScheduler("nightly", night, "night")
    await queue.drain()
    await queue.close()


def story(driver: Driver) -> str:
    """What is shown of the scheduler under the cursor."""
    lines = driver.lines()
    first = next(at for at, line in enumerate(lines) if "─ scheduler ─" in line)
    return lines[first + 1]


async def open_list(driver: Driver) -> None:
    await driver.sees("mail")
    await driver.press("S")
    await driver.sees("nightly")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_the_dead_one_is_first_and_named(redis_url: str, size: tuple[int, int]) -> None:
    await schedulers(redis_url)
    async with inspector(redis_url, size=size) as driver:
        await open_list(driver)
        assert "1 dead" in driver.lines()[0]
        assert "▲ dead" in driver.lines()[2]
        assert "digest" in driver.lines()[2]
        assert "▲" not in driver.line_with("nightly")
        await driver.sees("every 1 h")
        await driver.press("escape")
        assert "Schedulers" not in driver.lines()[0]


async def test_a_dead_one_is_revived_and_says_so_in_its_row(
    redis_url: str, tmp_path: Path, client: redis.asyncio.Redis
) -> None:
    await schedulers(redis_url)
    async with inspector(redis_url, journal=tmp_path) as driver:
        await open_list(driver)
        await driver.press("r")
        await driver.sees("Revive scheduler digest in mail")
        await driver.press("y")
        await driver.sees("✔ revived")
        await driver.sees("1 of 1 scheduler revived · U undoes")
        assert "dead" not in driver.lines()[0]
        await driver.press("r")
        await driver.sees("not dead")
        await driver.press("escape")
        await driver.sees(" mail  1 of 1 scheduler revived")
        assert "U undoes" in driver.line_with("1 of 1 scheduler revived"), "one of the campaigns"
    assert [member async for member, _ in client.zscan_iter("bull:mail:delayed")]
    [one] = campaigns(tmp_path)
    assert (one.header.action, one.header.action_words) == ("schedulers", "revive")


async def test_what_was_done_is_undone_on_the_same_screen(
    redis_url: str, tmp_path: Path, client: redis.asyncio.Redis
) -> None:
    await schedulers(redis_url)
    async with inspector(redis_url, journal=tmp_path, size=(80, 24)) as driver:
        await open_list(driver)
        await driver.press("U")
        await driver.sees("Nothing to undo: the journal has no operation on this server.")
        await driver.press("G", "D")
        await driver.sees("Remove scheduler nightly in mail")
        await driver.press("y")
        await driver.sees("1 of 1 scheduler removed · U undoes")
        assert await client.zscore("bull:mail:repeat", "nightly") is None
        await driver.press("U")
        await driver.sees("Undo the removal of 1 scheduler in mail")
        assert " nightly " in driver.line_with("→ as before"), "which one"
        await driver.press("y")
        await driver.sees("1 of 1 scheduler undone")
        await driver.until(lambda: "✔ removed" not in driver.text(), "the row to say its state")
        assert "nightly" in story(driver), "the cursor stays on it"
        assert await client.zscore("bull:mail:repeat", "nightly") is not None


async def test_one_is_run_now_and_one_removed(
    redis_url: str, tmp_path: Path, client: redis.asyncio.Redis
) -> None:
    await schedulers(redis_url)
    async with inspector(redis_url, journal=tmp_path) as driver:
        await open_list(driver)
        await driver.press("j", "p")
        await driver.sees("Run scheduler nightly now")
        await driver.press("y")
        await driver.sees("✔ run now, job")
        await driver.press("D")
        await driver.sees("Remove scheduler nightly")
        await driver.press("y")
        await driver.sees("✔ removed")
        assert "nightly" in driver.text(), "its row stays, with the result"
        assert "run now" not in driver.lines()[-1], "nothing acts on what is gone"
        assert "remove" not in driver.lines()[-1]
        await driver.press("p")
        await driver.sees("This scheduler is gone: ctrl+r closes the results.")
        await driver.press("ctrl+r")
        await driver.until(lambda: "nightly" not in driver.text(), "its row to go")
    assert await client.zscore("bull:mail:repeat", "nightly") is None
    assert await client.llen("bull:mail:wait") >= 1


async def test_read_only_lists_them_and_only_plans(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await schedulers(redis_url)
    before = await client.execute_command("DEBUG", "DIGEST")
    async with inspector(redis_url, read_only=True) as driver:
        await open_list(driver)
        assert "revive" not in driver.lines()[-1]
        await driver.press("r")
        await driver.sees("Dry run: revive scheduler digest")
        await driver.press("y", "escape", "D", "y", "escape", "p", "y", "escape")
        assert "✔" not in driver.text()
    assert await client.execute_command("DEBUG", "DIGEST") == before
