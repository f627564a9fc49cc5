"""Writes new jobs, by `lua/add.lua`: an id is reserved first, then the job is made with it."""

from __future__ import annotations

from typing import Final, NamedTuple

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.new_job.options import NewJob
from qtui.bullmq.script import Script, flag, script_text
from qtui.bullmq.writers.batch import Batch, results_of

TAKEN: Final = "QTUITAKEN"
"""The detail of a job whose id another job has."""


class Reserved(NamedTuple):
    """A number for a new job."""

    number: str
    now: int
    """The server's time, in ms since the epoch."""


class Unreserved(Exception):
    """Redis refused to reserve a number; the message is its own."""


class AddWriter:
    """Adds jobs. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("add"))

    async def reserve(self, queue: QueueKey, *, may_be_new: bool = False) -> Reserved:
        """Counts the queue's ids up by one, as an add does, and returns the number.

        A number that is reserved and not used is a gap, as an add that fails leaves one.

        Raises:
            Unreserved: Redis refused it; nothing was written.
            QueueGone, ForeignQueue, redis.exceptions.RedisError: as `add`.
        """
        arguments = [queue.key(""), flag(may_be_new)]
        reply = await self._script.call(queue.script_keys(), arguments)
        [result] = results_of([""], reply[:-1])
        if not result.done:
            raise Unreserved(result.error)
        number, _, now = result.target.partition(" ")
        return Reserved(number, int(now))

    async def add(
        self,
        queue: QueueKey,
        job: NewJob,
        number: str,
        *,
        may_be_new: bool = False,
        until: int | None = None,
    ) -> Batch:
        """Adds a job, in one atomic step: hash, place, events, and the waking of workers.

        Does what BullMQ's ``Queue.add`` does, see ``lua/add.lua``. The target of the result is
        ``wait``, ``paused``, ``prioritized`` or ``delayed``. If a job has the id already, nothing
        is written, and the code is `Code.REFUSED`; with `Code.NOT_IN_STATE` the error is ``number``
        if that is not reserved, or ``late``.

        Args:
            queue: the queue.
            job: the job.
            number: what `reserve` returned: the job's id, unless it has one of its own.
            may_be_new: whether to add it to a queue of which no key exists.
            until: the last moment at which it is added, in ms by the server's clock; None: any.

        Raises:
            QueueGone: no key of the queue exists, and it may not be new; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        job_id = job.job_id or number
        arguments = [queue.key(""), flag(may_be_new), job_id, number, job.name, job.data, job.opts]
        arguments.append("" if job.timestamp is None else str(job.timestamp))
        arguments += (str(job.delay), str(job.priority), flag(job.lifo))
        arguments.append("" if until is None else str(until))
        reply = await self._script.call(queue.script_keys(), arguments)
        [result] = results_of([job_id], reply[:-1])
        if result.code is Code.REFUSED and result.error == TAKEN:
            result = result._replace(error="another job has this id")
        return Batch([result], str(reply[0]), int(reply[-1]) / 1e6)


class UnmakeWriter:
    """Removes queues that an add made. Costs one EVALSHA a call (EVAL once after a flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("unmake"))

    async def unmake(self, queue: QueueKey, number: str) -> Result:
        """Removes an empty queue that has had one job, in one atomic step.

        The code is `Code.NOT_IN_STATE` if it was used since: then nothing is removed.

        Args:
            queue: the queue.
            number: what was reserved for its job.

        Raises:
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        reply = await self._script.call(queue.script_keys(), [number])
        [result] = results_of([queue.base], reply)
        return result
