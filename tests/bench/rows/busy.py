"""Others that use the same server: what they keep of their speed while one searches."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from subprocess import DEVNULL, Popen
from typing import Final

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.demo.server import EmbeddedServer
from tests.bench.crowd import CROWD, seed
from tests.bench.others import Others
from tests.bench.row import OURS, Row, Stage, Way, Ways, Went
from tests.bench.rows.jobs import paging

_CLIENTS: Final = 4
_WINDOW: Final = 4.0
"""Seconds of one look at the clients."""
_KEY: Final = "busy"


@contextmanager
def _clients(server: EmbeddedServer) -> Iterator[None]:
    """Processes that send GET after GET."""
    binary = shutil.which("redis-benchmark")
    assert binary is not None, "redis-benchmark is not on PATH"
    endless = ("-s", server.path, "-c", "1", "-n", "1000000000", "-q", "GET", _KEY)
    running = [Popen((binary, *endless), stdout=DEVNULL, stderr=DEVNULL) for _ in range(_CLIENTS)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@asynccontextmanager
async def _scan(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size)
    await stage.admin.set(_KEY, "x" * 100)
    client = connect(parse_target(stage.server.url), read_only=True)
    wanted = parse_filter("error:timeout")
    window = 0.5 if stage.brief else _WINDOW

    async def gets() -> int:
        """How many the clients have sent so far."""
        return int((await stage.admin.info("commandstats"))["cmdstat_get"]["calls"])

    async def beside(work: Callable[[], Awaitable[Went]]) -> Went:
        """Works while the clients are busy, and asks what they keep."""
        before, begin = await gets(), time.perf_counter()
        await asyncio.sleep(window)
        alone = (await gets() - before) / (time.perf_counter() - begin)
        before, begin = await gets(), time.perf_counter()
        went = await work()
        kept = (await gets() - before) / (time.perf_counter() - begin) / alone
        return replace(went, kept=kept)

    async def search() -> Went:
        """At the pace that spares the server, again and again."""
        hunts: list[Hunt] = []
        begin, cpu = time.perf_counter(), time.process_time()
        with suppress(TimeoutError):
            async with asyncio.timeout(window):
                while True:
                    hunts.append(Hunt(client, CROWD, JobState.FAILED, wanted))
                    async for _ in hunts[-1].steps():
                        pass
        took, cpu = time.perf_counter() - begin, time.process_time() - cpu
        part = sum(hunt.seen for hunt in hunts) / size
        return Went(seconds=took / part, cpu=cpu / part)

    async with Others.beside(stage.server, [CROWD.name]) as others:
        pages = paging(others, size)

        async def get_jobs() -> Went:
            went = await pages.go()
            assert went is not None
            return went

        with _clients(stage.server):
            try:
                yield {
                    OURS: Way(go=lambda: beside(search)),
                    "getJobs": Way(go=lambda: beside(get_jobs), share=pages.share),
                }
            finally:
                await client.aclose()


ROWS: Final = (
    Row(
        name="busy",
        what=f"{_CLIENTS} busy clients beside a throttled search of {{size}} jobs",
        sizes=(20_000,),
        size=20_000,
        open=_scan,
        per="job",
        times=None,
        at_least={"getJobs": 3},
        kept_at_least=0.75,
    ),
)
