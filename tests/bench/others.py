"""The real BullMQ and bull-board, from npm, in a node process that does what a row asks for."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from qtui.demo.server import EmbeddedServer
from tests.bench.row import Way
from tests.oracle.releases import node, node_modules

BULLMQ: Final = "bullmq-5.81.5"
_HERE: Final = Path(__file__).parent
_LONGEST: Final = 2**24
"""Bytes of a line that node may be sent or send."""


class Others:
    """The process; see `start`. What it can do is in ``others.cjs``."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def start(cls, server: EmbeddedServer) -> AsyncIterator[Others]:
        """A process that is connected to the server, gone at the end."""
        package = node_modules(True) / BULLMQ
        board = node_modules(True, _HERE) / "@bull-board" / "api"
        process = await asyncio.create_subprocess_exec(
            *(node(), str(_HERE / "others.cjs"), str(package), str(board), server.path),
            stdin=PIPE,
            stdout=PIPE,
            limit=_LONGEST,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def do(self, what: str, **asked: object) -> float:
        """Has some work done; returns the seconds that it took, by node's clock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **asked}).encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line, "node has ended: its error is above"
        result: dict[str, float] = json.loads(line)
        return result["seconds"]

    def way(self, what: str, **asked: object) -> Way:
        """Some work as a way of a row."""

        async def go() -> float:
            return await self.do(what, **asked)

        return go
