"""Importing one floor of the house loads no other that it must not know."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

import qtui

SCREEN = frozenset({"textual", "rich", "click"})

FORBIDDEN = {
    "qtui.bullmq": SCREEN | {"qtui.retry", "qtui.views", "qtui.ui", "qtui.commands", "qtui.cli"},
    "qtui.retry": SCREEN | {"qtui.views", "qtui.ui", "qtui.commands", "qtui.cli"},
    "qtui.views": SCREEN | {"qtui.ui", "qtui.commands", "qtui.cli"},
    "qtui.text": SCREEN | {"redis", "qtui.bullmq"},
    "qtui.settings": SCREEN | {"redis", "qtui.bullmq", "qtui.ui", "qtui.demo"},
    "qtui.cli": frozenset({"textual", "redis", "bullmq", "qtui.ui"}),
}
"""By package or module: what must not be there after it was imported, alone, in a new process."""

PURE = ("qtui.bullmq.keys", "qtui.bullmq.model", "qtui.bullmq.codes", "qtui.bullmq.dialect")
"""Modules that know nothing of a connection."""

_SAY = "import sys, {}; print(*sorted(sys.modules))"


def modules_of(package: str) -> list[str]:
    """A package and all its modules, however deep; or a module."""
    found = [module.name for module in pkgutil.walk_packages(qtui.__path__, "qtui.")]
    return [name for name in ("qtui", *found) if name == package or name.startswith(package + ".")]


def loaded_by(modules: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each module what its import loads, each in a process of its own, two at a time."""
    loaded = {}
    for start in range(0, len(modules), 2):
        running = {
            name: subprocess.Popen(
                [sys.executable, "-X", "frozen_modules=on", "-c", _SAY.format(name)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in modules[start : start + 2]
        }
        for name, process in running.items():
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0, f"{name} cannot be imported alone"
            loaded[name] = frozenset(out.split())
    return loaded


def found_among(loaded: frozenset[str], names: frozenset[str]) -> set[str]:
    """Those of the packages of which anything is loaded."""
    return {
        name for name in names if any(one == name or one.startswith(name + ".") for one in loaded)
    }


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_floor_loads_nothing_above_it(package: str) -> None:
    modules = modules_of(package)
    assert modules
    # One process for all: what none of them loads, each of them does not load.
    [loaded] = loaded_by([", ".join(modules)]).values()
    if found_among(loaded, FORBIDDEN[package]):
        # Somebody does: name them.
        guilty = {
            name: found
            for name, each in loaded_by(modules).items()
            if (found := found_among(each, FORBIDDEN[package]))
        }
        pytest.fail(f"{guilty}")


def test_each_module_can_be_imported_alone() -> None:
    packages = ("qtui.bullmq", "qtui.retry", "qtui.views")
    modules = [name for package in packages for name in modules_of(package)]
    loaded = loaded_by(modules)
    assert len(loaded) == len(modules) > 20
    for name in PURE:
        assert not found_among(loaded[name], frozenset({"redis", "asyncio"})), name


def test_a_forbidden_module_would_be_seen() -> None:
    [loaded] = loaded_by(["qtui.ui.widgets.cursor_list"]).values()
    assert found_among(loaded, SCREEN) == {"textual", "rich"}
