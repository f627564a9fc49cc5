"""Fixtures for the tests of the library: servers in all arrangements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bullmq.topologies import Topologies, Topology


@pytest.fixture(scope="session")
def topologies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topologies]:
    """All arrangements of this session."""
    running = Topologies(tmp_path_factory.mktemp("certificates"))
    yield running
    running.stop()


@pytest.fixture(params=Topologies.NAMES)
def topology(topologies: Topologies, request: pytest.FixtureRequest) -> Topology:
    """An empty arrangement; the test runs once on each."""
    return topologies.get(request.param)


@pytest.fixture
def standalone(topologies: Topologies) -> Topology:
    """An empty server on a port."""
    return topologies.get("standalone")
