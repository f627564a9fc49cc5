"""`qtui metrics` prints what BullMQ's own exporter prints, and more."""

from __future__ import annotations

import asyncio

import pytest

from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.rates import read_rates
from tests.cli.stage import invoke
from tests.oracle.stage import Stage, job


@pytest.mark.releases(since="5.81.5")
def test_the_metrics_of_bullmq_are_the_same(stage: Stage) -> None:
    side = stage.official.beside("metrics")
    if side.release.is_python:
        return  # has no exporter
    side.seed([job("a", "fail"), job("b", "ok"), job("c", "ok")], metrics={"maxDataPoints": 10})
    side.run("add", jobs=[job("d"), job("e", priority=1), job("f", delay=3_600_000)])
    official = side.run("prometheus").splitlines()
    done = invoke(
        "--redis", f"unix://{side._server.path}?db={side.database}", "metrics", side.queue
    )
    assert done.code == 0
    ours = done.out.splitlines()
    assert 'bullmq_job_completed_total{queue="metrics"} 2' in official
    own = [line for line in ours if "bullmq_" in line]
    if side.release.speaks >= (6, 0, 0):  # keeps no jobs in a list `paused`
        own.remove('bullmq_job_count{queue="metrics", state="paused"} 0')
    assert sorted(official) == sorted(own)
    assert 'qtui_workers{queue="metrics"} 0' in ours
    assert 'qtui_wrong{queue="metrics", verdict="no-worker"} 1' in ours


def test_every_job_that_is_added_counts_in_the_rate(stage: Stage) -> None:
    """``added`` is the queue's counter `id`, which addJob of every release increments."""
    side = stage.official.beside("added")
    side.seed([job("a", "ok")])
    url = f"unix://{side._server.path}?db={side.database}"

    async def read() -> int | None:
        client = connect(parse_target(url), read_only=True)
        async with client:
            [rates] = await read_rates(client, [QueueKey.of("bull", side.queue)])
        return rates.added_ever

    def counted() -> int:
        found = asyncio.run(read())
        assert found is not None
        return found

    before = counted()
    jobs = [job("b"), job("c", priority=1), job("d", delay=3_600_000), job("e", jobId="own")]
    side.run("add", jobs=jobs)
    assert counted() == before + len(jobs)
