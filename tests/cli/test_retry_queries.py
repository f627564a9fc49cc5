"""`qtui retry --filter` and `--all`: what has finished by now, and what is said of it."""

from __future__ import annotations

import sys

import pexpect
import pytest

from tests.cli.stage import (
    Stage,
    command,
    connect,
    digest,
    failed,
    invoke,
    many_failed,
    places,
    play,
)
from tests.patience import PATIENCE

RUNAWAY = "error:re:(a|a|aa)+$"


async def failures(stage: Stage) -> None:
    await stage.add(2, name="charge", attempts=1)
    await stage.fail(2, "connect ECONNREFUSED 10.0.0.7:5432")
    await stage.add(3, name="refund", attempts=1)
    await stage.fail(3, "Timeout of 5000ms exceeded")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "select jobs in exactly one way"),
        (("1", "--all"), "select jobs in exactly one way"),
        (("1", "--filter", "x"), "select jobs in exactly one way"),
        (("--all", "--filter", "x"), "select jobs in exactly one way"),
        (("--filter", ""), "--filter"),
        (("--filter", "   "), "--filter"),
        (("--filter", "age<<"), "^"),
        (("--all", "--state", "active"), "active"),
    ],
)
def test_wrong_use_is_reported_and_nothing_sent(
    redis_url: str, args: tuple[str, ...], says: str
) -> None:
    failed(redis_url, 1)
    before = digest(redis_url)
    done = invoke("--redis", redis_url, "retry", "payments", *args, "--yes")
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert digest(redis_url) == before


@pytest.mark.parametrize(
    ("how", "retried"),
    [
        (("--all",), ["1", "2", "3", "4", "5"]),
        (("--filter", "refund"), ["3", "4", "5"]),
        (("--filter", "id=2 | id=4"), ["2", "4"]),
        (("--filter", 'group:"connect ECONNREFUSED <address>"'), ["1", "2"]),
    ],
)
def test_what_matches_is_retried_and_reported(
    redis_url: str, how: tuple[str, ...], retried: list[str]
) -> None:
    play(redis_url, failures)
    done = invoke("--redis", redis_url, "retry", "payments", *how, "--yes", "--json")
    assert (done.code, done.err) == (0, "")
    lines = done.objects[:-1]
    assert lines == [{"id": one, "code": 1, "target": "wait"} for one in retried]
    number = len(retried)
    assert done.summary["selected"] == done.summary["retried"] == number
    assert done.summary["codes"] == {"1": number, "-1": 0, "-3": 0}
    with connect(redis_url) as client:
        assert client.lrange("bull:payments:wait", 0, -1) == retried[::-1]
    assert places(redis_url) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_dry_run_prints_all_and_sends_no_write(redis_url: str, as_json: bool) -> None:
    many_failed(redis_url, [str(place) for place in range(1, 601)])
    before = digest(redis_url)
    asked = ("retry", "payments", "--all", "--dry-run", *(["--json"] if as_json else []))
    for mode in ((), ("--read-only",)):
        done = invoke("--redis", redis_url, *mode, *asked)
        assert done.code == 0
        if as_json:
            assert [one["id"] for one in done.objects[:-1]] == [str(n) for n in range(1, 601)]
            assert done.summary["dry_run"] is True
            assert (done.summary["selected"], done.summary["retried"]) == (600, 0)
        else:
            assert done.out.splitlines()[-1] == "600 of 600 jobs would be retried"
            assert "Retry 600 failed jobs in bull:payments" in done.err
    assert digest(redis_url) == before


def test_read_only_refuses(redis_url: str) -> None:
    failed(redis_url, 2)
    before = digest(redis_url)
    for how in (("--all",), ("--filter", "charge")):
        done = invoke("--redis", redis_url, "--read-only", "retry", "payments", *how, "--yes")
        assert (done.code, done.out) == (4, "")
        assert "read-only" in done.err
    assert digest(redis_url) == before


def test_without_a_terminal_there_is_no_prompt(redis_url: str) -> None:
    failed(redis_url, 2)
    done = invoke("--redis", redis_url, "retry", "payments", "--all")
    assert done.code == 2
    assert "--yes" in done.err
    assert places(redis_url) == ["1", "2"]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("as_json", [True, False])
def test_no_match_is_no_failure_and_is_said(
    redis_url: str, dry: tuple[str, ...], as_json: bool
) -> None:
    failed(redis_url, 2)
    how = ("--filter", "nothing", "--yes", *dry, *(["--json"] if as_json else []))
    done = invoke("--redis", redis_url, "retry", "payments", *how)
    assert done.code == 0
    assert done.err.splitlines()[-1] == ("qtui: no failed jobs in bull:payments that match nothing")
    if as_json:
        assert done.summary["selected"] == 0
    everything = invoke(
        "--redis", redis_url, "retry", "payments", "--all", "--state", "completed", "--yes"
    )
    assert everything.code == 0
    assert everything.err.splitlines()[-1] == "qtui: no completed jobs in bull:payments"


def test_orphans_have_their_code(redis_url: str) -> None:
    failed(redis_url, 3)
    with connect(redis_url) as client:
        client.delete("bull:payments:2")
    done = invoke("--redis", redis_url, "retry", "payments", "--all", "--yes", "--json")
    assert done.code == 1
    assert {one["id"]: one["code"] for one in done.objects[:-1]} == {"1": 1, "2": -1, "3": 1}
    assert done.summary["codes"] == {"1": 2, "-1": 1, "-3": 0}


def test_thousands_are_retried_oldest_first(redis_url: str) -> None:
    ids = [f"j{place}" for place in range(2500)]
    many_failed(redis_url, ids)
    done = invoke("--redis", redis_url, "retry", "payments", "--all", "--yes", "--json")
    assert done.code == 0
    assert [one["id"] for one in done.objects[:-1]] == ids
    assert done.summary["retried"] == 2500
    with connect(redis_url) as client:
        assert client.lrange("bull:payments:wait", 0, -1) == ids[::-1]


@pytest.mark.parametrize(
    "asked",
    [
        ("jobs", "payments", "--filter", RUNAWAY),
        ("jobs", "payments", "--filter", RUNAWAY, "--json"),
        ("jobs", "payments", "--filter", RUNAWAY, "--json", "--fields", "data"),
        ("errors", "payments", "--filter", RUNAWAY),
        ("errors", "*", "--filter", RUNAWAY, "--json"),
        ("retry", "payments", "--filter", RUNAWAY, "--yes"),
        ("retry", "payments", "--filter", RUNAWAY, "--dry-run", "--json"),
    ],
)
def test_a_pattern_that_runs_away_is_stopped_with_one_line(
    redis_url: str, asked: tuple[str, ...]
) -> None:
    async def evil(stage: Stage) -> None:
        await stage.add(1)
        await stage.fail(1, "a" * 5000 + "!")

    play(redis_url, evil)
    before = digest(redis_url)
    done = invoke("--redis", redis_url, *asked)
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert line.startswith("qtui: --filter: this pattern takes too long")
    assert digest(redis_url) == before


def test_one_that_runs_away_only_when_the_jobs_are_retried_is_reported_too(redis_url: str) -> None:
    # While a person thinks about the plan, a job's error becomes one that the pattern chokes on.
    async def harmless(stage: Stage) -> None:
        await stage.add(2)
        await stage.fail(2, "aaa")

    play(redis_url, harmless)
    program, *args = command("--redis", redis_url, "retry", "payments", "--filter", RUNAWAY)
    assert program == sys.executable
    child = pexpect.spawn(
        str(program), [str(one) for one in args], encoding="utf-8", timeout=PATIENCE
    )
    child.expect_exact("[y/N]")
    with connect(redis_url) as client:
        client.hset("bull:payments:2", "failedReason", "a" * 5000 + "!")
    child.sendline("y")
    child.expect(pexpect.EOF)
    said = child.before or ""
    child.close()
    assert "Traceback" not in said
    assert "takes too long" in said
    assert "jobs retried" in said, "the summary says what was done before"
    assert child.exitstatus in (1, 2)
    assert places(redis_url) == ["1", "2"]
