"""A burst is many more failures than usual, and it is seen at the first look after it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.status import read_status
from qtui.demo.server import EmbeddedServer
from qtui.views.queues.bursts import Burst, Bursts
from tests.ui.stage import Clock, fill
from tests.wires import counted

QUEUE = QueueKey.of("bull", "mail")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for the scores that a test writes, and for what is recent."""
    return Clock(monkeypatch)


class Watcher:
    """Looks at one queue, as the screen does after each change."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.bursts = Bursts(client)

    async def statuses(self) -> Mapping[QueueKey, QueueStatus]:
        [status] = await read_status(self._client, [QUEUE])
        return {QUEUE: status}

    async def look(self, clock: Clock, *, changed: bool = True) -> list[Burst]:
        self.bursts._read_at.clear()  # as if a second had passed
        return await self.bursts.look(await self.statuses(), [QUEUE] if changed else [])

    def seen(self, clock: Clock) -> str:
        found = self.bursts.of(QUEUE, clock.now)
        return "" if found is None else found.words(clock.now)


async def fail(client: Redis, jobs: int, at: float, *, error: str = "boom", name: str = "") -> None:
    """Jobs that failed at a moment, as a worker leaves them."""
    ids = [f"{name}{at:.0f}-{place}" for place in range(jobs)]
    await client.zadd(QUEUE.key("failed"), dict.fromkeys(ids, at))
    for one in ids:
        await client.hset(QUEUE.job(one), mapping={"failedReason": error, "timestamp": "1"})


async def test_real_failures_are_a_burst_within_one_look(redis_url: str, client: Redis) -> None:
    bursts = Bursts(client)
    [before] = await read_status(client, [QUEUE])
    assert await bursts.look({QUEUE: before}, [QUEUE]) == []
    await fill(redis_url, "mail", 60, error=lambda at: f"getaddrinfo EAI_AGAIN smtp{at % 3}.x.com")
    bursts._read_at.clear()
    [after] = await read_status(client, [QUEUE])
    [begun] = await bursts.look({QUEUE: after}, [QUEUE])
    assert re.match(r"\+\d+ failed in 20 s · getaddrinfo EAI_AGAIN ", begun.words(begun.seen))
    assert bursts.of(QUEUE, begun.seen) is begun


async def test_what_is_usual_is_no_burst(client: Redis, clock: Clock) -> None:
    for second in range(0, 320, 4):
        await fail(client, 3, clock.now - 1000 * second)
    watcher = Watcher(client)
    assert await watcher.look(clock) == []
    await fail(client, 20, clock.now - 1_000)
    assert await watcher.look(clock) == []  # 35 after 15 are not four times as many
    await fail(client, 40, clock.now - 1_500)
    assert [one.failed for one in await watcher.look(clock)] == [75]


async def test_a_few_failures_are_no_burst(client: Redis, clock: Clock) -> None:
    watcher = Watcher(client)
    await fail(client, 9, clock.now - 500)
    assert await watcher.look(clock) == []
    assert watcher.seen(clock) == ""


async def test_a_burst_is_shown_for_a_while_after_its_end(client: Redis, clock: Clock) -> None:
    watcher = Watcher(client)
    await watcher.look(clock)
    await fail(client, 30, clock.now - 500, error="Timeout of 5000ms")
    await watcher.look(clock)
    assert watcher.seen(clock) == "+30 failed in 20 s · Timeout of <n>ms"
    clock.forward(seconds=60)
    assert await watcher.look(clock) == []
    assert watcher.seen(clock) == "+30 failed in 20 s, 60 s ago · Timeout of <n>ms"
    clock.forward(seconds=61)
    assert watcher.seen(clock) == ""
    await fail(client, 400, clock.now - 500)
    assert [one.failed for one in await watcher.look(clock)] == [400]


async def test_one_that_was_there_before_is_shown_but_has_not_begun_now(
    client: Redis, clock: Clock
) -> None:
    await fail(client, 30, clock.now - 500)
    watcher = Watcher(client)
    assert await watcher.look(clock) == []
    assert watcher.seen(clock).startswith("+30 failed")


@pytest.mark.parametrize("off", [-3600, 3600])
async def test_workers_whose_clock_is_wrong_are_seen_by_the_counts(
    client: Redis, clock: Clock, off: int
) -> None:
    watcher = Watcher(client)
    await fail(client, 5, clock.now + 1000 * off)
    await watcher.look(clock)
    clock.forward(seconds=2)
    await fail(client, 50, clock.now + 1000 * off)
    assert [one.failed for one in await watcher.look(clock)] == [50]


async def test_jobs_that_an_undo_puts_back_have_not_failed_now(client: Redis, clock: Clock) -> None:
    at = clock.now - 3_600_000
    watcher = Watcher(client)
    await fail(client, 200, at)
    await watcher.look(clock)
    await client.delete(QUEUE.key("failed"))
    await watcher.look(clock)
    await fail(client, 200, at)
    assert await watcher.look(clock) == []
    assert watcher.seen(clock) == ""


async def test_a_list_that_keeps_its_last_jobs_only_shows_a_burst_too(
    client: Redis, clock: Clock
) -> None:
    watcher = Watcher(client)
    await fail(client, 50, clock.now - 3_600_000)
    await watcher.look(clock)
    await fail(client, 50, clock.now - 1_000)
    await client.zremrangebyrank(QUEUE.key("failed"), 0, 49)
    assert [one.failed for one in await watcher.look(clock)] == [50]


async def test_a_queue_in_which_nothing_changed_costs_nothing(
    server: EmbeddedServer, client: Redis, clock: Clock
) -> None:
    await fail(client, 30, clock.now - 500)
    async with counted(server) as (counting, trips):
        watcher = Watcher(counting)
        statuses = await watcher.statuses()
        await watcher.bursts.look(statuses, [QUEUE])
        before = trips.count
        await watcher.bursts.look(statuses, [])
        assert trips.count == before


async def test_a_key_of_another_type_is_no_burst(client: Redis, clock: Clock) -> None:
    watcher = Watcher(client)
    statuses = await watcher.statuses()
    await client.set(QUEUE.key("failed"), "x")
    assert await watcher.bursts.look(statuses, [QUEUE]) == []
