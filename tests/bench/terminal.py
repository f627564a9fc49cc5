"""Programs on a terminal of their own: when something is on their screen, and what they cost."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from tests.bench import processes

QTUI: Final = (sys.executable, "-m", "qtui.cli")
_SIZE: Final = (36, 120)
_PATIENCE: Final = 120.0

MINIMAL: Final = """
from textual.app import App
from textual.widgets import Static

class Minimal(App):
    def compose(self):
        yield Static("painted")

Minimal().run()
"""
"""The least that Textual can do."""


class Terminal:
    """A program on a terminal; see `run`."""

    def __init__(self, process: Process, master: int, begun: float) -> None:
        self._process = process
        self._master = master
        self._begun = begun
        self._shown = bytearray()
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self._shown += os.read(self._master, 65536)
        self._more.set()

    async def sees(self, words: str, since: int = 0) -> float:
        """Waits for words on the screen; returns the seconds since the program began."""
        async with asyncio.timeout(_PATIENCE):
            while self._shown.find(words.encode(), since) < 0:
                self._more.clear()
                await self._more.wait()
        return time.perf_counter() - self._begun

    @property
    def painted(self) -> int:
        """Bytes that it has written so far."""
        return len(self._shown)

    def cpu(self) -> float:
        """Seconds of CPU that it has had."""
        return processes.cpu(self._process.pid)

    def peak(self) -> float:
        """MB that it has had at most."""
        return processes.megabytes("VmHWM", self._process.pid)


@asynccontextmanager
async def run(command: Sequence[str]) -> AsyncIterator[Terminal]:
    """Runs a program on a terminal of its own; it is killed at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
    environment = {**processes.environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    try:
        yield Terminal(process, master, begun)
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(master)
