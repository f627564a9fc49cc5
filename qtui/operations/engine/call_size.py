"""How many jobs a call has, by the time that the calls before it kept Redis busy. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

LARGEST_CALL: Final = 200
FIRST_CALL: Final = 20
"""Few, since nothing is known yet, and Redis also compiles the script: 1 ms. A usual canary."""

SMALLEST_CALL: Final = 10
AIM: Final = 0.0013
"""Seconds that one call should keep Redis busy at most: half of what the longest may, since some
take twice as long as others alike. Each call costs some by itself, here and in Redis."""

_CALLS: Final = 5
"""Latest calls of which the second fastest says how long the next one will take: the slow ones may
only have waited for others, and by the fastest alone most would take longer than `AIM`."""


class CallSize:
    """How many jobs the next call may have."""

    def __init__(self) -> None:
        self.jobs = FIRST_CALL
        self._each: deque[float] = deque(maxlen=_CALLS)
        """Seconds per job in the latest calls."""

    def share(self, left: int) -> int:
        """Returns how many of the jobs that are left the next call has: all calls are alike."""
        calls = math.ceil(left / self.jobs)
        return math.ceil(left / max(1, calls))

    def took(self, jobs: int, seconds: float) -> None:
        """Takes note of a call: its jobs, and how long it kept Redis busy."""
        self._each.append(max(1e-7, seconds / jobs))
        usual = sorted(self._each)[:2][-1]
        self.jobs = max(SMALLEST_CALL, min(LARGEST_CALL, int(AIM / usual), self.jobs * 2))
