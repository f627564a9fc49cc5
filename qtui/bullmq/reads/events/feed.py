"""Reads the events of several queues as they come, each once and whole. Reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from redis.exceptions import RedisError

from qtui.bullmq.ask import Command, ask
from qtui.bullmq.connection.arrival import ReplyTooLarge, at_most
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.trouble import is_wrong_type
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.log import entries_of
from qtui.bullmq.reads.events.stream import can_wait, wait_for_events

AT_ONCE: Final = 1000
"""Events that one reading asks for, of all queues together."""

_LEAST: Final = 10
"""Events that it asks for of each queue at least."""

_SHALLOW: Final = 2
"""Events that the first look for the latest ones asks for of each of many queues."""

_DEEPER: Final = 4
"""By what the next look asks for more of the queues that had more."""

_QUEUES: Final = 500
"""Queues that are asked in one round trip, so that replies of thousands do not hold up the rest."""

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


@dataclass(frozen=True, slots=True)
class Missed:
    """Events of a queue that were not read, between the one before and the one after."""

    queue: QueueKey
    at: int
    """When the first event after them was written, ms since the epoch."""
    trimmed: bool
    """BullMQ had trimmed its stream; else there were more than were asked for."""


News: TypeAlias = "list[QueueEvent | Missed]"
"""What was read, oldest first; of each queue in its order."""


class _Part(NamedTuple):
    """Entries of one stream, and whether there may be more behind them."""

    entries: list[tuple[str, Mapping[str, str]]]
    more: bool


class Feed:
    """The events of some queues: the latest ones, and from there on what comes.

    Each reading begins with the last event of the one before, so that a stream that was trimmed
    meanwhile (``opts.maxLenEvents``) shows: what it dropped unread is reported as `Missed`.

    Args:
        client: where to read.
        bounded: whether `latest` returns fewer events than it is asked for where they come in more
            than `BEARABLE` bytes.
    """

    def __init__(self, client: Client, *, bounded: bool = True) -> None:
        self._client = client
        self._bounded = bounded
        self._last: dict[QueueKey, str] = {}
        self.refused: dict[QueueKey, RedisError] = {}
        """The queues whose events Redis refuses to show; they are not read again."""

    @property
    def read_to(self) -> Mapping[QueueKey, str]:
        """The id of the last event that was read, by queue; ``0-0`` of an empty stream."""
        return self._last

    async def latest(self, queues: Iterable[QueueKey], most: int) -> News:
        """Returns the ``most`` latest events of the queues together; `read` continues there.

        Of queues that were read before it returns what is newer; what more there was is `Missed`.

        Costs a round trip with an XREVRANGE a queue, a few events each; then one or a few more for
        those of which more is wanted.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        found: dict[QueueKey, _Part] = {}
        due, depth = list(dict.fromkeys(queues)), most
        if len(due) > 1:
            depth = max(_SHALLOW, most // len(due))
        while due:
            depth = max(1, min(depth, most))
            found |= await self._parts(due, lambda key: ("XREVRANGE", key, "+", "-"), depth)
            wanted = _moment_of(found.values(), most)
            due = [
                queue
                for queue in due
                if queue in found and found[queue].more and depth < most
                if _at(found[queue].entries[-1][0]) >= wanted
            ]
            depth *= _DEEPER
        again = not self._last.keys().isdisjoint(found)
        news = _in_order([one for queue, part in found.items() for one in self._since(queue, part)])
        return news if again else news[len(news) - most :] if most < len(news) else news

    def _since(self, queue: QueueKey, part: _Part) -> News:
        """What is newer than what was read before, and whether something is missing between."""
        entries, before = part.entries[::-1], self._last.get(queue)
        self._last[queue] = entries[-1][0] if entries else before or "0-0"
        if before is None or before == "0-0":
            return [_event(queue, *one) for one in entries]
        fresh: News = [_event(queue, *one) for one in entries if _place(one[0]) > _place(before)]
        if len(fresh) == len(entries) and fresh:
            return [Missed(queue, fresh[0].at, trimmed=not part.more), *fresh]
        return fresh

    async def wait(self, milliseconds: int) -> Collection[QueueKey]:
        """Waits until some queues have events that were not read, and returns those queues.

        Costs an XREAD that blocks a connection, not Redis; on a cluster, where streams are on
        several nodes, nothing: it waits for half a second and returns all queues.
        """
        if not can_wait(self._client):
            await asyncio.sleep(_POLL)
            return list(self._last)
        return await wait_for_events(self._client, list(self._last), milliseconds, self._last)

    async def read(self, queues: Iterable[QueueKey] | None = None) -> News:
        """Returns the next events of the queues, all by default, at most about `AT_ONCE`.

        Costs a round trip with an XRANGE a queue, more where the events are large.

        Raises:
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        due = [queue for queue in (self._last if queues is None else queues) if queue in self._last]
        names = {queue.key("events"): queue for queue in due}
        count = max(_LEAST, AT_ONCE // max(1, len(due))) + 1  # the last one of before, too

        def command(key: str) -> Command:
            return ("XRANGE", key, self._last[names[key]], "+")

        news: News = []
        for queue, part in (await self._parts(due, command, count)).items():
            entries, before = part.entries, self._last[queue]
            if not entries:
                continue
            if entries[0][0] == before:
                entries = entries[1:]
            elif before != "0-0":
                news.append(Missed(queue, _at(entries[0][0]), trimmed=True))
            news += [_event(queue, *one) for one in entries]
            self._last[queue] = part.entries[-1][0]
        return _in_order(news)

    async def _parts(
        self, queues: Sequence[QueueKey], command: Callable[[str], Command], count: int
    ) -> dict[QueueKey, _Part]:
        """Entries of each stream, ``count`` at most, fewer where the replies are too large."""
        if not queues:
            return {}
        if len(queues) > _QUEUES:
            head = await self._parts(queues[:_QUEUES], command, count)
            return head | await self._parts(queues[_QUEUES:], command, count)
        commands = [(*command(queue.key("events")), "COUNT", count) for queue in queues]
        try:
            if self._bounded and (len(queues) > 1 or count > _FEWEST):
                with at_most():
                    replies = await ask(self._client, commands)
            else:
                replies = await ask(self._client, commands)
        except ReplyTooLarge:
            if len(queues) > 1:
                half = len(queues) // 2
                head = await self._parts(queues[:half], command, count)
                return head | await self._parts(queues[half:], command, count)
            return await self._parts(queues, command, max(_FEWEST, count // 8))
        found = {}
        for queue, reply in zip(queues, replies, strict=True):
            if isinstance(reply, RedisError) and not is_wrong_type(reply):
                self.refused[queue] = reply
                self._last.pop(queue, None)
                continue
            entries = entries_of(reply)
            found[queue] = _Part(entries, len(entries) >= count)
        return found


_FEWEST: Final = 2
"""Events that are read however large they are: the last one of before, and the next."""


def _moment_of(parts: Iterable[_Part], most: int) -> int:
    """When the ``most`` latest of some events began, ms; 0 if there are fewer."""
    times = sorted((_at(number) for part in parts for number, _ in part.entries), reverse=True)
    return times[most - 1] if 0 < most <= len(times) else 0


def _in_order(news: News) -> News:
    return sorted(news, key=lambda one: one.at)


def _event(queue: QueueKey, number: str, fields: Mapping[str, str]) -> QueueEvent:
    return QueueEvent(queue, _at(number), fields)


def _at(number: str) -> int:
    return _place(number)[0]


def _place(number: str) -> tuple[int, int]:
    """The id of an event as what it is ordered by: ms since the epoch, and a number."""
    moment, _, step = number.partition("-")
    return (int(moment) if moment.isdigit() else 0, int(step) if step.isdigit() else 0)
