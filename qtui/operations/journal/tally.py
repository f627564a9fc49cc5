"""Counts a journal line by line, without decoding the jobs' fields. Pure; touches no file."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from qtui.bullmq.codes import Code
from qtui.operations.journal.lines import all_known, glance


@dataclass(slots=True)
class JournalTally:
    """Counts the jobs and codes of a campaign, line by line. Keeps only the jobs in doubt."""

    jobs: int = 0
    codes: Counter[Code] = field(default_factory=Counter)
    doubtful: dict[str, float | None] = field(default_factory=dict)
    """By id, the scores of jobs that may have been sent and have no code, or an unknown one."""
    retried: dict[str, float] | None = None
    """By id, the scores of jobs with code 1; None if they need not be kept."""
    _unknown: set[str] = field(default_factory=set)
    _unsent: set[str] = field(default_factory=set)
    """Jobs that were certainly not sent, though their snapshots were written."""

    def add(self, line: bytes) -> str | None:
        """Counts one line; returns the job's id if the line settles its code."""
        seen = glance(line)
        if seen is None:
            if all_known(line):
                self._clear()
            return None
        if seen.withdrawn:
            self._withdraw(seen.job_id, seen.score)
            return None
        if seen.code is None:
            if seen.job_id not in self.doubtful:  # else a resumed campaign wrote it again
                self.jobs += seen.job_id not in self._unsent
                self._unsent.discard(seen.job_id)
                self.doubtful[seen.job_id] = seen.score
            return None
        if seen.job_id in self._unknown:
            self._unknown.discard(seen.job_id)
            self.codes[Code.UNKNOWN] -= 1
        self.codes[seen.code] += 1
        if seen.code is Code.UNKNOWN:
            self._unknown.add(seen.job_id)
            return None
        score = self.doubtful.pop(seen.job_id, None)
        if self.retried is not None and seen.code is Code.DONE and score is not None:
            self.retried[seen.job_id] = score
        return seen.job_id

    def _clear(self) -> None:
        """Takes the jobs without a code out of doubt: they were not sent."""
        self._unsent |= self.doubtful.keys() - self._unknown
        self.doubtful = {one: at for one, at in self.doubtful.items() if one in self._unknown}

    def _withdraw(self, job_id: str, score: float | None) -> None:
        """Voids a code 1: the job may be sent again, after its state was read."""
        if job_id in self.doubtful:
            return
        self.codes[Code.DONE] -= 1
        self.doubtful[job_id] = score
        if self.retried is not None:
            self.retried.pop(job_id, None)


class Ids:
    """A set of many job ids, exact: 8 bytes for each that is a plain number, else a string."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._sorted = True
        self._texts: set[str] = set()

    def add(self, job_id: str) -> None:
        """Adds an id that is not in the set yet."""
        number = _number(job_id)
        if number is None:
            self._texts.add(job_id)
            return
        self._sorted = self._sorted and (not self._numbers or self._numbers[-1] < number)
        self._numbers.append(number)

    def __contains__(self, job_id: object) -> bool:
        """Whether an id was added. The first call after an addition may sort."""
        if not isinstance(job_id, str):
            return False
        if not self._sorted:
            self._numbers = array("Q", sorted(self._numbers))
            self._sorted = True
        number = _number(job_id)
        if number is None:
            return job_id in self._texts
        at = bisect_left(self._numbers, number)
        return at < len(self._numbers) and self._numbers[at] == number

    def __len__(self) -> int:
        """The number of ids."""
        return len(self._numbers) + len(self._texts)


def _number(job_id: str) -> int | None:
    if not (job_id.isascii() and job_id.isdecimal() and len(job_id) < 19):
        return None
    return int(job_id) if job_id[0] != "0" or job_id == "0" else None
