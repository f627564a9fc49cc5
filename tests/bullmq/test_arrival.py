"""A reply that comes is waited for, however slowly; and no more of it is taken than is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError

from qtui.bullmq.ask import Reply, ask, texts
from qtui.bullmq.connection.arrival import BEARABLE, ReplyTooLarge, at_most
from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.bullmq.reads.hashes import LONGEST_FIELD, SENT, by_weight, read_hashes
from qtui.demo.server import EmbeddedServer
from tests.seeds import QUEUE

PATIENCE = 0.4
"""Seconds of silence after which our client gives up."""

PIECE = 65_536

Made: TypeAlias = tuple[int, list[int | str | None], list[Reply]]


@asynccontextmanager
async def dripping(server: EmbeddedServer, pieces: int, pause: float) -> AsyncIterator[Client]:
    """Our client behind a line that hands replies on in pieces, and stops after this many."""

    async def serve(ours: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_unix_connection(server.path)

        async def back() -> None:
            for _ in range(pieces):
                to_us.write(await theirs.read(PIECE))
                await asyncio.sleep(pause)  # the line is slow

        slow = asyncio.ensure_future(back())
        while data := await ours.read(PIECE):
            to_them.write(data)
        slow.cancel()
        for writer in (to_us, to_them):
            writer.close()

    line = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = line.sockets[0].getsockname()
    client = connect(parse_target(f"redis://{host}:{port}"), read_only=True, timeout=PATIENCE)
    try:
        yield client
    finally:
        await client.aclose()
        line.close()


async def test_a_reply_may_take_longer_than_the_time_out(
    server: EmbeddedServer, client: Redis
) -> None:
    value = "x" * 30 * PIECE
    await client.set("large", value)
    async with dripping(server, 1_000, PATIENCE / 10) as ours:
        # Three times the time-out at least.
        assert await ask(ours, [("GET", "large")]) == [value]


async def test_a_reply_that_stops_coming_is_late(server: EmbeddedServer, client: Redis) -> None:
    await client.set("large", "x" * 30 * PIECE)
    async with dripping(server, 10, 0.0) as ours:
        with pytest.raises(TimeoutError):
            await ask(ours, [("GET", "large")])


async def test_a_reply_that_came_before_the_connection_was_lost_is_one() -> None:
    async def serve(ours: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
        for reply in (b"+OK\r\n", b"$1\r\nx\r\n"):
            await ours.read(PIECE)
            to_us.write(reply)
        to_us.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as line:
        host, port = line.sockets[0].getsockname()
        client = connect(parse_target(f"redis://{host}:{port}"), read_only=True)
        assert await ask(client, [("GET", "key")]) == ["x"]
        await client.aclose()


async def test_more_than_is_wanted_is_broken_off(server: EmbeddedServer, client: Redis) -> None:
    await client.set("large", "x" * 1_000_000)
    ours = connect(parse_target(server.url), read_only=True)
    try:
        with at_most(900_000), pytest.raises(ReplyTooLarge):
            await ask(ours, [("GET", "large")])
        with at_most(900_000), pytest.raises(ReplyTooLarge):
            await ask(ours, [("GETRANGE", "large", 0, 499_999)] * 2)
        # The next reply is its own, on a connection of its own.
        assert await ask(ours, [("STRLEN", "large")]) == [1_000_000]
        with at_most(2_000_000):
            assert len(str((await ask(ours, [("GET", "large")]))[0])) == 1_000_000
    finally:
        await ours.aclose()


async def test_hashes_are_read_by_halves_and_what_is_too_large_is_measured(
    server: EmbeddedServer, client: Redis
) -> None:
    keys = [QUEUE.job(str(at)) for at in range(8)]
    for at, key in enumerate(keys):
        await client.hset(key, mapping={"a": f"a{at}", "b": "x" * (BEARABLE // 3), "c": "y" * 1000})
    huge = QUEUE.job("huge")
    await client.hset(huge, mapping={"a": "z", "b": "x" * (BEARABLE + 1), "c": "y" * LONGEST_FIELD})

    def made(at: int, reply: Reply, beside: Sequence[Reply]) -> Made:
        return at, [one and len(one) for one in texts(reply)], list(beside)

    ours = connect(parse_target(server.url), read_only=True)
    try:
        sizes = await read_hashes(
            ours,
            [*keys, huge, QUEUE.job("none")],
            ("a", "b", "c"),
            made,
            lambda key: [("EXISTS", key)],
        )
    finally:
        await ours.aclose()
    assert sizes[:8] == [(at, [2, BEARABLE // 3, 1000], [1]) for at in range(8)]
    words = f"(b of {BEARABLE / 1e6:.1f} MB: open the job to read it)"
    assert sizes[8] == (8, [1, len(words), LONGEST_FIELD], [1])
    assert sizes[9] == (9, [None, None, None], [0])


def test_ids_are_parted_by_their_length() -> None:
    assert [list(part) for part in by_weight([])] == []
    assert [list(part) for part in by_weight(["1", "22", "3"])] == [["1", "22", "3"]]
    huge = "x" * SENT
    assert [len(part) for part in by_weight(["1", huge, huge, "2", "3"])] == [1, 1, 1, 2]
