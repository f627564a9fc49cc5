"""Writes promotions: delayed jobs go to the waiting side, by `lua/promote.lua`."""

from __future__ import annotations

from collections.abc import Sequence

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.script import Script, pin, script_text
from qtui.bullmq.writers.batch import Batch, Picked, check_size, results_of


class PromoteWriter:
    """Promotes jobs. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._promote = Script(client, script_text("promote"))

    async def promote(self, queue: QueueKey, jobs: Sequence[Picked]) -> Batch:
        """Moves delayed jobs to where they run next, all of them in one atomic step.

        Does what BullMQ's ``Job.promote`` does (script promote, 1.0.0 to 6.7.0), in the dialect of
        the release that runs the queue; see ``lua/promote.lua``. The jobs run in the order of
        ``jobs``, unless they have priorities or lifo. A job that is a scheduler's current iteration
        stays (code -8, with the scheduler as the error).

        Costs 6 to 9 µs of Redis's time a job.

        Raises:
            ValueError: the batch is larger than LARGEST_BATCH.
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        check_size(jobs)
        arguments = [queue.key("")]
        for job in jobs:
            arguments += (job.job_id, pin(job.score))
        reply = await self._promote.call(queue.script_keys(), arguments)
        ids = [job.job_id for job in jobs]
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)
