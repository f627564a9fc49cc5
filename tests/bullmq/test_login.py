"""Passwords, ACLs, TLS, Sentinels, clusters: who is let in, and what a closed door says."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from qtui.bullmq.connection.client import BadUrl, connect, parse_target
from tests.bullmq.topologies import (
    PASSWORD,
    Process,
    Topologies,
    Topology,
    says,
    sentinel_of,
    tls_server,
)


@pytest.mark.parametrize("user", ["", "default", "watch"])
@pytest.mark.parametrize("form", ["before the host", "in the query", "unix"])
async def test_a_password_opens_the_door(locked: Process, user: str, form: str) -> None:
    secret = quote(PASSWORD, safe="")
    url = {
        "before the host": f"redis://{user}:{secret}@127.0.0.1:{locked.port}",
        "in the query": f"redis://127.0.0.1:{locked.port}?username={user}&password={secret}",
        "unix": f"unix://{user}:{secret}@{locked.socket}",
    }[form]
    client = connect(parse_target(url), read_only=True)
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
        client = connect(
            parse_target(f"redis://watch:{secret}@127.0.0.1:{locked.port}"), read_only=True
        )
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
    client = connect(parse_target(url), read_only=False)
    said = await says(client, url, client.execute_command(*command))
    assert said.startswith(f"redis://127.0.0.1:{locked.port}/0")
    assert line in said
    assert "hunter2" not in said
    assert PASSWORD not in said


async def test_an_unneeded_password_is_explained(standalone: Topology) -> None:
    url = standalone.url.replace("//", "//:hunter2@")
    client = connect(parse_target(url), read_only=True)
    assert "leave it out" in await says(client, url, client.ping())


async def test_a_database_that_is_not_there_is_explained(standalone: Topology) -> None:
    url = standalone.url.replace("/0", "/99")
    client = connect(parse_target(url), read_only=True)
    said = await says(client, url, client.ping())
    assert said == f"{url} has no database with that number"


# --- TLS -----------------------------------------------------------------------------------------


async def test_tls_is_checked_and_each_doubt_has_its_advice(topologies: Topologies) -> None:
    port = parse_target(topologies.get("tls").url).hosts[0].port
    ca, other = topologies.certificates.ca, topologies.certificates.other_ca
    for host, options, line in (
        ("127.0.0.1", "", "add --tls-ca FILE with its CA (or a self-signed certificate itself)"),
        ("127.0.0.1", f"?ssl_ca_certs={other}", "is not trusted"),
        (
            "localhost",
            f"?ssl_ca_certs={ca}",
            "add --tls-server-name with the name that the certificate has",
        ),
    ):
        url = f"rediss://{host}:{port}{options}"
        client = connect(parse_target(url), read_only=True)
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
    port = parse_target(topologies.get("tls").url).hosts[0].port
    url = f"rediss://{host}:{port}?{options.format(ca=topologies.certificates.ca)}"
    client = connect(parse_target(url), read_only=True)
    assert await client.ping()
    await client.aclose()


async def test_a_server_may_ask_for_our_certificate(topologies: Topologies) -> None:
    files = topologies.certificates
    process, port = tls_server(files, ask_client=True)
    topologies.own(process)
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={files.ca}"
    client = connect(parse_target(url), read_only=True)
    assert "client certificate" in await says(client, url, client.ping())
    url += f"&ssl_certfile={files.client}&ssl_keyfile={files.client_key}"
    client = connect(parse_target(url), read_only=True)
    assert await client.ping()
    await client.aclose()


async def test_tls_and_no_tls_are_kept_apart(topologies: Topologies) -> None:
    topology = topologies.get("tls")
    tls_port = parse_target(topology.url).hosts[0].port
    url = f"redis://127.0.0.1:{tls_port}"
    client = connect(parse_target(url), read_only=True)
    assert "does it want TLS (rediss://)?" in await says(client, url, client.ping())
    url = f"rediss://127.0.0.1:{topology.data[0].port}"
    client = connect(parse_target(url), read_only=True, timeout=0.3)
    assert "Or does it speak no TLS (redis://)?" in await says(client, url, client.ping())


def test_a_missing_file_is_found_before_connecting() -> None:
    files = {"ssl_ca_certs": "the CA", "ssl_certfile": "the certificate", "ssl_keyfile": "the key"}
    for option, name in files.items():
        with pytest.raises(BadUrl, match=f"TLS: cannot read {name}: /nowhere: No such file"):
            connect(parse_target(f"rediss://:hunter2@h?{option}=/nowhere"), read_only=True)


async def test_a_wrong_master_name_names_the_right_ones(topologies: Topologies) -> None:
    url = topologies.get("sentinel").url.replace("/main", "/mian")
    client = connect(parse_target(url), read_only=True)
    said = await says(client, url, client.ping())
    assert "the Sentinels know no master of that name, only: main" in said


async def test_sentinels_that_are_all_dead_are_unreachable() -> None:
    url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"
    client = connect(parse_target(url), read_only=True)
    assert "refused the connection" in await says(client, url, client.ping())


async def test_sentinels_may_have_a_login_of_their_own(topologies: Topologies) -> None:
    topology = topologies.get("sentinel")
    sentinel = topologies.own(sentinel_of(topology.data[0], password="s3cret"))
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main"
    client = connect(parse_target(url), read_only=True)
    assert "add ?sentinel_password=" in await says(client, url, client.ping())
    client = connect(parse_target(f"{url}?sentinel_password=s3cret"), read_only=True)
    assert await client.ping()
    await client.aclose()


async def test_a_cluster_and_a_single_server_are_kept_apart(topologies: Topologies) -> None:
    node = topologies.get("cluster").data[0]
    url = f"redis://127.0.0.1:{node.port}"
    client = connect(parse_target(url), read_only=True)
    pipeline = client.pipeline(transaction=False)
    for number in range(9):
        pipeline.execute_command("GET", number)
    assert "write redis+cluster:// in place of redis://" in await says(
        client, url, pipeline.execute()
    )
    url = f"redis+cluster://127.0.0.1:{topologies.get('standalone').data[0].port}"
    client = connect(parse_target(url), read_only=True)
    assert "is no cluster: write redis://" in await says(client, url, client.ping())


async def test_an_acl_that_hides_the_cluster_is_not_taken_for_a_missing_one(
    topologies: Topologies,
) -> None:
    node = topologies.get("cluster").data[0]
    with node.admin() as admin:
        admin.acl_setuser("blind", enabled=True, nopass=True, commands=["+@read"], keys=["*"])
    url = f"redis+cluster://blind:x@127.0.0.1:{node.port}"
    client = connect(parse_target(url), read_only=True)
    assert "does not let this user run CLUSTER SLOTS" in await says(client, url, client.get("k"))


@pytest.mark.parametrize("protected", [True, False])
async def test_a_login_that_sentinels_refuse_is_not_to_be_added(protected: bool) -> None:
    with Process() as master, sentinel_of(master, PASSWORD if protected else "") as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main"
        wrong = f"{url}?sentinel_password=wrong"
        client = connect(parse_target(wrong), read_only=True)
        said = await says(client, wrong, client.ping())
        assert "refused the login: correct sentinel_username and sentinel_password" in said
        assert "wrong" not in said
        if protected:
            client = connect(parse_target(url), read_only=True)
            assert "add ?sentinel_password=" in await says(client, url, client.ping())
