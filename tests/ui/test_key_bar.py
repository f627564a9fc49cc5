"""The key bar: what works on the shown state and row, in the right words, at 80 columns."""

from __future__ import annotations

import redis.asyncio

from qtui.bullmq.keys import QueueKey
from qtui.ui.actions import ACTIONS
from qtui.verbs import Verb
from tests.seeds import raw_failed
from tests.ui.driver import Driver, inspector
from tests.ui.flows import failed_report

MAIL = QueueKey.of("bull", "mail")
SMALL = (80, 24)


def bar(driver: Driver) -> str:
    """The last line."""
    return driver.lines()[-1]


async def everywhere(client: redis.asyncio.Redis) -> None:
    """A queue with one job, of those that no worker takes, in each of four states."""
    await raw_failed(client, ["f", "d", "w"], MAIL)
    await client.zrem("bull:mail:failed", "d", "w")
    await client.zadd("bull:mail:delayed", {"d": 1_900_000_000_000 * 4096})
    await client.lpush("bull:mail:wait", "w")


async def test_each_state_has_its_own_keys(redis_url: str, client: redis.asyncio.Redis) -> None:
    await everywhere(client)
    async with inspector(redis_url, size=SMALL) as driver:
        await driver.until(lambda: driver.inspector.table.length == 1, "the job")
        first = ("r retry", "D remove", "i edit", "space mark", "/ filter", "e errors", "? help")
        places = [bar(driver).find(words) for words in (*first, "q quit")]
        assert -1 not in places
        assert places == sorted(places)
        assert "p run now" not in bar(driver)
        assert "f flow" not in bar(driver)
        await driver.press("5")
        await driver.until(lambda: "p run now" in bar(driver), "the key of delayed jobs")
        assert "r retry" not in bar(driver)
        await driver.press("3")
        await driver.until(lambda: "p run now" not in bar(driver), "the keys of waiting jobs")
        assert "D remove" in bar(driver)
        assert "enter open" in bar(driver)
        await driver.press("4")
        await driver.until(lambda: "D remove" not in bar(driver), "the keys of an empty list")
        assert "enter" not in bar(driver)


async def test_where_there_is_room_the_rarer_keys_are_named_too(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await everywhere(client)
    async with inspector(redis_url, size=(180, 40)) as driver:
        await driver.until(lambda: driver.inspector.table.length == 1, "the job")
        for words in ("c copy as new", "S schedulers", "l limits", "P pause"):
            assert words in bar(driver)


async def test_enter_and_q_are_named_for_what_they_do(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await everywhere(client)
    async with inspector(redis_url, size=SMALL) as driver:
        await driver.until(lambda: driver.inspector.table.length == 1, "the job")
        driver.inspector.queues.focus()
        await driver.until(lambda: "enter jobs" in bar(driver), "the queues' keys")
        assert "r retry" not in bar(driver)
        await driver.press("enter")
        await driver.press("enter")
        await driver.until(lambda: "enter fold" in bar(driver), "the keys of an open job")
        assert "q back" in bar(driver)
        await driver.press("q")
        await driver.until(lambda: "q quit" in bar(driver), "the list's keys")
        await driver.press("L")
        await driver.until(lambda: "q back" in bar(driver), "the journal's keys")
        assert "enter" not in bar(driver)


async def test_a_flow_is_offered_where_there_is_one(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await failed_report(redis_url, client)
    await raw_failed(client, ["alone"], MAIL)
    async with inspector(redis_url) as driver:
        queues = {one.name: one for one in driver.inspector.poll.statuses}
        driver.inspector.lists.go_to_queue(queues["reports"])
        await driver.until(lambda: "f flow" in bar(driver), "the parent's flow")
        driver.inspector.lists.go_to_queue(queues["render"])
        await driver.until(lambda: "f flow" in bar(driver), "the child's flow")
        driver.inspector.lists.go_to_queue(queues["mail"])
        await driver.until(lambda: "f flow" not in bar(driver), "no flow")
        await driver.press("f")
        await driver.sees("is in no flow")


async def test_the_palette_has_all_actions_with_the_reason_why_one_can_not_act(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await everywhere(client)
    async with inspector(redis_url) as driver:
        await driver.until(lambda: driver.inspector.table.length == 1, "the job")
        commands = driver.app.get_system_commands(driver.app.screen)
        offered = {one.title.partition(" · ")[0]: one.help for one in commands}
        wanted = [one for one in ACTIONS if one.where in driver.inspector.PARTS]
        names = {f"{one.label} ({one.also})" if one.also else one.label for one in wanted}
        assert names - {"palette"} <= set(offered)
        promotion = offered["run now (promote)"]
        assert promotion.endswith("not now: Only delayed jobs can be promoted.")
        assert "not now" not in offered["remove"]


async def test_keys_of_what_a_profile_does_not_allow_are_gone(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await everywhere(client)
    allowed = frozenset({Verb.PROMOTE, Verb.RETRY})
    async with inspector(redis_url, allow=allowed, allow_by="ops") as driver:
        await driver.until(lambda: driver.inspector.table.length == 1, "the job")
        assert "r retry" in bar(driver)
        assert "space mark" in bar(driver)
        for words in ("D remove", "P pause"):
            assert words not in bar(driver)
        await driver.press("D")
        await driver.sees("profile ops does not allow remove: this is a dry run")
        await driver.press("y")
        assert await client.exists("bull:mail:f") == 1
        await driver.press("escape")
        await driver.press("5")
        await driver.until(lambda: "p run now" in bar(driver), "the key of delayed jobs")
        await driver.press("p")
        await driver.sees("y promote 1 job")
        await driver.press("y")
        await driver.sees("1 of 1 job promoted")
