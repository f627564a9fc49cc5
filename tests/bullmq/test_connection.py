"""Clients to real servers in all arrangements, and what becomes of commands when one is lost."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import quote

import pytest
import redis
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ConnectionError, TimeoutError

from qtui.bullmq.connection import (
    BadUrl,
    Client,
    Server,
    connect,
    explain,
    identify,
    parse,
)
from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import BOUND, Process, Topologies, Topology, tls_server, until, whole


@pytest.fixture
async def client(topology: Topology) -> AsyncIterator[Client]:
    """A client of each arrangement that may write."""
    client = connect(parse(topology.url), read_only=False, timeout=1.0)
    yield client
    await client.aclose()


async def says(client: Client, url: str, command: Awaitable[object]) -> str:
    """The line that explains why a command fails."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await command
    await client.aclose()
    return str(explain(caught.value, parse(url)))


def blocked(topology: Topology) -> bool:
    """Whether any client waits in a blocking command."""
    return any(waiting(process) for process in topology.data)


def waiting(process: Process) -> list[dict[str, Any]]:
    """The clients of one server that wait in a blocking command."""
    with process.admin() as admin:
        return [entry for entry in admin.client_list() if "b" in entry["flags"]]


async def test_a_client_reads_writes_and_pipelines_in_every_arrangement(
    topology: Topology, client: Client
) -> None:
    assert await client.ping()
    assert await client.hset("{q}:1", mapping={"name": "charge"}) == 1
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("HGET", "{q}:1", "name")
    pipeline.execute_command("ZADD", "{q}:failed", 1.5, "1")
    pipeline.execute_command("ZRANGE", "{q}:failed", 0, -1, "WITHSCORES")
    assert await pipeline.execute() == ["charge", 1, [("1", 1.5)]]
    server = await identify(client)
    mode = "cluster" if topology.name == "cluster" else "standalone"
    assert server == Server("Redis", server.version, mode, "master")
    assert re.fullmatch(r"\d+\.\d+\.\d+", server.version)


async def test_connections_carry_our_name(topology: Topology, client: Client) -> None:
    await client.get("k")
    names: set[str] = set()
    for process in topology.data:
        with process.admin() as admin:
            names |= {entry["name"] for entry in admin.client_list()}
    assert "qtui" in names


async def test_text_that_is_no_utf8_keeps_its_identity(client: Client) -> None:
    raw = "a\udcff\udc80é"
    await client.set(raw, raw)
    assert await client.get(raw) == raw
    assert await client.strlen(raw) == 5


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_the_server_says_what_it_is(kind: str, any_server: EmbeddedServer) -> None:
    client = connect(parse(any_server.url), read_only=True)
    server = await identify(client)
    await client.aclose()
    with redis.Redis.from_url(any_server.url, decode_responses=True) as admin:
        info = admin.info("server")
    if "valkey_version" in info:
        assert server == Server("Valkey", info["valkey_version"], "standalone", "master")
    else:
        assert server == Server("Redis", info["redis_version"], "standalone", "master")


async def test_the_server_says_what_it_is_even_where_info_is_refused(topologies: Topologies) -> None:
    process = topologies.own(Process())
    with process.admin() as admin:
        admin.acl_setuser("watch", enabled=True, nopass=True, commands=["+get"], keys=["bull:*"])
        version = admin.info("server")["redis_version"]
    client = connect(parse(f"redis://watch:x@127.0.0.1:{process.port}"), read_only=True)
    assert await identify(client) == Server("Redis", version, "standalone", "master")
    await client.aclose()


async def test_a_replica_and_a_sentinel_say_so(topologies: Topologies) -> None:
    topology = topologies.get("sentinel")
    assert topology.sentinel is not None
    replica = topologies.own(Process("--replicaof", f"127.0.0.1 {topology.data[0].port}"))
    client = connect(parse(f"redis://127.0.0.1:{replica.port}"), read_only=False)
    assert (await identify(client)).role == "replica"
    url = f"redis://127.0.0.1:{replica.port}"
    assert "takes no writes: connect to its master" in await says(client, url, client.set("k", 1))
    client = connect(parse(f"redis://127.0.0.1:{topology.sentinel.port}"), read_only=True)
    assert (await identify(client)).mode == "sentinel"
    await client.aclose()


# --- who may come in -----------------------------------------------------------------------------


PASSWORD = "s3cr%t/@:?#+ ä"


@pytest.fixture(scope="session")
def locked(topologies: Topologies) -> Process:
    """A server with a password of awkward characters, and a user who may only watch."""
    process = topologies.own(Process(password=PASSWORD))
    with process.admin() as admin:
        admin.acl_setuser(
            "watch",
            enabled=True,
            passwords=[f"+{PASSWORD}"],
            keys=["bull:*"],
            commands=["+@read", "+ping"],
        )
    return process


@pytest.mark.parametrize("user", ["", "default", "watch"])
@pytest.mark.parametrize("form", ["before the host", "in the query", "unix"])
async def test_a_password_opens_the_door(locked: Process, user: str, form: str) -> None:
    secret = quote(PASSWORD, safe="")
    url = {
        "before the host": f"redis://{user}:{secret}@127.0.0.1:{locked.port}",
        "in the query": f"redis://127.0.0.1:{locked.port}?username={user}&password={secret}",
        "unix": f"unix://{user}:{secret}@{locked.socket}",
    }[form]
    client = connect(parse(url), read_only=True)
    assert await client.ping()
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("HGET", "bull:q:1", "name")
    assert await pipeline.execute() == [None]
    await client.aclose()


async def test_an_acl_that_allows_only_reads_is_enough_and_logs_one_violation_at_most(
    locked: Process,
) -> None:
    with locked.admin() as admin:
        admin.acl_log_reset()
        secret = quote(PASSWORD, safe="")
        client = connect(parse(f"redis://watch:{secret}@127.0.0.1:{locked.port}"), read_only=True)
        assert await client.get("bull:q:1") is None
        assert [entry["object"] for entry in admin.acl_log()] == ["client|setname"]
    await client.aclose()


@pytest.mark.parametrize(
    ("login", "command", "line"),
    [
        ("", ("GET", "bull:a"), "wants a password: write redis://user:password@host"),
        (":hunter2@", ("GET", "bull:a"), "refused the user name or the password in the URL"),
        ("hunter2:hunter2@", ("GET", "bull:a"), "refused the user name or the password"),
        ("watch:{}@", ("INFO",), ": its ACL does not let this user run INFO"),
        ("watch:{}@", ("CONFIG", "GET", "a"), ": its ACL does not let this user run CONFIG GET"),
        ("watch:{}@", ("GET", "hunter2"), ": its ACL does not let this user touch these keys"),
    ],
)
async def test_a_closed_door_is_explained(
    locked: Process, login: str, command: tuple[str, ...], line: str
) -> None:
    url = f"redis://{login.format(quote(PASSWORD, safe=''))}127.0.0.1:{locked.port}"
    client = connect(parse(url), read_only=False)
    said = await says(client, url, client.execute_command(*command))
    assert said.startswith(f"redis://127.0.0.1:{locked.port}/0")
    assert line in said
    assert "hunter2" not in said
    assert PASSWORD not in said


async def test_a_password_that_nobody_asked_for_is_explained(standalone: Topology) -> None:
    url = standalone.url.replace("//", "//:hunter2@")
    client = connect(parse(url), read_only=True)
    assert "leave it out" in await says(client, url, client.ping())


async def test_a_database_that_is_not_there_is_explained(standalone: Topology) -> None:
    url = standalone.url.replace("/0", "/99")
    client = connect(parse(url), read_only=True)
    said = await says(client, url, client.ping())
    assert said == f"{url} has no database of that number"


# --- TLS -----------------------------------------------------------------------------------------


async def test_tls_is_checked_and_each_doubt_has_its_advice(topologies: Topologies) -> None:
    port = parse(topologies.get("tls").url).hosts[0].port
    ca, other = topologies.certificates.ca, topologies.certificates.other_ca
    for host, options, line in (
        ("127.0.0.1", "", "add ?ssl_ca_certs=FILE with its CA, or ?ssl_cert_reqs=none"),
        ("127.0.0.1", f"?ssl_ca_certs={other}", "is not trusted"),
        ("localhost", f"?ssl_ca_certs={ca}", "add ?ssl_check_hostname=false"),
        ("127.0.0.1", f"?ssl_ca_certs={topologies.certificates.ca_key}", "TLS failed"),
    ):
        url = f"rediss://{host}:{port}{options}"
        client = connect(parse(url), read_only=True)
        assert line in await says(client, url, client.ping())


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", "ssl_cert_reqs=none"),
        ("localhost", "ssl_cert_reqs=CERT_NONE"),
        ("127.0.0.1", "ssl_ca_certs={ca}"),
        ("localhost", "ssl_ca_certs={ca}&ssl_check_hostname=no"),
    ],
)
async def test_tls_works_with_a_ca_or_without_any_check(
    topologies: Topologies, host: str, options: str
) -> None:
    port = parse(topologies.get("tls").url).hosts[0].port
    url = f"rediss://{host}:{port}?{options.format(ca=topologies.certificates.ca)}"
    client = connect(parse(url), read_only=True)
    assert await client.ping()
    await client.aclose()


async def test_a_server_may_ask_for_our_certificate(topologies: Topologies) -> None:
    files = topologies.certificates
    process, port = tls_server(files, ask_client=True)
    topologies.own(process)
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={files.ca}"
    client = connect(parse(url), read_only=True)
    assert "wants a certificate from us: add ?ssl_certfile=" in await says(
        client, url, client.ping()
    )
    url += f"&ssl_certfile={files.client}&ssl_keyfile={files.client_key}"
    client = connect(parse(url), read_only=True)
    assert await client.ping()
    await client.aclose()


async def test_tls_and_no_tls_are_told_apart(topologies: Topologies) -> None:
    topology = topologies.get("tls")
    tls_port = parse(topology.url).hosts[0].port
    url = f"redis://127.0.0.1:{tls_port}"
    client = connect(parse(url), read_only=True)
    assert "does it want TLS (rediss://)?" in await says(client, url, client.ping())
    url = f"rediss://127.0.0.1:{topology.data[0].port}"
    client = connect(parse(url), read_only=True)
    assert "speaks no TLS on this port: write redis://" in await says(client, url, client.ping())


def test_a_missing_file_is_found_before_connecting() -> None:
    for option in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        with pytest.raises(BadUrl, match=f"{option}: cannot read /nowhere: No such file"):
            connect(parse(f"rediss://:hunter2@h?{option}=/nowhere"), read_only=True)


# --- Sentinel and Cluster ------------------------------------------------------------------------


async def test_a_sentinel_that_is_dead_is_passed_over(topologies: Topologies) -> None:
    sentinel = topologies.get("sentinel").sentinel
    assert sentinel is not None
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main/3"
    client = connect(parse(url), read_only=False)
    assert await client.set("k", "in database 3")
    await client.aclose()
    with topologies.get("sentinel").data[0].admin() as admin:
        assert admin.dbsize() == 0


async def test_a_wrong_master_name_names_the_right_ones(topologies: Topologies) -> None:
    url = topologies.get("sentinel").url.replace("/main", "/mian")
    client = connect(parse(url), read_only=True)
    said = await says(client, url, client.ping())
    assert "the Sentinels know no master of that name, but: main" in said


async def test_sentinels_that_are_all_dead_are_unreachable() -> None:
    url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"
    client = connect(parse(url), read_only=True)
    assert "refused the connection" in await says(client, url, client.ping())


async def test_sentinels_may_have_a_login_of_their_own(topologies: Topologies) -> None:
    topology = topologies.get("sentinel")
    sentinel = topologies.own(Process("--port", "0", password="x", sentinel_config=""))
    del sentinel
    from tests.bullmq.topologies import sentinel_of

    locked = topologies.own(sentinel_of(topology.data[0], "--requirepass", "s3cret"))
    url = f"redis+sentinel://127.0.0.1:{locked.port}/main"
    client = connect(parse(url), read_only=True)
    assert "add ?sentinel_password=" in await says(client, url, client.ping())
    client = connect(parse(f"{url}?sentinel_password=s3cret"), read_only=True)
    assert await client.ping()
    await client.aclose()
