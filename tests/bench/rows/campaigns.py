"""Campaigns with a journal on disk: jobs are retried, removed from three states, and promoted.

What is removed or promoted is measured beside a retry of as many jobs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, cast

import redis.asyncio

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.bullmq.writers.retry import RetryWriter
from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Plan, Resets, make_plan
from qtui.operations.promote.plan import make_promotion_plan
from qtui.operations.promote.promote import Promote
from qtui.operations.remove.plan import make_removal_plan
from qtui.operations.remove.remove import Remove
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import Query, query
from tests.bench.crowd import CROWD, refill
from tests.bench.others import Others
from tests.bench.row import OURS, Row, Stage, Way, Ways

RETRY: Final = "retry"
"""What the retry is called beside which the others are measured."""

LONGEST: Final = 2.5
"""ms that no command of a campaign is to take."""

Fill: TypeAlias = Callable[[redis.asyncio.Redis, int], Awaitable[None]]
"""Fills an empty server for a go over so many jobs."""

_CHUNK: Final = 5_000
_HOUR: Final = 3_600_000
_ONE_IN: Final = 10


async def _select(client: Client, state: JobState, wanted: str = "") -> Query:
    return await query(client, CROWD, state, parse_filter(wanted) if wanted else None)


async def _plan_of(client: Client) -> Plan:
    return await make_plan(client, await _select(client, JobState.FAILED), rate=0)


async def _retry_of(client: Client) -> JobAction:
    return Retry(client, RetryWriter(client), await _plan_of(client), Resets())


async def _removal_of(client: Client, state: JobState, wanted: str = "") -> JobAction:
    plan = await make_removal_plan(client, await _select(client, state, wanted), rate=0)
    return Remove(client, RemoveWriter(client), plan)


async def _promotion_of(client: Client) -> JobAction:
    plan = await make_promotion_plan(client, await _select(client, JobState.DELAYED), rate=0)
    return Promote(client, PromoteWriter(client), plan)


async def _taken_out(admin: redis.asyncio.Redis) -> AsyncIterator[list[str]]:
    """The failed jobs, oldest first, which are in no state any more."""
    ids = cast("list[str]", await admin.zrange(CROWD.key("failed"), 0, -1))
    await admin.delete(CROWD.key("failed"))
    for first in range(0, len(ids), _CHUNK):
        yield ids[first : first + _CHUNK]


async def _waiting(admin: redis.asyncio.Redis, jobs: int) -> None:
    """Jobs in a list, the oldest at its tail."""
    await refill(admin, jobs)
    async for ids in _taken_out(admin):
        await admin.lpush(CROWD.key("wait"), *ids)


async def _more_waiting(admin: redis.asyncio.Redis, jobs: int) -> None:
    """So many that one in ten are the jobs of a go."""
    await _waiting(admin, _ONE_IN * jobs)


async def _delayed(admin: redis.asyncio.Redis, jobs: int) -> None:
    await refill(admin, jobs)
    due = int(time.time() * 1000) + _HOUR
    async for ids in _taken_out(admin):
        await admin.zadd(CROWD.key("delayed"), {one: (due + int(one)) * 4096 for one in ids})


def _way(
    stage: Stage,
    client: Client,
    size: int,
    make: Callable[[Client], Awaitable[JobAction]],
    fill: Fill = refill,
) -> Way:
    """A campaign; its plan is made before."""
    actions: list[JobAction] = []

    async def ready() -> None:
        await fill(stage.admin, size)
        actions[:] = [await make(client)]

    async def go() -> None:
        with tempfile.TemporaryDirectory() as folder:
            record = Recorder(folder=Path(folder) / "journal", where=stage.server.url, how="bench")
            campaign = Campaign(client, actions[0], record=record)
            async for _ in campaign.run():
                pass
            campaign.close()
        assert campaign.codes == {Code.DONE: size}

    return Way(go=go, ready=ready)


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
    async with Others.beside(stage.server, [CROWD.name]) as others:
        try:
            yield {
                OURS: _way(stage, client, size, _retry_of),
                "retryJobs": others.way("retryJobs", {"name": CROWD.name}, ready=fill),
                "bull-board": others.way("boardRetry", {"name": CROWD.name}, ready=fill),
            }
        finally:
            await client.aclose()


def _beside_a_retry(
    make: Callable[[Client], Awaitable[JobAction]], fill: Fill
) -> Callable[[Stage, int], AbstractAsyncContextManager[Ways]]:
    """Another action, and a retry of as many jobs."""

    @asynccontextmanager
    async def opened(stage: Stage, size: int) -> AsyncIterator[Ways]:
        client = connect(parse_target(stage.server.url), read_only=False)
        try:
            yield {
                OURS: _way(stage, client, size, make, fill),
                RETRY: _way(stage, client, size, _retry_of),
            }
        finally:
            await client.aclose()

    return opened


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
        longest_at_most=LONGEST,
    ),
    Row(
        name="remove",
        what="remove {size} planned jobs, failed",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_beside_a_retry(partial(_removal_of, state=JobState.FAILED), refill),
        per="job",
        times=None,
        grows=("memory",),
        at_least={RETRY: 0.5},
        longest_at_most=LONGEST,
    ),
    Row(
        name="drain",
        what="remove {size} planned jobs, waiting",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_beside_a_retry(partial(_removal_of, state=JobState.WAITING), _waiting),
        per="job",
        times=None,
        grows=("memory",),
        at_least={RETRY: 0.5},
        longest_at_most=LONGEST,
    ),
    Row(
        name="weed",
        what=f"remove {{size}} planned jobs, 1 in {_ONE_IN} that wait",
        sizes=(100, 1_000, 10_000),
        size=10_000,
        open=_beside_a_retry(
            partial(_removal_of, state=JobState.WAITING, wanted="id:re:0$"), _more_waiting
        ),
        per="job",
        times=None,
        grows=("memory",),
        longest_at_most=LONGEST,
    ),
    Row(
        name="promote",
        what="promote {size} planned jobs",
        sizes=(500, 5_000, 50_000),
        size=50_000,
        open=_beside_a_retry(_promotion_of, _delayed),
        per="job",
        times=None,
        grows=("memory",),
        at_least={RETRY: 0.5},
        longest_at_most=LONGEST,
    ),
)
