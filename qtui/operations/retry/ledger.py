"""Remembers the acknowledged retries, to check them again if another server answers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.places import Places
from qtui.bullmq.writers.batch import Picked

JOBS_AT_ONCE = 1000
"""Jobs read in one round trip."""


class Ledger:
    """Jobs that were retried, each with the score to which its retry was pinned.

    Takes some 20 bytes a job plus its id. Jobs without a pin are left out: a lost retry can't be
    distinguished from a job that failed again.
    """

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        """Begins with the jobs of earlier processes: their scores by id."""
        self._ids = list(known or ())
        self._scores = array("d", (known or {}).values())

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self._ids)

    def add(self, picks: Sequence[Picked], results: Iterable[Result]) -> None:
        """Adds the jobs of a batch that were retried."""
        for one, result in zip(picks, results, strict=True):
            if result.code is Code.DONE and one.pinned and one.score is not None:
                self._ids.append(one.job_id)
                self._scores.append(one.score)

    async def lost(self, places: Places, state: JobState) -> list[Picked]:
        """Returns the jobs that are where they were before their retry; they have not run since.

        Costs one round trip with a ZMSCORE for each thousand jobs.

        Raises:
            FORBIDDEN: the ACL forbids reading the state.
            LOST: they could not be read; call it again.
        """
        found: list[Picked] = []
        for ids, pins in self._chunks():
            scores = await places.scores(state, ids)
            pairs = zip(ids, pins, scores, strict=True)
            found += [Picked(one, pin) for one, pin, score in pairs if score == pin]
        return found

    def drop(self, lost: Iterable[Picked]) -> None:
        """Removes jobs; they are added again when they are retried again."""
        gone = {one.job_id for one in lost}
        kept = [one not in gone for one in self._ids]
        self._scores = array("d", compress(self._scores, kept))
        self._ids = list(compress(self._ids, kept))

    def _chunks(self) -> Iterator[tuple[list[str], array[float]]]:
        for start in range(0, len(self._ids), JOBS_AT_ONCE):
            yield (
                self._ids[start : start + JOBS_AT_ONCE],
                self._scores[start : start + JOBS_AT_ONCE],
            )
