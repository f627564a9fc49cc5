"""A hunt through a state that moves between its very commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from qtui.bullmq.filter import parse_filter
from qtui.bullmq.search.hunt import Hunt
from qtui.demo.server import EmbeddedServer
from tests.bullmq.test_hunt import BOTH_WAYS, FAILED, ids_of
from tests.seeds import QUEUE, START, raw_failed
from tests.servers import way
from tests.wires import Proxy, _reply, _request


class Interrupting(Proxy):
    """Lets others do something just before each command that has a certain word."""

    def __init__(self, server: EmbeddedServer, word: bytes) -> None:
        super().__init__(server)
        self.word = word
        self.before: Callable[[], Awaitable[object]] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.server.path)
        with contextlib.suppress(OSError):
            while request := await _request(reader):
                if self.word in request and self.before is not None:
                    await self.before()
                up_writer.write(request)
                writer.write(await _reply(up_reader))
                await writer.drain()
        up_writer.close()
        writer.close()


@asynccontextmanager
async def interrupting(server: EmbeddedServer, word: bytes) -> AsyncIterator[Interrupting]:
    proxy = Interrupting(server, word)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()


@BOTH_WAYS
async def test_jobs_that_leave_between_a_step_and_its_scores_take_no_other_along(
    server: EmbeddedServer, client: redis.asyncio.Redis, sort_ro: bool
) -> None:
    # `removeOnFail: {count: n}` trims the oldest whenever a job fails.
    ids = await raw_failed(client, map(str, range(1000)))
    met: set[str] = set()
    removed: set[str] = set()
    await way(client, sort_ro=sort_ro)
    async with interrupting(server, b"WITHSCORES") as proxy, proxy.client() as ours:

        async def trim() -> None:
            gone = await client.zpopmin(QUEUE.key("failed"), 5)
            removed.update(str(pair[0]) for pair in gone)

        proxy.before = trim
        now = START + 1000 * 1000
        hunt = Hunt(
            ours,
            QUEUE,
            FAILED,
            parse_filter("age<1h", now=now),
            newest_first=False,
            rate=0,
        )
        async for step in hunt.steps():
            met.update(one.id for one in step)
    assert removed
    assert set(ids) - removed <= met, "a job that stayed was passed over"


@BOTH_WAYS
@pytest.mark.parametrize("scored", [True, False])
async def test_a_state_that_moves_between_the_commands_of_a_step_hides_no_job(
    server: EmbeddedServer, client: redis.asyncio.Redis, sort_ro: bool, scored: bool
) -> None:
    # New ones push all places on, between what is read and the scores of its ends too.
    ids = await raw_failed(client, map(str, range(3000)))
    met: list[str] = []
    came = 0
    await way(client, sort_ro=sort_ro)
    async with interrupting(server, b"WITHSCORES") as proxy, proxy.client() as ours:

        async def fail() -> None:
            nonlocal came
            came += 1
            if came % 3:
                await client.zadd(QUEUE.key("failed"), {f"new{came}": START * 2 + came})

        proxy.before = fail
        hunt = Hunt(
            ours,
            QUEUE,
            FAILED,
            parse_filter("!name=x"),
            rate=0,
            ahead=True,
            scored=scored,
        )
        async for step in hunt.steps():
            met += ids_of(step)
    old = [one for one in met if not one.startswith("new")]
    assert came > 6
    assert old == ids[::-1], "a job was passed over, or met twice"
