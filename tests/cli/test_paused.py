"""A headless retry in a paused queue: it ends, however many jobs there are."""

from __future__ import annotations

import pytest

from qtui.bullmq.dialect import ONE_RESUME
from tests.cli.stage import connect, invoke, many_failed


@pytest.mark.slow
def test_it_ends_with_all_retried_and_says_where_they_are(redis_url: str) -> None:
    jobs = ONE_RESUME + 500
    many_failed(redis_url, [f"j{place}" for place in range(jobs)])
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "paused", 1)
        client.rpush("bull:payments:paused", *(f"s{place}" for place in range(ONE_RESUME - 10)))
    done = invoke("--redis", redis_url, "retry", "payments", "--all", "--yes", "--json")
    assert (done.code, done.summary["retried"]) == (0, jobs)
    assert "on hold" not in done.err
    assert {line["target"] for line in done.objects if "target" in line} == {"prioritized"}
    with connect(redis_url) as client:
        assert client.zcard("bull:payments:prioritized") == jobs
        assert client.llen("bull:payments:paused") == ONE_RESUME - 10
