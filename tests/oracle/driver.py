"""Talks to the process of one release: a line of JSON there, a line of JSON back."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.patience import PATIENCE

REPLY_SECONDS: Final = 60.0
"""How long a reply may take before the test fails: seeding 10,000 jobs takes some seconds."""

_ROOT: Final = Path(__file__).parents[2]

# Whatever JSON the driver gives: checked by the assertions of the tests.
Json = Any


class DriverError(Exception):
    """The release refused a command, in its own words."""


class Driver:
    """A process that works for many tests, see `driver.cjs`; it ends when its stdin does."""

    def __init__(self, command: Sequence[str]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=_ROOT,
        )
        self._pending: dict[int, Future[Json]] = {}
        self._numbers = count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            reply = json.loads(line)
            future = self._pending.pop(reply["id"])
            if "error" in reply:
                future.set_exception(DriverError(reply["error"]["message"]))
            else:
                future.set_result(reply["result"])
        self._said.seek(0)
        words = self._said.read()[-2000:].decode(errors="replace")
        for future in list(self._pending.values()):
            future.set_exception(DriverError(f"the driver ended: {words}"))

    def send(self, command: str, **arguments: Json) -> Future[Json]:
        """Start a command; its result, or a DriverError, comes in the future."""
        number = next(self._numbers)
        future: Future[Json] = Future()
        self._pending[number] = future
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **arguments}))
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return future

    def call(self, command: str, **arguments: Json) -> Json:
        """Run a command and wait for its result.

        Raises:
            DriverError: the release refused it, or its process died.
        """
        return self.send(command, **arguments).result(REPLY_SECONDS)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()
