"""From a URL to a client of redis-py: standalone, TLS, unix socket, Sentinel, Cluster.

Holds what all our connections have in common: time-outs, how replies are decoded, that no command
is ever sent twice, and the read-only guard. The rest of the interface, from other modules:
`parse`, `Target`, `identify`, `explain` and the faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from qtui.bullmq.explanation import explain
from qtui.bullmq.faults import BadUrl, ReadOnlyMode, RedisFault, Refused, Unreachable
from qtui.bullmq.guard import Guarded
from qtui.bullmq.identity import Server, identify
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

CLIENT_NAME: Final = "qtui"
"""What CLIENT LIST calls our connections."""

_POOL: Final = 8
# A cluster's nodes have no pool that waits: they raise beyond this many commands at a time.
_CLUSTER_POOL: Final = 64
_HEALTH_CHECK: Final = 30
_GONE: Final = (ConnectionError, TimeoutError, ClusterDownError)

if TYPE_CHECKING:
    _Base = AbstractConnection
else:
    # A mixin: at run time the real connection class stands behind it.
    _Base = object


class _Courteous(_Base):
    """Mixin: gives the connection a name if it may, and keeps passwords out of tracebacks."""

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Logs in and selects the database, then tells Redis who we are.

        redis-py's own `client_name` fails the connection where an ACL refuses CLIENT SETNAME.
        """
        try:
            await super().on_connect_check_health(check_health=check_health)
        except RedisError as error:
            # The frames below hold user name and password in local variables, and Textual prints
            # those when it dies.
            raise error.with_traceback(None)  # noqa: B904
        await self.send_command("CLIENT", "SETNAME", CLIENT_NAME, check_health=False)
        try:
            await self.read_response()
        except ResponseError as error:
            # Protected mode answers the first command, whichever it is, and then hangs up.
            if "DENIED" in str(error):
                raise


class _Tcp(_Courteous, Connection):
    pass


class _TlsTcp(_Courteous, SSLConnection):
    pass


class _Unix(_Courteous, UnixDomainSocketConnection):
    pass


class _SentinelTcp(_Courteous, SentinelManagedConnection):
    pass


class _SentinelTls(_Courteous, SentinelManagedSSLConnection):
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


def connect(target: Target, *, read_only: bool, timeout: float = 5.0) -> Client:
    """A client for the target. Connects with the first command, and again after a loss.

    Each command is sent once: one that was sent and whose reply did not come raises, and its effect
    is unknown. The next command connects anew. On a cluster only those are sent on that a node
    refused to run (MOVED, ASK, TRYAGAIN).

    Replies are text, in UTF-8 with surrogateescape, in the shapes of RESP2 (the only ones that all
    servers have). At most 8 connections are open, and who wants a ninth waits for ``timeout``.

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
    if target.kind is Kind.CLUSTER:
        return _Cluster(target, read_only, options)
    if target.kind is Kind.SENTINEL:
        return _sentinel_client(target, read_only, options)
    if target.kind is Kind.UNIX:
        address: dict[str, str | int] = {"path": target.path}
    else:
        address = target.hosts[0]._asdict()
    return Redis.from_pool(_pool(_class_of(target, read_only), timeout, options | address))


# Any: these are keyword arguments of redis-py's connections, of a dozen types.
_Options: TypeAlias = dict[str, Any]


def _options(target: Target, timeout: float) -> _Options:
    return {
        "credential_provider": _login(target.credentials),
        "db": target.db,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": _HEALTH_CHECK,
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


def _class_of(
    target: Target, read_only: bool, *, managed: bool = False
) -> type[AbstractConnection]:
    """The class of the connections; a managed one asks the Sentinels for the master's address."""
    plain_class: type[AbstractConnection]
    if target.kind is Kind.UNIX:
        plain_class = _Unix
    elif managed:
        plain_class = _SentinelTls if target.tls else _SentinelTcp
    else:
        plain_class = _TlsTcp if target.tls else _Tcp
    return _GUARDED[plain_class] if read_only else plain_class


def _pool(
    connection_class: type[AbstractConnection], timeout: float, options: _Options
) -> BlockingConnectionPool:
    return BlockingConnectionPool(_POOL, timeout, connection_class, **options)


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """A pool that waits when it is empty, and that closes the connections to the Sentinels too."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


_Masters: TypeAlias = dict[str, dict[str, Any]]


class _Sentinels(Sentinel):
    """Asks the Sentinels in turn, and says which of all possible things went wrong."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        problem: RedisError | None = None
        known: set[str] = set()
        for index, sentinel in enumerate(self.sentinels):
            try:
                masters = cast(_Masters, await sentinel.sentinel_masters())
            except (ConnectionError, TimeoutError, NoPermissionError) as error:
                problem = error
                continue
            known.update(masters)
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                # The one that knows is asked first from now on.
                self.sentinels.insert(0, self.sentinels.pop(index))
                return state["ip"], state["port"]
        if service_name in known:
            raise MasterNotFoundError("the Sentinels hold the master for down: try again soon")
        if known:
            names = plain(", ".join(sorted(known)))
            raise MasterNotFoundError(f"the Sentinels know no master of that name, but: {names}")
        if problem is None:
            raise MasterNotFoundError("the Sentinels know no master at all")
        raise MasterNotFoundError("no Sentinel could be asked") from problem


def _sentinel_client(target: Target, read_only: bool, options: _Options) -> Redis:
    timeout = options["socket_timeout"]
    of_sentinels = options | {"db": 0, "credential_provider": _login(target.sentinel_credentials)}
    sentinels = _Sentinels([])  # type: ignore[no-untyped-call]
    sentinels.sentinels = [
        Redis.from_pool(
            _pool(_class_of(target, read_only), timeout, of_sentinels | address._asdict())
        )
        for address in target.hosts
    ]
    pool = _SentinelPool(  # type: ignore[no-untyped-call]
        target.master,
        sentinels,
        connection_class=_class_of(target, read_only, managed=True),
        max_connections=_POOL,
        timeout=timeout,
        **options,
    )
    return Redis.from_pool(pool)


class _Cluster(RedisCluster):
    """A cluster whose nodes have our connections, and that looks around again after a loss."""

    def __init__(self, target: Target, read_only: bool, options: _Options) -> None:
        # retries=0: redis-py would send a command again whose first try may have been run.
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
            retry=options["retry"],
            max_connections=_CLUSTER_POOL,
            protocol=options["protocol"],
            encoding_errors=options["encoding_errors"],
            decode_responses=options["decode_responses"],
        )
        # It takes no connection class, and not every option that its connections do.
        self.connection_kwargs.update(options, connection_class=_class_of(target, read_only))
        manager = self.nodes_manager
        manager.connection_kwargs = self.connection_kwargs
        for name, node in manager.startup_nodes.items():
            ours = ClusterNode(node.host, node.port, **self.connection_kwargs)
            manager.startup_nodes[name] = ours

    def pipeline(
        self, transaction: bool | None = None, shard_hint: object = None
    ) -> ClusterPipeline:
        return _ClusterPipeline(self, transaction)  # type: ignore[abstract]

    def look_around(self) -> None:
        """Asks for the nodes and slots before the next command."""
        self._initialize = True


class _ClusterPipeline(ClusterPipeline):
    """A pipeline that tells its cluster when a node is gone.

    redis-py tells it as a part of sending again; without that, a pipeline would go to the dead node
    for ever.
    """

    async def execute(
        self, raise_on_error: bool = True, allow_redirections: bool = True
    ) -> list[Any]:
        cluster = self.cluster_client
        assert isinstance(cluster, _Cluster)
        try:
            replies = await super().execute(raise_on_error, allow_redirections)
        except _GONE:
            cluster.look_around()
            raise
        if any(isinstance(reply, _GONE) for reply in replies):
            cluster.look_around()
        return replies
