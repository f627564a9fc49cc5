"""Counts Python calls: what work takes on every machine alike, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Calls:
    """How many functions of Python's own were called; each turn of a generator is a call too."""

    def __init__(self) -> None:
        """None yet."""
        self.count = 0


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Counts the calls of this thread, also while it awaits."""
    calls = Calls()

    def count(frame: FrameType, event: str, argument: object) -> None:
        calls.count += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def called(work: Callable[[], object]) -> int:
    """How many functions some work calls."""
    with counted_calls() as calls:
        work()
    return calls.count
