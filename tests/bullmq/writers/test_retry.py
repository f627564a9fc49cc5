"""The one script that writes: its codes, what it refuses, and that it never does half a thing."""

from __future__ import annotations

import asyncio
import math

import pytest
from bullmq import FlowProducer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from qtui.bullmq.codes import Code, ForeignQueue, QueueGone, Result, meaning
from qtui.bullmq.dialect import ONE_RESUME
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.writers.batch import LARGEST_BATCH, NEVER, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.demo.server import EmbeddedServer
from tests.seeds import (
    QUEUE,
    START,
    Fields,
    census,
    failed_jobs,
    raw_failed,
    raw_meta,
    real_queue,
)
from tests.wires import counted

FAILED, COMPLETED = JobState.FAILED, JobState.COMPLETED


def picked(ids: list[str] | str, score: float | None = None) -> list[Picked]:
    return [Picked(one, score) for one in ids]


async def codes(client: Redis, jobs: list[Picked], queue: QueueKey = QUEUE) -> list[int]:
    batch = await RetryWriter(client).retry(queue, FAILED, jobs)
    assert [result.job_id for result in batch.results] == [one.job_id for one in jobs]
    return [int(result.code) for result in batch.results]


async def digest(client: Redis) -> object:
    return await client.execute_command("DEBUG", "DIGEST")


async def test_real_jobs_are_retried_and_a_real_worker_runs_them_in_order(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    async with real_queue(any_server) as real:
        ids = await failed_jobs(real, 20, attempts=1)
        batch = await RetryWriter(any_client).retry(QUEUE, FAILED, picked(ids))
        assert batch.note == ""
        assert list(batch.results) == [Result(one, Code.DONE, target="wait") for one in ids]
        assert all(result.done for result in batch.results)
        await real.work(20)
        assert real.ran == [*ids, *ids]
    assert await census(any_client) == {one: ["failed"] for one in ids}


async def test_a_job_needs_to_exist_and_to_be_in_its_state(client: Redis) -> None:
    await raw_failed(client, "123")
    await raw_failed(client, "45", state="completed")
    await client.delete(QUEUE.job("2"))
    before = await digest(client)
    assert await codes(client, picked("249")) == [-1, -3, -1]
    assert await digest(client) == before
    assert await codes(client, picked("1243")) == [1, -1, -3, 1]
    assert await census(client) == {
        "1": ["wait"],
        "2": ["failed"],
        "3": ["wait"],
        "4": ["completed"],
        "5": ["completed"],
    }


async def test_a_job_named_twice_is_retried_once(client: Redis) -> None:
    await raw_failed(client, "12")
    assert await codes(client, picked("1121")) == [1, -3, 1, -3]
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == ["2", "1"]


@pytest.mark.parametrize("ids", [["\0"], ["\0", "\0\0"], ["a", "\0", "\0\0\0"]])
@pytest.mark.parametrize("picks", ["all", "others"])
async def test_a_job_whose_id_is_made_of_nuls_is_a_job_as_any_other(
    any_client: Redis, ids: list[str], picks: str
) -> None:
    """A right to remove is tried with a member that is not there, also where members are odd."""
    await raw_failed(any_client, [*ids, "other"])
    chosen = ids if picks == "all" else ["other"]
    assert await codes(any_client, picked(chosen)) == [1] * len(chosen)
    left = {one: ["wait" if one in chosen else "failed"] for one in [*ids, "other"]}
    assert await census(any_client) == left


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


class TestPaused:
    """Where jobs of a paused queue go; of the list `paused` a 6.x resume moves 7,000 ids a call."""

    async def _paused(self, client: Redis, standing: int, **meta: str) -> None:
        await raw_meta(client, QUEUE, paused=1, **meta)
        if standing:
            await client.rpush(QUEUE.key("paused"), *(f"s{place}" for place in range(standing)))

    async def _retry(self, client: Redis, ids: list[str]) -> list[tuple[int, str]]:
        batch = await RetryWriter(client).retry(QUEUE, FAILED, picked(ids))
        return [(int(one.code), one.target or one.error) for one in batch.results]

    async def _proven_5(self, client: Redis, standing: int) -> None:
        await self._paused(client, standing, version="bullmq:5.81.5")
        await client.hset(QUEUE.job(f"s{standing - 1}"), mapping={"timestamp": "1"})

    async def test_paused_takes_what_one_resume_moves_and_prioritized_the_others(
        self, any_client: Redis
    ) -> None:
        ids = await raw_failed(any_client, [f"j{place}" for place in range(20)])
        await self._proven_5(any_client, ONE_RESUME - 12)
        done = await self._retry(any_client, ids)
        assert done == [(1, "paused")] * 12 + [(1, "prioritized")] * 8
        assert await any_client.llen(QUEUE.key("paused")) == ONE_RESUME
        places = await census(any_client)
        assert [places[one] for one in ids] == [["paused"]] * 12 + [["prioritized"]] * 8

    async def test_two_operators_at_once_stay_within_it(self, any_client: Redis) -> None:
        ids = await raw_failed(any_client, [f"j{place}" for place in range(400)])
        await self._proven_5(any_client, ONE_RESUME - 150)
        done = await asyncio.gather(
            *(self._retry(any_client, ids[at : at + 40]) for at in range(0, 400, 40))
        )
        targets = [target for some in done for _, target in some]
        assert (targets.count("paused"), targets.count("prioritized")) == (150, 250)
        assert await any_client.llen(QUEUE.key("paused")) == ONE_RESUME
        assert all(len(places) == 1 for places in (await census(any_client)).values())

    async def test_before_5_it_takes_any_number_with_what_another_tool_left_in_wait(
        self, any_client: Redis
    ) -> None:
        """No job shows the release here: what never counted an attempt failed before 5.49.2."""
        await raw_failed(any_client, "12")
        for one in "12":
            await any_client.hdel(QUEUE.job(one), "atm", "ats", "attemptsMade")
        await self._paused(any_client, 0)
        await any_client.rpush(QUEUE.key("wait"), *(f"w{place}" for place in range(ONE_RESUME)))
        assert await self._retry(any_client, ["1", "2"]) == [(1, "paused")] * 2
        assert await any_client.exists(QUEUE.key("wait")) == 0
        assert await any_client.llen(QUEUE.key("paused")) == ONE_RESUME + 2

    async def test_in_prioritized_the_order_is_that_of_the_request_and_lifo_is_first(
        self, any_client: Redis
    ) -> None:
        def change(at: int) -> Fields:
            fields: list[Fields] = [{}, {"opts": '{"lifo":true}'}, {"priority": 1}, {}]
            return fields[at % 4]

        ids = await raw_failed(any_client, [f"j{place}" for place in range(8)], change=change)
        await self._paused(any_client, 0)
        for some in (ids[:4], ids[4:]):
            assert await self._retry(any_client, some) == [(1, "prioritized")] * 4
        runs = await any_client.zrange(QUEUE.key("prioritized"), 0, -1)
        assert runs == ["j5", "j1", "j0", "j3", "j4", "j7", "j2", "j6"]

    @pytest.mark.parametrize("full", [False, True], ids=["", "full"])
    @pytest.mark.parametrize(
        ("version", "counters", "waits", "older"),
        [
            ("bullmq:4.18.3", {"attemptsMade": "1"}, {}, True),
            ("", {"attemptsMade": "1"}, {}, True),
            # A 5.x opened it last, and what waits in `paused` never ran: 5.x put it there.
            ("bullmq:5.81.5", {"ats": "1"}, {"timestamp": "1"}, True),
            ("bullmq:5.81.5", {"ats": "1"}, {"timestamp": "1", "ats": "1"}, False),
            ("bullmq:5.81.5", {"ats": "1"}, {"timestamp": "1", "stacktrace": "[]"}, False),
            ("bullmq:5.81.5", {"ats": "1"}, {}, False),
            # Elixir 2.x, .NET and Python speak 6.x; Python names itself nowhere.
            ("bullmq:5.65.1", {"ats": "1"}, {"timestamp": "1"}, False),
            ("bullmq:1.1.0", {"ats": "1"}, {"timestamp": "1"}, False),
            ("bullmq:6.7.0", {"ats": "1"}, {"timestamp": "1"}, False),
            ("", {"ats": "1"}, {"timestamp": "1"}, False),
        ],
    )
    async def test_only_a_queue_that_shows_an_older_release_gets_jobs_into_paused(
        self,
        any_client: Redis,
        version: str,
        counters: Fields,
        waits: Fields,
        older: bool,
        full: bool,
    ) -> None:
        names = ("atm", "ats", "attemptsMade")
        await raw_failed(any_client, "12")
        for one in "12":
            await any_client.hdel(QUEUE.job(one), *names)
            await any_client.hset(QUEUE.job(one), mapping=counters)
        standing = ONE_RESUME if full else 3
        await self._paused(any_client, standing, **({"version": version} if version else {}))
        if waits:
            await any_client.hset(QUEUE.job(f"s{standing - 1}"), mapping=waits)
        assert (await Reader(any_client).evidence(QUEUE)).older == older
        takes = older and (not full or "ats" not in counters)
        expected = [(1, "paused" if takes else "prioritized")] * 2
        assert await self._retry(any_client, ["1", "2"]) == expected

    @pytest.mark.parametrize(
        ("version", "waits", "newer"),
        [
            ("bullmq:6.7.0", {"timestamp": "1"}, True),
            ("", {"timestamp": "1"}, True),
            ("bullmq:5.65.1", {"timestamp": "1"}, True),
            # A dashboard of 6.x retried it; an add of 5.x and its resume would lose it.
            ("bullmq:6.7.0", {"timestamp": "1", "ats": "1"}, False),
            ("bullmq:5.81.5", {"timestamp": "1"}, False),
        ],
    )
    async def test_only_what_6_added_to_wait_draws_jobs_there(
        self, any_client: Redis, version: str, waits: Fields, newer: bool
    ) -> None:
        await raw_failed(any_client, "12")
        await self._paused(any_client, 0, **({"version": version} if version else {}))
        await any_client.lpush(QUEUE.key("wait"), "w")
        await any_client.hset(QUEUE.job("w"), mapping=waits)
        expected = [(1, "wait" if newer else "prioritized")] * 2
        assert await self._retry(any_client, ["1", "2"]) == expected
        assert await any_client.exists(QUEUE.key("paused")) == 0


@pytest.mark.parametrize("score", [START - 1, START + 0.5, math.inf, -math.inf, NEVER])
async def test_a_job_is_pinned_to_its_finish(client: Redis, score: float) -> None:
    await raw_failed(client, "1")
    before = await digest(client)
    assert await codes(client, picked("1", score)) == [-3]
    assert await digest(client) == before
    assert await codes(client, picked("1", START)) == [1]


@pytest.mark.parametrize("score", [0.1, 1e300, math.inf, -5, 2**53 + 2, START * 4096 + 7])
async def test_any_score_pins(client: Redis, score: float) -> None:
    await raw_failed(client, "1")
    await client.zadd(QUEUE.key("failed"), {"1": score})
    read = await client.zscore(QUEUE.key("failed"), "1")
    assert await codes(client, picked("1", read)) == [1]


def test_what_is_pinned() -> None:
    assert Picked("1", 5).pinned
    assert Picked("1", 0).pinned
    assert not Picked("1").pinned
    assert not Picked("1", NEVER).pinned


async def test_resets_delete_what_they_name(client: Redis) -> None:
    for made in (False, True):
        for started in (False, True):
            await raw_failed(client, "1", change=lambda _: {"attemptsMade": 1})
            await RetryWriter(client).retry(
                QUEUE,
                FAILED,
                picked("1"),
                reset_attempts_made=made,
                reset_attempts_started=started,
            )
            left = set(await client.hkeys(QUEUE.job("1")))
            assert ("atm" in left, "attemptsMade" in left) == (not made, not made)
            assert ("ats" in left) == (not started)
            assert not left & {"failedReason", "finishedOn", "processedOn"}
            assert {"data", "opts", "name", "timestamp"} <= left
            await client.delete(QUEUE.key("wait"))


async def test_completed_jobs_lose_their_return_value_and_keep_an_older_reason(
    client: Redis,
) -> None:
    await raw_failed(client, "1", state="completed", change=lambda _: {"returnvalue": "1"})
    batch = await RetryWriter(client).retry(QUEUE, COMPLETED, picked("1"))
    assert batch.results[0].done
    left = set(await client.hkeys(QUEUE.job("1")))
    assert "returnvalue" not in left
    assert "failedReason" in left


@pytest.mark.parametrize("state", [state for state in JobState if not state.is_finished])
async def test_jobs_that_are_not_finished_cannot_be_retried(client: Redis, state: JobState) -> None:
    with pytest.raises(ValueError, match="can't be retried"):
        await RetryWriter(client).retry(QUEUE, state, picked("1"))


async def test_a_batch_has_its_largest_size(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(LARGEST_BATCH)))
    with pytest.raises(ValueError, match="1001 jobs"):
        await RetryWriter(client).retry(QUEUE, FAILED, picked([*ids, "x"]))
    assert set(await codes(client, picked(ids))) == {1}
    assert await client.lrange(QUEUE.key("wait"), 0, -1) == ids[::-1]
    assert await codes(client, []) == []


async def test_a_call_costs_one_round_trip_and_one_more_after_a_flush_of_scripts(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_failed(client, "123")
    async with counted(server) as (counting, trips):
        writer = RetryWriter(counting)
        for one, price in (("1", 2), ("2", 1)):
            trips.count = 0
            assert (await writer.retry(QUEUE, FAILED, picked(one))).results[0].done
            assert trips.count == price
        await client.script_flush()
        trips.count = 0
        assert (await writer.retry(QUEUE, FAILED, picked("3"))).results[0].done
        assert trips.count == 2


async def test_queues_and_jobs_of_any_name(any_client: Redis) -> None:
    for name in ("a:b", "a*b", "[x]", "with blank", "名", "{tag}", "\udcff\udcfe", "x\0y", "%s%d"):
        queue = QueueKey.of("p:{q}", name)
        ids = [name, "a:b:c", "\udcff", "0:a", " ", "%d"]
        await raw_failed(any_client, ids, queue)
        assert await codes(any_client, picked(ids), queue) == [1] * len(ids)
        assert await any_client.lrange(queue.key("wait"), 0, -1) == ids[::-1]
        events = await any_client.execute_command("XRANGE", queue.key("events"), "-", "+")
        assert [dict(fields)["jobId"] for _, fields in events] == ids


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


async def test_two_writers_at_the_same_moment_retry_each_job_once(client: Redis) -> None:
    ids = await raw_failed(client, map(str, range(200)))
    found = await asyncio.gather(*(codes(client, picked(ids)) for _ in range(5)))
    assert [sorted(each) for each in zip(*found, strict=True)] == [[-3, -3, -3, -3, 1]] * 200
    assert await census(client) == {one: ["wait"] for one in ids}


async def test_a_real_child_goes_back_to_its_parent(server: EmbeddedServer, client: Redis) -> None:
    kids = QueueKey.of("bull", "kids")
    flow = FlowProducer(server.url)
    child = {"name": "c", "queueName": "kids", "data": {"error": "boom"}}
    options = {"opts": {"ignoreDependencyOnFailure": True}}
    await flow.add(
        {"name": "p", "queueName": "q", "data": {}, "children": [child | options, child]}
    )
    await flow.close()
    async with real_queue(server, kids) as real:
        await real.work(2)
        [parent] = await client.zrange(QUEUE.key("waiting-children"), 0, -1)
        assert await client.hlen(QUEUE.job(str(parent), "failed")) == 1
        batch = await RetryWriter(client).retry(kids, FAILED, picked(real.ran))
        assert [result.done for result in batch.results] == [True, True]
        assert await client.hlen(QUEUE.job(str(parent), "failed")) == 0
        assert await client.scard(QUEUE.job(str(parent), "dependencies")) == 2


def test_codes_have_words() -> None:
    assert [meaning(code, "failed") for code in Code] == [
        "retried",
        "refused by Redis",
        "job is gone",
        "not in failed",
        "a scheduler's current iteration",
        "a child failed or is gone, rerun the flow",
        "unknown: the connection was lost",
    ]
