"""Rates are counted by the scores of finished jobs, over the time that those cover."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.queues.rates import WINDOWS, read_rates

QUEUE = QueueKey.of("bull", "q")


async def test_jobs_a_second_by_window(client: Redis) -> None:
    now = time.time() * 1000
    ended = {f"new{n}": now - 5_000 - n for n in range(30)}
    ended |= {f"old{n}": now - 200_000 - n for n in range(300)}
    await client.zadd(QUEUE.key("completed"), ended | {"first": now - 10_000_000})
    await client.zadd(QUEUE.key("failed"), {"first": now - 10_000_000})
    [rates] = await read_rates(client, [QUEUE])
    assert rates.completed == {10: 3.0, 60: 0.5, 300: 1.1, 900: 330 / 900}
    assert rates.failed == dict.fromkeys(WINDOWS, 0.0)
    assert rates.of(60) == 0.5


async def test_a_set_that_keeps_only_the_last_jobs_is_no_slow_queue(client: Redis) -> None:
    now = time.time() * 1000
    await client.zadd(QUEUE.key("completed"), {str(n): now - 100 * n for n in range(101)})
    [rates] = await read_rates(client, [QUEUE])
    assert 9 < (rates.completed[60] or 0) < 11
    assert rates.failed[60] is None


async def test_a_key_of_another_type_says_nothing(client: Redis) -> None:
    await client.set(QUEUE.key("completed"), "x")
    [rates] = await read_rates(client, [QUEUE])
    assert rates.completed == dict.fromkeys(WINDOWS, None)


async def test_counters_that_only_grow(client: Redis) -> None:
    await client.set(QUEUE.key("id"), 41)
    await client.hset(QUEUE.key("metrics:completed"), "count", "7")
    await client.hset(QUEUE.key("metrics:failed"), "count", "x")
    [rates, none] = await read_rates(client, [QUEUE, QueueKey.of("bull", "none")])
    assert (rates.added_ever, rates.completed_ever, rates.failed_ever) == (41, 7, None)
    assert (none.added_ever, none.completed_ever, none.failed_ever) == (None, None, None)
