"""Jobs of a plan, counted by kind: those of a kind are one line of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from qtui.bullmq.codes import Code, meaning, with_reason
from qtui.bullmq.signature.merging import merged
from qtui.operations.planning.proposal import PlanLine

MOST_KINDS: Final = 1000
"""Most kinds that are told apart; every job may have another name and error."""


class Kind(NamedTuple):
    """What the jobs of one line have in common: same name, same error, same fate."""

    name: str
    error: str
    """The signature of the error, plain; of a completed job, which may hold an old one, nothing."""
    code: Code
    place: str
    """Where they go; empty if they stay."""
    why: str
    """What more is known of why they stay, such as in which state they are; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanGroup:
    """Jobs of one kind, see `Kind`."""

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


class Kinds:
    """Jobs counted by kind. Grows with the number of kinds, not of jobs."""

    def __init__(self) -> None:
        self._counts: Counter[Kind] = Counter()
        self._named: tuple[int, dict[str, str]] = (0, {})
        """At how many jobs, under which name each error is shown."""

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._counts)

    def add(self, kind: Kind, jobs: int = 1) -> None:
        """Counts jobs; those beyond `MOST_KINDS` are told apart by their code only."""
        if kind not in self._counts and len(self._counts) >= MOST_KINDS:
            kind = Kind("", "(other jobs)", kind.code, "", "")
        self._counts[kind] += jobs

    def change(self, changed: Callable[[Kind], Kind]) -> None:
        """Counts all jobs anew, each by another kind."""
        before, self._counts = self._counts, Counter()
        for kind, jobs in before.items():
            self._counts[changed(kind)] += jobs

    def groups(self) -> list[PlanGroup]:
        """The jobs by kind, largest group first.

        Errors that differ in one word are one, as in error groups.
        """
        named, counts = self._names(), Counter[Kind]()
        for kind, jobs in self._counts.items():
            counts[kind._replace(error=named[kind.error])] += jobs
        return groups_of(counts)

    def _names(self) -> dict[str, str]:
        """The name of each error's group."""
        total = self._counts.total()
        if self._named[0] != total:
            errors = Counter[str]()
            for kind, jobs in self._counts.items():
                errors[kind.error] += jobs
            self._named = total, merged(errors)
        return self._named[1]


def groups_of(counts: Counter[Kind]) -> list[PlanGroup]:
    """Returns jobs counted by kind as groups, largest first."""
    return [
        PlanGroup(name=name, error=error, code=code, place=place, jobs=jobs, why=why)
        for (name, error, code, place, why), jobs in counts.most_common()
    ]
