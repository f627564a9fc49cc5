"""Jobs whose error is empty: every command shows what their stack says, and agrees with itself."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.cli.stage import connect, failed, invoke

_AGGREGATE: Final = (
    "AggregateError [ECONNREFUSED]: \n    at internalConnectMultiple (node:net:1122:18)"
)
_SAID: Final = "AggregateError [ECONNREFUSED]"


@pytest.fixture
def mute(redis_url: str) -> list[str]:
    """Three jobs of Node's without a message, and one that says what is wrong."""
    ids = failed(redis_url, 4)
    with connect(redis_url) as client:
        for job_id in ids[:3]:
            fields = {"failedReason": "", "stacktrace": json.dumps(["Error: old", _AGGREGATE])}
            client.hset(f"bull:payments:{job_id}", mapping=fields)
    return ids[:3]


def test_rows_groups_and_filters_agree_on_what_a_stack_says(
    redis_url: str, mute: list[str]
) -> None:
    address = ("--redis", redis_url)
    rows = invoke(*address, "jobs", "payments", "--oldest-first", "--json").objects
    assert [one["failed_reason"] for one in rows[:3]] == [_SAID] * 3
    [largest, _] = invoke(*address, "errors", "payments", "--json").objects
    assert (largest["signature"], largest["count"]) == (_SAID, 3)
    for wanted in (largest["filter"], "error:econnrefused", 'error:re:"^Aggregate"'):
        found = invoke(*address, "jobs", "payments", "--filter", wanted, "--json").objects
        assert sorted(one["id"] for one in found) == sorted(mute)
    assert _SAID in invoke(*address, "show", "payments", mute[0]).out
    planned = invoke(*address, "retry", "payments", "--all", "--dry-run")
    assert _SAID in planned.err


def test_the_journal_keeps_the_fields_as_they_were(redis_url: str, mute: list[str]) -> None:
    address = ("--redis", redis_url)
    done = invoke(*address, "retry", "payments", *mute, "--yes", "--json")
    journal = done.summary["journal"]
    kept = [one for one in invoke("journal", journal, "--json").objects if one["type"] == "job"]
    assert [one["fields"]["failedReason"] for one in kept] == ["", "", ""]
    assert _SAID in invoke("journal", journal).out
    rows = invoke("journal", journal, "--jobs", "--json").objects
    assert {one["failed_reason"] for one in rows} == {_SAID}
