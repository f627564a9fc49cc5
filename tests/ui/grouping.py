"""Failures of three kinds, and the screen that groups them."""

from __future__ import annotations

from qtui.ui.screens.errors import ErrorsScreen
from qtui.ui.widgets.group_list import GroupList
from tests.ui.driver import Driver

REFUSED, LATE, DECLINED = "ECONNREFUSED", "Timeout of <n>ms", "card_declined"


def three_kinds(place: int) -> str:
    """Of twelve jobs seven, three and two."""
    if place % 12 < 7:
        return f"connect ECONNREFUSED 10.0.0.{place}:5432"
    return f"Timeout of {place}000ms exceeded" if place % 12 < 10 else "card_declined"


def groups(driver: Driver) -> GroupList:
    """The list of groups shown."""
    return driver.app.screen.query_one(GroupList)


def line_of(driver: Driver, words: str) -> list[str]:
    """The cells of a group's line."""
    return driver.line_with(words).replace("▌", " ").replace("●", " ").split()


async def open_groups(driver: Driver, *, of_all_queues: bool = False) -> None:
    """Opens the groups and waits until all are counted."""
    (driver.inspector.queues if of_all_queues else driver.inspector.table).focus()
    await driver.settle()
    await driver.press("e")
    await driver.sees("Errors in ")
    await driver.until(lambda: isinstance(driver.app.screen, ErrorsScreen), "the groups")
    await driver.settle()
