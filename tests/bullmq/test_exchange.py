"""Many commands in one round trip, by a way of our own: the replies are those of redis-py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from qtui.bullmq.ask import Command, ask
from qtui.bullmq.connection.again import Single
from qtui.bullmq.connection.client import ReadOnlyMode, connect, parse_target
from qtui.demo.server import EmbeddedServer

SEEDS: list[Command] = [
    ("SET", "text", "1"),
    ("HSET", "hash", "name", "charge", "data", "{}"),
    ("RPUSH", "list", "a", "b", "\udcff"),
    ("ZADD", "sorted", "1.5", "a", "2", "b"),
    ("SADD", "set", "a"),
    ("XADD", "stream", "1-1", "event", "added", "jobId", "1"),
]
COMMANDS: list[Command] = [
    *(("TYPE", key) for key in ("text", "hash", "list", "sorted", "set", "stream", "none")),
    ("GET", "text"),
    ("GET", "none"),
    ("HMGET", "hash", "name", "none"),
    ("HGETALL", "hash"),
    ("HGET", "list", "name"),
    ("LLEN", "list"),
    ("LRANGE", "list", 0, -1),
    ("ZCARD", "sorted"),
    ("ZSCORE", "sorted", "a"),
    ("ZRANGE", "sorted", 0, -1, "WITHSCORES"),
    ("ZREVRANGE", "sorted", 0, -1),
    ("ZRANK", "sorted", "none"),
    ("SMEMBERS", "set"),
    ("XRANGE", "stream", "-", "+"),
    ("XREVRANGE", "none", "+", "-", "COUNT", 1),
    ("EXISTS", "text"),
    ("PTTL", "text"),
    ("SCAN", "0", "MATCH", "tex*", "COUNT", 100),
    ("SORT_RO", "list", "BY", "nosort", "GET", "#"),
    ("OBJECT", "ENCODING", "text"),
    ("CLIENT LIST", "TYPE", "pubsub"),
    ("NOSUCH", "text"),
]


@pytest.fixture
async def single(any_server: EmbeddedServer) -> AsyncIterator[Single]:
    client = connect(parse_target(any_server.url), read_only=False)
    assert isinstance(client, Single)
    yield client
    await client.aclose()


async def test_the_replies_are_those_of_redis_py(single: Single) -> None:
    await ask(single, SEEDS)
    pipeline = single.pipeline(transaction=False)
    for command in COMMANDS:
        pipeline.execute_command(*command)
    theirs = await pipeline.execute(raise_on_error=False)
    ours = await single.exchange(COMMANDS)
    assert [_comparable(one) for one in ours] == [_comparable(one) for one in theirs]
    assert any(isinstance(one, ResponseError) for one in ours)


def _comparable(reply: object) -> object:
    return (type(reply), str(reply)) if isinstance(reply, RedisError) else reply


async def test_the_same_read_of_many_keys_is_sent_as_redis_py_sends_it(single: Single) -> None:
    keys: list[Any] = ["1", "2", "\udcff", "", "ü", "3\r\n", 4, 5.5, b"6", "7"]
    commands: list[Command] = [
        *(("HMGET", key, "name", "\udcff", 1) for key in keys),
        *(("HMGET", key, "name", "data") for key in keys),
        *(("hmget", key, "name", "data") for key in keys),
        *((" OBJECT  ENCODING ", key) for key in keys),
        *(("GET", key) for key in keys),
        *(("PING",) for _ in keys),
    ]
    link = single.connection_pool.make_connection()
    each = [b"".join(AbstractConnection.pack_command(link, *command)) for command in commands]
    assert b"".join(link.pack_commands(commands)) == b"".join(each)
    *_, third_last, _, _, last = link.pack_commands(commands[len(keys) : 2 * len(keys)])
    assert last is third_last, "the other words are packed once"


async def test_a_refusal_stands_in_its_place(any_server: EmbeddedServer, single: Single) -> None:
    await single.set("text", "1")
    await single.execute_command("ACL", "SETUSER", "default", "-get")
    found = await ask(single, [("TYPE", "text"), ("GET", "text"), ("LLEN", "text"), ("PING",)])
    assert found[0] == "string"
    assert isinstance(found[1], NoPermissionError)
    assert isinstance(found[2], ResponseError)
    assert found[3] is True


async def test_what_is_broken_off_leaves_no_reply_to_the_next(single: Single) -> None:
    await single.set("text", "kept")
    for _ in range(20):
        asking = asyncio.ensure_future(single.exchange([("PING",)] * 500))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert await single.exchange([("GET", "text")]) == ["kept"]


async def test_a_write_among_reads_stops_them_all(any_server: EmbeddedServer) -> None:
    client = connect(parse_target(any_server.url), read_only=True)
    assert isinstance(client, Single)
    for name in ("SET", "set", " SET", "SET ", b"SET"):
        with pytest.raises(ReadOnlyMode):
            await client.exchange([("GET", "text"), (name, "text", "1"), ("GET", "text")])
    assert await client.exchange([("GET", "text"), ("get", "text"), (" GET", "text")]) == [None] * 3
    await client.aclose()


async def test_nothing_is_asked_where_there_is_nothing_to_ask(single: Single) -> None:
    assert await ask(single, []) == []
