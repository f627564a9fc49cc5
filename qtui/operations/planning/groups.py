"""Jobs of a plan in groups: those that are alike are one line of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from qtui.bullmq.codes import Code, meaning, with_reason
from qtui.bullmq.signature.merging import merged
from qtui.operations.planning.proposal import PlanLine

_MOST: Final = 1000
"""Groups that are told apart at most; every job may have another name and error."""


class Alike(NamedTuple):
    """What the jobs of one line have in common: same name, same error, same fate."""

    name: str
    error: str
    """The signature of the error, plain; of a completed job, which may hold an old one, nothing."""
    code: Code
    place: str
    """Where they go; empty if they stay."""
    why: str
    """What more is known of why they stay, or may, such as in which state they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanGroup:
    """Jobs that are alike, see `Alike`."""

    name: str
    error: str
    code: Code
    place: str
    jobs: int
    why: str = ""

    def refusal(self, state: str) -> str:
        """Returns why they stay in ``state``, with the code; empty if they leave it."""
        if self.code is Code.DONE:
            return ""
        return f"{self.code.value} {with_reason(meaning(self.code, state), self.why)}"

    def line(self, state: str) -> PlanLine:
        """Returns it as a plan shows it, of jobs in ``state``."""
        return PlanLine(
            number=self.jobs,
            name=self.name,
            note=self.error,
            place=self.place,
            refusal=self.refusal(state),
        )


class Groups:
    """Counts jobs by what they have in common. Grows with the number of groups, not of jobs."""

    def __init__(self) -> None:
        self._counts: Counter[Alike] = Counter()
        self._named: tuple[int, dict[str, str]] = (0, {})
        """At how many jobs, under which name each error is shown."""

    def __iter__(self) -> Iterator[Alike]:
        return iter(self._counts)

    def add(self, alike: Alike, jobs: int = 1) -> None:
        """Counts jobs; once there are `_MOST` groups, others are told apart by their code only."""
        if alike not in self._counts and len(self._counts) >= _MOST:
            alike = Alike("", "(other jobs)", alike.code, "", "")
        self._counts[alike] += jobs

    def change(self, changed: Callable[[Alike], Alike]) -> None:
        """Puts all jobs into other groups."""
        before, self._counts = self._counts, Counter()
        for alike, jobs in before.items():
            self._counts[changed(alike)] += jobs

    def groups(self) -> list[PlanGroup]:
        """The groups, largest first.

        Errors that differ in one word are one, as in error groups.
        """
        named, counts = self._names(), Counter[Alike]()
        for alike, jobs in self._counts.items():
            counts[alike._replace(error=named[alike.error])] += jobs
        return groups_of(counts)

    def _names(self) -> dict[str, str]:
        """The name of each error's group."""
        total = self._counts.total()
        if self._named[0] != total:
            errors = Counter[str]()
            for alike, jobs in self._counts.items():
                errors[alike.error] += jobs
            self._named = total, merged(errors)
        return self._named[1]


def groups_of(counts: Counter[Alike]) -> list[PlanGroup]:
    """Returns counted jobs as groups, largest first."""
    return [
        PlanGroup(name=name, error=error, code=code, place=place, jobs=jobs, why=why)
        for (name, error, code, place, why), jobs in counts.most_common()
    ]
