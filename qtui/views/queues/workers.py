"""Workers and the jobs that they hold, as rows of a list and in words. No widgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.model import QueueStatus
from qtui.bullmq.reads.queues.working import ActiveJob, WorkerSeen, Working
from qtui.text import age, count, plain, plural, span
from qtui.views.queues.rows import NOTHING, Cell, Column
from qtui.views.tone import Tone

UNSEEN: Final = "this user may not see the connections"

COLUMNS: Final = (
    Column(name="worker", least=10, most=28),
    Column(name="address", least=15, most=27, since=100),
    Column(name="job", least=8, most=24),
    Column(name="name", least=8, most=24),
    Column(name="active", least=6, most=6, right=True),
    Column(name="lock left", least=9, most=9, right=True),
    Column(name="stalled", least=7, most=7, right=True),
)
"""The columns of a list of workers, but for the queue, which is behind the worker."""

QUEUE: Final = Column(name="queue", least=10, most=36)

_SOON: Final = 7_000
"""Milliseconds below which the rest of a lock is remarkable: workers renew it at half of 30 s."""


def worker_name(one: WorkerSeen) -> str:
    """Returns what a worker is called: its name, or the beginning of its locks' tokens."""
    if one.name:
        return plain(one.name)
    return f"{plain(one.token[:8])}…" if one.token else "unnamed" if one.address else "unknown"


def state_of(one: WorkerSeen) -> Cell:
    """Returns what a worker without a job of its own does."""
    if one.may_hold:
        return Cell("idle, or holds jobs that are listed by their token", Tone.FAINT)
    return Cell("idle" if one.waits else "no job", Tone.FAINT)


def job_cells(job: ActiveJob, older: float = 0) -> Iterator[Cell]:
    """Yields the cells of a job: id, name, how long it is active, lock left, times stalled.

    Args:
        job: the job.
        older: ms since it was read.
    """
    yield Cell(plain(job.id))
    yield Cell(plain(job.name))
    yield Cell("?" if job.active_for is None else age(job.active_for + older))
    if job.lock_left == -2:
        yield Cell("expired", Tone.BAD)
    elif job.lock_left == -1:
        yield Cell("no end")
    else:
        left = max(0, job.lock_left - older)
        yield Cell(span(left), Tone.BUSY if left < _SOON else Tone.PLAIN)
    yield Cell(count(job.stalls) if job.stalls else "·", Tone.BAD if job.stalls else Tone.FAINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker and a job that it holds; an idle worker; or a queue whose jobs have no worker."""

    key: str
    worker: WorkerSeen | None
    job: ActiveJob | None
    read_at: float
    """ms since the epoch."""
    queue: str = ""
    """Plain; empty where all rows are of one queue."""
    first: bool = True
    """Whether it is the first of its worker."""
    waiting: int = 0
    """Without a worker: jobs that wait."""
    nameless: bool = False
    """Without a worker: one may be there that has no name."""
    refused: bool = False
    """Without a worker: this user may not see whether there is one."""

    def cells(self, now: float) -> tuple[Cell, ...]:
        """Returns the cells of `columns`."""
        found = list(self._cells(max(0, now - self.read_at)))
        if self.queue:
            found.insert(1, Cell(self.queue if self.first else ""))
        return tuple(found)

    def _cells(self, older: float) -> Iterator[Cell]:
        one, blank = self.worker, len(COLUMNS)
        if one is None:
            jobs = f"{count(self.waiting)} waiting"
            tone = Tone.BUSY if self.nameless or self.refused else Tone.BAD
            yield Cell("unknown" if self.refused else "none seen", tone)
            yield from (NOTHING, Cell(jobs, tone))
            yield from [NOTHING] * (blank - 3)
            return
        tone = Tone.BAD if not (one.name or one.token or one.address) else Tone.PLAIN
        yield Cell(worker_name(one), tone) if self.first else NOTHING
        yield Cell(plain(one.address), Tone.FAINT) if self.first else NOTHING
        if self.job is None:
            state = state_of(one)
            short = Cell("?" if one.may_hold else state.text, state.tone)
            yield from (short, *[NOTHING] * (blank - 3))
        else:
            yield from job_cells(self.job, older)


def columns(*, everywhere: bool) -> tuple[Column, ...]:
    """Returns the columns of a list of workers: of several queues, or of one."""
    return (COLUMNS[0], QUEUE, *COLUMNS[1:]) if everywhere else COLUMNS


def worker_rows(
    working: Working, statuses: Sequence[QueueStatus], *, read_at: float, everywhere: bool
) -> list[WorkerRow]:
    """Returns workers as rows; queues whose jobs have none come first, then busy workers.

    Args:
        working: who works.
        statuses: the queues that were asked for.
        read_at: when the workers were read, in ms since the epoch.
        everywhere: whether the rows name their queue.
    """
    seen = {one.queue for one in working.workers}
    found = [
        WorkerRow(
            key=f"{status.queue.base} ",
            worker=None,
            job=None,
            read_at=read_at,
            queue=plain(status.queue.name) if everywhere else "",
            waiting=status.waiting,
            nameless=working.nameless,
            refused=working.refused,
        )
        for status in statuses
        if status.queue not in seen and status.waiting
    ]
    busy = [one for one in working.workers if one.is_busy]
    idle = [one for one in working.workers if not one.is_busy]
    for one in [*sorted(busy, key=lambda one: -_longest(one)), *idle]:
        name = f"{one.queue.base} {one.name} {one.address or one.token}"
        jobs: Sequence[ActiveJob | None] = one.jobs or (None,)
        for place, job in enumerate(jobs):
            found.append(
                WorkerRow(
                    key=f"{name} {job.id if job is not None else ''}",
                    worker=one,
                    job=job,
                    read_at=read_at,
                    queue=plain(one.queue.name) if everywhere else "",
                    first=not place,
                )
            )
    return found


def _longest(one: WorkerSeen) -> float:
    return max((job.active_for or 0 for job in one.jobs), default=0)


def how_many(working: Working) -> list[tuple[str, str]]:
    """Returns the counts above a list, as pieces of text, each with the name of a style."""
    jobs = [job for one in working.workers for job in one.jobs]
    # Of unnamed connections and tokens, which belong together, the larger number counts.
    open_ = [one for one in working.workers if one.may_hold]
    joined = {one.queue for one in open_}
    tokens = sum(
        not one.address and bool(one.token) for one in working.workers if one.queue in joined
    )
    none = sum(not (one.address or one.name or one.token) for one in working.workers)
    workers = len(working.workers) - none - min(len(open_), tokens)
    busy = sum(one.is_busy and bool(one.token) for one in working.workers)
    known = "workers unknown" if working.refused else plural(workers, "worker")
    found = [(known, "strong"), (f" · {count(busy)} busy", "")]
    found.append((f" · {plural(len(jobs), 'active job')}", ""))
    for number, words in (
        (sum(job.lock_left == -2 for job in jobs), "without a lock"),
        (sum(job.stalls > 0 for job in jobs), "stalled before"),
    ):
        if number:
            found.append((f" · {count(number)} {words}", "bad"))
    return found


def in_full(row: WorkerRow, now: float) -> tuple[str, str]:
    """Returns two lines about the row under the cursor: the worker, and the job. Plain text."""
    one, job = row.worker, row.job
    if one is None:
        seen = "no worker seen"
        if row.refused:
            seen = f"workers unknown: {UNSEEN}"
        elif row.nameless:
            seen += "; one without a name can't be seen"
        return seen, plural(row.waiting, "job waits", "jobs wait")
    parts = [f"worker {plain(one.name)}"] if one.name else []
    parts += [one.address and plain(one.address), one.token and f"token {plain(one.token)}"]
    if one.connected_for is not None:
        parts.append(f"connected for {span(1000 * one.connected_for)}")
    words = " · ".join(part for part in parts if part) or "no worker holds this job's lock"
    if job is None:
        return words, state_of(one).text
    older = max(0, now - row.read_at)
    facts = [f"job {plain(job.id)} {plain(job.name)}".rstrip()]
    if job.active_for is not None:
        facts.append(f"active for {span(job.active_for + older)}")
    if job.lock_left == -2:
        facts.append("lock expired: the next check of a worker puts it back or fails it")
    elif job.lock_left >= 0:
        facts.append(f"lock left {span(max(0, job.lock_left - older))}")
    if job.stalls:
        facts.append(f"stalled {plural(job.stalls, 'time')} before")
    return words, " · ".join(facts)
