"""Reads one queue's events stream from a moment on, in bounded pieces, and says what it missed.

BullMQ trims its streams (``opts.maxLenEvents``), and they can be absent, forbidden or no stream at
all: what is read here is true, but only the states themselves are the whole truth.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, Reply, ask
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.page import KEPT
from qtui.bullmq.reads.reasons import fill_reasons
from qtui.bullmq.signature.headline import cut_reason

MOST_EVENTS: Final = 1000
"""Events that one command asks for at most."""

_FIRST: Final = 100
_FEWEST: Final = 10
_HEAVY: Final = 1_000_000
"""Characters that a reply should hold: a completed job's event carries its whole return value."""

_BEGINNING: Final = "0-0"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that befell a job, as BullMQ has put it on record."""

    name: str
    """``waiting``, ``active``, ``completed``, ``failed`` …"""
    job_id: str
    prev: str = ""
    """The state it came from, where the release says so."""
    error: str = ""
    """The failedReason of a ``failed`` event, cut to `KEPT` characters."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The next events, oldest first."""

    events: tuple[Event, ...] = ()
    whole: bool = True
    """False where events before these may have been trimmed unread, or nothing can be read."""
    at_end: bool = True
    """Whether nothing newer was there."""
    read: int = 0
    """Events that were read, returned or not."""


class EventLog:
    """A place in a queue's events stream.

    Each read begins with the last event of the one before: where that one is not there any more,
    the stream was trimmed (or deleted), and events may be missing. That needs no clock and no
    command that Redis 5 lacks.

    Args:
        client: where to read.
        queue: whose events.
        names: the events to return; all others are skipped.
    """

    def __init__(self, client: Client, queue: QueueKey, names: Collection[str]) -> None:
        self._client = client
        self._queue = queue
        self._key = queue.key("events")
        self._names = frozenset(names)
        self._last: str | None = None
        self._count = _FIRST
        self.refusal = ""
        """Redis's own words while the stream can't be read (an ACL, a key of a wrong type)."""
        self.is_empty = False
        """Whether the last read found no event at all: the queue keeps none, or they are gone."""

    async def begin(self) -> None:
        """Goes to the end as it is now. Costs one command and one event.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        entries = await self._ask(("XREVRANGE", self._key, "+", "-", "COUNT", 1))
        if entries is None:
            self._last = None
        else:
            self._last = entries[0][0] if entries else _BEGINNING

    async def read(self) -> Slice:
        """The next events. Costs one XRANGE of at most `MOST_EVENTS`, fewer if they are heavy.

        If the end was not known at the beginning, it begins now: older events are not returned.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        if self._last is None:
            await self.begin()
            return Slice(whole=False)
        entries = await self._ask(("XRANGE", self._key, self._last, "+", "COUNT", self._count))
        if entries is None:
            return Slice(whole=False)
        at_end, self.is_empty = len(entries) < self._count, not entries
        # If the stream was empty, events may have come and been trimmed since.
        whole = bool(entries) and entries[0][0] == self._last
        if entries:
            self._fit(entries)
            self._last = entries[-1][0]
        fresh = entries[1:] if whole else entries
        found = (self._event(fields) for _, fields in fresh)
        events = await self._with_reasons([one for one in found if one is not None])
        return Slice(events, whole, at_end, len(fresh))

    async def _ask(self, command: Command) -> list[tuple[str, Mapping[str, str]]] | None:
        """Ids and fields, None where it was refused."""
        [reply] = await ask(self._client, [command])
        self.refusal = str(reply) if isinstance(reply, RedisError) else ""
        return None if self.refusal else entries_of(reply)

    async def _with_reasons(self, events: list[Event]) -> tuple[Event, ...]:
        """The events; a failure without words has those of the job's stack, see `fill_reasons`."""
        failed = [at for at, one in enumerate(events) if one.name == "failed"]
        ids, written = [events[at].job_id for at in failed], [events[at].error for at in failed]
        reasons = await fill_reasons(self._client, self._queue, ids, written)
        for at, reason in zip(failed, reasons, strict=True):
            if reason != events[at].error:
                events[at] = replace(events[at], error=(reason or "")[:KEPT])
        return tuple(events)

    def _event(self, fields: Mapping[str, str]) -> Event | None:
        name, job_id = fields.get("event", ""), fields.get("jobId", "")
        if name not in self._names or not job_id:
            return None
        return Event(
            name, job_id, fields.get("prev", ""), cut_reason(fields.get("failedReason", ""), KEPT)
        )

    def _fit(self, entries: list[tuple[str, Mapping[str, str]]]) -> None:
        weight = sum(len(value) for _, fields in entries for value in fields.values())
        fitting = _HEAVY * len(entries) // max(1, weight)
        self._count = max(_FEWEST, min(MOST_EVENTS, fitting, self._count * 2))


def entries_of(reply: Reply) -> list[tuple[str, Mapping[str, str]]]:
    """A reply of XRANGE, as redis-py parses it or as it comes on the wire."""
    found: list[tuple[str, Mapping[str, str]]] = []
    for entry in reply if isinstance(reply, list) else []:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            continue
        number, fields = entry
        if isinstance(fields, Mapping):
            found.append((str(number), fields))
        else:
            flat = [str(one) for one in fields] if isinstance(fields, list) else []
            found.append((str(number), dict(zip(flat[::2], flat[1::2], strict=False))))
    return found
