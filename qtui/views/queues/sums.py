"""The counts of all queues together, added up anew only for those that have changed."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.model import JobState, QueueStatus


class Sums:
    """Adds up the counts of many queues, again and again."""

    def __init__(self) -> None:
        self._counted: dict[str, QueueStatus] = {}
        self._jobs = dict.fromkeys(JobState, 0)
        self._known = dict.fromkeys(JobState, 0)
        """In how many queues the jobs of a state can be counted."""

    def take(self, statuses: Sequence[QueueStatus]) -> None:
        """Counts these and no others; of most it only looks whether they are new."""
        counted = self._counted
        for status in statuses:
            before = counted.get(status.queue.base)
            if before is not status:
                if before is not None:
                    self._add(before, -1)
                self._add(status, 1)
                counted[status.queue.base] = status
        if len(counted) > len(statuses):
            left = {status.queue.base for status in statuses}
            for base in counted.keys() - left:
                self._add(counted.pop(base), -1)

    def _add(self, status: QueueStatus, times: int) -> None:
        for state, jobs in status.counts.items():
            if jobs is not None:
                self._jobs[state] += times * jobs
                self._known[state] += times

    @property
    def counts(self) -> dict[JobState, int | None]:
        """The jobs of all queues by state; None where they can be counted in no queue."""
        return {state: jobs if self._known[state] else None for state, jobs in self._jobs.items()}
