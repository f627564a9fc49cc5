"""`qtui errors`: one line a cause, on real failures."""

from __future__ import annotations

from tests.cli.stage import Stage, digest, invoke, play


async def three_causes(stage: Stage) -> None:
    await stage.add(4)
    await stage.fail(1, "connect ECONNREFUSED 10.0.0.7:5432")
    await stage.fail(1, "connect ECONNREFUSED 10.0.0.9:5432")
    await stage.fail(2, "Timeout of 5000ms exceeded")
    await stage.add(3, name="refund")
    await stage.fail(2, "Timeout of 30000ms exceeded")
    await stage.fail(1, "\x1b]0;pwned\x07[/foo] boom")


def test_failures_with_one_cause_are_one_line(redis_url: str) -> None:
    play(redis_url, three_causes)
    groups = invoke("--redis", redis_url, "errors", "payments", "--json").objects
    counted = {group["signature"]: (group["count"], group["share"]) for group in groups}
    assert counted["Timeout of <n>ms exceeded"] == (4, 0.5714)
    assert counted["connect ECONNREFUSED <address>"] == (2, 0.2857)
    assert len(groups) == 3
    [timeouts] = [group for group in groups if group["count"] == 4]
    assert timeouts["names"] == {"charge": 2, "refund": 2}
    assert timeouts["sample"] == "6"
    assert timeouts["first_seen"] <= timeouts["last_seen"]


def test_the_largest_group_comes_first_and_nothing_hostile_gets_out(redis_url: str) -> None:
    play(redis_url, three_causes)
    before = digest(redis_url)
    out = invoke("--redis", redis_url, "--read-only", "errors", "payments").out
    head, first, *_ = out.splitlines()
    assert head.split() == ["jobs", "share", "last", "names", "sample", "error"]
    assert first.split()[:2] == ["4", "57%"]
    assert "pwned" in out
    assert "\x1b" not in out
    assert digest(redis_url) == before


def test_a_state_without_jobs_is_said(redis_url: str) -> None:
    play(redis_url, three_causes)
    done = invoke("--redis", redis_url, "errors", "payments", "--state", "completed")
    assert (done.code, done.out) == (0, "")
    assert "no completed jobs" in done.err
