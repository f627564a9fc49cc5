"""Reads how many jobs a queue has finished, as BullMQ's own metrics count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtui.bullmq.ask import Command, ask, text
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Garbage


@dataclass(frozen=True, slots=True)
class Totals:
    """Jobs finished since metrics were turned on in a worker (option ``metrics``, ≥1.76.0)."""

    completed: int | None
    """None if no worker keeps metrics."""
    failed: int | None


async def read_totals(client: Client, queues: Sequence[QueueKey]) -> list[Totals]:
    """Returns the totals of each queue, in order (``metrics:<state>``, field ``count``).

    Costs one round trip with two commands of O(1) for each queue.
    """
    commands: list[Command] = [
        ("HGET", queue.key(f"metrics:{state}"), "count")
        for queue in queues
        for state in ("completed", "failed")
    ]
    counts = [Garbage().number("count", text(one)) for one in await ask(client, commands)]
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [Totals(completed, failed) for completed, failed in pairs]
