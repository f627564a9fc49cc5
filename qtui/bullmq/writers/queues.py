"""Writes what is done to a whole queue, a writer an action: pause, resume.

Each call is one short atomic step. What takes longer, such as joining two long lists, takes several
steps, and is safe to end after any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.script import Script, script_text
from qtui.bullmq.writers.batch import results_of

MOST_MOVED: Final = 2000
"""Ids that one call moves between two lists: some 0.5 ms of Redis's time."""


@dataclass(frozen=True, slots=True)
class QueueStep:
    """The reply to one call on a queue."""

    result: Result
    """For the queue, named by its base key. Final once nothing is `left`."""
    left: int = 0
    """What later calls have to do; while there is some, the call has to be repeated."""
    note: str = ""
    """Redis's error if an event or a marker was refused after the change."""
    seconds: float = 0.0
    """How long the call kept Redis busy, 0 if the server can't measure it."""


def _step(queue: QueueKey, reply: list[str | int]) -> QueueStep:
    note, code, detail, left, took = reply
    [result] = results_of([queue.base], [note, code, detail])
    return QueueStep(result, int(left), str(note), int(took) / 1e6)


class PauseWriter:
    """Pauses queues, by `lua/pause.lua`. Costs one EVALSHA a call."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("pause"))

    async def pause(self, queue: QueueKey, *, most: int = MOST_MOVED) -> QueueStep:
        """Pauses a queue that is not paused; one that is keeps every key as it is (code -3).

        The target is the list that keeps the waiting jobs meanwhile. Costs O(1), unless jobs are
        stranded in ``paused``: then up to ``most`` ids are moved a call.

        Raises:
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        reply = await self._script.call(queue.script_keys(), [queue.key(""), str(most)])
        return _step(queue, reply)


class ResumeWriter:
    """Resumes queues, by `lua/resume.lua`. Costs one EVALSHA a call."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("resume"))

    async def resume(self, queue: QueueKey, *, most: int = MOST_MOVED) -> QueueStep:
        """Resumes a queue, brings back what is in ``paused``, and wakes the workers.

        A queue that is not paused, with nothing in ``paused``, stays as it is (code -3). Costs O(1)
        for homogeneous queues; with jobs in ``wait`` and ``paused``, up to ``most`` ids are moved a
        call.

        Raises:
            QueueGone, ForeignQueue, redis.exceptions.RedisError: as for `PauseWriter.pause`.
        """
        reply = await self._script.call(queue.script_keys(), [queue.key(""), str(most)])
        return _step(queue, reply)
