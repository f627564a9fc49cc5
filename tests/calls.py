"""Counts Python calls: what work takes on every machine alike, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def called(work: Callable[[], object]) -> int:
    """How many functions of Python's own are called, generators' turns too."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
