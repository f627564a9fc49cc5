"""Looking never writes: every key on every screen, and the server's keyspace is what it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest
import redis.asyncio
from bullmq import FlowProducer, Job, Queue

from qtui.demo.server import EmbeddedServer
from qtui.ui.actions import ACTIONS, Where
from tests.patience import PATIENCE
from tests.servers import connect
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill, until_failed, working

WATCHER = "ACL SETUSER watcher "
README = Path(__file__).parents[2] / "README.md"
[ACL] = [line for line in README.read_text("utf-8").splitlines() if line.startswith(WATCHER)]
STATES = [key for action in ACTIONS if action.id.startswith("state.") for key in action.keys]
WAYS_OUT = {"q", "escape"}
DIALOGS = {"r", "R", "question_mark", "colon", "ctrl+p", "slash", "e", "f", "L", "S", "P", "l", "X"}
"""What opens something: pressed by itself, so that the keys after it act there."""


async def digest(client: redis.asyncio.Redis) -> object:
    """A number that every change of any key changes."""
    return await client.execute_command("DEBUG", "DIGEST")


async def writes_seen(client: redis.asyncio.Redis) -> list[str]:
    """The commands that arrived since the statistics were reset and are able to write."""
    seen = [name.removeprefix("cmdstat_") for name in await client.info("commandstats")]
    writing = []
    for name in seen:
        command = name.partition("|")[0]
        [facts] = await client.execute_command("COMMAND", "INFO", command)
        if "write" in facts[2] or command in ("eval", "evalsha", "fcall", "script"):
            writing.append(name)
    return writing


async def populate(client: redis.asyncio.Redis, url: str) -> None:
    """Two queues of real BullMQ, with something in every state."""
    ids = await fill(url, "payments", 40)
    await fill(url, "emails", 3)
    now = 1_795_000_000_000
    for place, state in enumerate(("wait", "active", "paused")):
        await client.lpush(f"bull:payments:{state}", ids[place])
    for place, state in enumerate(("completed", "delayed", "prioritized", "waiting-children"), 3):
        await client.zadd(f"bull:payments:{state}", {ids[place]: now})
    await client.hset(f"bull:payments:{ids[4]}", "data", "x" * 600_000)
    await client.rpush(f"bull:payments:{ids[39]}:logs", *(f"line {line}" for line in range(500)))


async def press_everything(driver: Driver, *, retrying: bool) -> None:
    """Every key of the registry in every state and pane, and in the plan."""
    keys = [key for action in ACTIONS for key in action.keys if key not in WAYS_OUT | DIALOGS]
    for state in STATES:
        for _ in range(3):
            await driver.press(state)
            await driver.press(*(key for key in keys if key not in STATES))
            await driver.press("escape", "tab")
        for key in sorted(DIALOGS - (set() if retrying else {"r", "R", "P", "X"})):
            await driver.press(key)
            await driver.press(*(["r"] if retrying else []))
            await driver.press("m", "s", "y", "x", "enter", "escape", "escape")
            while len(driver.app.screen_stack) > 2:
                await driver.press("escape")


@pytest.mark.parametrize("read_only", [True, False])
async def test_every_key_leaves_every_key_as_it_was(
    client: redis.asyncio.Redis, redis_url: str, read_only: bool
) -> None:
    await populate(client, redis_url)
    until = monotonic() + PATIENCE
    while any(one["name"].startswith("bull:") for one in await client.client_list()):
        assert monotonic() < until, "the workers that made the jobs are still there"
        await asyncio.sleep(0.01)  # between two looks; the condition decides
    await client.delete("bull:payments:stalled-check", "bull:emails:stalled-check")
    async for key in client.scan_iter():
        await client.persist(key)  # a lock that expires meanwhile would change the digest
    before = await digest(client)
    await client.config_resetstat()
    async with inspector(redis_url, read_only=read_only, refresh=0.5) as driver:
        await driver.sees("payments")
        await press_everything(driver, retrying=read_only)
    assert await digest(client) == before
    assert await writes_seen(client) == []


SCREENS = {
    Where.SCHEDULERS: "S",
    Where.LIMITS: "l",
    Where.GROUPS: "e",
    Where.FLOW: "f",
    Where.DOCTOR: "exclamation_mark",
    Where.JOURNAL: "L",
}
"""The screens that have keys of their own that write, and the key that opens each."""

ON_THE_LIST = {Where.INSPECTOR, Where.JOBS, Where.QUEUE}
IN_DIALOGS = {Where.PLAN, Where.RERUN, Where.EDIT}
"""Where the other keys that write are: pressed on the list, and in each plan that opens."""


def test_every_screen_with_a_key_that_writes_is_opened_here() -> None:
    writing = {action.where for action in ACTIONS if action.writes}
    assert writing == set(SCREENS) | ON_THE_LIST | IN_DIALOGS


async def trouble(client: redis.asyncio.Redis, url: str, journal: Path) -> None:
    """A flow that failed, a dead scheduler, limits, a fault, and a pause that can be undone."""
    queue, producer = Queue("mail", {"connection": url}), FlowProducer({"connection": url})
    child = {"name": "c", "queueName": "mail", "data": {}, "opts": {"failParentOnFailure": True}}
    await producer.add({"name": "p", "queueName": "mail", "data": {}, "children": [child]})
    await producer.close()

    async def fail(job: Job, token: str) -> object:
        raise RuntimeError("no")

    async with working(url, "mail", fail):
        await until_failed(queue, 2)
    await queue.upsertJobScheduler("digest", {"every": 3_600_000}, "tick", {"a": 1})
    await client.delete("bull:mail:wait", "bull:mail:delayed")
    await queue.close()
    await client.hset("bull:mail:meta", "concurrency", "2")
    await client.set("bull:mail:limiter", "9")
    await client.set("bull:mail:de:once", "gone")
    async with inspector(url, journal=journal) as driver:
        await driver.press("P")
        await driver.sees("y pause")
        await driver.press("y")
        await driver.sees("1 of 1 queue paused")
    async for key in client.scan_iter():
        await client.persist(key)  # what expires meanwhile would change the digest


@pytest.mark.slow
@pytest.mark.parametrize("where", SCREENS)
async def test_read_only_each_key_of_each_screen_that_writes_is_a_dry_run(
    client: redis.asyncio.Redis, redis_url: str, tmp_path: Path, where: Where
) -> None:
    await trouble(client, redis_url, tmp_path)
    keys = [action.keys[0] for action in ACTIONS if action.where is where and action.writes]
    before = await digest(client)
    await client.config_resetstat()
    for key in keys:
        async with inspector(redis_url, read_only=True, journal=tmp_path) as driver:
            await driver.sees("failed 2")
            await driver.press(SCREENS[where])
            await driver.until(lambda: driver.app.screen is not driver.inspector, "the screen")
            await driver.press(key)
            await driver.press("3", "enter", "y", "y", "enter")
    assert await digest(client) == before
    assert await writes_seen(client) == []


async def test_read_only_is_impossible_to_miss_and_a_plan_is_a_dry_run(redis_url: str) -> None:
    await fill(redis_url, "payments", 2)
    async with inspector(redis_url, size=(80, 24), read_only=True) as driver:
        await driver.sees("READ-ONLY")
        bar = driver.lines()[-1]
        assert "mark" not in bar
        assert "retry" not in bar
        await driver.press("r")
        await driver.sees("this is a dry run; nothing will be written")
        await driver.press("y")
        await driver.sees("Dry run")
        await driver.press("escape", "space")
        await driver.sees("Read-only: actions and marks are off")


async def test_no_write_key_is_offered_in_read_only_mode(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    writing = {action.help for action in ACTIONS if action.writes and action.where is Where.JOBS}
    async with inspector(redis_url, size=(120, 70), read_only=True) as driver:
        commands = {one.help for one in driver.app.get_system_commands(driver.app.screen)}
        assert not commands & writing
        await driver.press("question_mark")
        assert not [words for words in writing if words in driver.text()]


async def test_the_smallest_acl_user_can_watch(server: EmbeddedServer, redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    async with connect(server) as admin:
        await admin.execute_command(*ACL.replace("password", "watch").split())
    url = redis_url.replace("unix://", "unix://watcher:watch@", 1)
    async with inspector(url, read_only=True, refresh=0.5) as driver:
        await driver.sees("failed 3")
        await driver.sees("ECONNREFUSED")
        await driver.press("enter")
        await driver.sees('"customer"')
        assert "watch@" not in driver.text()
