"""Many jobs at once, and many who retry the same ones."""

from __future__ import annotations

import asyncio
import random

import pytest

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from tests.oracle.stage import Stage, job
from tests.servers import connect

_BATCH = 200
_MANY = 10_000
_MANY_FOR_PYTHON = 2_000
"""Its worker takes five times as long a job, and its scripts are those of 6.7.0."""


def _batches(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def test_of_two_clients_that_retry_the_same_jobs_one_gets_each(
    stage: Stage, oracle_server: EmbeddedServer
) -> None:
    ids = stage.official.seed([job(f"j{number}") for number in range(60)])
    stage.copy()
    shuffled = random.Random(1).sample(ids, len(ids))

    async def client_of_its_own(order: list[str]) -> dict[str, int]:
        async with connect(oracle_server, db=1) as client:
            writer = RetryWriter(client)
            codes: dict[str, int] = {}
            for batch in _batches(order, 5):
                picked = [Picked(id) for id in batch]
                queue = QueueKey.of("bull", "q")
                done = await writer.retry(queue, JobState.FAILED, picked)
                codes |= {result.job_id: int(result.code) for result in done.results}
            return codes

    async def both() -> tuple[dict[str, int], dict[str, int]]:
        return await asyncio.gather(client_of_its_own(ids), client_of_its_own(shuffled))

    one, other = asyncio.run(both())
    assert {id: sorted([one[id], other[id]]) for id in ids} == {id: [-3, 1] for id in ids}
    assert 1 in one.values()
    assert 1 in other.values()
    stage.ours.work_off(ids, in_order=False)


def test_of_qtui_and_the_release_that_retry_the_same_jobs_one_gets_each(stage: Stage) -> None:
    ids = stage.official.seed([job(f"j{number}") for number in range(60)])
    stage.copy()
    stage.ours.open()
    wait = stage.ours.start("retry", ids=ids, state="failed")
    ours: dict[str, int] = {}
    for batch in _batches(ids[::-1], 2):
        ours |= dict(zip(batch, stage.retry(batch), strict=True))
    theirs = {id: code for id, (code, _) in zip(ids, wait(), strict=True)}
    assert {id: sorted([ours[id], theirs[id]]) for id in ids} == {id: [-3, 1] for id in ids}
    stage.ours.work_off(ids, in_order=False)


@pytest.mark.parametrize("oracle_server", ["valkey"], indirect=True)
def test_ten_thousand_jobs_each_run_once(stage: Stage) -> None:
    side = stage.ours
    many = _MANY_FOR_PYTHON if stage.release.is_python else _MANY
    ids = side.seed([job("j") for _ in range(many)], concurrency=100)
    for batch in _batches(ids, _BATCH):
        assert stage.retry(batch) == [1] * len(batch)
    assert side.members("wait") == ids[::-1]
    with side.worker("ok", concurrency=100) as worker:
        runs = worker.until(ends=many)
        side.await_idle()
        assert worker.until() == runs
    assert sorted(runs) == sorted(ids)
    side.assert_all_in("completed", ids)
