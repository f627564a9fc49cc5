"""The jobs of one state: what it costs to look at a page, and at all of them."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.hunt import Hunt
from qtui.demo.server import EmbeddedServer
from qtui.views.errors.groups import GROUP_FIELDS, ErrorGroups, group_errors
from tests.bench.crowd import seed
from tests.bench.others import Others
from tests.bench.row import OURS, Row, Stage, Ways

Look: TypeAlias = Callable[[Client, EmbeddedServer], Awaitable[int]]
"""Looks at all jobs, and returns how many they were."""

CROWD: Final = QueueKey.of("bull", "payments")
_PAGE: Final = 50
_PAGES: Final = 100
_PAGED: Final = 20_000
"""Jobs that BullMQ pages through, which takes as long for each of many."""


@asynccontextmanager
async def _page(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, CROWD, size)
    # Whole pages, since bull-board knows no others.
    firsts = [place * 37 % (size // _PAGE) * _PAGE for place in range(_PAGES)]
    client = connect(parse_target(stage.server.url), read_only=True)
    reader = Reader(client)

    async def look() -> float:
        begin = time.perf_counter()
        for first in firsts:
            page = await reader.page(CROWD, JobState.FAILED, first, _PAGE)
            assert len(page.rows) == _PAGE
        return (time.perf_counter() - begin) / _PAGES

    async with Others.start(stage.server) as others:
        await others.do("open", names=[CROWD.name])
        asked = {"name": CROWD.name, "firsts": firsts, "jobs": _PAGE}

        async def get_jobs() -> float:
            return await others.do("pages", **asked) / _PAGES

        async def board() -> float:
            return await others.do("boardPages", **asked) / _PAGES

        try:
            yield {OURS: look, "getJobs": get_jobs, "bull-board": board}
        finally:
            await client.aclose()


def _whole(look: Look) -> Callable[[Stage, int], AbstractAsyncContextManager[Ways]]:
    """Ways to look at all jobs: ours, and BullMQ's getter in pages of 100 of some of them."""

    @asynccontextmanager
    async def opened(stage: Stage, size: int) -> AsyncIterator[Ways]:
        await seed(stage.admin, CROWD, size)
        client = connect(parse_target(stage.server.url), read_only=True)

        async def whole() -> None:
            assert await look(client, stage.server) == size

        async with Others.start(stage.server) as others:
            await others.do("open", names=[CROWD.name])
            paged = min(size, _PAGED)
            asked = {"name": CROWD.name, "firsts": list(range(0, paged, 100)), "jobs": 100}

            async def pages() -> float:
                return await others.do("pages", **asked) * size / paged

            try:
                yield {OURS: whole, "getJobs": pages}
            finally:
                await client.aclose()

    return opened


def _search(wanted: str) -> Look:
    found = parse_filter(wanted)

    async def search(client: Client, _: EmbeddedServer) -> int:
        hunt = Hunt(client, CROWD, JobState.FAILED, found, rate=0, ahead=True, scored=False)
        async for _step in hunt.steps():
            pass
        return hunt.seen

    return search


async def _group(client: Client, _: EmbeddedServer) -> int:
    hunt = Hunt(client, CROWD, JobState.FAILED, fields=GROUP_FIELDS, rate=0, ahead=True)
    groups = ErrorGroups()
    async for _step in group_errors(hunt, CROWD, groups):
        pass
    return groups.jobs


async def _stream(_: Client, server: EmbeddedServer) -> int:
    """The command, with its start."""
    words = ["--redis", server.url, "--scan-rate", "0", "jobs", CROWD.name, "--state", "failed"]
    words += ["--json", "--fields", "id,name,data", "--limit", "1000000000"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qtui", *words, stdout=PIPE, limit=2**20
    )
    assert process.stdout is not None
    lines = 0
    while some := await process.stdout.read(2**20):
        lines += some.count(b"\n")
    assert await process.wait() == 0
    return lines


ROWS: Final = (
    Row(
        name="page",
        what="a page of 50 of {size}",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_page,
        at_least={"getJobs": 15, "bull-board": 30},
    ),
    Row(
        name="error",
        what="search {size} in error:",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_whole(_search("error:timeout")),
        at_least={"getJobs": 40},
        per="jobs",
    ),
    Row(
        name="data",
        what="search {size} in data: of 3 kB",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_whole(_search('data:"ord_777"')),
        at_least={"getJobs": 15},
        per="jobs",
    ),
    Row(
        name="errors",
        what="error groups of {size}",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_whole(_group),
        per="jobs",
    ),
    Row(
        name="stream",
        what="{size} as JSON with data of 3 kB",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_whole(_stream),
        per="jobs",
    ),
)
