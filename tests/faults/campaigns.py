"""A campaign of the real command in its own process, and a fault that strikes in its middle."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bullmq.topologies import Writer, until
from tests.cli.stage import command
from tests.faults.servers import BASE, JOBS

LONGEST: Final = 120.0
"""Seconds that a campaign may take, with all that befalls it."""

_RATE: Final = () if os.environ.get("QTUI_SLOW") else ("--rate", "1000")
"""Few jobs are slowed down, so that there is a middle in which to strike."""


@dataclass(frozen=True)
class Ended:
    """What a campaign said in the end."""

    code: int
    codes: dict[str, str]
    """By job id, the last line about each: a code, or ``None`` where it is unknown."""
    summary: dict[str, Any]
    err: str

    @property
    def retried(self) -> set[str]:
        """The jobs that it says it retried."""
        return {job_id for job_id, code in self.codes.items() if code == "1"}


def _ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=LONGEST)
    codes: dict[str, str] = {}
    summary: dict[str, Any] = {}
    for line in map(json.loads, out.splitlines()):
        if "summary" in line:
            summary = line["summary"]
        else:
            codes[line["id"]] = str(line["code"])
    return Ended(process.returncode, codes, summary, err)


def begin(url: str, state: Path, *words: str) -> subprocess.Popen[str]:
    """Begins a command on a server, with a journal folder of the test's own."""
    process: subprocess.Popen[str] = subprocess.Popen(
        command("--redis", url, "--prefix", "{bull}", "retry", *words, "--json"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"XDG_STATE_HOME": str(state)},
        text=True,
    )
    return process


def carried_out(url: str, state: Path) -> Ended:
    """Retries all failed jobs, and nothing befalls it."""
    return _ended(begin(url, state, BASE.removeprefix("{bull}:"), "--all", "--yes"))


def resume(url: str, state: Path, *more: str) -> Ended:
    """Goes on with the only campaign in the folder."""
    return _ended(begin(url, state, "--resume", journal_of(state), *more))


def journal_of(state: Path) -> str:
    """The id of the only campaign in the folder."""
    [path] = (state / "qtui" / "journal").glob("*.jsonl")
    return path.stem


def struck(
    url: str,
    state: Path,
    watch: Writer,
    strike: Callable[[], None],
    *more: str,
    left: float = 0.8,
    interrupt: bool = False,
) -> Ended:
    """Retries all failed jobs, with a fault in the middle.

    Args:
        url: where the jobs are.
        state: where the journal will be.
        watch: a connection that counts the failed jobs.
        strike: does the damage.
        more: words for the command.
        left: the share of the jobs that is still failed when it strikes.
        interrupt: send SIGTERM after that.
    """
    process = begin(url, state, BASE.removeprefix("{bull}:"), "--all", "--yes", *_RATE, *more)

    def wait_and_strike() -> None:
        until(lambda: int(watch.zcard(f"{BASE}:failed")) <= JOBS * left, "the middle of it")
        strike()
        if interrupt:
            process.terminate()

    striking = threading.Thread(target=wait_and_strike)
    striking.start()
    try:
        return _ended(process)
    finally:
        process.kill()
        striking.join(LONGEST)


def assert_true(result: Ended, found: dict[str, str], ids: list[str]) -> None:
    """Every job is in one place, and it is the one that the campaign says.

    Args:
        result: what the campaign said.
        found: where each job is.
        ids: all jobs.
    """
    assert set(found) == set(ids)
    assert {one for one, place in found.items() if place == "wait"} == result.retried
    assert result.summary["retried"] == len(result.retried)
