"""What a retry is expected to do, job by job and counted. Pure; reads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from qtui.bullmq.codes import Code
from qtui.bullmq.dialect import (
    ONE_RESUME,
    Destination,
    QueueEvidence,
    clamp_priority,
    destination,
)
from qtui.bullmq.model import JobState, QueueStatus, Row
from qtui.bullmq.signature.merging import signature_of
from qtui.bullmq.writers.batch import NEVER, Picked
from qtui.operations.planning.brakes import Destined
from qtui.operations.planning.family_warnings import FamilyWarning, Trouble
from qtui.operations.planning.groups import Alike, Groups, PlanGroup
from qtui.operations.supply.kin import Kin
from qtui.text import plain

_WAITING: Final = "waiting"


class Forecast(NamedTuple):
    """What a retry is expected to do with one job; a tuple, as there may be a million."""

    row: Row
    code: Code
    target: Destination | None
    """Where it goes; None unless the code says that it will be retried."""
    elsewhere: str = ""
    """Of a job that was chosen and is in another state: ``it is completed``, if that was read."""

    @property
    def picked(self) -> Picked:
        """The job, pinned to the finish at which it was seen.

        One that had not finished then is sent for its code only: if it should fail before the
        campaign comes to it, that failure was not chosen.
        """
        return Picked(self.row.id, NEVER if self.row.score is None else self.row.score)

    @property
    def in_front(self) -> bool:
        """Whether it goes to ``prioritized`` without a priority: see `dialect`."""
        return _in_front(self.target, self.row.priority)

    def place(self) -> str:
        """Where it will be, in words: ``waiting, last in line``."""
        return _place(self.target, self.row.priority, lifo=self.row.lifo)


def _in_front(target: Destination | None, priority: int) -> bool:
    return target is Destination.PRIORITIZED and not clamp_priority(priority)


def _place(target: Destination | None, priority: int, *, lifo: bool) -> str:
    if target is None:
        return ""
    if target is Destination.WAITING_CHILDREN:
        return f"{target}, runs after its children"
    if _in_front(target, priority):
        return f"prioritized, {'first' if lifo else 'priority 0'}"
    if target is Destination.PRIORITIZED:
        return f"prioritized, priority {clamp_priority(priority)}"
    state = "paused" if target is Destination.PAUSED else _WAITING
    return f"{state}, {'next to run' if lifo else 'last in line'}"


class ForecastTally:
    """Forecasts, counted. Grows with the number of groups, not of jobs."""

    def __init__(self, state: JobState) -> None:
        self.codes: Counter[Code] = Counter()
        self.exhausted = 0
        """Jobs to be retried whose attempts are used up."""
        self._targets: Counter[Destination | None] = Counter()
        self._in_front = 0
        self._state = state
        self._groups = Groups()

    @property
    def jobs(self) -> int:
        """How many were counted."""
        return self.codes.total()

    def add(self, forecasts: Iterable[Forecast]) -> None:
        """Counts more of them."""
        failed = self._state is JobState.FAILED
        # Most jobs are like others, and what all of a kind have in common is found out once.
        alike = Counter(
            (
                row.name,
                row.failed_reason,
                code,
                target,
                other,
                row.priority,
                row.lifo,
                row.exhausted,
            )
            for row, code, target, other in forecasts
        )
        for (name, reason, code, target, other, priority, lifo, exhausted), jobs in alike.items():
            in_front = _in_front(target, priority)
            self.codes[code] += jobs
            self._targets[target] += jobs
            self._in_front += jobs if in_front else 0
            self.exhausted += jobs if exhausted and code is Code.DONE else 0
            error = plain(signature_of(reason or "")) if failed else ""
            place = _place(target, priority, lifo=lifo)
            self._groups.add(Alike(name, error, code, place, other), jobs)

    def keep_together(self) -> None:
        """Once one job goes to `paused`, those that were to go to `wait` are taken there too."""

        def kept(alike: Alike) -> Alike:
            if not alike.place.startswith(_WAITING):
                return alike
            return alike._replace(place=Destination.PAUSED + alike.place.removeprefix(_WAITING))

        if any(alike.place.startswith(Destination.PAUSED) for alike in self._groups):
            self._groups.change(kept)

    @property
    def destined(self) -> Destined:
        """How many jobs go to the keys that hold them back."""
        return Destined(prioritized=self._targets[Destination.PRIORITIZED], in_front=self._in_front)

    def groups(self) -> list[PlanGroup]:
        """The jobs grouped by name, error and fate, largest group first."""
        return self._groups.groups()


def by_age(row: Row) -> tuple[float, int, str]:
    """Sorts by finish; ids break ties as BullMQ counts them, 9 before 10."""
    return (row.score if row.score is not None else float("inf"), len(row.id), row.id)


def forecast(row: Row, status: QueueStatus, evidence: QueueEvidence) -> Forecast:
    """What the retry script would do with a job that reads like this."""
    if row.missing:
        return Forecast(row, Code.NO_SUCH_JOB, None)
    if row.score is None:
        return Forecast(row, Code.NOT_IN_STATE, None)
    if status.kind.refusal or "hash" in row.garbled:
        return Forecast(row, Code.REFUSED, None)
    target = destination(evidence, row.id, modern=row.modern, priority=row.priority)
    if evidence.obstacle(target):
        return Forecast(row, Code.REFUSED, None)
    return Forecast(row, Code.DONE, target)


def forecasts_of(
    rows: Iterable[Row], status: QueueStatus, evidence: QueueEvidence
) -> tuple[list[Forecast], QueueEvidence]:
    """Returns forecasts for jobs in the order of sending, and the evidence after them."""
    found: list[Forecast] = []
    alike: dict[object, tuple[Code, Destination | None]] = {}
    for row in rows:
        # What the forecast of a job rests on; nearly all are alike.
        kind = row.modern, row.priority, row.missing or row.score is None or row.garbled
        known = None if kind[2] else alike.get(kind)
        if known is None:
            one = forecast(row, status, evidence)
            known = alike[kind] = one.code, one.target
        found.append(Forecast(row, *known))
        if known[1] is Destination.PAUSED and evidence.in_paused < ONE_RESUME:
            evidence = replace(evidence, paused_list=True, in_paused=evidence.in_paused + 1)
            alike.clear()
    return found, evidence


def after_children(forecasts: list[Forecast], kin: Kin) -> list[Forecast]:
    """Parents whose children are known to be retried too wait for them."""
    if not kin.has_parents:
        return forecasts
    return [
        one._replace(target=Destination.WAITING_CHILDREN)
        if one.target is not None and kin.is_parent(one.row.id)
        else one
        for one in forecasts
    ]


def kept_together(forecasts: Iterable[Forecast]) -> list[Forecast]:
    """Returns them changed: if any goes to `paused`, those for `wait` go there too."""
    found = list(forecasts)
    if all(one.target is not Destination.PAUSED for one in found):
        return found
    return [
        one._replace(target=Destination.PAUSED) if one.target is Destination.WAIT else one
        for one in found
    ]


def located(forecasts: Iterable[Forecast], elsewhere: Mapping[str, str]) -> list[Forecast]:
    """Returns them with where jobs are that are in another state; see `states_elsewhere`."""
    return [
        one._replace(elsewhere=elsewhere[one.row.id]) if one.row.id in elsewhere else one
        for one in forecasts
    ]


def barred(forecasts: list[Forecast], families: Iterable[FamilyWarning]) -> list[Forecast]:
    """Parents that stay where they are, as a child of theirs can't complete."""
    barred = {
        job_id for one in families if one.trouble is Trouble.CHILD_LEFT for job_id in one.jobs
    }
    return [
        one._replace(code=Code.FAILED_CHILD, target=None) if one.row.id in barred else one
        for one in forecasts
    ]
