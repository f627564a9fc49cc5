"""Importing one floor of the house loads no other that it must not know."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

import qtui
from tests.patience import PATIENCE

SCREEN = frozenset({"textual", "rich", "click"})

FORBIDDEN = {
    "qtui.bullmq": SCREEN
    | {"qtui.operations", "qtui.views", "qtui.ui", "qtui.commands", "qtui.cli"},
    "qtui.operations": SCREEN | {"qtui.views", "qtui.ui", "qtui.commands", "qtui.cli"},
    "qtui.views": SCREEN | {"qtui.ui", "qtui.commands", "qtui.cli"},
    "qtui.text": SCREEN | {"redis", "qtui.bullmq"},
    "qtui.settings": SCREEN | {"redis", "qtui.bullmq", "qtui.ui", "qtui.demo"},
    "qtui.cli": frozenset({"textual", "redis", "bullmq", "qtui.ui"}),
}
"""By package or module: what must not be there after it was imported, alone, in a new process."""

PURE = ("qtui.bullmq.keys", "qtui.bullmq.model", "qtui.bullmq.codes", "qtui.bullmq.dialect")
"""Modules that know nothing of a connection."""

ABOVE_BULLMQ = ("qtui.operations", "qtui.views", "qtui.ui", "qtui.commands", "qtui.cli")

_SAY = "import sys, {}; print(*sorted(sys.modules))"

# Loads what is not ours once, and then each module in a fork of its own.
_EACH_ALONE = """
import importlib, os, sys, traceback
import redis.asyncio.cluster, redis.asyncio.sentinel
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:  # the fork must end here, also if the module raises
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""


def modules_of(package: str) -> list[str]:
    """A package and all its modules, however deep; or a module."""
    found = [module.name for module in pkgutil.walk_packages(qtui.__path__, "qtui.")]
    return [name for name in ("qtui", *found) if name == package or name.startswith(package + ".")]


def text_of(module: str) -> str:
    """The text of a module."""
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_text("utf-8")


def loaded_by(*modules: str) -> frozenset[str]:
    """What the import of modules loads, in a new process."""
    said = subprocess.run(
        [sys.executable, "-c", _SAY.format(", ".join(modules))],
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return frozenset(said.stdout.split())


def found_among(loaded: frozenset[str], names: frozenset[str]) -> set[str]:
    """Those of the packages of which anything is loaded."""
    return {
        name for name in names if any(one == name or one.startswith(name + ".") for one in loaded)
    }


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_floor_loads_nothing_above_it(package: str) -> None:
    modules = modules_of(package)
    assert modules
    # One process for all: what they do not load together, none of them loads.
    if found_among(loaded_by(*modules), FORBIDDEN[package]):
        guilty = {name: found_among(loaded_by(name), FORBIDDEN[package]) for name in modules}
        pytest.fail(f"{ {name: found for name, found in guilty.items() if found} }")


def raw_commands(source: str) -> Iterator[str]:
    """What a module says to Redis by itself: imports of redis-py, and calls of a client."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] == "redis")
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if name.split(".")[0] == "redis" or name == "qtui.bullmq.ask":
                yield name
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            holder, _, verb = called.rpartition(".")
            of_client = holder.rpartition(".")[2].lstrip("_") == "client" and verb != "aclose"
            if of_client or verb in ("execute_command", "pipeline"):
                yield called


@pytest.mark.parametrize("floor", ABOVE_BULLMQ)
def test_above_bullmq_no_module_talks_to_redis_by_itself(floor: str) -> None:
    found = {name: [*raw_commands(text_of(name))] for name in modules_of(floor)}
    assert {name: raw for name, raw in found.items() if raw} == {}


def test_a_raw_command_would_be_seen() -> None:
    assert [*raw_commands("from redis.exceptions import RedisError")] == ["redis.exceptions"]
    assert [*raw_commands("def f():\n import redis.asyncio")] == ["redis.asyncio"]
    assert [*raw_commands("self._client.ping()")] == ["self._client.ping"]
    assert [*raw_commands("x.pipeline(transaction=False)")] == ["x.pipeline"]
    assert [*raw_commands("await session.client.aclose()")] == []


@pytest.mark.parametrize("module", PURE)
def test_what_is_pure_loads_no_client(module: str) -> None:
    assert not found_among(loaded_by(module), frozenset({"redis", "asyncio"}))


@pytest.mark.slow
def test_each_module_can_be_imported_alone() -> None:
    floors = ("qtui.bullmq", "qtui.operations", "qtui.views")
    modules = [name for floor in floors for name in modules_of(floor)]
    assert len(modules) > 20
    command = [sys.executable, "-c", _EACH_ALONE, *modules]
    said = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=True)
    assert said.stdout == "", said.stderr


# The graph of the imports, those under TYPE_CHECKING included -------------------------------------

MOST_ROOMS = 16
"""Modules and folders that one folder may hold: more are not taken in at a glance."""

Graph = Mapping[str, set[str]]


def import_graph() -> dict[str, set[str]]:
    """By module, the modules of ours that it names in an import, anywhere in the file."""
    trees = {name: ast.parse(text_of(name)) for name in modules_of("qtui")}
    return {
        name: {target for node in ast.walk(tree) for target in named_in(node, trees)} - {name}
        for name, tree in trees.items()
    }


def named_in(node: ast.AST, known: Collection[str]) -> Iterator[str]:
    """The known modules that an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom) and node.module and node.module in known:
        for alias in node.names:
            within = f"{node.module}.{alias.name}"
            yield within if within in known else node.module


def rooms_of(folder: str, graph: Graph) -> dict[str, set[str]]:
    """The imports between the modules and folders that a folder holds, by their names."""
    inside = folder + "."
    rooms: dict[str, set[str]] = {}
    for module, targets in graph.items():
        if module.startswith(inside):
            room = module.removeprefix(inside).partition(".")[0]
            near = (to.removeprefix(inside) for to in targets if to.startswith(inside))
            rooms.setdefault(room, set()).update({to.partition(".")[0] for to in near} - {room})
    return rooms


def in_circles(graph: Graph) -> list[str]:
    """What leads back to itself."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        left = [start]
        while left:
            fresh = graph.get(left.pop(), set()) - seen
            seen |= fresh
            left.extend(fresh)
        return seen

    return sorted(name for name in graph if name in reached(name))


def test_no_circle_of_files() -> None:
    graph = import_graph()
    assert len(graph) > 100
    assert in_circles(graph) == []


def test_no_circle_of_rooms_in_any_folder_and_no_folder_with_too_many() -> None:
    graph = import_graph()
    folders = {name.rpartition(".")[0] for name in graph} - {""}
    assert len(folders) > 15
    rooms = {folder: rooms_of(folder, graph) for folder in folders}
    circles = {folder: found for folder in folders if (found := in_circles(rooms[folder]))}
    assert circles == {}
    assert {name: len(found) for name, found in rooms.items() if len(found) > MOST_ROOMS} == {}


def test_a_circle_would_be_found() -> None:
    graph = {"q.a.x": {"q.b.y"}, "q.b.y": set(), "q.b.z": {"q.a.w"}, "q.a.w": set()}
    assert in_circles(graph) == []
    assert in_circles(rooms_of("q", graph)) == ["a", "b"]
    assert in_circles({"x": {"y"}, "y": {"z"}, "z": {"y"}}) == ["y", "z"]


def test_what_is_forbidden_would_be_seen() -> None:
    assert found_among(loaded_by("qtui.ui.widgets.cursor_list"), SCREEN) == {"textual", "rich"}
