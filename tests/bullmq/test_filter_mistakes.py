"""Mistakes in filters, and filters and patterns that are too much: said, with the place."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from qtui.bullmq.filter import FilterError, parse_filter
from qtui.bullmq.filter.groups import negate
from qtui.bullmq.filter.pattern import LONGEST_PATTERN, REACH, Pattern
from qtui.bullmq.filter.terms import Contains
from tests.bullmq.subjects import Subject, matches
from tests.patience import PATIENCE


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "expected a term"),
        ("   ", 3, "expected a term"),
        ("a |", 3, "expected a term"),
        ("| a", 0, "expected a term"),
        ("a || b", 3, "expected a term"),
        ("()", 1, "expected a term"),
        ("a ! b", 3, "right after !"),
        ("!", 1, "right after !"),
        ("(a b", 0, "never closed"),
        ("a b)", 3, "this ) has no ("),
        ("a (b)c", 5, "expected a blank"),
        ('a "b', 2, "never closed"),
        ('a ""', 3, "between the quotes"),
        ('error:""', 7, "between the quotes"),
        ('"a"b', 3, "written twice"),
        ("a eror:x", 2, "did you mean error"),
        ("Error:x", 0, "did you mean error"),
        ("http://x", 0, "quote a text that has : in it"),
        ("qqqq=x", 0, "fields are id, name, error"),
        ("error:", 6, "right after error:"),
        ("error: x", 6, "right after error:"),
        ("error:|x", 6, "right after error:"),
        ("error:!x", 6, "in front of error"),
        ("error:(a b)", 6, "not closed before the next blank"),
        ("error:(a)", 6, "brackets do not go here"),
        ("error<3", 5, "expected : or ="),
        ("attempts:3", 8, "expected = < <= > or >="),
        ("attempts!=3", 8, "!attempts=…"),
        ("attempts>=", 10, "attempts>=3"),
        ("attempts>=x", 10, "“x”"),
        ("attempts>=1_0", 10, "attempts>=3"),
        ("attempts<9999999999999999", 9, "attempts>=3"),
        ("attempts>max", 8, "!attempts=max"),
        ("priority=max", 9, "priority>0"),
        ("age:1h", 3, "expected < <= > or >="),
        ("age<1", 4, "units s m h d w"),
        ("age<1y", 4, "units s m h d w"),
        ("age<-1h", 4, "units s m h d w"),
        ("child:maybe", 6, "child:yes or child:no"),
        ("after:yesterday", 6, "after:2026-11-21T03:00"),
        ("after:2026-13-01", 6, "after:2026-11-21T03:00"),
        ("a before:2026-11-21T25:00", 9, "before:2026-11-21T03:00Z"),
        ("re:", 3, "right after re:"),
        ("error:re: x", 9, "right after re:"),
        ("error:re:(a b)", 9, "not closed before the next blank"),
        ("error:re:[a b]", 11, "quote a pattern"),
        ("x main(y z", 6, "not closed before the next blank"),
        ("re:(" + "a" * LONGEST_PATTERN + ")", 3 + LONGEST_PATTERN, "at most 1000"),
        ("x error:re:a[", 13, "character set"),
        ('error:re:"""a[" x', 14, "character set"),
        ("re:*", 3, "nothing to repeat"),
        ("re:a|error:b", 4, "put blanks around it"),
        ("re:(?u)(?a)", 3, "flags"),
        ("re:" + "a" * (LONGEST_PATTERN + 1), 3 + LONGEST_PATTERN, "at most 1000"),
        ('re:"' + "a " * LONGEST_PATTERN + '"', 4 + LONGEST_PATTERN, "at most 1000"),
        ("re:(a{200}){200}", 11, "10,000 steps"),
        ("re:" + "(" * 400 + ")" * 400, 3, "nested too deeply"),
        ("(" * 51 + "a" + ")" * 51, 50, "50 deep at most"),
        (" ".join(["re:a"] * 33), 32 * 5 + 3, "at most 32 patterns"),
        ("a " * 10_001, 20_000, "at most 10,000 terms"),
    ],
)
def test_points_at_the_mistake(text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert caught.value.position == position
    assert says in caught.value.message
    assert str(caught.value) == caught.value.message


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a eror:x", "a eror:x\n  ^"),
        ("a |", "a |\n   ^"),
        ("日本 eror:x", "日本 eror:x\n     ^"),
        ("\x1b[2J\n eror:x", "␛[2J␊ eror:x\n      ^"),
        ("a" * 90 + " b ! " + "c" * 90, f"…{'a' * 44} b ! {'c' * 23}…\n{' ' * 49}^"),
    ],
)
def test_draws_a_caret_below_the_mistake(text: str, lines: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert caught.value.pointed(text) == lines


def test_messages_hold_nothing_that_a_terminal_would_obey() -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter("child:\x1b[2J\u202e")
    assert caught.value.message.isprintable()


@pytest.mark.slow
def test_huge_filters_are_read_in_linear_time() -> None:
    start = time.process_time()
    many = parse_filter(" | ".join(f"error:e{number}" for number in range(10_000)))
    assert matches(many, Subject("1", None, {"failedReason": "E9999"}))
    assert parse_filter(str(many)) == many
    assert parse_filter("!" * 1_000_001 + "x").root == negate(Contains("", "x"))
    for text in ("a" * 10**6, '"' + "b c" * 10**6 + '"', "a()" * 10**6, " " * 10**6 + "a"):
        assert parse_filter(str(parse_filter(text))) == parse_filter(text)
    for sign in ("(", '"', "re:" + "[" * 99, ")", "|", "a ", "!(", "error:", "re:a|", "a("):
        with pytest.raises(FilterError):
            parse_filter(sign * 10**5 + '"(')
    assert time.process_time() - start < 10


RUNAWAYS = [(r"(a|aa)+$", "a" * 60 + "!"), (r"a*[bc]", "a" * 10**6), (r".*.*[xy]", "b" * 10**6)]


@pytest.mark.parametrize(("pattern", "text"), RUNAWAYS)
def test_a_pattern_that_runs_away_is_stopped(pattern: str, text: str) -> None:
    found = parse_filter(f"x error:re:{pattern}")
    start = time.process_time()
    with pytest.raises(FilterError, match="takes too long") as caught:
        matches(found, Subject("x", None, {"failedReason": text}))
    assert time.process_time() - start < 1
    assert caught.value.position == len("x error:re:")
    with pytest.raises(FilterError, match="takes too long"):
        matches(found, Subject("x", None, {"failedReason": "harmless"}))
    assert not matches(found, Subject("y", None, {"failedReason": text}))


def test_a_pattern_that_is_slow_in_every_text_is_stopped_too() -> None:
    pattern, text = Pattern("a*[bc]"), "a" * 2000
    alone = time.process_time()
    assert not pattern.search(text)
    alone = time.process_time() - alone

    def search_on() -> None:
        for _ in range(1000):
            pattern.search(text)

    start = time.process_time()
    with pytest.raises(FilterError, match="takes too long"):
        search_on()
    assert time.process_time() - start > 3 * alone
    assert time.process_time() - start < 5


def test_a_pattern_that_is_slow_at_times_is_not_stopped() -> None:
    pattern, spent = Pattern("a*[bc]"), 0.0
    while spent < 1.2:
        start = time.process_time()
        assert not pattern.search("a" * 1500)
        slow = time.process_time() - start
        spent += slow
        assert all(pattern.search("b") for _ in range(10 + int(slow * 1000)))


def test_a_process_that_stood_still_meanwhile_is_no_runaway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 10**6, 60))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    pattern = Pattern("b$")
    assert all(pattern.search("aab") for _ in range(100))


def test_a_pattern_sees_the_beginning_of_a_text() -> None:
    found = parse_filter("error:re:needle$")
    hay = "." * (REACH - 6)
    assert matches(found, Subject("1", None, {"failedReason": f"{hay}needle{hay}"}))
    assert not matches(found, Subject("1", None, {"failedReason": f"{hay}.needle"}))


def test_regex_is_imported_with_the_first_pattern() -> None:
    program = (
        "import sys; from qtui.bullmq.filter import parse_filter"
        "; parse_filter('error:a age<1h attempts=max');"
        "assert not {'regex', 'redis', 'textual'} & set(sys.modules); parse_filter('re:a');"
        "assert 'regex' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)
