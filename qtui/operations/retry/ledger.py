"""What a server has acknowledged, so that it can be read again where that one is no longer it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.places import Places
from qtui.bullmq.writer import Picked

JOBS_AT_ONCE = 1000
"""Jobs that are read in one round trip."""


class Ledger:
    """Jobs that were retried, each with the finish to which its retry was pinned.

    Some 20 bytes a job beside its id. Jobs without a pin are left out: they can't be told from ones
    that failed again.
    """

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        """Begins with jobs of an earlier process, by id the score of each."""
        self._ids = list(known or ())
        self._scores = array("d", (known or {}).values())

    def __len__(self) -> int:
        """How many jobs."""
        return len(self._ids)

    def add(self, picks: Sequence[Picked], results: Iterable[Result]) -> None:
        """Takes the jobs of a batch that were retried."""
        for one, result in zip(picks, results, strict=True):
            if result.code is Code.RETRIED and one.pinned and one.score is not None:
                self._ids.append(one.job_id)
                self._scores.append(one.score)

    async def lost(self, places: Places, state: JobState) -> list[Picked]:
        """The jobs that are where they were before their retry; they have not run since.

        Costs a ZMSCORE, one round trip, for each thousand jobs.

        Raises:
            FORBIDDEN: this user may not see where the jobs are.
            LOST: they could not be read: ask again.
        """
        found: list[Picked] = []
        for ids, pins in self._chunks():
            scores = await places.scores(state, ids)
            pairs = zip(ids, pins, scores, strict=True)
            found += [Picked(one, pin) for one, pin, score in pairs if score == pin]
        return found

    def drop(self, lost: Iterable[Picked]) -> None:
        """Takes jobs out; they will be added again when they are retried again."""
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
