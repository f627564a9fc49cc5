"""Programs that the tests end in every way a program can end, and who is left afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]


def soon(condition: Callable[[], bool], what: str, within: float = 10.0) -> float:
    """Wait until a condition holds; seconds that took. Fails, saying what, after `within`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within} s: {what}"
        time.sleep(0.005)  # between two looks; the condition decides
    return time.monotonic() - began


def alive(pid: int) -> bool:
    """Whether a process still runs; an unreaped zombie does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


class Program:
    """A Python program in a process (and process group) of its own.

    It prints one line of JSON when it is ready, then waits on its stdin unless it does otherwise.
    """

    def __init__(self, code: str, folder: Path, ending: str = "input()") -> None:
        """Run `code`, which must leave what it knows in a dict `said`; then run `ending`."""
        source = f"import json\n{code}\nprint(json.dumps(said), flush=True)\n{ending}\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors()
        self.said = json.loads(line)

    def errors(self) -> str:
        """What the program wrote to stderr until it ended."""
        return self.process.communicate(timeout=PATIENCE)[1]

    def signal(self, number: int) -> None:
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def signal_group(self, number: int) -> None:
        """Send a signal to all of its process group, as a terminal does on Ctrl+C."""
        os.killpg(self.process.pid, number)
