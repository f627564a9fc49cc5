"""Marked jobs: ids, not places, so that a moving list can't change them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from qtui.bullmq.model import Row

if TYPE_CHECKING:
    from qtui.operations.supply.selection import Query

MOST_MARKED: Final = 10_000
"""Jobs that can be marked one by one."""


class Marks:
    """The marked jobs of one list, in the order of marking."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self.anchor: str | None = None
        """Where a range began; None while no range is being made."""
        self.everything: Query | None = None
        """Set when all jobs of the list are marked: a query in place of ids."""

    def __len__(self) -> int:
        """How many jobs are marked."""
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        """The ids."""
        return iter(self._ids)

    def __contains__(self, job_id: object) -> bool:
        """Whether a job is marked by itself."""
        return job_id in self._ids

    def cover(self, row: Row) -> bool:
        """Whether a job of the list is marked, by itself or with everything."""
        if self.everything is not None:
            if math.isinf(self.everything.until):
                return True  # scores of its state are no moments, so all jobs shown are in it
            return row.score is not None and row.score <= self.everything.until
        return row.id in self._ids

    def toggle(self, job_id: str) -> None:
        """Marks the job, or takes its mark away."""
        self.set(job_id, job_id not in self._ids)

    def set(self, job_id: str, marked: bool) -> None:
        """Marks the job, or takes its mark away."""
        if marked:
            self._ids[job_id] = None
        else:
            self._ids.pop(job_id, None)

    def add(self, ids: Iterable[str]) -> None:
        """Marks the jobs."""
        self._ids.update(dict.fromkeys(ids))

    def invert(self, ids: Iterable[str]) -> None:
        """Marks those of the jobs that were not marked, and no others."""
        self._ids = {job_id: None for job_id in ids if job_id not in self._ids}

    def discard(self, ids: Iterable[str]) -> None:
        """Takes the marks of the jobs away."""
        for job_id in ids:
            self._ids.pop(job_id, None)

    def clear(self) -> None:
        """Takes every mark away."""
        self._ids.clear()
        self.anchor = None
        self.everything = None
