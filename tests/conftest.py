"""Fixtures for everyone: an empty server for each test, and a client to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio
from hypothesis import settings

from qtui.demo.server import EmbeddedServer
from tests.bullmq.topologies import Topologies
from tests.servers import KINDS, Servers, connect

pytest_plugins = ["tests.oracle.plugin", "tests.share"]

# An example that takes longer than others is no fault: the machine may be busy.
settings.register_profile("patient", deadline=None, max_examples=40)
settings.register_profile("slow", deadline=None)
settings.load_profile("slow" if "QTUI_SLOW" in os.environ else "patient")

# Textual reads it when it is imported: Home and End would take a second each.
os.environ["TEXTUAL_ANIMATIONS"] = "none"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """All servers of this session, one a kind."""
    running = Servers()
    yield running
    running.stop()


@pytest.fixture
def server(servers: Servers) -> EmbeddedServer:
    """An empty Valkey 9."""
    return servers.empty("valkey")


@pytest.fixture(params=KINDS)
def any_server(servers: Servers, request: pytest.FixtureRequest) -> EmbeddedServer:
    """An empty server; the test runs once on each kind."""
    kind: str = request.param
    return servers.empty(kind)


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """The address of `server`."""
    return server.url


@pytest.fixture
async def client(server: EmbeddedServer) -> AsyncIterator[redis.asyncio.Redis]:
    """A client to `server`, closed at the end."""
    async with connect(server) as connection:
        yield connection


@pytest.fixture
async def any_client(any_server: EmbeddedServer) -> AsyncIterator[redis.asyncio.Redis]:
    """A client to `any_server`, closed at the end."""
    async with connect(any_server) as connection:
        yield connection


@pytest.fixture(scope="session")
def topologies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topologies]:
    """All arrangements of this session."""
    running = Topologies(tmp_path_factory.mktemp("certificates"))
    yield running
    running.stop()
