"""Keeps the settings of whoever runs the tests out of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import qtui


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "QTUI_REDIS",
        "REDIS_URL",
        "QTUI_READ_ONLY",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
        "LINES",
        "PYTHONUNBUFFERED",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    # Processes of their own must run the very qtui that is tested, installed or not.
    monkeypatch.setenv("PYTHONPATH", str(Path(qtui.__file__).parents[1]))
