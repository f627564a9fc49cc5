"""A profile that is read-only holds for its server, however that is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.bullmq.topologies import Topologies
from tests.cli.stage import Outcome, digest, failed, run
from tests.kinds import fill


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server, which can be named in several ways."""
    server = servers.start(tcp=True)
    try:
        yield servers.tcp_port(server)
    finally:
        server.stop()


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> Path:
    """The user's own file, with a read-only profile of the server."""
    folder = tmp_path / "qtui"
    folder.mkdir()
    file = folder / "config.toml"
    file.write_text(f'[profiles.production]\nredis = "{redis_url}"\nread-only = true\n')
    return file


def retrying(*args: str, environ: dict[str, str] | None = None) -> Outcome:
    return run(*args, "retry", "payments", "1", "--yes", environ=environ)


def refused(done: Outcome) -> bool:
    return done.code == 4 and "cannot retry jobs" in done.err


@pytest.mark.slow
def test_nothing_undoes_a_read_only_profile(config: Path, redis_url: str, tmp_path: Path) -> None:
    failed(redis_url, 1)
    before = digest(redis_url)
    other = tmp_path / "other.toml"
    other.write_text(
        f'redis = "{redis_url}"\nread-only = false\n'
        f'[profiles.admin]\nredis = "{redis_url}"\nread-only = false\n'
    )
    path = redis_url.removeprefix("unix://")
    link = tmp_path / "link.sock"
    link.symlink_to(path)
    writable = {"QTUI_READ_ONLY": "0"}
    for done in (
        retrying("--profile", "production", environ=writable),
        retrying("--redis", redis_url),
        retrying("--redis", f"{redis_url}?db=0", "--prefix", "bull"),
        retrying(redis_url, environ=writable),
        retrying("--redis", path),
        retrying("--redis", f"unix://{link}"),
        retrying(environ={"QTUI_REDIS": redis_url}),
        retrying(environ={"REDIS_URL": redis_url}),
        retrying("--config", str(other)),
        retrying("--config", str(other), "--profile", "admin"),
    ):
        assert refused(done), done
    assert "the profile production marks this server read-only" in done.err
    assert digest(redis_url) == before


def test_read_only_at_the_top_is_not_undone_by_a_profile_or_another_file(
    config: Path, redis_url: str, tmp_path: Path
) -> None:
    failed(redis_url, 1)
    config.write_text(
        f'read-only = true\n[profiles.admin]\nredis = "{redis_url}"\nread-only = false\n'
    )
    other = tmp_path / "other.toml"
    other.write_text("read-only = false\n")
    assert refused(retrying("--profile", "admin"))
    assert refused(retrying("--config", str(other), "--redis", redis_url))


def test_other_servers_can_be_written(config: Path, redis_url: str) -> None:
    failed(redis_url, 1)
    text = config.read_text()
    config.write_text(text.replace(redis_url, "redis://elsewhere.invalid:6379"))
    assert retrying("--redis", redis_url).code == 0


@pytest.mark.parametrize(
    "marked", ["127.0.0.1", "localhost", "LOCALHOST.", "${NOT_SET}@localhost", "u:pw@127.0.0.1"]
)
def test_names_of_one_host_are_one_server(config: Path, port: int, marked: str) -> None:
    failed(f"redis://127.0.0.1:{port}", 1)
    config.write_text(f'[profiles.p]\nredis = "redis://{marked}:{port}/3"\nread-only = true\n')
    for name in ("localhost", "127.0.0.1"):
        assert refused(retrying(f"{name}:{port}")), name
    routed = ("--redis", "redis://cache:1", "--announced", f"cache:1=localhost:{port}")
    assert refused(retrying(*routed))


@pytest.mark.parametrize("name", ["0.0.0.0", "0", "[::]", "[::ffff:127.0.0.1]", "127.0.0.2"])
def test_other_spellings_of_this_machine_are_one_server(config: Path, port: int, name: str) -> None:
    config.write_text(f'[profiles.p]\nredis = "redis://localhost:{port}"\nread-only = true\n')
    assert refused(retrying("--redis", f"redis://{name}:{port}"))


def test_a_tunnel_that_the_profile_announces_leads_to_its_server(config: Path, port: int) -> None:
    config.write_text(
        f'[profiles.p]\nredis = "redis://cache:1"\nannounced = "cache:1=localhost:{port}"\n'
        "read-only = true\n"
    )
    assert refused(retrying("--redis", f"redis://127.0.0.1:{port}"))


def test_profiles_of_one_name_in_two_files_both_hold(
    config: Path, redis_url: str, tmp_path: Path
) -> None:
    failed(redis_url, 1)
    other = tmp_path / "other.toml"
    other.write_text(config.read_text())
    config.write_text('[profiles.production]\nredis = "redis://x.invalid"\nread-only = true\n')
    assert refused(retrying("--config", str(other), "--redis", redis_url))


@pytest.mark.slow
def test_every_node_of_a_cluster_leads_to_the_marked_one(
    config: Path, topologies: Topologies
) -> None:
    cluster = topologies.get("cluster")
    fill(cluster)
    marked, *others = (f"redis://127.0.0.1:{node.port}" for node in cluster.data)
    config.write_text(f'[profiles.p]\nredis = "{marked}"\nread-only = true\n')
    for url in (*others, f"unix://{cluster.data[1].socket}", f"redis+cluster://{others[0][8:]}"):
        done = run("--redis", url, "retry", "{a}", "0", "--yes")
        assert (done.code, "the profile p marks" in done.err) == (4, True), done
    with cluster.writer() as writer:
        assert writer.zcard("bull:{a}:failed") == 3
