"""`qtui jobs --filter`: what matches and nothing else, on real failures."""

from __future__ import annotations

import pytest

from tests.cli.stage import Stage, digest, invoke, play


async def failures(stage: Stage) -> None:
    await stage.add(2, name="charge", attempts=1)
    await stage.fail(2, "connect ECONNREFUSED 10.0.0.7:5432")
    await stage.add(4, name="refund", attempts=1)
    await stage.fail(4, "Timeout of 5000ms exceeded")


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("refund", ["6", "5", "4", "3"]),
        ("error:econnrefused", ["2", "1"]),
        ("error:timeout name=refund", ["6", "5", "4", "3"]),
        ("attempts=max error:timeout", ["6", "5", "4", "3"]),
        ("id=4 | id=none", ["4"]),
        ("!error:timeout", ["2", "1"]),
        ("error:re:^Time.*5\\d+ms age<1h", ["6", "5", "4", "3"]),
        ("age>1h", []),
    ],
)
def test_what_matches_is_listed_newest_first(
    redis_url: str, expression: str, ids: list[str]
) -> None:
    play(redis_url, failures)
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "jobs", "payments", "--filter", expression, "--json")
    assert done.code == 0
    assert [job["id"] for job in done.objects] == ids
    assert digest(redis_url) == before


def test_limit_and_offset_count_what_matches(redis_url: str) -> None:
    play(redis_url, failures)
    asked = ("jobs", "payments", "--filter", "refund", "--offset", "1", "--limit", "2", "--json")
    done = invoke("--redis", redis_url, *asked)
    assert [job["id"] for job in done.objects] == ["5", "4"]


def test_a_mistake_is_pointed_at(redis_url: str) -> None:
    done = invoke("--redis", redis_url, "jobs", "payments", "--filter", "error:x age<<")
    assert done.code == 2
    assert "^" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_a_pattern_that_runs_away_is_stopped(redis_url: str) -> None:
    async def evil(stage: Stage) -> None:
        await stage.add(1)
        await stage.fail(1, "a" * 5000 + "!")

    play(redis_url, evil)
    done = invoke("--redis", redis_url, "jobs", "payments", "--filter", "error:re:(a|a|aa)+$")
    assert done.code == 2
    assert "Traceback" not in done.err
