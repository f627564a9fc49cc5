"""Writes retries: finished jobs go back to the waiting side, by `lua/retry.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.script import Script, flag, pin, script_text
from qtui.bullmq.writers.batch import Batch, Picked, check_size, results_of

_AFTER_CHILDREN: Final = attrgetter("after_children")


class RetryWriter:
    """Retries jobs. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._retry = Script(client, script_text("retry"))

    async def retry(
        self,
        queue: QueueKey,
        state: JobState,
        jobs: Sequence[Picked],
        *,
        reset_attempts_made: bool = False,
        reset_attempts_started: bool = False,
    ) -> Batch:
        """Moves finished jobs back to waiting, all of them in one atomic step.

        Does what BullMQ's ``Job.retry`` does (script reprocessJob, 1.0.0 to 6.7.0), in the dialect
        of the release that runs the queue; see ``lua/retry.lua``. The jobs run in the order of
        ``jobs``, unless they have priorities or lifo.

        Costs 6 to 9 µs of Redis's time a job.

        Raises:
            ValueError: the state is not a finished one, or the batch is larger than LARGEST_BATCH.
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        if not state.is_finished:
            raise ValueError(f"{state} jobs can't be retried, only completed and failed ones")
        check_size(jobs)
        arguments = [queue.key(""), state.key, flag(reset_attempts_made)]
        arguments.append(flag(reset_attempts_started))
        arguments.append(flag(any(map(_AFTER_CHILDREN, jobs))))
        ids = [job.job_id for job in jobs]
        pins = [pin(job.score) for job in jobs]
        arguments += chain.from_iterable(zip(ids, pins, strict=True))
        reply = await self._retry.call(queue.script_keys(), arguments)
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)
