"""Fields of given jobs come whole, in order, and few at a time where they are large."""

from __future__ import annotations

import random
from collections.abc import Sequence

from redis.asyncio import Redis

from qtui.bullmq.reads.scripted.fields import HEAVY, STEP, Fields, Values
from tests.seeds import QUEUE, raw_failed
from tests.seeds import Fields as FieldsOf

NAMES = ("failedReason", "nothing", "data")


async def all_of(client: Redis, ids: Sequence[str]) -> list[Values]:
    fields, found = Fields(client, QUEUE, NAMES), list[Values]()
    while len(found) < len(ids):
        some = await fields.first_of(ids[len(found) :])
        assert 0 < len(some) <= 2 * STEP
        found += some
    return found


async def test_every_job_has_its_values_in_the_order_of_the_ids(any_client: Redis) -> None:
    def change(place: int) -> FieldsOf:
        return {"data": f"{place}: \u00e9 \udcff\x00"}

    ids = await raw_failed(any_client, map(str, range(4 * STEP + 3)), change=change)
    random.Random(1).shuffle(ids)
    found = await all_of(any_client, [*ids, ids[0]])
    assert [list(one) for one in found] == [
        ["boom", None, f"{one}: \u00e9 \udcff\x00"] for one in [*ids, ids[0]]
    ]
    assert await all_of(any_client, []) == []


async def test_what_is_no_job_has_no_values_and_hides_no_other(client: Redis) -> None:
    await raw_failed(client, ["a", "e"])
    await client.set(QUEUE.job("b"), "junk")
    await client.hset(QUEUE.job("d"), mapping={"other": "field"})
    found = await all_of(client, ["a", "b", "c", "d", "e"])
    assert [one[0] for one in found] == ["boom", None, None, None, "boom"]


async def test_ids_that_look_like_patterns_or_arguments_are_only_ids(client: Redis) -> None:
    ids = ["*", "7->data", "", "failedReason", "3", "%", "KEYS[1]", "\udcfe"]
    await raw_failed(client, ids, change=lambda place: {"data": str(place)})
    found = await all_of(client, ids)
    assert [one[2] for one in found] == [str(place) for place in range(len(ids))]


async def test_large_jobs_are_read_few_at_a_time(client: Redis) -> None:
    large = await raw_failed(
        client, map(str, range(200)), change=lambda _: {"data": "x" * (HEAVY // 10)}
    )
    small = await raw_failed(client, (f"s{number}" for number in range(8 * STEP)))
    fields, sizes = Fields(client, QUEUE, NAMES), list[int]()

    async def read(ids: list[str]) -> None:
        while ids:
            sizes.append(len(await fields.first_of(ids)))
            ids = ids[sizes[-1] :]

    await read(small)
    assert max(sizes) == 2 * STEP
    sizes.clear()
    # The first could not know, but it stops where they are large.
    await read(large)
    assert max(sizes) <= 2 * 11
    await read(small)
    assert 2 * STEP in sizes


async def test_of_huge_jobs_at_least_one_is_read(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(5)), change=lambda _: {"data": "x" * (2 * HEAVY)})
    fields = Fields(client, QUEUE, NAMES)
    assert [len(await fields.first_of(ids)) for _ in range(2)] == [1, 1]
    assert [len(one[2] or "") for one in await all_of(client, ids)] == [2 * HEAVY] * 5
