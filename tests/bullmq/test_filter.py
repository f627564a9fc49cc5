"""The filter language: what it means, and what it says of itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from qtui.bullmq.filter import PAYLOADS, TABLE, parse_filter
from qtui.bullmq.filter.syntax import _EXAMPLES, _OPERATORS, Parser
from qtui.bullmq.filter.terms import TEXTS
from qtui.bullmq.model import LIST_FIELDS
from tests.bullmq.subjects import Subject, matches

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

TRUE = r"""
882
CHARGE
"charge card"
'charge card'
id:213
id=88213
name:card
name="Charge card"
error:econnrefused
error::5432
error:'"no"'
error:"said ""no"
data:'"customer":"cus_18"'
data:{"customer":"CUS
data:HAUPTSTRASSE
stack:"(/app/charge.js:41:12)"
stack:charge.js
re:^88
re:^(Charge|Refund)
error:re:ECONN(RESET|REFUSED)
error:re:(?i)econn[a-z]+
error:re:"connect E.* \d+"
error:re:[)"]$
name:re:card$
attempts=3
attempts>2
attempts<=3
attempts=max
priority>0
priority=2
child:yes
!child:no
!refund
!!charge
!(refund | email)
charge error:ECONN
refund | charge
refund x | charge error:econn
(refund|charge) error:econn
((charge)) (error:econn) | x
  charge  |  refund  
age<2h
age<=1h
age>=1h
age>0.5h
age>59m age<61m
!return:x
!error:timeout
"""

FALSE = """
12
refund
id=8821
name=charge
name=refund
error:re:econn
re:^213
return:null
attempts<3
attempts>3
priority<1
child:no
age<1h
age>1h
charge refund
charge !error:econn
error:charge
data:ECONN
refund | email
"""

MISSING = """
name:a
error:re:.*
data:a
return=a
stack:a
attempts>0
attempts=max
priority>0
child:yes
age<1w
age>1w
after:2001-01-01
before:2901-01-01
"""


def lines(text: str) -> list[str]:
    return text.strip("\n").split("\n")


@pytest.mark.parametrize("text", lines(TRUE))
def test_matches_what_it_says(text: str) -> None:
    assert matches(parse_filter(text, now=NOW), JOB)
    assert not matches(parse_filter(f"!({text})", now=NOW), JOB)


@pytest.mark.parametrize("text", lines(FALSE))
def test_does_not_match_what_it_does_not_say(text: str) -> None:
    assert not matches(parse_filter(text, now=NOW), JOB)
    assert matches(parse_filter(f"!({text})", now=NOW), JOB)


@pytest.mark.parametrize("text", lines(MISSING))
def test_a_missing_field_matches_only_when_negated(text: str) -> None:
    for job in (BARE, Subject("9", None, dict.fromkeys(LIST_FIELDS))):
        assert not matches(parse_filter(text, now=NOW), job)
        assert matches(parse_filter(f"!{text}", now=NOW), job)


def test_a_job_that_says_nothing_of_attempts_and_priority_has_none() -> None:
    assert matches(parse_filter("attempts=0 priority=0 child:no"), BARE)


def test_the_score_is_the_time_and_else_the_field() -> None:
    found = parse_filter("age<1h", now=NOW)
    assert matches(found, Subject("1", NOW, {"finishedOn": "7"}))
    assert matches(found, Subject("1", None, {"finishedOn": str(NOW)}))
    assert not matches(found, Subject("1", None, {"finishedOn": "soon"}))


def test_the_table_is_made_of_filters() -> None:
    for example, meaning in TABLE:
        assert parse_filter(str(parse_filter(example, now=NOW))) == parse_filter(example, now=NOW)
        assert meaning.isprintable()
        assert len(f"{example:32}{meaning}") < 120
    shown = " ".join(f"{example} {meaning}" for example, meaning in TABLE)
    assert not [word for word in TEXTS if word and f"{word}:" not in shown]


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
    assert parse_filter(text, now=NOW).bounds() == (low, high)


def test_times_are_local_unless_they_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        local = parse_filter("after:2026-11-21T03:00").bounds()[0]
        assert parse_filter("after:'2026-11-21 03:00:00'") == parse_filter(
            "after:2026-11-21T08:00Z"
        )
        assert str(parse_filter("before:2026-07-01")) == "before:2026-07-01T04:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert local == datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp() * 1000


def test_an_age_is_fixed_when_it_is_parsed() -> None:
    before = time.time() * 1000
    found = parse_filter("age<1h")
    low = found.bounds()[0]
    assert low is not None
    assert before - HOUR <= low <= time.time() * 1000 - HOUR + 1
    assert parse_filter(str(found), now=NOW + HOUR) == found


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
    found = parse_filter(text)
    assert found.exact_ids() == exact
    assert found.id_candidates() == candidates
    assert parse_filter("id=42").needs == frozenset()


def test_reads_only_what_it_must() -> None:
    assert parse_filter("id:42 id=7 id:re:x").needs == frozenset()
    assert parse_filter("x").needs == {"name"}
    assert parse_filter("attempts=max error:x").needs == {
        "attemptsMade",
        "atm",
        "opts",
        "failedReason",
    }
    assert parse_filter("data:x | !return:y stack:re:z child:no").fields == PAYLOADS


def test_every_word_of_a_term_has_an_example_a_parser_and_a_line_in_the_table() -> None:
    own = set(_OPERATORS) - set(TEXTS) - {"re"}
    assert set(_EXAMPLES) == own
    assert set(Parser._others) | {"group"} == own | {"group"}
    table = " ".join(term for term, _ in TABLE)
    assert not [word for word in own if word not in table]
