"""The help lists the keys that work where it was opened: all of them, and no others."""

from __future__ import annotations

import pytest
import redis.asyncio

from qtui.ui.acting import Acting
from qtui.ui.actions import ACTIONS
from qtui.ui.dialogs.ask import AskDialog
from qtui.ui.keys import in_keys, key_in_words
from tests.ui.driver import Driver, inspector
from tests.ui.flows import failed_report
from tests.ui.stage import fill

WITHOUT_EFFECT = {"tab", "shift+tab", "super+c"}
"""Textual's own, on every screen: they do nothing where there is one pane and no selected text."""

OVER_DIALOGS = {
    "ctrl+c": "app.interrupt",
    "ctrl+p": "app.palette",
    "ctrl+q": "app.leave",
    "ctrl+z": "app.suspend",
}
"""Keys of the app that work on every screen."""

TALL = (110, 100)
"""Columns and lines in which the whole help is seen."""


def listed(driver: Driver) -> dict[str, set[str]]:
    """What the help on the screen says: by what is done, the keys that it names for it."""
    known = {
        in_keys(words, {}) for action in ACTIONS for words in (action.help, action.dry) if words
    }
    found: dict[str, set[str]] = {}
    for row in (part.strip() for line in driver.lines() for part in line.split("│")):
        words = max((one for one in known if row.endswith(f" {one}")), key=len, default="")
        if words:
            found.setdefault(words, set()).update(row.removesuffix(words).split())
    return found


def active(driver: Driver) -> dict[str, set[str]]:
    """What is bound on the screen, with its pane or dialog, and can act: by what is done, keys."""
    screen = driver.app.screen
    assert isinstance(screen, Acting)
    by_id = {action.id: action for action in ACTIONS}
    keys = {key: by_id[name] for key, name in OVER_DIALOGS.items()}
    for key, one in screen.active_bindings.items():
        action = by_id.get(one.binding.id or "")
        if action is not None:
            keys[key] = action
        else:
            typed = one.binding.action.startswith("digit(") or one.binding.action == "erase"
            assert typed or key in OVER_DIALOGS or key in WITHOUT_EFFECT, f"{key} is in no registry"
    found: dict[str, set[str]] = {}
    read_only = driver.inspector.session.read_only
    for key, action in keys.items():
        if not screen.why_not(action):
            words = in_keys(action.dry if read_only and action.writes else action.help, {})
            found.setdefault(words, set()).add(key_in_words(key))
    return found


async def assert_help_is_exact(driver: Driver) -> dict[str, set[str]]:
    """Opens the help where the driver is, compares it, and closes it; what it lists."""
    works, stack = active(driver), len(driver.app.screen_stack)
    await driver.press("question_mark")
    assert len(driver.app.screen_stack) == stack + 1, "? opens no help here"
    found = listed(driver)
    assert found == works
    await driver.press("escape")
    assert len(driver.app.screen_stack) == stack
    return found


def keys_of(found: dict[str, set[str]]) -> set[str]:
    """All keys that are listed."""
    return {key for keys in found.values() for key in keys}


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
async def test_in_every_pane_of_the_inspector(redis_url: str, *, read_only: bool) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, size=TALL, read_only=read_only) as driver:
        await driver.sees("failed 3")
        in_list = keys_of(await assert_help_is_exact(driver))
        assert {"r", "R", "j", "1", "?", "q"} <= in_list
        assert ("space" in in_list) is not read_only
        assert not {"x", "n", "]"} & in_list  # nothing runs, no filter, and the details are below
        panes = set()
        for _ in range(4):
            await driver.press("tab")
            panes.add(type(driver.app.focused).__name__)
            found = await assert_help_is_exact(driver)
            if driver.app.focused is driver.inspector.queues:
                assert "f" not in keys_of(found)
        assert panes == {"JobTable", "DocumentView", "QueueList", "Timeline"}
        driver.inspector.table.focus()
        await driver.press("enter")
        assert {"]", "["} <= keys_of(await assert_help_is_exact(driver))


@pytest.mark.slow
async def test_the_state_the_marks_and_the_filter_count(redis_url: str) -> None:
    await fill(redis_url, "payments", 3)
    async with inspector(redis_url, size=TALL) as driver:
        await driver.sees("failed 3")
        await driver.press("plus")
        assert "space" not in keys_of(await assert_help_is_exact(driver))
        await driver.press("plus", "4")
        in_active = keys_of(await assert_help_is_exact(driver))
        assert not {"r", "R", "space", "f", "y"} & in_active
        await driver.press("1", "slash", *"charge", "enter")
        await driver.sees("n next match")
        assert "n" in keys_of(await assert_help_is_exact(driver))


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
async def test_on_every_other_screen(
    redis_url: str, client: redis.asyncio.Redis, *, read_only: bool
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=TALL, read_only=read_only) as driver:
        await driver.until(lambda: driver.inspector.table.length, "jobs")
        for key, title in (
            ("e", "Errors in"),
            ("L", "Journal"),
            ("f", "Flow of"),
            ("w", " Workers "),
            ("exclamation_mark", " Doctor "),
        ):
            await driver.press(key)
            await driver.sees(title)
            found = keys_of(await assert_help_is_exact(driver))
            assert not {"1", "z"} & found, title  # keys of the inspector
            await driver.press("q")
        await driver.press("E")
        await driver.sees("Events in")
        in_events = keys_of(await assert_help_is_exact(driver))
        assert {"/", "n", "z", "enter"} <= in_events
        assert not {"1", "r", "F"} & in_events
        await driver.press("q")
        await driver.press("F", *"charge", "enter")
        await driver.sees("found in")
        assert {"/", "F", "enter", "ctrl+r"} <= keys_of(await assert_help_is_exact(driver))
        await driver.press("q")
        await driver.press("Y")
        await driver.sees("Sent to the clipboard")
        assert "C" not in keys_of(await assert_help_is_exact(driver))


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
async def test_in_every_dialog(
    redis_url: str, client: redis.asyncio.Redis, *, read_only: bool
) -> None:
    await failed_report(redis_url, client)
    async with inspector(redis_url, size=TALL, read_only=read_only) as driver:
        await driver.until(lambda: driver.inspector.table.length, "jobs")
        await driver.press("r")
        await driver.sees("reset attempts made")
        in_plan = keys_of(await assert_help_is_exact(driver))
        assert {"m", "s", "t", "c", "esc", "?"} <= in_plan
        assert ("y" in in_plan) is not read_only
        assert not {"1", "enter", ":"} & in_plan
        await driver.press("escape", "f")
        await driver.sees("Flow of")
        await driver.press("r")
        await driver.sees("failed jobs only")
        in_rerun = keys_of(await assert_help_is_exact(driver))
        assert ("y" in in_rerun) is not read_only
        assert "d" not in in_rerun  # no child is gone
        await driver.press("escape", "escape")
        driver.app.push_screen(AskDialog("Quit?", "quit", "stay"))
        await driver.settle()
        assert {"y", "n"} <= keys_of(await assert_help_is_exact(driver))


async def test_a_remapped_key_is_listed_in_place_of_the_one_it_was(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, size=TALL, keys={"jobs.retry": "t"}) as driver:
        await driver.sees("failed 1")
        found = keys_of(await assert_help_is_exact(driver))
        assert "t" in found
        assert "r" not in found


@pytest.mark.slow
async def test_the_filter_language_is_there_where_a_filter_can_be_set(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, size=TALL) as driver:
        await driver.press("question_mark")
        await driver.sees("Filter terms (")
        await driver.press("escape", "r", "question_mark")
        await driver.sees("─ Keys ─")
        assert "Filter terms (" not in driver.text()
