"""A stage for each release and server that a case is for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from qtui.demo.server import EmbeddedServer
from tests.oracle.driver import Driver
from tests.oracle.plugin import OPTION
from tests.oracle.releases import Release, command, named, numbers, releases
from tests.oracle.stage import Stage
from tests.servers import KINDS, start

MARK = "releases"


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark that narrows the releases for a case."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(since=, before=): the BullMQ releases for which a case makes sense",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a release that is asked for, within the range that the case is marked with."""
    if "release" not in metafunc.fixturenames:
        return
    chosen = releases(metafunc.config.getoption(OPTION, default=None))
    for mark in metafunc.definition.iter_markers(MARK):
        since, before = mark.kwargs.get("since", "0.0.0"), mark.kwargs.get("before", "99.0.0")
        chosen = [one for one in chosen if numbers(since) <= one.speaks < numbers(before)]
    metafunc.parametrize("release", chosen, ids=[one.name for one in chosen], scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out cases that are for none of the releases asked for; pytest would skip them."""
    left_out = {item for item in items if _has_no_release(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _has_no_release(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    if callspec is None or "release" not in callspec.params:
        return False
    return not isinstance(callspec.params["release"], Release)


class Drivers:
    """The processes of the releases, started when first asked for."""

    def __init__(self) -> None:
        self._running: dict[Release, Driver] = {}

    def get(self, release: Release) -> Driver:
        if release not in self._running:
            self._running[release] = Driver(command(release))
        return self._running[release]

    def close_all(self) -> None:
        """Let every process close its queues and workers, and live on."""
        for driver in self._running.values():
            driver.call("close")

    def stop(self) -> None:
        for driver in self._running.values():
            driver.stop()


@pytest.fixture(scope="session")
def all_drivers() -> Iterator[Drivers]:
    """The processes of this session."""
    drivers = Drivers()
    yield drivers
    drivers.stop()


@pytest.fixture
def drivers(all_drivers: Drivers) -> Iterator[Drivers]:
    """The processes, with nothing open at the end of the test."""
    yield all_drivers
    all_drivers.close_all()


@pytest.fixture(scope="session")
def oracle_servers() -> Iterator[dict[str, EmbeddedServer]]:
    """The servers of the oracle alone: no other test flushes them during a run."""
    with contextlib.ExitStack() as stack:
        running: dict[str, EmbeddedServer] = {}
        yield running
        for server in running.values():
            stack.enter_context(server)


@pytest.fixture(params=KINDS)
def oracle_server(
    oracle_servers: dict[str, EmbeddedServer], request: pytest.FixtureRequest
) -> EmbeddedServer:
    """An empty server; the test runs once on each kind."""
    kind: str = request.param
    if kind not in oracle_servers:
        oracle_servers[kind] = start(kind)
    return oracle_servers[kind]


@pytest.fixture
def stage(oracle_server: EmbeddedServer, drivers: Drivers, release: Release) -> Stage:
    """The two sides, empty."""
    new = Stage(oracle_server, drivers.get(release), release)
    new.official.client.flushall()
    return new


@pytest.fixture
def bare_stage(oracle_server: EmbeddedServer, drivers: Drivers) -> Stage:
    """A stage for cases that bring releases of their own, or that are the same in all of them."""
    release = named("6.7.0")
    new = Stage(oracle_server, drivers.get(release), release)
    new.official.client.flushall()
    return new
