"""The status of many queues by one script: what single commands find, for a price that is counted.

What is compared is made at random, with keys of every kind and type, and changes between the looks.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind
from qtui.bullmq.reads.scripted.status import STEP, Statuses
from qtui.bullmq.reads.status import read_status
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topologies
from tests.kinds import NAMES, fill

MANY = 3 * STEP + 7
ROUNDS = 6
WORDS = ("0", "0:0", "0:1700000000000", "00", "0:x", "1", "2", "3", "4", "5", "6", "ü", "\udcff")
META = {
    "version": ("bullmq:5.81.5", "bullmq:4.18.3", "bullmq-pro:7.1.0", "", "a b  c", "\n", "-"),
    "concurrency": ("5", "0", "1e3", "many", "", "-1", "9" * 400, "٣"),
    "opts.maxLenEvents": ("10000", "0"),
    "paused": ("1", ""),
}
OTHERS = ("id", "events", "groups", "marker", "pc", "meta")


@pytest.fixture
async def ours(any_server: EmbeddedServer) -> AsyncIterator[Client]:
    """A read-only connection, as the inspector has it."""
    client = connect(parse_target(any_server.url), read_only=True)
    yield client
    await client.aclose()


def disturb(pipe: Pipeline, queue: QueueKey, chance: random.Random) -> None:
    """Changes some keys of a queue: lengths, members, fields, types, or whether they exist."""
    for state in chance.sample(tuple(JobState), 3):
        _renew(pipe, queue.key(state.key), chance, "list" if state.is_list else "zset")
    for suffix in chance.sample(OTHERS, 2):
        types = {"events": "stream", "groups": "zset", "marker": "zset", "meta": "hash"}
        _renew(pipe, queue.key(suffix), chance, types.get(suffix, "string"))


def _renew(pipe: Pipeline, key: str, chance: random.Random, kind: str) -> None:
    pipe.delete(key)
    if chance.random() < 0.4:
        return
    if chance.random() < 0.1:
        kind = chance.choice(("string", "list", "zset", "hash", "stream"))
    members = [chance.choice(WORDS) for _ in range(chance.choice((1, 2, 7, 8, 9, 30)))]
    if kind == "list":
        pipe.rpush(key, *members)
    elif kind == "zset":
        pipe.zadd(key, {one: place for place, one in enumerate(members)})
    elif kind == "stream":
        pipe.xadd(key, {"event": "added"})
    elif kind == "hash":
        names = chance.sample(tuple(META), chance.randint(1, len(META)))
        pipe.hset(key, mapping={name: chance.choice(META[name]) for name in names})
    else:
        pipe.set(key, "12")


async def disturb_all(client: Redis, queues: Sequence[QueueKey], chance: random.Random) -> None:
    pipe = client.pipeline(transaction=False)
    for queue in queues:
        disturb(pipe, queue, chance)
    await pipe.execute()


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_what_single_commands_find(any_client: Redis, ours: Client, seed: int) -> None:
    chance = random.Random(seed)
    queues = [QueueKey.of(f"{{p}} {seed}", f"q:{place}") for place in range(MANY)]
    statuses = Statuses(ours)
    kinds: set[Kind] = set()
    for _ in range(ROUNDS):
        await disturb_all(any_client, chance.sample(queues, MANY // 2), chance)
        found = await statuses.read(queues)
        assert found == await read_status(ours, queues)
        assert statuses.scripted
        assert any(None in status.counts.values() for status in found)
        kinds |= {status.kind for status in found}
    assert kinds == set(Kind)


async def test_a_queue_that_did_not_change_costs_four_commands_and_no_object(
    any_client: Redis, ours: Client
) -> None:
    queues = await plain_queues(any_client, 2 * STEP)
    statuses = Statuses(ours)
    first = await statuses.read(queues)
    await any_client.config_resetstat()
    second = await statuses.read(queues)
    assert all(one is other for one, other in zip(first, second, strict=True))
    ran = await calls(any_client)
    assert ran.pop("evalsha_ro") == 2
    assert sum(ran.values()) <= 4 * len(queues) + 1  # and the CONFIG of this test
    sent, received = await traffic(any_client)
    assert sent <= 80 * len(queues)
    assert received <= 20 * len(queues)


async def test_only_those_that_changed_are_sent(any_client: Redis, ours: Client) -> None:
    queues = await plain_queues(any_client, STEP)
    statuses = Statuses(ours)
    first = await statuses.read(queues)
    await any_client.rpush(queues[7].key("wait"), "1", "0:1700000000000")
    await any_client.hset(queues[8].key("meta"), "paused", "1")
    second = await statuses.read(queues)
    changed = {place for place in range(STEP) if first[place] is not second[place]}
    assert changed == {7, 8}
    assert second[7].counts[JobState.WAITING] == 1
    assert second[8].paused


async def plain_queues(client: Redis, number: int) -> list[QueueKey]:
    """Queues of 5.81.5 with jobs in the states that mostly hold some."""
    queues = [QueueKey.of("bull", f"queue-{place:04}") for place in range(number)]
    pipe = client.pipeline(transaction=False)
    for queue in queues:
        pipe.hset(queue.key("meta"), mapping={"opts.maxLenEvents": 10_000})
        pipe.hset(queue.key("meta"), "version", "bullmq:5.81.5")
        pipe.zadd(queue.key("failed"), {"1": 1, "2": 2})
        pipe.zadd(queue.key("completed"), {"3": 3})
    await pipe.execute()
    return queues


async def calls(client: Redis) -> dict[str, int]:
    """How often each command ran since the statistics were reset, those of scripts included."""
    found = await client.info("commandstats")
    return {name.removeprefix("cmdstat_"): one["calls"] for name, one in found.items()}


async def traffic(client: Redis) -> tuple[int, int]:
    """Bytes that the server received and sent since its statistics were reset."""
    found = await client.info("stats")
    return found["total_net_input_bytes"], found["total_net_output_bytes"]


async def test_a_script_that_is_forgotten_is_sent_again(any_client: Redis, ours: Client) -> None:
    queues = await plain_queues(any_client, 3)
    statuses = Statuses(ours)
    for _ in range(2):
        assert [status.failed for status in await statuses.read(queues)] == [2] * 3
        await any_client.script_flush()
    assert statuses.scripted


@pytest.mark.parametrize("refused", ["+@read", "-eval_ro -evalsha_ro"])
async def test_a_user_who_may_call_no_script_sees_the_same(
    any_server: EmbeddedServer, any_client: Redis, refused: str
) -> None:
    queues = await plain_queues(any_client, 5)
    rights = ["+@all", *refused.split()] if refused[0] == "-" else [refused]
    await any_client.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "~*", *rights)
    url = any_server.url.replace("unix://", "unix://watcher:secret@")
    client = connect(parse_target(url), read_only=True)
    try:
        statuses = Statuses(client)
        assert statuses.scripted
        assert await statuses.read(queues) == await read_status(any_client, queues)
        assert not statuses.scripted
        refusals = len(await any_client.execute_command("ACL", "LOG"))
        assert await statuses.read(queues) == await read_status(any_client, queues)
        # It is not tried again, so that the server logs no refusal for each look.
        assert len(await any_client.execute_command("ACL", "LOG")) == refusals
    finally:
        await client.aclose()
        await any_client.acl_deluser("watcher")


async def test_keys_that_the_user_may_not_read_are_unknown(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    queues = await plain_queues(any_client, 5)
    rights = ("+@all", "~*:meta", "~*0:*", "~*:completed")
    await any_client.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", *rights)
    url = any_server.url.replace("unix://", "unix://watcher:secret@")
    client = connect(parse_target(url), read_only=True)
    try:
        found = await Statuses(client).read(queues)
        assert found == await read_status(client, queues)
        assert [status.counts[JobState.FAILED] for status in found] == [2, None, None, None, None]
    finally:
        await client.aclose()
        await any_client.acl_deluser("watcher")


async def test_on_a_cluster_it_takes_commands(topologies: Topologies) -> None:
    topology = topologies.get("cluster")
    fill(topology)
    queues = [QueueKey.of("bull", name) for name in NAMES]
    client = connect(parse_target(topology.url), read_only=True)
    try:
        statuses = Statuses(client)
        assert [status.failed for status in await statuses.read(queues)] == [3, 3, 3, 4]
        assert not statuses.scripted
    finally:
        await client.aclose()


async def test_no_queues_cost_nothing(any_client: Redis, ours: Client) -> None:
    assert await Statuses(ours).read([]) == []
