"""`qtui watch` ends with code 1 when a condition holds, and with 0 when the time is up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.stage import connect, failed, invoke


def _lonely(redis_url: str) -> None:
    """A job that waits, added in 1970, and no worker."""
    connect(redis_url).hset("bull:payments:9", mapping={"name": "a", "timestamp": "1"})
    connect(redis_url).lpush("bull:payments:wait", "9")


def test_nothing_that_is_wrong(redis_url: str) -> None:
    failed(redis_url, 1)
    done = invoke("--redis", redis_url, "--read-only", "watch", "payments", "--for", "50ms")
    assert (done.code, done.out) == (0, "")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ((), "payments: no worker is connected: 1 job waits"),
        (("--no-worker",), "payments: no worker is connected: 1 job waits"),
        (("--waiting", "0"), "payments: 1 job waits (limit 0)"),
        (("--oldest", "5m"), "payments: the next job has waited for "),
        (("--failed-rate", "2/m"), "payments: 3 failures a minute (limit 2)"),
    ],
)
def test_a_condition_that_holds(redis_url: str, condition: tuple[str, ...], words: str) -> None:
    failed(redis_url, 3)
    # As if the queue were older than the minute over which failures are counted.
    connect(redis_url).zadd("bull:payments:failed", {"old": 1})
    _lonely(redis_url)
    done = invoke("--redis", redis_url, "watch", *condition)
    assert done.code == 1
    [line] = done.out.splitlines()
    assert words in line


def test_a_condition_that_does_not_hold(redis_url: str) -> None:
    failed(redis_url, 3)
    _lonely(redis_url)
    words = ("--failed-rate", "100/s", "--waiting", "5", "--stalled", "--for", "50ms")
    assert invoke("--redis", redis_url, "watch", "payments", *words).code == 0


def test_a_command_is_run_with_the_words_in_its_environment(redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 1)
    _lonely(redis_url)
    written = tmp_path / "written"
    script = f'printf "%s|%s|%s" "$QTUI_QUEUE" "$QTUI_CONDITION" "$QTUI_WORDS" > {written}; exit 3'
    done = invoke("--redis", redis_url, "watch", "--for", "50ms", "--exec", script, "--json")
    assert done.code == 1
    [alarm] = done.objects
    assert written.read_text() == f"bull:payments|no-worker|{alarm['words']}"
    assert "--exec ended with code 3" in done.err


def test_a_rate_that_is_none(redis_url: str) -> None:
    done = invoke("--redis", redis_url, "watch", "--failed-rate", "5/week")
    assert done.code == 2
    assert "is not a rate: write it as 5/m, 0.2/s or 100/h" in done.err


def test_a_user_who_may_not_see_workers_is_told_so(redis_url: str) -> None:
    failed(redis_url, 1)
    _lonely(redis_url)
    connect(redis_url).acl_setuser(
        "watcher", enabled=True, passwords=["+w"], keys=["bull:*"], categories=["+@read"]
    )
    watcher = redis_url.replace("//", "//watcher:w@", 1)
    unnoticed = "so a missing worker is not noticed: grant it +client|list"
    done = invoke("--redis", watcher, "watch", "payments", "--no-worker", "--for", "50ms")
    assert (done.code, done.err.count(unnoticed)) == (0, 1)
    done = invoke("--redis", watcher, "watch", "payments", "--stalled", "--for", "50ms")
    assert unnoticed not in done.err
    connect(redis_url).acl_deluser("watcher")
    done = invoke("--redis", redis_url, "watch", "payments", "--no-worker", "--for", "50ms")
    assert (done.code, unnoticed in done.err) == (1, False)
