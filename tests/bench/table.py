"""The inspector on 50 and on 1,000,000 failed jobs: `python -m tests.bench.table [JOBS]`.

Prints, for both, the time to the first rows on the screen, the time a key takes and the most memory
that the inspector's process had, and the ratios. The queue is named (`--queue`): finding queues is
a SCAN, whose price is the keyspace's and not the table's.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import redis.asyncio

from tests.servers import connect, start
from tests.ui.driver import inspector

KEYS = ["j", "j", "pagedown", "G", "k", "pageup", "g", "j"]
STATM = Path("/proc/self/statm")
_CHUNK = 20_000
_REASON = "connect ECONNREFUSED 10.0.0.7:5432"


@dataclass(frozen=True)
class Measured:
    """Seconds and kB of one run."""

    first_rows: float
    key: float
    memory: int


async def seed(client: redis.asyncio.Redis, jobs: int) -> None:
    """Failed jobs as BullMQ 5 leaves them, written by hand: a million real ones take too long."""
    await client.hset("bull:payments:meta", "opts.maxLenEvents", "10000")
    await client.set("bull:payments:id", str(jobs))
    await client.xadd("bull:payments:events", {"event": "failed"})
    start_ms = int(time.time() * 1000) - jobs
    for first in range(1, jobs + 1, _CHUNK):
        ids = range(first, min(first + _CHUNK, jobs + 1))
        pipe = client.pipeline(transaction=False)
        for place in ids:
            at = str(start_ms + place)
            fields: dict[Any, Any] = {
                **{"name": "charge", "data": '{"customer":"cus_1"}', "opts": '{"attempts":3}'},
                **{"timestamp": at, "processedOn": at, "finishedOn": at},
                **{"atm": "3", "ats": "3", "failedReason": _REASON},
            }
            pipe.hset(f"bull:payments:{place}", mapping=fields)
        pipe.zadd("bull:payments:failed", {str(place): start_ms + place for place in ids})
        await pipe.execute()


async def measure(url: str) -> Measured:
    """Opens the inspector, presses keys, and looks at the clock."""
    begin = time.perf_counter()
    async with inspector(url, refresh=0.0, queues=("payments",)) as driver:
        await driver.sees("ECONNREFUSED")
        first_rows = time.perf_counter() - begin
        times = []
        for key in KEYS * 3:
            at = time.perf_counter()
            await driver.press(key)
            await driver.until(lambda: " … " not in driver.text(), "the rows")
            times.append(time.perf_counter() - at)
    return Measured(first_rows, statistics.median(times), resident())


def resident() -> int:
    """The kB of this process in memory. Not ru_maxrss: a child begins with what its parent had."""
    return int(STATM.read_text().split()[1]) * resource.getpagesize() // 1024


def measured(url: str) -> Measured:
    """`measure`, for a process of its own."""
    return asyncio.run(measure(url))


async def run(jobs: int) -> None:
    """Measures a small and a large list, and compares."""
    results = {}
    for size in (50, jobs):
        with start("redis") as server:
            async with connect(server) as client:
                await seed(client, size)
            # A process of its own, so that the seeding's memory is not the inspector's.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                process.submit(measured, server.url).result()  # imports and caches are warm now
                one = results[size] = process.submit(measured, server.url).result()
            print(
                f"{size:>9,} jobs: first rows {one.first_rows * 1000:.0f} ms, a key "
                f"{one.key * 1000:.1f} ms, {one.memory // 1024} MB"
            )
    small, large = results[50], results[jobs]
    print(
        f"ratio: first rows {large.first_rows / small.first_rows:.2f}, "
        f"a key {large.key / small.key:.2f}, memory +{(large.memory - small.memory) // 1024} MB"
    )


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
