"""Where a Redis is: the URL, parsed. Pure; knows neither redis-py nor the network.

Errors here never quote a part of the URL: a password with an unescaped ``/`` or ``@`` may be
anywhere in it.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import unquote

from qtui.bullmq.connection.faults import BadUrl
from qtui.text import plain


class Topology(StrEnum):
    """How the servers behind the URL are arranged."""

    STANDALONE = "standalone"
    UNIX = "unix"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(NamedTuple):
    """A host name or IP address (IPv6 without brackets) and a port."""

    host: str
    port: int

    @property
    def shown(self) -> str:
        """``host:port``, as URLs and options take it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password, both empty when there are none; neither shows in repr."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        """Whether there is anything to log in with."""
        return bool(self.username or self.password)


class Route(NamedTuple):
    """A detour: where to connect instead of an address that a URL, Sentinel or cluster names."""

    announced: Address
    """The address that they name; port 0 is any."""
    reachable: Address
    """The one that answers here; port 0 is the announced one."""

    def leads(self, announced: Address) -> Address | None:
        """Where to connect in place of an address; None where this is about others."""
        host, port = self.announced
        if host.lower() != announced.host.lower() or port not in (0, announced.port):
            return None
        return Address(self.reachable.host, self.reachable.port or announced.port)


def parse_route(text: str) -> Route:
    """The route that ``ANNOUNCED=REACHABLE`` names, each a host or host:port.

    A port on the left is the only one it is about, and needs one on the right; without it the route
    is about all ports of the host, and keeps them.

    Raises:
        BadUrl: says in one line what to write instead.
    """
    announced, separator, reachable = text.strip().partition("=")
    if not (separator and announced and reachable) or not text.isprintable() or " " in text:
        raise BadUrl(f"--announced must be ANNOUNCED=REACHABLE, {_ROUTE_EXAMPLE}")
    try:
        route = Route(_address(announced, 0), _address(reachable, 0))
    except BadUrl:
        raise BadUrl(
            f"--announced needs host or host:port on both sides, {_ROUTE_EXAMPLE};"
            " an IPv6 address in brackets"
        ) from None
    if bool(route.announced.port) != bool(route.reachable.port):
        raise BadUrl(f"--announced needs a port on both sides or on neither, {_ROUTE_EXAMPLE}")
    return route


_ROUTE_EXAMPLE: Final = "such as 10.0.0.5:6379=localhost:16379"


@dataclass(frozen=True, slots=True)
class Tls:
    """How to check the server's certificate, and which one of our own to show."""

    verify: str = "required"
    """``required``, ``optional`` or ``none``, as redis-py has it."""
    check_hostname: bool = True
    server_name: str | None = None
    """The name that the certificate must have; None: the host that the URL, a Sentinel or the
    cluster names."""
    ca_file: str | None = None
    ca_path: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """A parsed URL. Its str and repr are the URL without user name, password and options."""

    scheme: str
    kind: Topology
    hosts: tuple[Address, ...] = ()
    """Of a cluster the nodes to start with, of Sentinel the Sentinels; none for a unix socket."""
    path: str = ""
    master: str = ""
    """The master's name, as the Sentinels know it."""
    db: int = 0
    credentials: Credentials = Credentials()
    sentinel_credentials: Credentials = Credentials()
    tls: Tls | None = None
    routes: tuple[Route, ...] = ()
    """Detours; the first that fits an address is taken."""

    @property
    def shown(self) -> str:
        """The URL in a normal form that is safe to show and store: no credentials, no options."""
        if self.path:
            return plain(f"unix://{self.path}") + (f"?db={self.db}" if self.db else "")
        hosts = ",".join(address.shown for address in self.hosts)
        # Of a cluster that was found behind redis:// the URL as it was typed.
        tail = {Topology.SENTINEL: f"/{self.master}/{self.db}", Topology.CLUSTER: ""}
        return plain(f"{self.scheme}://{hosts}" + tail.get(_SCHEMES[self.scheme][0], f"/{self.db}"))

    def leads(self, announced: Address) -> Address:
        """Where to connect for an address that a Sentinel, a cluster or the URL names."""
        found = (route.leads(announced) for route in self.routes)
        return next((one for one in found if one is not None), announced)

    def as_cluster(self, nodes: Sequence[Address] = ()) -> Target:
        """The same servers as a cluster; ``nodes`` are asked for the others where no host is."""
        return replace(self, kind=Topology.CLUSTER, hosts=self.hosts or tuple(nodes))

    def __str__(self) -> str:
        """Same as `shown`."""
        return self.shown

    def __repr__(self) -> str:
        """`shown`, so that tracebacks with local variables reveal nothing."""
        return f"Target({self.shown!r})"


_SCHEMES: Final[Mapping[str, tuple[Topology, bool]]] = {
    "redis": (Topology.STANDALONE, False),
    "rediss": (Topology.STANDALONE, True),
    "unix": (Topology.UNIX, False),
    "redis+sentinel": (Topology.SENTINEL, False),
    "rediss+sentinel": (Topology.SENTINEL, True),
    "redis+cluster": (Topology.CLUSTER, False),
    "rediss+cluster": (Topology.CLUSTER, True),
}
_ALIASES: Final[Mapping[str, str]] = {
    "valkey": "redis",
    "valkeys": "rediss",
    "tcp": "redis",
    "redis+tls": "rediss",
    "redis+ssl": "rediss",
    "redis+unix": "unix",
    "redis-socket": "unix",
    "redis+socket": "unix",
    "redis-sentinel": "redis+sentinel",
    "sentinel": "redis+sentinel",
    "redis-cluster": "redis+cluster",
    "cluster": "redis+cluster",
}
"""What other tools write for these."""

_BARE: Final = re.compile(
    r"(?=[^\d]|\d+\D)(?:[^/?#\s]*@)?(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)?(?::\d{1,5})?(?:/\d*)?(?:\?\S*)?"
)
"""An address without a scheme: ``localhost:6379``, ``:password@cache-1/2``."""

_COMMON: Final = ("db", "username", "password")
_TLS: Final = (
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
)
_SENTINEL: Final = ("sentinel_username", "sentinel_password")
# Options of redis-py and ioredis that a shared $REDIS_URL may carry; we set these ourselves.
_IGNORED: Final = frozenset(
    {
        "client_name",
        "decode_responses",
        "encoding",
        "family",
        "health_check_interval",
        "max_connections",
        "protocol",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "timeout",
    }
)
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})
_ENCODE: Final = (
    "the Redis URL cannot be read: in a user name or password write / as %2F, ? as %3F, @ as %40"
)


def parse_target(url: str) -> Target:
    """The target that a URL names.

    Forms (default port 6379, 26379 for Sentinels; ``rediss`` in place of ``redis`` for TLS)::

        redis://[[user]:password@]host[:port][/db][?options]
        unix://[[user]:password@]/path/to/socket[?db=1]
        redis+sentinel://[[user]:password@]host[:port],…/master-name[/db]
        redis+cluster://[[user]:password@]host[:port],…

    ``host:port`` and a path of a socket are understood too, and names that other tools give to
    these schemes.

    User name, password, path, master name and the values of options may be percent-encoded; ``+``
    is itself. Options: db, username, password; for TLS ssl_cert_reqs (none, optional, required),
    ssl_check_hostname, ssl_ca_certs, ssl_ca_path, ssl_certfile, ssl_keyfile, ssl_password; for
    Sentinels with their own login sentinel_username, sentinel_password.

    Raises:
        BadUrl: says in one line what to write instead, without quoting the URL.
    """
    scheme, rest = _scheme_of(url.strip())
    kind, tls = _SCHEMES[scheme]
    if not rest.isprintable() or " " in rest:
        raise BadUrl("the Redis URL holds a blank or a control character: percent-encode it")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user_info, _, hosts = authority.rpartition("@")
    if "@" in path and kind is not Topology.UNIX:
        raise BadUrl(_ENCODE)
    if "@" in query and not user_info and "password=" not in query:
        raise BadUrl(_ENCODE)
    target = Target(scheme, kind, credentials=_credentials(user_info), tls=Tls() if tls else None)
    target = _with_path(target, path)
    target = _with_options(target, query)
    if kind is Topology.UNIX:
        if hosts:
            raise BadUrl("a unix socket is written with three slashes: unix:///path/to/socket")
        return target
    return replace(target, hosts=_hosts(hosts, kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Detours and TLS: how to reach the servers of a URL, besides what the URL says."""

    announced: tuple[str, ...] = ()
    """Each as `parse_route` takes it."""
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_server_name: str | None = None
    tls_insecure: bool = False

    def of(self, target: Target) -> Target:
        """The target with these detours and TLS settings.

        Raises:
            BadUrl: an option that does not fit the URL or another one.
        """
        target = replace(target, routes=tuple(map(parse_route, self.announced)))
        if target.kind is Topology.UNIX and target.routes:
            raise BadUrl("--announced is for hosts: a unix socket has none")
        asked = self.tls_ca, self.tls_cert, self.tls_key, self.tls_server_name
        if not any(asked) and not self.tls_insecure:
            return target
        if target.tls is None:
            raise BadUrl(
                "--tls- options need TLS: write rediss:// (rediss+sentinel://, rediss+cluster://)"
            )
        return replace(target, tls=self._tls(target.tls))

    def _tls(self, tls: Tls) -> Tls:
        if self.tls_insecure and (self.tls_ca or self.tls_server_name):
            raise BadUrl(
                "--tls-insecure accepts any certificate: leave it out,"
                " or --tls-ca and --tls-server-name"
            )
        certificate = self.tls_cert or tls.certificate
        if self.tls_key and not certificate:
            raise BadUrl("--tls-key needs the certificate it belongs to: --tls-cert FILE")
        if self.tls_server_name:
            _check_server_name(self.tls_server_name)
        return replace(
            tls,
            verify="none" if self.tls_insecure else tls.verify,
            check_hostname=tls.check_hostname and not self.tls_insecure,
            server_name=self.tls_server_name or tls.server_name,
            ca_file=self.tls_ca or tls.ca_file,
            certificate=certificate,
            # A certificate of our own goes with its own key, which may be in the same file.
            key=self.tls_key or (None if self.tls_cert else tls.key),
        )


def _check_server_name(name: str) -> None:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.removesuffix(".").split(".")
        if len(name) > 253 or not all(re.fullmatch(r"[\w-]{1,63}", label) for label in labels):
            raise BadUrl(
                "--tls-server-name must be a host name or an IP address, without a port"
            ) from None


def _scheme_of(url: str) -> tuple[str, str]:
    """The scheme, and what comes behind ``://``; `_BARE` and paths have theirs by their looks."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator and url.startswith("/"):
        return "unix", url
    if not separator and _BARE.fullmatch(url):
        return "redis", url
    if separator and (known := _ALIASES.get(scheme, scheme)) in _SCHEMES:
        return known, rest
    if url.isdecimal():
        raise BadUrl("a port alone is not an address: write localhost:PORT")
    near = difflib.get_close_matches(scheme if separator else url.partition(":")[0], _SCHEMES, 1)
    hint = f"did you mean {near[0]}://? " if near else ""
    known_schemes = ", ".join(f"{one}://" for one in _SCHEMES)
    raise BadUrl(f"{hint}the Redis URL must start with {known_schemes}, or be host:port")


def _credentials(user_info: str) -> Credentials:
    username, _, password = user_info.partition(":")
    return Credentials(_decoded(username), _decoded(password))


def _decoded(part: str) -> str:
    return unquote(part, errors="surrogateescape")


def _hosts(hosts: str, kind: Topology) -> tuple[Address, ...]:
    port = 26379 if kind is Topology.SENTINEL else 6379
    names = hosts.split(",")
    if len(names) > 1 and kind is Topology.STANDALONE:
        raise BadUrl(
            "several hosts need redis+cluster:// or redis+sentinel://; redis:// takes one host"
        )
    if len(names) > 1 and "" in names:
        raise BadUrl(
            "a host is missing in the Redis URL: it has two commas in a row, or one at an end"
        )
    return tuple(_address(name, port) for name in names)


def _address(text: str, default_port: int) -> Address:
    match = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:@#\\]*))(?::([0-9]{1,5}))?", text)
    if match is None:
        if text.count(":") > 1 and "[" not in text:
            raise BadUrl("an IPv6 address is written in brackets: redis://[::1]:6379")
        raise BadUrl("the Redis URL needs host or host:port, the port a number up to 65535")
    bracketed, name, digits = match.groups()
    port = int(digits) if digits else default_port
    if digits and not 1 <= port <= 65535:
        raise BadUrl("the port in the Redis URL must be a number from 1 to 65535")
    if bracketed:
        bracketed = unquote(bracketed)
        try:
            ipaddress.IPv6Address(bracketed)
        except ValueError:
            raise BadUrl("the brackets in the Redis URL do not hold an IPv6 address") from None
    return Address(bracketed or name or "localhost", port)


def _with_path(target: Target, path: str) -> Target:
    if target.kind is Topology.UNIX:
        if not path:
            raise BadUrl("the path is missing: unix:///path/to/socket")
        return replace(target, path="/" + _decoded(path))
    if target.kind is Topology.SENTINEL:
        master, _, path = path.partition("/")
        if not master:
            raise BadUrl("the master's name is missing: redis+sentinel://host:26379/master-name")
        target = replace(target, master=_decoded(master))
    path = path.strip("/")
    return replace(target, db=_db(path, target.kind)) if path else target


def _db(digits: str, kind: Topology) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", digits):
        raise BadUrl("what follows the host must be a database number: redis://host:6379/0")
    db = int(digits)
    if db and kind is Topology.CLUSTER:
        raise BadUrl("a cluster has database 0 only: leave the number out")
    return db


def _with_options(target: Target, query: str) -> Target:
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        _check_option(target, name)
        options[name] = _decoded(value)
    if "db" in options:
        target = replace(target, db=_db(options["db"], target.kind))
    own = target.credentials
    return replace(
        target,
        credentials=Credentials(
            options.get("username", own.username), options.get("password", own.password)
        ),
        sentinel_credentials=Credentials(
            options.get("sentinel_username", ""), options.get("sentinel_password", "")
        ),
        tls=_tls(options) if target.tls else None,
    )


def _check_option(target: Target, name: str) -> None:
    if name in _TLS and target.tls is None:
        raise BadUrl("ssl_ options need TLS: write rediss:// in place of redis://")
    if name in _SENTINEL and target.kind is not Topology.SENTINEL:
        raise BadUrl("sentinel_ options need a URL that starts with redis+sentinel://")
    known = {*_COMMON, *_TLS, *_SENTINEL}
    if name in known or name in _IGNORED:
        return
    nearest = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(sorted(known))}"
    raise BadUrl(f"the Redis URL has an unknown option: {hint}")


def _tls(options: Mapping[str, str]) -> Tls:
    # Celery and others write the names of Python's constants: CERT_NONE.
    verify = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if verify not in ("none", "optional", "required"):
        raise BadUrl("ssl_cert_reqs must be none, optional or required")
    check_hostname = options.get("ssl_check_hostname", "true").lower()
    if check_hostname not in _YES | _NO:
        raise BadUrl("ssl_check_hostname must be true or false")
    return Tls(
        verify=verify,
        check_hostname=check_hostname in _YES,
        ca_file=options.get("ssl_ca_certs"),
        ca_path=options.get("ssl_ca_path"),
        certificate=options.get("ssl_certfile"),
        key=options.get("ssl_keyfile"),
        key_password=options.get("ssl_password"),
    )
