"""The next iteration of a dead scheduler: its rhythm, its bounds, and what is not certain."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Whereabouts
from qtui.bullmq.schedulers.revival import SLOTS, NextIteration, Unrevivable, candidates
from qtui.bullmq.schedulers.scheduler import Iteration, Scheduler, iteration_ids, legacy_key
from tests.seeds import QUEUE

NOW = 1_800_000_000_000
HOUR = 3_600_000


def scheduler(**facts: Any) -> Scheduler:
    """A scheduler ``s`` without an iteration."""
    known = {"queue": QUEUE, "id": "s", "score": str(NOW - 10), "now": NOW, "name": "tick"}
    return Scheduler(**{**known, "iterations": 3, **facts})


def first(one: Scheduler, job: Mapping[str, str] | None = None) -> NextIteration:
    return next(candidates(one, job or {}, NOW))


def iteration(state: JobState | None, *, begun: bool = False, slot: int = NOW - 10) -> Iteration:
    return Iteration(id=f"repeat:s:{slot}", name="tick", place=Whereabouts(state), begun=begun)


@given(
    every=st.integers(1, 10**9),
    missed=st.integers(-5, 10_000),
    within=st.integers(0, 10**9),
    offset=st.integers(0, 10**9),
)
def test_a_period_keeps_its_rhythm_and_is_never_late(
    every: int, missed: int, within: int, offset: int
) -> None:
    """Whether the score has the offset in it or not (5.54.1 to 5.62 add it)."""
    score = NOW - missed * every - within % every
    assume(score > 0)
    one = scheduler(every=every, score=str(score), offset=offset % every)
    made = first(one)
    assert (made.slot - score) % every == 0
    assert made.slot >= score
    assert made.due == made.slot + one.shift
    assert made.due >= NOW
    assert made.due < NOW + every or made.slot == score
    assert json.loads(made.fields["opts"])["prevMillis"] == made.slot
    assert made.id == f"repeat:s:{made.slot}"


def test_times_that_are_taken_are_passed_over_within_bounds() -> None:
    found = list(candidates(scheduler(every=HOUR), {}, NOW))
    assert len(found) == SLOTS
    slots = [one.slot for one in found]
    assert slots == sorted(set(slots))


def test_the_template_is_the_scheduler_s() -> None:
    opts = '{"attempts":3,"priority":7,"de":{"id":"d"}}'
    made = first(scheduler(every=HOUR, data='{"a":[1]}', opts=opts, limit=9, tz=""))
    assert made.fields["data"] == '{"a":[1]}'
    assert (made.fields["priority"], made.fields["rjk"], made.fields["deid"]) == ("7", "s", "d")
    stored = json.loads(made.fields["opts"])
    assert (stored["attempts"], stored["repeatJobKey"]) == (3, "s")
    assert stored["repeat"] == {"count": 3, "every": HOUR, "limit": 9}
    assert int(made.fields["delay"]) == stored["delay"] == made.due - NOW


def test_a_limit_counts_the_iterations_that_ran() -> None:
    lost = scheduler(every=HOUR, limit=3, iteration=iteration(None))
    assert first(lost).count == 3
    ran = scheduler(every=HOUR, limit=3, iteration=iteration(JobState.COMPLETED, begun=True))
    with pytest.raises(Unrevivable, match="limit of 3"):
        first(ran)
    more = scheduler(every=HOUR, limit=4, iteration=iteration(JobState.COMPLETED, begun=True))
    assert first(more).count == 4


def test_an_end_date_is_not_passed() -> None:
    assert first(scheduler(every=HOUR, end_date=NOW + HOUR)).due < NOW + HOUR
    with pytest.raises(Unrevivable, match="end date"):
        first(scheduler(every=HOUR, score=str(NOW - HOUR + 1000), end_date=NOW + 500))


def test_a_start_date_that_is_still_to_come_is_waited_for() -> None:
    one = scheduler(pattern="0 0 * * * *", tz="UTC", start_date=NOW + 3 * HOUR)
    assert NOW + 3 * HOUR < first(one).due <= NOW + 4 * HOUR


def test_a_lost_iteration_whose_time_is_to_come_is_put_back_as_it_is() -> None:
    slot = NOW + 60_000
    one = scheduler(every=HOUR, score=str(slot), iteration=iteration(None, slot=slot))
    made = first(one, {"opts": "{}"})
    assert (made.id, made.fields) == (f"repeat:s:{slot}", {})


def test_a_pattern_without_a_time_zone_has_that_of_its_last_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = int(datetime(2026, 7, 1, 3, tzinfo=UTC).timestamp() * 1000)
    made = first(scheduler(pattern="0 3 * * *", score=str(at)))
    assert datetime.fromtimestamp(made.due / 1000, UTC).hour == 3
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        in_tokyo = int(datetime(2026, 6, 30, 18, tzinfo=UTC).timestamp() * 1000)
        made = first(scheduler(pattern="0 3 * * *", score=str(in_tokyo)))
        assert datetime.fromtimestamp(made.due / 1000, UTC).hour == 18
        with pytest.raises(Unrevivable, match="no time zone"):
            first(scheduler(pattern="0 3 * * *", score=str(at + HOUR)))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"pattern": "0 3 * * *", "tz": "Mars/Olympus"}, "time zone"),
        ({"pattern": "H * * * *", "tz": "UTC"}, "not certain"),
        ({}, "neither a pattern nor a period"),
        ({"every": HOUR, "score": "1.5"}, "not a number"),
        ({"every": HOUR, "has_template": False}, "template is gone"),
    ],
)
def test_what_is_not_certain_is_refused(facts: dict[str, Any], why: str) -> None:
    with pytest.raises(Unrevivable, match=why):
        first(scheduler(**facts))


def test_an_old_key_is_read_from_its_end_and_each_reading_has_an_id() -> None:
    assert legacy_key("s1") is None
    assert legacy_key("a:b:c") is None
    found = legacy_key("a:b:1900000000000:Europe/Berlin:0 3 * * *")
    assert found is not None
    assert (found.name, found.job_id, found.tz) == ("a", "b", "Europe/Berlin")
    assert (found.when, found.every) == ("0 3 * * *", None)
    # md5(name + jobId + md5(key)), as 1.x to 5.9 make it.
    ids = iteration_ids("leg:jj:::50000", "1795973850000")
    assert "repeat:bfd7c0e2a950f063b4453fdaa0756316:1795973850000" in ids
    assert len(set(ids)) == len(ids)
    assert iteration_ids("s1", "7") == ["repeat:s1:7"]
