"""Reads how fast a queue's jobs end, over the last seconds and minutes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.ask import Command, Reply, ask, exact, number, scores, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Garbage

WINDOWS: Final = (10, 60, 300, 900)
"""Seconds over which rates are counted."""

_COMMANDS: Final = len(WINDOWS) + 2
"""Of one state of one queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Jobs a second that ended, by window in seconds; None if no job is left to count by."""

    completed: dict[int, float | None]
    failed: dict[int, float | None]
    added_ever: int | None = None
    """Jobs that were ever added: the counter ``id``, which every add increments (addStandardJob and
    its kin in all releases, also where the job has an id of its own or exists already)."""
    completed_ever: int | None = None
    """Jobs that completed since a worker keeps metrics; None if none does."""
    failed_ever: int | None = None
    """The same of those that failed."""

    def of(self, seconds: int) -> float:
        """Returns the rate of all that ended in a window, as far as it is known."""
        return (self.completed[seconds] or 0) + (self.failed[seconds] or 0)


async def read_rates(client: Client, queues: Sequence[QueueKey]) -> list[Rates]:
    """Returns the rates of each queue, in order.

    Counted by the scores of the finished jobs (finishedOn, by the workers' clocks). Where jobs are
    removed as they end (removeOnComplete), the oldest that is left bounds the window: a set that
    holds the last 100 gives the rate of those. A set that keeps none says nothing.

    Costs one round trip with 13 commands of O(log n) for each queue.
    """
    now = time.time() * 1000
    commands: list[Command] = []
    for queue in queues:
        for state in ("completed", "failed"):
            key = queue.key(state)
            commands += [("ZCOUNT", key, exact(now - 1000 * one), "+inf") for one in WINDOWS]
            commands.append(("ZRANGE", key, 0, 0, "WITHSCORES"))
            commands.append(("HGET", queue.key(f"metrics:{state}"), "count"))
        commands.append(("GET", queue.key("id")))
    replies = await ask(client, commands) if commands else []
    every = 2 * _COMMANDS + 1
    parts = [replies[at : at + every] for at in range(0, len(replies), every)]
    return [_rates_of(part, now) for part in parts]


def _rates_of(replies: Sequence[Reply], now: float) -> Rates:
    """The rates of one queue from the replies about it."""
    *completed, completed_ever = replies[:_COMMANDS]
    *failed, failed_ever = replies[_COMMANDS:-1]
    garbage = Garbage()
    return Rates(
        completed=_rates(completed, now),
        failed=_rates(failed, now),
        added_ever=garbage.number("id", text(replies[-1])),
        completed_ever=garbage.number("count", text(completed_ever)),
        failed_ever=garbage.number("count", text(failed_ever)),
    )


def _rates(replies: Sequence[Reply], now: float) -> dict[int, float | None]:
    """The rates of one state from the replies about it."""
    *counts, first = replies
    oldest = next(iter(scores(first).values()), None)
    found: dict[int, float | None] = {}
    for seconds, reply in zip(WINDOWS, counts, strict=True):
        jobs = number(reply)
        if jobs is None or oldest is None:
            found[seconds] = None
        else:
            covered = min(float(seconds), max(1.0, (now - oldest) / 1000))
            found[seconds] = jobs / covered
    return found
