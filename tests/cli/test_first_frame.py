"""What is imported before the first frame: nothing of Redis, of campaigns, or of the inspector."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from qtui.commands.inspector.opening import inspect
from qtui.cli import main
import qtui.commands.shared.output
print(*sorted(sys.modules))
"""

_HEAVY = (
    "redis",
    "regex",
    "qtui.operations",
    "qtui.bullmq.reads",
    "qtui.bullmq.signature",
    "qtui.bullmq.connection.client",
    "qtui.ui.inspector",
)


def test_the_first_frame_needs_no_redis_and_no_inspector() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    imported = done.stdout.split()
    assert "textual.app" in imported
    assert not [name for name in imported if name in _HEAVY]


def test_what_follows_the_first_frame_is_all_there() -> None:
    """The modules that are imported behind it exist."""
    program = "from qtui.commands.inspector import opening as o; import importlib as i;"
    program += "[i.import_module(name) for name in (o._CLIENT, *o._REST)]"
    subprocess.run([sys.executable, "-c", program], check=True)
