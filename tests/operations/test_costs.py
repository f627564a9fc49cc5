"""What each more job costs, counted and not timed: commands, bytes, Python calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from redis.asyncio import Redis

from qtui.bullmq.codes import Code
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from qtui.operations.engine.campaign import Campaign
from qtui.operations.planning.plan import Resets, make_plan
from qtui.operations.resuming.recorder import Recorder
from qtui.operations.retry.retry import Retry
from qtui.operations.supply.selection import query
from qtui.views.errors.groups import GROUP_FIELDS, ErrorGroups, group_errors
from tests.calls import counted_calls
from tests.operations.campaigns import ours_to
from tests.seeds import QUEUE, raw_failed

FAILED: Final = JobState.FAILED
FEW: Final = 500
MANY: Final = 3000


@dataclass(frozen=True)
class Cost:
    """What some work took, or what each job of it took."""

    commands: float
    octets: float
    """Bytes in and out of the server."""
    calls: float
    ran: Mapping[str, float]
    """The commands by name."""


@pytest.fixture
async def ours(server: EmbeddedServer) -> AsyncIterator[Redis]:
    """A client as qtui makes it."""
    client = ours_to(server, 60.0)
    yield client
    await client.aclose()


async def cost(client: Redis, work: Callable[[], Awaitable[object]]) -> Cost:
    """What some work takes; commands of scripts count too."""
    await client.config_resetstat()
    with counted_calls() as calls:
        await work()
    stats, ran = await client.info("stats"), await client.info("commandstats")
    octets = stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
    by_name = {name.removeprefix("cmdstat_"): one["calls"] for name, one in ran.items()}
    return Cost(sum(by_name.values()), octets, calls.count, by_name)


async def each(client: Redis, work: Callable[[int], Awaitable[object]]) -> Cost:
    """What each more job costs: of many jobs, less what it is for few."""
    costs = []
    for jobs in (FEW, MANY):
        await client.flushall()
        await raw_failed(client, map(str, range(jobs)))

        async def of_all(jobs: int = jobs) -> None:
            await work(jobs)

        await of_all()  # caches are warm from now on
        if await client.zcard(QUEUE.key("failed")) < jobs:
            await client.flushall()
            await raw_failed(client, map(str, range(jobs)))
        costs.append(await cost(client, of_all))
    few, many = costs
    more = MANY - FEW
    return Cost(
        (many.commands - few.commands) / more,
        (many.octets - few.octets) / more,
        (many.calls - few.calls) / more,
        {name: (times - few.ran.get(name, 0)) / more for name, times in many.ran.items()},
    )


async def test_a_page_costs_the_same_of_few_and_of_many(client: Redis, ours: Redis) -> None:
    reader = Reader(ours)

    async def look(jobs: int) -> None:
        page = await reader.page(QUEUE, FAILED, jobs // 2, 50)
        assert len(page.rows) == 50

    more = await each(client, look)
    assert abs(more.commands) < 0.01
    assert abs(more.octets) < 1
    assert abs(more.calls) < 0.1


async def test_a_row_of_a_page_costs_no_command_and_few_calls(client: Redis, ours: Redis) -> None:
    await raw_failed(client, map(str, range(MANY)))
    reader = Reader(ours)

    async def look(rows: int) -> Cost:
        async def page() -> None:
            assert len((await reader.page(QUEUE, FAILED, 0, rows)).rows) == rows

        await page()
        return await cost(client, page)

    short, long = await look(50), await look(250)
    assert abs(long.commands - short.commands) < 5  # one may prove that the connection lives
    assert (long.calls - short.calls) / 200 < 3
    assert (long.octets - short.octets) / 200 < 250


@pytest.mark.parametrize("wanted", ["error:boom", "data:nothing", "name=other"])
async def test_a_search_makes_nothing_of_a_job(client: Redis, ours: Redis, wanted: str) -> None:
    async def search(jobs: int) -> None:
        hunt = Hunt(ours, QUEUE, FAILED, parse_filter(wanted), rate=0, ahead=True, scored=False)
        async for _ in hunt.steps():
            pass
        assert hunt.seen == jobs

    more = await each(client, search)
    assert more.commands < 0.02
    assert more.calls < 3
    assert more.octets < 50


async def test_error_groups_make_nothing_of_a_job(client: Redis, ours: Redis) -> None:
    async def group(jobs: int) -> None:
        hunt = Hunt(ours, QUEUE, FAILED, fields=GROUP_FIELDS, rate=0, ahead=True)
        groups = ErrorGroups()
        async for _ in group_errors(hunt, QUEUE, groups):
            pass
        assert groups.jobs == jobs

    more = await each(client, group)
    assert more.commands < 0.02
    assert more.calls < 3
    assert more.octets < 100


async def test_a_plan_takes_no_command_for_a_job(client: Redis, ours: Redis) -> None:
    async def plan(jobs: int) -> None:
        found = await make_plan(ours, await query(ours, QUEUE, FAILED), rate=0)
        assert found.jobs == jobs

    more = await each(client, plan)
    assert more.commands < 0.02
    assert more.calls < 10
    assert more.octets < 250


async def test_a_retry_takes_four_commands_for_a_job(
    client: Redis, ours: Redis, tmp_path: Path
) -> None:
    """Read for the journal, read and cleared by the script, and announced."""

    async def retry(jobs: int) -> None:
        plan = await make_plan(ours, await query(ours, QUEUE, FAILED), rate=0)
        record = Recorder(folder=tmp_path / "journal", where="here", how="test")
        campaign = Campaign(ours, Retry(ours, RetryWriter(ours), plan, Resets()), record=record)
        async for _ in campaign.run():
            pass
        campaign.close()
        assert campaign.codes[Code.DONE] == jobs

    more = await each(client, retry)
    # On a slow machine the calls have fewer jobs, and each call some commands and calls of its own.
    assert more.commands < 8
    assert more.calls < 45
    assert more.octets < 1500
    for name, times in (("hmget", 2), ("hdel", 1), ("xadd", 1)):
        assert times <= more.ran[name] < times + 0.9
