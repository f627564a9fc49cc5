"""Failures grouped by what they have in common: one cause a group, as a person would count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.model import Garbage
from qtui.bullmq.search import Met, Walk
from qtui.bullmq.signature import signature

FIELDS: Final = ("failedReason", "name", "finishedOn")
"""What of each job is read."""

MOST: Final = 1000
"""Groups that are told apart; what comes after them is one more group, without a name."""


MOST_NAMES: Final = 100
"""Names of jobs that a group remembers; more than that are data, not names."""


@dataclass(slots=True)
class ErrorGroup:
    """The jobs that failed with one signature. Times are ms since the epoch, None if unknown."""

    signature: str
    """Empty for the jobs beyond `MOST` groups."""
    sample: str
    """The id of the newest of them."""
    jobs: int = 0
    first: int | None = None
    last: int | None = None
    names: Counter[str] = field(default_factory=Counter)
    """How many of the jobs have which name."""

    def add(self, met: Met) -> None:
        """Counts one more job."""
        self.jobs += 1
        name = met.fields["name"] or ""
        if name in self.names or len(self.names) < MOST_NAMES:
            self.names[name] += 1
        at = Garbage().number("finishedOn", met.fields["finishedOn"])
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)


class ErrorGroups:
    """All failures of a walk, by signature. Memory grows with the groups, not with the jobs."""

    def __init__(self) -> None:
        self.jobs = 0
        self._groups: dict[str, ErrorGroup] = {}

    def add(self, met: Met) -> None:
        """Counts one job, met newest first."""
        name = signature(met.fields["failedReason"] or "")
        if name not in self._groups and len(self._groups) >= MOST:
            name = ""
        group = self._groups.setdefault(name, ErrorGroup(name, met.id))
        group.add(met)
        self.jobs += 1

    def largest_first(self) -> list[ErrorGroup]:
        """The groups; of those of one size the one that was seen last."""
        return sorted(self._groups.values(), key=lambda one: (-one.jobs, -(one.last or 0)))


async def grouped(walk: Walk) -> AsyncIterator[ErrorGroups]:
    """Walks on, and yields the same growing groups after each step.

    Args:
        walk: one that reads `FIELDS`.
    """
    groups = ErrorGroups()
    yield groups
    async for step in walk.steps():
        for met in step:
            groups.add(met)
        yield groups
