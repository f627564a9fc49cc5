"""Removals and what they remove, for their tests: plans, waiting jobs, a flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.filter import parse_filter
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.remove import RemoveWriter
from qtui.operations.planning.proposal import PlanOptions
from qtui.operations.remove.plan import RemovalPlan, make_removal_plan
from qtui.operations.remove.remove import Remove
from qtui.operations.supply.selection import chosen, query
from tests.operations.undoing import carried_out
from tests.seeds import QUEUE, START, Fields, raw_meta

FAILED, WAITING, DELAYED = JobState.FAILED, JobState.WAITING, JobState.DELAYED
PARENTS = JobState.WAITING_CHILDREN
KIDS = QueueKey.of("bull", "kids")
NONE = PlanOptions()


def options(*on: str) -> PlanOptions:
    return PlanOptions(on=frozenset(on))


async def plan_of(
    client: Client, state: JobState, names: Sequence[str] = (), wanted: str = ""
) -> RemovalPlan:
    """The plan for jobs by id, or for those of the state that match."""
    if names:
        return await make_removal_plan(client, chosen(QUEUE, state, names), rate=0)
    found = parse_filter(wanted) if wanted else None
    return await make_removal_plan(client, await query(client, QUEUE, state, found), rate=0)


async def removed(
    client: Client,
    folder: Path,
    plan: RemovalPlan,
    *,
    children: bool = False,
    without_undo: bool = False,
) -> dict[str, Result]:
    """Removes a plan's jobs with a journal; the results by id."""
    writer = RemoveWriter(client)
    action = Remove(client, writer, plan, children=children, without_undo=without_undo)
    results = await carried_out(client, folder, action)
    assert len({one.job_id for one in results}) == len(results)
    return {one.job_id: one for one in results}


def _fields(name: str, at: int) -> Fields:
    return {"name": name, "data": "{}", "opts": "{}", "timestamp": at}


async def waiting(client: Redis, *names: str) -> None:
    """Jobs that wait, the first to run first."""
    await raw_meta(client)
    pipe = client.pipeline(transaction=False)
    for place, name in enumerate(names):
        pipe.hset(QUEUE.job(name), mapping=_fields("charge", START + place))
        pipe.lpush(QUEUE.key("wait"), name)
    await pipe.execute()


async def a_flow(client: Redis, children: int = 2, name: str = "p") -> list[str]:
    """A parent that waits, with children that wait in another queue; their ids."""
    await raw_meta(client)
    await raw_meta(client, KIDS)
    await client.hset(QUEUE.job(name), mapping=_fields("parent", START))
    await client.zadd(QUEUE.key("waiting-children"), {name: START})
    kids = [f"{name}-{number}" for number in range(children)]
    for kid in kids:
        about = f'{{"id":"{name}","queueKey":"{QUEUE.base}"}}'
        fields = _fields("kid", START)
        fields.update({"parentKey": QUEUE.job(name), "parent": about})
        await client.hset(KIDS.job(kid), mapping=fields)
        await client.lpush(KIDS.key("wait"), kid)
        await client.sadd(QUEUE.job(name, "dependencies"), KIDS.job(kid))
    return kids
