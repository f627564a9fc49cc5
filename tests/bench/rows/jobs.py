"""The jobs of one state: what it costs to look at a page, and at all of them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Final, TypeAlias

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.hunt import Hunt
from qtui.demo.server import EmbeddedServer
from qtui.views.errors.groups import GROUP_FIELDS, ErrorGroups, group_errors
from qtui.views.lists.found_list import FoundList
from tests.bench.crowd import CROWD, TIMEOUTS, seed
from tests.bench.others import Others
from tests.bench.processes import environment, megabytes
from tests.bench.row import OURS, Row, Stage, Way, Ways, Went

Look: TypeAlias = Callable[[Client, EmbeddedServer], Awaitable[tuple[int, Went | None]]]
"""Looks at all jobs, and returns how many they were."""

_PAGE: Final = 50
_PAGES: Final = 100
_PAGED: Final = 20_000
"""Jobs that BullMQ pages through, which takes as long for each of many."""
_PAGE_OF_OTHERS: Final = 100
"""Jobs of a page of BullMQ's: larger ones are no faster, and stop the server for longer."""


@asynccontextmanager
async def _page(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size)
    # Whole pages, since bull-board knows no others.
    firsts = [place * 37 % (size // _PAGE) * _PAGE for place in range(_PAGES)]
    client = connect(parse_target(stage.server.url), read_only=True)
    reader = Reader(client)

    async def look() -> None:
        for first in firsts:
            page = await reader.page(CROWD, JobState.FAILED, first, _PAGE)
            assert len(page.rows) == _PAGE

    asked = {"name": CROWD.name, "firsts": firsts, "jobs": _PAGE}
    async with Others.beside(stage.server, [CROWD.name]) as others:
        try:
            yield {
                OURS: Way(go=look),
                "getJobs": others.way("pages", asked),
                "bull-board": others.way("boardPages", asked),
            }
        finally:
            await client.aclose()


def _whole(look: Look) -> Callable[[Stage, int], AbstractAsyncContextManager[Ways]]:
    """Ways to look at all jobs: ours, and BullMQ's getter, page by page through some of them."""

    @asynccontextmanager
    async def opened(stage: Stage, size: int) -> AsyncIterator[Ways]:
        await seed(stage.admin, size)
        client = connect(parse_target(stage.server.url), read_only=True)

        async def whole() -> Went | None:
            seen, went = await look(client, stage.server)
            assert seen == size
            return went

        async with Others.beside(stage.server, [CROWD.name]) as others:
            try:
                yield {OURS: Way(go=whole), "getJobs": paging(others, size)}
            finally:
                await client.aclose()

    return opened


def paging(others: Others, size: int) -> Way:
    """BullMQ's getter through some of that many jobs, page by page."""
    paged = min(size, _PAGED)
    page = min(paged, _PAGE_OF_OTHERS)
    asked = {"name": CROWD.name, "firsts": list(range(0, paged, page)), "jobs": page}
    return others.way("pages", asked, share=paged / size)


def _search(wanted: str, *, share: float | None = None) -> Look:
    """Searches all jobs; asserts that about that share of them is found."""
    found = parse_filter(wanted)

    async def search(client: Client, _: EmbeddedServer) -> tuple[int, None]:
        hunt = Hunt(client, CROWD, JobState.FAILED, found, rate=0, ahead=True, scored=False)
        async for _step in hunt.steps():
            pass
        assert share is None or abs(hunt.found - share * hunt.seen) < 30
        return hunt.seen, None

    return search


async def _group(client: Client, _: EmbeddedServer) -> tuple[int, None]:
    hunt = Hunt(client, CROWD, JobState.FAILED, fields=GROUP_FIELDS, rate=0, ahead=True)
    groups = ErrorGroups()
    async for _step in group_errors(hunt, CROWD, groups):
        pass
    return groups.jobs, None


async def _stream(_: Client, server: EmbeddedServer) -> tuple[int, Went]:
    """The command, with its start."""
    words = ["--redis", server.url, "--scan-rate", "0", "jobs", CROWD.name, "--state", "failed"]
    words += ["--json", "--fields", "id,name,data", "--limit", "1000000000"]
    # Not read here: that would take as much CPU as to write it.
    reading, writing = os.pipe()
    counter = await asyncio.create_subprocess_exec("wc", "-l", stdin=reading, stdout=PIPE)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qtui", *words), stdout=writing, env=environment()
    )
    os.close(reading)
    os.close(writing)
    ended, peak = asyncio.ensure_future(process.wait()), 0.0
    while not ended.done():
        peak = max(peak, megabytes("VmHWM", process.pid))
        await asyncio.wait([ended], timeout=0.05)
    assert await ended == 0
    lines = int((await counter.communicate())[0])
    return lines, Went(peak=peak)


@asynccontextmanager
async def _first_matches(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size)
    client = connect(parse_target(stage.server.url), read_only=True)

    async def look() -> None:
        """As the inspector shows them, at the pace that spares the server."""
        found = FoundList(client, CROWD, JobState.FAILED, parse_filter("error:timeout"))
        async with aclosing(found.search()) as steps:
            async for so_far in steps:
                if so_far >= _PAGE:
                    break
        await found.load(0, _PAGE - 1)

    try:
        yield {OURS: Way(go=look)}
    finally:
        await client.aclose()


@asynccontextmanager
async def _huge(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await seed(stage.admin, size, huge_every=15)
    client = connect(parse_target(stage.server.url), read_only=True)
    search = _search("error:timeout", share=TIMEOUTS)

    async def look() -> None:
        await search(client, stage.server)

    try:
        yield {OURS: Way(go=look)}
    finally:
        await client.aclose()


_SIZES: Final = (2_000, 20_000, 200_000)

ROWS: Final = (
    Row(
        name="page",
        what=f"a page of {_PAGE} of {{size}} failed jobs",
        sizes=_SIZES,
        size=200_000,
        open=_page,
        per="page",
        times=_PAGES,
        readme=True,
        at_least={"getJobs": 15, "bull-board": 30},
    ),
    Row(
        name="first",
        what=f"the {_PAGE} first matches in `error:` of {{size}} jobs, throttled",
        sizes=_SIZES,
        size=200_000,
        open=_first_matches,
        per="search",
        at_most=1_000,
    ),
    Row(
        name="error",
        what="search {size} jobs in `error:`",
        sizes=_SIZES,
        size=200_000,
        open=_whole(_search("error:timeout", share=TIMEOUTS)),
        per="job",
        times=None,
        readme=True,
        at_least={"getJobs": 40},
        longest_at_most=2,
    ),
    Row(
        name="data",
        what="search {size} jobs of 3 kB in `data:`",
        sizes=_SIZES,
        size=200_000,
        open=_whole(_search('data:"ord_777"')),
        per="job",
        times=None,
        readme=True,
        at_least={"getJobs": 15},
        longest_at_most=2,
    ),
    Row(
        name="huge",
        what="search {size} jobs in `error:`, each 15th with 1 MB of data",
        sizes=(60, 600, 6_000),
        size=600,
        open=_huge,
        per="job",
        times=None,
        longest_at_most=2,
    ),
    Row(
        name="errors",
        what="error groups of {size} jobs",
        sizes=_SIZES,
        size=200_000,
        open=_whole(_group),
        per="job",
        times=None,
        longest_at_most=2,
    ),
    Row(
        name="stream",
        what="{size} jobs with their data of 3 kB as JSON",
        sizes=_SIZES,
        size=200_000,
        open=_whole(_stream),
        per="job",
        times=None,
        readme=True,
    ),
)
