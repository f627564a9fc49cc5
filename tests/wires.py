"""What lies between a client and its server: a count of round trips, and a proxy that loses things.

The server behind them is always a real one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from enum import StrEnum

import redis.asyncio
from redis.asyncio.connection import ConnectionPool, UnixDomainSocketConnection

from qtui.bullmq.connection.client import Client, connect, parse_target
from qtui.demo.server import EmbeddedServer


def writes(request: bytes) -> bool:
    """Whether it calls one of the scripts, which write."""
    return b"\r\nEVALSHA\r\n" in request[:40]


class Trips:
    """How often something was sent and its reply awaited."""

    def __init__(self) -> None:
        """None yet."""
        self.count = 0


@asynccontextmanager
async def counted(server: EmbeddedServer) -> AsyncIterator[tuple[redis.asyncio.Redis, Trips]]:
    """A client that counts its round trips from now on: a pipeline is one."""
    trips = Trips()

    class Counting(UnixDomainSocketConnection):
        async def send_packed_command(
            self, command: bytes | str | Iterable[bytes], check_health: bool = True
        ) -> None:
            trips.count += 1
            await super().send_packed_command(command, check_health)

    pool = ConnectionPool(
        connection_class=Counting,
        path=server.path,
        decode_responses=True,
        encoding_errors="surrogateescape",
    )
    async with redis.asyncio.Redis(connection_pool=pool) as client:
        await client.ping()
        trips.count = 0
        yield client, trips
    await pool.disconnect()


class Accident(StrEnum):
    """What befalls a call of a script on its way."""

    REPLY_LOST = "the server does it, and the reply is lost"
    CALL_LOST = "it never gets to the server"
    CALL_LATE = "the connection breaks, and the call gets to the server later"


class Proxy:
    """A TCP port in front of a server; scripts that pass it can have accidents."""

    def __init__(self, server: EmbeddedServer) -> None:
        """Nothing listens before `open_proxy`."""
        self.server = server
        self.accidents: list[Accident] = []
        """What befalls the next calls of scripts, the first first."""
        self.passing = 0
        """Calls of scripts that pass before the first accident."""
        self.happened = 0
        self.after: Callable[[], Awaitable[object]] | None = None
        """Is called right after each accident, before the client notices."""
        self.late_comes_first = False
        """Whether late calls get to the server just before the next one, or only by `deliver`."""
        self.away = False
        """While it is away, every connection is closed at once, and every call lost."""
        self.port = 0
        self._late: list[bytes] = []

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until either end hangs up."""
        with contextlib.suppress(OSError):
            if not self.away:
                await self._relay(reader, writer)
        writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.server.path)
        try:
            while request := await _request(reader):
                is_script = writes(request)
                if self.away:
                    return
                if is_script and self.accidents and self.passing:
                    self.passing -= 1
                elif is_script and self.accidents:
                    await self._happen(self.accidents.pop(0), request, up_reader, up_writer)
                    return
                if is_script and self.late_comes_first:
                    await self.deliver()
                up_writer.write(request)
                writer.write(await _reply(up_reader))
                await writer.drain()
        finally:
            up_writer.close()

    async def _happen(
        self,
        accident: Accident,
        request: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.happened += 1
        if accident is Accident.REPLY_LOST:
            writer.write(request)
            await _reply(reader)
        elif accident is Accident.CALL_LATE:
            self._late.append(request)
        if self.after is not None:
            await self.after()

    async def deliver(self) -> None:
        """Brings the late calls to the server."""
        while self._late:
            request = self._late.pop(0)
            reader, writer = await asyncio.open_unix_connection(self.server.path)
            writer.write(request)
            await _reply(reader)
            writer.close()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Qtui's own client, through the proxy."""
        client = connect(parse_target(self.url), read_only=False)
        try:
            yield client
        finally:
            await client.aclose()


@asynccontextmanager
async def open_proxy(server: EmbeddedServer) -> AsyncIterator[Proxy]:
    """A proxy in front of a server."""
    proxy = Proxy(server)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One command as it is on the wire; empty when the client has hung up."""
    try:
        head = await reader.readuntil(b"\r\n")
        words = [head]
        for _ in range(int(head[1:])):
            size = await reader.readuntil(b"\r\n")
            words += (size, await reader.readexactly(int(size[1:]) + 2))
    except asyncio.IncompleteReadError:
        return b""
    return b"".join(words)


async def _reply(reader: asyncio.StreamReader) -> bytes:
    """One reply in RESP2, however deep."""
    head = await reader.readuntil(b"\r\n")
    kind, rest = head[:1], head[1:]
    if kind == b"$" and int(rest) >= 0:
        return head + await reader.readexactly(int(rest) + 2)
    if kind == b"*":
        return head + b"".join([await _reply(reader) for _ in range(int(rest))])
    return head


class Tunnel:
    """A TCP port that leads to another one, as routers, NATs and tunnels do."""

    def __init__(self, port: int) -> None:
        """Nothing listens before `open_tunnel`."""
        self.port = 0
        self.opened = 0
        """Connections that came through so far."""
        self._to = port
        self._pipes: list[tuple[asyncio.Task[None], list[asyncio.StreamWriter]]] = []

    def drop(self) -> None:
        """Forgets the connections that are there without a word to either end, as a NAT does."""
        for pipe, _ in self._pipes:
            pipe.cancel()

    def cut(self) -> None:
        """Closes the connections that are there at both ends, as a server that restarts does."""
        for pipe, ends in self._pipes:
            pipe.cancel()
            for end in ends:
                end.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.opened += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)

        async def relay() -> None:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pour(reader, far_writer))
                both.create_task(_pour(far_reader, writer))

        self._pipes.append((asyncio.ensure_future(relay()), [writer, far_writer]))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def open_tunnel(port: int) -> AsyncIterator[Tunnel]:
    """A tunnel to a port of this machine."""
    tunnel = Tunnel(port)
    listener = await asyncio.start_server(tunnel.serve, "127.0.0.1", 0)
    tunnel.port = listener.sockets[0].getsockname()[1]
    try:
        yield tunnel
    finally:
        listener.close()
        tunnel.cut()
