"""An embedded server with a simulated incident; a leaf that knows nothing else of qtui."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from qtui.demo.server import EmbeddedServer, ServerError

__all__ = ["Demo", "DemoError", "start"]

READY = "ready"
"""The line that the incident prints when its past is written."""

_READY_WITHIN = 60.0
"""Seconds the incident may take to be written; about one is usual."""


class DemoError(ServerError):
    """The demo cannot run; the message is one line and says what to do."""


@dataclass
class Demo:
    """A running demo: a server, and the process that filled it and works its queues.

    Both end when this process ends, in any way, and leave nothing behind.
    """

    server: EmbeddedServer
    incident: subprocess.Popen[bytes]
    """Our end of its stdin holds it alive."""

    @property
    def url(self) -> str:
        """The address for Redis clients; the queues have BullMQ's default prefix, `bull`."""
        return self.server.url

    def stop(self) -> None:
        """End both; returns when they are gone. May be called twice."""
        for pipe in (self.incident.stdin, self.incident.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.incident.wait(5.0)
        except subprocess.TimeoutExpired:
            self.incident.kill()
            self.incident.wait()
        self.server.stop()

    def __enter__(self) -> Demo:
        """Nothing more to do: the demo runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the demo, also after an exception."""
        self.stop()


def start(binary: str | None = None) -> Demo:
    """Start a demo; returns when its queues are filled, in about a second.

    Args:
        binary: Path of the server to run it on; by default the best of this machine.

    Raises:
        DemoError: The `bullmq` package is not installed, or the incident could not be written.
        ServerError: There is no server on this machine, or it did not start.
    """
    if importlib.util.find_spec("bullmq") is None:
        raise DemoError("the demo needs the bullmq package: install qtui with its `demo` extra")
    with contextlib.ExitStack() as undo:
        server = EmbeddedServer.start(binary)
        undo.callback(server.stop)
        demo = Demo(server, _spawn(server.path))
        undo.callback(demo.stop)
        _await_ready(demo.incident)
        undo.pop_all()
    return demo


def _spawn(socket: str) -> subprocess.Popen[bytes]:
    """Start the incident in a separate process and session, so that Ctrl+C does not reach it."""
    # It must find the very modules that we run on, and none that lie about in the user's folder.
    here = [str(Path(entry).resolve()) for entry in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "qtui.demo.incident", socket],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(here)},
        start_new_session=True,
    )


def _await_ready(incident: subprocess.Popen[bytes]) -> None:
    """Read what the incident says until it is ready."""
    assert incident.stdout is not None
    said = b""
    until = time.monotonic() + _READY_WITHIN
    while not said.endswith(f"{READY}\n".encode()):
        if not select.select([incident.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            raise DemoError(f"the demo was not ready within {_READY_WITHIN:.0f} s")
        chunk = incident.stdout.read(65536)
        if not chunk:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise DemoError(f"the demo ended early: {last or 'it said nothing'}")
        said += chunk
