"""What the script that retries refuses, or is refused: no half a thing is done, no job is lost."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.codes import Code, ForeignQueue, QueueGone
from qtui.bullmq.model import Kind
from qtui.bullmq.writers.retry import RetryWriter
from tests.bullmq.writers.retrying import FAILED, codes, digest, picked
from tests.seeds import (
    QUEUE,
    Fields,
    census,
    raw_failed,
    raw_meta,
)


async def test_a_queue_that_is_gone_is_not_taken_for_a_foreign_one(any_client: Redis) -> None:
    await raw_failed(any_client, "12")
    jobs = picked("12")
    assert await codes(any_client, jobs[:1]) == [1]
    await any_client.flushall()
    with pytest.raises(QueueGone, match="none of its keys is left"):
        await codes(any_client, jobs)
    # Something of a queue is there, but nothing says that it is BullMQ's.
    await any_client.lpush(QUEUE.key("wait"), "1")
    with pytest.raises(ForeignQueue) as refused:
        await codes(any_client, jobs)
    assert refused.value.kind is Kind.BULL
    assert await any_client.dbsize() == 1


class TestRefusals:
    async def test_bull_4(self, client: Redis) -> None:
        await raw_failed(client, "1")
        await client.delete(QUEUE.key("meta"))
        await client.hdel(QUEUE.job("1"), "ats", "atm")
        before = await digest(client)
        with pytest.raises(ForeignQueue) as refusal:
            await RetryWriter(client).retry(QUEUE, FAILED, picked("1"))
        assert refusal.value.kind is Kind.BULL
        assert await digest(client) == before

    @pytest.mark.parametrize("by", ["version", "groups"])
    async def test_pro(self, client: Redis, by: str) -> None:
        await raw_failed(client, "1")
        if by == "version":
            await raw_meta(client, version="bullmq-pro:7.0.0")
        else:
            await client.zadd(QUEUE.key("groups"), {"g": 1})
        before = await digest(client)
        with pytest.raises(ForeignQueue) as refusal:
            await RetryWriter(client).retry(QUEUE, FAILED, picked("1"))
        assert refusal.value.kind is Kind.PRO
        assert await digest(client) == before

    async def test_a_job_of_a_group_of_pro(self, client: Redis) -> None:
        await raw_failed(client, "12")
        await client.hset(QUEUE.job("1"), "gid", "g")
        assert await codes(client, picked("12")) == [0, 1]
        assert (await census(client))["1"] == ["failed"]

    @pytest.mark.parametrize(
        ("key", "priority"), [("wait", 0), ("prioritized", 3), ("pc", 3), ("failed", 0)]
    )
    async def test_a_key_of_a_wrong_type_leaves_every_job_where_it_was(
        self, client: Redis, key: str, priority: int
    ) -> None:
        await raw_failed(client, "123", change=lambda _: {"priority": priority})
        if key == "failed":
            await client.delete(QUEUE.key(key))
        await client.sadd(QUEUE.key(key), "junk")
        before = await census_without(client, key)
        if key == "failed":
            with pytest.raises(ResponseError, match="WRONGTYPE"):
                await RetryWriter(client).retry(QUEUE, FAILED, picked("123"))
        else:
            batch = await RetryWriter(client).retry(QUEUE, FAILED, picked("123"))
            assert {result.code for result in batch.results} == {Code.REFUSED}
            assert all("WRONGTYPE" in result.error for result in batch.results)
        assert await census_without(client, key) == before
        assert await client.hget(QUEUE.job("1"), "failedReason") == "boom"

    async def test_a_job_that_is_no_hash(self, client: Redis) -> None:
        await raw_failed(client, "12")
        await client.delete(QUEUE.job("1"))
        await client.set(QUEUE.job("1"), "junk")
        assert await codes(client, picked("12")) == [0, 1]
        assert await census(client) == {"1": ["failed"], "2": ["wait"]}

    @pytest.mark.parametrize("key", ["events", "marker"])
    async def test_a_refused_side_effect_is_reported_and_costs_no_job(
        self, client: Redis, key: str
    ) -> None:
        await raw_failed(client, "12")
        await client.set(QUEUE.key(key), "junk")
        batch = await RetryWriter(client).retry(QUEUE, FAILED, picked("12"))
        assert [result.code for result in batch.results] == [Code.DONE] * 2
        assert "WRONGTYPE" in batch.note
        assert await census(client) == {"1": ["wait"], "2": ["wait"]}

    async def test_a_full_server_takes_a_retry_wholly_or_not_at_all(self, client: Redis) -> None:
        await raw_failed(client, "12", change=lambda place: {"priority": place})
        await client.config_set("maxmemory", 1)
        try:
            batch = await RetryWriter(client).retry(QUEUE, FAILED, picked("12"))
        finally:
            await client.config_set("maxmemory", 0)
        # Redis lets a script continue that has begun to write, and ours (like BullMQ's) has.
        assert [result.target for result in batch.results] == ["wait", "prioritized"]
        assert await census(client) == {"1": ["wait"], "2": ["prioritized"]}
        assert batch.note == ""

    @pytest.mark.parametrize(
        "forbidden",
        ["zrem", "lpush", "hdel", "xadd", "hmget", "evalsha", "zmscore", "zscore", "time"],
    )
    async def test_a_command_that_an_acl_forbids_loses_and_doubles_no_job(
        self, client: Redis, forbidden: str
    ) -> None:
        await raw_failed(client, "12")
        await client.acl_setuser(
            "half", enabled=True, nopass=True, categories=["+@all"], keys=["*"]
        )
        await client.acl_setuser("half", enabled=True, commands=[f"-{forbidden}"])
        path = client.connection_pool.connection_kwargs["path"]
        try:
            async with Redis(
                unix_socket_path=path, username="half", password="any", decode_responses=True
            ) as half:
                try:
                    batch = await RetryWriter(half).retry(QUEUE, FAILED, picked("12"))
                except ResponseError:
                    expected = "failed"
                else:
                    [code] = {result.code for result in batch.results}
                    expected = "wait" if code is Code.DONE else "failed"
                    assert bool(batch.note) == (forbidden in ("hdel", "xadd"))
        finally:
            await client.acl_deluser("half")
        assert await census(client) == {"1": [expected], "2": [expected]}
        # zmscore is only the quicker way to a score, and the time only helps to fit the batches.
        harmless = ("hdel", "xadd", "zmscore", "zscore", "time")
        assert expected == ("wait" if forbidden in harmless else "failed")


async def census_without(client: Redis, junk: str) -> dict[str, list[str]]:
    """`census`, with one key of the queue put aside that holds no jobs but junk."""
    if junk == "pc":
        return await census(client)
    await client.rename(QUEUE.key(junk), "aside")
    try:
        return await census(client)
    finally:
        await client.rename("aside", QUEUE.key(junk))


GARBAGE = st.dictionaries(
    st.sampled_from(["opts", "priority", "ats", "atm", "attemptsMade", "parentKey", "timestamp"]),
    st.binary(max_size=20)
    | st.sampled_from([b"nan", b"inf", b"-inf", b"1e999", b"0x10", b"-1", b"2.5", b"9" * 40])
    | st.sampled_from([b'{"lifo":1}', b'{"lifo":"x"}', b"[" * 5000, b"null", b'{"lifo":null}']),
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.lists(GARBAGE, min_size=1, max_size=5))
async def test_no_garbage_in_a_job_loses_it(client: Redis, garbage: list[dict[str, bytes]]) -> None:
    await client.flushall()

    def change(place: int) -> Fields:
        fields: Fields = {}
        fields.update(garbage[place])
        return fields

    ids = await raw_failed(client, [f"j{place}" for place in range(len(garbage))], change=change)
    batch = await RetryWriter(client).retry(QUEUE, FAILED, picked(ids))
    assert all(result.done for result in batch.results)
    places = await census(client)
    assert places == {result.job_id: [result.target] for result in batch.results}
    for score in await client.zrange(QUEUE.key("prioritized"), 0, -1, withscores=True):
        assert 2**32 <= float(score[1]) < 2**53 + 2**32
