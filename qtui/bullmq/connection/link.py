"""The connection classes: each kind of redis-py's, with our additions, guarded or not."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

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

from qtui.bullmq.connection.arrival import Patient
from qtui.bullmq.connection.guard import Guarded
from qtui.bullmq.connection.target import Address, Target, Topology

CLIENT_NAME: Final = "qtui"
"""What CLIENT LIST calls our connections."""

IDLE: Final = 10.0
"""Seconds of silence after which a connection must prove with a PING that it is still there."""

_PROOF: Final = 2.0
"""Seconds that the PING may take. Routers drop idle connections without a word to either end."""

_COUNT_OF_ONE: Final = len(b"*1\r\n")

if TYPE_CHECKING:
    _Base = AbstractConnection
    _TcpBase = Connection
else:
    # A mixin: at run time it is combined with a real connection class.
    _Base = object
    _TcpBase = object


def _bulk(word: EncodableT) -> bytes:
    """A word as it is sent, without the count of words in front of it."""
    ready: tuple[Any, ...] = (word,)
    packed: bytes = hiredis.pack_command(ready)
    return packed[_COUNT_OF_ONE:]


def _around_second(words: Sequence[EncodableT]) -> tuple[bytes, bytes]:
    """A command as it is sent, before and behind its second word.

    Raises:
        TypeError, UnicodeError: hiredis can't pack it, or its name is of several words.
    """
    name = words[0]
    if not isinstance(name, str) or name.split() != [name]:
        raise TypeError("not one word")
    return b"*%d\r\n" % len(words) + _bulk(name), b"".join(map(_bulk, words[2:]))


class NotConnected(ConnectionError):
    """Connecting failed; the cause says why."""

    def __init__(self, announced: Address, reachable: Address) -> None:
        self.announced = announced
        """The address as the URL, a Sentinel or the cluster names it."""
        self.reachable = reachable
        """The address that was tried."""
        super().__init__(f"no connection to {announced.host}:{announced.port}")


class Routed(_TcpBase):
    """Mixin: takes the detour that ``--announced`` names, and says which address failed.

    The certificate is checked against the announced address, not against the detour, unless the
    user gives a name.
    """

    def __init__(
        self,
        *,
        route: Callable[[Address], Address],
        server_name: str | None,
        **options: Any,  # of redis-py's connections, of a dozen types
    ) -> None:
        self._route = route
        self._server_name = server_name
        super().__init__(**options)

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Connects if need be.

        Raises:
            NotConnected: the address does not answer, or not in time.
        """
        try:
            await super().connect_check_health(check_health, retry_socket_connect)
        except (ConnectionError, TimeoutError) as error:
            # A refusal of the server is one of a subclass, and says all there is to say.
            if type(error) not in (ConnectionError, TimeoutError):
                raise
            named = self._named
            raise NotConnected(named, self._route(named)) from error

    @property
    def _named(self) -> Address:
        return Address(self.host, self.port)

    def _connection_arguments(self) -> Mapping[str, object]:
        arguments = dict(super()._connection_arguments())
        host, port = self._route(self._named)
        arguments.update(host=host, port=port)
        if "ssl" in arguments:
            arguments["server_hostname"] = self._server_name or self.host
        return arguments


class Courteous(_Base):
    """Mixin: names the client, keeps passwords out of tracebacks, and heeds a cancellation."""

    def __init__(self, **options: Any) -> None:  # of redis-py's connections, of a dozen types
        super().__init__(**options)
        self.set_parser(Patient)

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Logs in, selects the database, then names the client.

        redis-py's own `client_name` fails the connection where an ACL refuses CLIENT SETNAME.
        """
        # A fresh one needs no proof, least of all before the login.
        self.next_health_check = asyncio.get_running_loop().time() + IDLE
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

    async def check_health(self) -> None:
        """Connects anew if the connection is gone, before anything is sent on it.

        So the next command, even a write, is sent once. Costs nothing on a connection in use, and a
        PING after `IDLE` seconds.
        """
        if self.is_connected and not (self._is_cut_off() or await self._fell_asleep()):
            return
        await self.disconnect(nowait=True)
        await self.connect()  # type: ignore[no-untyped-call]  # has no annotations

    def _is_cut_off(self) -> bool:
        """Whether the other end is known to have closed the connection."""
        reader = self._reader
        return reader is None or reader.at_eof() or reader.exception() is not None

    async def _fell_asleep(self) -> bool:
        """Whether it was idle for so long that it needed a PING, and did not answer it."""
        next_check: float = self.next_health_check
        if asyncio.get_running_loop().time() < next_check:
            return False
        try:
            async with asyncio.timeout(_PROOF):
                await self.send_command("PING", check_health=False)
                await self.read_response()
        except ResponseError:
            return False  # an ACL forbids PING: it is there
        except (builtins.TimeoutError, ConnectionError, TimeoutError):
            return True
        return False

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Does what redis-py does, in C: the words of a batch take a tenth of the time.

        redis-py packs what hiredis can't: text that is not UTF-8, and its own types.
        """
        name = args[0]
        if isinstance(name, str | bytes):
            words = name.split()
            ready: tuple[Any, ...] = args if words == [name] else (*words, *args[1:])
            try:
                return [hiredis.pack_command(ready)]
            except (TypeError, UnicodeError):
                pass
        return super().pack_command(*args)

    def pack_commands(self, commands: Iterable[Iterable[EncodableT]]) -> list[bytes]:
        """Does what redis-py does; the transport joins them.

        Of commands in a row that differ in their second word only, such as the same read of many
        keys, the other words are packed once: with 17 of them that takes an eighth of the time.
        """
        chunks: list[bytes] = []
        last: tuple[EncodableT, ...] = ()
        around: tuple[bytes, bytes] | None = None
        for command in commands:
            words = tuple(command)
            if len(words) < 3 or words[:1] != last[:1] or words[2:] != last[2:]:
                last, around = words, None
                chunks += self.pack_command(*words)
                continue
            try:
                before, behind = around = around or _around_second(words)
                chunks += (before, _bulk(words[1]), behind)
            except (TypeError, UnicodeError):
                chunks += self.pack_command(*words)
        return chunks

    async def exchange(self, commands: Iterable[Iterable[EncodableT]]) -> list[Any]:
        """Sends commands at once, and returns their replies; a refusal is an error in its place.

        The replies are as Redis sent them, without what redis-py makes of some.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: no connection, or it was lost.
        """
        every = list(commands)
        packed = self.pack_commands(every)
        await self.check_health()
        parser, where = self._parser, self._host_error()
        assert isinstance(parser, Patient)
        try:
            with parser.expect(len(every)) as replies:
                await self.send_packed_command(packed, check_health=False)
                async with asyncio.timeout(self.socket_timeout) as timeout:
                    self._active_read_timeout = timeout  # type: ignore[assignment]  # typed as None
                    try:
                        return await replies.all()
                    finally:
                        self._active_read_timeout = None
        except builtins.TimeoutError:
            await self.disconnect(nowait=True)
            raise TimeoutError(f"Timeout reading from {where}") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise ConnectionError(f"Error while reading from {where} : {error.args}") from error
        except BaseException:  # cancelled too: replies are still to come, so nothing may follow
            await self.disconnect(nowait=True)
            raise

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Does what redis-py does, but never swallows a cancellation.

        redis-py sends under `asyncio.wait_for`, which in Python 3.11 ignores a cancel that comes
        as the last byte goes out: a worker that was replaced would continue and show old data.
        """
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()
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


class _Tcp(Courteous, Routed, Connection):
    pass


class _TlsTcp(Courteous, Routed, SSLConnection):
    pass


class _Unix(Courteous, UnixDomainSocketConnection):
    pass


class _SentinelTcp(Courteous, Routed, SentinelManagedConnection):
    pass


class _SentinelTls(Courteous, Routed, SentinelManagedSSLConnection):
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
    if target.kind is Topology.UNIX:
        link = _Unix
    elif managed:
        link = _SentinelTls if target.tls else _SentinelTcp
    else:
        link = _TlsTcp if target.tls else _Tcp
    return _GUARDED[link] if read_only else link
