"""The BullMQ releases that the oracle asks: which there are, and how they get onto this machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn

import platformdirs
import pytest

from tests.oracle.plugin import OPTION

HERE: Final = Path(__file__).parent
PYTHON: Final = "python"
"""What the option --oracle-releases calls the Python package."""

_ALIAS: Final = "bullmq-"
_NPM_MINUTES: Final = 5


@dataclass(frozen=True, slots=True)
class Release:
    """One BullMQ release. `speaks` is the node release whose Lua scripts it runs."""

    name: str
    speaks: tuple[int, int, int]

    @property
    def is_python(self) -> bool:
        return self.name.startswith(PYTHON)

    @property
    def at_least_5(self) -> bool:
        """Whether it counts attempts in ``atm`` and ``ats`` and wakes workers by ``marker``."""
        return self.speaks >= (5, 0, 0)

    @property
    def writes_version(self) -> bool:
        """Whether opening a Queue writes ``meta.version`` (keyspace: node, gaps before 5.20.0)."""
        early = (3, 16, 0) <= self.speaks < (4, 0, 0) or (4, 18, 0) <= self.speaks < (5, 0, 0)
        return not self.is_python and (early or self.speaks >= (5, 20, 0))

    @property
    def is_default(self) -> bool:
        """Whether it is asked without the option."""
        return self in releases(None)


def numbers(dotted: str) -> tuple[int, int, int]:
    """``5.81.5`` as numbers, which compare as releases do."""
    major, minor, patch = map(int, dotted.split("."))
    return major, minor, patch


def releases(wanted: str | None) -> list[Release]:
    """The releases that ``--oracle-releases`` names: None for the default, ``all``, or a list.

    Raises:
        pytest.UsageError: the list names one that package.json does not have.
    """
    package = json.loads(HERE.joinpath("package.json").read_text("utf-8"))
    # Python's BullMQ 3 runs the scripts of node's 6.x.
    python = Release(f"{PYTHON}-{version('bullmq')}", (6, 7, 0))
    default = [*_node_releases(package["dependencies"]), python]
    everything = sorted(
        [*_node_releases(package["devDependencies"]), *default], key=lambda one: one.speaks
    )
    if wanted is None:
        return default
    if wanted == "all":
        return everything
    by_name = {PYTHON if one.is_python else one.name: one for one in everything}
    unknown = set(wanted.split(",")) - set(by_name)
    if unknown:
        raise pytest.UsageError(f"{OPTION}: {sorted(unknown)} not in {list(by_name)}")
    return [by_name[name] for name in wanted.split(",")]


def named(name: str) -> Release:
    """The one release of this name, for cases that need two."""
    return releases(name)[0]


def _node_releases(dependencies: dict[str, str]) -> list[Release]:
    names = [alias.removeprefix(_ALIAS) for alias in dependencies if alias.startswith(_ALIAS)]
    return [Release(name, numbers(name)) for name in names]


def command(release: Release) -> list[str]:
    """The command that starts the driver of a release, installed if need be."""
    if release.is_python:
        return [sys.executable, "-m", "tests.oracle.driver_python"]
    packages = node_modules(release.is_default)
    return [node(), str(HERE / "driver.cjs"), str(packages / f"{_ALIAS}{release.name}")]


def bull_command() -> list[str]:
    """The command that starts the seeder of Bull 4."""
    return [node(), str(HERE / "bull.cjs"), str(node_modules(True) / "bull")]


def node() -> str:
    """Node's path; without it the test is skipped, or fails where CI is ``true``."""
    return shutil.which("node") or _unavailable("node is not on PATH")


def _unavailable(what: str) -> NoReturn:
    reason = f"the real BullMQ releases are needed: {what}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def node_modules(default: bool, where: Path = HERE) -> Path:
    """The installed releases: the default ones, or all. One `npm ci` a lock file, then no network.

    They are kept in the user's cache folder under a digest of the lock file, so that several
    checkouts and runs share them; a file lock lets one run install while the others wait. ``where``
    is the folder of another package.json and its lock file.
    """
    inputs = [where / "package.json", where / "package-lock.json"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()[:12]
    cache = Path(platformdirs.user_cache_dir("qtui-oracle"))
    folder = cache / f"{digest}-{'default' if default else 'all'}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(folder, inputs, default)
    return folder / "node_modules"


def _install(folder: Path, inputs: list[Path], default: bool) -> None:
    npm = shutil.which("npm") or _unavailable("npm is not on PATH, and they are not installed yet")
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for path in inputs:
        shutil.copy(path, unfinished)
    # None of the packages needs its install script: the one there is builds an optional addon.
    arguments = [npm, "ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
    arguments += ["--omit=dev"] if default else []
    done = subprocess.run(
        arguments,
        cwd=unfinished,
        capture_output=True,
        text=True,
        timeout=_NPM_MINUTES * 60,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"npm ci failed:\n{done.stderr[-2000:]}")
    unfinished.rename(folder)
