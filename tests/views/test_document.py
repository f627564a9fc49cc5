"""Documents of any content: what their lines say, how they fold, and what a line costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from qtui.text import plain
from qtui.views.document import (
    EVERYTHING,
    Body,
    Document,
    Fold,
    Json,
    Layout,
    Log,
    Mark,
    Pairs,
    Pending,
    Piece,
    Section,
    Stack,
    Style,
    Text,
)

hostile_text = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('\x1b\x9b\u202e\u200d\ufe0f\n\r\t\0 語😀é\u0301\udc80{}[]",:'),
    ),
    max_size=300,
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)
keys = st.text(max_size=4)
values = st.recursive(
    scalars | hostile_text,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(keys, inner, max_size=12),
    max_leaves=40,
)
bodies = st.one_of(
    hostile_text.map(Text),
    hostile_text.map(Stack),
    hostile_text.map(Json),
    values.map(lambda value: Json(json.dumps(value))),
    values.map(lambda value: Json(json.dumps(value, ensure_ascii=False))),
    st.lists(st.tuples(hostile_text, hostile_text), max_size=5).map(
        lambda rows: Pairs(tuple(rows))
    ),
    st.lists(hostile_text, max_size=5).map(lambda entries: Log(tuple(entries), 998)),
    st.just(Pending(1_200_000, "data")),
)
widths = st.integers(16, 200)


def lay(body: Body, width: int = 80) -> Layout:
    return Document([Section("data", body)]).layout(width)


def say(spans: list[Piece]) -> str:
    return "".join(span.text for span in spans)


def shown(layout: Layout) -> list[str]:
    return [say(layout.line(y)) for y in range(layout.height)]


def unwrapped(layout: Layout, after: int = 2) -> str:
    """The text of all lines below the title, after this many spans of margin: rows joined."""
    return "".join(say(layout.line(y)[after:]) for y in range(1, layout.height))


def calls_of(act: Callable[[], object]) -> int:
    """How many functions an act calls, ours and C's: its work, without a clock."""
    count = 0

    def note(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    act()
    sys.setprofile(before)
    return count


# What no input may break


@given(body=bodies, title=hostile_text, note=hostile_text, width=widths, opened=st.booleans())
def test_every_line_is_plain_and_fits(
    body: Body, title: str, note: str, width: int, opened: bool
) -> None:
    layout = Document([Section(title, body, note)]).layout(width)
    if opened:
        layout.unfold_all(0)
    for y in range(layout.height):
        spans = layout.line(y)
        assert spans[0].text in ("  ", "─ ", "▸ ")
        assert all(span.text == plain(span.text) for span in spans)
        assert cell_len(say(spans)) <= width


@given(value=values, ascii_only=st.booleans())
def test_unfolded_json_still_says_the_same(value: object, ascii_only: bool) -> None:
    layout = lay(Json(json.dumps(value, ensure_ascii=ascii_only)), 160)
    layout.unfold_all(0)
    assert json.loads(unwrapped(layout)) == value


@given(
    sections=st.lists(bodies, min_size=1, max_size=3),
    width=widths,
    toggles=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_what_is_folded_by_hand_is_what_a_new_document_shows(
    sections: list[Body], width: int, toggles: list[int]
) -> None:
    named = [Section(str(index), body) for index, body in enumerate(sections)]
    document = Document(named)
    layout = document.layout(width)
    for number in toggles:
        y = number % layout.height
        was, section = layout.fold_at(y), layout.section_at(y)
        now = layout.toggle(y)
        assert layout.section_at(now) == section
        flipped = {Fold.FOLDED: Fold.OPEN, Fold.OPEN: Fold.FOLDED}
        assert layout.fold_at(now) is flipped.get(was, was)
    assert all(layout.find(layout.mark(y)) == y for y in range(layout.height))
    again = Document(named)
    again.resume(document)
    assert shown(again.layout(width)) == shown(layout)


@given(bodies, bodies, widths, widths, st.integers(0, 10_000))
def test_a_mark_finds_a_line_at_any_width_in_any_document(
    body: Body, other: Body, width: int, wide: int, place: int
) -> None:
    first = lay(body, width)
    for layout in (lay(body, wide), lay(other, wide)):
        assert layout.find(first.mark(place % first.height)) in range(layout.height)


# JSON


@pytest.mark.parametrize(
    "number", ["1.10", "-0", "1E+5", "0.1000", "9007199254740993", "1" * 4_999, "-1.5e-400"]
)
def test_numbers_are_shown_as_they_were_written(number: str) -> None:
    layout = lay(Json(f'{{"n": {number}}}'), 120)
    layout.unfold_all(0)
    assert number in unwrapped(layout)


def test_doubled_keys_and_their_order_are_kept() -> None:
    assert unwrapped(lay(Json('{"b":1,"a":2,"b":3}'))) == '{"b": 1, "a": 2, "b": 3}'


def test_a_small_document_is_open_and_small_containers_take_one_line() -> None:
    text = '{"card": {"last4": "4242", "billing": {"to": {"city": "Berlin"}}}}'
    assert [line.strip() for line in shown(lay(Json(text)))[1:5]] == [
        "{",
        '"card": {',
        '"last4": "4242",',
        '"billing": {',
    ]
    assert shown(lay(Json(text)))[5] == '        "to": {"city": "Berlin"}'


def test_large_containers_start_folded_and_say_what_they_hold() -> None:
    items = [{"id": n, "tags": ["a" * 40, "b" * 40]} for n in range(4_000)]
    layout = lay(Json(json.dumps({"items": items, "map": {str(n): n for n in range(900)}})))
    assert shown(layout)[1:] == [
        "  {",
        '▸   "items": [ 4,000 items ],',
        '▸   "map": { 900 keys }',
        "  }",
    ]
    assert layout.toggle(2) == 2
    assert layout.height == 5 + 4_000 + 1
    assert layout.fold_at(2) is Fold.OPEN
    assert layout.toggle(4_003) == 2, "the closing bracket folds too"
    assert layout.height == 5


def test_what_was_open_inside_opens_again() -> None:
    layout = lay(Json(json.dumps({"a": [{"deep": [1] * 30}] * 50})))
    for y in (2, 3, 4):
        layout.toggle(y)
    lines = shown(layout)
    layout.toggle(2)
    assert layout.height < len(lines)
    assert layout.toggle(2) == 2
    assert shown(layout) == lines


def test_fold_all_and_unfold_all_of_a_section() -> None:
    layout = lay(Json(json.dumps([[[[[[[n, "x" * 60]]]]]] for n in range(300)])))
    layout.unfold_all(0)
    assert not any(line.startswith("▸") for line in shown(layout))
    layout.fold_all(0)
    assert shown(layout)[1:] == ["▸ [ 300 items ]"]


def test_unfold_all_has_an_end() -> None:
    layout = lay(Json(json.dumps([[[n] * 100 for n in range(200)] for _ in range(20)])))
    layout.unfold_all(0)
    assert EVERYTHING // 2 < layout.height < EVERYTHING + 5_000


def test_long_strings_are_cut_with_their_size_and_open_at_their_line_ends() -> None:
    layout = lay(Json(json.dumps({"html": "one\ntwo\\n\n" * 50_000})), 60)
    line = say(layout.line(2))
    assert cell_len(line) == 60
    assert line.endswith("… 500.0 kB")
    assert layout.fold_at(2) is Fold.FOLDED
    layout.toggle(2)
    assert shown(layout)[2:5] == ['    "html": "one\\n', "      two\\\\n\\n", "      one\\n"]
    assert layout.toggle(60_000) == 2
    assert layout.height == 4


def test_invalid_json_is_shown_as_it_is_with_the_reason() -> None:
    layout = lay(Json('{"a": 1,\n "b"}'))
    reason = "  ▲ not valid JSON, line 2, column 5: Expecting ':' delimiter"
    assert shown(layout)[1:] == [reason, '  {"a": 1,', '   "b"}']
    assert layout.line(1)[1].style is Style.ERROR
    for text, words in (('{"a": NaN}', "holds NaN"), ("[" * 200_000, "nested too deeply")):
        assert words in shown(lay(Json(text)))[1]


def test_deep_nesting_opens_to_the_bottom() -> None:
    layout = lay(Json("[" * 500 + '"bottom"' + "]" * 500))
    layout.unfold_all(0)
    assert shown(layout)[500].strip() == '["bottom"]'
    assert max(map(cell_len, shown(layout))) <= 80


# Text


def test_the_message_is_an_error_and_foreign_frames_are_fainter() -> None:
    stack = "Boom\nof two lines\n    at pay (/app/a.js:1:2)\n    at x (node:internal/timers:5:1)\n"
    stack += "    at y (/app/node_modules/axios/a.js:1:2)\nCaused by: z"
    layout = lay(Stack(stack))
    styles = [layout.line(y)[1].style for y in range(1, 7)]
    assert styles[:3] == [Style.ERROR, Style.ERROR, Style.FRAME]
    assert styles[3:] == [Style.LIBRARY, Style.LIBRARY, Style.TEXT]


def test_words_wrap_and_labels_align() -> None:
    layout = lay(Pairs((("id", "1"), ("backoff", "exponential, one second"), ("x", "a\nb"))), 28)
    assert shown(layout)[1:] == [
        "  id       1",
        "  backoff  exponential, one ",
        "           second",
        "  x        a",
        "           b",
    ]
    log = lay(Log(("a", "b\nc"), first=99))
    assert shown(log)[1:] == ["   99  a", "  100  b", "       c"]


def test_a_very_long_line_shows_its_beginning_until_it_is_unfolded() -> None:
    layout = lay(Text("first\n" + "x" * 1_000_000 + "\nlast"), 82)
    assert layout.height == 1 + 1 + 3 + 1
    assert shown(layout)[4].endswith("x… 1.0 MB")
    assert layout.toggle(4) == 2
    assert layout.height == 1 + 1 + 12_500 + 1
    assert shown(layout)[-1] == "  last"
    assert layout.toggle(9_000) == 2
    assert layout.height == 6


def test_no_character_is_wider_than_expected() -> None:
    every = "".join(char for char in map(chr, range(0x20, 0x110000)) if char.isprintable())
    layout = lay(Text(every), 16)
    layout.unfold_all(0)
    assert unwrapped(layout, after=1) == every
    assert max(map(cell_len, shown(layout))) <= 16


def test_many_lines_are_counted_as_they_are_drawn() -> None:
    kinds = ("short", "tab\tx\x1b" * 30, "語" * 150, "é" * 99, "a" * 3_000, "\x9b語" * 40)
    layout = lay(Log(kinds * 1_000), 70)
    assert max(cell_len(line) for line in shown(layout)) <= 70
    assert layout.mark(layout.height - 1).steps[1] == 5_999


# Sections


def test_a_title_has_a_rule_a_note_and_folds() -> None:
    sections = [Section("error", Text("a"), "3 of 3"), Section("logs", Text("b"), folded=True)]
    layout = Document(sections).layout(24)
    assert shown(layout) == ["─ error ─────── 3 of 3 ─", "  a", "▸ logs ─────────────────"]
    assert layout.top_of(1) == 2
    assert layout.toggle(2) == 2
    assert shown(layout)[2:] == ["─ logs ─────────────────", "  b"]
    assert [layout.section_at(y) for y in range(4)] == [0, 0, 1, 1]


def test_what_is_not_loaded_says_so() -> None:
    logs = Section("logs", Log(("a",)), more=Pending(-1, "logs"))
    layout = Document([Section("data", Pending(1_200_000, "data")), logs]).layout(60)
    assert shown(layout)[1] == "▸ 1.2 MB not loaded: enter loads all"
    assert shown(layout)[4] == "▸ more not loaded: enter loads all"
    assert [layout.fold_at(y) for y in (1, 4)] == [Fold.PENDING] * 2
    assert layout.pending_at(4) == Pending(-1, "logs")
    assert layout.pending_at(3) is None


def test_empty_bodies_and_documents() -> None:
    empty = (Text(""), Stack(""), Json(""), Pairs(()), Log(()))
    assert {shown(lay(body))[1] for body in empty} == {"  none"}
    layout = Document(()).layout(80)
    assert layout.height == 0
    assert layout.find(Mark("data", (0,))) is None
    with pytest.raises(IndexError):
        layout.line(0)


def test_a_newer_document_keeps_folds_and_does_not_parse_again() -> None:
    text = json.dumps({"items": [{"n": n, "text": "x" * 50} for n in range(100)]})
    first = Document([Section("data", Json(text)), Section("job", Text("12s"))])
    layout = first.layout(80)
    layout.toggle(2)
    layout.toggle(layout.top_of(1))
    second = Document([Section("new", Text("x")), *first.sections[:1], Section("job", Text("13s"))])
    second.resume(first)
    assert shown(second.layout(80))[2:-1] == shown(layout)[:-1]
    assert second.layout(80).find(layout.mark(3)) == 5
    assert second.parsed(1) is first.parsed(0)


# What a line costs


def draw_page(layout: Layout, top: int) -> None:
    for y in range(top, top + 40):
        layout.line(y)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: Json(json.dumps([{"id": i, "tags": ["a", "b"]} for i in range(n)])),
        lambda n: Json(json.dumps({"one": "words and\nlines " * n})),
        lambda n: Text("words and more words " * n),
        lambda n: Log(tuple(f"step {i} is done and was fine" for i in range(n))),
    ],
    ids=["objects", "one string", "one line", "log"],
)
def test_drawing_costs_the_same_in_a_long_document(make: Callable[[int], Body]) -> None:
    work = []
    for n in (500, 50_000):
        layout = lay(make(n))
        for y in (1, 2):
            if y < layout.height and layout.fold_at(y) is Fold.FOLDED:
                layout.toggle(y)
        middle = min(100, layout.height // 2) if n == 500 else layout.height // 2
        draw = partial(draw_page, layout, middle)
        draw()
        work.append(calls_of(draw))
    assert work[1] <= 1.5 * work[0]


@pytest.mark.parametrize("megabytes", [1, 5])
def test_the_first_look_at_megabytes_of_json_is_small(megabytes: int) -> None:
    text = json.dumps([{"id": n, "who": "x" * 80} for n in range(9_000 * megabytes)])
    assert len(text) > megabytes * 900_000
    document = Document([Section("data", Json(text))])
    assert calls_of(lambda: shown(document.layout(80))) < 2_000
