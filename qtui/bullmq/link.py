"""The connections themselves: each of redis-py's kinds, with our manners, guarded or not."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import hiredis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError
from redis.typing import EncodableT

from qtui.bullmq.guard import Guarded
from qtui.bullmq.target import Kind, Target

CLIENT_NAME: Final = "qtui"
"""What CLIENT LIST calls our connections."""

if TYPE_CHECKING:
    _Base = AbstractConnection
else:
    # A mixin: at run time the real connection class stands behind it.
    _Base = object


class Courteous(_Base):
    """Mixin: says who we are if it may, leaves no password in tracebacks, and stops when told."""

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Logs in and selects the database, then tells Redis who we are.

        redis-py's own `client_name` fails the connection where an ACL refuses CLIENT SETNAME.
        """
        try:
            await super().on_connect_check_health(check_health=check_health)
        except RedisError as error:
            # The frames below hold user name and password in local variables, and Textual prints
            # those when it dies; `from` would chain them again.
            raise error.with_traceback(None)  # noqa: B904 -- see above
        await self.send_command("CLIENT", "SETNAME", CLIENT_NAME, check_health=False)
        try:
            await self.read_response()
        except ResponseError as error:
            # Protected mode answers the first command, whichever it is, and then hangs up.
            if "DENIED" in str(error):
                raise

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Does what redis-py does, in C: the words of a batch take a tenth of the time.

        What hiredis does not take (text that is no UTF-8, a type of its own) redis-py packs.
        """
        name, *rest = args
        if isinstance(name, str | bytes):
            try:
                return [hiredis.pack_command((*name.split(), *rest))]
            except (TypeError, UnicodeError):
                pass
        return super().pack_command(*args)

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Does what redis-py does, but never swallows a cancellation.

        redis-py sends under `asyncio.wait_for`, which in Python 3.11 ignores a cancel that comes
        as the last byte goes out: a worker that was replaced would go on and show old data.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]  # has no annotations
        ready = command.encode() if isinstance(command, str) else command
        chunks = [ready] if isinstance(ready, bytes) else ready
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(chunks)
        except builtins.TimeoutError:
            await self.disconnect(nowait=True)
            raise TimeoutError("Timeout writing to socket") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise ConnectionError(f"Error while writing to socket: {error}") from error
        except (
            BaseException
        ):  # cancelled too: part of the command may be out, so nothing may follow
            await self.disconnect(nowait=True)
            raise


class _Tcp(Courteous, Connection):
    pass


class _TlsTcp(Courteous, SSLConnection):
    pass


class _Unix(Courteous, UnixDomainSocketConnection):
    pass


class _SentinelTcp(Courteous, SentinelManagedConnection):
    pass


class _SentinelTls(Courteous, SentinelManagedSSLConnection):
    pass


class _GuardedTcp(Guarded, _Tcp):
    pass


class _GuardedTlsTcp(Guarded, _TlsTcp):
    pass


class _GuardedUnix(Guarded, _Unix):
    pass


class _GuardedSentinelTcp(Guarded, _SentinelTcp):
    pass


class _GuardedSentinelTls(Guarded, _SentinelTls):
    pass


_GUARDED: Final[Mapping[type[AbstractConnection], type[AbstractConnection]]] = {
    _Tcp: _GuardedTcp,
    _TlsTcp: _GuardedTlsTcp,
    _Unix: _GuardedUnix,
    _SentinelTcp: _GuardedSentinelTcp,
    _SentinelTls: _GuardedSentinelTls,
}


def link_class(
    target: Target, *, read_only: bool, managed: bool = False
) -> type[AbstractConnection]:
    """The class of the connections to a target.

    Args:
        target: Where to.
        read_only: With the guard.
        managed: Ask the Sentinels for the master's address each time it connects.
    """
    link: type[AbstractConnection]
    if target.kind is Kind.UNIX:
        link = _Unix
    elif managed:
        link = _SentinelTls if target.tls else _SentinelTcp
    else:
        link = _TlsTcp if target.tls else _Tcp
    return _GUARDED[link] if read_only else link
