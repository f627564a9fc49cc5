"""Fields of given jobs come whole, in order, and few at a time where they are large."""

from __future__ import annotations

import random

from redis.asyncio import Redis

from qtui.bullmq.fields import HEAVY, STEP, Fields
from tests.seeds import QUEUE, raw_failed
from tests.seeds import Fields as FieldsOf

NAMES = ("failedReason", "nothing", "data")


async def test_every_job_has_its_values_in_the_order_of_the_ids(any_client: Redis) -> None:
    def change(place: int) -> FieldsOf:
        return {"data": f"{place}: \u00e9 \udcff\x00"}

    ids = await raw_failed(any_client, map(str, range(4 * STEP + 3)), change=change)
    random.Random(1).shuffle(ids)
    found = await Fields(any_client, QUEUE, NAMES).of([*ids, ids[0]])
    assert [list(one) for one in found] == [
        ["boom", None, f"{one}: \u00e9 \udcff\x00"] for one in [*ids, ids[0]]
    ]
    assert await Fields(any_client, QUEUE, NAMES).of([]) == []


async def test_what_is_no_job_has_no_values_and_hides_no_other(client: Redis) -> None:
    await raw_failed(client, ["a", "e"])
    await client.set(QUEUE.job("b"), "junk")
    await client.hset(QUEUE.job("d"), mapping={"other": "field"})
    found = await Fields(client, QUEUE, NAMES).of(["a", "b", "c", "d", "e"])
    assert [one[0] for one in found] == ["boom", None, None, None, "boom"]


async def test_ids_that_look_like_patterns_or_arguments_are_only_ids(client: Redis) -> None:
    ids = ["*", "7->data", "", "failedReason", "3", "%", "KEYS[1]", "\udcfe"]
    await raw_failed(client, ids, change=lambda place: {"data": str(place)})
    found = await Fields(client, QUEUE, NAMES).of(ids)
    assert [one[2] for one in found] == [str(place) for place in range(len(ids))]


async def test_large_jobs_are_asked_for_few_at_a_time(client: Redis) -> None:
    ids = await raw_failed(
        client, map(str, range(400)), change=lambda _: {"data": "x" * (HEAVY // 10)}
    )
    small = await raw_failed(client, (f"s{number}" for number in range(4 * STEP)))
    fields = Fields(client, QUEUE, NAMES)
    assert fields.most == 2 * STEP
    sizes = []
    while ids:
        some, ids = ids[: fields.most], ids[fields.most :]
        assert len(await fields.of(some)) == len(some)
        sizes.append(fields.most)
    # The first could not know.
    assert max(sizes) <= 60
    for _ in range(4):
        await fields.of(small[: fields.most])
    assert fields.most == 2 * STEP
