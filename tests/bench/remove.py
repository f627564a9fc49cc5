"""100,000 jobs removed, beside a retry of as many: `python -m tests.bench.remove [JOBS]`.

Prints jobs a second, the ratio to the retry, how long Redis was busy with a job, and the longest
command that the campaign sent, by the clock. Removes failed jobs, those that wait in a list, and
every tenth of that list. The plan, which reads the jobs too, is not measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import redis

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.remove.plan import make_removal_plan
from qtui.operations.remove.remove import Remove
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.supply.selection import query
from tests.bench.retry import LONGEST_MS, Measured, Watched, qtui, seed, watched
from tests.seeds import QUEUE
from tests.servers import start

OF_RETRY: Final = 0.5
"""The target: a removal's speed as a share of a retry's."""

_CASES: Final = {
    "remove failed": (JobState.FAILED, ""),
    "remove waiting": (JobState.WAITING, ""),
    "remove 1 in 10": (JobState.WAITING, "id:5 !id:re:5."),
}


async def _campaign(url: str, folder: Path, state: JobState, wanted: str) -> Measured:
    client = connect(parse_target(url), read_only=False)
    try:
        found = parse_filter(wanted) if wanted else None
        plan = await make_removal_plan(client, await query(client, QUEUE, state, found), rate=0)
        record = Recorder(folder=folder, where=url, how="benchmark")
        campaign = Campaign(client, Remove(client, RemoveWriter(client), plan), record=record)
        await client.slowlog_reset()  # the plan is not what is measured
        begin = time.perf_counter()
        async for _ in campaign.run():
            pass
        campaign.close()
        took = time.perf_counter() - begin
    finally:
        await client.aclose()
    assert campaign.codes == {Code.DONE: plan.jobs}, campaign.codes
    return Measured(campaign.done, took)


def remove(url: str, state: JobState, wanted: str) -> Measured:
    """Removes them by a campaign with a journal, its plan being made."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_campaign(url, Path(folder) / "journal", state, wanted))


def _waiting(server: EmbeddedServer) -> None:
    """Makes the failed jobs wait in a list, the oldest at its tail."""
    with redis.Redis(unix_socket_path=server.path, decode_responses=True) as client:
        ids = client.zrange(QUEUE.key("failed"), 0, -1)
        client.delete(QUEUE.key("failed"))
        for first in range(0, len(ids), 1000):
            client.lpush(QUEUE.key("wait"), *ids[first : first + 1000])


def _print(name: str, one: Watched, beside: Watched | None) -> None:
    share = f", {one.done.speed / beside.done.speed:.2f} of a retry" if beside else ""
    slow = f"{one.slow[0]:.2f} ms" if one.slow else "below 0.5 ms"
    print(
        f"{name:<16} {one.done.jobs:>9,} jobs in {one.done.seconds:6.2f} s:"
        f" {one.done.speed:>9,.0f} a second{share}, longest command {slow}"
    )


def run(jobs: int) -> bool:
    """Measures all, and compares; whether the targets are met."""
    fine = True
    spawned = get_context("spawn")
    with start("redis") as server, ProcessPoolExecutor(1, mp_context=spawned) as process:

        def measured(work: Callable[..., Measured], *words: object) -> Watched:
            return watched(server, lambda: process.submit(work, server.url, *words).result())

        seed(server, 2_000)
        measured(qtui)  # warms it up
        seed(server, jobs)
        retry = measured(qtui)
        _print("retry failed", retry, None)
        for name, (state, wanted) in _CASES.items():
            seed(server, jobs)
            if state.is_list:
                _waiting(server)
            found = measured(remove, state, wanted)
            _print(name, found, retry)
            longest = max(found.slow, default=0.0)
            fine &= longest <= LONGEST_MS
            if name == "remove failed":
                fine &= found.done.speed >= OF_RETRY * retry.done.speed
    print("targets met" if fine else f"missed: {OF_RETRY} of a retry, {LONGEST_MS} ms")
    return fine


if __name__ == "__main__":
    sys.exit(not run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
