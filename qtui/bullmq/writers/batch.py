"""One call of a writer: the jobs that it is sent, and the reply. Pure; knows no connection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, NamedTuple

from qtui.bullmq.codes import Code, Result

LARGEST_BATCH: Final = 1000
"""Most jobs in one call: Lua passes them on as arguments, and Redis is blocked meanwhile."""

NEVER: Final = math.nan
"""A score that no job has."""


class Picked(NamedTuple):
    """A job as it was picked: its id, and its score in its state.

    The score (finishedOn) pins this one finish: if the job has run and finished again since, it is
    left alone (code -3). With None the job is taken at any score, with `NEVER` at none.
    """

    job_id: str
    score: float | None = None
    after_children: bool = False
    """Whether children of it are retried too, so that it waits for those that have not run yet."""

    @property
    def pinned(self) -> bool:
        """Whether it is retried at most once, even if it is sent several times."""
        return self.score is not None and not math.isnan(self.score)


@dataclass(frozen=True, slots=True)
class Batch:
    """The reply to one call: a result for each job, in order, and the first side effect's error."""

    results: list[Result]
    note: str = ""
    """Redis's error if an event, a marker or a cleared field was refused after the jobs moved."""
    seconds: float = 0.0
    """How long its jobs kept Redis busy, 0 if the server can't measure it: without a pass through a
    long list, which fewer jobs would not shorten."""


def check_size(jobs: Sequence[Picked]) -> None:
    """Checks that one call may carry the jobs.

    Raises:
        ValueError: they are more than `LARGEST_BATCH`.
    """
    if len(jobs) > LARGEST_BATCH:
        raise ValueError(f"{len(jobs)} jobs in one batch, at most {LARGEST_BATCH} are allowed")


def results_of(ids: Sequence[str], reply: Sequence[str | int]) -> list[Result]:
    """Returns the results in a script's reply: a note, then a code and a detail for each job."""
    codes, details = reply[1::2], map(str, reply[2::2])
    if codes.count(1) == len(codes):  # nearly always
        alike = zip(
            ids, repeat(Code.DONE, len(codes)), details, repeat("", len(codes)), strict=True
        )
        return list(map(Result._make, alike))
    return [
        Result(job_id, Code.DONE, detail)
        if code == 1
        else Result(job_id, Code(int(code)), error=detail)
        for job_id, code, detail in zip(ids, codes, details, strict=True)
    ]
