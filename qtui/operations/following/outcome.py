"""The outcomes of retried jobs, one by one and counted. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Final

from qtui.bullmq.model import JobState
from qtui.bullmq.reads.page import KEPT
from qtui.bullmq.reads.reader import Whereabouts
from qtui.bullmq.signature.headline import cut_reason, spoken
from qtui.bullmq.signature.signature import LONGEST_SIGNATURE, signature
from qtui.text import count, first_line, plural

_ERRORS: Final = 5_000
"""Distinct errors that are kept in full; of further ones only the signature."""
_MOST_ERRORS: Final = 10
"""Most causes in a tally."""
_OTHERS: Final = "other errors"
_NAMED: Final = 2
"""Most errors in `OutcomeTally.words`."""
_NAME: Final = 48
"""Characters of an error in `OutcomeTally.words`."""


LATEST: Final = 200
"""Final outcomes that a campaign's brake judges by."""


class Fate(StrEnum):
    """The fate of a retried job so far."""

    WAITING = "waiting"
    ACTIVE = "active"
    DELAYED = "delayed"
    """It will run later by itself: it failed with attempts left, or its processor delayed it."""
    COMPLETED = "completed"
    FAILED_AGAIN = "failed again"
    GONE = "gone"
    """Removed, and no event says how it ended."""
    UNDONE = "back"
    """Where it was before the retry, at the same score: Redis lost the retry, it never ran."""

    @property
    def is_final(self) -> bool:
        """Whether this retry can't change the fate any more."""
        return self in (Fate.COMPLETED, Fate.FAILED_AGAIN, Fate.GONE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fate, and the new error where the job failed again."""

    fate: Fate
    error: str = ""
    cause: str = field(default="", compare=False)
    """The signature of the new error, if the job was followed."""


WAITING: Final = Outcome(Fate.WAITING)
_UNDONE: Final = Outcome(Fate.UNDONE)
_FINISHED: Final = (JobState.COMPLETED, JobState.FAILED)


def outcome(where: Whereabouts, pin: float | None = None) -> Outcome:
    """Returns the outcome of a retried job, given the state it is in.

    A job in a finished state at the score ``pin``, at which it was retried, has not run since:
    Redis has lost the retry. A job without a hash was removed after it ran (removeOnComplete,
    removeOnFail) or by a person: it is gone, and how it ended is unknown.
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
    """The outcomes of many retried jobs, counted."""

    waiting: int = 0
    active: int = 0
    delayed: int = 0
    """They will run again later by themselves."""
    completed: int = 0
    failed_again: int = 0
    same_error: int = 0
    """Jobs that failed again with the same error (by signature) as before."""
    errors: tuple[tuple[str, int], ...] = ()
    """Signatures of the new errors, the most common first. Foreign text."""
    gone: int = 0
    """Removed, and no event says how they ended."""
    undone: int = 0
    """Back where they were before the retry, which Redis lost: they never ran."""
    unknown: int = 0
    """Still open when last seen; their current state could not be read."""
    retried_since: int = 0
    """Jobs that completed or failed again, and were then retried by another process."""
    beyond: int = 0
    """Retried, but not followed, since they are too many."""

    @property
    def followed(self) -> int:
        """Number of jobs that are followed."""
        return self.decided + self.undecided

    @property
    def decided(self) -> int:
        """Number of jobs with a final outcome."""
        return self.completed + self.failed_again + self.gone

    @property
    def undecided(self) -> int:
        """Number of jobs whose outcome is not final."""
        return self.waiting + self.active + self.delayed + self.undone + self.unknown

    def open_parts(
        self, *, gone: str = "outcome unknown", unknown: str = ""
    ) -> list[tuple[int, str]]:
        """The jobs of `unproven`, as numbers with words in plain text; none of them is 0.

        Args:
            gone: why it is not known how removed jobs ended.
            unknown: why states could not be read, if that is known.
        """
        parts = (
            (self.active, "active"),
            (self.waiting, "waiting"),
            (self.delayed, "delayed (will run again)"),
            (self.gone, f"removed ({gone})"),
            (self.undone, "back where they were (Redis lost the retry)"),
            (self.unknown, f"unknown ({unknown})" if unknown else "unknown"),
            (self.beyond, "not followed"),
        )
        return [(number, what) for number, what in parts if number]

    @property
    def unproven(self) -> int:
        """Number of jobs not known to have completed or failed again."""
        return self.undecided + self.gone + self.beyond

    def as_unknown(self) -> OutcomeTally:
        """Returns the tally with all open jobs counted as unknown, for when they can't be read."""
        return replace(self, waiting=0, active=0, delayed=0, undone=0, unknown=self.undecided)

    def counts(self) -> dict[str, int]:
        """Returns the number of jobs per fate, named as in journals; they add up to all retried."""
        counted = {
            Fate.COMPLETED.value: self.completed,
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
        """``482 of 500 completed · 11 failed again (Timeout) · 7 waiting``: plain, in one line."""
        parts = [f"{count(self.completed)} of {count(self.followed)} completed"]
        if self.failed_again:
            parts.append(f"{count(self.failed_again)} failed again ({self._named()})")
        if self.retried_since:
            parts.append(f"{count(self.retried_since)} retried since by another client")
        return " · ".join(
            [*parts, *(f"{count(number)} {what}" for number, what in self.open_parts())]
        )

    def _named(self) -> str:
        shown = self.errors[:_NAMED]
        words = [_short(cause) for cause, _ in shown]
        if len(shown) == 1 and shown[0][1] == self.failed_again:
            return words[0]
        words = [f"{count(number)} {word}" for word, (_, number) in zip(words, shown, strict=True)]
        others = self.failed_again - sum(number for _, number in shown)
        return ", ".join([*words, plural(others, "other")] if others else words)


def total(tallies: Iterable[OutcomeTally]) -> OutcomeTally:
    """Returns the sum of tallies, of different queues."""
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for one in tallies:
        errors.update(dict(one.errors))
        for part in fields(one):
            if part.name != "errors":
                counts[part.name] += getattr(one, part.name)
    return OutcomeTally(**counts, errors=tuple(errors.most_common(_MOST_ERRORS)))


def _short(cause: str) -> str:
    words = first_line(cause) or "no reason given"
    return words if len(words) <= _NAME else f"{words[: _NAME - 1]}…"


@dataclass(slots=True)
class Followed:
    """The record of one job of which an event or a state was read."""

    outcome: Outcome = WAITING
    armed: bool = False
    """Whether further events are about this retry: one was seen that only comes after it."""
    before: str | None = None
    """The error before the retry, or its signature if that is shorter."""
    same: bool = False
    """Whether it failed again with that error."""


class Outcomes(Mapping[str, Outcome]):
    """The outcomes of many jobs by id, and their counts.

    Takes some 100 bytes a job, 200 once it was seen, plus its previous error if no other job had
    the same.
    """

    def __init__(self) -> None:
        self.undecided = 0
        """Number of jobs whose outcome is not final."""
        self.beyond = 0
        """Number of jobs that are not followed, since they are too many."""
        self.moves = 0
        """Number of changes so far."""
        self.latest: deque[bool] = deque(maxlen=LATEST)
        """For each of the latest final outcomes, whether it failed again or is unknown."""
        # For a job that was not seen yet, only its previous error.
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
        """Adds jobs, each with its previous failedReason, or None if unknown."""
        kept = self._before
        before = [kept.get(one) or self._kept(one) if one else one for one in errors]
        self._jobs.update(zip(ids, before, strict=True))
        self._fates[Fate.WAITING] += len(ids)
        self.undecided += len(ids)

    def known(self, ids: Iterable[str]) -> bool:
        """Whether any of these jobs was added already."""
        return not self._jobs.keys().isdisjoint(ids)

    def final(self) -> dict[str, Outcome]:
        """Returns the outcomes that are final."""
        return {
            job_id: job.outcome
            for job_id, job in self._jobs.items()
            if isinstance(job, Followed) and job.outcome.fate.is_final
        }

    def job(self, job_id: str) -> Followed | None:
        """Returns the record of a job, None if it was not added."""
        if job_id not in self._jobs:
            return None
        found = self._jobs[job_id]
        if not isinstance(found, Followed):
            found = self._jobs[job_id] = Followed(before=found)
        return found

    def is_open(self, job_id: str) -> bool:
        """Whether a job was added and its outcome is not final."""
        return job_id in self._jobs and not self[job_id].fate.is_final

    def note(self, job_id: str, seen: Outcome) -> bool:
        """Takes an outcome, unless the job's is final already; returns whether it changed."""
        job = self.job(job_id)
        if job is None or job.outcome == seen or job.outcome.fate.is_final:
            return False
        self._fates[job.outcome.fate] -= 1
        self._fates[seen.fate] += 1
        if seen.fate.is_final:
            self.undecided -= 1
            self.latest.append(seen.fate is not Fate.COMPLETED)
        job.outcome = seen
        self.moves += 1
        self._changed.add(job_id)
        return True

    def fail(self, job_id: str, reason: str) -> bool:
        """As `note`, for a job that failed again with this failedReason."""
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
        """Sets a job back to where it was before the retry, even if its outcome was final."""
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
        """Notes that another process has retried a job after its final outcome."""
        self._since.add(job_id)

    def changed(self) -> set[str]:
        """Returns the ids of jobs whose outcome has changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def tally(self, ids: Iterable[str] | None = None) -> OutcomeTally:
        """Counts all jobs, or those of ``ids`` that were added; O(ids) then."""
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
            completed=fates[Fate.COMPLETED],
            failed_again=fates[Fate.FAILED_AGAIN],
            same_error=same,
            errors=tuple((+causes).most_common(_MOST_ERRORS)),
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
        """The short form of an error to keep while its job is followed; same signature.

        Cached, since computing a signature takes longer than retrying the job.
        """
        kept = error if len(error) <= LONGEST_SIGNATURE else signature(cut_reason(error, KEPT))
        if len(self._before) < _ERRORS and len(error) <= KEPT:
            self._before[error] = kept
        return kept
