"""The jobs of one state: what it costs to look at a page, and at all of them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from tests.bench.crowd import seed
from tests.bench.others import Others
from tests.bench.row import OURS, Row, Stage, Ways

CROWD: Final = QueueKey.of("bull", "payments")
_PAGE: Final = 50
_PAGES: Final = 100


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


ROWS: Final = (
    Row(
        name="page",
        what="a page of 50 of {size}",
        sizes=(2_000, 20_000, 200_000),
        size=200_000,
        open=_page,
        at_least={"getJobs": 15, "bull-board": 30},
    ),
)
