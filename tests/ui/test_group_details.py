"""The lower half of the error groups: the group under the cursor, and a sample of it."""

from __future__ import annotations

import redis.asyncio

from qtui.ui.screens.errors import ErrorsScreen
from qtui.ui.widgets.document import DocumentView
from qtui.ui.widgets.group_list import GroupList
from tests.ui.driver import Driver, inspector
from tests.ui.grouping import groups, open_groups, three_kinds
from tests.ui.stage import fill


def sample(driver: Driver) -> str:
    """The id of the sample job of the group under the cursor."""
    group = groups(driver).group
    assert group is not None
    return group.sample


async def test_the_lower_half_is_about_the_group_under_the_cursor(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url, size=(120, 36)) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.sees(f"sample: job {sample(driver)} · charge")
        assert "7 jobs, 58 %" in driver.line_with("─ connect ECONNREFUSED <address>")
        assert f"connect ECONNREFUSED 10.0.0.{int(sample(driver)) - 1}:5432" in driver.text()
        assert "first" in driver.line_with("when")
        assert any(line.split() == ["names", "charge"] for line in driver.lines())
        await driver.press("j")
        await driver.until(lambda: int(sample(driver)) > 7, "the next group")
        await driver.sees(f"sample: job {sample(driver)} · charge")
        await driver.sees(f"Timeout of {int(sample(driver)) - 1}000ms exceeded")
        assert "10.0.0" not in driver.text()
        assert "3 jobs, 25 %" in driver.line_with("─ Timeout of <n>ms exceeded")


async def test_the_lower_half_is_a_pane_and_leads_back(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.sees("sample: job ")
        await driver.press("tab", "j")
        assert isinstance(driver.app.focused, DocumentView)
        assert groups(driver).cursor == 0
        await driver.press("escape")
        assert isinstance(driver.app.focused, GroupList)
        assert isinstance(driver.app.screen, ErrorsScreen)


async def test_a_low_screen_has_only_the_list(redis_url: str) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url, size=(80, 15)) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        assert "ECONNREFUSED" in driver.text()
        assert "sample" not in driver.text()


async def test_a_sample_that_is_gone_is_said_to_be(
    redis_url: str, client: redis.asyncio.Redis
) -> None:
    await fill(redis_url, "payments", 12, error=three_kinds)
    async with inspector(redis_url, size=(120, 36)) as driver:
        await driver.sees("failed 12")
        await open_groups(driver)
        await driver.sees(f"sample: job {sample(driver)} ·")
        await client.delete("bull:payments:8", "bull:payments:9", "bull:payments:10")
        await driver.press("j")
        await driver.sees("It is gone by now.")
