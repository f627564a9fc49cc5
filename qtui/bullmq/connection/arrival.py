"""Receives replies: waits while bytes keep coming, and breaks off a reply that gets too large.

Redis has no command that cuts a field of a hash, and no read says beforehand how large its reply
will be. So a reader sets a limit (`at_most`). A reply beyond it is broken off and its connection
closed; the reader then asks for sizes first, or for less at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import hiredis
from redis._parsers.hiredis import NOT_ENOUGH_DATA, _AsyncHiredisParser
from redis.exceptions import ConnectionError, RedisError

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

BEARABLE: Final = 10_000_000
"""Bytes of replies that a list may read at a time; in Python they take some four times that."""

_MOVED: Final = 0.05
"""Seconds by which a time-out is moved at least."""


class ReplyTooLarge(RedisError):
    """A reply exceeds the reader's limit; nothing is wrong with the server or the connection."""

    def __init__(self, octets: int) -> None:
        super().__init__(f"the reply is larger than {octets:,} bytes")


class Allowance:
    """How many bytes of replies may come, and how many have."""

    def __init__(self, octets: int) -> None:
        self.taken = 0
        self._octets = octets

    def take(self, octets: int) -> None:
        """Counts bytes that have come.

        Raises:
            ReplyTooLarge: they are more than may come.
        """
        self.taken += octets
        if self.taken > self._octets:
            raise ReplyTooLarge(self._octets)


_ALLOWANCE: Final[ContextVar[Allowance | None]] = ContextVar("allowance", default=None)


@contextmanager
def at_most(octets: int = BEARABLE) -> Iterator[Allowance]:
    """Limits the bytes of all replies that are read inside this context, together; counts them.

    Tasks started inside count too.

    Raises:
        ReplyTooLarge: the replies exceed the limit.
    """
    allowance = Allowance(octets)
    token = _ALLOWANCE.set(allowance)
    try:
        yield allowance
    finally:
        _ALLOWANCE.reset(token)


class _Inbox(asyncio.Protocol):
    """What comes on a connection: for redis-py's stream, unless `Replies` are awaited."""

    def __init__(self, stream: asyncio.Protocol) -> None:
        self._stream = stream
        self.awaited: Replies | None = None

    def data_received(self, data: bytes) -> None:
        if self.awaited is None:
            self._stream.data_received(data)
        else:
            self.awaited.take(data)

    def eof_received(self) -> bool | None:
        if self.awaited is not None:
            self.awaited.fail(ConnectionError("Connection closed by server."))
        return self._stream.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        if self.awaited is not None:
            self.awaited.fail(error or ConnectionError("Connection closed by server."))
        self._stream.connection_lost(error)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()


class Replies:
    """The next replies on a connection, parsed as their bytes come; see `Patient.expect`."""

    def __init__(self, parser: Patient, reader: hiredis.Reader, number: int) -> None:
        self._parser = parser
        self._reader = reader
        self._number = number
        self._allowance = _ALLOWANCE.get()
        self._replies: list[Any] = []
        self._error: Exception | None = None
        self._done = asyncio.get_running_loop().create_future()

    async def all(self) -> list[Any]:
        """All of them, once they have come; a refusal is an error in its place.

        Raises:
            redis.exceptions.ConnectionError: the connection was lost, or the server takes none.
            OSError: the connection was lost.
            ReplyTooLarge: there are more bytes than `at_most` allows.
        """
        await self._done
        if self._error is not None:
            raise self._error
        return self._replies

    def take(self, data: bytes) -> None:
        """Takes in what has come."""
        try:
            if self._allowance is not None:
                self._allowance.take(len(data))
            self._reader.feed(data)
            while len(self._replies) < self._number:
                reply = self._reader.gets()
                if reply is NOT_ENOUGH_DATA:
                    self._parser.wait_on()
                    return
                if isinstance(reply, ConnectionError):
                    raise reply
                self._replies.append(reply)
        except Exception as error:  # the transport calls this: whoever waits must learn of it
            self.fail(error)
        else:
            if not self._done.done():
                self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Ends the wait for those that have not come, if any."""
        if not self._done.done():
            self._error = error
            self._done.set_result(None)


class Patient(_AsyncHiredisParser):
    """redis-py's parser with a time-out for silence only, and a limit of bytes."""

    _link: AbstractConnection
    _inbox: _Inbox

    def on_connect(self, connection: AbstractConnection) -> None:
        """Notes whose replies it reads."""
        self._link = connection
        super().on_connect(connection)  # type: ignore[no-untyped-call]  # has no annotations
        assert connection._writer is not None
        transport = connection._writer.transport
        protocol = transport.get_protocol()
        if not isinstance(protocol, _Inbox):  # behind a unix socket this comes twice
            assert isinstance(protocol, asyncio.Protocol)
            protocol = _Inbox(protocol)
            transport.set_protocol(protocol)
        self._inbox = protocol

    @contextmanager
    def expect(self, number: int) -> Iterator[Replies]:
        """The replies to commands that are sent inside this context.

        Taken from the transport as they come: redis-py, whose stream copies them twice and which
        sets a time-out for each reply, takes ten times as long for small ones.
        """
        reader = self._reader
        if reader is None or not self._connected:
            raise ConnectionError("Connection closed by server.")
        self._inbox.awaited = replies = Replies(self, reader, number)
        try:
            yield replies
        finally:
            self._inbox.awaited = None

    async def read_from_socket(self) -> bool:
        """Takes in what has come; as redis-py does, and counts it."""
        assert self._stream is not None
        assert self._reader is not None
        buffer = await self._stream.read(self._read_size)
        if not buffer:
            raise ConnectionError("Connection closed by server.")
        allowance = _ALLOWANCE.get()
        if allowance is not None:
            allowance.take(len(buffer))
        self._reader.feed(buffer)
        self.wait_on()
        return True

    def wait_on(self) -> None:
        """Waits for more bytes: the time-out starts anew, or nearly, with each that comes."""
        timeout, seconds = self._link._active_read_timeout, self._link.socket_timeout
        if timeout is None or seconds is None or timeout.expired():
            return
        then, now = timeout.when(), asyncio.get_running_loop().time()
        # To move it takes longer than the rest of what a chunk takes.
        if then is None or now + seconds - then > _MOVED:
            timeout.reschedule(now + seconds)
