"""Which server answers: Redis, Valkey or another one that speaks the protocol. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from qtui.text import plain


@dataclass(frozen=True, slots=True)
class Server:
    """The server that answers; a field is empty if the server does not say."""

    name: str = ""
    """``Redis``, ``Valkey``, ``Dragonfly``, ``KeyDB``, …"""
    version: str = ""
    mode: str = ""
    """``standalone``, ``cluster`` or ``sentinel``. A Sentinel holds no queues."""
    role: str = ""
    """``master`` or ``replica``. A replica refuses writes."""


# Field of INFO that holds a server's own version; most say a redis_version of their model too.
_VERSIONS: Final = (
    ("valkey_version", "Valkey"),
    ("dragonfly_version", "Dragonfly"),
    ("kvrocks_version", "Kvrocks"),
    ("garnet_version", "Garnet"),
    ("redict_version", "Redict"),
    ("upstash_version", "Upstash"),
)


async def read_mode(client: Redis | RedisCluster) -> str:
    """``standalone``, ``cluster`` or ``sentinel``, empty where the server does not say.

    Costs one HELLO, which no ACL refuses (Redis ≥6.0), before that one INFO.

    Raises:
        redis.exceptions.RedisError: as any command does; `explain` makes a line of it.
    """
    try:
        server = _from_hello(await client.execute_command("HELLO"))
    except ResponseError:
        server = await identify(client)
    return server.mode


async def identify(client: Redis | RedisCluster) -> Server:
    """Which server this is, of a cluster one of its masters.

    Costs one INFO, O(1), about 5 kB; where an ACL refuses that, one HELLO, which none can refuse
    (Redis ≥6.0). Where that is unknown too, all fields are empty.

    Raises:
        redis.exceptions.RedisError: as any command does; `explain` makes a line of it.
    """
    try:
        return _from_info(await client.execute_command("INFO"))
    except ResponseError:
        pass
    try:
        return _from_hello(await client.execute_command("HELLO"))
    except ResponseError:
        return Server()


def _from_info(info: Mapping[str, object]) -> Server:
    name, version = "Redis", str(info.get("redis_version", ""))
    for field, title in _VERSIONS:
        if field in info:
            name, version = title, str(info[field]).removeprefix("df-v")
            break
    else:
        if "mvcc_depth" in info or "keydb-server" in str(info.get("executable", "")):
            name = "KeyDB"
    mode = info.get("redis_mode") or info.get("server_mode", "")
    return _server(name, version, mode, info.get("role", ""))


def _from_hello(reply: object) -> Server:
    pairs: Mapping[object, object] = {}
    if isinstance(reply, Mapping):
        pairs = reply
    elif isinstance(reply, list):
        pairs = dict(zip(reply[::2], reply[1::2], strict=False))
    name = str(pairs.get("server", "")).capitalize()
    return _server(name, pairs.get("version", ""), pairs.get("mode", ""), pairs.get("role", ""))


def _server(name: str, version: object, mode: object, role: object) -> Server:
    role = {"slave": "replica"}.get(str(role), role)
    return Server(plain(name), plain(str(version)), plain(str(mode)), plain(str(role)))
