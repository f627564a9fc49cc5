"""Themes: every one that is offered can be read, and the one that was chosen is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.style import Style
from textual.color import Color
from textual.screen import ModalScreen

from qtui.ui.themes import READABLE, THEMES, contrast, keep, kept
from tests.test_readme import README
from tests.ui.driver import Driver, inspector
from tests.ui.stage import fill

SCREENS: dict[str, tuple[str, ...]] = {
    "the list": (),
    "a marked job": ("space", "space"),
    "the queues": ("shift+tab",),
    "completed jobs": ("2",),
    "an open job": ("enter", "j", "j"),
    "a plan": ("r",),
    "the filter": ("/", "b", "o"),
    "a list that was filtered": ("/", "b", "o", "enter"),
    "help": ("?",),
    "errors by group": ("e", "space"),
    "the journal": ("L",),
    "the palette": (":",),
}


def texts(driver: Driver) -> Iterator[tuple[str, Style]]:
    """The pieces of text on the screen, each with its style; of a dialog only its own."""
    screen = driver.app.screen
    region = screen.region
    if isinstance(screen, ModalScreen) and screen.query("#frame"):
        region = screen.query_one("#frame").region
    strips = screen._compositor.render_strips()
    for strip in strips[region.y : region.bottom]:
        for segment in strip.crop(region.x, region.right):
            if any(sign.isalnum() for sign in segment.text) and segment.style is not None:
                yield segment.text, segment.style


def hard_to_read(driver: Driver) -> set[tuple[str, str]]:
    """Texts on the screen whose contrast is too low, with the figure."""
    found = set()
    for text, style in texts(driver):
        ink, paper = style.color, style.bgcolor
        assert ink is not None
        assert paper is not None
        figure = contrast(Color.from_rich_color(ink), Color.from_rich_color(paper))
        if figure < READABLE or style.dim:
            found.add((text.strip(), f"{figure:.2f}"))
    return found


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_text_can_be_read_in_every_theme(redis_url: str, screen: str) -> None:
    await fill(redis_url, "payments", 4, error=lambda place: "boom" if place else "Timeout of 5 ms")
    bad: dict[str, set[tuple[str, str]]] = {}
    async with inspector(redis_url, refresh=0) as driver:
        for key in SCREENS[screen]:
            await driver.press(key)
        for theme in THEMES:
            driver.app.theme = theme
            await driver.settle()
            assert sum(1 for _ in texts(driver)) > 5
            if found := hard_to_read(driver):
                bad[theme] = found
    assert bad == {}


@pytest.mark.slow
async def test_a_read_only_session_can_be_read_in_every_theme(redis_url: str) -> None:
    await fill(redis_url, "payments", 1)
    async with inspector(redis_url, read_only=True) as driver:
        for theme in THEMES:
            driver.app.theme = theme
            await driver.settle()
            assert hard_to_read(driver) == set(), theme


def test_contrast_is_that_of_wcag() -> None:
    black, white = Color(0, 0, 0), Color(255, 255, 255)
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(white, white) == 1
    assert contrast(Color(119, 119, 119), white) == pytest.approx(4.48, abs=0.01)


def test_the_readme_names_the_themes() -> None:
    text = README.read_text("utf-8")
    assert [name for name in THEMES if f"`{name}`" not in text] == []


# The one that was chosen


@pytest.mark.slow
async def test_a_chosen_theme_is_kept(redis_url: str, tmp_path: Path) -> None:
    await fill(redis_url, "payments", 1)
    file = tmp_path / "state" / "qtui" / "theme"
    async with inspector(redis_url, theme_file=file) as driver:
        assert driver.app.theme == "textual-dark"
        driver.app.search_themes()
        await driver.type("nord")
        await driver.sees("nord")
        await driver.press("enter")
        await driver.until(lambda: driver.app.theme == "nord", "the theme")
        await driver.until(file.exists, "the file")
    async with inspector(redis_url, theme_file=file) as driver:
        assert driver.app.theme == "nord"
    async with inspector(redis_url, theme_file=file, theme="gruvbox") as driver:
        assert driver.app.theme == "gruvbox"  # what the user wrote goes before it
        driver.app.theme = "dracula"
        await driver.sees("config file")
    assert kept(file) == "dracula"


@pytest.mark.parametrize("words", [b"", b"no-such-theme\n", b"\xff\xfe", b"textual-ansi\n"])
def test_a_file_that_names_no_theme_is_none(tmp_path: Path, words: bytes) -> None:
    (tmp_path / "theme").write_bytes(words)
    assert kept(tmp_path / "theme") is None


def test_a_place_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder would be")
    keep(tmp_path / "state" / "theme", "nord")
    assert kept(tmp_path / "state" / "theme") is None
    keep(None, "nord")
    assert kept(None) is None
    assert os.listdir(tmp_path) == ["state"]
