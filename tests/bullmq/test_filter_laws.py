"""Laws of the filter language, tried on filters, texts and jobs made at random."""

from __future__ import annotations

import sys
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.filter import PAYLOADS, Columns, Filter, FilterError, parse_filter, quoted
from qtui.bullmq.filter.groups import Either, Every, group, negate
from qtui.bullmq.filter.pattern import Pattern
from qtui.bullmq.filter.terms import (
    COMPARISONS,
    TEXTS,
    Child,
    Contains,
    Equals,
    Finished,
    InGroup,
    Matches,
    Number,
    Term,
    UsedUp,
    holding,
    rare_mark,
)
from qtui.bullmq.model import LIST_FIELDS, row
from tests.bullmq.subjects import Subject, matches

NOW = 1_795_000_000_000

numbers = st.none() | st.sampled_from(
    ["0", "1", "2", "3", "-1", " 2 ", "1.5", "3e0", "2x", "", "٣", "1_0", "nan", "9" * 20, "1e400"]
)
options = st.none() | st.sampled_from(
    [
        *('{"attempts":3}', '{"attempts":0}', '{"attempts":"3"}', '{"attempts":1e999}', "{}"),
        *("[]", "null", "{", "", '{"attempts":2.5}', '{"attempts":-4}', '{"attempts":true}'),
        *("[" * 5000, '{"attempts":2,"x":"' + "y" * 2000 + '"}'),
    ]
)
words = st.sampled_from(sorted(TEXTS))
values = st.text(min_size=1, max_size=8) | st.text(
    "aß \"'()|!:<>=\\\n\udc80", min_size=1, max_size=8
)
patterns = st.sampled_from(
    ["^a", "a|b c", '"', "'\"", "(ß|[ )])", "(?i)x{2,3}", r"\d\)", "!", "re:"]
)
moments = st.datetimes().map(lambda at: int(at.replace(tzinfo=UTC).timestamp() * 1000))
small = st.sampled_from(["a", "A", "ab", "b", "B c", "ß", "ss", "1", "12", "\udc80"])
near = st.integers(NOW - 5, NOW + 5)


def terms(
    texts: st.SearchStrategy[str],
    regexes: st.SearchStrategy[str],
    times: st.SearchStrategy[int],
    counts: st.SearchStrategy[int],
) -> st.SearchStrategy[Term]:
    """Filters made of these."""
    counted = st.sampled_from(["attempts", "priority"])
    single: st.SearchStrategy[Term] = st.one_of(
        st.builds(Contains, words, texts),
        st.builds(Equals, words.filter(bool), texts),
        st.builds(lambda word, text: Matches(word, text, Pattern(text)), words, regexes),
        st.builds(InGroup, st.just("") | texts),
        st.builds(Finished, st.booleans(), times),
        st.builds(Number, counted, st.sampled_from(sorted(COMPARISONS)), counts),
        st.just(UsedUp()),
        st.just(Child()),
    )
    return st.recursive(
        single,
        lambda inner: st.one_of(
            inner.map(negate),
            st.lists(inner, min_size=2, max_size=3).map(lambda found: group(Every, found)),
            st.lists(inner, min_size=2, max_size=3).map(lambda found: group(Either, found)),
        ),
        max_leaves=8,
    )


any_term = terms(values, patterns, moments, st.integers(-(10**15) + 1, 10**15 - 1))
telling_term = terms(small, st.just("^[ab]$"), near, st.integers(-1, 4))

jobs = st.builds(
    Subject,
    small,
    st.none() | near | st.floats(NOW - 5, NOW + 5) | st.just(0),
    st.fixed_dictionaries(
        {},
        optional={
            **{name: st.none() | small for text in TEXTS.values() for name in text if name != "id"},
            **dict.fromkeys(("attemptsMade", "atm", "priority"), numbers),
            "opts": options,
            "parentKey": st.none() | small,
            "finishedOn": near.map(str) | numbers,
        },
    ),
)

pieces = st.sampled_from(
    [
        *(*TEXTS, "re:", "error:re:", "age<", "after:", "attempts", "child:", "=", "max", "yes"),
        *("1h", "2026-11-21", "T03:00", "Z", "+01:00", "9" * 30, "|", "!", "(", ")", '"', "'"),
        *(" ", "  ", "[", "]", "{2}", "*", "\\", "\n", "\x00", "\x1c", "\u3000", "\ud800", "٣"),
        *("ﬁ", "id=", "name:", ":", "<", "?", "priority>", "before:", "-1"),
    ]
)
scribbles = st.text(max_size=40) | st.lists(pieces, max_size=20).map("".join)


@given(any_term)
def test_what_is_printed_parses_to_the_same(term: Term) -> None:
    found = parse_filter(str(term))
    assert found == Filter(term)
    assert hash(found) == hash(Filter(term))
    assert str(found) == str(term)


@given(values)
def test_any_text_can_be_looked_for(value: str) -> None:
    assert parse_filter(f"error:{quoted(value)}") == Filter(Contains("error", value))
    assert matches(parse_filter(quoted(value)), Subject(f"…{value}…"))


def parsed(text: str) -> FilterError | Filter:
    try:
        return parse_filter(text, now=NOW)
    except FilterError as error:
        return error


@settings(max_examples=1000)
@given(scribbles, jobs)
def test_any_text_is_a_filter_or_a_mistake_with_a_place(text: str, job: Subject) -> None:
    found = parsed(text)
    if isinstance(found, FilterError):
        assert 0 <= found.position <= len(text)
        assert found.message.isprintable()
        shown, caret = found.pointed(text).split("\n")
        assert shown.isprintable()
        assert caret.strip(" ") == "^"
    else:
        assert found.source == text
        assert parse_filter(str(found)) == found
        assert matches(found, job) is not matches(parse_filter(f"!({text})", now=NOW), job)


@settings(max_examples=300)
@given(telling_term, telling_term, jobs)
def test_not_and_or_mean_what_they_mean_in_logic(one: Term, other: Term, job: Subject) -> None:
    first, second = matches(parse_filter(str(one)), job), matches(parse_filter(str(other)), job)
    assert matches(parse_filter(f"!({one})"), job) is (not first)
    assert matches(parse_filter(f"({one}) ({other})"), job) is (first and second)
    assert matches(parse_filter(f"{one} | {other}"), job) is (first or second)


@settings(max_examples=300)
@given(telling_term, jobs)
def test_what_it_says_of_itself_is_true(term: Term, job: Subject) -> None:
    found = Filter(term)
    needed = {name: job.fields.get(name) for name in found.needs}
    assert matches(found, job) is matches(found, Subject(job.id, job.score, needed))
    assert found.fields == found.needs & PAYLOADS
    low, high = found.bounds()
    if job.score is not None and matches(found, job):
        assert low is None or low <= job.score
        assert high is None or job.score < high
    ids = found.exact_ids()
    assert ids is None or job.id in ids or not matches(found, job)


@pytest.mark.slow
@settings(max_examples=500)
@given(telling_term, st.lists(jobs, max_size=12), st.data())
def test_jobs_side_by_side_match_as_they_do_one_by_one(
    term: Term, some: list[Subject], data: st.DataObject
) -> None:
    found = Filter(term)
    names = {name for job in some for name in job.fields}
    columns = Columns(
        [job.id for job in some],
        {name: [job.fields.get(name) for job in some] for name in names},
        [job.score for job in some],
    )
    every = [at for at, job in enumerate(some) if matches(Filter(term), job)]
    assert list(found.pick(columns, range(len(some)))) == every
    asked = [at for at in range(len(some)) if data.draw(st.booleans())]
    assert list(found.pick(columns, asked)) == [at for at in asked if at in every]
    # Of what was remembered nothing may be wrong for other jobs.
    for at, job in enumerate(some):
        assert matches(found, job) is (at in every)


@given(numbers, numbers, numbers, options)
def test_counts_attempts_and_priority_as_the_rows_do(
    made: str | None, atm: str | None, priority: str | None, opts: str | None
) -> None:
    fields = {"attemptsMade": made, "atm": atm, "priority": priority, "opts": opts}
    job = Subject("1", None, fields)
    shown = row("1", [fields.get(name) for name in LIST_FIELDS])
    assert matches(parse_filter("attempts=max"), job) is shown.exhausted
    assert matches(parse_filter("attempts>=2"), job) is (shown.attempts_made >= 2)
    assert matches(parse_filter("attempts=3"), job) is (shown.attempts_made == 3)
    assert matches(parse_filter("priority>1"), job) is (shown.priority > 1)


MIXED = st.text("aAsSkKß\u212a\u017f\ufb01_-7 ", max_size=12)


@settings(max_examples=300)
@given(MIXED.filter(bool), st.lists(MIXED | st.sampled_from(["_" * 40, "x" * 600]), max_size=12))
def test_where_a_rare_mark_is_found_is_where_the_text_is(value: str, parts: list[str]) -> None:
    needle, text = value.casefold(), "".join(parts)
    held = needle in text.casefold()
    for mark in {one for one in needle if one.isascii() and not one.isalpha()}:
        turned = text + value.swapcase()
        column = [text, value + text, turned, None]
        expected = [held, True, needle in turned.casefold(), False]
        assert holding(mark, needle, column, range(4)) == [at for at in range(4) if expected[at]]
        assert holding(mark, needle, column, [1, 3]) == [1]


def test_no_character_folds_into_a_mark() -> None:
    for place in range(sys.maxunicode + 1):
        one = chr(place)
        folded = one.casefold()
        assert folded == one or all(other.isalpha() or not other.isascii() for other in folded)


def test_a_mark_is_looked_for_only_where_it_is_rare_and_texts_are_long() -> None:
    long = '{"order":"ord_1","lines":[' + '"item-17",' * 60 + "0]}"
    assert rare_mark({"_", "7"}, [long, long]) == "_"
    assert rare_mark({"7"}, [long, long]) == ""
    assert rare_mark({"_"}, ["ord_1"]) == ""
    assert rare_mark(set(), [long]) == ""
    assert rare_mark({"_"}, []) == ""
