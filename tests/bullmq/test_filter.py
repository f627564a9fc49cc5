"""The filter language: what it means, where it points at mistakes, and that nothing breaks it."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.filter import PAYLOADS, TABLE, Filter, FilterError, Subject, parse, quoted
from qtui.bullmq.filter import pattern as pattern_module
from qtui.bullmq.filter.groups import Either, Every, group, negate
from qtui.bullmq.filter.pattern import LONGEST, REACH, Pattern
from qtui.bullmq.filter.terms import (
    COMPARISONS,
    TEXTS,
    Child,
    Contains,
    Equals,
    Finished,
    Matches,
    Number,
    Term,
    UsedUp,
)
from qtui.bullmq.model import LIST_FIELDS, row

NOW = 1_795_000_000_000
HOUR = 3_600_000

JOB = Subject(
    "88213",
    NOW - HOUR,
    {
        "name": "Charge card",
        "failedReason": 'connect ECONNREFUSED 10.0.0.7:5432, said "no"',
        "data": '{"customer":"cus_18","street":"Hauptstraße"}',
        "stacktrace": '["Error\\n    at connect (/app/charge.js:41:12)"]',
        "attemptsMade": None,
        "atm": "3",
        "opts": '{"attempts":3}',
        "priority": "2",
        "parentKey": "bull:orders:7",
    },
)
BARE = Subject("9", None, {})


@pytest.mark.parametrize(
    "text",
    [
        "882",
        "CHARGE",
        '"charge card"',
        "'charge card'",
        "id:213",
        "id=88213",
        "name:card",
        'name="Charge card"',
        "error:econnrefused",
        "error::5432",
        """error:'"no"'""",
        '''error:"""no"""''',
        """data:'"customer":"cus_18"'""",
        'data:{"customer":"CUS',
        "data:HAUPTSTRASSE",
        "stack:(/app/charge.js:41:12)".replace("(", '"(').replace(")", ')"'),
        "re:^88",
        "re:^(Charge|Refund)",
        "error:re:ECONN(RESET|REFUSED)",
        "error:re:(?i)econn[a-z]+",
        'error:re:"connect E.* \\d+"',
        "name:re:card$",
        "attempts=3",
        "attempts>2",
        "attempts<=3",
        "attempts=max",
        "priority>0",
        "priority=2",
        "child:yes",
        "!child:no",
        "!refund",
        "!!charge",
        "!(refund | email)",
        "charge error:ECONN",
        "refund | charge",
        "refund x | charge error:econn",
        "(refund|charge) error:econn",
        "  charge  |  refund  ",
        "age<2h",
        "age<=1h",
        "age>=1h",
        "age>0.5h",
        "age>59m age<61m",
        "!return:x",
        "!error:timeout",
    ],
)
def test_matches_what_it_says(text: str) -> None:
    assert parse(text, now=NOW).matches(JOB)
    assert not parse(f"!({text})", now=NOW).matches(JOB)


@pytest.mark.parametrize(
    "text",
    ["12", "refund", "id=8821", "name=charge", "name=refund", "error:re:econn", "re:^213"]
    + ["return:null", "attempts<3", "attempts>3", "priority<1", "child:no", "age<1h", "age>1h"]
    + ["charge refund", "charge !error:econn", "error:charge", "data:ECONN", "refund | email"],
)
def test_does_not_match_what_it_does_not_say(text: str) -> None:
    assert not parse(text, now=NOW).matches(JOB)


@pytest.mark.parametrize(
    "text",
    ["name:a", "error:re:.*", "data:a", "return=a", "stack:a", "attempts>0", "attempts=max"]
    + ["priority>0", "child:yes", "age<1w", "age>1w", "after:2001-01-01", "before:2901-01-01"],
)
def test_a_missing_field_matches_only_when_negated(text: str) -> None:
    assert not parse(text, now=NOW).matches(BARE)
    assert parse(f"!{text}", now=NOW).matches(BARE)
    assert not parse(text, now=NOW).matches(Subject("9", None, dict.fromkeys(LIST_FIELDS)))


def test_a_job_that_says_nothing_of_attempts_and_priority_has_none() -> None:
    assert parse("attempts=0 priority=0 child:no").matches(BARE)


numbers = st.none() | st.sampled_from(
    ["0", "1", "2", "3", "-1", " 2 ", "1.5", "3e0", "2x", "", "٣", "1_0", "nan", "9" * 20, "1e400"]
)
options = st.none() | st.sampled_from(
    ['{"attempts":3}', '{"attempts":0}', '{"attempts":"3"}', '{"attempts":1e999}', "{}", "[]"]
    + ["null", "{", "", '{"attempts":2.5}', '{"attempts":-4}', '{"attempts":true}', "[" * 5000]
    + ['{"attempts":2,"x":"' + "y" * 2000 + '"}']
)


@given(numbers, numbers, numbers, options)
def test_counts_attempts_and_priority_as_the_rows_do(
    made: str | None, atm: str | None, priority: str | None, opts: str | None
) -> None:
    fields = {"attemptsMade": made, "atm": atm, "priority": priority, "opts": opts}
    job = Subject("1", None, fields)
    shown = row("1", [fields.get(name) for name in LIST_FIELDS])
    assert parse("attempts=max").matches(job) is shown.exhausted
    if abs(shown.attempts_made) < 10**15:
        assert parse(f"attempts={shown.attempts_made}").matches(job)
    assert parse("attempts>=2").matches(job) is (shown.attempts_made >= 2)
    assert parse("priority>1").matches(job) is (shown.priority > 1)


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
        ("a b)", 3, "no ( to this )"),
        ("a (b)c", 5, "expected a blank"),
        ('a "b', 2, "never closed"),
        ('a ""', 3, "between the quotes"),
        ('error:""', 7, "between the quotes"),
        ('"a"b', 3, "written twice"),
        ("a eror:x", 2, "did you mean error"),
        ("Error:x", 0, "did you mean error"),
        ("http://x", 0, "takes quotes"),
        ("qqqq=x", 0, "is it one of id name error"),
        ("error:", 6, "right after error:"),
        ("error: x", 6, "right after error:"),
        ("error:|x", 6, "right after error:"),
        ("error:!x", 6, "in front of error"),
        ("error:(a b)", 6, "takes quotes"),
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
        ("error:re:(a b)", 11, "stands in quotes"),
        ("x error:re:a[", 13, "character set"),
        ('error:re:"""a[" x', 13, "character set"),
        ("re:*", 4, "nothing to repeat"),
        ("re:a|error:b", 4, "put a blank before it"),
        ("re:(?u)(?a)", 3, "flags"),
        ("re:" + "a" * (LONGEST + 1), 3 + LONGEST, "at most 1000"),
        ('re:"' + "a " * LONGEST + '"', 4 + LONGEST, "at most 1000"),
        ("re:(a{200}){200}", 11, "10,000 steps"),
        ("re:" + "(" * 400 + ")" * 400, 3, "nested too deeply"),
        ("(" * 51 + "a" + ")" * 51, 50, "at most 50 deep"),
        (" ".join(["re:a"] * 33), 32 * 5 + 3, "at most 32 patterns"),
    ],
)
def test_points_at_the_mistake(text: str, position: int, says: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text, now=NOW)
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
        parse(text)
    assert caught.value.pointed(text) == lines


def test_messages_hold_nothing_that_a_terminal_would_obey() -> None:
    with pytest.raises(FilterError) as caught:
        parse("child:\x1b[2J\u202e")
    assert caught.value.message.isprintable()


def test_the_table_is_made_of_filters() -> None:
    for example, meaning in TABLE:
        assert parse(str(parse(example, now=NOW))) == parse(example, now=NOW)
        assert meaning.isprintable()
        assert len(f"{example:32}{meaning}") < 120
    shown = " ".join(f"{example} {meaning}" for example, meaning in TABLE)
    assert not [word for word in TEXTS if word and f"{word}:" not in shown]


values = st.text(min_size=1, max_size=8) | st.text(
    "aß \"'()|!:<>=\\\n\udc80", min_size=1, max_size=8
)
words = st.sampled_from(sorted(TEXTS))
patterns = st.sampled_from(
    ["^a", "a|b c", '"', "'\"", "(ß|[ )])", "(?i)x{2,3}", r"\d\)", "!", "re:"]
)
moments = st.datetimes().map(lambda at: int(at.replace(tzinfo=UTC).timestamp() * 1000))
terms: st.SearchStrategy[Term] = st.recursive(
    st.one_of(
        st.builds(Contains, words, values),
        st.builds(Equals, words.filter(bool), values),
        st.builds(lambda word, text: Matches(word, text, Pattern(text)), words, patterns),
        st.builds(Finished, st.booleans(), moments),
        st.builds(
            Number,
            st.sampled_from(["attempts", "priority"]),
            st.sampled_from(sorted(COMPARISONS)),
            st.integers(-(10**15) + 1, 10**15 - 1),
        ),
        st.just(UsedUp()),
        st.just(Child()),
    ),
    lambda inner: st.one_of(
        inner.map(negate),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: group(Every, found)),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: group(Either, found)),
    ),
    max_leaves=10,
)


@given(terms)
def test_what_is_printed_parses_to_the_same(term: Term) -> None:
    found = parse(str(term))
    assert found == Filter(term)
    assert hash(found) == hash(Filter(term))
    assert str(found) == str(term)


@given(values)
def test_any_text_can_be_looked_for(value: str) -> None:
    assert parse(f"error:{quoted(value)}") == Filter(Contains("error", value))
    assert parse(quoted(value)).matches(Subject(f"…{value}…"))


pieces = st.sampled_from(
    [*TEXTS, "re:", "error:re:", "age<", "after:", "attempts", "child:", "=", "max", "yes", "1h"]
    + ["2026-11-21", "T03:00", "Z", "+01:00", "9" * 30, "|", "!", "(", ")", '"', "'", " ", " "]
    + ["[", "]", "{2}", "*", "\\", "\n", "\x00", "\ud800", "٣", "ﬁ", "id=", "name:", ":", "<", "?"]
)
scribbles = st.text(max_size=40) | st.lists(pieces, max_size=20).map("".join)


@settings(max_examples=1000)
@given(scribbles)
def test_any_text_is_a_filter_or_a_mistake_with_a_place(text: str) -> None:
    try:
        found = parse(text, now=NOW)
    except FilterError as error:
        assert 0 <= error.position <= len(text)
        shown, caret = error.pointed(text).split("\n")
        assert shown.isprintable()
        assert caret.strip(" ") == "^"
        return
    assert found.source == text
    assert parse(str(found)) == found
    assert found.matches(JOB) in (True, False)


small = st.sampled_from(["a", "A", "ab", "b", "B c", "ß", "ss", "1", "12", "\udc80"])
scores = st.none() | st.integers(NOW - 5, NOW + 5) | st.floats(NOW - 5, NOW + 5) | st.just(0)
subjects = st.builds(
    Subject,
    small,
    scores,
    st.fixed_dictionaries(
        {},
        optional={
            **{name: st.none() | small for text in TEXTS.values() for name in text if name != "id"},
            **dict.fromkeys(("attemptsMade", "atm", "priority"), numbers),
            "opts": options,
            "parentKey": st.none() | small,
            "finishedOn": st.integers(NOW - 5, NOW + 5).map(str) | numbers,
        },
    ),
)
near = st.recursive(
    st.one_of(
        st.builds(Contains, words, small),
        st.builds(Equals, words.filter(bool), small),
        st.builds(lambda word: Matches(word, "^[ab]$", Pattern("^[ab]$")), words),
        st.builds(Finished, st.booleans(), st.integers(NOW - 5, NOW + 5)),
        st.builds(
            Number,
            st.sampled_from(["attempts", "priority"]),
            st.sampled_from(sorted(COMPARISONS)),
            st.integers(-1, 4),
        ),
        st.just(UsedUp()),
        st.just(Child()),
    ),
    lambda inner: st.one_of(
        inner.map(negate),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: group(Every, found)),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: group(Either, found)),
    ),
    max_leaves=6,
)


@settings(max_examples=500)
@given(near, near, subjects)
def test_not_and_or_mean_what_they_mean_in_logic(one: Term, other: Term, job: Subject) -> None:
    first, second = parse(str(one)).matches(job), parse(str(other)).matches(job)
    assert parse(f"!({one})").matches(job) is (not first)
    assert parse(f"({one}) ({other})").matches(job) is (first and second)
    assert parse(f"{one} | {other}").matches(job) is (first or second)
    assert parse(f"!({one} | {other})") != parse(f"!({one}) | !({other})") or one == other


@settings(max_examples=500)
@given(near, subjects)
def test_what_it_tells_of_itself_is_true(term: Term, job: Subject) -> None:
    found = Filter(term)
    needed = {name: job.fields.get(name) for name in found.needs}
    assert found.matches(job) is found.matches(Subject(job.id, job.score, needed))
    assert found.fields == found.needs & PAYLOADS
    if not found.matches(job):
        return
    low, high = found.bounds()
    if job.score is not None:
        assert low is None or low <= job.score
        assert high is None or job.score < high
    ids = found.exact_ids()
    assert ids is None or job.id in ids


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("age<1h", NOW - HOUR + 1, None),
        ("age<=1h", NOW - HOUR, None),
        ("age>1h", None, NOW - HOUR),
        ("age>=1h", None, NOW - HOUR + 1),
        ("!age<1h", None, NOW - HOUR + 1),
        ("x age<2h age>1h", NOW - 2 * HOUR + 1, NOW - HOUR),
        ("age>2h age<1h", NOW - HOUR + 1, NOW - 2 * HOUR),
        ("age<1h | age<2h x", NOW - 2 * HOUR + 1, None),
        ("age<1h | x", None, None),
        ("!(age<1h | x)", None, NOW - HOUR + 1),
        ("!(age<1h x)", None, None),
        ("before:1970-01-01T00:00:01.500Z", None, 1500),
        ("after:1970-01-01T01:00+01:00", 0, None),
        ("age<999999999w", -62_135_596_800_000, None),
    ],
)
def test_bounds_the_finishing_times(text: str, low: float | None, high: float | None) -> None:
    assert parse(text, now=NOW).bounds() == (low, high)


def test_times_are_local_unless_they_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        local = parse("after:2026-11-21T03:00").bounds()[0]
        assert parse("after:'2026-11-21 03:00:00'") == parse("after:2026-11-21T08:00Z")
        assert str(parse("before:2026-07-01")) == "before:2026-07-01T04:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert local == datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp() * 1000


def test_an_age_is_fixed_when_it_is_parsed() -> None:
    before = time.time() * 1000
    found = parse("age<1h")
    low = found.bounds()[0]
    assert low is not None
    assert before - HOUR <= low <= time.time() * 1000 - HOUR + 1
    assert parse(str(found), now=NOW + HOUR) == found


@pytest.mark.parametrize(
    ("text", "exact", "candidates"),
    [
        ("id=42", {"42"}, ("42",)),
        ("id=42 error:x", {"42"}, ("42",)),
        ("id=42 | id=43", {"42", "43"}, ("42", "43")),
        ("id=42 id=43", set(), ("42", "43")),
        ("id=42 | x", None, ("42", "x")),
        ("!id=42", None, ()),
        ("!(!id=42 | x)", {"42"}, ()),
        ("id:42 42 name:7 error:8 !9", None, ("42",)),
        ("id:repeat:a:17", None, ("repeat:a:17",)),
    ],
)
def test_knows_ids_that_need_no_scan(
    text: str, exact: set[str] | None, candidates: tuple[str, ...]
) -> None:
    found = parse(text)
    assert found.exact_ids() == exact
    assert found.id_candidates() == candidates
    assert parse("id=42").needs == frozenset()


def test_reads_only_what_it_must() -> None:
    assert parse("id:42 id=7 id:re:x").needs == frozenset()
    assert parse("x").needs == {"name"}
    assert parse("attempts=max error:x").needs == {"attemptsMade", "atm", "opts", "failedReason"}
    assert parse("data:x | !return:y stack:re:z child:no").fields == PAYLOADS


def test_huge_filters_take_linear_time() -> None:
    start = time.perf_counter()
    many = parse(" | ".join(f"error:e{number}" for number in range(10_000)))
    assert many.matches(Subject("1", None, {"failedReason": "E9999"}))
    assert parse(str(many)) == many
    assert parse("!" * 1_000_001 + "x").root == negate(Contains("", "x"))
    for text in ("a" * 10**6, '"' + "b c" * 10**6 + '"', "a(" * 10**6, "a " * 10**5):
        assert parse(str(parse(text))) == parse(text)
    for text in ("(" * 10**6, '"' * (10**6 + 1), "re:" + "[" * 10**6, ")" * 10**6, "|" * 10**6):
        with pytest.raises(FilterError):
            parse(text)
    assert time.perf_counter() - start < 20


RUNAWAYS = [(r"(a|aa)+$", "a" * 60 + "!"), (r"a*[bc]", "a" * 10**6), (r".*.*[xy]", "b" * 10**6)]


@pytest.mark.parametrize(("pattern", "text"), RUNAWAYS)
def test_a_pattern_that_runs_away_is_stopped(pattern: str, text: str) -> None:
    found = parse(f"x error:re:{pattern}")
    start = time.process_time()
    with pytest.raises(FilterError, match="takes too long") as caught:
        found.matches(Subject("x", None, {"failedReason": text}))
    assert time.process_time() - start < 1
    assert caught.value.position == len("x error:re:")
    with pytest.raises(FilterError, match="takes too long"):
        found.matches(Subject("x", None, {"failedReason": "harmless"}))
    assert not parse(f"!x error:re:{pattern}").matches(Subject("x", None, {"failedReason": text}))


def test_a_pattern_that_is_slow_in_every_text_is_stopped_too() -> None:
    found, text = parse("error:re:a*[bc]"), "a" * 5000
    jobs = start = 0
    start_time = time.process_time()
    with pytest.raises(FilterError, match="takes too long"):
        for jobs in range(100_000):  # noqa: B007
            found.matches(Subject("1", None, {"failedReason": text}))
    assert jobs > start
    assert time.process_time() - start_time < 5


def test_a_process_that_was_stopped_meanwhile_is_no_runaway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 10**6, 60))
    monkeypatch.setattr(pattern_module.time, "perf_counter", lambda: float(next(clock)))
    pattern = Pattern("b$")
    assert all(pattern.search("aab") for _ in range(100))


def test_a_pattern_sees_the_beginning_of_a_text() -> None:
    found = parse("error:re:needle$")
    hay = "." * (REACH - 6)
    assert found.matches(Subject("1", None, {"failedReason": f"{hay}needle{hay}"}))
    assert not found.matches(Subject("1", None, {"failedReason": f"{hay}.needle"}))


def test_regex_is_imported_with_the_first_pattern() -> None:
    program = (
        "import sys; from qtui.bullmq.filter import parse; parse('error:a age<1h attempts=max');"
        "assert not {'regex', 'redis', 'textual'} & set(sys.modules); parse('re:a');"
        "assert 'regex' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
