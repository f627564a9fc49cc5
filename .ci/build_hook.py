"""Puts the manual page, made from the help, where an installed wheel has it."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPage(BuildHookInterface):
    """Adds ``share/man/man1/qtui.1``; pipx and the system's man find it there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Makes the page, but not for an editable install."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from qtui.cli import main
        from qtui.commands.manual import manual

        page = Path(mkdtemp()) / "qtui.1"
        page.write_text(manual(main), encoding="utf-8")
        build_data["shared_data"][str(page)] = "share/man/man1/qtui.1"
