"""The line of bars above finished jobs: what it shows, and what its keys ask for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.reads.queues.timeline import HOUR, MINUTE, FinishCounts, TimeWindow
from qtui.ui.widgets.timeline import Timeline

NOW = 1_795_317_121_661
"""2026-11-22 03:12:01.661, UTC."""

SHAPE = (*[0] * 20, *(1, 3, 12, 40, 120, 512, 480, 300, 90, 20, 5, 2, 1), *[0] * 26, 7)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def hour(bars: int = 60, *, earlier: int = 0, later: int = 0) -> FinishCounts:
    """The last hour as it is read for so much room: the shape, in bars of fewer or more minutes."""
    minutes = 60 // bars
    width = minutes * MINUTE
    counts = tuple(sum(SHAPE[at : at + minutes]) for at in range(0, 60, minutes))
    start = (NOW // width - bars + 1) * width
    return FinishCounts(
        window=TimeWindow.HOUR,
        start=start,
        width=width,
        counts=counts,
        now=NOW,
        earlier=earlier,
        later=later,
    )


class Pane(App[None]):
    """A timeline and something else that can have the focus; notes what is asked for."""

    def __init__(self, lines: int = 1) -> None:
        super().__init__()
        self.line, self.lines = Timeline(), lines
        self.wanted: list[TimeWindow] = []
        self.chosen: list[tuple[int, int, str]] = []

    def compose(self) -> ComposeResult:
        self.line.styles.height = self.lines
        yield self.line
        yield Input()

    def on_timeline_window_changed(self, message: Timeline.WindowChanged) -> None:
        assert message.control is self.line
        self.wanted.append(message.window)

    def on_timeline_chosen(self, message: Timeline.Chosen) -> None:
        assert message.control is self.line
        self.chosen.append((message.first, message.last, message.text))


def drawn(line: Timeline) -> list[str]:
    """The lines without the blanks at the right, and the sign between two times as ``~``."""
    lines = [line.render_line(y).text.rstrip() for y in range(line.size.height)]
    return [text.replace("\N{EN DASH}", "~") for text in lines]


def reversed_cells(line: Timeline, y: int = 0) -> list[int]:
    """The cells in reverse video."""
    at, found = 0, list[int]()
    for segment in line.render_line(y):
        if segment.style and segment.style.reverse:
            found += range(at, at + len(segment.text))
        at += len(segment.text)
    return found


async def show(
    pilot: Pilot[None], facts: FinishCounts, word: str = "failed", *, focus: bool
) -> Timeline:
    assert isinstance(pilot.app, Pane)
    line = pilot.app.line
    (line if focus else pilot.app.query_one(Input)).focus()
    line.show(facts, word)
    await pilot.pause()
    return line


async def press(pilot: Pilot[None], keys: str) -> None:
    for key in keys.split():
        pilot.app.simulate_key(key)
    await pilot.pause()


BARS_160 = "· " * 20 + "▁▁▁▁▁▁▁▁▂▂████▅▅▂▂▁▁▁▁▁▁▁▁" + "· " * 26 + "▁▁ "
LOW_160 = "· " * 20 + "▁▁▁▁▁▁▂▂▄▄██████▃▃▁▁▁▁▁▁▁▁" + "· " * 26 + "▁▁ "
TIMES_160 = "     ".join(f"{at // 60:02}:{at % 60:02}" for at in range(135, 190, 5))


@pytest.mark.parametrize(
    ("width", "bars", "quiet", "focused"),
    [
        (
            40,
            20,
            "1 h  ······▁▁█▃▁········▁ 1,112, 02:39",
            "1 h  ······▁▁█▃▁········▁ 03:12~now 7",
        ),
        (
            58,
            30,
            "1 h  ··········▁▁▇█▂▁▁············▁ peak 780/2 min, 02:40",
            "1 h  ··········▁▁▇█▂▁▁············▁ 03:12~now  7 failed",
        ),
        (
            160,
            60,
            f"1 h  {BARS_160}peak 512 per min, 02:38",
            f"1 h  {BARS_160}03:12~now  7 failed",
        ),
    ],
    ids=["40", "58", "160"],
)
async def test_one_line(width: int, bars: int, quiet: str, focused: str) -> None:
    async with Pane().run_test(size=(width, 10)) as pilot:
        line = await show(pilot, hour(bars), focus=False)
        assert bars <= line.room
        assert drawn(line) == [quiet]
        assert reversed_cells(line) == []
        await show(pilot, hour(bars), focus=True)
        assert drawn(line) == [focused]


@pytest.mark.parametrize(
    ("width", "bars", "lines"),
    [
        (
            40,
            20,
            [
                "             █            1,112, 02:39",
                "1 h  ······▁▁█▆▁········▁ 1,593 failed",
                "          02:30       now 3 newer",
            ],
        ),
        (
            58,
            30,
            [
                "                 ▅█                 peak 780/2 min, 02:40",
                "1 h  ··········▁▂██▃▁▁············▁ 1,593 failed",
                "        02:20     02:40         now 1,234 older · 3 newer",
            ],
        ),
        (
            160,
            60,
            [
                f"{' ' * 55}██▇▇▂▂{' ' * 64} peak 512 per min, 02:38 · 3 newer",
                f"1 h  {LOW_160}1,593 failed",
                f"{' ' * 9}{TIMES_160}        now 1,234 older · 3 newer",
            ],
        ),
    ],
    ids=["40", "58", "160"],
)
async def test_three_lines(width: int, bars: int, lines: list[str]) -> None:
    async with Pane(3).run_test(size=(width, 10)) as pilot:
        line = await show(pilot, hour(bars, earlier=1234, later=3), focus=False)
        assert drawn(line) == lines
        await show(pilot, hour(bars), focus=True)
        assert "03:12~now" in drawn(line)[1]


async def test_the_cursor_can_be_read_without_colour() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        line = await show(pilot, hour(30), focus=True)
        assert reversed_cells(line) == [34]
        await press(pilot, "left left h")
        assert reversed_cells(line) == [31]
        assert drawn(line)[0].endswith(" 03:06~03:08  0 failed")
        # The highest bar is not a hole in reverse.
        await press(pilot, "g " + "l " * 13)
        assert "▇▇▂" in drawn(line)[0]
        assert drawn(line)[0].endswith(" 02:40~02:42 780 failed")
        await press(pilot, "shift+right shift+right")
        assert reversed_cells(line) == [18, 19, 20]
        assert drawn(line)[0].endswith(" 02:40~02:46 897 failed")
        await press(pilot, "shift+left shift+left shift+left")
        assert drawn(line)[0].endswith(" 02:38~02:42 1,412")
        await press(pilot, "right")
        assert reversed_cells(line) == [18]
        await press(pilot, "end right G l")
        assert reversed_cells(line) == [34]
        await press(pilot, "home left g h")
        assert reversed_cells(line) == [5]


async def test_the_cursor_stays_at_its_moment_when_the_bars_move() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        line = await show(pilot, hour(30), focus=True)
        await press(pilot, "h h h shift+left")
        before = hour(30).filter_text(*line.selection)
        first, last = line.selection
        moved = hour(30)
        moved = replace(moved, start=moved.start + 4 * MINUTE, now=NOW + 4 * MINUTE)
        await show(pilot, moved, focus=True)
        assert line.selection == (first - 2, last - 2)
        assert moved.filter_text(*line.selection) == before
        # Out of sight it waits at the edge, and is back where it was when that comes back.
        far = replace(moved, start=moved.start + HOUR, now=NOW + HOUR)
        await show(pilot, far, focus=True)
        assert line.selection == (0, 0)
        await show(pilot, moved, focus=True)
        assert line.selection == (first - 2, last - 2)


async def test_the_cursor_is_at_the_newest_bar_until_the_line_has_the_focus() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        line = await show(pilot, hour(30), focus=False)
        moved = hour(30)
        moved = replace(moved, start=moved.start + 4 * MINUTE, now=NOW + 4 * MINUTE)
        await show(pilot, moved, focus=False)
        assert line.selection == (29, 29)
        line.focus()
        await pilot.pause()
        again = replace(moved, start=moved.start + 2 * MINUTE, now=NOW + 6 * MINUTE)
        await show(pilot, again, focus=True)
        assert line.selection == (28, 28)


async def test_up_and_down_ask_for_another_window() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        line = await show(pilot, hour(30), focus=True)
        app = pilot.app
        assert isinstance(app, Pane)
        app.wanted.clear()
        await press(pilot, "k")
        assert (app.wanted, line.window) == ([TimeWindow.DAY], TimeWindow.DAY)
        # What is drawn is not what is wanted, and it says so until it comes.
        assert drawn(line)[0].startswith("24 h…·")
        await press(pilot, "up up j down j j")
        assert app.wanted[1:] == [
            TimeWindow.ALL,
            TimeWindow.DAY,
            TimeWindow.HOUR,
            TimeWindow.FIVE_MINUTES,
        ]
        assert drawn(line)[0].startswith("5 m… ·")
        await show(pilot, replace(hour(30), window=TimeWindow.FIVE_MINUTES), focus=True)
        assert drawn(line)[0].startswith("5 m  ·")


async def test_another_room_asks_for_other_bars() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        app = pilot.app
        assert isinstance(app, Pane)
        assert app.wanted == [TimeWindow.HOUR]
        assert app.line.room == 52
        await pilot.resize_terminal(58, 10)
        await pilot.pause()
        assert app.wanted == [TimeWindow.HOUR, TimeWindow.HOUR]
        assert app.line.room == 30
        # Until they come the newest ones are shown.
        line = await show(pilot, hour(60), focus=True)
        assert drawn(line) == ["1 h  ▆▃▂" + "·" * 26 + "▇ 03:12~now  7 failed"]
        assert reversed_cells(line) == [34]


async def test_enter_chooses_the_bars_as_a_filter() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        app = pilot.app
        assert isinstance(app, Pane)
        app.line.focus()
        await press(pilot, "enter left G g k j")
        assert app.chosen == []
        await show(pilot, hour(30), focus=True)
        await press(pilot, "left shift+left enter")
        [(first, last, text)] = app.chosen
        assert (first, last) == (27, 28)
        assert text == "after:2026-11-22T03:08:00Z before:2026-11-22T03:12:00Z"
        assert parse_filter(text).bounds() == (hour(30).bounds(27)[0], hour(30).bounds(28)[1])


async def test_the_mouse_selects_and_chooses() -> None:
    async with Pane(3).run_test(size=(160, 10)) as pilot:
        line = await show(pilot, hour(60), focus=False)
        app = pilot.app
        assert isinstance(app, Pane)
        for cell, bar in ((5, 0), (6, 0), (7, 1), (124, 59)):
            await pilot.click(line, offset=(cell, 1))
            assert line.selection == (bar, bar)
        for cell in (0, 4, 125, 140):
            await pilot.click(line, offset=(cell, 1))
            assert line.selection == (59, 59)
        assert app.chosen == []
        await pilot.double_click(line, offset=(5 + 2 * 25, 0))
        assert [(first, last) for first, last, _ in app.chosen] == [(25, 25)]


async def test_none_is_not_few() -> None:
    async with Pane().run_test(size=(80, 10)) as pilot:
        line = await show(pilot, hour(30), focus=False)
        counts = (0, 1, 10**12, *[0] * 27)
        await show(pilot, replace(hour(30), counts=counts), focus=False)
        assert drawn(line)[0].startswith("1 h  ·▁█···")
        none = replace(hour(30), counts=(0,) * 30, earlier=1234)
        await show(pilot, none, focus=False)
        assert drawn(line) == ["1 h  " + "·" * 30 + " " * 23 + "0 failed · 1,234 older"]
        await show(pilot, replace(none, earlier=0), "completed", focus=False)
        assert drawn(line)[0].endswith(" 0 completed")


async def test_it_forgets() -> None:
    async with Pane(3).run_test(size=(80, 10)) as pilot:
        line = await show(pilot, hour(30), focus=True)
        await press(pilot, "h h h")
        line.clear()
        assert drawn(line) == ["", "1 h…", ""]
        await show(pilot, hour(30), focus=True)
        assert line.selection == (29, 29)


FACTS = st.builds(
    FinishCounts,
    window=st.sampled_from(TimeWindow),
    start=st.integers(-(10**20), 10**20),
    width=st.integers(1, 10**15),
    counts=st.lists(st.integers(-1, 10**18), max_size=150).map(tuple),
    now=st.integers(-(10**20), 10**20),
    earlier=st.integers(0, 10**18),
    later=st.integers(0, 10**18),
)


@pytest.mark.slow
@settings(max_examples=10)
@given(
    many=st.lists(FACTS, min_size=1, max_size=10),
    size=st.sampled_from([(5, 1), (20, 3), (30, 1), (58, 3), (160, 3)]),
)
async def test_no_numbers_break_the_line(many: list[FinishCounts], size: tuple[int, int]) -> None:
    width, height = size
    async with Pane(height).run_test(size=(width, 10)) as pilot:
        for facts in many:
            line = await show(pilot, facts, focus=True)
            await press(pilot, "left shift+left shift+right g right G")
            assert [line.render_line(y).cell_length for y in range(height)] == [width] * height
