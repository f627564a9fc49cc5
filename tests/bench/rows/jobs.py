"""The jobs of one state: what it costs to look at a page, and at all of them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.hunt import Hunt
from tests.bench.crowd import seed
from tests.bench.others import Others
from tests.bench.row import OURS, Row, Stage, Ways

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


def _scan(wanted: str) -> Callable[[Stage, int], AbstractAsyncContextManager[Ways]]:
    """Ways to look at all jobs: a filter, and BullMQ's getter in pages of 100 of some of them."""

    @asynccontextmanager
    async def opened(stage: Stage, size: int) -> AsyncIterator[Ways]:
        await seed(stage.admin, CROWD, size)
        client = connect(parse_target(stage.server.url), read_only=True)
        found = parse_filter(wanted)

        async def scan() -> None:
            hunt = Hunt(client, CROWD, JobState.FAILED, found, rate=0, ahead=True, scored=False)
            async for _ in hunt.steps():
                pass
            assert hunt.seen == size

        async with Others.start(stage.server) as others:
            await others.do("open", names=[CROWD.name])
            paged = min(size, _PAGED)
            asked = {"name": CROWD.name, "firsts": list(range(0, paged, 100)), "jobs": 100}

            async def pages() -> float:
                return await others.do("pages", **asked) * size / paged

            try:
                yield {OURS: scan, "getJobs": pages}
            finally:
                await client.aclose()

    return opened


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
        open=_scan("error:timeout"),
        at_least={"getJobs": 40},
        per="jobs",
    ),
    Row(
        name="data",
        what="search {size} in data: of 3 kB",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_scan('data:"ord_777"'),
        at_least={"getJobs": 15},
        per="jobs",
    ),
)
