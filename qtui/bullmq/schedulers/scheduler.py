"""A scheduler as plain data, and its condition. Pure; no content makes it raise.

BullMQ keeps each scheduler as a member of the sorted set ``repeat``, its score the time of its
iteration: the one job that is to run next, and that makes the next one when it starts. A scheduler
whose iteration is lost never runs again, and no release says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Whereabouts

FIELDS: Final = (
    *("name", "pattern", "every", "tz", "startDate", "endDate", "limit", "offset", "ic"),
    *("data", "opts"),
)
"""The fields of the hash ``repeat:<id>``; the last two are the template."""

LIST_FIELDS: Final = FIELDS[:-2]
"""Those that a list reads."""

ITERATION_FIELDS: Final = (
    *("name", "timestamp", "opts", "rjk", "processedOn", "finishedOn", "ats", "attemptsMade"),
)
"""The fields of an iteration's hash that `Scheduler` is made of."""

GRACE: Final = 5000
"""Milliseconds after its time before an iteration that has not started is late."""

_DIGESTS: Final = ("md5", "sha256", "sha1", "sha512")
"""BullMQ's ``repeatKeyHashAlgorithm``; md5 unless the application sets another one (≥4.10)."""

_MOST_SPLITS: Final = 8
_DIGEST: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")
_WHOLE: Final = re.compile(r"\d{1,16}(?:\.0+)?", re.ASCII)


class Condition(StrEnum):
    """The condition of a scheduler."""

    SCHEDULED = "scheduled"
    """Its iteration waits for its time, or has just become due."""
    LATE = "late"
    """Its iteration should have started more than `GRACE` ago."""
    RUNNING = "running"
    """Its iteration runs, and has not made the next one yet."""
    ENDED = "ended"
    """Its limit or its end date is reached."""
    DEAD = "dead"
    """Its iteration is gone, in no state, or has finished: nothing makes the next one."""
    UNKNOWN = "unknown"
    """A list that may hold its iteration could not be searched."""

    @property
    def is_dead(self) -> bool:
        """Whether it never fires again, though it should."""
        return self is Condition.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """The job that a scheduler is to run next. Times are ms since the epoch."""

    id: str
    name: str
    place: Whereabouts
    due: int | None = None
    """When it is to start; of one in `delayed` as its score says, else as the scheduler says."""
    made: int | None = None
    """When it was made: the start of the one before, unless it is the first (``timestamp``)."""
    count: int | None = None
    """Its number, from 1 on, as far as the release counts (``opts.repeat.count``)."""
    processed: int | None = None
    begun: bool = False
    """Whether a worker has had it, ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """One job scheduler or repeatable job at one moment. Times are ms since the epoch."""

    queue: QueueKey
    id: str
    """The member of ``repeat``: a scheduler's id, or a key that an old release made."""
    score: str
    """Its score there, as Redis writes it; part of its iteration's id."""
    now: int
    """The server's time when it was read."""
    legacy: bool = False
    """Whether it is a repeatable job of 1.x to 5.x, and not a job scheduler."""
    has_template: bool = True
    """Whether its hash holds the template. Else that is in its iterations alone, as in repeatable
    jobs, and in the job schedulers of 5.16.0 and some releases after it."""
    name: str = ""
    pattern: str = ""
    every: int | None = None
    tz: str = ""
    start_date: int | None = None
    end_date: int | None = None
    limit: int | None = None
    offset: int | None = None
    iterations: int | None = None
    """How many iterations it has made, by its own count (≥5.36.0) or by its iteration's."""
    data: str | None = None
    """The template's data as JSON; None if it was not read, or there is none."""
    opts: str | None = None
    iteration: Iteration | None = None
    """None: no job with any of the ids that it may have exists."""
    paused: bool = False
    """Whether the queue is paused."""

    @property
    def next(self) -> int | None:
        """The time of its iteration, as the scheduler says."""
        slot = whole(self.score)
        if slot is None:
            return None
        return slot + self.shift

    @property
    def shift(self) -> int:
        """How much later than its score its iteration runs.

        BullMQ 5.54.1 to 5.62 keep multiples of ``every`` as scores, and add ``offset``; later
        releases have it in the score already.
        """
        slot = whole(self.score)
        if not self.every or not self.offset or slot is None or slot % self.every:
            return 0
        return self.offset

    @property
    def last(self) -> int | None:
        """When the iteration before this one started; None if that is not known."""
        one = self.iteration
        return one.made if one is not None and (one.count or 0) > 1 else None

    @property
    def condition(self) -> Condition:
        """Its condition."""
        one = self.iteration
        if one is None:
            return Condition.ENDED if self.is_over else Condition.DEAD
        place = one.place
        if place.state is None:
            if place.unknown:
                return Condition.UNKNOWN
            return Condition.ENDED if self.is_over else Condition.DEAD
        if place.state.is_finished:
            return Condition.ENDED if self.is_over else Condition.DEAD
        if place.state in (JobState.ACTIVE, JobState.WAITING_CHILDREN):
            return Condition.RUNNING
        return Condition.LATE if self.late else Condition.SCHEDULED

    @property
    def late(self) -> int:
        """Milliseconds by which its iteration is late; 0 within `GRACE`, or if it has started."""
        one = self.iteration
        if one is None or one.due is None or one.place.state not in _PENDING:
            return 0
        by = self.now - one.due
        return by if by > GRACE else 0

    @property
    def is_over(self) -> bool:
        """Whether its limit or its end date says that there is no further iteration."""
        if self.limit is not None and (self.iterations or 0) >= self.limit:
            return True
        return self.end_date is not None and self.now > self.end_date


_PENDING: Final = frozenset(
    {JobState.DELAYED, JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED}
)
"""The states of an iteration that has not started."""


def whole(text: str | None) -> int | None:
    """Returns a whole number that BullMQ wrote; None for anything else."""
    if text is None or not _WHOLE.fullmatch(text):
        return None
    return int(float(text))


def repeat_of(opts: str | None) -> Mapping[str, object]:
    """Returns what a job's options say about its repetition; empty if they are garbage."""
    try:
        found = json.loads(opts or "{}")
    except (ValueError, RecursionError):
        return {}
    repeat = found.get("repeat") if isinstance(found, dict) else None
    return repeat if isinstance(repeat, dict) else {}


@dataclass(frozen=True, slots=True)
class LegacyKey:
    """What the member of an old release's repeatable job says: ``name:jobId:endDate:tz:when``."""

    name: str
    job_id: str
    end_date: str
    tz: str
    when: str

    @property
    def every(self) -> int | None:
        """The period in milliseconds, if it has one."""
        return int(self.when) if self.when.isascii() and self.when.isdecimal() else None


def legacy_key(member: str) -> LegacyKey | None:
    """Returns the parts of an old release's member, by its first colons as BullMQ does, or None."""
    parts = member.rsplit(":", 3)
    if len(parts) < 4 or ":" not in parts[0]:
        return None
    head, end_date, tz, when = parts
    is_when = " " in when or when.isdecimal() or when.startswith("@")
    if not is_when or not (end_date == "" or end_date.isdecimal() or end_date == "NaN"):
        return None
    name, _, job_id = head.partition(":")
    return LegacyKey(name, job_id, end_date, tz, when)


def is_digest(member: str) -> bool:
    """Whether a member is the digest that 5.10.0 to 5.81.5 give to a repeatable job."""
    return _DIGEST.fullmatch(member) is not None


def iteration_ids(member: str, score: str) -> list[str]:
    """Returns the ids that the iteration of a scheduler may have.

    A job scheduler's is ``repeat:<id>:<ms>``. Repeatable jobs of 1.x to 5.9 have a digest of the
    job's name and id and of the member, and the colons in a name make more than one reading.
    """
    found: list[str] = []
    if legacy_key(member) is not None:
        head = member.rsplit(":", 3)[0]
        ends = [at for at, sign in enumerate(head) if sign == ":"][:_MOST_SPLITS]
        for digest in _DIGESTS:
            inner = _hash(digest, member)
            names = [head[:at] + head[at + 1 :] for at in ends]
            found += (f"repeat:{_hash(digest, name + inner)}:{score}" for name in names)
    return [f"repeat:{member}:{score}", *dict.fromkeys(found)]


def _hash(digest: str, text: str) -> str:
    return hashlib.new(digest, text.encode("utf-8", "surrogateescape")).hexdigest()


def scheduler_of(
    queue: QueueKey,
    member: str,
    score: str,
    fields: Sequence[str | None],
    iteration: Iteration | None,
    found: Mapping[str, object],
    *,
    now: int,
    paused: bool,
) -> Scheduler:
    """Returns a scheduler from what Redis says.

    Args:
        queue: its queue.
        member: the member of ``repeat``.
        score: its score.
        fields: `FIELDS` of its hash, or only `LIST_FIELDS`; None for each that is absent.
        iteration: its iteration.
        found: what the iteration's options say about the repetition.
        now: the server's time in ms.
        paused: whether the queue is paused.
    """
    values = dict(zip(FIELDS, fields, strict=False))
    key = legacy_key(member)
    # A scheduler has a count since 5.36.0; a repeatable job never had a template.
    hashed = any(value is not None for value in values.values())
    made_so = values["ic"] is not None or values.get("data") or values.get("opts")
    legacy = not made_so and (key is not None or not hashed or is_digest(member))
    pattern, every = values["pattern"] or "", whole(values["every"])
    if key is not None and not hashed:
        pattern, every = ("", key.every) if key.every is not None else (key.when, None)
    named = key.name if key is not None and not hashed else ""
    count = iteration.count if iteration is not None else None
    end_date = values["endDate"] or (key.end_date if key and not hashed else None)
    return Scheduler(
        queue=queue,
        id=member,
        score=score,
        now=now,
        legacy=legacy,
        has_template=bool(made_so),
        name=values["name"] or (iteration.name if iteration else "") or named,
        pattern=pattern,
        every=every,
        tz=values["tz"] or (key.tz if key and not hashed else ""),
        start_date=whole(values["startDate"]) or positive(found.get("startDate")),
        end_date=whole(end_date),
        limit=whole(values["limit"]) or positive(found.get("limit")),
        offset=whole(values["offset"]) or positive(found.get("offset")),
        iterations=whole(values["ic"]) or count,
        data=values.get("data"),
        opts=values.get("opts"),
        iteration=iteration,
        paused=paused,
    )


def positive(value: object) -> int | None:
    """Returns a whole number above 0, as JSON has it; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
