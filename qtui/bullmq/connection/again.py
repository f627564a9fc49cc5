"""Sends a read again on a fresh connection if the old one was lost; never a write.

A router or a firewall that drops idle connections, a laptop that slept, and a server that was
restarted leave connections that only look alive, beside a healthy server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.typing import EncodableT

from qtui.bullmq.connection.guard import is_read
from qtui.bullmq.connection.link import Courteous, NotConnected

Arguments: TypeAlias = Sequence[EncodableT]
"""A command as it is given to redis-py."""

POOL_IS_EMPTY: Final = "No connection available."
"""What redis-py says if all connections of a pool stay in use."""


def may_ask_again(
    error: BaseException, commands: Iterable[Arguments], *, may_have_moved: bool = False
) -> bool:
    """Whether a connection was lost while all commands on it were reads.

    Subclasses of these errors mean something else: a refused login, or a server that accepts no
    connection, which a fresh one would not change.

    Args:
        error: the error raised.
        commands: every command that was sent.
        may_have_moved: another server may have taken over from one that accepts no connection.
    """
    kinds = (ConnectionError, TimeoutError, *([NotConnected] if may_have_moved else []))
    lost = type(error) in kinds and str(error) != POOL_IS_EMPTY
    return lost and all(map(_reads, commands))


def _reads(words: Arguments) -> bool:
    first, *rest = words
    name = first.upper().split() if isinstance(first, str) else []
    second = rest[0].upper() if rest and isinstance(rest[0], str) else ""
    return is_read(tuple(word.encode("utf-8", "surrogateescape") for word in (*name, second)[:2]))


class Single(Redis):
    """redis-py's client of one server, which repeats reads when a connection was lost."""

    async def execute_command(self, *args: EncodableT, **options: Any) -> Any:
        """One command and its reply; a read at most twice, within twice the time-out."""
        try:
            return await self._execute_once(*args, **options)
        except (ConnectionError, TimeoutError) as error:
            if not may_ask_again(error, [args]):
                raise
        # The idle ones are as old as the one that was lost.
        await self.connection_pool.disconnect(inuse_connections=False)
        return await self._execute_once(*args, **options)

    async def _execute_once(self, *args: EncodableT, **options: Any) -> Any:
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # has none

    async def exchange(self, commands: Sequence[Arguments]) -> list[Any]:
        """Several commands in one round trip; a refusal is an error in its place.

        Where all are reads and the connection was lost, they are sent once more.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: no connection, or it was lost.
        """
        try:
            return await self._exchange_once(commands)
        except (ConnectionError, TimeoutError) as error:
            if not may_ask_again(error, commands):
                raise
        await self.connection_pool.disconnect(inuse_connections=False)
        return await self._exchange_once(commands)

    async def _exchange_once(self, commands: Sequence[Arguments]) -> list[Any]:
        pool = self.connection_pool
        link = await pool.get_connection()
        try:
            assert isinstance(link, Courteous)
            replies = await link.exchange(commands)
        finally:
            await pool.release(link)
        names = [str(command[0]) for command in commands]
        shapers = {name: self.response_callbacks.get(name) for name in set(names)}
        if any(shapers.values()):
            for at, name in enumerate(names):
                shape = shapers[name]
                if shape is not None and not isinstance(replies[at], ResponseError):
                    replies[at] = shape(replies[at])
        return replies

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A pipeline that is repeated too, if it holds only reads."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        try:
            return await super().execute(raise_on_error)
        except (ConnectionError, TimeoutError) as error:
            if self.watching or not may_ask_again(error, [args for args, _ in stack]):
                raise
        await self.connection_pool.disconnect(inuse_connections=False)
        self.command_stack = stack
        return await super().execute(raise_on_error)
