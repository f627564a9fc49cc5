"""The read-only guard: a connection that sends only the reads on an allow-list.

It sits where redis-py turns a command into bytes, below clients, pipelines, scripts, transactions,
publish/subscribe and connections taken from the pool by hand, so every caller passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from redis.typing import EncodableT

from qtui.bullmq.connection.faults import ReadOnlyMode
from qtui.text import plain

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection
else:
    # A mixin: at run time it is combined with a real connection class.
    AbstractConnection = object

Words: TypeAlias = tuple[bytes, ...]

READS: Final = frozenset(
    b"GET MGET STRLEN GETRANGE EXISTS TYPE PTTL TTL"
    b" HGET HMGET HGETALL HLEN HEXISTS HSTRLEN HKEYS HSCAN"
    b" LLEN LRANGE LINDEX LPOS"
    b" SCARD SISMEMBER SMISMEMBER SMEMBERS SSCAN SRANDMEMBER"
    b" ZCARD ZCOUNT ZSCORE ZMSCORE ZRANK ZREVRANK ZSCAN"
    b" ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE"
    b" XLEN XRANGE XREVRANGE XREAD"
    b" SCAN SORT_RO DBSIZE INFO ROLE TIME PING ECHO"
    # The server itself refuses every write in such a script.
    b" EVAL_RO EVALSHA_RO"
    # What a connection needs for itself; none of them touches a key.
    b" AUTH HELLO SELECT READONLY READWRITE ASKING QUIT".split()
)
"""Commands that are allowed with any arguments."""

READS_OF: Final[Mapping[bytes, frozenset[bytes]]] = {
    container: frozenset(subcommands.split())
    for container, subcommands in {
        b"ACL": b"WHOAMI DRYRUN",
        b"CLIENT": b"LIST ID INFO GETNAME SETNAME SETINFO",
        b"CLUSTER": b"SLOTS SHARDS NODES INFO MYID KEYSLOT",
        b"COMMAND": b"COUNT DOCS GETKEYS GETKEYSANDFLAGS INFO LIST",
        b"MEMORY": b"USAGE",
        b"OBJECT": b"ENCODING",
        b"SENTINEL": b"MASTERS MASTER REPLICAS SLAVES SENTINELS GET-MASTER-ADDR-BY-NAME MYID",
        b"XINFO": b"STREAM GROUPS CONSUMERS",
    }.items()
}
"""Allowed subcommands, by their command."""


_NAMES: Final = frozenset(name.decode() for name in READS)


def permit(words: Words) -> None:
    """Let a read pass.

    Args:
        words: The command as it will be sent, word by word; the first two are checked.

    Raises:
        ReadOnlyMode: anything that is not on the list.
    """
    if is_read(words):
        return
    # The second word of anything but a container is a key or a script: not for the message.
    shown = words[:2] if words and words[0].upper() in READS_OF else words[:1]
    raise ReadOnlyMode(_refusal(shown))


def is_read(words: Words) -> bool:
    """Whether a command is on the list; two of its words are looked at."""
    name = words[0].upper() if words else b""
    if name in READS:
        return True
    subcommands = READS_OF.get(name)
    if subcommands is not None and len(words) > 1 and words[1].upper() in subcommands:
        return True
    return name == b"COMMAND" and len(words) == 1


def _refusal(words: Words) -> str:
    name = plain(b" ".join(words).decode("utf-8", "surrogateescape").upper()[:40])
    return f"read-only mode: {name or 'an empty command'} was not sent; only reads are"


class _Packed(list[bytes]):
    """Bytes that passed the guard; it sends no others."""


class Guarded(AbstractConnection):
    """Mixin that makes a connection class of redis-py refuse all but reads.

    Raises `ReadOnlyMode` before a byte is sent, and leaves the connection as good as it was.
    """

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """Bytes of one command.

        Raises:
            ReadOnlyMode: not a read.
        """
        name = args[0] if args else ""
        # Most are these: what is looked at is what is sent, as there is nothing in it to split.
        if type(name) is str and name in _NAMES:
            return _Packed(super().pack_command(*args))
        words = self._words(args)
        permit(words[:2])
        return _Packed(super().pack_command(*words))

    def pack_commands(self, commands: Iterable[Iterable[EncodableT]]) -> list[bytes]:
        """Bytes of several commands, or none of them.

        Raises:
            ReadOnlyMode: at least one is not a read.
        """
        # Not redis-py's own, which only joins the chunks: here each command must pass by itself.
        return _Packed(chunk for command in commands for chunk in self.pack_command(*command))

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Sends what `pack_command` or `pack_commands` of this class made, and nothing else.

        Raises:
            ReadOnlyMode: bytes of other origin.
        """
        if not isinstance(command, _Packed):
            raise ReadOnlyMode("read-only mode: ready-made bytes were not sent; only reads are")
        await super().send_packed_command(command, check_health=check_health)

    def _words(self, args: tuple[EncodableT, ...]) -> Words:
        """The words that Redis will see; what is looked at is what is sent.

        redis-py splits the first argument at blanks (``CONFIG GET``), and one of blanks alone
        vanishes, which makes the second argument the command. Once split here there is nothing
        left for it to split.
        """
        encode: Callable[[EncodableT], bytes | bytearray | memoryview] = self.encoder.encode
        encoded = [bytes(encode(arg)) for arg in args]
        return tuple(encoded[0].split()) + tuple(encoded[1:]) if encoded else ()
