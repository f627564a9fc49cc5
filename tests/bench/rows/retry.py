"""Failed jobs that are retried, with a journal on disk: their plan, and the campaign itself."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from tests.bench.others import Others
from tests.bench.retry import seed
from tests.bench.row import OURS, Row, Stage, Ways
from tests.seeds import QUEUE


async def _fill(stage: Stage, size: int) -> None:
    await asyncio.to_thread(seed, stage.server, size)


async def _plan_of(client: Client) -> Plan:
    return await make_plan(client, await query(client, QUEUE, JobState.FAILED), rate=0)


@asynccontextmanager
async def _plan(stage: Stage, size: int) -> AsyncIterator[Ways]:
    await _fill(stage, size)
    client = connect(parse_target(stage.server.url), read_only=True)

    async def plan() -> None:
        assert (await _plan_of(client)).jobs == size

    try:
        yield {OURS: plan}
    finally:
        await client.aclose()


@asynccontextmanager
async def _campaign(stage: Stage, size: int) -> AsyncIterator[Ways]:
    client = connect(parse_target(stage.server.url), read_only=False)

    async def retry() -> float:
        plan = await _plan_of(client)
        action = Retry(client, RetryWriter(client), plan, Resets())
        with tempfile.TemporaryDirectory() as folder:
            record = Recorder(folder=Path(folder) / "journal", where=stage.server.url, how="bench")
            begin = time.perf_counter()
            campaign = Campaign(client, action, record=record)
            async for _ in campaign.run():
                pass
            campaign.close()
            took = time.perf_counter() - begin
        assert campaign.codes[Code.DONE] == size
        return took

    async with Others.start(stage.server) as others:
        await others.do("open", names=[QUEUE.name])
        try:
            yield {
                OURS: retry,
                "retryJobs": others.way("retryJobs", name=QUEUE.name),
                "bull-board": others.way("boardRetry", name=QUEUE.name),
            }
        finally:
            await client.aclose()


ROWS: Final = (
    Row(
        name="plan",
        what="plan a retry of {size}",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_plan,
        per="jobs",
    ),
    Row(
        name="retry",
        what="retry {size}, each in the journal",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_campaign,
        before=_fill,
        at_least={"retryJobs": 0.25, "bull-board": 4},
        # 14 µs a job, and 3 for its plan, which the clock leaves out.
        server_at_most=850,
        per="jobs",
    ),
)
