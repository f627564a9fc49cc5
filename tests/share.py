"""Which share of the tests a run takes: all of them take three times as long.

A run of everything tries each case that needs a server with some of its values: with a good many of
few, with some of many. Which ones, the case's name decides, so that they differ from case to case
and are the same in every run. Cases marked as slow are left out: those of two seconds and more, but
for the main ones of each screen and command. With `QTUI_SLOW` all of it runs, and so does all of
what is named on the command line.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pytest

from tests.oracle.plugin import OPTION

SLOW: Final = "slow"

_FIXTURES: Final = frozenset({"servers", "oracle_servers", "topologies"})
_FOLDERS: Final = frozenset({"bench", "cli", "faults", "operations", "oracle", "ui"})
"""Folders in which tests start servers and programs of their own."""

_WHOLE: Final = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark, and decides whether all of it runs; for a worker, its master does."""
    config.addinivalue_line("markers", f"{SLOW}: runs with QTUI_SLOW, or where it is named")
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    whole = "QTUI_SLOW" in os.environ or named
    config.stash[_WHOLE] = getattr(config, "workerinput", {}).get(SLOW, whole)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells each worker of xdist, to which all folders are named as on a command line."""
    node.workerinput[SLOW] = node.config.stash[_WHOLE]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what does not run; pytest would skip it."""
    if config.stash[_WHOLE]:
        return
    every_release = config.getoption(OPTION, default=None) is not None
    left_out = {item for item in items if item.get_closest_marker(SLOW)}
    for same in _cases(items):
        if _is_sampled(same[0], every_release):
            left_out.update(sorted(same, key=_draw)[round(len(same) ** 0.5) :])
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Names a failed test at once: a run that never ends names none at its end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} failed", flush=True)


def _cases(items: Iterable[pytest.Item]) -> Iterator[list[pytest.Item]]:
    """The items that differ in values alone."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    yield from cases.values()


def _is_sampled(item: pytest.Item, every_release: bool) -> bool:
    folder = item.nodeid.split("/")[1]
    if folder == "oracle":
        return not every_release
    fixtures: tuple[str, ...] = getattr(item, "fixturenames", ())
    return folder in _FOLDERS or not _FIXTURES.isdisjoint(fixtures)


def _draw(item: pytest.Item) -> int:
    return zlib.crc32(item.nodeid.encode())
