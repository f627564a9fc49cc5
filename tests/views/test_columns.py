"""What the table says of a job, for any content of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, row
from qtui.operations.following.outcome import Fate, Outcome
from qtui.text import plain
from qtui.views.columns import HEADS, attempts, cells, stalled_words
from qtui.views.lists.verdict import verdict
from qtui.views.tone import Tone

NOW = 1_700_000_000_000.0
FAILED, COMPLETED = JobState.FAILED, JobState.COMPLETED


def one(**fields: object) -> Row:
    return Row(id="7", **{"name": "charge", "timestamp": int(NOW) - 60_000, **fields})  # type: ignore[arg-type]


def test_a_failed_job() -> None:
    found = cells(
        one(
            attempts_made=2,
            attempts=3,
            finished_on=int(NOW) - 12_000,
            failed_reason="\n  connect ECONNREFUSED\n  at x",
        ),
        FAILED,
        NOW,
    )
    assert (found.id, found.name, found.attempts, found.when) == ("7", "charge", "2/3", "12s")
    assert (found.what, found.tone) == ("connect ECONNREFUSED", Tone.BAD)
    assert found.milliseconds == 12_000


@pytest.mark.parametrize("reason", [None, ""])
def test_a_failure_without_a_reason_says_so(reason: str | None) -> None:
    found = cells(one(failed_reason=reason), FAILED, NOW)
    assert (found.what, found.tone) == ("no reason given", Tone.FAINT)


def test_a_completed_job_shows_its_return_value_or_how_long_it_is() -> None:
    found = cells(one(returnvalue='{"ok":1}', failed_reason="old"), COMPLETED, NOW)
    assert (found.what, found.tone) == ('{"ok":1}', Tone.PLAIN)
    found = cells(one(returnvalue_size=1_400_000), COMPLETED, NOW)
    assert (found.what, found.tone) == ("(1.4 MB)", Tone.FAINT)
    assert cells(one(), COMPLETED, NOW).what == ""


def test_a_job_that_waits_may_have_failed_before() -> None:
    found = cells(one(failed_reason="boom"), JobState.WAITING, NOW)
    assert (found.what, found.tone, found.when) == ("boom", Tone.FAINT, "1m")


def test_a_prioritized_job_shows_its_priority() -> None:
    assert cells(one(priority=2_097_152), JobState.PRIORITIZED, NOW).what == "2,097,152"


@pytest.mark.parametrize(
    ("state", "fields", "when"),
    [
        (FAILED, {"finished_on": NOW - 5000, "score": NOW - 99_000}, "5s"),
        (FAILED, {"score": NOW - 99_000}, "1m"),
        (FAILED, {}, "?"),
        (JobState.ACTIVE, {"processed_on": NOW - 3000}, "3s"),
        (JobState.ACTIVE, {}, "?"),
        (JobState.DELAYED, {"score": (NOW + 300_000) * 4096 + 17}, "in 5m"),
        (JobState.DELAYED, {"score": (NOW - 3_000) * 4096}, "3s"),
        (JobState.DELAYED, {"score": (NOW - 660_000) * 4096}, "11m late"),
        (JobState.DELAYED, {"score": 1}, "53y late"),
        (JobState.DELAYED, {"score": float("-inf")}, "?"),
        (JobState.DELAYED, {}, "?"),
        (JobState.WAITING_CHILDREN, {"score": NOW - 7_200_000}, "2h"),
        (JobState.WAITING, {}, "1m"),
        (JobState.PAUSED, {"timestamp": None}, "?"),
        (FAILED, {"score": float("inf")}, "?"),
        (FAILED, {"finished_on": 10**300}, "?"),
    ],
)
def test_when(state: JobState, fields: dict[str, object], when: str) -> None:
    assert cells(one(**fields), state, NOW).when == when


def test_a_delayed_job_is_late_once_workers_had_time_to_take_it() -> None:
    for milliseconds, late in ((-60_000, False), (3_000, False), (5_000, True)):
        found = cells(one(score=(NOW - milliseconds) * 4096), JobState.DELAYED, NOW)
        assert found.late is late
    assert not cells(one(finished_on=NOW - 60_000), FAILED, NOW).late


def test_a_stalled_job_says_so_before_its_last_error() -> None:
    assert stalled_words(one()) == "stalled: its lock has expired"
    assert stalled_words(one(failed_reason="boom")).endswith("expired · boom")


def test_a_job_whose_hash_is_gone_says_so_and_no_more() -> None:
    found = cells(Row(id="7", missing=True), FAILED, NOW)
    assert (found.name, found.attempts, found.when) == ("", "", "")
    assert "gone" in found.what


def test_a_child_shows_that_it_has_a_parent() -> None:
    assert cells(one(parent_key="bull:q:1"), FAILED, NOW).id == "7 ↑"


def test_a_job_without_a_name_says_so() -> None:
    assert cells(one(name=""), FAILED, NOW).name == "(no name)"


@pytest.mark.parametrize(
    ("garbled", "words"),
    [
        ((), "2/3"),
        (("atm",), "?/3"),
        (("attemptsMade",), "?/3"),
        (("opts",), "2/?"),
        (("ats", "delay"), "2/3"),
    ],
)
def test_what_is_garbage_is_a_question_mark(garbled: tuple[str, ...], words: str) -> None:
    assert attempts(one(attempts_made=2, attempts=3, garbled=garbled)) == words


@settings(max_examples=200)
@given(
    fields=st.dictionaries(
        st.sampled_from(LIST_FIELDS),
        st.binary(max_size=30).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
        | st.sampled_from(["1e308", "-1e308", "9" * 300, "\x1b]52;c;aGk=\x07", "\u202e"]),
    ),
    job_id=st.binary(max_size=10).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    score=st.none() | st.floats(allow_nan=False),
    state=st.sampled_from(JobState),
)
def test_every_cell_of_any_job_is_plain(
    fields: dict[str, str], job_id: str, score: float | None, state: JobState
) -> None:
    found = cells(row(job_id, [fields.get(name) for name in LIST_FIELDS], score), state, NOW)
    for text in (found.id, found.name, found.attempts, found.when, found.what):
        assert plain(text) == text
    assert len(found.when) <= 9


def test_a_thousand_rows_of_a_screen_are_quick() -> None:
    rows = [one(failed_reason="x\x1b" * 1000, name="n" * 2000) for _ in range(1000)]
    start = time.process_time()
    for each in rows:
        cells(each, FAILED, NOW)
    assert time.process_time() - start < 2


def test_every_state_has_heads() -> None:
    assert set(HEADS) == set(JobState)


@pytest.mark.parametrize(
    ("code", "target", "error", "words", "tone"),
    [
        (Code.DONE, "wait", "", "✔ waiting", Tone.GOOD),
        (Code.DONE, "", "", "✔ waiting", Tone.GOOD),
        (Code.DONE, "paused", "", "✔ paused", Tone.GOOD),
        (Code.DONE, "prioritized", "", "✔ prioritized", Tone.GOOD),
        (Code.NO_SUCH_JOB, "", "", "✗ -1 job is gone", Tone.BAD),
        (Code.NOT_IN_STATE, "", "", "✗ -3 not in failed", Tone.BAD),
        (Code.REFUSED, "", "OOM \x1b\nx", "✗ refused by Redis: OOM ␛", Tone.BAD),
        (Code.UNKNOWN, "", "", "? unknown: the connection was lost", Tone.BAD),
    ],
)
def test_the_result_of_a_retry(code: Code, target: str, error: str, words: str, tone: Tone) -> None:
    found = verdict(Result("7", code, target, error), None, FAILED)
    assert (found.text, found.tone) == (words, tone)


@pytest.mark.parametrize(
    ("outcome", "words", "tone"),
    [
        (Outcome(Fate.WAITING), "✔ prioritized", Tone.GOOD),
        (Outcome(Fate.ACTIVE), "… active", Tone.BUSY),
        (Outcome(Fate.COMPLETED), "✔ completed", Tone.GOOD),
        (Outcome(Fate.FAILED_AGAIN, "Timeout"), "✗ failed again: Timeout", Tone.BAD),
        (Outcome(Fate.FAILED_AGAIN), "✗ failed again", Tone.BAD),
    ],
)
def test_what_became_of_it(outcome: Outcome, words: str, tone: Tone) -> None:
    found = verdict(Result("7", Code.DONE, "prioritized"), outcome, FAILED)
    assert (found.text, found.tone) == (words, tone)


def test_the_outcome_of_a_removed_job_is_unknown() -> None:
    found = verdict(Result("7", Code.DONE, "wait"), Outcome(Fate.GONE), FAILED)
    assert found.text == "? removed, outcome unknown"
    assert found.tone is Tone.FAINT


@pytest.mark.parametrize("code", [Code.NO_SUCH_JOB, Code.NOT_IN_STATE, Code.REFUSED, Code.UNKNOWN])
def test_what_was_not_retried_has_no_outcome(code: Code) -> None:
    result = Result("7", code)
    assert verdict(result, Outcome(Fate.COMPLETED), FAILED) == verdict(result, None, FAILED)
