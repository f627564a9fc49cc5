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
from itertools import repeat
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar, cast

from qtui.bullmq.keys import QueueKey

T = TypeVar("T")


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

BY_HAND: Final = 2**53 - 1
"""What ``Worker.rateLimit`` (2.x to 6.x) and ``Queue.rateLimit`` put into ``limiter``."""

STALLS: Final = ("stc", "stalledCounter")
"""Job fields that count how often it was found stalled: since 5.49.0, and before."""

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
    hidden: bool = False
    """Whether Redis refused this user each of its keys, so that it may exist."""

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


class Row(NamedTuple):
    """The fields of a job for a list. Times are ms since the epoch, None if absent or garbage.

    A tuple, since a list, a plan or a campaign makes thousands: a frozen dataclass takes three
    times as long. `rows_of` makes them.
    """

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
    if attempts is not None:
        return attempts
    return 0 if atm is None else atm


def job_ran_modern(ats: object, atm: object, attempts: object) -> bool | None:
    """Whether the job last ran under BullMQ ≥5.0.0; None if it has no counter of attempts."""
    if ats is not None or atm is not None:
        return True
    return None if attempts is None else False


def row(job_id: str, values: Sequence[str | None], score: float | None = None) -> Row:
    """Returns a row from the values of `LIST_FIELDS`, in their order. All None: check the hash."""
    columns = {name: (value,) for name, value in zip(LIST_FIELDS, values, strict=True)}
    return rows_of((job_id,), columns, (score,))[0]


def rows_of(
    ids: Sequence[str],
    columns: Mapping[str, Sequence[str | None]],
    scores: Sequence[float | None] | None = None,
) -> list[Row]:
    """Returns jobs as rows, about 2 µs each. Of those whose fields are all None check the hash.

    Args:
        ids: the jobs.
        columns: by names of `LIST_FIELDS` the values of all jobs, in their order; one that is not
            there was not read, and counts as one of None.
        scores: their scores; None where they have none.
    """
    garbled: list[tuple[str, ...]] = [()] * len(ids)
    columns = dict.fromkeys(LIST_FIELDS, [None] * len(ids)) | dict(columns)
    numbers = {
        name: _numbers(name, columns[name], garbled)
        for name in LIST_FIELDS
        if name not in TEXT_FIELDS
    }
    runs = _runs(columns["opts"], garbled)
    made, atm, ats = columns["attemptsMade"], columns["atm"], columns["ats"]
    side_by_side = zip(
        ids,
        repeat(False),
        repeat(None) if scores is None else scores,
        _filled(columns["name"], ""),
        _first(numbers["attemptsMade"], _filled(numbers["atm"], 0)),
        numbers["ats"],
        [attempts for attempts, _ in runs],
        _filled(numbers["priority"], 0),
        [lifo for _, lifo in runs],
        _filled(numbers["delay"], 0),
        numbers["timestamp"],
        numbers["processedOn"],
        numbers["finishedOn"],
        columns["failedReason"],
        repeat(None),
        repeat(0),
        _filled(columns["parentKey"], ""),
        repeat(True) if None not in ats else map(job_ran_modern, ats, atm, made),
        garbled,
        strict=False,  # what repeats has no end
    )
    return list(map(Row._make, side_by_side))


def _filled(column: Sequence[T | None], default: T) -> Sequence[T]:
    """A column with a default for what is absent."""
    if None not in column:
        return cast("Sequence[T]", column)
    return [default if one is None else one for one in column]


def _first(column: Sequence[T | None], other: Sequence[T]) -> Sequence[T]:
    """A column with what is absent from another."""
    if None not in column:
        return cast("Sequence[T]", column)
    if column.count(None) == len(column):
        return other
    return [two if one is None else one for one, two in zip(column, other, strict=True)]


def _numbers(
    name: str, texts: Sequence[str | None], garbled: list[tuple[str, ...]]
) -> Sequence[int | None]:
    """A column of numbers. Adds the name to what is garbled of each job where it is garbage.

    Nearly every column is of plain digits throughout, or all absent; it is read at once then.
    """
    if None not in texts:
        known = cast("Sequence[str]", texts)
        digits = "".join(known)
        if digits.isascii() and digits.isdigit() and "" not in known and _short(known):
            return list(map(int, known))
    elif texts.count(None) == len(texts):
        return cast("Sequence[None]", texts)
    garbage, found = Garbage(), list[int | None]()
    for at, text in enumerate(texts):
        found.append(garbage.number(name, text))
        if garbage.names:
            garbled[at] += (garbage.names.pop(),)
    return found


def _short(texts: Sequence[str]) -> bool:
    return max(map(len, texts), default=0) < _PLAIN


def _runs(opts: Sequence[str | None], garbled: list[tuple[str, ...]]) -> Sequence[tuple[int, bool]]:
    """Of each job how often it may run, and whether it is to be next."""
    known: dict[str | None, tuple[int, bool] | None] = {None: (1, False)}
    found = list[tuple[int, bool]]()
    for at, text in enumerate(opts):
        if text not in known:
            known[text] = _run_options(text or "")
        runs = known[text]
        if runs is None:
            runs = (1, False)
            garbled[at] += ("opts",)
        found.append(runs)
    return found


def _run_options(text: str) -> tuple[int, bool] | None:
    """How often a job may run, and whether it is to be next, by its ``opts``; None: garbage."""
    options = (_remembered if len(text) <= _SHORT else _options)(text)
    if options is None:
        return None
    # Node writes 0 if the option is not set; every job runs once.
    return max(1, option_number(options, "attempts", 1)), is_true(options.get("lifo"))
