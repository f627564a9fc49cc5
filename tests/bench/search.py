"""A million failed jobs: what a search costs, and whom: `python -m tests.bench.search [--jobs N]`.

Measures on one Redis 7, in one run: the first matches, whole scans beside BullMQ's own paging, the
memory of a scan, what busy clients keep while one scans politely, and the longest commands. Prints
a line for each: what, measured, target, and whether it is met. The machine's load moves the times,
less so the ratios: what is compared is measured in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from subprocess import DEVNULL, Popen
from typing import Final

import redis.asyncio

from qtui.bullmq.connection.client import Client, parse_target
from qtui.bullmq.connection.client import connect as connect_reader
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.search.hunt import Hunt
from qtui.demo.server import EmbeddedServer
from qtui.text import plural
from qtui.views.lists.found_list import FoundList
from tests.bench import memory
from tests.bench.crowd import TIMEOUTS, fitting, seed
from tests.bench.gauge import Longest, Report, server_cpu, watched
from tests.bench.paging import Paging
from tests.servers import connect, start, way

CROWD: Final = QueueKey.of("bull", "payments")
HUGE: Final = QueueKey.of("bull", "uploads")
COMMON: Final = "error:timeout"
FILTERS: Final = {
    COMMON: "the reason only",
    "name=charge": "the name only",
    "id:777": "no field",
    'data:"ord_777"': "the payload",
}

_HUGE_JOBS: Final = 3_000
_HUGE_EVERY: Final = 15
_PAGED: Final = 30_000
"""Jobs that BullMQ pages through in one go."""
_ROUNDS: Final = 4
TARGET: Final = 25
_KEPT: Final = 0.75
"""Share of their throughput that busy clients are to keep."""

_WINDOW: Final = 4.0
"""Seconds of one look at the busy clients."""


@dataclass(frozen=True)
class Speed:
    """Jobs a second by the clock, and seconds of CPU a job, here and in the server together."""

    jobs: float
    cpu: float


@dataclass
class Bench:
    """One server full of jobs, and who asks it."""

    server: EmbeddedServer
    admin: redis.asyncio.Redis
    """Asks the server about itself."""
    reader: Client
    """What qtui reads with."""
    jobs: int
    report: Report

    async def scan(self, wanted: str, *, queue: QueueKey = CROWD) -> tuple[Hunt, float]:
        """A whole scan at full speed, and the seconds it took."""
        state, found = JobState.FAILED, parse_filter(wanted)
        hunt = Hunt(
            self.reader,
            queue,
            state,
            found,
            rate=0,
            ahead=True,
            scored=False,
        )
        begin = time.perf_counter()
        async for _ in hunt.steps():
            pass
        return hunt, time.perf_counter() - begin

    async def watched_scan(self, wanted: str) -> tuple[Speed, Longest]:
        """A whole scan of the crowd."""
        speeds: list[Speed] = []

        async def go() -> None:
            own, others = time.process_time(), await server_cpu(self.admin)
            hunt, took = await self.scan(wanted)
            cpu = time.process_time() - own + await server_cpu(self.admin) - others
            assert hunt.seen == self.jobs
            if wanted == COMMON:
                assert abs(hunt.found - TIMEOUTS * self.jobs) < 30
            speeds.append(Speed(hunt.seen / took, cpu / hunt.seen))

        longest = await watched(self.admin, go)
        return speeds[0], longest

    async def paged(self, paging: Paging, first: int) -> Speed:
        """BullMQ's paging through a part of the crowd."""
        others = await server_cpu(self.admin)
        jobs = min(_PAGED, self.jobs - first)
        seconds, cpu = await paging.read(first, jobs)
        cpu += await server_cpu(self.admin) - others
        return Speed(jobs / seconds, cpu / jobs)


async def first_matches(bench: Bench) -> None:
    """The 50 first of many, at the polite pace, and their rows."""
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        found = FoundList(bench.reader, CROWD, JobState.FAILED, parse_filter(COMMON))
        async with aclosing(found.search()) as steps:
            async for so_far in steps:
                if so_far >= 50:
                    break
        await found.load(0, 49)
        times.append(time.perf_counter() - begin)
    middle, worst = statistics.median(times), max(times)
    bench.report.line(
        f"50 first matches of {COMMON}, with their rows",
        f"{middle * 1000:.0f} ms (at most {worst * 1000:.0f})",
        "< 1 s",
        worst < 1,
    )


async def whole_scans(bench: Bench) -> None:
    """Whole scans and BullMQ's paging, by turns: speed, ratio, the longest command."""
    async with Paging.start(bench.server, CROWD) as paging:
        await paging.read(0, min(5_000, bench.jobs))  # node has compiled by now
        for wanted, reads in FILTERS.items():
            ours, theirs, longest = [], [], []
            for turn in range(_ROUNDS if wanted == COMMON else 2):
                theirs.append(await bench.paged(paging, turn % 2 * bench.jobs // 2))
                speed, slow = await bench.watched_scan(wanted)
                ours.append(speed)
                longest.append(slow)
            speed_line(bench.report, f"whole scan, {wanted} ({reads})", ours)
            ratio_lines(bench.report, ours, theirs, TARGET if wanted == COMMON else None)
            bench.report.longest("  its longest command", longest)


def speed_line(report: Report, what: str, speeds: list[Speed]) -> None:
    """A line about how fast it was."""
    report.line(what, f"{statistics.median(one.jobs for one in speeds):,.0f} jobs/s")


def ratio_lines(
    report: Report, ours: list[Speed], theirs: list[Speed], target: float | None
) -> None:
    """Lines about how many times as fast it was, by the clock and by the CPU time of both ends.

    The latter is what the load of the machine does not move.
    """
    ratios = [mine.jobs / other.jobs for mine, other in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    speed_line(report, "  getFailed in pages of 100", theirs)
    report.line(
        "  ratio",
        f"{ratio:.1f} times ({min(ratios):.1f} to {max(ratios):.1f})",
        f">= {target} times" if target else "",
        ratio >= target if target else None,
    )
    mine, other = (statistics.median(one.cpu for one in side) for side in (ours, theirs))
    report.line(
        "  CPU a job, both ends",
        f"{mine * 1e6:.1f} µs against {other * 1e6:.0f} µs, {other / mine:.1f} times",
    )


async def fallback(bench: Bench) -> None:
    """The same without SORT_RO: as many are found, in more commands."""
    await way(bench.admin, sort_ro=False)
    speed, longest = await bench.watched_scan(COMMON)
    await way(bench.admin, sort_ro=True)
    speed_line(bench.report, f"without SORT_RO, {COMMON}: the same matches", [speed])
    bench.report.longest("  its longest command", [longest])


async def huge_fields(bench: Bench) -> None:
    """Jobs of which every 15th has 1 MB of data."""
    await seed(bench.admin, HUGE, _HUGE_JOBS, huge_every=_HUGE_EVERY)
    for wanted in (COMMON, 'data:"ord_777"'):
        scans = [
            await watched(bench.admin, partial(bench.scan, wanted, queue=HUGE)) for _ in range(3)
        ]
        what = f"some data of 1 MB, {wanted}: longest command"
        bench.report.longest(what, scans, has_target=wanted == COMMON)


@contextmanager
def clients(server: EmbeddedServer, number: int) -> Iterator[None]:
    """So many processes that send GET after GET."""
    binary = shutil.which("redis-benchmark")
    assert binary is not None, "redis-benchmark is not on PATH"
    endless = ["-c", "1", "-n", "1000000000", "-q", "GET", "busy"]
    running = [
        Popen([binary, "-s", server.path, *endless], stdout=DEVNULL, stderr=DEVNULL)
        for _ in range(number)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


async def pauses(bench: Bench) -> None:
    """The longest of many GETs, which takes no time itself: how long the machine stops a server."""
    await bench.admin.set("busy", "x" * 100)

    async def gets() -> None:
        for _ in range(2_000):
            pipe = bench.admin.pipeline(transaction=False)
            for _ in range(100):
                pipe.get("busy")
            await pipe.execute()

    longest = await watched(bench.admin, gets)
    bench.report.longest(
        "for comparison: GET, whose length is the machine's", [longest], has_target=False
    )


async def busy_clients(bench: Bench) -> None:
    """What others keep of their throughput while one scans at the polite pace, and how fast it is.

    BullMQ pages through jobs beside them too, which it does at full speed.
    """
    await bench.admin.set("busy", "x" * 100)

    async def gets() -> float:
        """Of all clients together, a second, over one window."""
        before, begin = await _gets(bench.admin), time.perf_counter()
        await asyncio.sleep(_WINDOW)  # what is measured
        return (await _gets(bench.admin) - before) / (time.perf_counter() - begin)

    for number in (4, 1):
        alone: list[float] = []
        beside: list[float] = []
        scanned = 0
        with clients(bench.server, number):
            await asyncio.sleep(1)  # until they are up to speed
            for _ in range(3):
                alone.append(await gets())
                hunts: list[Hunt] = []
                scanning = asyncio.ensure_future(_scan_on(bench, hunts))
                beside.append(await gets())
                scanned += sum(hunt.seen for hunt in hunts)
                scanning.cancel()
                await asyncio.wait([scanning])
        share = sum(beside) / sum(alone)
        bench.report.line(
            f"{plural(number, 'client')}, {sum(alone) / 3:,.0f} GET/s; beside a polite scan",
            f"{share:.0%} kept ({scanned / 3 / _WINDOW:,.0f} jobs/s)",
            f">= {_KEPT:.0%}",
            share >= _KEPT,
        )
        async with Paging.start(bench.server, CROWD) as paging:
            await paging.read(0, _PAGED // 10)  # node has compiled by now
            with clients(bench.server, number):
                await asyncio.sleep(1)
                took, _ = await paging.read(0, _PAGED // 3)
        ratio = scanned / 3 / _WINDOW / (_PAGED // 3 / took)
        bench.report.line(
            "  BullMQ's paging beside them",
            f"{_PAGED // 3 / took:,.0f} jobs/s ({ratio:.1f} times)",
            ">= 3 times",
            ratio >= 3,
        )


async def _scan_on(bench: Bench, hunts: list[Hunt]) -> None:
    """Scans politely, again and again."""
    while True:
        hunts.append(Hunt(bench.reader, CROWD, JobState.FAILED, parse_filter(COMMON)))
        async for _ in hunts[-1].steps():
            pass


async def _gets(client: redis.asyncio.Redis) -> int:
    return int((await client.info("commandstats"))["cmdstat_get"]["calls"])


def memory_lines(bench: Bench) -> None:
    """The most memory of processes that do a whole scan, and of one that only imports."""
    for what, work in memory.WORK.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            peak = process.submit(memory.peak_mb, work, bench.server.url).result()
        bench.report.line(f"peak memory, {what}", f"{peak:.0f} MB", "< 150 MB", peak < 150)


async def run(jobs: int) -> Report:
    """Everything, on one server that is gone at the end."""
    jobs, report = fitting(jobs), Report()
    with start("redis", ("--slowlog-max-len", "10000")) as server:
        reader = connect_reader(parse_target(server.url), read_only=True)
        try:
            async with connect(server, socket_timeout=120) as admin:
                begin = time.perf_counter()
                await seed(admin, CROWD, jobs)
                size = (await admin.info("memory"))["used_memory"] / 1e9
                took = time.perf_counter() - begin
                load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
                print(f"{jobs:,} failed jobs, {size:.1f} GB, made in {took:.0f} s; load {load}")
                bench = Bench(server, admin, reader, jobs, report)
                await first_matches(bench)
                await whole_scans(bench)
                await fallback(bench)
                await huge_fields(bench)
                await pauses(bench)
                await busy_clients(bench)
                memory_lines(bench)
                load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
                print(
                    f"load {load}; "
                    + (f"{len(report.missed)} missed" if report.missed else "all met")
                )
        finally:
            await reader.aclose()
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    asyncio.run(run(parser.parse_args().jobs))
