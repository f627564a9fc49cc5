"""What is imported before the first frame and before the first rows, and that the rest exists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

_FRAME = """
from qtui.commands.inspector.opening import inspect
from qtui.cli import main
import qtui.commands.shared.output
"""

_ROWS = f"""{_FRAME}
from importlib import import_module
from qtui.commands.inspector import opening
for name in (opening._CLIENT, *opening._ROWS):
    import_module(name)
"""

_KEYS = f"""{_ROWS}
for name in opening._KEYS:
    import_module(name)
"""

_NOT_FOR_THE_FRAME = (
    "redis",
    "regex",
    "tomllib",
    "qtui.operations",
    "qtui.bullmq.reads",
    "qtui.bullmq.signature",
    "qtui.bullmq.connection.client",
    "qtui.ui.inspector",
)

_NOT_FOR_ROWS = (
    "regex",
    "qtui.operations",
    "qtui.bullmq.writers",
    "qtui.bullmq.filter",
    "qtui.bullmq.search",
    "qtui.bullmq.signature.signature",
    "qtui.bullmq.schedulers",
    "qtui.bullmq.new_job",
    "qtui.ui.clipboard",
    "qtui.ui.flow",
    "qtui.ui.dialogs.plan",
    "qtui.ui.dialogs.ask",
    "qtui.ui.dialogs.help",
    "qtui.ui.screens.journal",
    "qtui.ui.screens.find",
    "qtui.ui.screens.errors",
)

_MOST_FOR_ROWS = 185
"""Modules of ours that are imported before the first rows, at most."""


def imported_by(program: str) -> list[str]:
    """The modules that a process has after a program."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def among(imported: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of the packages and modules of which anything was imported."""
    return [name for name in names if name in imported]


def test_the_first_frame_needs_no_redis_and_no_inspector() -> None:
    imported = imported_by(_FRAME)
    assert "textual.app" in imported
    assert among(imported, _NOT_FOR_THE_FRAME) == []


def test_the_first_rows_need_nothing_that_only_keys_need() -> None:
    imported = imported_by(_ROWS)
    assert "qtui.ui.inspector.screen" in imported
    assert among(imported, _NOT_FOR_ROWS) == []
    ours = [name for name in imported if name.partition(".")[0] == "qtui"]
    assert len(ours) <= _MOST_FOR_ROWS, ours


def test_what_the_keys_of_the_inspector_need_is_imported_behind_the_first_rows() -> None:
    imported = imported_by(_KEYS)
    needed = {name for name in _NOT_FOR_ROWS if name != "regex"}
    assert needed - set(imported) == set()
