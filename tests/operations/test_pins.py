"""Jobs of any state are found with a pin that holds only while they are what they were."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.lists import FEW
from qtui.operations.planning.plan import make_plan
from qtui.operations.supply.pins import Pins
from qtui.operations.supply.selection import chosen, chosen_rows, hunt_for, met_rows, query
from tests.seeds import QUEUE, START, raw_failed, raw_list

LISTS = [state for state in JobState if state.is_list]
STAMP = START * 1024.0


async def seeded(client: Redis, state: JobState, jobs: int) -> list[str]:
    """Jobs of a state, the first to run, or with the lowest score, first."""
    ids = list(map(str, range(1, jobs + 1)))
    if state.is_list:
        await raw_list(client, state.key, ["0:0", *reversed(ids)])
    else:
        await raw_failed(client, ids, state=state.key)
    return ids


async def rows_of(client: Redis, state: JobState, ids: Sequence[str]) -> list[Row]:
    return [row async for some in chosen_rows(client, chosen(QUEUE, state, ids)) for row in some]


@pytest.mark.parametrize("state", JobState)
async def test_a_query_and_chosen_ids_find_the_same_jobs_with_the_same_pins(
    client: Redis, state: JobState
) -> None:
    ids = await seeded(client, state, 700)
    wanted = await query(client, QUEUE, state)
    met = [
        row
        async for step in hunt_for(client, wanted, LIST_FIELDS, rate=0).steps()
        for row in await met_rows(client, wanted, step)
    ]
    assert [one.id for one in met] == (ids[::-1] if state.is_list else ids)
    chosen_ones = await rows_of(client, state, [*ids, "none"])
    pins = {one.id: one.score for one in met}
    assert None not in pins.values()
    assert {one.id: one.score for one in chosen_ones} == pins | {"none": None}
    assert await Pins(client, QUEUE, state).read(["7", "none", "8"]) == [pins["7"], None, pins["8"]]
    picked = await query(client, QUEUE, state, parse_filter("id=7"))
    [found] = [step async for step in hunt_for(client, picked, LIST_FIELDS, rate=0).steps()]
    assert [one.score for one in await met_rows(client, picked, found)] == [pins["7"]]


@pytest.mark.parametrize("jobs", [FEW, FEW + 1])
@pytest.mark.parametrize("state", LISTS)
async def test_a_job_that_left_a_list_or_ran_meanwhile_is_not_what_was_picked(
    client: Redis, state: JobState, jobs: int
) -> None:
    ids = await seeded(client, state, jobs)
    before = {one.id: one.score for one in await rows_of(client, state, ids)}
    assert set(before.values()) == {STAMP}
    await client.lrem(QUEUE.key(state.key), 1, "3")
    await client.hset(QUEUE.job("4"), mapping={"processedOn": START + 5, "ats": 1})
    await client.hincrby(QUEUE.job("5"), "ats", 1)
    await client.delete(QUEUE.job("6"))
    after = {one.id: one for one in await rows_of(client, state, ids)}
    assert after["3"].score is None
    assert (after["6"].missing, after["6"].score) == (True, 0.0)
    assert {one for one in ids if after[one].score != before[one]} == {"3", "4", "5", "6"}


@pytest.mark.parametrize("state", [one for one in JobState if not one.is_finished])
async def test_only_finished_jobs_can_be_retried(client: Redis, state: JobState) -> None:
    await seeded(client, state, 3)
    for selection in (chosen(QUEUE, state, ["1"]), await query(client, QUEUE, state)):
        with pytest.raises(ValueError, match="can't be retried"):
            await make_plan(client, selection)
