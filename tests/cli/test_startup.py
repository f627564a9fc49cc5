"""What is quick stays quick: nothing is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qtui import __version__
from tests.cli.stage import invoke

HEAVY = ("textual", "rich", "redis", "hiredis", "asyncio", "bullmq", "pygments")

LOADED = """
import sys
{statement}
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & set({heavy!r})))
"""

RUN = """
from qtui.cli import main
try:
    main({args!r})
except SystemExit as end:
    assert end.code in (0, 2), end.code
"""


def loaded(statement: str) -> set[str]:
    """The heavy packages that a process has loaded after a statement."""
    program = LOADED.format(statement=statement, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "args", [["--version"], ["--help"], ["retry", "--help"], ["retry", "payments"]], ids=" ".join
)
def test_help_and_usage_errors_load_nothing_heavy(args: list[str]) -> None:
    assert loaded(RUN.format(args=args)) == set()


def test_a_command_without_a_screen_loads_no_textual() -> None:
    args = ["--redis", "unix:///nowhere", "queues"]
    assert "textual" not in loaded(RUN.format(args=args).replace("(0, 2)", "(3,)"))


def test_the_library_draws_nothing() -> None:
    statement = (
        "import importlib, pkgutil, qtui.bullmq\n"
        "for one in pkgutil.walk_packages(qtui.bullmq.__path__, 'qtui.bullmq.'):\n"
        "    importlib.import_module(one.name)"
    )
    assert loaded(statement) & {"textual", "rich", "click"} == set()


def test_the_version_is_that_of_the_package() -> None:
    assert invoke("--version").out.splitlines()[0] == f"qtui {__version__}"


def test_the_help_names_every_option_of_the_contract() -> None:
    words = invoke("--help").out
    for name in ("redis", "prefix", "queue", "read-only", "refresh", "profile", "config", "demo"):
        assert f"--{name} " in words
    for name in ("queues", "jobs", "show", "retry"):
        assert f"\n  {name} " in words
