"""Where the locale has no Unicode columns stay in line; a closed output is said to be one."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.stage import command, connect, failed, run
from tests.patience import PATIENCE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_columns_stay_in_line_without_unicode(redis_url: str, encoding: str) -> None:
    failed(redis_url, 2)
    with connect(redis_url) as client:
        client.hset("bull:payments:1", mapping={"name": "größer …", "failedReason": "→ ✗ 日本"})
    shown = run("--redis", redis_url, "jobs", "payments", environ={"PYTHONIOENCODING": encoding})
    lines = shown.raw_out.decode(encoding).splitlines()
    column = lines[0].index("error")
    assert [line[column - 1] for line in lines] == [" "] * 3
    assert [line[column] != " " for line in lines] == [True] * 3
    planned = run(
        *("--redis", redis_url, "retry", "payments", "--all", "--dry-run"),
        environ={"PYTHONIOENCODING": encoding},
    )
    assert "-> waiting" in planned.raw_out.decode(encoding)
    assert "\\u2192" not in planned.raw_out.decode(encoding)


def test_an_output_that_is_full_is_no_success(redis_url: str) -> None:
    failed(redis_url, 2)
    for words in (("queues",), ("jobs", "payments"), ("--help",), ("--version",), ("man",)):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command("--redis", redis_url, *words) if words[0] != "--help" else command(*words),
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=PATIENCE,
                check=False,
                env=os.environ,
            )
        assert done.returncode == 1, (words, done)
        assert b"Traceback" not in done.stderr
        assert b"No space left on device" in done.stderr
