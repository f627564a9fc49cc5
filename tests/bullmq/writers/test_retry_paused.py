"""Where the script that retries puts jobs of a paused queue."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from qtui.bullmq.dialect import ONE_RESUME
from qtui.bullmq.reads.reader import Reader
from qtui.bullmq.writers.retry import RetryWriter
from tests.bullmq.writers.retrying import FAILED, picked
from tests.seeds import (
    QUEUE,
    Fields,
    census,
    raw_failed,
    raw_meta,
)


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
