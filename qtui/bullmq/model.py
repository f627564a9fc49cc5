"""Queues and jobs as plain data, made from Redis's replies. Pure; no content makes it raise.

Foreign numbers may be garbage: a field that should be a number and is not becomes None, and its
name is added to `Row.garbled`, so that the row is shown and marked instead of skipped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from qtui.bullmq.keys import QueueKey


class JobState(StrEnum):
    """The eight states, in the order of the keys 1 to 8; failed first, the one most looked at."""

    FAILED = "failed"
    COMPLETED = "completed"
    WAITING = "waiting"
    ACTIVE = "active"
    DELAYED = "delayed"
    PRIORITIZED = "prioritized"
    WAITING_CHILDREN = "waiting-children"
    PAUSED = "paused"

    @property
    def key(self) -> str:
        """The suffix of the key that holds the ids."""
        return "wait" if self is JobState.WAITING else self.value

    @property
    def is_list(self) -> bool:
        """Whether the ids are a list (newest at the head); otherwise they are a sorted set."""
        return self in _LISTS

    @property
    def is_finished(self) -> bool:
        """Whether its jobs have finished, so that BullMQ allows retrying them."""
        return self in (JobState.FAILED, JobState.COMPLETED)


_LISTS: Final = frozenset({JobState.WAITING, JobState.ACTIVE, JobState.PAUSED})

NOT_JOBS: Final = frozenset(
    (
        *(state.key for state in JobState),
        *("id", "meta", "events", "stalled", "stalled-check", "repeat", "limiter", "marker"),
        *("pc", "priority", "delay", "wait:added", "groups"),
    )
)
"""Suffixes of the queue's own keys, which share a namespace with the jobs' hashes."""


class Kind(StrEnum):
    """The library of a queue, see `qtui.bullmq.dialect.kind_of`. Only BullMQ's can be retried."""

    BULLMQ = "BullMQ"
    PRO = "BullMQ Pro"
    BULL = "Bull"
    """Bull 3/4, or no key shows that it is BullMQ's."""
    GONE = "gone"
    """No key of it is left."""

    @property
    def refusal(self) -> str:
        """Why qtui does not retry jobs of such a queue; empty if it does."""
        return _REFUSALS[self]


_PLAIN: Final = 16
"""Digits that a float holds exactly."""

_SHORT: Final = 1000
"""Longest ``opts``, in characters, to cache; longer ones could fill the memory."""

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
"""The syntax of a number: not ``1_000``, ``٣`` or ``nan``, which Python would accept."""

_REFUSALS: Final = {
    Kind.BULLMQ: "",
    Kind.PRO: "a BullMQ Pro queue: a plain retry would run its jobs outside their groups",
    Kind.BULL: "a Bull 3/4 queue: its jobs are kept in another way, so qtui only reads it "
    "(if BullMQ runs it, its keys meta and events are lost: opening a Queue once restores meta)",
    Kind.GONE: "gone: none of its keys is left (obliterated, flushed, or another database)",
}


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue at one moment. Counts are jobs; None if the key could not be read."""

    queue: QueueKey
    counts: Mapping[JobState, int | None]
    kind: Kind = Kind.BULLMQ
    paused: bool = False
    version: str = ""
    """``meta.version``: the last process that opened the queue, not necessarily its workers."""
    concurrency: int | None = None
    """Global concurrency, if one is set (≥5.9.0)."""
    exists: bool = True
    """Whether any key of it was left at the last read."""

    def count(self, state: JobState) -> int:
        """Returns the number of jobs in ``state``, 0 if unknown."""
        return self.counts.get(state) or 0

    @property
    def failed(self) -> int:
        """Number of failed jobs."""
        return self.count(JobState.FAILED)

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for a worker, including paused and prioritized ones."""
        waiting = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED)
        return sum(self.count(state) for state in waiting)

    @property
    def maxed(self) -> bool:
        """Whether the global concurrency is used up."""
        return self.concurrency is not None and self.count(JobState.ACTIVE) >= self.concurrency


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of a job for a list. Times are ms since the epoch, None if absent or garbage."""

    id: str
    missing: bool = False
    """Whether the id is in the state, but has no hash."""
    score: float | None = None
    """The score in a sorted set: finishedOn for finished jobs, which identifies this finish. In a
    list, which has no scores, its `stamp` where a selection has pinned it."""
    name: str = ""
    attempts_made: int = 0
    attempts_started: int | None = None
    attempts: int = 1
    """``opts.attempts``: how often it may run; 1 if the option is not set."""
    priority: int = 0
    lifo: bool = False
    delay: int = 0
    timestamp: int | None = None
    processed_on: int | None = None
    finished_on: int | None = None
    failed_reason: str | None = None
    returnvalue: str | None = None
    """None if absent, or too large for a list; then `returnvalue_size` shows that it exists."""
    returnvalue_size: int = 0
    parent_key: str = ""
    modern: bool | None = None
    """Whether it last ran under BullMQ ≥5 (has ``ats`` or ``atm``) or ≤4 (only attemptsMade)."""
    garbled: tuple[str, ...] = ()
    """Names of fields whose content is malformed."""

    @property
    def exhausted(self) -> bool:
        """Whether its attempts are used up: a retry runs it once, and a failure is final."""
        return self.attempts_made >= self.attempts

    @property
    def stamp(self) -> float:
        """What pins the job in a list: another number once it has run, or is another job.

        The moment of its last start, else of its making, together with its attempts; equals
        ``lua/parts/pins.lua``.
        """
        moment = self.processed_on if self.processed_on is not None else self.timestamp
        attempts = self.attempts_made + (self.attempts_started or 0)
        return float(min(max(moment or 0, 0), _LATEST) * _ATTEMPTS + attempts % _ATTEMPTS)


_ATTEMPTS: Final = 1024
_LATEST: Final = 2**42 - 1
"""The latest moment of a stamp in ms, in 2109: with the attempts it fills 52 bits."""

LIST_FIELDS: Final = (
    "name",
    "timestamp",
    "processedOn",
    "finishedOn",
    "attemptsMade",
    "atm",
    "ats",
    "priority",
    "delay",
    "opts",
    "parentKey",
    "failedReason",
)
"""The fields that a `Row` is made from; none is a payload.

A snapshot in the journal contains all of them. Details and ``show --json`` print them apart from
the other fields.
"""

TEXT_FIELDS: Final = frozenset({"name", "opts", "parentKey", "failedReason"})
"""Those of `LIST_FIELDS` that are texts; all others are numbers."""


def _options(text: str) -> Mapping[str, object] | None:
    """Options parsed from JSON, None if it is not an object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return MappingProxyType(value) if isinstance(value, dict) else None


# Most jobs of a queue have the same options, and parsing JSON is expensive.
_remembered: Final = lru_cache(maxsize=256)(_options)


@dataclass(slots=True)
class Garbage:
    """Parses foreign fields, and collects the names of those that are garbage."""

    names: list[str] = field(default_factory=list)

    def number(self, name: str, text: str | None) -> int | None:
        """Returns the field as an int (fractions cut), None if absent or garbage."""
        if text is None:
            return None
        if len(text) < _PLAIN and text.isascii() and text.isdigit():
            return int(text)
        # By way of a float, as in JavaScript, which wrote it and will read it.
        if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
            return int(value)
        self.names.append(name)
        return None

    def options(self, text: str | None) -> Mapping[str, object]:
        """Returns ``opts`` as a mapping, empty if absent or garbage."""
        if text is None:
            return {}
        value = (_remembered if len(text) <= _SHORT else _options)(text)
        if value is None:
            self.names.append("opts")
            return {}
        return value


def option_number(options: Mapping[str, object], name: str, default: int) -> int:
    """Returns a number from the options, or the default if it is absent or not a finite number."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        # An integer in JSON may have any length, and Python's JSON may hold infinity.
        return int(float(value))
    except (ValueError, OverflowError):
        return default


def is_true(value: object) -> bool:
    """Whether a value from JSON is truthy in JavaScript."""
    return isinstance(value, list | dict) or bool(value)


def attempts_made(attempts: int | None, atm: int | None) -> int:
    """Returns the attempts made; BullMQ ≥5.0.0 reads attemptsMade, else atm, else 0."""
    return next((number for number in (attempts, atm) if number is not None), 0)


def job_ran_modern(ats: object, atm: object, attempts: object) -> bool | None:
    """Whether the job last ran under BullMQ ≥5.0.0; None if it has no counter of attempts."""
    if ats is not None or atm is not None:
        return True
    return None if attempts is None else False


def row(job_id: str, values: Sequence[str | None], score: float | None = None) -> Row:
    """Returns a row from the values of `LIST_FIELDS`, in their order. All None: check the hash."""
    fields = dict(zip(LIST_FIELDS, values, strict=True))
    garbage = Garbage()
    numbers = {
        name: garbage.number(name, fields[name]) for name in LIST_FIELDS if name not in TEXT_FIELDS
    }
    options = garbage.options(fields["opts"])
    return Row(
        id=job_id,
        score=score,
        name=fields["name"] or "",
        attempts_made=attempts_made(numbers["attemptsMade"], numbers["atm"]),
        attempts_started=numbers["ats"],
        # Node writes 0 if the option is not set; every job runs once.
        attempts=max(1, option_number(options, "attempts", 1)),
        priority=numbers["priority"] or 0,
        lifo=is_true(options.get("lifo")),
        delay=numbers["delay"] or 0,
        timestamp=numbers["timestamp"],
        processed_on=numbers["processedOn"],
        finished_on=numbers["finishedOn"],
        failed_reason=fields["failedReason"],
        parent_key=fields["parentKey"] or "",
        modern=job_ran_modern(fields["ats"], fields["atm"], fields["attemptsMade"]),
        garbled=tuple(garbage.names),
    )
