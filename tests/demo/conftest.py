"""Fixtures for the tests of the demo."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The temp folder of this test: no other's, and its path is short enough for a socket."""
    # pytest's own folders must not come to lie in ours.
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="q", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
