"""The inspector on a terminal: when it paints, and what it costs while nothing happens."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from qtui.bullmq.keys import QueueKey
from tests.bench.crowd import seed as seed_jobs
from tests.bench.row import OURS, Row, Stage, Ways
from tests.bench.rows.queues import idle_queues
from tests.bench.terminal import MINIMAL, QTUI, run

TEXTUAL: Final = "a minimal Textual app"
_CROWD: Final = QueueKey.of("bull", "payments")
_ROW: Final = "charge"
"""In each row of the list, and nowhere else on the screen."""

_CALM: Final = 15.0
"""Seconds until the inspector knows that nothing happens."""

_WATCHED: Final = 20.0


async def _textual() -> float:
    async with run((sys.executable, "-c", MINIMAL)) as terminal:
        return await terminal.sees("painted")


@asynccontextmanager
async def _first_paint(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed_jobs(stage.admin, _CROWD, size)

    async def paint() -> float:
        async with run((*QTUI, "--redis", stage.server.url)) as terminal:
            return await terminal.sees("qtui")

    yield {OURS: paint, TEXTUAL: _textual}


@asynccontextmanager
async def _first_rows(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed_jobs(stage.admin, _CROWD, size)

    async def rows() -> float:
        async with run((*QTUI, "--redis", stage.server.url)) as terminal:
            return await terminal.sees(_ROW)

    async def named() -> float:
        command = (*QTUI, "--redis", stage.server.url, "--queue", _CROWD.name)
        async with run(command) as terminal:
            return await terminal.sees(_ROW)

    yield {OURS: rows, "with --queue": named, TEXTUAL: _textual}


@asynccontextmanager
async def _idle(stage: Stage, size: int) -> AsyncIterator[Ways]:
    names = await idle_queues(stage, size)
    async with run((*QTUI, "--redis", stage.server.url)) as terminal:
        await terminal.sees(names[0])
        await asyncio.sleep(_CALM)

        async def watch() -> float:
            before = terminal.cpu()
            await asyncio.sleep(_WATCHED)
            return terminal.cpu() - before

        yield {OURS: watch}


@asynccontextmanager
async def _failure(stage: Stage, size: int) -> AsyncIterator[Ways]:
    names = await idle_queues(stage, size)
    async with run((*QTUI, "--redis", stage.server.url)) as terminal:
        await terminal.sees(f"Queues {size}")
        key = f"bull:{names[0]}"
        pipe = stage.admin.pipeline(transaction=True)
        pipe.zadd(f"{key}:failed", {f"old-{one}": one for one in range(4_000)})
        pipe.xadd(f"{key}:events", {"event": "failed", "jobId": "old"})
        await pipe.execute()
        failed = int(await stage.admin.zcard(f"{key}:failed"))
        await terminal.sees(f"{failed:,}")

        async def fail() -> float:
            """A job fails in the queue that is shown, whose failures are counted on the screen."""
            nonlocal failed
            painted, begin = terminal.painted, time.perf_counter()
            more = {f"more-{failed}-{one}": time.time() * 1000 for one in range(100)}
            failed += len(more)
            pipe = stage.admin.pipeline(transaction=True)
            pipe.zadd(f"{key}:failed", more)
            pipe.xadd(f"{key}:events", {"event": "failed", "jobId": "more"})
            await pipe.execute()
            await terminal.sees(f"{failed:,}", painted)
            return time.perf_counter() - begin

        yield {OURS: fail}


ROWS: Final = (
    Row(
        name="paint",
        what="exec to first paint, {size} failed jobs",
        sizes=(1_000, 10_000, 100_000),
        size=1_000,
        open=_first_paint,
        at_least={TEXTUAL: 1 / 1.2},
    ),
    Row(
        name="rows",
        what="exec to first rows, {size} failed jobs",
        sizes=(1_000, 10_000, 100_000),
        size=1_000,
        open=_first_rows,
        at_least={TEXTUAL: 1 / 1.8},
    ),
    Row(
        name="idle",
        what="{size} queues live, nothing happens: CPU of 20 s",
        sizes=(5, 50, 500),
        size=500,
        open=_idle,
        at_most=0.02 * _WATCHED * 1000,
        server_at_most=0.005 * _WATCHED * 1000,
    ),
    Row(
        name="idle-two",
        what="{size} queues live, nothing happens: CPU of 20 s",
        sizes=(2,),
        size=2,
        open=_idle,
        at_most=0.02 * _WATCHED * 1000,
        commands_at_most=40,
    ),
    Row(
        name="failure",
        what="{size} queues: a failure is on the screen after",
        sizes=(50, 500, 5_000),
        size=5_000,
        open=_failure,
        at_most=2_000,
    ),
)
