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


class Patient(_AsyncHiredisParser):
    """redis-py's parser with a time-out for silence only, and a limit of bytes."""

    _link: AbstractConnection

    def on_connect(self, connection: AbstractConnection) -> None:
        """Notes whose replies it reads."""
        self._link = connection
        super().on_connect(connection)  # type: ignore[no-untyped-call]  # has no annotations

    async def read_many(self, number: int) -> list[Any]:
        """The next replies as they come; a refusal is an error in its place.

        Takes 2 µs a reply; redis-py, which sets a time-out for each of them, takes ten times that.

        Raises:
            redis.exceptions.ConnectionError: the connection was lost, or the server takes none.
        """
        reader = self._reader
        if reader is None or not self._connected:
            raise ConnectionError("Connection closed by server.")
        replies: list[Any] = []
        while len(replies) < number:
            reply = reader.gets()
            if reply is NOT_ENOUGH_DATA:
                await self.read_from_socket()
            elif isinstance(reply, ConnectionError):
                raise reply
            else:
                replies.append(reply)
        return replies

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
        self._wait_on()
        return True

    def _wait_on(self) -> None:
        """Waits for more bytes; the time-out starts anew with each that comes."""
        timeout, seconds = self._link._active_read_timeout, self._link.socket_timeout
        if timeout is None or seconds is None or timeout.expired():
            return
        then, now = timeout.when(), asyncio.get_running_loop().time()
        # To move it takes longer than the rest of what a chunk takes.
        if then is None or now + seconds - then > _MOVED:
            timeout.reschedule(now + seconds)
