"""Failed jobs that are retried, with a journal on disk: their plan, and the campaign itself."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from tests.bench.crowd import CROWD, refill
from tests.bench.others import Others
from tests.bench.row import OURS, Row, Stage, Way, Ways


async def _plan_of(client: Client) -> Plan:
    return await make_plan(client, await query(client, CROWD, JobState.FAILED), rate=0)


@asynccontextmanager
async def _plan(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await refill(stage.admin, size)
    client = connect(parse_target(stage.server.url), read_only=True)

    async def plan() -> None:
        assert (await _plan_of(client)).jobs == size

    try:
        yield {OURS: Way(go=plan)}
    finally:
        await client.aclose()


@asynccontextmanager
async def _retry(stage: Stage, size: int) -> AsyncIterator[Ways]:
    client = connect(parse_target(stage.server.url), read_only=False)
    fill = partial(refill, stage.admin, size)
    plans: list[Plan] = []

    async def ready() -> None:
        await fill()
        plans[:] = [await _plan_of(client)]

    async def retry() -> None:
        action = Retry(client, RetryWriter(client), plans[0], Resets())
        with tempfile.TemporaryDirectory() as folder:
            record = Recorder(folder=Path(folder) / "journal", where=stage.server.url, how="bench")
            campaign = Campaign(client, action, record=record)
            async for _ in campaign.run():
                pass
            campaign.close()
        assert campaign.codes[Code.DONE] == size

    async with Others.beside(stage.server, [CROWD.name]) as others:
        try:
            yield {
                OURS: Way(go=retry, ready=ready),
                "retryJobs": others.way("retryJobs", {"name": CROWD.name}, ready=fill),
                "bull-board": others.way("boardRetry", {"name": CROWD.name}, ready=fill),
            }
        finally:
            await client.aclose()


ROWS: Final = (
    Row(
        name="plan",
        what="plan a retry of {size} jobs",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_plan,
        per="job",
        times=None,
    ),
    Row(
        name="retry",
        what="retry {size} planned jobs, each in the journal",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_retry,
        per="job",
        times=None,
        readme=True,
        # The ids of what is sent: for outcomes, and for a failover that loses some.
        grows=("memory",),
        at_least={"retryJobs": 0.25, "bull-board": 4},
        server_at_most=0.014,
    ),
)
