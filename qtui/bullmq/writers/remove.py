"""Writes removals of jobs, by ``lua/remove.lua``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.script import Script, pin, script_text
from qtui.bullmq.writers.batch import LARGEST_BATCH, Batch, Picked, results_of


@dataclass(frozen=True, slots=True)
class Below:
    """A job below another one in its flow, which is removed with it, or not at all."""

    top: int
    """The position, in the same call, of the job with which it is removed."""
    queue: QueueKey
    state: JobState
    picked: Picked

    @property
    def key(self) -> str:
        """Its full key, by which the result names it."""
        return self.queue.job(self.picked.job_id)


class RemoveWriter:
    """Removes jobs. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("remove"))

    async def remove(
        self,
        queue: QueueKey,
        state: JobState | None,
        jobs: Sequence[Picked],
        below: Sequence[Below] = (),
        *,
        places: Sequence[int] = (),
    ) -> Batch:
        """Removes jobs of one state, in one atomic step, and those below them that are named.

        None: jobs that have a hash and are in no state, each pinned to its stamp.

        Does what BullMQ's ``Job.remove`` does (script removeJob, 1.18.0 to 6.7.0); see
        ``lua/remove.lua``. Children that are not named stay. A job whose lock a worker holds stays
        (`Code.REFUSED`), and so does a scheduler's current iteration.

        Returns the results of ``jobs``, by id, then those of ``below``, by full key.

        In a list each job is sought at its place in ``places``, how many members were between the
        tail and it when it was read, and nearer to the tail, where what left since has moved it.

        Costs about 10 µs of Redis's time a job, and in a list one pass from the nearer end to the
        farthest of them, unless they are all that is at the tail: 12 ns a member.

        Raises:
            ValueError: the batch is larger than LARGEST_BATCH.
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        size = len(jobs) + len(below)
        if size > LARGEST_BATCH:
            raise ValueError(f"{size} jobs in one batch, at most {LARGEST_BATCH} are allowed")
        arguments = [queue.key(""), state.key if state else "", str(len(jobs))]
        arguments.append(" ".join(map(str, places)))
        ids = [job.job_id for job in jobs]
        arguments += chain.from_iterable(zip(ids, [pin(job.score) for job in jobs], strict=True))
        for one in below:
            job = one.picked
            arguments += (str(one.top + 1), one.queue.key(""), one.state.key)
            arguments += (job.job_id, pin(job.score))
        others = sorted({one.queue.key("meta") for one in below if one.queue != queue})
        reply = await self._script.call([*queue.script_keys(), *others], arguments)
        ids += [one.key for one in below]
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)
