"""100,000 failed jobs, retried four ways side by side: `python -m tests.bench.retry [JOBS]`.

By qtui's campaign with its journal, by BullMQ's own `queue.retryJobs`, and one by one as dashboards
do, all at once or in turn. Prints jobs a second, the ratios, and the longest command that qtui's
campaign sent: by the clock, so that on a busy machine it holds what Redis waited for a core. With
`--profile` it prints where qtui's process spends its time, and nothing else.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import redis

from qtui.bullmq.codes import Code
from qtui.bullmq.connection import connect, parse
from qtui.bullmq.model import JobState
from qtui.bullmq.writer import Writer
from qtui.demo.server import EmbeddedServer
from qtui.retry.campaign import Campaign
from qtui.retry.plan import Resets, make_plan
from qtui.retry.record import Recorder
from qtui.retry.selection import query
from tests.oracle.releases import node, node_modules
from tests.seeds import QUEUE
from tests.servers import start

BULLMQ: Final = "bullmq-5.81.5"
OF_RETRY_JOBS: Final = 0.25
OF_ONE_BY_ONE: Final = 5.0
LONGEST_MS: Final = 2.5
"""The targets."""

_SLOW_US: Final = 500
_CHUNK: Final = 2_000
_FRAMES: Final = "".join(
    f"\\n    at Charge.step{at} (/app/node_modules/payments/lib/charge.js:{at}1:17)"
    for at in range(10)
)


@dataclass(frozen=True)
class Measured:
    """One way to retry them all."""

    jobs: int
    seconds: float

    @property
    def speed(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


def seed(server: EmbeddedServer, jobs: int) -> None:
    """Failed jobs as BullMQ 5 leaves them, with 1 kB of data and a stack trace."""
    with redis.Redis(unix_socket_path=server.path, decode_responses=True) as client:
        client.flushall()
        client.hset(QUEUE.key("meta"), mapping={"opts.maxLenEvents": 10_000})
        begin = int(time.time() * 1000) - jobs
        for first in range(1, jobs + 1, _CHUNK):
            ids = range(first, min(first + _CHUNK, jobs + 1))
            pipe = client.pipeline(transaction=False)
            for job_id in ids:
                pipe.hset(QUEUE.job(str(job_id)), mapping=_fields(job_id, begin + job_id))
            pipe.zadd(QUEUE.key("failed"), {str(one): begin + one for one in ids})
            pipe.execute()


def _fields(job_id: int, at: int) -> dict[Any, Any]:
    reason = f"Timeout of {job_id % 90}000ms exceeded at https://api.provider.example/v1/charges"
    return {
        "name": "charge",
        "data": json.dumps({"order": f"ord_{job_id}", "note": "x" * 1000}),
        "opts": '{"attempts":3,"backoff":{"type":"exponential","delay":1000}}',
        "timestamp": at,
        "delay": 0,
        "priority": 0,
        "processedOn": at,
        "finishedOn": at,
        "ats": 3,
        "atm": 3,
        "failedReason": reason,
        "stacktrace": f'["Error: {reason}{_FRAMES}"]',
    }


async def _campaign(url: str, folder: Path) -> Measured:
    client = connect(parse(url), read_only=False)
    try:
        plan = await make_plan(client, await query(client, QUEUE, JobState.FAILED), rate=0)
        record = Recorder(folder, url, "benchmark")
        campaign = Campaign(client, Writer(client), plan, Resets(), record=record)
        await client.slowlog_reset()  # the plan is not what is measured
        begin = time.perf_counter()
        async for _ in campaign.run():
            pass
        campaign.close()
        took = time.perf_counter() - begin
    finally:
        await client.aclose()
    assert campaign.codes[Code.RETRIED] == plan.jobs
    return Measured(campaign.retried, took)


def qtui(url: str) -> Measured:
    """All of them by a campaign with a journal, its plan being made."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_campaign(url, Path(folder) / "journal"))


def bullmq(server: EmbeddedServer, how: str) -> Measured:
    """All of them by the real BullMQ, see `retry.cjs`."""
    script = str(Path(__file__).with_suffix(".cjs"))
    package = str(node_modules(True) / BULLMQ)
    done = subprocess.run(
        [node(), script, package, server.path, QUEUE.name, how],
        capture_output=True,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout))


def watched(server: EmbeddedServer, work: Callable[[], Measured]) -> tuple[Measured, float]:
    """What the work took, and the longest command of it in ms; 0 below the threshold."""
    with redis.Redis(unix_socket_path=server.path) as client:
        client.config_set("slowlog-log-slower-than", _SLOW_US)
        client.config_set("slowlog-max-len", 100_000)
        client.slowlog_reset()
        found = work()
        slow = client.slowlog_get(100_000)
    longest = max(slow, key=lambda one: int(one["duration"]), default=None)
    if longest is None:
        return found, 0.0
    over = sum(one["duration"] > LONGEST_MS * 1000 for one in slow)
    print(f"{len(slow)} commands above {_SLOW_US} µs, {over} of them above {LONGEST_MS} ms")
    print(f"the longest: {longest['command'][:60]!r}")
    return found, longest["duration"] / 1000


def _told(name: str, one: Measured) -> None:
    print(f"{name:<22} {one.jobs:>9,} jobs in {one.seconds:6.2f} s: {one.speed:>9,.0f} a second")


def run(jobs: int) -> None:
    """Measures all three, and compares."""
    with start("redis") as server:
        # A process of its own, so that nothing of the seeding is in it; the first run warms it up.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            seed(server, 2_000)
            process.submit(qtui, server.url).result()
            seed(server, jobs)
            ours, longest = watched(server, lambda: process.submit(qtui, server.url).result())
        _told("qtui with its journal", ours)
        seed(server, jobs)
        whole = bullmq(server, "retryJobs")
        _told("queue.retryJobs", whole)
        seed(server, jobs)
        each = bullmq(server, "each")
        _told("one by one, at once", each)
        seed(server, jobs)
        in_turn = bullmq(server, "inTurn")
        _told("one by one, in turn", in_turn)
    for name, found, wanted in (
        ("of queue.retryJobs", ours.speed / whole.speed, OF_RETRY_JOBS),
        ("of one by one at once", ours.speed / each.speed, OF_ONE_BY_ONE),
        ("of one by one in turn", ours.speed / in_turn.speed, OF_ONE_BY_ONE),
    ):
        print(f"{found:.2f} {name}, at least {wanted} wanted")
    print(f"longest command {longest:.2f} ms, at most {LONGEST_MS} wanted")


def profile(jobs: int) -> None:
    """Where a campaign's own process spends its time."""
    with start("redis") as server:
        seed(server, jobs)
        profiler = cProfile.Profile()
        _told("profiled", profiler.runcall(qtui, server.url))
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--profile"]
    (profile if "--profile" in sys.argv else run)(int(words[0]) if words else 100_000)
