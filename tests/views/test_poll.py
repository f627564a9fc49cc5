"""Counts that are fresh, cheap, and read in no hurry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoPermissionError

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Kind
from qtui.demo.server import EmbeddedServer
from qtui.views.queues.poll import A_LOOK, CALM, SHORTEST_GAP, SUBJECT_EVERY, Poll
from tests.patience import AT_ONCE
from tests.seeds import QUEUE, job, raw_failed, raw_list, raw_meta, real_queue
from tests.wires import counted, open_proxy

A, B = QueueKey.of("bull", "a"), QueueKey.of("bull", "b")


async def search(poll: Poll) -> list[int]:
    return [known async for known in poll.search()]


def names(poll: Poll) -> list[str]:
    return [status.queue.name for status in poll.worst_first()]


async def test_queues_are_found_and_the_worst_come_first(client: Redis) -> None:
    for queue, failed in ((A, 2), (B, 5), (QUEUE, 5)):
        await raw_failed(client, map(str, range(failed)), queue)
    poll = Poll(client, ["bull"], [], 2.0)
    assert poll.worst_first() == []
    assert (await search(poll))[-1] == 3
    assert not poll.searching
    assert await poll.look() == {A, B, QUEUE}
    assert names(poll) == ["b", "q", "a"]
    assert poll.round_trip is not None
    assert poll.workers == {A: 0, B: 0, QUEUE: 0}


async def test_named_queues_are_not_searched_for(server: EmbeddedServer, client: Redis) -> None:
    await raw_failed(client, "1", A)
    await raw_failed(client, "1", B)
    async with counted(server) as (counting, trips):
        poll = Poll(counting, ["bull", "other"], ["a", "nope"], 2.0)
        assert await search(poll) == [4]
        assert trips.count == 0
    poll = Poll(client, ["bull", "other"], ["a", "nope"], 2.0)
    await search(poll)
    await poll.look()
    assert names(poll) == ["a"]


async def test_a_look_shows_which_queues_have_changed(client: Redis) -> None:
    await raw_failed(client, "1", A)
    await raw_failed(client, "1", B)
    poll = Poll(client, ["bull"], [], 2.0)
    await search(poll)
    await poll.look()
    assert await poll.look() == set()
    await raw_failed(client, "2", A)
    assert await poll.look() == {A}
    # An event may change what no count shows.
    poll.nudge([B])
    assert await poll.look() == {B}
    assert await poll.look() == set()


async def test_a_queue_that_is_deleted_goes_and_one_that_comes_back_is_seen(client: Redis) -> None:
    await raw_failed(client, "1", A)
    poll = Poll(client, ["bull"], [], 2.0)
    await search(poll)
    await poll.look()
    await client.flushall()
    assert await poll.look() == {A}
    assert names(poll) == []
    await raw_failed(client, "12", A)
    await poll.look()
    assert names(poll) == ["a"]


async def test_a_look_costs_one_round_trip_and_workers_are_counted_rarely(
    server: EmbeddedServer, client: Redis
) -> None:
    await raw_failed(client, "1", A)
    async with counted(server) as (counting, trips):
        poll = Poll(counting, ["bull"], ["a"], 2.0)
        assert await poll.look() == set()
        assert trips.count == 0
        await search(poll)
        await poll.look()
        counts_ping_and_workers, script = 3, 1  # which the server did not have yet
        assert trips.count == counts_ping_and_workers + script
        for _ in range(5):
            await poll.look()
        assert trips.count == counts_ping_and_workers + script + 5


async def test_the_workers_of_a_new_queue_are_counted_at_once(client: Redis) -> None:
    await raw_failed(client, "1", A)
    poll = Poll(client, ["bull"], [], 2.0)
    await search(poll)
    await poll.look()
    await raw_failed(client, "1", B)
    await search(poll)
    await poll.look()
    assert poll.workers == {A: 0, B: 0}


async def test_where_workers_may_not_be_seen_they_are_unknown(client: Redis) -> None:
    await raw_failed(client, "1", A)
    async with login(client, "-client") as watcher:
        poll = Poll(watcher, ["bull"], ["a"], 2.0)
        await search(poll)
        await poll.look()
        await poll.look()
        assert poll.workers is None
        assert names(poll) == ["a"]


@asynccontextmanager
async def login(client: Redis, *commands: str) -> AsyncIterator[Redis]:
    """A user who may read and ping, and not what is taken away."""
    await client.acl_setuser("watcher", enabled=True, nopass=True, keys=["*"], reset=True)
    await client.acl_setuser(
        "watcher", enabled=True, nopass=True, keys=["*"], categories=["+@read", "+@connection"]
    )
    await client.acl_setuser("watcher", enabled=True, commands=list(commands))
    path = client.connection_pool.connection_kwargs["path"]
    try:
        async with Redis(
            unix_socket_path=path, username="watcher", password="any", decode_responses=True
        ) as watcher:
            yield watcher
    finally:
        await client.acl_deluser("watcher")


class TestPause:
    async def test_it_ends_when_the_next_look_is_due(self, client: Redis) -> None:
        poll = Poll(client, ["bull"], [], 0.2)
        start = time.perf_counter()
        await poll.pause()
        assert 0.19 <= time.perf_counter() - start < AT_ONCE

    async def test_it_ends_early_on_request_but_not_at_once(self, client: Redis) -> None:
        poll = Poll(client, ["bull"], [], 60.0)
        start = time.perf_counter()
        poll.nudge()
        await poll.pause()
        assert SHORTEST_GAP * 0.9 <= time.perf_counter() - start < AT_ONCE

    @pytest.mark.parametrize("refresh", [0, 60.0])
    async def test_without_a_refresh_it_ends_only_on_request(
        self, client: Redis, refresh: float
    ) -> None:
        poll = Poll(client, ["bull"], [], refresh)
        pausing = asyncio.ensure_future(poll.pause())
        done, _ = await asyncio.wait([pausing], timeout=3 * SHORTEST_GAP)
        assert not done
        poll.nudge()
        await asyncio.wait_for(pausing, 2)

    async def test_a_slow_server_is_looked_at_less_often(self, client: Redis) -> None:
        poll = Poll(client, ["bull"], [], 0.1)
        assert poll.gap == SHORTEST_GAP
        poll.took = 0.04
        assert poll.gap == pytest.approx(0.4)  # a tenth of its time, no more

    async def test_queues_with_events_that_had_no_turn_yet_wait_no_longer_than_need_be(
        self, client: Redis
    ) -> None:
        poll = Poll(client, ["bull"], [f"q{place}" for place in range(A_LOOK + 1)], 60.0)
        await search(poll)
        await poll.look()
        poll.nudge(poll.statuses)
        await poll.look()
        await asyncio.wait_for(poll.pause(), 30)  # without a nudge
        assert len(await poll.look()) == 1


class TestCalm:
    """While nothing happens it looks less often, and what happens by itself shows all the same."""

    @pytest.fixture
    async def poll(self, client: Redis) -> AsyncIterator[Poll]:
        """Hears two queues, and has looked at them twice."""
        for queue in (A, B):
            await raw_failed(client, "1", queue)
            await client.zadd(queue.key("failed"), {"1": 1})  # long ago
        poll = Poll(client, ["bull"], [], 2.0)
        await search(poll)
        await poll.look()
        hearing = await hears(client, poll)
        yield poll
        hearing.cancel()
        await asyncio.wait([hearing])

    async def test_the_pause_grows_while_nothing_happens(self, poll: Poll) -> None:
        pauses = []
        for _ in range(5):
            pauses.append(poll.patience)
            assert await poll.look() == set()
        assert pauses == [2.0, 4.0, 8.0, 10.0, 10.0]
        assert poll.oldest == 0.0

    async def test_it_is_short_again_once_something_has_happened(
        self, client: Redis, poll: Poll
    ) -> None:
        for _ in range(3):
            await poll.look()
        await client.xadd(A.key("events"), {"event": "paused"})
        await asyncio.wait_for(poll.pause(), 30)
        assert await poll.look() == {A}
        assert poll.patience == 2.0
        await raw_failed(client, "2", B)  # by a release that emits nothing
        assert await poll.look() == {B}
        assert poll.patience == 2.0

    async def test_an_event_reads_what_is_visible_and_what_had_it(
        self, client: Redis, poll: Poll
    ) -> None:
        await client.xadd(A.key("events"), {"event": "paused"})
        await asyncio.wait_for(poll.pause(), 30)
        before = await _read(client)
        assert await poll.look() == {A}
        assert await _read(client) == before + 1
        await poll.look()
        assert await _read(client) == before + 1 + 2

    async def test_queues_without_events_are_looked_at_as_before(
        self, client: Redis, poll: Poll
    ) -> None:
        old = QueueKey.of("bull", "old")
        await client.set(old.key("id"), "1")
        await client.zadd(old.key("failed"), {"1": 1})
        await search(poll)
        for _ in range(3):
            await poll.look()
        assert poll.statuses[old].kind is Kind.BULL
        assert poll.patience == 2.0

    @pytest.mark.parametrize("what", ["an active job", "a limit", "a late job", "a fresh end"])
    async def test_what_changes_by_itself_is_looked_at_as_before(
        self, client: Redis, poll: Poll, what: str
    ) -> None:
        now = int(time.time() * 1000)
        if what == "an active job":
            await raw_list(client, "active", "9", A)
        elif what == "a limit":
            await client.set(A.key("limiter"), "5", px=600_000)
        elif what == "a late job":
            await client.zadd(A.key("delayed"), {"9": (now - 1000) * 4096})
        else:
            await client.zadd(A.key("completed"), {"9": now})
        poll.subject = lambda: A
        for _ in range(3):
            await poll.look()
        assert poll.patience == 2.0

    async def test_a_job_that_may_be_late_is_looked_at_in_time(
        self, client: Redis, poll: Poll
    ) -> None:
        due = int(time.time() * 1000) + 6_000
        await client.zadd(A.key("delayed"), {"9": due * 4096})
        poll.subject = lambda: A
        for _ in range(5):
            await poll.look()
        assert poll.patience <= 6.0
        await client.zadd(A.key("delayed"), {"9": (due + 600_000) * 4096})
        poll.nudge([A])
        while poll.facts is None or poll.facts.due != due + 600_000:
            await asyncio.sleep(SUBJECT_EVERY)
            await poll.look()
        for _ in range(4):
            await poll.look()
        assert poll.patience == CALM * poll.refresh

    async def test_ages_grow_and_nothing_is_read_for_it(self, client: Redis, poll: Poll) -> None:
        poll.subject = lambda: A
        await poll.look()
        assert poll.facts is not None
        begin = poll.facts.now
        await client.config_resetstat()
        while poll.facts.now == begin:
            await asyncio.sleep(SUBJECT_EVERY)
            await poll.look()
        ran = await client.info("commandstats")
        assert "cmdstat_zcount" not in ran
        assert "cmdstat_pttl" not in ran

    async def test_twenty_seconds_of_nothing_cost_few_commands(
        self, client: Redis, poll: Poll
    ) -> None:
        """As many looks and waits as there are then, one after the other."""
        poll.subject = lambda: A
        for _ in range(5):
            await poll.look()
        await client.config_resetstat()
        for _ in range(int(20 / poll.patience)):
            await poll.look()
        looked = await _commands(client)
        assert looked.pop("evalsha_ro") == 2
        assert sum(looked.values()) <= 2 * 2 * 4 + 2  # those of the script, and a PING or CONFIG


async def hears(client: Redis, poll: Poll) -> asyncio.Task[None]:
    """Listens, from the moment that the server has heard of it."""

    async def listen() -> None:
        while True:
            await poll.listen()

    listening = asyncio.ensure_future(listen())
    while not (await client.info("clients"))["blocked_clients"]:
        pass
    return listening


class TestEvents:
    async def test_an_event_asks_for_a_look(self, server: EmbeddedServer, client: Redis) -> None:
        async with real_queue(server, A) as real:
            await real.add(job())
            await raw_failed(client, "1", B)
            poll = Poll(client, ["bull"], [], 60.0)
            await search(poll)
            await poll.look()
            pausing = asyncio.ensure_future(poll.pause())
            listening = asyncio.ensure_future(poll.listen())
            while not listening.done() and not (await client.info("clients"))["blocked_clients"]:
                pass
            await real.add(job())
            await asyncio.wait_for(pausing, 2)
            assert await poll.look() == {A}
            await listening

    async def test_without_queues_there_is_nothing_to_hear(self, client: Redis) -> None:
        poll = Poll(client, ["bull"], [], 2.0)
        start = time.perf_counter()
        await poll.listen()
        assert time.perf_counter() - start >= SHORTEST_GAP * 0.9

    async def test_by_hand_nothing_is_listened_to(self, client: Redis) -> None:
        assert not Poll(client, ["bull"], [], 0).hears
        assert Poll(client, ["bull"], [], 2.0).hears

    async def test_who_may_not_hear_looks_all_the_same(self, client: Redis) -> None:
        await raw_failed(client, "1", A)
        async with login(client, "-xread") as watcher:
            poll = Poll(watcher, ["bull"], ["a"], 2.0)
            await search(poll)
            await poll.look()
            assert poll.hears
            await poll.listen()
            assert not poll.hears
            assert names(poll) == ["a"]


async def test_a_user_who_may_read_nothing_is_told_so(client: Redis) -> None:
    await raw_meta(client, A)
    async with login(client, "-hmget") as watcher:
        for only in ([], ["a"]):
            with pytest.raises(NoPermissionError):
                await Poll(watcher, ["bull"], only, 2.0).check_permission()
    await Poll(client, ["bull"], [], 2.0).check_permission()


async def test_what_is_known_outlives_a_lost_server(server: EmbeddedServer, client: Redis) -> None:
    await raw_failed(client, "123", A)
    async with open_proxy(server) as proxy, proxy.client() as ours:
        poll = Poll(ours, ["bull"], [], 2.0)
        await search(poll)
        await poll.look()
        proxy.away = True
        for _ in range(3):
            with pytest.raises((OSError, LostConnection)):
                await poll.look()
        assert names(poll) == ["a"]
        assert poll.worst_first()[0].failed == 3
        proxy.away = False
        await raw_failed(client, "4", A)
        assert await poll.look() == {A}
        assert poll.worst_first()[0].failed == 4


class TestManyQueues:
    MANY = 2 * A_LOOK

    @pytest.fixture
    async def queues(self, client: Redis) -> list[QueueKey]:
        """More than a look reads."""
        found = [QueueKey.of("bull", f"q{place:04}") for place in range(self.MANY)]
        pipe = client.pipeline(transaction=False)
        for queue in found:
            pipe.hset(queue.key("meta"), mapping={"opts.maxLenEvents": 10_000})
        await pipe.execute()
        return found

    @pytest.fixture
    async def poll(self, client: Redis, queues: list[QueueKey]) -> Poll:
        """Knows them all."""
        poll = Poll(client, ["bull"], [], 2.0)
        await search(poll)
        await poll.look()
        assert len(poll.statuses) == self.MANY
        assert poll.took < 1.0
        return poll

    async def test_each_look_reads_the_visible_queues_and_a_bounded_number_of_others(
        self, client: Redis, poll: Poll, queues: list[QueueKey]
    ) -> None:
        seen = queues[-30:]
        poll.visible = lambda: seen
        for place in range(5):
            before = await _read(client)
            await raw_failed(client, [str(place)], seen[place])
            assert seen[place] in await poll.look()
            assert await _read(client) - before <= A_LOOK

    async def test_a_queue_with_events_is_read_before_the_others(
        self, client: Redis, poll: Poll, queues: list[QueueKey]
    ) -> None:
        for queue in (queues[-1], queues[0], queues[A_LOOK + 5]):
            await raw_failed(client, "12", queue)
            poll.nudge([queue])
            assert queue in await poll.look()
            assert poll.statuses[queue].failed == 2

    async def test_the_others_are_read_in_turns(
        self, client: Redis, poll: Poll, queues: list[QueueKey]
    ) -> None:
        seen = queues[:50]
        poll.visible = lambda: seen
        for queue in queues[50:]:
            await client.zadd(queue.key("failed"), {"1": 1})
        changed: set[QueueKey] = set()
        looks = 0
        while changed != set(queues[50:]):
            looks += 1
            changed |= await poll.look()
            assert looks <= self.MANY / (A_LOOK - 50) + 1

    async def test_all_of_them_changed_at_once_are_taken_in_turns_too(
        self, client: Redis, poll: Poll, queues: list[QueueKey]
    ) -> None:
        poll.nudge(queues)
        found: set[QueueKey] = set()
        for _ in range(self.MANY // A_LOOK):
            before = await _read(client)
            found |= await poll.look()
            assert await _read(client) - before <= A_LOOK
        assert found == set(queues)

    async def test_looking_for_queues_again_reads_them_all(
        self, client: Redis, poll: Poll, queues: list[QueueKey]
    ) -> None:
        await search(poll)
        before = await _read(client)
        await poll.look()
        assert await _read(client) - before == self.MANY


async def _commands(client: Redis) -> dict[str, int]:
    """How often each command ran since the statistics were reset, those of scripts included."""
    found = await client.info("commandstats")
    return {name.removeprefix("cmdstat_"): one["calls"] for name, one in found.items()}


async def _read(client: Redis) -> int:
    """How many queues were read so far: each costs one HMGET."""
    return int((await client.info("commandstats")).get("cmdstat_hmget", {"calls": 0})["calls"])


async def test_the_round_trip_is_that_of_a_ping(client: Redis) -> None:
    await raw_failed(client, "1", A)
    poll = Poll(client, ["bull"], [], 2.0)
    await search(poll)
    await poll.look()
    assert (await client.info("commandstats"))["cmdstat_ping"]["calls"] >= 1
    assert poll.round_trip is not None
    await poll.look()  # soon after: it is not measured again
    assert poll.oldest < 60


async def test_where_a_ping_is_refused_there_is_no_round_trip(client: Redis) -> None:
    await raw_failed(client, "1", A)
    async with login(client, "-ping") as watcher:
        poll = Poll(watcher, ["bull"], ["a"], 2.0)
        await search(poll)
        await poll.look()
        assert poll.round_trip is None
        assert names(poll) == ["a"]
