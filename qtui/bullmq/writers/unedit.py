"""Takes back edits that retried their job in the same step, by `lua/unedit.lua`."""

from __future__ import annotations

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.change import Change, Edited
from qtui.bullmq.script import Script, script_text
from qtui.bullmq.writers.batch import Batch, results_of
from qtui.bullmq.writers.edit import edit_arguments
from qtui.bullmq.writers.unretry import Retried, unretry_arguments


class UneditWriter:
    """Takes such edits back. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("unedit"))

    async def take_back(
        self,
        queue: QueueKey,
        state: JobState,
        retried: Retried,
        edited: Edited,
        former: Change,
        *,
        reset_attempts_made: bool = False,
        reset_attempts_started: bool = False,
    ) -> Batch:
        """Moves a job back to its finish with the fields that it had, in one atomic step.

        A job that has started, moved or changed is left alone: code -3, with the error of
        `UnretryWriter.take_back`, or ``data``.

        Args:
            queue: the queue of the job.
            state: the finished state to which it returns.
            retried: the job as it was before the retry, but for what the edit wrote.
            edited: the job as it will be when the retry is taken back: what the edit wrote.
            former: what it had before the edit.
            reset_attempts_made: whether the retry deleted that counter.
            reset_attempts_started: as before.

        Raises:
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        made, started = reset_attempts_made, reset_attempts_started
        first = unretry_arguments(queue, state, [retried], made=made, started=started)
        arguments = [edited.job_id, edited.digest, str(len(first)), *first]
        arguments += edit_arguments(queue, edited, former)
        reply = await self._script.call(queue.script_keys(), arguments)
        return Batch(results_of([edited.job_id], reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)
