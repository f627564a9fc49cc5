"""Rows from any content of a job's hash."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Kind, QueueStatus, Row, row, rows_of
from tests.calls import called

FIELDS = st.dictionaries(
    st.sampled_from(LIST_FIELDS),
    st.one_of(
        st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
        st.text(max_size=30),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(
            ["", "null", "[]", "{}", "1e999", "-0", "0x10", "1_0", "٣", "٣", "nan", "inf"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["attempts", "lifo", "x"]), inner, max_size=3)
            ),
            max_leaves=8,
        ).map(json.dumps),
    ),
)


def made(**fields: str) -> Row:
    return row("7", [fields.get(name) for name in LIST_FIELDS])


@settings(max_examples=200)
@given(FIELDS)
def test_any_bytes_in_any_field_make_a_row(fields: dict[str, str]) -> None:
    found = made(**fields)
    assert found.id == "7"
    assert set(found.garbled) <= set(fields)
    assert found.attempts >= 1
    assert isinstance(found.exhausted, bool)


def test_a_job_of_bullmq_reads_as_it_was_written() -> None:
    found = made(
        name="charge",
        timestamp="1700000000000",
        processedOn="1700000000100",
        finishedOn="1700000000200",
        ats="3",
        atm="2",
        priority="7",
        delay="500",
        opts='{"attempts":3,"lifo":true,"backoff":{"type":"fixed"}}',
        parentKey="bull:orders:1",
        failedReason="boom",
    )
    assert (found.name, found.failed_reason, found.parent_key) == (
        "charge",
        "boom",
        "bull:orders:1",
    )
    assert (found.timestamp, found.processed_on, found.finished_on) == (
        1_700_000_000_000,
        1_700_000_000_100,
        1_700_000_000_200,
    )
    assert (found.attempts_made, found.attempts_started, found.attempts) == (2, 3, 3)
    assert (found.priority, found.delay, found.lifo, found.garbled) == (7, 500, True, ())
    assert found.modern is True
    assert not found.exhausted


@pytest.mark.parametrize(
    ("fields", "attempts", "modern"),
    [
        ({}, 0, None),
        ({"attemptsMade": "2"}, 2, False),
        ({"atm": "3", "ats": "4"}, 3, True),
        ({"ats": "1"}, 0, True),
        # It lived through an upgrade: BullMQ ≥5.0.0 reads attemptsMade first.
        ({"attemptsMade": "2", "atm": "3"}, 2, True),
        ({"attemptsMade": "junk", "atm": "3"}, 3, True),
    ],
)
def test_attempts_in_all_their_spellings(
    fields: dict[str, str], attempts: int, modern: bool | None
) -> None:
    found = made(**fields)
    assert (found.attempts_made, found.modern) == (attempts, modern)


@pytest.mark.parametrize(
    "text", ["", "abc", "nan", "inf", "-inf", "1e999", "0x10", "1_000", "٣", "1 2", "{}", "9" * 500]
)
def test_what_is_no_number_is_shown_as_garbage_and_not_read_as_one(text: str) -> None:
    found = made(timestamp=text, name="n")
    assert (found.timestamp, found.garbled) == (None, ("timestamp",))


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12), (" 12\n", 12), ("1.9", 1), ("1e3", 1000), ("-5", -5), ("+5", 5)]
)
def test_numbers_in_other_spellings_are_numbers(text: str, value: int) -> None:
    assert made(timestamp=text).timestamp == value


@pytest.mark.parametrize(
    "attempts", ["0", "-3", '"abc"', "null", "true", "NaN", "Infinity", "[]", "1" + "0" * 400]
)
def test_a_job_runs_once_where_the_option_does_not_help(attempts: str) -> None:
    # BullMQ on Node writes "attempts": 0 for every job that does not set the option.
    found = made(opts=f'{{"attempts":{attempts}}}', atm="1")
    assert (found.attempts, found.exhausted) == (1, True)


@pytest.mark.parametrize(
    "opts",
    [
        "",
        "not json",
        "[1]",
        "null",
        '"{}"',
        "[" * 10_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        '{"attempts":' + "9" * 5000 + "}",
        "\udcff",
    ],
)
def test_options_that_are_no_object_are_garbage(opts: str) -> None:
    found = made(opts=opts)
    assert (found.garbled, found.attempts, found.lifo) == (("opts",), 1, False)


@pytest.mark.parametrize(
    ("value", "lifo"),
    [
        *(("true", True), ("1", True), ('"x"', True), ("{}", True), ("[]", True)),
        *(("false", False), ("0", False), ('""', False), ("null", False)),
    ],
)
def test_lifo_is_what_javascript_takes_for_true(value: str, lifo: bool) -> None:
    assert made(opts=f'{{"lifo":{value}}}').lifo is lifo


def test_a_megabyte_of_anything_takes_no_time() -> None:
    start = time.process_time()
    for junk in ("1" * 1_000_000, "0." + "1" * 1_000_000, " " * 1_000_000, "1" * 999_999 + "x"):
        made(timestamp=junk, priority=junk, opts=junk)
    assert time.process_time() - start < 2


def test_the_keys_of_the_states() -> None:
    assert [state.key for state in JobState] == [
        "failed",
        "completed",
        "wait",
        "active",
        "delayed",
        "prioritized",
        "waiting-children",
        "paused",
    ]
    assert [state for state in JobState if state.is_finished] == ["failed", "completed"]
    assert [state for state in JobState if state.is_list] == ["waiting", "active", "paused"]


def test_a_status_sums_up_what_waits_and_takes_the_unknown_for_none() -> None:
    counts = dict.fromkeys(JobState, 1) | {JobState.FAILED: None, JobState.PRIORITIZED: 5}
    status = QueueStatus(QueueKey.of("bull", "q"), counts, concurrency=1)
    assert (status.failed, status.waiting, status.maxed) == (0, 7, True)
    assert not QueueStatus(QueueKey.of("bull", "q"), counts, concurrency=2).maxed
    assert not QueueStatus(QueueKey.of("bull", "q"), counts).maxed


def test_only_queues_of_bullmq_are_not_refused() -> None:
    assert [kind for kind in Kind if not kind.refusal] == [Kind.BULLMQ]


@settings(max_examples=200)
@given(st.lists(FIELDS, max_size=6))
def test_jobs_side_by_side_read_as_one_by_one(jobs: list[dict[str, str]]) -> None:
    ids = [str(place) for place in range(len(jobs))]
    columns = {name: [fields.get(name) for fields in jobs] for name in LIST_FIELDS}
    assert rows_of(ids, columns, [float(one) for one in ids]) == [
        row(one, [fields.get(name) for name in LIST_FIELDS], float(one))
        for one, fields in zip(ids, jobs, strict=True)
    ]


def test_each_job_takes_one_call_its_own_making() -> None:
    def calls(jobs: int) -> int:
        columns: dict[str, list[str | None]] = {name: ["7"] * jobs for name in LIST_FIELDS}
        columns |= {"opts": ['{"attempts":3}'] * jobs, "attemptsMade": [None] * jobs}
        ids = [str(place) for place in range(jobs)]
        rows_of(ids[:1], {name: column[:1] for name, column in columns.items()})
        return called(lambda: rows_of(ids, columns))

    assert calls(2000) - calls(50) < 1.1 * 1950
