"""Where qtui keeps files: configuration, the journal, the chosen theme. A leaf; touches no file.

A container's user may have no home: ``env -i``, and no entry in the password database.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NOWHERE: Final = Path("/dev/null/qtui/journal")
"""The journal's folder for a user without a home; nothing can be created there."""

MOVED_BY: Final = "set QTUI_JOURNAL to a folder you can write to"
"""How to move the journal, for errors."""


def config_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """``config.toml`` in the user's folder for qtui; None where the user has no home."""
    if not _has_home("XDG_CONFIG_HOME", environ):
        return None
    # Costs some ms, which `qtui --help` need not pay.
    from platformdirs import user_config_path

    return user_config_path("qtui") / "config.toml"


def journal_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that ``QTUI_JOURNAL`` names, else one in the user's state folder, or `NOWHERE`."""
    named = environ.get("QTUI_JOURNAL")
    if named:
        return Path(named).absolute()
    if not _has_home("XDG_STATE_HOME", environ):
        return NOWHERE
    from platformdirs import user_state_path

    return user_state_path("qtui", appauthor=False) / "journal"


def theme_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that keeps the chosen theme, in the user's state folder; None without a home."""
    if not _has_home("XDG_STATE_HOME", environ):
        return None
    from platformdirs import user_state_path

    return user_state_path("qtui", appauthor=False) / "theme"


def _has_home(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether platformdirs can find a folder; if not, it raises or makes one called ``~``."""
    return os.path.isabs(environ.get(variable, "")) or os.path.isabs(os.path.expanduser("~"))
