"""The detail pane in a running app: keys, mouse, folds, loading, and staying in place."""

from __future__ import annotations

import json

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from qtui.text import plain
from qtui.ui.widgets.document import DocumentView
from qtui.views.document import (
    Document,
    Json,
    Layout,
    Log,
    Pairs,
    Pending,
    Piece,
    Section,
    Stack,
    Text,
)

STACK = "Timeout of 5000ms exceeded\n    at pay (/app/refund.js:41:12)"
ITEMS = json.dumps({"customer": "cus_18", "items": [{"sku": n, "n": [1]} for n in range(4_000)]})
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[31m\x9b31m\u202e[/foo] [@click=app.quit]x[/] \x00\udc9b语"


def job(*more: Section) -> Document:
    return Document(
        [
            *more,
            Section("error", Stack(STACK), "attempts 3 of 3"),
            Section("data", Json(ITEMS)),
            Section("return value", Pending(1_200_000, "returnvalue")),
            Section("logs", Log(tuple(f"step {n}" for n in range(200)))),
        ]
    )


class Pane(App[None]):
    """A document and nothing else; notes what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.view = DocumentView()
        self.asked: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()

    def on_document_view_load_requested(self, message: DocumentView.LoadRequested) -> None:
        assert message.control is self.view
        self.asked.append((message.section.title, message.what))


def rows(view: DocumentView) -> list[str]:
    """The pane as it is drawn now, without the blanks at the right."""
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def at_cursor(view: DocumentView) -> str:
    """The one line that has the cursor's bar."""
    (line,) = [line for line in rows(view) if line.startswith("▌")]
    return line[1:]


async def show(pilot: Pilot[None], document: Document, key: str = "42") -> DocumentView:
    assert isinstance(pilot.app, Pane)
    pilot.app.view.show(document, key)
    await pilot.pause()
    return pilot.app.view


async def press(pilot: Pilot[None], keys: str) -> None:
    for key in keys.split():
        pilot.app.simulate_key(key)
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (20, 5)])
async def test_every_line_fills_the_pane(size: tuple[int, int]) -> None:
    async with Pane().run_test(size=size) as pilot:
        view = await show(pilot, job())
        assert rows(view)[0].startswith("▌─ error ─")
        assert view.size.height == size[1]
        widths = {view.render_line(y).cell_length for y in range(size[1])}
        assert widths == {view.scrollable_content_region.width}
        assert view.max_scroll_x == 0


async def test_keys_move_the_cursor_and_the_page_follows() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        await press(pilot, "j down j k")
        assert at_cursor(view) == "      at pay (/app/refund.js:41:12)"
        await press(pilot, "G")
        assert at_cursor(view) == "  200  step 199"
        assert view.scroll_offset.y == view.max_scroll_y > 100
        await press(pilot, "pageup")
        assert view.cursor == view.lines.height - 24
        await press(pilot, "end home pagedown")
        assert view.cursor == 23
        await press(pilot, "g k")
        assert (view.cursor, view.scroll_offset.y) == (0, 0)


async def test_brackets_go_from_title_to_title() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        titles = []
        for _ in range(4):
            await press(pilot, "right_square_bracket")
            titles.append(at_cursor(view).strip("─ "))
        assert titles == ["data", "return value", "logs", "logs"]
        assert rows(view)[0].startswith("▌─ logs"), "a section with much in it comes to the top"
        await press(pilot, "j j left_square_bracket")
        assert at_cursor(view).startswith("─ logs")
        await press(pilot, "left_square_bracket left_square_bracket left_square_bracket")
        assert at_cursor(view).startswith("─ error")


async def test_enter_folds_and_opens_what_is_at_the_cursor() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        await press(pilot, "right_square_bracket j j j")
        assert at_cursor(view) == '▸   "items": [ 4,000 items ]'
        height = view.lines.height
        await press(pilot, "enter")
        assert view.lines.height == height + 4_001
        assert at_cursor(view) == '    "items": ['
        assert rows(view)[view.cursor + 1 - view.scroll_offset.y].startswith(" ▸     { 2 keys }")
        await press(pilot, "enter enter")
        assert view.lines.height == height + 4_001
        await press(pilot, "left_square_bracket enter")
        assert at_cursor(view).startswith("▸ data ─")
        await press(pilot, "enter j j j")
        assert at_cursor(view) == '    "items": [', "what was open inside is open again"


async def test_folding_at_the_bottom_leaves_no_empty_page() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, Document([Section(n, Text("a\n" * 40)) for n in "ab"]))
        await press(pilot, "G left_square_bracket enter")
        assert view.scroll_offset.y == view.max_scroll_y == view.lines.height - 24
        assert rows(view)[-1].startswith("▌▸ b ─")


async def test_a_click_moves_the_cursor_and_opens() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        await pilot.click(view, offset=(12, 6))
        assert at_cursor(view) == '    "items": ['
        await pilot.click(view, offset=(12, 1))
        assert at_cursor(view) == "  Timeout of 5000ms exceeded"
        await press(pilot, "G")
        await pilot.click(view, offset=(5, 0))
        assert view.cursor == view.scroll_offset.y


async def test_the_wheel_scrolls_and_the_next_key_continues_from_there() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        for _ in range(5):
            view.post_message(events.MouseScrollDown(view, 5, 5, 0, 1, 0, False, False, False))
        await pilot.pause()
        top = view.scroll_offset.y
        assert top >= 5
        assert view.cursor == 0
        await press(pilot, "j")
        assert (view.cursor, view.scroll_offset.y) == (top + 1, top)


async def test_what_is_not_loaded_is_asked_for() -> None:
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        await press(pilot, "right_square_bracket right_square_bracket j")
        assert at_cursor(view) == "▸ 1.2 MB not loaded: enter loads all"
        await press(pilot, "enter")
        assert app.asked == [("return value", "returnvalue")]
        assert at_cursor(view).startswith("▸"), "nothing changes before the owner answers"
        await pilot.click(view, offset=(5, view.cursor - view.scroll_offset.y))
        assert len(app.asked) == 2


async def test_a_newer_document_of_the_same_job_stays_in_place() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        await press(pilot, "right_square_bracket j j j enter G k k")
        before = rows(view)
        assert at_cursor(view) == "  198  step 197"
        await show(pilot, job(Section("new", Pairs((("a", "b"), ("c", "d"))))))
        assert rows(view) == before
        assert at_cursor(view) == "  198  step 197"
        await show(pilot, job(), key="43")
        assert (view.cursor, view.scroll_offset.y) == (0, 0)
        assert view.lines.height < 300, "folds belong to one job"


async def test_a_resize_keeps_the_line_under_the_cursor() -> None:
    text = "\n".join(f"line {n} " + "and more words " * 12 for n in range(100))
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, Document([Section("error", Text(text))]))
        await press(pilot, "G pageup pageup")
        mark = view.lines.mark(view.cursor)
        height = view.lines.height
        await pilot.resize_terminal(200, 60)
        await pilot.pause()
        assert view.lines.height < height
        assert view.lines.mark(view.cursor).steps[:2] == mark.steps[:2]
        assert any(line.startswith("▌") for line in rows(view))


async def test_what_is_shown_while_hidden_is_there_afterwards() -> None:
    app = Pane()
    app.view.show(Document([Section("early", Text("before the first look"))]), "41")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert rows(app.view)[1] == "   before the first look"
        app.view.display = False
        view = await show(pilot, job())
        view.display = True
        await pilot.pause()
        assert rows(view)[0][1:].startswith("─ error ─")
        assert view.lines.width == view.scrollable_content_region.width - 1


async def test_hostile_text_is_only_text() -> None:
    body = json.dumps({HOSTILE: HOSTILE, "raw": [HOSTILE] * 3}, ensure_ascii=False)
    sections = [
        Section(HOSTILE, Text(HOSTILE), HOSTILE),
        Section("stack", Stack(HOSTILE)),
        Section("data", Json(body)),
        Section("bad", Json(HOSTILE)),
        Section("pairs", Pairs(((HOSTILE, HOSTILE),))),
        Section("logs", Log((HOSTILE, HOSTILE))),
    ]
    app = Pane()
    async with app.run_test(size=(80, 60), notifications=True) as pilot:
        view = await show(pilot, Document(sections))
        strips = [view.render_line(y) for y in range(60)]
        assert "[/foo] [@click=app.quit]x[/]" in strips[1].text
        for strip in strips:
            assert strip.text == plain(strip.text)
            assert not any(segment.style and segment.style.meta for segment in strip)
        for y in range(view.lines.height):
            await pilot.click(view, offset=(30, y))
        assert app.is_running


async def test_only_visible_lines_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    line = Layout.line

    def noted(self: Layout, y: int) -> list[Piece]:
        drawn.append(y)
        return line(self, y)

    monkeypatch.setattr(Layout, "line", noted)
    data = json.dumps([{"id": n, "who": "x" * 80} for n in range(10_000)])
    assert len(data) > 1_000_000
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, Document([Section("data", Json(data))]))
        await press(pilot, "j enter")
        assert view.lines.height == 10_003
        drawn.clear()
        await press(pilot, "G")
        assert 24 <= len(drawn) <= 100
        assert min(drawn) >= 10_003 - 25
        drawn.clear()
        await press(pilot, "k")
        assert 1 <= len(drawn) <= 24


async def test_the_bar_is_there_without_colour_and_only_with_the_focus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        assert at_cursor(view).startswith("─ error")
        view.blur()
        await pilot.pause()
        assert not any(line.startswith("▌") for line in rows(view))


async def test_an_empty_document_takes_every_key() -> None:
    async with Pane().run_test(size=(80, 24)) as pilot:
        view = await show(pilot, job())
        await show(pilot, Document(()), key="")
        keys = "j k g G pageup pagedown left_square_bracket right_square_bracket enter"
        await press(pilot, keys)
        view.action_fold_all()
        view.action_unfold_all()
        assert rows(view) == [""] * 24
