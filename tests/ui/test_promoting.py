"""`p` on the screen: delayed jobs run now, all that match too; a scheduler's iteration stays."""

from __future__ import annotations

import pytest
import redis.asyncio
from bullmq import Queue

from qtui.bullmq.model import JobState
from tests.ui.driver import Driver, inspector
from tests.ui.stage import succeed, working

LATER = 3_600_000
DUE = 1_900_000_000_000


async def delay(url: str, jobs: int) -> list[str]:
    """Adds delayed jobs, two by two of the same name; their ids."""
    queue = Queue("mail", {"connection": url})
    wanted = [
        {"name": f"n{place % 2}", "data": {}, "opts": {"delay": LATER + place}}
        for place in range(jobs)
    ]
    added = await queue.addBulk(wanted)
    await queue.close()
    return [job.id for job in added]


def completed(driver: Driver) -> int:
    """Jobs in completed, as the screen knows."""
    return sum(one.count(JobState.COMPLETED) for one in driver.inspector.poll.statuses.values())


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_delayed_jobs_are_promoted_and_run(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    ids = await delay(redis_url, 4)
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("mail")
        await driver.press("p")
        await driver.sees("Only delayed jobs can be promoted.")
        await driver.press("5")
        await driver.until(lambda: driver.inspector.table.length == 4, "the jobs")
        assert "p run now" in driver.lines()[-1]
        assert "r retry" not in driver.lines()[-1]
        await driver.press("space", "space")
        await driver.press("p")
        await driver.sees("Promote 2 delayed jobs in mail")
        await driver.sees("→ waiting, last in line")
        await driver.press("y")
        await driver.sees(" mail  2 of 2 jobs promoted")
        await driver.sees("U undoes · esc closes")
        promoted = [one for one in ids if "✔ waiting" in driver.row(one)]
        assert sorted(await client.lrange("bull:mail:wait", 0, -1)) == sorted(promoted)
        async with working(redis_url, "mail", succeed):
            await driver.until(lambda: completed(driver) == 2, "the runs")


@pytest.mark.slow
async def test_all_that_match_are_promoted(redis_url: str, client: redis.asyncio.Redis) -> None:
    await delay(redis_url, 220)
    async with inspector(redis_url) as driver:
        await driver.sees("mail")
        await driver.press("5", "slash", *"name:n1", "enter")
        await driver.sees("110 of 220 match")
        await driver.press("plus")
        await driver.press("p")
        await driver.sees("Promote all delayed jobs that match name:n1 in mail")
        await driver.sees("y promote 110 jobs")
        await driver.press("y")
        await driver.sees("type 110 to promote 110 jobs")
        await driver.press("1", "1", "0")
        await driver.sees("110 of 110 jobs promoted")
        assert await client.llen("bull:mail:wait") == 110


async def test_a_schedulers_iteration_stays_and_the_plan_says_what_to_do(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    [job] = await delay(redis_url, 1)
    iteration = f"repeat:nightly:{DUE}"
    fields = await client.hgetall(f"bull:mail:{job}")
    for name, value in {**fields, "rjk": "nightly"}.items():
        await client.hset(f"bull:mail:{iteration}", name, value)
    await client.zrem("bull:mail:delayed", job)
    await client.zadd("bull:mail:delayed", {iteration: DUE * 4096})
    await client.zadd("bull:mail:repeat", {"nightly": DUE})
    async with inspector(redis_url) as driver:
        await driver.sees("mail")
        await driver.press("5")
        await driver.until(lambda: driver.inspector.table.length == 1, "the job")
        await driver.press("p")
        await driver.sees("✗ -8 a scheduler's current iteration")
        await driver.sees("run the scheduler now instead")
        await driver.sees("There is nothing to do.")
        await driver.press("y")
        assert await client.zcard("bull:mail:delayed") == 1
