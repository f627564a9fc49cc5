"""From a URL to a client of redis-py: standalone, TLS, unix socket, Sentinel, Cluster.

The entrance to everything about connecting. Behind it: `target` (the URL), `link` (connections),
`guard` (read-only), `sentinel`, `cluster`, `identity`, `explanation` and `faults`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider

from qtui.bullmq.connection.again import Single
from qtui.bullmq.connection.cluster import Cluster
from qtui.bullmq.connection.explanation import explain
from qtui.bullmq.connection.faults import BadUrl, ReadOnlyMode, RedisFault, Refused, Unreachable
from qtui.bullmq.connection.identity import Server, identify, read_mode
from qtui.bullmq.connection.link import IDLE, link_class
from qtui.bullmq.connection.sentinel import MasterPool, Sentinels
from qtui.bullmq.connection.target import (
    Address,
    Credentials,
    Reach,
    Target,
    Tls,
    Topology,
    parse_target,
)
from qtui.text import plain

__all__ = [
    "BadUrl",
    "Client",
    "Reach",
    "ReadOnlyMode",
    "RedisFault",
    "Refused",
    "Server",
    "Target",
    "Unreachable",
    "connect",
    "explain",
    "identify",
    "in_database",
    "nodes_of",
    "open_client",
    "parse_target",
    "recognise",
    "slots_of",
]

Client: TypeAlias = Redis | RedisCluster

# Any: these are keyword arguments of redis-py's connections, of a dozen types.
_Options: TypeAlias = dict[str, Any]

_POOL: Final = 8


def connect(target: Target, *, read_only: bool, timeout: float = 5.0) -> Client:
    """A client for the target. Connects with the first command, and again after a loss.

    Each write is sent once: one that was sent and whose reply did not come raises, and its effect
    is unknown. A read is sent once more on a fresh connection before it raises (`again`), so it
    takes at most twice the time-out. The next command connects anew. On a cluster only those writes
    are sent on that a node refused to run (MOVED, ASK, TRYAGAIN).

    Replies are text, in UTF-8 with surrogateescape, in the shapes of RESP2 (which every server
    speaks). At most 8 connections are open, and a ninth caller waits up to ``timeout``; a cluster
    has 64 per node. Connecting costs one CLIENT SETNAME, AUTH and SELECT where needed, and one PING
    after 10 s of idleness.

    Later errors are a redis.exceptions.RedisError or a `ReadOnlyMode`; `explain` turns them into
    one line.

    Args:
        target: Where to.
        read_only: Give every connection, those to Sentinels and cluster nodes too, the guard of
            `qtui.bullmq.connection.guard`.
        timeout: Seconds to connect, to send, and to wait for a reply. A command may block for less
            than that (``XREAD BLOCK 2000`` with 5 s), else it raises TimeoutError and its
            connection is closed.

    Raises:
        BadUrl: a file that the URL names cannot be read.
    """
    options = _options(target, timeout)
    link = link_class(target, read_only=read_only)
    if target.kind is Topology.CLUSTER:
        return Cluster(target.hosts, link, options)
    if target.kind is Topology.SENTINEL:
        return _master_client(target, read_only, options)
    if target.kind is Topology.UNIX:
        return Single.from_pool(_pool(link, options | {"path": target.path}))
    return Single.from_pool(_pool(link, options | target.hosts[0]._asdict()))


async def open_client(target: Target, *, read_only: bool) -> Client:
    """The client that `connect` makes, of the whole cluster where the URL names a node of one.

    Costs one HELLO (see `recognise`), and of a cluster its topology.

    Raises:
        BadUrl: as `connect` does.
        redis.exceptions.RedisError: the server can't be reached, or refuses.
    """
    client = connect(target, read_only=read_only)
    try:
        recognised = await recognise(client, target)
    except BaseException:  # cancelled too: no other code could close it
        await client.aclose()
        raise
    if recognised is target:
        return client
    await client.aclose()
    return connect(recognised, read_only=read_only)


def in_database(client: Redis, database: int) -> Redis:
    """A client of another database of the same server, with one connection; close it too."""
    pool = client.connection_pool
    assert isinstance(pool, BlockingConnectionPool)
    options = pool.connection_kwargs | {"db": database}
    # redis-py counts its own defaults among them.
    return Single.from_pool(
        BlockingConnectionPool(1, pool.timeout, pool.connection_class, **options)
    )


async def recognise(client: Client, target: Target) -> Target:
    """The target as a cluster where it names a node of one as a server on its own, else itself.

    Costs one HELLO, and behind a unix socket one CLUSTER SLOTS; nothing of a cluster or Sentinel.

    Raises:
        Refused: it is a Sentinel.
    """
    if target.kind not in (Topology.STANDALONE, Topology.UNIX) or isinstance(client, RedisCluster):
        return target
    mode = await read_mode(client)
    if mode == "sentinel":
        scheme = "rediss+sentinel" if target.tls else "redis+sentinel"
        raise Refused(
            f"{target.shown} is a Sentinel and holds no queues:"
            f" write {scheme}://host:port/master-name"
        )
    if mode != "cluster":
        return target
    slots = [] if target.hosts else await client.execute_command("CLUSTER", "SLOTS")
    # [first, last, [host, port, …] of the primary, …]; a node that has met no other has no host.
    primaries = (node for _, _, node, *_ in slots)
    return target.as_cluster(
        [Address(str(host or "localhost"), port) for host, port, *_ in primaries]
    )


async def nodes_of(client: Client, *, replicas: bool = False) -> list[Address]:
    """The nodes of a cluster as they announce themselves; none of another server.

    Args:
        client: of the cluster.
        replicas: those too, beside the primaries.

    Costs a look around of the cluster where its client has not done so yet, else nothing.

    Raises:
        redis.exceptions.RedisError: no node can be reached, or they refuse.
    """
    if not isinstance(client, RedisCluster):
        return []
    await client.initialize()
    nodes = client.get_nodes() if replicas else client.get_primaries()
    return [Address(node.host, int(node.port)) for node in nodes]


def slots_of(client: Client, keys: Iterable[str]) -> set[int]:
    """The slots of a cluster in which keys are; none of another server. Costs nothing."""
    return {client.keyslot(key) for key in keys} if isinstance(client, RedisCluster) else set()


def _options(target: Target, timeout: float) -> _Options:
    return {
        "credential_provider": _login(target.credentials),
        "db": target.db,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": IDLE,
        # redis-py would send a command again whose first try may have been run.
        "retry": Retry(NoBackoff(), retries=0),
        "encoding": "utf-8",
        "encoding_errors": "surrogateescape",
        "decode_responses": True,
        "protocol": 2,
        # No CLIENT SETINFO: an ACL that refuses it would log a violation for each connection.
        "driver_info": None,
        **({} if target.kind is Topology.UNIX else _route_options(target)),
        **(_tls_options(target.tls) if target.tls else {}),
    }


def _route_options(target: Target) -> _Options:
    name = target.tls.server_name if target.tls else None
    return {"route": target.leads, "server_name": name}


def _login(credentials: Credentials) -> UsernamePasswordCredentialProvider | None:
    """An object that, unlike the words themselves, shows nothing when it is printed."""
    if not credentials:
        return None
    return UsernamePasswordCredentialProvider(credentials.username, credentials.password)


def _tls_options(tls: Tls) -> _Options:
    _check_files(tls)
    return {
        "ssl_ca_certs": tls.ca_file,
        "ssl_certfile": tls.certificate,
        "ssl_keyfile": tls.key,
        "ssl_ca_path": tls.ca_path,
        "ssl_cert_reqs": tls.verify,
        "ssl_check_hostname": tls.check_hostname,
        # Without any, OpenSSL asks for one on the terminal.
        "ssl_password": tls.key_password or "",
    }


def _check_files(tls: Tls) -> None:
    """Reads the files as each connection will, so that an error can name the wrong one."""
    files = {"the CA": tls.ca_file, "the certificate": tls.certificate, "the key": tls.key}
    for name, path in files.items():
        try:
            if path is not None:
                open(path, "rb").close()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such file"
            raise BadUrl(f"TLS: cannot read {name}: {plain(path or '')}: {reason}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca_file is not None or tls.ca_path is not None:
        try:
            context.load_verify_locations(tls.ca_file, tls.ca_path)
        except (OSError, ValueError):
            shown = plain(tls.ca_file or tls.ca_path or "")
            raise BadUrl(f"TLS: {shown} holds no CA certificate in PEM format") from None
    if tls.certificate is None:
        return
    try:
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password or "")
    except ssl.SSLError as error:
        raise BadUrl(f"TLS: {_bad_chain(error, tls)}") from None


def _bad_chain(error: ssl.SSLError, tls: Tls) -> str:
    certificate, key = plain(tls.certificate or ""), plain(tls.key or tls.certificate or "")
    if "MISMATCH" in str(error):
        return f"the key in {key} does not belong to the certificate in {certificate}"
    # OpenSSL says so in as many ways as it has releases.
    if b"ENCRYPTED" in Path(tls.key or tls.certificate or "").read_bytes():
        return f"the key in {key} is encrypted: its password goes into the URL, as ?ssl_password=…"
    return f"{certificate} and {key} must hold a certificate and its key in PEM format"


def _pool(link: type[AbstractConnection], options: _Options) -> BlockingConnectionPool:
    return BlockingConnectionPool(_POOL, options["socket_timeout"], link, **options)


def _master_client(target: Target, read_only: bool, options: _Options) -> Redis:
    link = link_class(target, read_only=read_only)
    login = {"db": 0, "credential_provider": _login(target.sentinel_credentials)}
    pool = MasterPool(  # type: ignore[no-untyped-call]  # redis-py's has no annotations
        target.master,
        Sentinels(
            Single.from_pool(_pool(link, options | login | address._asdict()))
            for address in target.hosts
        ),
        connection_class=link_class(target, read_only=read_only, managed=True),
        max_connections=_POOL,
        timeout=options["socket_timeout"],
        **options,
    )
    return Single.from_pool(pool)
