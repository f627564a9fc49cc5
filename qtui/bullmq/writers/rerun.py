"""Writes reruns of flows, by `lua/rerun.lua`, which includes `lua/retry.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.lineage import Name
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.script import Script, flag, pin, script_text
from qtui.bullmq.writers.batch import Batch, Picked, results_of


class Mode(StrEnum):
    """How a rerun treats children that have completed: see `lua/rerun.lua`."""

    FAILURE = "failure"
    START = "start"
    RESUME = "resume"
    """Resumes a `START` that was interrupted."""


DOOMED: Final = "doomed"
"""`Parked.seen` of a parent in wait, paused or prioritized that a worker is going to fail."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A child for which its parent waits again, or no longer waits."""

    name: Name
    score: float | None = None
    """Its score in completed or failed when it was read; None if it was in neither."""
    gone: bool = False
    """Whether its hash is gone, so that its parent must no longer wait for it."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A parent that will wait for children again."""

    name: Name
    seen: str
    """``failed``, ``completed``, ``waiting-children`` or `DOOMED`."""
    score: float | None
    """Its score there, which pins this one finish; None for any."""
    children: tuple[Returned, ...]
    more: bool = False
    """Whether a later call has more of its children, so that it must not run yet."""


@dataclass(frozen=True, slots=True)
class Released:
    """Finished jobs of one queue and state that are retried at once."""

    queue: QueueKey
    state: JobState
    jobs: tuple[Picked, ...]


class RerunWriter:
    """Reruns jobs of flows. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("rerun"))

    async def rerun(
        self,
        parents: Sequence[Parked],
        released: Sequence[Released],
        *,
        mode: Mode,
        reset_attempts_made: bool = False,
        reset_attempts_started: bool = False,
    ) -> Batch:
        """Parks the parents, ancestors first, and then retries the jobs, all in one atomic step.

        Nothing is written if one of them is no longer where it was read. The results are in the
        order of the arguments: then -3 or -1 for such a job, and 0 for the others. The target of a
        parent is ``waiting-children``, or where it went because it had no child left to wait for.

        Costs about 30 µs of Redis's time for each job and child, and for a `DOOMED` parent a search
        of its queue's lists, O(n).

        Raises:
            ForeignQueue, QueueGone: one of the queues is not BullMQ's own, or no key of it is left;
                nothing was written.
            redis.exceptions.RedisError: if Redis answered with an error nothing was written; if
                the connection was lost, the effect is unknown. Sending it again does no harm.
        """
        arguments = [mode.value, flag(reset_attempts_made), flag(reset_attempts_started)]
        arguments.append(str(len(parents)))
        for parent in parents:
            arguments += _parked(parent)
        arguments.append(str(len(released)))
        for batch in released:
            arguments += (batch.queue.key(""), batch.state.key, str(len(batch.jobs)))
            for job in batch.jobs:
                arguments += (job.job_id, pin(job.score))
        queues = {one.name.queue for one in parents} | {one.queue for one in released}
        reply = await self._script.call(sorted(queue.key("meta") for queue in queues), arguments)
        ids = [parent.name.id for parent in parents]
        ids += [job.job_id for batch in released for job in batch.jobs]
        return Batch(results_of(ids, reply), str(reply[0]))


def _parked(parent: Parked) -> list[str]:
    found = [parent.name.queue.key(""), parent.name.id, parent.seen, pin(parent.score)]
    found += [flag(parent.more), str(len(parent.children))]
    for child in parent.children:
        seen = "gone" if child.gone else pin(child.score)
        found += (child.name.key, child.name.queue.key(""), child.name.id, seen)
    return found
