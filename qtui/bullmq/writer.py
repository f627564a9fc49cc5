"""Writes retries, each call one atomic script. Only this module and `flow_writer` write to Redis.

A read-only session creates no writer of either. The scripts are our own, composed from ``lua/``. A
call whose reply is lost is never sent again from here: its effect is unknown until the jobs' states
have been read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.codes import ForeignQueue as ForeignQueue
from qtui.bullmq.codes import QueueGone as QueueGone
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.script import Script, flag, pin, script_text

LARGEST_BATCH: Final = 1000
"""Most jobs in one call: Lua passes them on as arguments, and Redis is blocked meanwhile."""

NEVER: Final = math.nan
"""A score that no job has."""


class Picked(NamedTuple):
    """A job as it was picked: its id, and its score in its state.

    The score (finishedOn) pins this one finish: if the job has run and finished again since, it is
    left alone (code -3). With None the job is taken at any score, with `NEVER` at none.
    """

    job_id: str
    score: float | None = None
    after_children: bool = False
    """Whether children of it are retried too, so that it waits for those that have not run yet."""

    @property
    def pinned(self) -> bool:
        """Whether it is retried at most once, even if it is sent several times."""
        return self.score is not None and not math.isnan(self.score)


@dataclass(frozen=True, slots=True)
class Batch:
    """The reply to one call: a result for each job, in order, and the first side effect's error."""

    results: list[Result]
    note: str = ""
    """Redis's error if an event, a marker or a cleared field was refused after the jobs moved."""
    seconds: float = 0.0
    """How long the call kept Redis busy, 0 if the server can't measure it."""


class Writer:
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
        if len(jobs) > LARGEST_BATCH:
            raise ValueError(f"{len(jobs)} jobs in one batch, at most {LARGEST_BATCH} are allowed")
        arguments = [queue.key(""), state.key, flag(reset_attempts_made)]
        arguments.append(flag(reset_attempts_started))
        arguments.append(flag(any(job.after_children for job in jobs)))
        for job in jobs:
            arguments += (job.job_id, pin(job.score))
        reply = await self._retry.call(queue.script_keys(), arguments)
        ids = [job.job_id for job in jobs]
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)


def results_of(ids: Sequence[str], reply: Sequence[str | int]) -> list[Result]:
    """Returns the results in a script's reply: a note, then a code and a detail for each job."""
    retried = Code.RETRIED
    return [
        Result(job_id, retried, str(detail))
        if code == 1
        else Result(job_id, Code(int(code)), error=str(detail))
        for job_id, code, detail in zip(ids, reply[1::2], reply[2::2], strict=True)
    ]
