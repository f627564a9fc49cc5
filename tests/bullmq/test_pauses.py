"""A throttled walk pauses long on a busy server and briefly on an idle one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from qtui.bullmq.connection.again import Single
from qtui.bullmq.connection.client import connect, parse_target
from qtui.bullmq.search.pauses import BUSY, IDLE, Pauses
from qtui.demo.server import EmbeddedServer
from tests.patience import PATIENCE
from tests.servers import start
from tests.wires import open_proxy

STEP = 0.001
"""Seconds of a step."""


def pauses_of(server: EmbeddedServer, name: str = "") -> Pauses:
    """What a reader pauses; ``name`` is that of a user without a password."""
    url = server.url.replace("unix://", f"unix://{name}:any@") if name else server.url
    return Pauses(connect(parse_target(url), read_only=True))


async def rested(pauses: Pauses, enough: Callable[[float], bool]) -> float:
    """Rests until a pause, as a multiple of the step, is as it should be; the last if it never is.

    Each rest is of the shortest length; there is a look every tenth of a second.
    """
    multiple = 0.0
    async with asyncio.timeout(PATIENCE):
        while not enough(multiple):
            await pauses.rest(STEP)
            multiple = pauses.after(STEP) / STEP
    return multiple


async def test_a_server_counts_as_busy_until_it_is_seen_to_be_idle(
    any_server: EmbeddedServer,
) -> None:
    pauses = pauses_of(any_server)
    assert pauses.after(STEP) == STEP * BUSY
    await rested(pauses, lambda multiple: 0 < multiple < (IDLE + BUSY) / 2)


async def test_it_is_left_alone_as_soon_as_others_come(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    pauses = pauses_of(any_server)
    idle = await rested(pauses, lambda multiple: 0 < multiple < (IDLE + BUSY) / 2)
    spin = "for i = 1, 100000 do local a = i * i end return 1"

    done = False

    async def keep_busy() -> None:
        while not done:
            await any_client.eval(spin, 0)

    busy = asyncio.ensure_future(keep_busy())
    try:
        await rested(pauses, lambda multiple: multiple > idle)
    finally:
        done = True
        await busy


async def test_a_server_that_does_not_say_what_it_does_counts_as_busy(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    await any_client.acl_setuser("mute", enabled=True, nopass=True, commands=["+@all", "-info"])
    await any_client.acl_log_reset()
    pauses = pauses_of(any_server, "mute")
    for _ in range(5):
        await pauses.rest(STEP)
        assert pauses.after(STEP) == STEP * BUSY
    refused = await any_client.acl_log()
    await any_client.acl_deluser("mute")
    assert [(one["object"], one["count"]) for one in refused] == [("info", 1)]


async def test_one_that_took_over_counts_as_busy(
    any_server: EmbeddedServer, any_client: Redis
) -> None:
    await any_client.client_kill_filter(_type="normal", skipme=True)  # those of other tests
    await any_client.eval("for i = 1, 10000000 do local a = i * i end", 0)  # more than a start
    with start() as other:
        async with open_proxy(any_server) as proxy, proxy.client() as ours:
            assert isinstance(ours, Single)
            pauses = Pauses(ours)
            await rested(pauses, lambda multiple: 0 < multiple < (IDLE + BUSY) / 2)
            await ours.ping()
            resting = asyncio.ensure_future(pauses.rest(1.0))
            async with asyncio.timeout(PATIENCE):
                while not await is_looked_at(any_client):
                    if resting.done():  # it was too early for a look
                        resting = asyncio.ensure_future(pauses.rest(1.0))
            proxy.server = other
            await ours.connection_pool.disconnect()
            await resting
            assert pauses.after(STEP) == STEP * BUSY


async def is_looked_at(client: Redis) -> bool:
    """Whether INFO is the last command of another client."""
    return any(one["cmd"] == "info" for one in await client.client_list())


def test_no_pause_is_endless(any_server: EmbeddedServer) -> None:
    assert pauses_of(any_server).after(60.0) == 5.0
