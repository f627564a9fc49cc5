"""What one search over all queues and states has found, as rows, and how far it is. No widgets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.keys import QueueKey, name_queues
from qtui.bullmq.model import JobState, QueueStatus
from qtui.bullmq.search.everywhere import Everywhere, FoundJob
from qtui.bullmq.signature.headline import spoken
from qtui.text import count, plain, plural
from qtui.views.columns import cells
from qtui.views.queues.rows import NOTHING, Cell, Column
from qtui.views.tone import Tone

MOST_ROWS: Final = 10_000
"""Jobs that are listed; more are only counted."""

COLUMNS: Final = (
    Column(name="queue", least=12, most=30),
    Column(name="state", least=9, most=16),
    Column(name="id", least=8, most=36),
    Column(name="name", least=8, most=30),
    Column(name="when", least=4, most=8, right=True),
    Column(name="error or result", least=10, most=50),
)

_WORD: Final = re.compile(r"[\w.@/-]+")
"""A filter that is one bare word, which is looked for in ids and names only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow:
    """A job that was found, or a queue whose name was."""

    key: str
    queue: QueueKey
    job: FoundJob | None = None
    status: QueueStatus | None = None
    """Of a queue, its counts."""

    def cells(self, now: float) -> tuple[Cell, ...]:
        """Returns the cells of `COLUMNS`."""
        name = plain(self.queue.name)
        if self.job is None:
            return (
                Cell(name),
                Cell("queue", Tone.FAINT),
                NOTHING,
                NOTHING,
                NOTHING,
                self._counts(),
            )
        _, state, row = self.job
        one = cells(row, state, now)
        look = Tone.BAD if state is JobState.FAILED else Tone.PLAIN
        when = Cell(one.when, Tone.BAD if one.late else Tone.FAINT)
        what = Cell(one.what, one.tone)
        if state is JobState.COMPLETED and not one.what and row.failed_reason:
            what = Cell(f"earlier error: {spoken(row.failed_reason)}", Tone.FAINT)
        return (Cell(name), Cell(state.value, look), Cell(one.id), Cell(one.name), when, what)

    def _counts(self) -> Cell:
        counts = self.status.counts if self.status is not None else {}
        some = [f"{count(jobs)} {state}" for state, jobs in counts.items() if jobs]
        return Cell(", ".join(some) or "no jobs", Tone.FAINT)


class Anywhere:
    """What a search has found so far.

    Args:
        search: the search.
        statuses: the queues that are known, whose names may be meant.
    """

    def __init__(self, search: Everywhere, statuses: Iterable[QueueStatus]) -> None:
        self.search = search
        self.wanted = search.wanted
        self.running = False
        self.found = 0
        """Jobs that match, listed or not."""
        self._places: dict[str, int] = {}
        text = self.wanted.source.strip().casefold()
        self.rows: list[FoundRow] = [
            FoundRow(key=f"{one.queue.base}:", queue=one.queue, status=one)
            for one in statuses
            if text in one.queue.base.casefold()
        ]

    def take(self, jobs: Sequence[FoundJob]) -> list[FoundRow]:
        """Takes in what was found; returns the rows that are new. A job has one row.

        Of a job that was met before, in another state, the row says where it was met last.
        """
        fresh = []
        for job in jobs:
            key = job.queue.job(job.row.id)
            row = FoundRow(key=key, queue=job.queue, job=job)
            if key in self._places:
                self.rows[self._places[key]] = row
                continue
            self.found += 1
            if len(self._places) < MOST_ROWS:
                self._places[key] = len(self.rows)
                self.rows.append(row)
                fresh.append(row)
        return fresh

    def progress(self, again: str) -> str:
        """Returns how much was found, and how far the search is, in words.

        Args:
            again: the key that continues a search that was stopped.
        """
        search = self.search
        found = f"{plural(self.found, 'job')} found"
        if self.found > MOST_ROWS:
            found += f", {count(MOST_ROWS)} listed"
        queues = plural(len(search.queues), "queue")
        if search.finished:
            jobs = f" · searched {plural(search.seen, 'job')}" if search.seen else ""
            return f"{found} in {queues}{jobs}"
        far = f"searched {count(search.seen)} of {plural(max(search.total, search.seen), 'job')}"
        if search.queue is not None:
            far += f" · queue {count(search.done + 1)} of {count(len(search.queues))}"
        if not self.running:
            return f"stopped, {again} continues: {found} · {far}"
        throttled = " (throttled)" if search.resting else ""
        here = (
            f" · {plain(search.queue.name)} {search.state}" if search.queue and search.state else ""
        )
        return f"{found} · {far}{throttled}{here}"

    def refused(self) -> str:
        """Returns which queues were not searched whole, in a sentence; empty for none."""
        refused = [*self.search.refused]
        return f"Redis refused to read {plain(name_queues(refused))}." if refused else ""

    def of_empty(self) -> str:
        """Returns what a list without rows says."""
        if self.running:
            return "searching …"
        if not self.search.finished:
            return "nothing found so far"
        word = self.wanted.source.strip()
        if _WORD.fullmatch(word):
            return f"no id and no name contains {word}: try error:{word} or data:{word}"
        return "no matches"
