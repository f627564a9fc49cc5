"""No queue where they were looked for: the answer says where there are some."""

from __future__ import annotations

import pytest
from redis import Redis

from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topologies
from tests.cli.stage import connect, failed, invoke
from tests.kinds import fill

POSTGRES = "BullMQ 6 can also keep its queues in Postgres, which qtui does not read."


def url_of(server: EmbeddedServer, database: int) -> str:
    """The address of a database."""
    return f"{server.url}?db={database}"


def said(url: str, *command: str, code: int = 0) -> str:
    """What a command says on stderr, in one line."""
    done = invoke("--redis", url, *command)
    assert (done.code, done.out) == (code, ""), done
    return done.err.replace("\n", " ").strip()


def test_queues_under_another_prefix_and_in_another_database_are_named(
    any_server: EmbeddedServer,
) -> None:
    url = url_of(any_server, 0)
    failed(url, 1, prefix="app:eu")
    failed(url, 1, prefix="app:eu", name="emails")
    failed(url_of(any_server, 3), 1)
    try:
        here = "2 queues under app:eu:* (--prefix app:eu)"
        there = "1 queue under bull:* in database 3 (redis://…/3)"
        expected = f"no queues under bull:* Queues elsewhere: {here}; {there}. {POSTGRES}"
        for command in (["queues"], ["queues", "--json"], ["errors", "*"], ["jobs", "*"]):
            assert said(url, *command) == expected
        assert f" under bull:*. Queues elsewhere: {here}" in said(url, "jobs", "q", code=2)
        assert f"any of 0 queues under bull:*. Queues elsewhere: {here}" in said(
            url, "show", "*", "1", code=1
        )
        assert invoke("--redis", url, "--prefix", "app:eu", "queues", "--json").err == ""
        assert said(url_of(any_server, 5), "queues").count("in database") == 2
    finally:
        with connect(any_server.url) as client:
            client.flushall()


def test_where_there_is_none_at_all_the_keys_are_counted(any_server: EmbeddedServer) -> None:
    with connect(any_server.url) as client:
        client.set("bull:q:meta:no", 1)
        client.hset("session:user:meta", "a", 1)
    with connect(url_of(any_server, 7)) as client:
        client.mset({f"k{number}": 1 for number in range(1200)})
    line = said(url_of(any_server, 0), "queues")
    counted = (
        "Database 0 holds 2 keys; other databases with keys: 7 (1,200); none belongs to a queue."
    )
    assert line == f"no queues under bull:* {counted} {POSTGRES}"
    with connect(any_server.url) as client:
        client.flushall()


def test_a_large_keyspace_is_looked_at_in_part(redis_url: str) -> None:
    with connect(redis_url) as client:
        for start in range(0, 60_000, 10_000):
            client.mset({f"k{start + number}": 1 for number in range(10_000)})
        client.config_resetstat()
        line = said(redis_url, "queues")
        # One search for the prefix, all of it, and a bounded one for others.
        scans = client.info("commandstats")["cmdstat_scan"]["calls"]
    assert "Database 0 holds 60,000 keys." in line
    assert "Only part of the keys were read; none belongs to a queue." in line
    assert 60 + 15 < scans <= 60 + 25


def test_on_a_cluster_other_prefixes_are_named(topologies: Topologies) -> None:
    topology = topologies.get("cluster")
    fill(topology)
    done = invoke("--redis", topology.url, "--prefix", "other", "queues")
    assert (done.code, done.out) == (0, "")
    assert "Queues elsewhere: 4 queues under bull:* (--prefix bull)." in done.err


def test_what_an_acl_hides_is_no_fault(any_server: EmbeddedServer) -> None:
    url = any_server.url
    failed(url, 1, prefix="secret")
    with connect(url) as client:
        client.acl_setuser(
            "watcher", enabled=True, passwords=["+pw"], keys=["bull:*"], commands=["+@read"]
        )
        try:
            watcher = url.replace("unix://", "unix://watcher:pw@")
            done = invoke("--redis", watcher, "--read-only", "queues")
            assert (done.code, done.out) == (0, "")
            assert POSTGRES in done.err
            assert "secret" not in done.err
        finally:
            client.acl_deluser("watcher")


@pytest.mark.parametrize("prefix", ["it's", "\x1b[31mred", "[/x]"])
def test_a_hostile_prefix_is_shown_and_does_nothing(redis_url: str, prefix: str) -> None:
    failed(redis_url, 1, prefix=prefix)
    line = said(redis_url, "queues")
    assert "1 queue under" in line
    assert "\x1b" not in line


def test_the_look_writes_nothing(any_server: EmbeddedServer) -> None:
    failed(url_of(any_server, 3), 1)
    with Redis.from_url(any_server.url, decode_responses=True) as client:
        before = client.execute_command("DEBUG", "DIGEST")
        said(any_server.url, "queues")
        assert client.execute_command("DEBUG", "DIGEST") == before
        client.flushall()
