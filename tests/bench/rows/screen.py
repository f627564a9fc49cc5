"""The inspector on a terminal: when it paints, and what it costs while nothing happens."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from tests.bench.crowd import CROWD, seed
from tests.bench.row import OURS, Row, Stage, Way, Ways, Went
from tests.bench.rows.queues import idle_queues
from tests.bench.terminal import MINIMAL, QTUI, run

TEXTUAL: Final = "a minimal Textual app"
_ROW: Final = "charge"
"""In each row of the list, and nowhere else on the screen."""

_CALM: Final = 15.0
"""Seconds until the inspector knows that nothing happens."""

_WATCHED: Final = 20.0


def _until(words: str, command: Sequence[str]) -> Way:
    """A program that is started, until that is on its screen."""

    async def go() -> Went:
        async with run(command) as terminal:
            return Went(seconds=await terminal.sees(words), peak=terminal.peak())

    return Way(go=go)


def _command(stage: Stage, *more: str) -> Sequence[str]:
    return (*QTUI, "--redis", stage.server.url, *more)


_MINIMAL: Final = _until("painted", (sys.executable, "-c", MINIMAL))


@asynccontextmanager
async def _first_paint(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size)
    yield {OURS: _until("qtui", _command(stage)), TEXTUAL: _MINIMAL}


@asynccontextmanager
async def _first_rows(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size)
    yield {
        OURS: _until(_ROW, _command(stage)),
        "with --queue": _until(_ROW, _command(stage, "--queue", CROWD.name)),
        TEXTUAL: _MINIMAL,
    }


@asynccontextmanager
async def _idle(stage: Stage, size: int) -> AsyncIterator[Ways]:
    names = await idle_queues(stage, size)
    async with run(_command(stage)) as terminal:
        await terminal.sees(names[0])
        await asyncio.sleep(0 if stage.brief else _CALM)

        async def watch() -> Went:
            before = terminal.cpu()
            await asyncio.sleep(1 if stage.brief else _WATCHED)
            return Went(cpu=terminal.cpu() - before, peak=terminal.peak())

        yield {OURS: Way(go=watch)}


@asynccontextmanager
async def _failure(stage: Stage, size: int) -> AsyncIterator[Ways]:
    names = await idle_queues(stage, size)
    async with run(_command(stage)) as terminal:
        await terminal.sees(f"Queues {size}")
        key = f"bull:{names[0]}"
        pipe = stage.admin.pipeline(transaction=True)
        pipe.zadd(f"{key}:failed", {f"old-{one}": one for one in range(4_000)})
        pipe.xadd(f"{key}:events", {"event": "failed", "jobId": "old"})
        await pipe.execute()
        failed = int(await stage.admin.zcard(f"{key}:failed"))
        await terminal.sees(f"{failed:,}")

        async def fail() -> Went:
            """Jobs fail in the queue that is shown, whose failures are counted on the screen."""
            nonlocal failed
            painted, cpu, begin = terminal.painted, terminal.cpu(), time.perf_counter()
            more = {f"more-{failed}-{one}": time.time() * 1000 for one in range(100)}
            failed += len(more)
            pipe = stage.admin.pipeline(transaction=True)
            pipe.zadd(f"{key}:failed", more)
            pipe.xadd(f"{key}:events", {"event": "failed", "jobId": "more"})
            await pipe.execute()
            await terminal.sees(f"{failed:,}", painted)
            seconds = time.perf_counter() - begin
            return Went(seconds=seconds, cpu=terminal.cpu() - cpu, peak=terminal.peak())

        yield {OURS: Way(go=fail)}


ROWS: Final = (
    Row(
        name="paint",
        what="start to the first frame, {size} failed jobs",
        sizes=(1_000, 10_000, 100_000),
        size=1_000,
        open=_first_paint,
        per="start",
        readme=True,
        at_least={TEXTUAL: 1 / 1.2},
    ),
    Row(
        name="rows",
        what="start to the first rows, {size} failed jobs",
        sizes=(1_000, 10_000, 100_000),
        size=1_000,
        open=_first_rows,
        per="start",
        grows=("Redis",),  # queues are found by a SCAN of all keys
        readme=True,
        at_least={TEXTUAL: 1 / 1.8},
    ),
    Row(
        name="idle",
        what="{size} queues live, nothing happens",
        sizes=(5, 50, 500),
        size=500,
        open=_idle,
        per=f"{_WATCHED:.0f} s",
        # Each queue is read from time to time.
        grows=("CPU here", "Redis", "commands", "bytes"),
        lasts=True,
        here_at_most=0.02 * _WATCHED * 1000,
        server_at_most=0.005 * _WATCHED * 1000,
    ),
    Row(
        name="idle-two",
        what="{size} queues live, nothing happens",
        sizes=(2,),
        size=2,
        open=_idle,
        per=f"{_WATCHED:.0f} s",
        lasts=True,
        here_at_most=0.02 * _WATCHED * 1000,
        commands_at_most=40,
    ),
    Row(
        name="failure",
        what="{size} queues: a failure is on the screen after",
        sizes=(50, 500, 5_000),
        size=5_000,
        open=_failure,
        per="failure",
        # Meanwhile other queues are read, in turns; and all are named to the server, to wait for.
        grows=("CPU here", "Redis", "commands", "bytes"),
        at_most=2_000,
    ),
)
