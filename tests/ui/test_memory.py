"""What was opened and closed is let go, however often."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

WAYS: dict[str, tuple[str, ...]] = {
    "plan": ("r", "escape"),
    "removal": ("D", "escape"),
    "help": ("?", "escape"),
    "errors": ("e", "escape"),
    "journal": ("L", "q"),
    "job": ("enter", "escape"),
    "filter": ("/", "b", "enter", "escape", "escape"),
    "palette": (":", "escape"),
}

_DRAWN = (
    *("Strip", "StylesCache", "Screen", "Static"),
    *("RetryDialog", "ActionDialog", "ErrorsScreen", "JournalScreen"),
)
"""What holds the lines that were drawn, and those whose lines they are."""

FEW, MANY = 3, 12


async def objects_after(driver: Driver, keys: tuple[str, ...], times: int) -> Counter[str]:
    """How many objects of each kind there are after the keys were pressed some times."""
    for _ in range(times):
        for key in keys:
            await driver.press(key)
    gc.collect()
    kinds = Counter(type(one).__name__ for one in gc.get_objects())
    return Counter({name: kinds[name] for name in _DRAWN})


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_closed_is_let_go(redis_url: str, way: str) -> None:
    await fill(redis_url, "payments", 3, error=lambda place: "boom")
    async with inspector(redis_url, refresh=0) as driver:
        few = await objects_after(driver, WAYS[way], FEW)
        many = await objects_after(driver, WAYS[way], MANY)
        more = Counter({name: many[name] - few[name] for name in _DRAWN})
        assert all(more[name] <= 2 for name in _DRAWN if name != "Strip"), more
        # One opening of a plan leaves some 200 lines behind where they are kept.
        assert more["Strip"] < 50 * MANY, more
