"""Error groups on the screen: counted while one looks, filtered to, marked and retried."""

from __future__ import annotations

import re
import time

import pytest
import redis.asyncio
from bullmq import Job

from qtui.bullmq.keys import QueueKey
from qtui.ui.widgets.group_list import GroupList
from tests.seeds import Fields, raw_failed
from tests.ui.driver import Driver, inspector
from tests.ui.grouping import (
    DECLINED,
    LATE,
    REFUSED,
    groups,
    line_of,
    open_groups,
    three_kinds,
)
from tests.ui.stage import fill, succeed, working

BIG = QueueKey.of("bull", "big")


async def test_failures_are_counted_by_what_they_have_in_common(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        assert "3 groups · 12 jobs" in driver.line_with("Errors in payments")
        assert line_of(driver, REFUSED)[:2] == ["7", "58%"]
        assert line_of(driver, LATE)[:2] == ["3", "25%"]
        assert line_of(driver, DECLINED)[:2] == ["2", "17%"]
        order = [line for line in driver.lines() if "% " in line]
        assert [re.findall(r"\d+", line)[0] for line in order[:3]] == ["7", "3", "2"]
        await driver.press("escape")
        assert "failed 12" in driver.text()
        assert driver.inspector.board.filter is None


async def test_enter_shows_the_jobs_of_a_group(redis_url: str) -> None:
    ids = await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("j", "enter")
        await driver.sees("3 of 12 match")
        assert 'group:"Timeout of <n>ms exceeded"' in driver.line_with("3 of 12 match")
        assert driver.inspector.board.found is not None
        assert sorted(driver.inspector.board.found.ids(9), key=int) == ids[7:10]
        await driver.press("escape")
        assert "match" not in driver.text()


@pytest.mark.slow
async def test_groups_of_a_filter_are_of_its_jobs_and_narrow_it(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    await fill(redis_url, "payments", 12, error=three_kinds, name="refund")
    async with inspector(redis_url) as driver:
        await driver.sees("failed 24")
        await driver.press("slash")
        await driver.press(*"refund", "enter")
        await driver.sees("12 of 24 match")
        await open_groups(driver)
        assert "/ refund" in driver.line_with("3 groups · 12 jobs")
        await driver.press("enter")
        await driver.sees("7 of 24 match")
        assert str(driver.inspector.board.filter) == 'refund group:"connect ECONNREFUSED <address>"'
        await open_groups(driver)
        await driver.press("enter")
        assert str(driver.inspector.board.filter) == 'refund group:"connect ECONNREFUSED <address>"'


@pytest.mark.slow
async def test_a_group_is_retried_and_no_other_job(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("j", "r")
        await driver.sees("y retry 3 jobs")
        assert "group:" in driver.line_with("Retry all failed jobs that match")
        await driver.press("y")
        await driver.until(lambda: "✔ waiting" in driver.row(ids[8]), "the result")
        assert sorted(await client.lrange("bull:payments:wait", 0, -1), key=int) == ids[7:10]


@pytest.mark.slow
async def test_marked_groups_are_retried_together(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    ids = await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("j", "space", "space")
        await driver.sees("2 groups marked")
        assert "●" in driver.line_with(LATE)
        assert "●" not in driver.line_with(REFUSED)
        await driver.press("g", "r")
        await driver.sees("y retry 5 jobs")
        await driver.press("y")
        await driver.until(lambda: "✔ waiting" in driver.row(ids[8]), "the result")
        assert sorted(await client.lrange("bull:payments:wait", 0, -1), key=int) == ids[7:]
        async with working(redis_url, "payments", succeed):
            await driver.sees("✔ completed")


async def test_a_mark_is_taken_away_by_the_same_key(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("space", "k", "space")
        assert groups(driver).marked == set()
        assert "marked" not in driver.text()


async def test_a_plan_that_is_left_keeps_the_groups_and_their_marks(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("space", "j", "space", "r")
        await driver.sees("esc cancel")
        await driver.press("escape")
        await driver.sees("2 groups marked")
        assert len(groups(driver).marked) == 2
        assert driver.inspector.board.filter is None
        await driver.press("escape")
        await open_groups(driver)
        await driver.sees("2 groups marked")


@pytest.mark.slow
async def test_all_groups_are_planned_together(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("R")
        await driver.sees("y retry 12 jobs")
        await driver.press("escape")
        assert driver.inspector.board.filter is None


async def test_all_groups_are_marked_and_unmarked_by_one_key(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.press("space", "a")
        await driver.sees("3 groups marked")
        await driver.press("r")
        await driver.sees("y retry 12 jobs")
        await driver.press("escape")
        await driver.sees("3 groups marked")
        await driver.press("a")
        await driver.until(lambda: not groups(driver).marked, "no marks")
        assert "marked" not in driver.text()


@pytest.mark.slow
async def test_a_retry_of_all_groups_is_one_of_the_marked_where_some_are(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        assert "R retry all groups" in driver.lines()[-1]
        await driver.press("j", "space", "g")
        assert "R retry all groups" not in driver.lines()[-1]
        await driver.press("R")
        await driver.sees("y retry 3 jobs")
        assert "group:" in driver.line_with("Retry all failed jobs that match")


@pytest.mark.slow
async def test_groups_that_differ_in_one_word_are_one_and_keep_the_cursor(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    names = ["ann", "bob", "cid", "dora", "eve", "fay", "gus", "hal", "ida", "joe"]

    def change(place: int) -> Fields:
        # The newest are a few of the kind, before many others that hold up the search.
        kind = place >= 1490 or place < 5
        return {"failedReason": f"user {names[place % 10]} is gone" if kind else "declined"}

    await raw_failed(client, [f"j{place}" for place in range(1500)], BIG, change=change)
    for place in (1490, 1491, 1492, 1493, 1494):
        await client.hset(f"bull:big:j{place}", "failedReason", "declined")
    async with inspector(redis_url, scan_rate=500.0) as driver:
        await driver.sees("1,500")
        driver.app.simulate_key("e")
        await driver.until(lambda: groups_or_none(driver) == 6, "five users")
        driver.app.simulate_key("G")
        driver.app.simulate_key("space")
        await driver.sees("1 group marked")
        chosen = groups(driver).group
        assert chosen is not None
        assert chosen.jobs == 1
        await driver.sees("1 marked group is part of a larger group now, which is not marked.")
        assert groups(driver).length == 2
        now = groups(driver).group
        assert now is not None
        assert (now.signature, chosen.into) in (
            ("user <word> is gone", now),
            ("user <word> is gone", None),
        )
        await driver.until(lambda: "searched" not in driver.text(), "the end")
        assert line_of(driver, "user <word> is gone")[0] == "10"
        assert "group marked" not in driver.text()
        await driver.press("ctrl+r")
        await driver.settle()
        assert groups(driver).length == 2
        await driver.press("enter")
        await driver.sees("10 of 1,500 match")


def groups_or_none(driver: Driver) -> int | None:
    """How many groups are visible, if the list is."""
    found = driver.app.screen.query(GroupList)
    return found.first().length if found else None


@pytest.mark.slow
async def test_counts_grow_and_the_cursor_stays_with_its_group(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    # The newest half is all of one kind, so that the other one overtakes it in the end.
    await raw_failed(
        client,
        [f"j{place}" for place in range(1500)],
        BIG,
        change=lambda place: {"failedReason": "older" if place < 1000 else "newer"},
    )
    async with inspector(redis_url, scan_rate=500.0) as driver:
        await driver.sees("1,500")
        driver.app.simulate_key("e")
        await driver.sees(" of 1,500")
        await driver.until(lambda: groups(driver).length == 2, "both groups")
        driver.app.simulate_key("j")
        await driver.until(lambda: groups(driver).cursor == 1, "the cursor on the smaller one")
        assert groups(driver).group is not None
        chosen = groups(driver).group
        await driver.sees("2 groups · 1,500 jobs")
        await driver.until(lambda: "searched" not in driver.text(), "the end")
        assert groups(driver).group is chosen
        assert chosen is not None
        assert chosen.signature == "older"
        assert groups(driver).cursor == 0
        assert line_of(driver, "older")[:2] == ["1,000", "67%"]


async def test_untouched_the_cursor_is_on_the_largest(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(
        client,
        [f"j{place}" for place in range(1500)],
        BIG,
        change=lambda place: {"failedReason": "older" if place < 1000 else "newer"},
    )
    async with inspector(redis_url) as driver:
        await driver.sees("1,500")
        await open_groups(driver)
        assert "▌" in driver.line_with("older")
        assert groups(driver).cursor == 0


async def test_read_only_marks_nothing_and_plans_a_dry_run(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url, read_only=True) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        assert "retry" not in driver.lines()[-1]
        assert "mark" not in driver.lines()[-1]
        await driver.press("space")
        await driver.sees("Read-only: actions and marks are off")
        assert not groups(driver).marked
        await driver.press("r")
        await driver.sees("this is a dry run; nothing will be written")


async def test_jobs_without_a_reason_are_a_group_of_their_own(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    reasons = ("", " ", None, "boom")
    ids = await raw_failed(client, ("a", "b", "c", "d"))
    for one, reason in zip(ids, reasons, strict=True):
        if reason is None:
            await client.hdel(f"bull:q:{one}", "failedReason")
        else:
            await client.hset(f"bull:q:{one}", "failedReason", reason)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 4")
        await open_groups(driver)
        assert line_of(driver, "(no reason given)")[0] == "3"
        await driver.press("enter")
        await driver.sees("3 of 4 match")


@pytest.mark.slow
async def test_nothing_to_group_is_said(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 1")
        await driver.press("2")
        await open_groups(driver)
        await driver.sees("no completed jobs")
        await driver.press("enter", "space", "r")
        await driver.sees("There is no group here")
        await driver.press("escape", "1", "slash")
        await driver.press(*"nothing", "enter")
        await driver.sees("0 of 1 match")
        await open_groups(driver)
        await driver.sees("no matches")


async def test_a_count_that_is_refused_keeps_what_it_has_and_says_what_to_press(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await raw_failed(client, [f"j{place}" for place in range(4000)], BIG)
    async with inspector(redis_url, scan_rate=500.0, size=(80, 24)) as driver:
        await driver.sees("4,000")
        driver.app.simulate_key("e")
        await driver.sees(" of 4,000")
        await client.execute_command("ACL", "SETUSER", "default", "-sort_ro", "-zrevrange")
        try:
            await driver.sees("Stopped; ctrl+r counts again: ")
            assert " of 4,000" in driver.text()
        finally:
            await client.execute_command("ACL", "SETUSER", "default", "+@all")
        driver.app.simulate_key("ctrl+r")
        await driver.until(lambda: "stopped" not in driver.text(), "another count")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_hostile_errors_are_shown_plain(redis_url: str, size: tuple[int, int]) -> None:
    hostile = "\x1b]0;evil\x07 [red]x[/red] \u202e"
    await fill(redis_url, "payments", 2, name=hostile, error=lambda _: hostile)
    async with inspector(redis_url, size=size) as driver:
        await driver.sees("failed")
        await open_groups(driver)
        assert "[red]x" in driver.text()
        assert "\x1b" not in driver.text()
        assert "\u202e" not in driver.text()
        await driver.press("enter")
        await driver.sees("2 of 2 match")
        assert "\x1b" not in driver.text()
        assert "\u202e" not in driver.text()


@pytest.mark.slow
async def test_a_group_that_began_lately_is_new(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    old = time.time() * 1000 - 3_600_000
    await client.zadd("bull:payments:failed", {str(one): old + one for one in range(1, 11)})
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        assert "new · card_declined" in driver.line_with(DECLINED)
        assert "new" not in driver.line_with(REFUSED).split()
        await driver.press("escape", "slash", *"after:2020-01-01", "enter")
        await driver.sees("12 of 12 match")
        await open_groups(driver)
        # Of some time alone it can't be known when they began.
        assert "new ·" not in driver.text()


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 120])
async def test_a_group_that_came_back_after_a_retry_is_marked_and_says_so(
    redis_url: str, width: int
) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url, size=(width, 36)) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        assert "again" not in driver.text()
        await driver.press("j", "r")
        await driver.sees("y retry 3 jobs")
        await driver.press("y")
        await driver.sees("3 of 3 jobs retried")

        async def fail(job: Job, token: str) -> object:
            raise RuntimeError("Timeout of 1ms exceeded")

        async with working(redis_url, "payments", fail):
            await driver.sees("3 failed again")
        await driver.press("escape")
        await driver.sees("failed 12")
        await open_groups(driver)
        marked = "3 of 3 failed again" if width > 100 else "again ·"
        await driver.sees(marked)
        assert "Timeout of <n>ms" in driver.line_with(marked)
        await driver.sees("retried 3, 3 failed again, ")
        assert "before" in driver.line_with("retried 3, 3 failed again, ")
