"""`D` on the screen: results are in the rows, and what is kept says why."""

from __future__ import annotations

import pytest
import redis.asyncio
from bullmq import Queue

from qtui.bullmq.keys import QueueKey
from tests.seeds import raw_failed
from tests.ui.driver import inspector
from tests.ui.flows import failed_report
from tests.ui.stage import fill

BIG = QueueKey.of("bull", "big")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_marked_jobs_are_removed_and_their_rows_say_so(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    ids = await fill(redis_url, "payments", 4)
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("failed 4")
        assert "D remove" in driver.lines()[-1]
        await driver.press("space", "space")
        await driver.press("D")
        await driver.sees("Remove 2 failed jobs in payments")
        assert driver.app.screen.has_class("-dangerous")
        await driver.press("y")
        await driver.sees(" payments  2 of 2 jobs removed")
        assert "✔ removed" in driver.row(ids[3])
        assert "✔ removed" in driver.row(ids[2])
        assert await client.exists(f"bull:payments:{ids[3]}") == 0
        assert await client.zrange("bull:payments:failed", 0, -1) == ids[:2]
        await driver.press("escape")
        await driver.until(lambda: "removed" not in driver.text(), "the results to go")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_an_open_job_that_is_removed_is_still_shown_and_no_action_on_it_is_offered(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    [job_id] = await fill(redis_url, "payments", 1)
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("failed 1")
        await driver.press("enter")
        await driver.sees('"customer"')
        await driver.press("D")
        await driver.sees("y remove 1 job")
        await driver.press("y")
        await driver.sees("nothing of this job is left in Redis; this was read before:")
        assert '"customer"' in driver.text()
        for offer in ("r retry", "D remove", "i edit", "c copy as new", "space mark"):
            assert offer not in driver.lines()[-1]
        await driver.press("D")
        await driver.sees("This job is gone: esc closes the results.")
        await driver.press("i")
        await driver.sees("This job is gone.")
        await driver.press("U")
        await driver.sees("y undo 1 job")
        await driver.press("y")
        await driver.until(lambda: "D remove" in driver.lines()[-1], "the job to be back")
        assert "nothing of this job is left" not in driver.text()
        assert await client.exists(f"bull:payments:{job_id}") == 1


@pytest.mark.slow
async def test_a_row_whose_job_has_left_offers_nothing_that_needs_it_there(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 2")
        await driver.press("r")
        await driver.sees("y retry 1 job")
        await driver.press("y")
        await driver.sees("✔ waiting")
        assert "r retry" not in driver.lines()[-1]
        assert "i edit" in driver.lines()[-1]
        await driver.press("D")
        await driver.sees("This job has left failed: esc closes the results.")
        await driver.press("j")
        assert "r retry" in driver.lines()[-1]
        assert "has left failed" not in driver.text()
        driver.inspector.queues.focus()
        await driver.settle()
        assert "i edit" not in driver.lines()[-1]
        await driver.press("i")
        await driver.sees("Select a job first (tab moves to the list).")


@pytest.mark.slow
async def test_a_job_that_a_worker_holds_stays_and_says_why(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, ["a"], BIG)
    await client.zrem("bull:big:failed", "a")
    await client.lpush("bull:big:active", "a")
    await client.set("bull:big:a:lock", "token", px=600_000)
    async with inspector(redis_url) as driver:
        await driver.sees("big")
        await driver.press("4")
        await driver.press("D")
        await driver.sees("locked by a worker")
        await driver.press("escape")
        await client.delete("bull:big:a:lock")
        await driver.press("D")
        await driver.sees("y remove 1 job")
        await client.set("bull:big:a:lock", "token", px=600_000)
        await driver.press("y")
        await driver.sees("0 of 1 job removed")
        assert "✗ 0 a worker holds its l" in driver.row("a")
        assert await client.exists("bull:big:a") == 1


@pytest.mark.slow
async def test_everything_that_matches_is_removed_in_a_list_too(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    queue = Queue("mail", {"connection": redis_url})
    names = [{"name": f"n{place % 2}", "data": {}, "opts": {}} for place in range(240)]
    await queue.addBulk(names)
    await queue.close()
    async with inspector(redis_url) as driver:
        await driver.sees("mail")
        await driver.press("3", "slash", *"name:n1", "enter")
        await driver.sees("120 of 240 match")
        await driver.press("plus")
        await driver.press("D")
        await driver.sees("Remove all waiting jobs that match name:n1 in mail")
        await driver.sees("y remove 120 jobs")
        await driver.press("y")
        await driver.sees("type 120 to remove 120 jobs")
        await driver.press("1", "2", "0")
        await driver.sees("120 of 120 jobs removed")
        assert await client.llen("bull:mail:wait") == 120
        assert "marked" not in driver.lines()[-1]


@pytest.mark.slow
async def test_the_jobs_below_go_too_where_it_is_asked_for(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url) as driver:
        await driver.sees("reports")
        reports = next(one for one in driver.inspector.poll.statuses if one.name == "reports")
        driver.inspector.lists.go_to_queue(reports)
        await driver.settle()
        await driver.press("D")
        await driver.sees("which stay and run without a parent")
        await driver.press("b")
        await driver.sees("[x] b also remove children, and their children")
        await driver.sees("and all below them")
        await driver.press("y")
        await driver.sees("1 of 1 job removed")
        await driver.sees("✔ removed with 5 jobs below it")
        assert await client.exists("bull:invoices:totals", "bull:render:ok") == 0
