"""From a URL to a client of redis-py: standalone, TLS, unix socket, Sentinel, Cluster.

The door to all that is about connecting; behind it stand `target` (the URL), `link` (connections),
`guard` (read-only), `sentinel`, `cluster`, `identity`, `explanation` and `faults`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider

from qtui.bullmq.cluster import Cluster
from qtui.bullmq.explanation import explain
from qtui.bullmq.faults import BadUrl, ReadOnlyMode, RedisFault, Refused, Unreachable
from qtui.bullmq.identity import Server, identify
from qtui.bullmq.link import link_class
from qtui.bullmq.sentinel import MasterPool, Sentinels
from qtui.bullmq.target import Credentials, Kind, Target, Tls, parse
from qtui.text import plain

__all__ = [
    "BadUrl",
    "Client",
    "ReadOnlyMode",
    "RedisFault",
    "Refused",
    "Server",
    "Target",
    "Unreachable",
    "connect",
    "explain",
    "identify",
    "parse",
]

Client: TypeAlias = Redis | RedisCluster

# Any: these are keyword arguments of redis-py's connections, of a dozen types.
_Options: TypeAlias = dict[str, Any]

_POOL: Final = 8
_HEALTH_CHECK: Final = 30


def connect(target: Target, *, read_only: bool, timeout: float = 5.0) -> Client:
    """A client for the target. Connects with the first command, and again after a loss.

    Each command is sent once: one that was sent and whose reply did not come raises, and its effect
    is unknown. The next command connects anew. On a cluster only those are sent on that a node
    refused to run (MOVED, ASK, TRYAGAIN).

    Replies are text, in UTF-8 with surrogateescape, in the shapes of RESP2 (the only ones that all
    servers have). At most 8 connections are open, and who wants a ninth waits for ``timeout``; a
    cluster has 64 for each node. Connecting costs one CLIENT SETNAME, AUTH and SELECT where needed,
    and one PING after 30 s of idleness.

    Whatever goes wrong later is a redis.exceptions.RedisError or a `ReadOnlyMode`; `explain` makes
    one line of it.

    Args:
        target: Where to.
        read_only: Give every connection, those to Sentinels and cluster nodes too, the guard of
            `qtui.bullmq.guard`.
        timeout: Seconds to connect, to send, and to wait for a reply. A command may block for less
            than that (``XREAD BLOCK 2000`` with 5 s), else it raises TimeoutError and its
            connection is closed.

    Raises:
        BadUrl: a file that the URL names cannot be read.
    """
    options = _options(target, timeout)
    link = link_class(target, read_only=read_only)
    if target.kind is Kind.CLUSTER:
        return Cluster(target.hosts, link, options)
    if target.kind is Kind.SENTINEL:
        return _master_client(target, read_only, options)
    if target.kind is Kind.UNIX:
        return Redis.from_pool(_pool(link, options | {"path": target.path}))
    return Redis.from_pool(_pool(link, options | target.hosts[0]._asdict()))


def _options(target: Target, timeout: float) -> _Options:
    return {
        "credential_provider": _login(target.credentials),
        "db": target.db,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": _HEALTH_CHECK,
        # redis-py would send a command again whose first try may have been run.
        "retry": Retry(NoBackoff(), retries=0),
        "encoding": "utf-8",
        "encoding_errors": "surrogateescape",
        "decode_responses": True,
        "protocol": 2,
        # No CLIENT SETINFO: an ACL that refuses it would log a violation for each connection.
        "driver_info": None,
        **(_tls_options(target.tls) if target.tls else {}),
    }


def _login(credentials: Credentials) -> UsernamePasswordCredentialProvider | None:
    """An object that, unlike the words themselves, shows nothing when it is printed."""
    if not credentials:
        return None
    return UsernamePasswordCredentialProvider(credentials.username, credentials.password)


def _tls_options(tls: Tls) -> _Options:
    files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    for name, path in files.items():
        try:
            if path is not None:
                open(path, "rb").close()
        except OSError as error:
            raise BadUrl(f"{name}: cannot read {plain(path or '')}: {error.strerror}") from None
    return {
        **files,
        "ssl_ca_path": tls.ca_path,
        "ssl_cert_reqs": tls.verify,
        "ssl_check_hostname": tls.check_hostname,
        "ssl_password": tls.key_password,
    }


def _pool(link: type[AbstractConnection], options: _Options) -> BlockingConnectionPool:
    return BlockingConnectionPool(_POOL, options["socket_timeout"], link, **options)


def _master_client(target: Target, read_only: bool, options: _Options) -> Redis:
    link = link_class(target, read_only=read_only)
    login = {"db": 0, "credential_provider": _login(target.sentinel_credentials)}
    pool = MasterPool(  # type: ignore[no-untyped-call]  # redis-py's has no annotations
        target.master,
        Sentinels(
            Redis.from_pool(_pool(link, options | login | address._asdict()))
            for address in target.hosts
        ),
        connection_class=link_class(target, read_only=read_only, managed=True),
        max_connections=_POOL,
        timeout=options["socket_timeout"],
        **options,
    )
    return Redis.from_pool(pool)
