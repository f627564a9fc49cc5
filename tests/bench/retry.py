"""100,000 failed jobs, retried five ways side by side: `python -m tests.bench.retry [JOBS]`.

By qtui's campaign with its journal, by BullMQ's own `queue.retryJobs`, by bull-board's "retry all",
and one by one as dashboards do, all at once or in turn. Prints jobs a second, the ratios, how long
Redis itself was busy with a job, and the longest command that qtui's campaign sent: by the clock,
so that on a busy machine it holds what Redis waited for a core.

What Redis is busy with bounds what any client can reach: a campaign reads what it is going to wipe,
and checks each job, which `retryJobs` does not. With `--profile` it prints where qtui's process
spends its time, and nothing else.
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
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final

import redis

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.oracle.releases import node, node_modules
from tests.seeds import QUEUE
from tests.servers import start

BULLMQ: Final = "bullmq-5.81.5"
OF_RETRY_JOBS: Final = 0.25
OF_ONE_BY_ONE: Final = 5.0
LONGEST_MS: Final = 2.5
"""The targets."""

_OTHERS: Final = {
    "retryJobs": "queue.retryJobs",
    "bullBoard": "bull-board's retry all",
    "each": "one by one, at once",
    "inTurn": "one by one, in turn",
}
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
    redis: float = 0.0
    """Seconds of a processor that Redis used."""

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
    client = connect(parse_target(url), read_only=False)
    try:
        plan = await make_plan(client, await query(client, QUEUE, JobState.FAILED), rate=0)
        record = Recorder(folder=folder, where=url, how="benchmark")
        campaign = Campaign(
            client, Retry(client, RetryWriter(client), plan, Resets()), record=record
        )
        await client.slowlog_reset()  # the plan is not what is measured
        before, begin = _processor(await client.info("cpu")), time.perf_counter()
        async for _ in campaign.run():
            pass
        campaign.close()
        took = time.perf_counter() - begin
        busy = _processor(await client.info("cpu")) - before
    finally:
        await client.aclose()
    assert campaign.codes[Code.DONE] == plan.jobs
    return Measured(campaign.done, took, busy)


def qtui(url: str) -> Measured:
    """All of them by a campaign with a journal, its plan being made."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_campaign(url, Path(folder) / "journal"))


def bullmq(server: EmbeddedServer, how: str) -> Measured:
    """All of them by the real BullMQ, see `retry.cjs`."""
    script = str(Path(__file__).with_suffix(".cjs"))
    package = str(node_modules(True) / BULLMQ)
    board = str(node_modules(True, Path(__file__).parent) / "@bull-board" / "api")
    done = subprocess.run(
        [node(), script, package, board, server.path, QUEUE.name, how],
        capture_output=True,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout))


@dataclass(frozen=True)
class Watched:
    """What a way took of Redis."""

    done: Measured
    busy: float
    """Microseconds of a processor that Redis used a job."""
    slow: list[float]
    """Milliseconds of each command above the threshold, the longest first."""


def watched(server: EmbeddedServer, work: Callable[[], Measured]) -> Watched:
    """Does the work, and asks Redis what it took."""
    with redis.Redis(unix_socket_path=server.path, decode_responses=True) as client:
        client.config_set("slowlog-log-slower-than", _SLOW_US)
        client.config_set("slowlog-max-len", 100_000)
        client.slowlog_reset()
        before = _processor(client.info("cpu"))
        done = work()
        if not done.redis:
            done = replace(done, redis=_processor(client.info("cpu")) - before)
        slow = [one["duration"] / 1000 for one in client.slowlog_get(100_000)]
    return Watched(done, done.redis * 1e6 / done.jobs, sorted(slow, reverse=True))


def _processor(cpu: dict[str, Any]) -> float:
    """Seconds for which Redis has used a processor."""
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


def _print(name: str, one: Watched) -> None:
    print(
        f"{name:<22} {one.done.jobs:>9,} jobs in {one.done.seconds:6.2f} s:"
        f" {one.done.speed:>9,.0f} a second, Redis busy {one.busy:5.1f} µs a job"
    )


def run(jobs: int) -> None:
    """Measures all ways, and compares."""
    with start("redis") as server:
        # A process of its own, so that nothing of the seeding is in it; the first run warms it up.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            seed(server, 2_000)
            process.submit(qtui, server.url).result()
            seed(server, jobs)
            ours = watched(server, lambda: process.submit(qtui, server.url).result())
        _print("qtui with its journal", ours)
        others = {}
        for how, name in _OTHERS.items():
            seed(server, jobs)
            others[how] = watched(server, partial(bullmq, server, how))
            _print(name, others[how])
    for how, name in _OTHERS.items():
        ratio = ours.done.speed / others[how].done.speed
        most = others[how].done.seconds / others[how].done.jobs * 1e6 / ours.busy
        wanted = OF_RETRY_JOBS if how == "retryJobs" else OF_ONE_BY_ONE
        print(f"{ratio:.2f} of {name}, {wanted} wanted; {most:.2f} if only Redis took its time")
    if ours.slow:
        over = sum(one > LONGEST_MS for one in ours.slow)
        print(
            f"longest command {ours.slow[0]:.2f} ms, {LONGEST_MS} wanted; {over} took longer of"
            f" {len(ours.slow):,} above {_SLOW_US} µs, half of which took at most"
            f" {median(ours.slow):.2f} ms"
        )


def profile(jobs: int) -> None:
    """Where a campaign's own process spends its time."""
    with start("redis") as server:
        seed(server, jobs)
        profiler = cProfile.Profile()
        _print("profiled", watched(server, lambda: profiler.runcall(qtui, server.url)))
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--profile"]
    (profile if "--profile" in sys.argv else run)(int(words[0]) if words else 100_000)
