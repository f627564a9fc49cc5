"""Did it stick? What has become of retried jobs, one by one and counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from qtui.bullmq.model import JobState
from qtui.bullmq.reads.page import KEPT
from qtui.bullmq.reads.reader import Whereabouts
from qtui.bullmq.signature import LONGEST_SIGNATURE, signature
from qtui.bullmq.signature.headline import cut_reason, spoken
from qtui.text import count, first_line, plural

_ERRORS: Final = 5_000
"""Distinct errors that are kept whole; of more only what they have in common."""
_TOLD: Final = 10
"""Causes that a tally holds."""
_OTHERS: Final = "other errors"
_NAMED: Final = 2
"""Errors that the words of a tally name."""
_NAME: Final = 48
"""Characters of an error in the words of a tally."""


class Fate(StrEnum):
    """What has become of a retried job so far."""

    WAITING = "waiting"
    ACTIVE = "active"
    DELAYED = "delayed"
    """It will run later by itself: it failed and has attempts left, or its processor put it off."""
    COMPLETED = "completed"
    FAILED_AGAIN = "failed again"
    GONE = "gone"
    """Removed, and no event says how it ended."""
    UNDONE = "back"
    """Where it was before the retry, at the same finish: Redis lost the retry, it never ran."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of this retry."""
        return self in (Fate.COMPLETED, Fate.FAILED_AGAIN, Fate.GONE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fate, and the new error where the job failed again."""

    fate: Fate
    error: str = ""
    cause: str = field(default="", compare=False)
    """The signature of the new error, where the job was followed."""


WAITING: Final = Outcome(Fate.WAITING)
_UNDONE: Final = Outcome(Fate.UNDONE)
_FINISHED: Final = (JobState.COMPLETED, JobState.FAILED)


def outcome(where: Whereabouts, pin: float | None = None) -> Outcome:
    """What a retried job's place tells of it.

    One that is in a finished state at the score ``pin``, at which it was retried, has not run
    since: Redis has lost the retry. A job without a hash was removed after it ran
    (removeOnComplete, removeOnFail) or by somebody: it is gone, and its end is unknown.
    """
    if where.state in _FINISHED and pin is not None and where.score == pin:
        return _UNDONE
    match where.state:
        case JobState.ACTIVE:
            return Outcome(Fate.ACTIVE)
        case JobState.COMPLETED:
            return Outcome(Fate.COMPLETED)
        case JobState.FAILED:
            return Outcome(Fate.FAILED_AGAIN, spoken(where.failed_reason or ""))
        case None if not where.exists:
            return Outcome(Fate.GONE)
        case _:
            return Outcome(Fate.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeTally:
    """What has become of many retried jobs, counted in jobs."""

    waiting: int = 0
    active: int = 0
    delayed: int = 0
    """Will run again by themselves, later."""
    recovered: int = 0
    """Completed."""
    failed_again: int = 0
    same_error: int = 0
    """Of those that failed again, how many with the error (by signature) that they had before."""
    errors: tuple[tuple[str, int], ...] = ()
    """Signatures with which most failed again, the most common first. Foreign text."""
    gone: int = 0
    """Removed, and no event says how they ended."""
    undone: int = 0
    """Back where they were before the retry, which Redis lost: they never ran."""
    unknown: int = 0
    """Still open when something was last seen of them; what they are now could not be read."""
    retried_since: int = 0
    """Of those that failed again or completed, how many somebody else has retried since."""
    beyond: int = 0
    """Retried, but more than are followed."""

    @property
    def followed(self) -> int:
        """Jobs that are followed."""
        return self.decided + self.undecided

    @property
    def decided(self) -> int:
        """Jobs of which nothing more will come."""
        return self.recovered + self.failed_again + self.gone

    @property
    def undecided(self) -> int:
        """Jobs of which more may come."""
        return self.waiting + self.active + self.delayed + self.undone + self.unknown

    @property
    def unproven(self) -> int:
        """Jobs that are not known to have completed, and not known to have failed again."""
        return self.undecided + self.gone + self.beyond

    def as_unknown(self) -> OutcomeTally:
        """The same where nothing could be read of the open jobs: what they are now is unknown."""
        return replace(self, waiting=0, active=0, delayed=0, undone=0, unknown=self.undecided)

    def counts(self) -> dict[str, int]:
        """Every job that was retried by its fate, in the words of a journal; they add up."""
        counted = {
            Fate.COMPLETED.value: self.recovered,
            Fate.FAILED_AGAIN.value: self.failed_again,
            Fate.ACTIVE.value: self.active,
            Fate.WAITING.value: self.waiting,
            Fate.DELAYED.value: self.delayed,
            Fate.GONE.value: self.gone,
            Fate.UNDONE.value: self.undone,
            "unknown": self.unknown,
            "not followed": self.beyond,
        }
        return {name: number for name, number in counted.items() if number}

    def words(self) -> str:
        """``482 of 500 recovered · 11 failed again (Timeout) · 7 waiting``: plain, in one line."""
        parts = [f"{count(self.recovered)} of {count(self.followed)} recovered"]
        if self.failed_again:
            parts.append(f"{count(self.failed_again)} failed again ({self._named()})")
        if self.retried_since:
            parts.append(f"{count(self.retried_since)} retried since by somebody else")
        for number, what in (
            (self.active, "active"),
            (self.waiting, "waiting"),
            (self.delayed, "delayed, will run again"),
            (self.gone, "gone"),
            (self.undone, "back where they were: Redis lost the retry"),
            (self.unknown, "unknown"),
            (self.beyond, "not followed"),
        ):
            if number:
                parts.append(f"{count(number)} {what}")
        return " · ".join(parts)

    def _named(self) -> str:
        shown = self.errors[:_NAMED]
        words = [_short(cause) for cause, _ in shown]
        if len(shown) == 1 and shown[0][1] == self.failed_again:
            return words[0]
        words = [f"{count(number)} {word}" for word, (_, number) in zip(words, shown, strict=True)]
        others = self.failed_again - sum(number for _, number in shown)
        return ", ".join([*words, plural(others, "other")] if others else words)


def _short(cause: str) -> str:
    words = first_line(cause) or "no reason given"
    return words if len(words) <= _NAME else f"{words[: _NAME - 1]}…"


@dataclass(slots=True)
class Followed:
    """What is kept of one job of which anything was seen."""

    outcome: Outcome = WAITING
    armed: bool = False
    """Whether events are about this retry: one was seen that only comes after it."""
    before: str | None = None
    """The error that it had before the retry, or its signature where that is shorter."""
    same: bool = False
    """Failed again with that error."""


class Outcomes(Mapping[str, Outcome]):
    """What has become of many jobs, by id, and the counts of it.

    Some 100 bytes a job, 200 once anything is seen of it, and the error that it had where no other
    had the same.
    """

    def __init__(self) -> None:
        self.undecided = 0
        """Jobs of which more may come."""
        self.beyond = 0
        """Jobs that were too many."""
        self.moves = 0
        """Changes so far."""
        # Of jobs of which nothing was seen yet only the error that they had.
        self._jobs: dict[str, Followed | str | None] = {}
        self._fates: Counter[Fate] = Counter()
        self._causes: Counter[str] = Counter()
        self._same = 0
        self._since: set[str] = set()
        self._changed: set[str] = set()
        # Shared by all jobs that failed alike.
        self._failures: dict[tuple[str, str], Outcome] = {}
        self._before: dict[str, str] = {}

    def __getitem__(self, job_id: str) -> Outcome:
        found = self._jobs[job_id]
        return found.outcome if isinstance(found, Followed) else WAITING

    def __iter__(self) -> Iterator[str]:
        return iter(self._jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, ids: Sequence[str], errors: Sequence[str | None]) -> None:
        """New jobs, and the failedReason that each had before, None where it is not known."""
        kept = self._before
        before = [kept.get(one) or self._kept(one) if one else one for one in errors]
        self._jobs.update(zip(ids, before, strict=True))
        self._fates[Fate.WAITING] += len(ids)
        self.undecided += len(ids)

    def known(self, ids: Iterable[str]) -> bool:
        """Whether any of these is among them already."""
        return not self._jobs.keys().isdisjoint(ids)

    def final(self) -> dict[str, Outcome]:
        """Those of which nothing more will come."""
        return {
            job_id: job.outcome
            for job_id, job in self._jobs.items()
            if isinstance(job, Followed) and job.outcome.fate.is_final
        }

    def job(self, job_id: str) -> Followed | None:
        """What is kept of a job, None if it is not one of these."""
        if job_id not in self._jobs:
            return None
        found = self._jobs[job_id]
        if not isinstance(found, Followed):
            found = self._jobs[job_id] = Followed(before=found)
        return found

    def is_open(self, job_id: str) -> bool:
        """Whether more may come of a job."""
        return job_id in self._jobs and not self[job_id].fate.is_final

    def note(self, job_id: str, seen: Outcome) -> bool:
        """Whether it is news; a job that is decided stays as it is."""
        job = self.job(job_id)
        if job is None or job.outcome == seen or job.outcome.fate.is_final:
            return False
        self._fates[job.outcome.fate] -= 1
        self._fates[seen.fate] += 1
        self.undecided -= seen.fate.is_final
        job.outcome = seen
        self.moves += 1
        self._changed.add(job_id)
        return True

    def fail(self, job_id: str, reason: str) -> bool:
        """As `note`, for a job that failed with a failedReason."""
        job = self.job(job_id)
        if job is None or job.outcome.fate.is_final:
            return False
        cause = signature(cut_reason(reason, KEPT))
        failure = self._failure(spoken(reason), cause)
        job.same = job.before is not None and signature(job.before) == cause
        self._same += job.same
        self._causes[failure.cause] += 1
        return self.note(job_id, failure)

    def undo(self, job_id: str) -> None:
        """The job is back where it was before the retry, whatever was seen of it since."""
        job = self.job(job_id)
        if job is None or job.outcome.fate is Fate.UNDONE:
            return
        old = job.outcome
        if old.fate is Fate.FAILED_AGAIN:
            self._same -= job.same
            self._causes[old.cause] -= 1
        self._fates[old.fate] -= 1
        self._fates[Fate.UNDONE] += 1
        self.undecided += old.fate.is_final
        self._since.discard(job_id)
        job.outcome, job.armed, job.same = _UNDONE, False, False
        self.moves += 1
        self._changed.add(job_id)

    def retried_since(self, job_id: str) -> None:
        """Somebody else has retried a job that was decided."""
        self._since.add(job_id)

    def changed(self) -> set[str]:
        """The ids of jobs whose outcome has changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def tally(self, ids: Iterable[str] | None = None) -> OutcomeTally:
        """All jobs counted, or those of ``ids`` that are among them, which is O(ids)."""
        if ids is None:
            return self._tally(self._fates, self._causes, self._same, len(self._since), self.beyond)
        fates: Counter[Fate] = Counter()
        causes: Counter[str] = Counter()
        same = since = 0
        for job_id in dict.fromkeys(ids):
            if (job := self.job(job_id)) is None:
                continue
            fates[job.outcome.fate] += 1
            same += job.same
            since += job_id in self._since
            if job.outcome.fate is Fate.FAILED_AGAIN:
                causes[job.outcome.cause] += 1
        return self._tally(fates, causes, same, since, 0)

    @staticmethod
    def _tally(
        fates: Counter[Fate], causes: Counter[str], same: int, since: int, beyond: int
    ) -> OutcomeTally:
        return OutcomeTally(
            waiting=fates[Fate.WAITING],
            active=fates[Fate.ACTIVE],
            delayed=fates[Fate.DELAYED],
            recovered=fates[Fate.COMPLETED],
            failed_again=fates[Fate.FAILED_AGAIN],
            same_error=same,
            errors=tuple((+causes).most_common(_TOLD)),
            gone=fates[Fate.GONE],
            undone=fates[Fate.UNDONE],
            retried_since=since,
            beyond=beyond,
        )

    def _failure(self, error: str, cause: str) -> Outcome:
        for key, most in (((error, cause), _ERRORS), ((cause, cause), 2 * _ERRORS)):
            if (known := self._failures.get(key)) is not None:
                return known
            if len(self._failures) < most:
                return self._failures.setdefault(key, Outcome(Fate.FAILED_AGAIN, *key))
        return self._failures.setdefault(
            (_OTHERS, _OTHERS), Outcome(Fate.FAILED_AGAIN, _OTHERS, _OTHERS)
        )

    def _kept(self, error: str) -> str:
        """What is kept of an error for as long as its job is followed; its signature is the same.

        To find the signature of each takes longer than to retry its job.
        """
        kept = error if len(error) <= LONGEST_SIGNATURE else signature(cut_reason(error, KEPT))
        if len(self._before) < _ERRORS and len(error) <= KEPT:
            self._before[error] = kept
        return kept
