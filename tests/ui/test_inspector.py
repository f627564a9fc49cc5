"""The inspector as a person uses it: real queues, real keys, what the screen shows."""

from __future__ import annotations

import re

import pytest
import redis.asyncio
from bullmq import Queue

from qtui.demo.server import EmbeddedServer
from tests.servers import connect
from tests.ui.driver import inspector
from tests.ui.stage import fill, succeed, working

SIZES = [(80, 24), (200, 60)]


async def test_a_failed_job_is_seen_retried_and_seen_to_complete(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("ECONNREFUSED")
        assert "payments" in driver.line_with("payments")
        await driver.press("r")
        await driver.sees("Retry 1 failed job in payments")
        await driver.sees("waiting, last in line")
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        assert "✔ waiting" in driver.row(ids[-1])
        async with working(redis_url, "payments", succeed):
            await driver.sees("✔ completed")
        assert "✔ completed" in driver.row(ids[-1])


async def test_marked_jobs_are_retried_and_no_others(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 5)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 5")
        await driver.press("space", "j", "j", "space")
        await driver.sees("2 marked")
        await driver.press("r")
        await driver.sees("y retry 2 jobs")
        await driver.press("y")
        await driver.sees("2 of 2 jobs retried")
        assert await client.lrange("bull:payments:wait", 0, -1) == [ids[4], ids[2]]
        assert "marked" not in driver.text()


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (["space", "space", "space"], [0, 1, 2]),
        (["space", "j", "space"], [0, 1]),
        (["space", "j", "space", "j", "space"], [0, 1, 2]),
        (["space", "k", "space"], []),
        (["space", "space", "k", "space"], [1]),
        (["space", "space", "space", "g", "space", "space"], [2]),
        (["space", "j", "k", "space"], []),
        (["space", "a", "space"], [1, 2, 3, 4, 5]),
        (["G", "space", "space"], [5]),
        (["space", "r", "escape", "space"], []),
    ],
)
async def test_space_marks_neighbours_with_and_without_moving_between(
    redis_url: str, keys: list[str], rows: list[int]
) -> None:
    ids = list(reversed(await fill(redis_url, "payments", 6)))
    async with inspector(redis_url) as driver:
        await driver.sees("failed 6")
        for key in keys:
            await driver.press(key)
        marked = [row for row, job_id in enumerate(ids) if "●" in driver.row(job_id)]
        assert marked == rows


@pytest.mark.slow
async def test_marks_cursor_and_filter_are_kept_where_one_left_them(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 6)
    await fill(redis_url, "emails", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 6")
        await driver.press("j", "j", "j", "space")
        await driver.press("2", "1")
        assert driver.inspector.table.cursor_id == ids[2]
        assert "●" in driver.row(ids[2])
        await driver.press("o")
        assert driver.inspector.table.cursor_id == ids[2]
        await driver.press("o", "r")
        await driver.sees("y retry 1 job")
        await driver.press("escape")
        assert "1 marked" in driver.text()
        await driver.press("slash", *"name:charge", "enter")
        await driver.sees("6 of 6 match")
        await driver.press("shift+tab", "shift+tab", "j")
        await driver.sees("failed 3")
        assert driver.inspector.board.filter is None
        await driver.press("k")
        await driver.sees("6 of 6 match")
        assert "1 marked" in driver.text()


@pytest.mark.slow
async def test_what_fails_meanwhile_does_not_change_what_a_key_acts_on(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 4)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 4")
        await driver.press("j", "j")
        before = driver.inspector.table.cursor_id
        assert before == ids[1]
        await fill(redis_url, "payments", 7, name="newcomer")
        await driver.sees("failed 11")
        await driver.until(lambda: "newcomer" in driver.text(), "the new jobs' rows")
        assert driver.inspector.table.cursor_id == before
        assert driver.line_with("▌").split()[1] == before
        await driver.press("r")
        await driver.sees("charge")
        assert "newcomer" not in "".join(driver.lines()[-14:-3])
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        assert "✔ waiting" in driver.row(before)


@pytest.mark.slow
async def test_a_retried_row_stays_until_results_are_closed(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 3")
        await driver.press("r")
        await driver.sees("y retry 1 job")
        await driver.press("y")
        await driver.sees("✔ waiting")
        await fill(redis_url, "payments", 2, name="newcomer")
        # The worker that makes the newcomers fail may take the retried job, too.
        await driver.sees(" results · +")
        assert "esc closes" in driver.line_with("of 1 job retried")
        assert driver.text().count("esc closes") == 1
        assert "newcomer" not in driver.text()
        await driver.press("ctrl+r")
        await driver.sees("Refreshed; esc closes the results.")
        assert "1 of 1 job retried" in driver.text()
        await driver.press("escape")
        await driver.sees("newcomer")
        assert "failed again" not in driver.text()
        assert "retried" not in driver.text()


async def test_codes_are_in_the_rows_in_words(redis_url: str, client: redis.asyncio.Redis) -> None:
    ids = await fill(redis_url, "payments", 3)
    async with inspector(redis_url, refresh=0.0) as driver:
        await driver.sees("failed 3")
        await driver.press("a")
        await driver.sees("3 marked")
        await client.delete(f"bull:payments:{ids[0]}")
        queue = Queue("payments", {"connection": redis_url})
        await client.zrem("bull:payments:failed", ids[1])
        await client.lpush("bull:payments:wait", ids[1])
        await queue.close()
        await driver.press("r")
        await driver.sees("1 job is gone (-1)")
        await driver.sees("1 job is not in failed (-3)")
        await driver.press("y")
        await driver.sees("1 of 3 jobs retried")
        assert "✗ -1 job is gone" in driver.row(ids[0])
        assert "✗ -3 not in failed" in driver.row(ids[1])
        assert "✔ waiting" in driver.row(ids[2])


@pytest.mark.slow
async def test_the_toggles_keep_their_setting_and_reset_the_counters(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 2")
        await driver.press("r")
        await driver.sees("1 job has used up its attempts")
        await driver.press("m", "s")
        await driver.sees("[x] m reset attempts made")
        assert "used up" not in driver.text()
        await driver.press("escape", "r")
        await driver.sees("[x] s reset attempts started")
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        assert await client.hmget(f"bull:payments:{ids[1]}", "atm", "ats") == [None, None]


async def test_active_jobs_are_not_retried_and_the_key_says_why(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("4", "r")
        await driver.sees("Only failed and completed jobs can be retried")


@pytest.mark.slow
async def test_completed_jobs_show_what_they_returned_and_can_run_again(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    [job] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("r")
        await driver.sees("y retry 1 job")
        await driver.press("y")
        await driver.sees("retried")
        async with working(redis_url, "payments", succeed):
            await driver.sees("✔ completed")
        await driver.press("2")
        await driver.sees(f'{{"ok":"{job}"}}')
        await driver.press("r")
        await driver.sees("Retry 1 completed job in payments")
        await driver.press("y")
        await driver.sees("1 of 1 job retried")
        assert await client.lrange("bull:payments:wait", 0, -1) == [job]


@pytest.mark.parametrize("size", SIZES)
async def test_it_fits_small_and_large_screens(redis_url: str, size: tuple[int, int]) -> None:
    await fill(redis_url, "payments", 70)
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("failed 70")
        await driver.sees("ECONNREFUSED")
        for keys in ("G", "g", "enter", "escape", "tab", "tab", "question_mark", "escape", "r"):
            await driver.press(keys)
            assert len(driver.lines()) == size[1]
            assert all(len(line) == size[0] for line in driver.lines() if line.isascii())


async def test_a_frozen_list_does_not_move_and_counts_what_changes(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 2")
        await driver.press("z")
        await driver.sees("frozen")
        await fill(redis_url, "payments", 3, name="newcomer")
        await driver.sees("frozen · +3 jobs · z resumes")
        assert "newcomer" not in driver.text()
        await driver.press("z")
        await driver.sees("newcomer")


async def test_with_refresh_0_nothing_is_read_until_asked(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url, refresh=0.0) as driver:
        await driver.sees("failed 2")
        await fill(redis_url, "payments", 1, name="newcomer")
        await driver.press("j", "k")
        assert "newcomer" not in driver.text()
        await driver.press("f5")
        await driver.sees("newcomer")


@pytest.mark.slow
async def test_a_lost_server_keeps_the_screen_and_comes_back_by_itself(
    servers: object, redis_url: str, server: EmbeddedServer
) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver, connect(server) as other:
        await driver.sees("failed 2")
        await other.config_set("maxclients", 1)
        await other.client_kill_filter(skipme=True, _type="normal")
        await driver.sees("lost")
        assert "ECONNREFUSED" in driver.text()
        await other.config_set("maxclients", 1000)
        await driver.sees("Connected again.")


async def test_ranges_and_inversion_mark_what_lies_between(redis_url: str) -> None:
    await fill(redis_url, "payments", 9)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 9")
        await driver.press("j", "v", "j", "j", "j", "v")
        await driver.sees("4 marked")
        await driver.press("asterisk")
        await driver.sees("5 marked")
        await driver.press("a")
        await driver.sees("9 marked")
        await driver.press("a")
        assert "marked" not in driver.text()


async def test_enter_gives_the_job_the_whole_screen(redis_url: str) -> None:
    [job] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url, size=(80, 40)) as driver:
        await driver.sees("failed 1")
        await driver.press("enter")
        await driver.sees(f"· {job} charge")
        await driver.sees('"customer": "cus_0"')
        assert not re.search(r"Queues 1", driver.text())
        await driver.press("q")
        await driver.sees("Queues 1")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_title_of_the_queues_is_whole_where_there_are_none(
    redis_url: str, size: tuple[int, int]
) -> None:
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("Queues 0")
