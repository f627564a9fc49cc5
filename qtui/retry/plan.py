"""What a retry will do, told before it is done. Reads only.

A plan fixes its jobs: each is pinned to the finish at which it was seen, so that a job which fails
again meanwhile is not retried by the campaign that follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qtui.bullmq.codes import Code
from qtui.bullmq.connection import Client
from qtui.bullmq.dialect import QueueEvidence, Target, clamp_priority, destination
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState, Kind, QueueStatus, Row
from qtui.bullmq.reader import Reader
from qtui.bullmq.status import read_status
from qtui.bullmq.workers import read_workers
from qtui.bullmq.writer import NEVER, Picked
from qtui.text import first_line, plural

CHUNK: Final = 250
"""Jobs that are read in one round trip."""


@dataclass(frozen=True, slots=True)
class Resets:
    """Which attempt counters a retry deletes."""

    made: bool = False
    started: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a retry is expected to do with one job."""

    row: Row
    code: Code
    target: Target | None
    """Where it goes; None unless the code says that it will be retried."""

    @property
    def picked(self) -> Picked:
        """The job, pinned to the finish at which it was seen.

        One that had not finished then is sent for its code only: if it should fail before the
        campaign comes to it, nobody has chosen that failure.
        """
        return Picked(self.row.id, NEVER if self.row.score is None else self.row.score)

    def place(self) -> str:
        """Where it will stand, in words: ``waiting, last in line``."""
        if self.target is None:
            return ""
        if self.target is Target.PRIORITIZED:
            return f"prioritized, priority {clamp_priority(self.row.priority)}"
        state = "paused" if self.target is Target.PAUSED else "waiting"
        return f"{state}, {'next to run' if self.row.lifo else 'last in line'}"


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs of a plan that are alike: same name, same error, same fate."""

    name: str
    error: str
    code: Code
    place: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A retry as it would go now, job by job, oldest finish first."""

    status: QueueStatus
    state: JobState
    forecasts: tuple[Forecast, ...]
    workers: int | None
    """Workers seen on the queue; None where nobody may look."""

    @property
    def queue(self) -> QueueKey:
        """The queue of its jobs."""
        return self.status.queue

    @property
    def picked(self) -> tuple[Picked, ...]:
        """Every chosen job, in the order in which it will be retried."""
        return tuple(forecast.picked for forecast in self.forecasts)

    def count(self, code: Code) -> int:
        """Jobs that are expected to end with ``code``."""
        return sum(forecast.code is code for forecast in self.forecasts)

    def groups(self) -> list[Group]:
        """The jobs grouped by name, error and fate, largest group first."""
        # A completed job may still hold the reason of an earlier failure.
        failed = self.state is JobState.FAILED
        counts = Counter(
            (one.row.name, _error(one.row) if failed else "", one.code, one.place())
            for one in self.forecasts
        )
        return [Group(*alike, jobs=jobs) for alike, jobs in counts.most_common()]

    @property
    def exhausted(self) -> int:
        """Jobs to be retried whose attempts are used up."""
        return sum(one.code is Code.RETRIED and one.row.exhausted for one in self.forecasts)

    def warnings(self, resets: Resets) -> Iterator[str]:
        """What whoever confirms should know, in whole sentences; plain text."""
        if self.status.kind.refusal:
            yield f"Nothing will be retried: this is {self.status.kind.refusal}."
        if self.exhausted and not resets.made:
            used_up = (
                "1 has used up its"
                if self.exhausted == 1
                else f"{self.exhausted:,} have used up their"
            )
            runs = "it runs" if self.exhausted == 1 else "they run"
            yield f"{used_up} attempts: {runs} once more, and a failure is final."
        if self.count(Code.RETRIED):
            yield from self._condition()
        gone, left = self.count(Code.NO_SUCH_JOB), self.count(Code.NOT_IN_STATE)
        if gone:
            yield f"{plural(gone, 'job is', 'jobs are')} gone (-1): nothing is left to run."
        if left:
            yield f"{plural(left, 'job is', 'jobs are')} not in {self.state} any more (-3)."

    def _condition(self) -> Iterator[str]:
        if self.status.paused:
            yield "The queue is paused: nothing runs until somebody resumes it."
        elif self.status.maxed:
            yield f"All {self.status.concurrency} places of the global concurrency are taken."
        if self.workers == 0:
            yield "No worker is seen on this queue: the jobs wait until one comes."


def _error(row: Row) -> str:
    return first_line(row.failed_reason or "")


def _age(forecast: Forecast) -> tuple[float, int, str]:
    """Sorts by finish; ids break ties as BullMQ counts them, 9 before 10."""
    score, job_id = forecast.row.score, forecast.row.id
    return (score if score is not None else float("inf"), len(job_id), job_id)


def forecast(row: Row, status: QueueStatus, evidence: QueueEvidence) -> Forecast:
    """What the retry script would do with a job that reads like this."""
    if row.missing:
        return Forecast(row, Code.NO_SUCH_JOB, None)
    if row.score is None:
        return Forecast(row, Code.NOT_IN_STATE, None)
    if status.kind.refusal or "hash" in row.garbled:
        return Forecast(row, Code.REFUSED, None)
    target = destination(evidence, modern=row.modern, priority=row.priority)
    return Forecast(row, Code.RETRIED, target)


def _kept_together(forecasts: Iterable[Forecast]) -> list[Forecast]:
    """Once one job goes to `paused`, the script moves there what is in `wait`: resume wants it."""
    found = list(forecasts)
    if all(one.target is not Target.PAUSED for one in found):
        return found
    return [
        replace(one, target=Target.PAUSED) if one.target is Target.WAIT else one for one in found
    ]


async def make_plan(
    client: Client,
    queue: QueueKey,
    state: JobState,
    ids: Sequence[str],
    *,
    progress: Callable[[int], None] = lambda seen: None,
) -> Plan:
    """Reads the chosen jobs and predicts what a retry would do with each.

    Args:
        client: where to read.
        queue: the queue of the jobs.
        state: ``failed`` or ``completed``, out of which they are to be retried.
        ids: the chosen jobs; one named twice counts once.
        progress: is told after each chunk how many jobs have been read.

    Costs a round trip for every `CHUNK` jobs and five more.

    Raises:
        ValueError: jobs in ``state`` can't be retried.
    """
    if not state.is_finished:
        raise ValueError(f"{state} jobs can't be retried, only completed and failed ones")
    reader = Reader(client)
    chosen = list(dict.fromkeys(ids))
    [status] = await read_status(client, [queue])
    evidence = await reader.evidence(queue)
    if status.kind is Kind.BULL and evidence.ran_modern:
        # No key of the queue tells, but its jobs do: the script looks at them too.
        status = replace(status, kind=Kind.BULLMQ)
    workers = await read_workers(client, [queue])
    forecasts: list[Forecast] = []
    for start in range(0, len(chosen), CHUNK):
        rows = await reader.rows(queue, state, chosen[start : start + CHUNK])
        forecasts += (forecast(row, status, evidence) for row in rows)
        progress(len(forecasts))
    return Plan(
        status=status,
        state=state,
        forecasts=tuple(sorted(_kept_together(forecasts), key=_age)),
        workers=None if workers is None else workers[queue],
    )
