"""A headless retry in a paused queue: on hold where a resume would leave jobs behind."""

from __future__ import annotations

import json
import signal
import subprocess

from qtui.bullmq.dialect import ONE_RESUME
from tests.cli.stage import PATIENCE, command, connect, invoke, many_failed

IDS = [f"j{place}" for place in range(30)]


def test_it_says_why_it_is_on_hold_can_be_stopped_and_goes_on_after_the_resume(
    redis_url: str,
) -> None:
    many_failed(redis_url, IDS)
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "paused", 1)
        client.rpush("bull:payments:paused", *(f"s{place}" for place in range(ONE_RESUME - 10)))
    with subprocess.Popen(
        command("--redis", redis_url, "retry", "payments", "--all", "--yes", "--json"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            said = process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            lines = process.stdout.read().splitlines()
            process.stderr.read()
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
    assert said == (
        "qtui: on hold: resume the queue to go on: its list paused holds 7,000 jobs, "
        "and one resume moves 7,000\n"
    )
    summary = json.loads(lines[-1])["summary"]
    assert (summary["retried"], summary["codes"]["1"]) == (10, 10)
    with connect(redis_url) as client:
        assert client.zcard("bull:payments:failed") == 20
        client.hdel("bull:payments:meta", "paused")
        client.rename("bull:payments:paused", "bull:payments:wait")
    done = invoke("--redis", redis_url, "retry", "--resume", summary["journal"], "--json")
    assert (done.code, done.summary["retried"]) == (0, 30)
    with connect(redis_url) as client:
        assert client.llen("bull:payments:wait") == ONE_RESUME + 20
