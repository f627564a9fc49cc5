"""Keys that the user has chosen: every sentence that names a key names that one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bullmq import Queue

import qtui.ui
from qtui.ui.actions import ACTIONS
from qtui.ui.keys import in_keys, table
from tests.ui.driver import inspector
from tests.ui.test_pausing import add, seen

_NAMED = re.compile(r"\{[a-z.-]+\}")

_KEY = r"(?:[A-Za-z!/+?]|esc|tab|space|ctrl\+r|F5)"
_SAYS_A_KEY = re.compile(
    rf"(?:^|[\s(·:;,]){_KEY} (?:again |then )?"
    r"(?:stops|closes|undoes|resumes|refreshes|continues|cancels|clears|searches|examines|counts"
    r"|goes|lists|reruns|quits|marks|moves|makes)\b|\b[A-Z], then|[Pp]ress (?:[a-z]|space|[+/!])\b"
)


def _literals(source: str) -> Iterator[str]:
    """The texts in a module, without its docstrings and comments."""
    tree = ast.parse(source)
    apart = {
        id(one.value)
        for one in ast.walk(tree)
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
    }
    for one in ast.walk(tree):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in apart:
            yield one.value


def test_no_sentence_of_the_screen_names_a_key_by_itself() -> None:
    folder = Path(qtui.ui.__file__).parent
    places = [*folder.rglob("*.py"), *(folder.parent / "views").rglob("*.py")]
    literal = {
        f"{path.relative_to(folder.parent)}: {text}"
        for path in places
        if path.name != "help.py"  # whose keys are its own
        for text in _literals(path.read_text("utf-8"))
        if _SAYS_A_KEY.search(text)
    }
    assert not literal


def test_the_ids_that_the_registry_names_are_there() -> None:
    for action in ACTIONS:
        for words in (action.help, action.dry, action.label):
            assert not _NAMED.search(in_keys(words, {})), words
    assert "older ones: L, then u" in table()
    assert in_keys("{no.id} {} {jobs.stop}", {"jobs.stop": "ctrl+x"}) == "{no.id} {} ctrl+x"


KEYS = {
    "inspector.undo": "f8",
    "limits.undo": "f7",
    "app.back": "f6,escape",
    "plan.go": "f9",
    "plan.leave": "f10",
    "plan.reason": "f11",
    "plan.children": "f12",
    "inspector.journal": "f4",
    "journal.undo": "f3",
    "inspector.next-pane": "f2",
}


async def test_plans_hints_and_reasons_name_the_keys_of_the_user(
    redis_url: str, tmp_path: Path
) -> None:
    await add(redis_url, "mail")
    async with inspector(redis_url, size=(120, 36), keys=KEYS, journal=tmp_path) as driver:
        await seen(driver, 1)
        await driver.press("shift+tab", "shift+tab", "D")
        await driver.sees("Select a job first (f2 moves to the list).")
        await driver.press("P")
        await driver.sees("f9 pause mail     f10 cancel")
        await driver.sees("f11 reason")
        await driver.press("f9")
        await driver.sees("f8 undoes · f6 closes")
        await driver.press("f8")
        await driver.sees("f9 undo")
        await driver.press("f9")
        await driver.sees("1 of 1 queue undone")
        await driver.press("f8")
        await driver.sees("f4 lists all operations.")
        await driver.press("question_mark")
        await driver.sees("older ones: f4, then f3")


@pytest.mark.parametrize("keys", [{}, {"limits.undo": "f7"}])
async def test_the_hint_of_a_screen_names_its_own_key(
    redis_url: str, tmp_path: Path, keys: dict[str, str]
) -> None:
    await add(redis_url, "mail")
    async with inspector(redis_url, size=(120, 36), keys=keys, journal=tmp_path) as driver:
        await seen(driver, 1)
        await driver.press("l")
        await driver.sees("no deduplication key is held")
        await driver.press("c", "5", "enter")
        await driver.sees("→ 5, was none")
        await driver.press("y")
        await driver.sees(f"1 of 1 queue changed · {keys.get('limits.undo', 'U')} undoes")


async def test_boxes_of_a_plan_name_the_keys_of_the_user(redis_url: str, tmp_path: Path) -> None:
    queue = Queue("mail", {"connection": redis_url})
    await queue.add("mail", {})
    await queue.close()
    async with inspector(redis_url, size=(120, 36), keys=KEYS, journal=tmp_path) as driver:
        await seen(driver, 1)
        await driver.press("3")
        await driver.sees("mail  ")
        await driver.press("D")
        await driver.sees("[ ] f12 also remove children")
        await driver.press("f12")
        await driver.sees("[x] f12 also remove children")
