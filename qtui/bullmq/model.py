"""Queues and jobs as facts. Pure: made from replies of Redis, raising at nothing they hold.

Foreign numbers may be garbage: a field that should be a number and is not reads as None and its
name stands in `Row.garbled`, so that the row is shown and marked instead of skipped.
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
    """The eight states, in the order of the keys 1 to 8; failed first: it is why one looks."""

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
        """Whether jobs in it are at rest, so that BullMQ lets them be retried."""
        return self in (JobState.FAILED, JobState.COMPLETED)


_LISTS: Final = frozenset({JobState.WAITING, JobState.ACTIVE, JobState.PAUSED})


class Kind(StrEnum):
    """Whose queue it is, as `qtui.bullmq.dialect.kind_of` judges. Only BullMQ's can be retried."""

    BULLMQ = "BullMQ"
    PRO = "BullMQ Pro"
    BULL = "Bull"
    """Bull 3/4, or at least no key shows that it is BullMQ's."""
    GONE = "gone"
    """No key of it is left."""

    @property
    def refusal(self) -> str:
        """Why jobs of such a queue are not retried; empty where they are."""
        return _REFUSALS[self]


_PLAIN: Final = 16
"""Digits that a float holds exactly."""

_SHORT: Final = 1000
"""Characters of ``opts`` that are worth to be remembered; longer ones could fill the memory."""

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
"""What counts as a number: no ``1_000``, no ``٣`` and no ``nan``, which Python would take."""

_REFUSALS: Final = {
    Kind.BULLMQ: "",
    Kind.PRO: "a BullMQ Pro queue: a plain retry would run its jobs outside their groups",
    Kind.BULL: "a Bull 3/4 queue: its jobs are kept in another way, so qtui only reads it "
    "(if BullMQ runs it, its keys meta and events are lost: opening a Queue once restores meta)",
    Kind.GONE: "gone: none of its keys is left (obliterated, flushed, or another database)",
}


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue at one moment. Counts are jobs; None where the key could not be read."""

    queue: QueueKey
    counts: Mapping[JobState, int | None]
    kind: Kind = Kind.BULLMQ
    paused: bool = False
    version: str = ""
    """``meta.version`` as it stands: a hint at the last process that opened the queue, no proof."""
    concurrency: int | None = None
    """Global concurrency, if one is set (≥5.9.0)."""
    exists: bool = True
    """False when no key of it was left at the last look."""

    def count(self, state: JobState) -> int:
        """Jobs in ``state``, 0 where unknown."""
        return self.counts.get(state) or 0

    @property
    def failed(self) -> int:
        """Jobs in failed."""
        return self.count(JobState.FAILED)

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker, paused and prioritized ones too."""
        waiting = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED)
        return sum(self.count(state) for state in waiting)

    @property
    def maxed(self) -> bool:
        """Whether the global concurrency is used up."""
        return self.concurrency is not None and self.count(JobState.ACTIVE) >= self.concurrency


@dataclass(frozen=True, slots=True)
class Row:
    """What a list shows of a job. Times are ms since the epoch, None where absent or garbage."""

    id: str
    missing: bool = False
    """The id stands in the state, but its hash is gone."""
    score: float | None = None
    """The score in a sorted set: finishedOn for finished jobs. Exact identity of this finish."""
    name: str = ""
    attempts_made: int = 0
    attempts_started: int | None = None
    attempts: int = 1
    """``opts.attempts``: how often it may run; 1 where the option is not set."""
    priority: int = 0
    lifo: bool = False
    delay: int = 0
    timestamp: int | None = None
    processed_on: int | None = None
    finished_on: int | None = None
    failed_reason: str | None = None
    returnvalue: str | None = None
    """None when absent or larger than a list should load; then `returnvalue_size` tells."""
    returnvalue_size: int = 0
    parent_key: str = ""
    modern: bool | None = None
    """Ran under BullMQ ≥5 (has ``ats`` or ``atm``), under ≤4 (only attemptsMade), or unknown."""
    garbled: tuple[str, ...] = ()
    """Names of fields that hold something else than they should."""

    @property
    def exhausted(self) -> bool:
        """Whether its attempts are used up, so that a retry runs it once and a failure is final."""
        return self.attempts_made >= self.attempts


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
"""The fields that a `Row` is made of; never a payload."""


def _options(text: str) -> Mapping[str, object] | None:
    """Options as JSON has them, None where it is no object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return MappingProxyType(value) if isinstance(value, dict) else None


# Most jobs of a queue have the same options, and JSON is dear.
_remembered: Final = lru_cache(maxsize=256)(_options)


@dataclass(slots=True)
class Garbage:
    """Reads foreign fields and remembers which of them were garbage."""

    names: list[str] = field(default_factory=list)

    def number(self, name: str, text: str | None) -> int | None:
        """The field as an int (fractions cut), None where absent or garbage."""
        if text is None:
            return None
        if len(text) < _PLAIN and text.isascii() and text.isdigit():
            return int(text)
        # Floats on the way, as in JavaScript, which wrote it and will read it.
        if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
            return int(value)
        self.names.append(name)
        return None

    def options(self, text: str | None) -> Mapping[str, object]:
        """``opts`` as a mapping, empty where absent or garbage."""
        if text is None:
            return {}
        value = (_remembered if len(text) <= _SHORT else _options)(text)
        if value is None:
            self.names.append("opts")
            return {}
        return value


def option_number(options: Mapping[str, object], name: str, default: int) -> int:
    """A number among the options, or the default where it is absent or no finite number."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        # A whole number in JSON may have any length, and JSON of Python's may hold infinity.
        return int(float(value))
    except (ValueError, OverflowError):
        return default


def is_true(value: object) -> bool:
    """Whether JavaScript would take a value of JSON for true."""
    return isinstance(value, list | dict) or bool(value)


def attempts_made(attempts: int | None, atm: int | None) -> int:
    """Attempts made, in the order in which BullMQ ≥5.0.0 reads them: attemptsMade, atm, 0."""
    return next((number for number in (attempts, atm) if number is not None), 0)


def job_ran_modern(ats: object, atm: object, attempts: object) -> bool | None:
    """Under which side of 5.0.0 the job last ran, None if it never counted an attempt."""
    if ats is not None or atm is not None:
        return True
    return None if attempts is None else False


def row(job_id: str, values: Sequence[str | None], score: float | None = None) -> Row:
    """A row from the values of `LIST_FIELDS`, in their order; all None means: look for the hash."""
    fields = dict(zip(LIST_FIELDS, values, strict=True))
    garbage = Garbage()
    numbers = {
        name: garbage.number(name, fields[name])
        for name in LIST_FIELDS
        if name not in ("name", "opts", "parentKey", "failedReason")
    }
    options = garbage.options(fields["opts"])
    return Row(
        id=job_id,
        score=score,
        name=fields["name"] or "",
        attempts_made=attempts_made(numbers["attemptsMade"], numbers["atm"]),
        attempts_started=numbers["ats"],
        # Node writes 0 where the option is not set; every job runs once.
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
