"""Fixtures for the tests of the library: servers in all arrangements."""

from __future__ import annotations

import pytest
import redis

from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import PASSWORD, Process, Topologies, Topology


@pytest.fixture(params=Topologies.NAMES)
def topology(topologies: Topologies, request: pytest.FixtureRequest) -> Topology:
    """An empty arrangement; the test runs once on each."""
    return topologies.get(request.param)


@pytest.fixture
def plain(server: EmbeddedServer) -> redis.Redis:
    """A client to `server` that waits."""
    return redis.Redis(
        unix_socket_path=server.path, decode_responses=True, encoding_errors="surrogateescape"
    )


@pytest.fixture
def standalone(topologies: Topologies) -> Topology:
    """An empty server on a port."""
    return topologies.get("standalone")


@pytest.fixture(scope="session")
def locked(topologies: Topologies) -> Process:
    """A server with `PASSWORD`, and a user ``watch`` (same password) who may read ``bull:*``."""
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
