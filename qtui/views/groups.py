"""Failures grouped by error, one cause per group."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.filter import Filter, parse_filter, quoted
from qtui.bullmq.filter.groups import Every
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Met
from qtui.bullmq.signature import signature
from qtui.text import plain

GROUP_FIELDS: Final = ("failedReason", "name")
"""The fields read of each job."""

MOST_GROUPS: Final = 1000
"""Groups that are kept; jobs of further groups are counted in one more, without a signature."""

MOST_NAMES: Final = 100
"""Job names that a group keeps; more than that are data, not names."""

LONGEST_NAME: Final = 200
"""Characters of a job's name that a group keeps; a longer one is data too."""

_SHOWN: Final = 3
"""Names shown in a line."""


@dataclass(slots=True, kw_only=True)
class ErrorGroup:
    """The jobs that failed with one signature. Times are ms since the epoch, None if unknown."""

    signature: str
    """Empty for the jobs that gave no reason, and for the rest."""
    queue: QueueKey
    """The queue of its sample."""
    sample: str
    """The id of the newest of them, in the queue that was read first."""
    is_rest: bool = False
    """Whether it holds the jobs beyond `MOST_GROUPS` groups."""
    jobs: int = 0
    first: float | None = None
    last: float | None = None
    names: Counter[str] = field(default_factory=Counter)
    """How many of the jobs have which name."""
    queues: Counter[QueueKey] = field(default_factory=Counter)
    """How many of the jobs are in which queue."""

    def add(self, met: Met, queue: QueueKey) -> None:
        """Counts one more job."""
        self.jobs += 1
        self.queues[queue] += 1
        name = (met.fields["name"] or "")[:LONGEST_NAME]
        if name in self.names or len(self.names) < MOST_NAMES:
            self.names[name] += 1
        at = met.score
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)

    @property
    def seen(self) -> tuple[float | None, float | None]:
        """When the first and the last of them failed."""
        return self.first, self.last

    def some_names(self) -> str:
        """The most common names of its jobs, plain, and how many more there are."""
        return _some(self.names)

    def some_queues(self) -> str:
        """The queues that have most of them, plain, and how many more there are."""
        return _some(Counter({one.name: jobs for one, jobs in self.queues.items()}))

    @property
    def filter(self) -> str | None:
        """A filter that finds just these jobs; None where there is none, as for the rest."""
        if self.is_rest:
            return None
        return f"group:{quoted(self.signature)}"


class ErrorGroups:
    """All failures of some hunts, by signature. Memory grows with the groups, not with the jobs."""

    def __init__(self) -> None:
        self.jobs = 0
        self._groups: dict[str | None, ErrorGroup] = {}
        """By signature; under None the rest."""

    def add(self, met: Met, queue: QueueKey) -> None:
        """Counts one job; jobs come newest first."""
        name = signature(met.fields["failedReason"] or "")
        key: str | None = name
        if key not in self._groups and len(self._groups) >= MOST_GROUPS:
            name, key = "", None
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = ErrorGroup(
                signature=name, queue=queue, sample=met.id, is_rest=key is None
            )
        group.add(met, queue)
        self.jobs += 1

    def largest_first(self) -> list[ErrorGroup]:
        """The groups; of those of one size the one that was seen last."""
        return sorted(self._groups.values(), key=lambda one: (-one.jobs, -(one.last or 0)))


async def group_errors(
    hunt: Hunt, queue: QueueKey, groups: ErrorGroups
) -> AsyncIterator[ErrorGroups]:
    """Runs a hunt, and yields the growing groups after each step.

    Args:
        hunt: one that reads `GROUP_FIELDS`.
        queue: where it hunts.
        groups: what is known so far.
    """
    async for step in hunt.steps():
        for met in step:
            groups.add(met, queue)
        yield groups


def _some(names: Counter[str]) -> str:
    first = [plain(name) or "(no name)" for name, _ in names.most_common(_SHOWN)]
    more = len(names) - len(first)
    return ", ".join(first) + (f" +{more}" if more else "")


def group_words(group: ErrorGroup) -> str:
    """The error text of a group, plain."""
    if group.is_rest:
        return "(other errors)"
    return plain(group.signature) or "(no reason given)"


def either(filters: list[str]) -> str:
    """One filter that matches what any of these filters match."""
    return filters[0] if len(filters) == 1 else " | ".join(filters)


def both(one: Filter | None, other: str) -> str:
    """One filter that matches what both filters match."""
    if one is None:
        return other
    known = one.root.terms if isinstance(one.root, Every) else (one.root,)
    return str(one if parse_filter(other).root in known else parse_filter(f"({one}) ({other})"))
