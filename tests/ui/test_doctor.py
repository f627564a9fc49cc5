"""`!` on the screen: what is wrong, what that does to jobs, and the plan of what fixes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio
from bullmq import FlowProducer, Queue

from qtui.bullmq.verdicts.examination import SMALL
from qtui.operations.journal.reading import campaigns
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

HOUR = 3_600_000


async def opened(driver: Driver) -> None:
    await driver.until(lambda: driver.inspector.board.queue is not None, "a queue")
    await driver.press("exclamation_mark")
    await driver.sees(" Doctor ")
    await over(driver)


async def over(driver: Driver) -> None:
    await driver.until(lambda: "x stop" not in driver.lines()[-1], "the end of the examination")


async def lost_hash(url: str, client: redis.asyncio.Redis) -> None:
    """Three failed jobs, and the hash of the second is gone."""
    await fill(url, "mail", 3)
    await client.delete("bull:mail:2")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_a_fault_its_effect_and_its_remedy_are_visible(
    redis_url: str, client: redis.asyncio.Redis, size: tuple[int, int]
) -> None:
    await lost_hash(redis_url, client)
    async with inspector(redis_url, size=size) as driver:
        assert "! doctor" not in driver.lines()[-1]  # an idle queue: nothing is red yet
        await opened(driver)
        assert "mail  1 fault · " in driver.lines()[0]
        assert driver.lines()[2].startswith("▌✗  1 id is in a state, but the job is gone")
        assert " ▲  nothing was saved to disk yet" in driver.text()
        for words in ("a worker that takes one runs without data", "bull:mail:2: none"):
            await driver.sees(words)
        assert "f plans it" in driver.line_with("what to do")
        assert "f fix" in driver.lines()[-1]
        await driver.press("G", "f")
        await driver.sees("No action of qtui fixes this")
        await driver.press("enter")
        await driver.sees("no queue and no job to open")
        await driver.press("g", "enter")
        await driver.until(lambda: "Doctor" not in driver.lines()[0], "the inspector")
        assert "the job's hash is gone" in driver.row("2") if size[0] > 80 else driver.row("2")


async def test_a_fault_is_fixed_by_a_plan_that_can_be_undone(
    redis_url: str, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    await lost_hash(redis_url, client)
    async with inspector(redis_url, journal=tmp_path) as driver:
        await opened(driver)
        await driver.press("f")
        await driver.sees("Remove 1 failed id without a job in mail")
        await driver.press("y")
        await driver.sees("mail: 1 of 1 job removed")
        await driver.sees("0 faults")
        await over(driver)
    assert await client.zrange("bull:mail:failed", 0, -1) == ["1", "3"]
    [one] = campaigns(tmp_path)
    assert (one.header.action, one.header.reason) == ("remove", "the doctor (!)")


@pytest.mark.slow
async def test_jobs_in_no_state_are_removed(redis_url: str, client: redis.asyncio.Redis) -> None:
    await fill(redis_url, "mail", 3)
    await client.zrem("bull:mail:failed", "1", "2")
    async with inspector(redis_url) as driver:
        await opened(driver)
        await driver.sees("2 jobs are in no state")
        await driver.press("f")
        await driver.sees("Remove 2 jobs in no state from mail")
        await driver.press("y")
        await driver.sees("2 of 2 jobs removed")
        await driver.sees("0 faults")
    assert not await client.exists("bull:mail:1", "bull:mail:2")


@pytest.mark.slow
async def test_stranded_jobs_a_limit_and_a_dedup_id_are_fixed_too(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    queue = Queue("mail", {"connection": redis_url})
    await queue.add("once", {}, {"deduplication": {"id": "order-1"}})
    await client.delete("bull:mail:1", "bull:mail:wait")
    await queue.add("later", {})
    await client.rename("bull:mail:wait", "bull:mail:paused")
    await client.set("bull:mail:limiter", 2**53 - 1)
    await queue.close()
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.sees("! doctor")  # the queue's line is red
        await opened(driver)
        assert "3 faults" in driver.lines()[0]
        for title, left in (("Resume mail", 2), ("Change the limits of mail", 1), ("limits", 0)):
            await driver.press("f")
            await driver.sees(title)
            await driver.press("y")
            await driver.sees(f"{left} fault")
            await over(driver)
    assert await client.lrange("bull:mail:wait", 0, -1) == ["2"]
    assert not await client.exists("bull:mail:limiter", "bull:mail:de:order-1")


@pytest.mark.slow
async def test_a_dead_scheduler_is_revived(redis_url: str, client: redis.asyncio.Redis) -> None:
    queue = Queue("mail", {"connection": redis_url})
    await queue.addBulk([{"name": "one", "data": {}}, {"name": "two", "data": {}}])
    await queue.upsertJobScheduler("digest", {"every": HOUR}, "tick", {"a": 1})
    await queue.drain()
    await queue.close()
    async with inspector(redis_url) as driver:
        await opened(driver)
        await driver.sees("1 scheduler is dead")
        assert driver.lines()[2].startswith("▌✗  1 scheduler is dead")
        await driver.press("f")
        await driver.sees("Revive scheduler digest in mail")
        await driver.press("y")
        await driver.sees("1 of 1 scheduler")
        await driver.until(lambda: "1 scheduler is dead" not in driver.text(), "its revival")
    assert await client.zcard("bull:mail:delayed") == 1


@pytest.mark.slow
async def test_a_parent_whose_children_are_gone_is_released_by_a_rerun(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    producer = FlowProducer({"connection": redis_url})
    child = {"name": "kid", "queueName": "kids", "data": {}}
    tree = await producer.add(
        {"name": "report", "queueName": "mail", "data": {}, "children": [child]}
    )
    await producer.close()
    parent, kid = tree["job"].id, tree["children"][0]["job"].id
    await client.delete(f"bull:kids:{kid}", "bull:kids:wait")
    await client.zadd("bull:mail:waiting-children", {parent: 1_000})
    async with inspector(redis_url, queues=("mail",)) as driver:
        await opened(driver)
        await driver.sees("all its pending children are gone")
        await driver.press("f")
        await driver.sees("[x] d run parents without lost children")
        await driver.press("y")
        await driver.sees("✔ waiting")
        await driver.press("escape")
        await driver.sees("0 faults")
    assert await client.lrange("bull:mail:wait", 0, -1) == [parent]


async def test_all_queues_with_names_that_are_hostile(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await lost_hash(redis_url, client)
    hostile = Queue("[/x]\x1b[31m", {"connection": redis_url})
    await hostile.addBulk([{"name": "a", "data": {}}] * 2)
    await hostile.close()
    await client.rpop("bull:[/x]\x1b[31m:wait")
    async with inspector(redis_url, size=(80, 24)) as driver:
        await driver.until(lambda: len(driver.inspector.poll.statuses) == 2, "both queues")
        driver.inspector.queues.focus()
        await driver.press("exclamation_mark")
        await driver.sees("2 queues  2 faults")
        await over(driver)
        assert "1 job is in no state" in driver.line_with("[/x]␛[31m")
        assert "\x1b" not in driver.text()
        while not driver.line_with("▌").startswith("▌✗  [/x]"):
            await driver.press("j")
        await driver.press("enter")
        await driver.sees("No list has it. In a shell: qtui")


@pytest.mark.slow
async def test_what_takes_long_says_its_price_first_and_can_be_stopped(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "mail", 1)
    await client.zadd("bull:mail:completed", {f"x{place}": place for place in range(SMALL)})
    async with inspector(redis_url, scan_rate=50.0) as driver:
        await opened(driver)
        await driver.sees("20,001 jobs not read one by one: d reads all of it, in about 1 s")
        assert "0 faults" in driver.lines()[0]
        driver.app.simulate_key("d")
        await driver.sees("reading jobs of mail")
        driver.app.simulate_key("x")
        await driver.sees("stopped")
    async with inspector(redis_url, scan_rate=0) as driver:
        await opened(driver)
        await driver.press("d")
        await driver.sees("20,000 ids are in a state, but the job is gone")
        await over(driver)
        await driver.press("d")
        await driver.sees("All jobs and keys have been read.")


@pytest.mark.slow
async def test_read_only_plans_only(redis_url: str, client: redis.asyncio.Redis) -> None:
    await lost_hash(redis_url, client)
    before = await client.execute_command("DEBUG", "DIGEST")
    async with inspector(redis_url, read_only=True) as driver:
        await opened(driver)
        assert "READ-ONLY" in driver.lines()[0]
        assert "f fix (dry run)" in driver.lines()[-1]
        await driver.press("f")
        await driver.sees("Dry run: remove 1 failed id")
        await driver.press("y")
        await driver.sees("READ-ONLY: this is a dry run")
        await driver.press("escape")
    assert await client.execute_command("DEBUG", "DIGEST") == before


async def test_a_user_who_may_only_read_finds_the_faults_and_which_rights_are_lacking(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await lost_hash(redis_url, client)
    rights = ("on", "nopass", "~bull:*", "+@read")
    await client.execute_command("ACL", "SETUSER", "watcher", *rights)
    url = redis_url.replace("unix://", "unix://watcher:secret@")
    try:
        async with inspector(url, read_only=True) as driver:
            await opened(driver)
            await driver.sees("1 id is in a state, but the job is gone")
            assert "+client|list" in driver.line_with("this user lacks")
            assert "+info" in driver.line_with("this user lacks")
    finally:
        await client.acl_deluser("watcher")
