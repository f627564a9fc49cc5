"""Foreign text, made fit for a terminal; and numbers, made fit for people."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtui.text import age, count, first_line, lines, plain, plural, rough, size, span

JOINERS = "\u200c\u200d"

# Surrogates too: that is what bytes become that are no UTF-8.
ANY_TEXT = st.one_of(
    st.text(st.characters(categories=None)),
    st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)


def is_harmless(text: str) -> bool:
    return all(char.isprintable() or char in JOINERS for char in text)


@given(ANY_TEXT)
def test_plain_text_has_no_power_over_a_terminal(text: str) -> None:
    shown = plain(text)
    assert is_harmless(shown)
    assert plain(shown) == shown
    shown.encode("utf-8")
    for char in shown:
        assert char in JOINERS or unicodedata.category(char)[0] != "C"


@given(ANY_TEXT)
def test_every_line_is_plain(text: str) -> None:
    assert all(is_harmless(line) for line in lines(text))
    assert is_harmless(first_line(text))
    assert len(first_line(text, 5)) <= 5 * len("\\U0010ffff")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße, 世界 👋", "Grüße, 世界 👋"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\nb\tc\r\0", "a␊b␉c␍␀"),
        ("\x7f\x9b31m", "␡\\x9b31m"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("a\u2028b\ufeff", "a\\u2028b\\ufeff"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\U000e0041", "\\U000e0041"),
        ("👩\u200d🚀 ق\u200cق", "👩\u200d🚀 ق\u200cق"),
        ("[/foo][@click=app.quit]", "[/foo][@click=app.quit]"),
    ],
)
def test_controls_become_visible_and_the_rest_stays(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_text_has_lines() -> None:
    assert lines("a\r\n\tb\n\nc\rd") == ["a", "    b", "", "c␍d"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n\n  boom\nmore", "boom"),
        ("boom\r\nmore", "boom"),
        ("a\tb", "a b"),
        ("\x1bboom", "␛boom"),
        ("x" * 1000, "x" * 400),
    ],
)
def test_the_first_line_says_something(text: str, line: str) -> None:
    assert first_line(text) == line


def test_the_first_line_of_megabytes_takes_no_time() -> None:
    assert first_line("\n" * 10_000_000) == ""
    assert len(first_line("\x1b" * 10_000_000)) == 400


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1449, "1.4 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (3_000_000, "3.0 MB"),
        (999_950_000, "1.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes(octets: int, words: str) -> None:
    assert size(octets) == words


DAY = 86_400_000


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0s"),
        (-999, "0s"),
        (-1000, "in 1s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (3_599_999, "59m"),
        (3_600_000, "1h"),
        (2 * DAY - 1, "47h"),
        (2 * DAY, "2d"),
        (999 * DAY, "999d"),
        (1000 * DAY, "2y"),
        (-5 * 60_000, "in 5m"),
        (10**300, "?"),
        (-(10**300), "?"),
        (float("inf"), "?"),
        (float("nan"), "?"),
    ],
)
def test_ages(milliseconds: float, words: str) -> None:
    assert age(milliseconds) == words


@given(st.integers() | st.floats())
def test_any_time_is_short(milliseconds: float) -> None:
    assert len(age(milliseconds)) <= 7
    assert len(span(milliseconds)) <= 15


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (-5, "0 ms"),
        (7, "7 ms"),
        (999.9, "999 ms"),
        (1000, "1.0 s"),
        (59_949, "59.9 s"),
        (59_950, "1 m 0 s"),
        (200_000, "3 m 20 s"),
        (7_500_000, "2 h 5 m"),
        (172_740_000, "47 h 59 m"),
        (2_678_280_000, "30 d 23 h"),
        (float("inf"), "?"),
    ],
)
def test_durations(milliseconds: float, words: str) -> None:
    assert span(milliseconds) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (-5, "0 s"),
        (40_400, "40 s"),
        (89_400, "89 s"),
        (200_000, "3 min"),
        (5_399_000, "90 min"),
        (7_500_000, "2 h"),
        (2_678_280_000, "31 d"),
        (float("nan"), "?"),
    ],
)
def test_rough_durations(milliseconds: float, words: str) -> None:
    assert rough(milliseconds) == words


def test_counts() -> None:
    assert count(9120) == "9,120"
    assert plural(1, "job") == "1 job"
    assert plural(0, "job") == "0 jobs"
    assert plural(2, "job is", "jobs are") == "2 jobs are"
