"""The list of releases, and what happens where it can't be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.oracle.releases import HERE, named, node, node_modules, releases


def test_the_default_list_has_every_dialect_and_python() -> None:
    default = releases(None)
    assert {release.speaks[0] for release in default if not release.is_python} == {3, 4, 5, 6}
    assert default[-1].is_python
    for name in ("4.18.3", "5.58.1", "5.81.5", "6.7.0"):
        assert named(name) in default


def test_the_option_takes_names_or_all() -> None:
    assert [release.name for release in releases("5.76.0,1.91.1")] == ["5.76.0", "1.91.1"]
    assert releases("python") == releases(None)[-1:]
    assert set(releases(None)) < set(releases("all"))
    with pytest.raises(pytest.UsageError, match=r"7\.0\.0"):
        releases("6.7.0,7.0.0")


def test_without_node_the_cases_are_skipped_but_in_ci_they_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="node is not on PATH"):
        node()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="node is not on PATH"):
        node()


def test_what_npm_installs_is_pinned_and_named_by_no_host() -> None:
    lock = json.loads(HERE.joinpath("package-lock.json").read_text("utf-8"))
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert all("integrity" in package for package in packages.values())
    assert not [path for path, package in packages.items() if "resolved" in package]


def test_every_installed_release_is_the_one_it_is_called() -> None:
    node()
    folder = node_modules(default=True)
    for release in releases(None):
        if not release.is_python:
            installed = folder / f"bullmq-{release.name}" / "package.json"
            assert json.loads(installed.read_text("utf-8"))["version"] == release.name
