"""Reads the events of several queues as they come, each once and whole. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.exceptions import NoPermissionError

from qtui.bullmq.ask import Reply, ask, ask_one
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.log import entries_of
from qtui.bullmq.reads.events.stream import LONGEST_WAIT, can_wait

AT_ONCE: Final = 200
"""Most events of a queue in one reply."""

_POLL: Final = 0.5
"""Seconds between two looks where one connection can't wait for all streams."""


@dataclass(frozen=True, slots=True)
class QueueEvent:
    """An event as BullMQ wrote it."""

    queue: QueueKey
    at: int
    """ms since the epoch, by the server's clock."""
    fields: Mapping[str, str]
    """``event``, mostly ``jobId``, and what else the release writes."""

    @property
    def name(self) -> str:
        """What happened: ``added``, ``active``, ``completed``, ``failed`` and others."""
        return self.fields.get("event", "")

    @property
    def job_id(self) -> str:
        """The job that it is about; empty if it is about the queue."""
        return self.fields.get("jobId", "")


class Feed:
    """The events of some queues from now on, and the latest before.

    Streams are trimmed: events that were trimmed before they were read are missed, and `missed`
    says so.

    Args:
        client: where to read.
        queues: whose events.
    """

    def __init__(self, client: Client, queues: Sequence[QueueKey]) -> None:
        self._client = client
        self._queues = {queue.key("events"): queue for queue in queues}
        self._last: dict[str, str] = {}

    async def latest(self, most: int) -> list[QueueEvent]:
        """Returns the ``most`` latest events of all queues, oldest first; see `next`.

        Costs one round trip with an XREVRANGE of ``most`` events for each queue.

        Raises:
            redis.exceptions.ResponseError: Redis refused the read.
        """
        replies = await ask(
            self._client,
            [("XREVRANGE", key, "+", "-", "COUNT", max(1, most)) for key in self._queues],
        )
        found = []
        for (key, queue), reply in zip(self._queues.items(), replies, strict=True):
            if isinstance(reply, NoPermissionError):
                raise reply
            entries = entries_of(reply)
            self._last[key] = entries[0][0] if entries else "0-0"
            found += [_event(queue, number, fields) for number, fields in reversed(entries)]
        found.sort(key=lambda one: one.at)
        return found[-most:] if most else []

    async def next(self) -> list[QueueEvent]:
        """Returns the next events, oldest first; none if nothing happened for two seconds.

        Call `latest` before. Costs one XREAD that blocks its connection, not Redis; on a cluster an
        XRANGE for each queue.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        if can_wait(self._client):
            reply = await ask_one(
                self._client,
                *("XREAD", "COUNT", AT_ONCE, "BLOCK", LONGEST_WAIT, "STREAMS"),
                *self._last,
                *self._last.values(),
            )
            replies = _by_stream(reply)
        else:
            await asyncio.sleep(_POLL)
            found = await ask(
                self._client,
                [
                    ("XRANGE", key, f"({last}", "+", "COUNT", AT_ONCE)
                    for key, last in self._last.items()
                ],
            )
            replies = dict(zip(self._last, found, strict=True))
        events = []
        for key, one in replies.items():
            for number, fields in entries_of(one):
                self._last[key] = number
                events.append(_event(self._queues[key], number, fields))
        events.sort(key=lambda event: event.at)
        return events


def _event(queue: QueueKey, number: str, fields: Mapping[str, str]) -> QueueEvent:
    moment = number.partition("-")[0]
    return QueueEvent(queue, int(moment) if moment.isdigit() else 0, fields)


def _by_stream(reply: Reply) -> dict[str, Reply]:
    """A reply of XREAD by the names of the streams, however redis-py shapes it."""
    if isinstance(reply, Mapping):
        found = {}
        for name, entries in reply.items():
            # RESP3 nests the entries once more.
            nested = len(entries) == 1 and entries[0] and isinstance(entries[0][0], list | tuple)
            found[str(name)] = entries[0] if nested else entries
        return found
    pairs = reply if isinstance(reply, list) else []
    return {str(pair[0]): pair[1] for pair in pairs if isinstance(pair, list | tuple) and pair}
