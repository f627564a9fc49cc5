"""The real BullMQ and bull-board, from npm, in a node process that does what a row asks for."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from qtui.demo.server import EmbeddedServer
from tests.bench.row import Way, Went
from tests.oracle.releases import node, node_modules

BULLMQ: Final = "5.81.5"
_HERE: Final = Path(__file__).parent
_LONGEST: Final = 2**24
"""Bytes of a line that node may be sent or send."""


def board_release() -> str:
    """The release of bull-board."""
    package = json.loads(_HERE.joinpath("package.json").read_text("utf-8"))
    return str(package["dependencies"]["@bull-board/api"])


class Others:
    """The process, which is started when its first work is; see `beside`."""

    def __init__(self, server: EmbeddedServer, names: Sequence[str]) -> None:
        self._server = server
        self._names = names
        self._process: Process | None = None

    @classmethod
    @asynccontextmanager
    async def beside(cls, server: EmbeddedServer, names: Sequence[str]) -> AsyncIterator[Others]:
        """One whose connection and queues are open before it works, and that is gone at the end."""
        others = cls(server, names)
        try:
            yield others
        finally:
            if others._process is not None:
                if others._process.returncode is None:
                    others._process.kill()
                await others._process.wait()

    def way(
        self,
        what: str,
        asked: Mapping[str, object],
        *,
        ready: Callable[[], Awaitable[None]] | None = None,
        share: float = 1.0,
    ) -> Way:
        """Some work of ``others.cjs`` as a way of a row; ``ready`` and ``share`` are a `Way`'s."""

        async def go() -> Went:
            if self._process is None:
                self._process = await self._start()
                await self._do(self._process, "open", {"names": self._names})
            return await self._do(self._process, what, asked)

        return Way(go=go, ready=ready, share=share)

    async def _start(self) -> Process:
        package = node_modules(True) / f"bullmq-{BULLMQ}"
        board = node_modules(True, _HERE) / "@bull-board" / "api"
        return await asyncio.create_subprocess_exec(
            *(node(), str(_HERE / "others.cjs"), str(package), str(board), self._server.path),
            stdin=PIPE,
            stdout=PIPE,
            limit=_LONGEST,
        )

    async def _do(self, process: Process, what: str, asked: Mapping[str, object]) -> Went:
        """Has some work done; node times it."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": what, **asked}).encode() + b"\n")
        line = await process.stdout.readline()
        assert line, "node has ended: its error is above"
        return Went(**json.loads(line))
