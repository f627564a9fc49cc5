"""Failures grouped by error, one cause per group."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.filter import Filter, parse_filter, quoted
from qtui.bullmq.filter.groups import Every
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.search.hunt import Hunt
from qtui.bullmq.search.steps import Step
from qtui.bullmq.signature.merging import OPEN, Merge, Merging, signature_of
from qtui.text import plain
from qtui.views.errors.arrivals import Arrivals

GROUP_FIELDS: Final = ("failedReason", "name")
"""The fields read of each job."""

MOST_GROUPS: Final = 1000
"""Groups that are kept; jobs of further groups are counted in one more, without a signature."""

MOST_NAMES: Final = 100
"""Job names that a group keeps; more than that are data, not names."""

MOST_WORDS: Final = 100
"""Words that a group keeps of those that were in the place of its open one."""

LONGEST_NAME: Final = 200
"""Characters of a job's name that a group keeps; a longer one is data too."""

_MOST_KNOWN: Final = 10_000
"""Errors whose groups are remembered, about; every job may have another one."""

_LONGEST_KNOWN: Final = 1_000
"""Characters of an error that is remembered."""

_SHOWN: Final = 3
"""Names shown in a line."""


@dataclass(slots=True, kw_only=True, eq=False)
class ErrorGroup:
    """The jobs that failed with one error. Times are ms since the epoch, None if unknown."""

    signature: str
    """What their errors have in common: a signature, or a pattern of `signature.merging`.

    Empty for the jobs that gave no reason, and for the rest.
    """
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
    words: Counter[str] = field(default_factory=Counter)
    """What is in the place of the open words, if there are some; `MOST_WORDS` at most."""
    times: Arrivals = field(default_factory=Arrivals)
    """When they failed."""
    into: ErrorGroup | None = None
    """The group that it has become a part of; its own counts are no longer kept."""

    def add(self, name: str | None, queue: QueueKey, jobs: int) -> None:
        """Counts more jobs, all of one name and queue."""
        self.jobs += jobs
        self.queues[queue] += jobs
        _count(self.names, (name or "")[:LONGEST_NAME], jobs, MOST_NAMES)

    def saw(self, moments: Sequence[float]) -> None:
        """Notes when some of them failed; at least one."""
        first, last = min(moments), max(moments)
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        self.times.add(moments)

    def absorb(self, other: ErrorGroup) -> None:
        """Takes in another group, which becomes a part of this one."""
        other.into = self
        self.jobs += other.jobs
        self.queues += other.queues
        for name, jobs in other.names.items():
            _count(self.names, name, jobs, MOST_NAMES)
        self.first = min(
            (one for one in (self.first, other.first) if one is not None), default=None
        )
        self.last = max((one for one in (self.last, other.last) if one is not None), default=None)
        self.times.absorb(other.times)

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


def _count(counted: Counter[str], name: str, jobs: int, most: int) -> None:
    """Counts jobs under a name, unless there are as many other names as are kept."""
    if name in counted or len(counted) < most:
        counted[name] += jobs


class ErrorGroups:
    """All failures of some hunts, by error. Memory grows with the groups, not with the jobs.

    A group that is there stays, and its count only grows; several that differ in one word may
    become one (`ErrorGroup.into`).

    Args:
        patterns: those of an earlier count, which this one knows from the beginning.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.jobs = 0
        self._groups: dict[str, ErrorGroup] = {}
        """By the name in `Merging`."""
        self.merged: set[str] = set()
        """The filters of groups that have become part of another one; the owner empties it."""
        self._rest: ErrorGroup | None = None
        self._merging = Merging(patterns)
        self._known: dict[str | None, tuple[ErrorGroup, Sequence[str]]] = {}
        """By a failedReason its group, and the words of it that are open in the group's name."""

    @property
    def patterns(self) -> list[str]:
        """The patterns that groups have been named by so far."""
        return self._merging.patterns

    def add(self, step: Step, queue: QueueKey) -> None:
        """Counts jobs; they come newest first, and have `GROUP_FIELDS`.

        Those whose error was met before are counted together, at half a µs each: of what they have
        in common nothing depends on their order.
        """
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        start = 0
        for at, reason in enumerate(step.fields["failedReason"]):
            if reason not in self._known:
                self._count(step[start:at], queue)
                self._meet(step[at : at + 1], queue)
                start = at + 1
        self._count(step[start:], queue)

    def _meet(self, one: Step, queue: QueueKey) -> None:
        """Counts a job whose error was not met before."""
        [reason] = one.fields["failedReason"]
        text = signature_of(reason or "")
        name = text if text in self._groups else self._merging.name(text)
        group = self._groups.get(name)
        is_new = group is None
        if group is None:
            group = self._begin(name, one.ids[0], queue)
        words = self._merging.words(name, text) if name != text else ()
        self._known[reason] = group, words
        self._count(one, queue)
        if len(reason or "") > _LONGEST_KNOWN:
            del self._known[reason]
        if is_new and not group.is_rest:
            for merge in self._merging.add(name, self._jobs_of):
                self._merge(merge)

    def _count(self, step: Step, queue: QueueKey) -> None:
        """Counts jobs whose errors were met before."""
        reasons, scores = step.fields["failedReason"], step.scores
        groups = [self._known[reason][0] for reason in reasons]
        self.jobs += len(groups)
        named = Counter(zip(groups, step.fields["name"], strict=True))
        for (group, name), jobs in named.items():
            group.add(name, queue, jobs)
        moments: dict[ErrorGroup, list[float]] = {}
        for group, at in zip(groups, scores or (), strict=False):
            if at is not None:
                moments.setdefault(group, []).append(at)
        for group, some in moments.items():
            group.saw(some)
        if self._merging.patterns:
            for reason, jobs in Counter(reasons).items():
                group, words = self._known[reason]
                for word in words:
                    _count(group.words, word, jobs, MOST_WORDS)

    def largest_first(self) -> list[ErrorGroup]:
        """The groups; of those of one size the one that was seen last."""
        groups = [*self._groups.values(), *([self._rest] if self._rest else [])]
        return sorted(groups, key=lambda one: (-one.jobs, -(one.last or 0)))

    def _begin(self, name: str, job_id: str, queue: QueueKey) -> ErrorGroup:
        """The group of a new name, or the rest.

        Once there is a rest no group begins and none are merged: jobs in the rest could be theirs.
        """
        if self._rest is None and len(self._groups) < MOST_GROUPS:
            group = ErrorGroup(signature=name, queue=queue, sample=job_id)
            self._groups[name] = group
            return group
        if self._rest is None:
            self._rest = ErrorGroup(signature="", queue=queue, sample=job_id, is_rest=True)
        return self._rest

    def _jobs_of(self, name: str) -> int:
        return self._groups[name].jobs

    def _merge(self, merge: Merge) -> None:
        self._known.clear()
        words: Counter[str] = Counter()
        members = [self._groups.pop(name) for name in merge.members]
        self.merged.update(one.filter for one in members if one.filter is not None)
        for name, member in zip(merge.members, members, strict=True):
            for word, jobs in member.words.items():
                _count(words, word, jobs, MOST_WORDS)
            for word in self._merging.words(merge.name, name):
                if word != OPEN:  # of a pattern, whose words are counted already
                    _count(words, word, member.jobs, MOST_WORDS)
        first, *others = members
        for other in others:
            first.absorb(other)
        first.signature, first.words = merge.name, words
        self._groups[merge.name] = first


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
        groups.add(step, queue)
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
