"""Fields of given jobs come whole, in order, and few at a time where they are large."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from qtui.bullmq.connection.arrival import BEARABLE
from qtui.bullmq.connection.client import Client, parse_target
from qtui.bullmq.connection.client import connect as connect_ours
from qtui.bullmq.connection.portion import HEAVY
from qtui.bullmq.flow.fields import STEP, Fields, Values
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE, raw_failed
from tests.seeds import Fields as FieldsOf

NAMES = ("failedReason", "nothing", "data")


async def all_of(client: Client, ids: Sequence[str]) -> list[Values]:
    fields, found = Fields(client, QUEUE, NAMES), list[Values]()
    while len(found) < len(ids):
        some = await fields.first_of(ids[len(found) :])
        assert 0 < len(some) <= STEP
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


@pytest.fixture
async def ours(server: EmbeddedServer) -> AsyncIterator[Client]:
    """A client as qtui makes it, which breaks off what is too large."""
    client = connect_ours(parse_target(server.url), read_only=True)
    yield client
    await client.aclose()


async def test_large_jobs_are_read_few_at_a_time(client: Redis, ours: Client) -> None:
    large = await raw_failed(
        client, map(str, range(200)), change=lambda _: {"data": "x" * (HEAVY // 10)}
    )
    small = await raw_failed(client, (f"s{number}" for number in range(8 * STEP)))
    fields, sizes = Fields(ours, QUEUE, NAMES), list[int]()

    async def read(ids: list[str]) -> None:
        while ids:
            sizes.append(len(await fields.first_of(ids)))
            ids = ids[sizes[-1] :]

    await read(small)
    assert max(sizes) == STEP
    sizes.clear()
    # The first could not know, and is broken off: all of them are more than what is borne.
    await read(large)
    assert sizes[0] < STEP
    assert max(sizes[1:]) <= 11
    await read(small)
    assert STEP in sizes


async def test_of_huge_jobs_at_least_one_is_read(client: Redis, ours: Client) -> None:
    huge = BEARABLE // 2 + HEAVY
    ids = await raw_failed(client, map(str, range(3)), change=lambda _: {"data": "x" * huge})
    await client.hset(QUEUE.job(ids[0]), "data", "x" * (2 * huge))
    fields = Fields(ours, QUEUE, NAMES)
    assert [len(await fields.first_of(ids[at:])) for at in range(3)] == [1, 1, 1]
    assert [len(one[2] or "") for one in await all_of(ours, ids)] == [2 * huge, huge, huge]
