"""However large what a queue holds is: a command has its bound of memory, in bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from tests.cli.stage import connect
from tests.patience import PATIENCE

MOST = 300_000_000
"""Bytes that a process may have had at most: less than if it held each large field twice, as it
does with the one that it reads and writes."""

LARGE, MANY = 16_000_000, 12
START = 1_700_000_000_000

# Not ru_maxrss, which begins with what the parent had.
_PROGRAM = """
import atexit, sys
from pathlib import Path
atexit.register(lambda: sys.stderr.write(Path("/proc/self/status").read_text()))
from qtui.cli import main
main(sys.argv[1:])
"""


def run(url: str, *command: str) -> tuple[int, str, int]:
    """Exit code, standard output, and the most bytes of memory that the process had."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "--redis", url, "--scan-rate", "0", *command],
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
    )
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
    assert peak is not None, done.stderr
    return done.returncode, done.stdout, int(peak[1]) * 1024


def put(
    url: str, jobs: int, fields: Callable[[int], Mapping[str, str]], state: str = "failed"
) -> None:
    """Jobs of 5.81 with other fields than usual."""
    with connect(url) as client:
        client.hset("bull:payments:meta", "opts.maxLenEvents", "10000")
        for at in range(jobs):
            usual = {"name": "charge", "data": "{}", "opts": "{}", "timestamp": START, "atm": 1}
            usual |= {"finishedOn": START + at, "failedReason": "boom"}
            client.hset(f"bull:payments:{at}", mapping=usual | dict(fields(at)))
            client.zadd(f"bull:payments:{state}", {str(at): START + at})


@pytest.mark.slow
@pytest.mark.parametrize("field", ["failedReason", "parentKey", "name"])
def test_lists_and_plans_hold_no_field_whole(redis_url: str, field: str) -> None:
    put(redis_url, MANY, lambda at: {field: f"e{at} " + "x" * LARGE})
    for command in (
        ("jobs", "payments", "--state", "failed"),
        ("errors", "payments"),
        ("retry", "payments", "--all", "--dry-run"),
        ("retry", "payments", "1", "2", "3", "4", "5", "6", "7", "8", "--dry-run"),
    ):
        code, out, peak = run(redis_url, *command)
        assert code == 0, command
        assert out
        assert len(out) < LARGE, command
        assert peak < MOST, (command, peak)


def test_a_list_says_how_long_a_field_is_that_it_does_not_read(redis_url: str) -> None:
    put(redis_url, 2, lambda at: {"failedReason": "x" * LARGE})
    _, out, _ = run(redis_url, "jobs", "payments", "--state", "failed")
    assert out.count("(failedReason of 16.0 MB: open the job to read it)") == 2


@pytest.mark.slow
def test_a_retry_writes_large_snapshots_down_job_by_job(redis_url: str) -> None:
    put(redis_url, MANY, lambda at: {"failedReason": f"e{at} " + "x" * LARGE})
    code, out, peak = run(redis_url, "retry", "payments", "--all", "--yes")
    assert code == 0
    assert f"{MANY} of {MANY} jobs retried" in out
    assert peak < MOST, peak
    with connect(redis_url) as client:
        assert client.llen("bull:payments:wait") == MANY


@pytest.mark.slow
def test_a_flow_holds_no_field_whole(redis_url: str) -> None:
    parent = '{"id":"p","queueKey":"bull:payments"}'
    put(redis_url, MANY, lambda at: {"failedReason": "x" * LARGE, "parent": parent})
    with connect(redis_url) as client:
        client.hset("bull:payments:p", mapping={"name": "sum", "timestamp": START, "opts": "{}"})
        client.zadd("bull:payments:waiting-children", {"p": START})
        client.sadd("bull:payments:p:dependencies", *(f"bull:payments:{at}" for at in range(MANY)))
    code, _, peak = run(redis_url, "flow", "payments", "p")
    assert code == 0
    assert peak < MOST, peak


@pytest.mark.slow
def test_huge_ids_are_asked_for_few_at_a_time(redis_url: str) -> None:
    with connect(redis_url) as client:
        client.hset("bull:payments:meta", "opts.maxLenEvents", "10000")
        for at in range(60):
            job_id = f"{at:02}" + "x" * 1_000_000
            client.hset(f"bull:payments:{job_id}", mapping={"name": "n", "timestamp": START})
            client.zadd("bull:payments:failed", {job_id: START + at})
    for command in (
        ("jobs", "payments", "--state", "failed", "--json"),
        ("errors", "payments"),
        ("retry", "payments", "--all", "--dry-run"),
        ("retry", "payments", "--all", "--yes", "--json"),
    ):
        code, _, peak = run(redis_url, *command)
        assert code == 0, command
        assert peak < MOST, (command, peak)


@pytest.mark.slow
def test_return_values_are_read_by_no_list_and_written_down_job_by_job(redis_url: str) -> None:
    put(redis_url, MANY, lambda at: {"returnvalue": '"' + "y" * LARGE + '"'}, "completed")
    code, out, peak = run(redis_url, "jobs", "payments", "--state", "completed")
    assert code == 0
    assert "16.0 MB" in out
    assert peak < MOST / 2, peak
    retry = ("retry", "payments", "--all", "--state", "completed")
    for how, most in (("--dry-run", MOST / 2), ("--yes", MOST)):
        code, out, peak = run(redis_url, *retry, how)
        assert code == 0
        assert f"{MANY} of {MANY} jobs" in out
        assert peak < most, (how, peak)


@pytest.mark.slow
def test_one_job_with_large_json_is_shown_without_making_objects_of_it(redis_url: str) -> None:
    data = json.dumps([{"n": at, "t": f"some text é {at}", "l": [1, 2]} for at in range(120_000)])
    put(redis_url, 1, lambda at: {"data": data, "returnvalue": data})
    code, out, peak = run(redis_url, "show", "payments", "0", "--json")
    assert (code, json.loads(out)["data"]) == (0, json.loads(data))
    assert peak < MOST / 2, peak
    code, out, peak = run(redis_url, "show", "payments", "0")
    assert code == 0
    assert '"t": "some text é 119999",' in out
    assert peak < MOST / 2, peak
