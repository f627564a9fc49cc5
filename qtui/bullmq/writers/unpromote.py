"""Writes the inverse of promotions: jobs go back to delayed, by `lua/unpromote.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.script import Script, pin, script_text
from qtui.bullmq.writers.batch import LARGEST_BATCH, Batch, results_of

PLACES: Final = ("wait", "paused", "prioritized")
"""Where a promotion puts jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """A job as it was before a promotion, and where the promotion put it."""

    job_id: str
    score: float
    """Its score in ``delayed``: when it is due."""
    place: str
    """One of `PLACES`."""
    stamp: float
    """Its `Row.stamp`, which a promotion does not change."""
    delay: str | None
    """Its field ``delay`` before; None if it had none."""


class UnpromoteWriter:
    """Takes promotions back. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("unpromote"))

    async def take_back(self, queue: QueueKey, jobs: Sequence[Promoted]) -> Batch:
        """Moves promoted jobs back to delayed, due when they were, all in one atomic step.

        A job that has started, was changed, or is no longer where the promotion put it, is left
        alone: code -3, with ``started``, ``changed`` or ``moved`` as the error.

        Costs some 12 µs of Redis's time a job, and a search of the list it waits in, from its head.

        Raises:
            ValueError: the jobs are too many for one call, or a place is none of `PLACES`.
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        if len(jobs) > LARGEST_BATCH:
            raise ValueError(f"{len(jobs)} jobs in one batch, at most {LARGEST_BATCH} are allowed")
        arguments = [queue.key("")]
        for job in jobs:
            if job.place not in PLACES:
                raise ValueError(f"no promotion puts jobs into {job.place}")
            delay = "" if job.delay is None else f"={job.delay}"
            arguments += (job.job_id, pin(job.score), job.place, pin(job.stamp), delay)
        reply = await self._script.call(queue.script_keys(), arguments)
        ids = [job.job_id for job in jobs]
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)
