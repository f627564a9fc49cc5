"""Returns which queues have changed since the last call, and misses no event between two calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from qtui.bullmq.ask import Command, ask
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.reads.events.log import entries_of
from qtui.bullmq.reads.events.stream import LONGEST_WAIT, wait_for_events

MOST_HEARD: Final = 1_000
"""Queues that one call waits for: the server takes 0.8 ms to begin it."""


class Changes:
    """Waits for events of queues, call after call.

    Each stream is waited for from where it was left: its last event when it was last reported, or
    the moment of the first call. So an event that comes between two calls is reported by the next.

    Args:
        client: where to read; not of a cluster (`can_wait`).
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._began = ""
        self._last: dict[QueueKey, str] = {}

    async def wait(
        self,
        queues: Sequence[QueueKey],
        milliseconds: int = LONGEST_WAIT,
        read_to: Mapping[QueueKey, str] | None = None,
    ) -> set[QueueKey]:
        """Waits until any of the queues has an event; empty when none came.

        Args:
            queues: those to wait for.
            milliseconds: how long at most.
            read_to: the last events that another reader has read, by queue, who waits for newer
                ones: where that is behind, it counts.

        Costs one XREAD that blocks a connection (not Redis); where events came an XREVRANGE of one
        event for each queue that has some; once an INFO.

        Raises:
            redis.exceptions.NoPermissionError: this user may not read streams.
            redis.exceptions.ConnectionError, TimeoutError: the server did not answer.
        """
        if not self._began:
            self._began = await self._now()
        since = {queue: self._last.get(queue, self._began) for queue in queues}
        for queue in since.keys() & (read_to or {}).keys():
            since[queue] = min(since[queue], (read_to or {})[queue], key=_moment)
        try:
            found = await wait_for_events(self._client, queues, milliseconds, since)
        except BaseException:  # cancelled too: what came in between is not known
            self._forget()
            raise
        await self._follow(sorted(found))
        return found

    async def _now(self) -> str:
        """The moment as an id of events; where it can't be known, what comes from now on.

        INFO and not TIME: more users may ask for it, and a refusal leaves a line in the ACL log.
        """
        [reply] = await ask(self._client, [("INFO", "server")])
        microseconds = reply.get("server_time_usec") if isinstance(reply, Mapping) else None
        return str(microseconds // 1000) if isinstance(microseconds, int) else "$"

    async def _follow(self, queues: Sequence[QueueKey]) -> None:
        """Notes the last event of each: what one reads of them from here on includes it."""
        commands: list[Command] = [
            ("XREVRANGE", queue.key("events"), "+", "-", "COUNT", 1) for queue in queues
        ]
        for queue, reply in zip(queues, await ask(self._client, commands), strict=True):
            entries = entries_of(reply)
            self._last[queue] = entries[0][0] if entries else "$"

    def _forget(self) -> None:
        """Another server may answer next, whose clock and whose events are others."""
        self._began = ""
        self._last.clear()


def _moment(number: str) -> tuple[float, int]:
    """Where an event's id is in its stream."""
    if number == "$":
        return float("inf"), 0
    at, _, place = number.partition("-")
    return int(at), int(place or 0)
