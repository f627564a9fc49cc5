"""BullMQ's own way through a state: `Queue.getFailed` in pages of 100, in a node process."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.demo.server import EmbeddedServer
from tests.oracle.releases import node, node_modules

RELEASE: Final = "5.81.5"


class Paging:
    """The process; see `start`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def start(cls, server: EmbeddedServer, queue: QueueKey) -> AsyncIterator[Paging]:
        """A process with one open queue, gone at the end."""
        package = node_modules(True) / f"bullmq-{RELEASE}"
        script = Path(__file__).with_name("getfailed.cjs")
        arguments = (str(script), str(package), server.path, queue.name)
        process = await asyncio.create_subprocess_exec(node(), *arguments, stdin=PIPE, stdout=PIPE)
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def read(self, first: int, jobs: int) -> tuple[float, float]:
        """Pages from a place in the list on; seconds by the clock, and of node's CPU."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"start": first, "jobs": jobs}).encode() + b"\n")
        line = await self._process.stdout.readline()
        measured: dict[str, float] = json.loads(line)
        assert measured["jobs"] == jobs, measured
        return measured["seconds"], measured["cpu"]
