"""Remembers the jobs with code 1, to check them again if another server answers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from math import isnan

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.operations.supply.pins import Pins

JOBS_AT_ONCE = 1000
"""Jobs read in one round trip."""


class Ledger:
    """Jobs with code 1, each with its pin.

    Takes some 20 bytes a job plus its id. Jobs without a pin are left out: a lost retry can't be
    distinguished from a job that failed again.
    """

    def __init__(self, known: Mapping[str, float] | None = None) -> None:
        """Begins with the jobs of earlier processes: their pins by id."""
        self._ids = list(known or ())
        self._scores = array("d", (known or {}).values())

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self._ids)

    def add(self, picks: Sequence[Picked], results: Iterable[Result]) -> None:
        """Adds the jobs of a batch that have code 1."""
        for (job_id, score, _), result in zip(picks, results, strict=True):
            if result.code is Code.DONE and score is not None and not isnan(score):
                self._ids.append(job_id)
                self._scores.append(score)

    async def lost(self, pins: Pins) -> list[Picked]:
        """Returns the jobs that are as they were picked; they have not moved on since.

        Costs a `Pins.read` for each thousand jobs: one round trip with a ZMSCORE.

        Raises:
            FORBIDDEN: the ACL forbids reading the state.
            LOST: they could not be read; call it again.
        """
        found: list[Picked] = []
        for ids, picked in self._chunks():
            pairs = zip(ids, picked, await pins.read(ids), strict=True)
            found += [Picked(one, pin) for one, pin, score in pairs if score == pin]
        return found

    def drop(self, lost: Iterable[Picked]) -> None:
        """Removes jobs; they are added again when they are done again."""
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
