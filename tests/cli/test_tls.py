"""TLS by options: what is trusted, through tunnels, and what each doubt is called."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.bullmq.topologies import (
    Certificates,
    Process,
    Topology,
    cluster_nodes,
    make_certificates,
    openssl,
    sentinel_at,
    signed,
    tls_options,
    tls_server,
)
from tests.cli.stage import Outcome, invoke
from tests.kinds import NAMES, fill
from tests.servers import free_port

NAME = "redis.qtui.internal"
"""What the certificates of most servers here are for; no resolver knows it."""


@dataclass(frozen=True)
class Stage:
    """Certificates, and servers that show them."""

    files: Certificates
    """The server's is for `NAME`."""
    folder: Path
    server: Process
    port: int
    """Where the server speaks TLS."""
    expired: int
    """The same, with a certificate that has expired."""
    asking: int
    """The same, of one that wants a client certificate."""

    @property
    def ca(self) -> list[str]:
        """Options that trust the right CA."""
        return ["--tls-ca", str(self.files.ca)]

    @property
    def named(self) -> list[str]:
        """Options that connect wherever the server is reached."""
        return [*self.ca, "--tls-server-name", NAME]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Servers with queues."""
    folder = tmp_path_factory.mktemp("tls")
    files = make_certificates(folder)
    ca = files.ca, folder / "ca.key"
    key_pair = signed(folder, "named", ca, f"DNS:{NAME}")
    late_pair = signed(folder, "late", ca, f"DNS:{NAME}", days=-1)
    files = replace(files, server=key_pair[0], server_key=key_pair[1])
    late = replace(files, server=late_pair[0], server_key=late_pair[1])
    with ExitStack() as stack:
        server, port = tls_server(files)
        stack.enter_context(server)
        fill(Topology("tls", "", (server,)))
        expired, expired_port = tls_server(late)
        stack.enter_context(expired)
        asking, asking_port = tls_server(files, ask_client=True)
        stack.enter_context(asking)
        fill(Topology("tls", "", (asking,)))
        yield Stage(files, folder, server, port, expired_port, asking_port)


def queues(port: int, *options: str, scheme: str = "rediss", tail: str = "") -> Outcome:
    """What `qtui queues` says of the server at a port."""
    return invoke("--redis", f"{scheme}://127.0.0.1:{port}{tail}", *options, "queues", "--json")


def found(outcome: Outcome) -> set[str]:
    """The queues that were listed, without a word beside them."""
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return {one["name"] for one in outcome.objects}


def refused(outcome: Outcome, words: str) -> None:
    """Checks that it said why it could not connect, in one line."""
    assert (outcome.code, outcome.out) == (3, ""), outcome
    assert words in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_name_that_is_not_the_hosts_is_verified(stage: Stage, tmp_path: Path) -> None:
    refused(queues(stage.port, *stage.ca), "not valid for '127.0.0.1'")
    refused(queues(stage.port, *stage.ca), "add --tls-server-name with the name that")
    assert found(queues(stage.port, *stage.named)) == set(NAMES)
    wrong = [*stage.ca, "--tls-server-name", "other.qtui.internal"]
    refused(queues(stage.port, *wrong), "not valid for 'other.qtui.internal'")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[profiles.far]\nredis = "rediss://127.0.0.1:{stage.port}"\n'
        f'tls-ca = "{stage.files.ca}"\ntls-server-name = "{NAME}"\n'
    )
    done = invoke("--config", str(config), "--profile", "far", "queues", "--json")
    assert found(done) == set(NAMES)


def test_a_mapped_address_is_verified_under_the_name_it_is_mapped_from(stage: Stage) -> None:
    way = ["--announced", f"{NAME}:6379=127.0.0.1:{stage.port}"]
    done = invoke("--redis", f"rediss://{NAME}", *way, *stage.ca, "queues", "--json")
    assert found(done) == set(NAMES)
    way = ["--announced", f"other.qtui.internal:6379=127.0.0.1:{stage.port}"]
    done = invoke("--redis", "rediss://other.qtui.internal", *way, *stage.ca, "queues")
    refused(done, "not valid for 'other.qtui.internal'")


def test_what_is_not_trusted_is_named_each_in_its_own_words(stage: Stage) -> None:
    name = ["--tls-server-name", NAME]
    other = ["--tls-ca", str(stage.files.other_ca)]
    for trusted in ([], other):
        refused(queues(stage.port, *name, *trusted), "self-signed certificate in certificate chain")
        refused(queues(stage.port, *name, *trusted), "add --tls-ca FILE with its CA")
    refused(queues(stage.expired, *stage.named), "certificate has expired")
    refused(queues(stage.expired, *stage.named), "the clock here or there is wrong")


def test_a_self_signed_certificate_is_trusted_as_its_own_ca(tmp_path: Path) -> None:
    key, certificate = tmp_path / "own.key", tmp_path / "own.crt"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    own = Certificates(certificate, certificate, certificate, key, certificate, key)
    server, port = tls_server(own)
    with server:
        fill(Topology("tls", "", (server,)))
        name = ["--tls-server-name", NAME]
        refused(queues(port, *name), "(self-signed certificate): add --tls-ca FILE")
        assert found(queues(port, *name, "--tls-ca", str(certificate))) == set(NAMES)


def test_any_certificate_is_accepted_at_a_price_that_is_said(stage: Stage) -> None:
    for port in (stage.port, stage.expired):
        done = queues(port, "--tls-insecure")
        assert done.code == 0
        assert "the server's certificate is not checked" in done.err
        assert "the password included" in done.err
    assert "anyone in between" in " ".join(
        invoke("--help").out.split("--tls-insecure")[1].split("--demo")[0].split()
    )


def test_a_client_certificate_is_shown_where_it_is_wanted(stage: Stage) -> None:
    files = stage.files
    refused(queues(stage.asking, *stage.named), "client certificate")
    own = ["--tls-cert", str(files.client), "--tls-key", str(files.client_key)]
    assert found(queues(stage.asking, *stage.named, *own)) == set(NAMES)
    both = stage.folder / "both.pem"
    both.write_text(files.client.read_text() + files.client_key.read_text())
    assert found(queues(stage.asking, *stage.named, "--tls-cert", str(both))) == set(NAMES)
    other = ["--tls-cert", str(files.other_ca), "--tls-key", str(stage.folder / "other-ca.key")]
    refused(queues(stage.asking, *stage.named, *other), "client certificate")
    url = f"?ssl_certfile={files.client}&ssl_keyfile={files.client_key}"
    assert found(queues(stage.asking, *stage.named, tail=url)) == set(NAMES)


def test_a_key_with_a_password_is_never_asked_for_on_the_terminal(stage: Stage) -> None:
    locked = stage.folder / "locked.key"
    secret = "hunter2"
    openssl(
        *("ec", "-in", str(stage.files.client_key), "-aes128", "-passout", f"pass:{secret}"),
        *("-out", str(locked)),
    )
    own = ["--tls-cert", str(stage.files.client), "--tls-key", str(locked)]
    done = queues(stage.asking, *stage.named, *own)
    assert done.code == 2
    assert "is encrypted: its password goes into the URL, as ?ssl_password=" in done.err
    done = queues(stage.asking, *stage.named, *own, tail="?ssl_password=wrong")
    assert (done.code, "is encrypted" in done.err) == (2, True)
    assert "wrong" not in done.err
    assert found(queues(stage.asking, *stage.named, *own, tail=f"?ssl_password={secret}"))


def test_tls_and_no_tls_are_kept_apart(stage: Stage) -> None:
    refused(queues(stage.port, scheme="redis"), "before its first reply: does it want TLS (rediss:")


@pytest.mark.parametrize("end", ["closed", "reset", "speaks something else"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "rediss+cluster", "rediss+sentinel"])
async def test_the_far_end_of_a_tunnel_is_asked_about(end: str, scheme: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if end != "closed":
            await reader.read(1)
        if end == "speaks something else":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if end == "reset":
            writer.transport.abort()
        else:
            writer.close()

    far_end = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = far_end.sockets[0].getsockname()[1]
    tail = "/main" if "sentinel" in scheme else ""
    said = await asyncio.to_thread(queues, port, scheme=scheme, tail=tail)
    far_end.close()
    plain = scheme.replace("rediss", "redis")
    words = {
        "closed": "Through a tunnel: is its other end up?",
        "reset": "Through a tunnel: is its other end up?",
        "speaks something else": f"speaks no TLS on this port: write {plain}://"
        if "ss" in scheme
        else "does not speak the Redis protocol",
    }
    refused(said, words[end])
    assert f"{scheme}://127.0.0.1:{port}" in said.err


def test_sentinel_and_its_master_speak_tls(stage: Stage) -> None:
    port = free_port()
    options = [*tls_options(stage.files, port), "--tls-replication", "yes"]
    with sentinel_at(f"127.0.0.1 {stage.port}", *options):
        url = f"rediss+sentinel://127.0.0.1:{port}/main"
        done = invoke("--redis", url, *stage.named, "queues", "--json")
        assert found(done) == set(NAMES)
        refused(invoke("--redis", url, "queues"), "add --tls-ca FILE")
        refused(invoke("--redis", url, *stage.ca, "queues"), "add --tls-server-name")
        plain = url.replace("rediss", "redis")
        refused(invoke("--redis", plain, "queues"), "does it want TLS (rediss+sentinel://)?")


@pytest.mark.slow
def test_the_nodes_of_a_cluster_speak_tls(stage: Stage) -> None:
    ports = [free_port() for _ in range(3)]

    def options(number: int) -> list[str]:
        return [*tls_options(stage.files, ports[number]), "--tls-cluster", "yes"]

    with ExitStack() as stack:
        nodes = cluster_nodes(stack, options)
        fill(Topology("cluster", "", nodes))
        for scheme in ("rediss+cluster", "rediss"):
            assert found(queues(ports[0], *stage.named, scheme=scheme)) == set(NAMES)
        refused(queues(ports[0], *stage.ca, scheme="rediss+cluster"), "add --tls-server-name")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tls-ca", "/nowhere"], "TLS: cannot read the CA: /nowhere: No such file"),
        (["--tls-ca", "/tmp"], "TLS: cannot read the CA: /tmp: Is a directory"),
        (["--tls-ca", "/dev/null"], "/dev/null holds no CA certificate in PEM format"),
        (["--tls-ca", "a\0b"], "TLS: cannot read the CA"),
        (["--tls-ca", "\x1b[31m"], "TLS: cannot read the CA: ␛[31m"),
        (["--tls-ca", ""], "is empty"),
        (["--tls-cert", "/dev/null"], "must hold a certificate and its key in PEM"),
        (["--tls-cert", "{client}"], "must hold a certificate and its key in PEM"),
        (["--tls-cert", "{client}", "--tls-key", "{server_key}"], "does not belong to the cert"),
        (["--tls-key", "{client_key}"], "--tls-key needs the certificate it belongs to"),
        (["--tls-server-name", "host:6379"], "a host name or an IP address, without a port"),
        (["--tls-server-name", "a b"], "a host name or an IP address, without a port"),
        (["--tls-server-name", ".a"], "a host name or an IP address, without a port"),
        (["--tls-server-name", "\x1b[31m"], "a host name or an IP address, without a port"),
        (["--tls-server-name", ""], "is empty"),
        (["--tls-insecure", "--tls-ca", "{ca}"], "--tls-insecure accepts any certificate"),
        (["--tls-insecure", "--tls-server-name", "a"], "--tls-insecure accepts any certificate"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    stage: Stage, options: list[str], words: str
) -> None:
    files = stage.files
    paths = {"ca": files.ca, "client": files.client, "client_key": files.client_key}
    given = [one.format(server_key=files.server_key, **paths) for one in options]
    done = queues(stage.port, *given)
    assert done.code == 2, done
    assert words in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize("option", ["--tls-insecure", "--tls-ca=/x", "--tls-server-name=x"])
def test_tls_options_are_for_tls(option: str) -> None:
    done = invoke("--redis", "redis://:hunter2@127.0.0.1:1", option, "queues")
    assert (done.code, "write rediss://" in done.err) == (2, True)
    assert "hunter2" not in done.err


@pytest.mark.parametrize(
    "line", ["tls-ca = 3", 'tls-insecure = "yes"', "announced = 1", "tls-key = ''"]
)
def test_a_profile_with_a_wrong_type_names_the_line(tmp_path: Path, line: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[profiles.far]\n{line}\n")
    done = invoke("--config", str(config), "queues")
    assert done.code == 2
    assert f"[profiles.far] {line.split()[0]} must be" in done.err
