"""Writes reruns of flows: `lua/rerun.lua`, which includes `lua/retry.lua`.

As `writer` for retries: each call is one atomic script, and read-only mode makes no FlowWriter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from qtui.bullmq.connection import Client
from qtui.bullmq.flow.lineage import Name
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.script import Script, flag, pin, script_text
from qtui.bullmq.writer import Batch, Picked, results_of


class Mode(StrEnum):
    """What becomes of children that have completed: see `lua/rerun.lua`."""

    FAILURE = "failure"
    START = "start"
    RESUME = "resume"
    """From the start, after that was cut off."""


DOOMED: Final = "doomed"
"""Where a parent is that waits for a worker only to be failed by it: wait, paused, prioritized."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A child that its parent gets back, or waits for no more."""

    name: Name
    score: float | None = None
    """At which it was seen completed or failed; None where it was neither."""
    gone: bool = False
    """Whether its hash is gone, and its parent is to wait for it no more."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A parent that is to wait for children again."""

    name: Name
    seen: str
    """``failed``, ``completed``, ``waiting-children`` or `DOOMED`."""
    score: float | None
    """At which it stood there, which pins this one finish; None for any."""
    children: tuple[Returned, ...]
    more: bool = False
    """Whether more of its children come in a later call, so that it may not run yet."""


@dataclass(frozen=True, slots=True)
class Released:
    """Finished jobs of one queue and state that run first."""

    queue: QueueKey
    state: JobState
    jobs: tuple[Picked, ...]


class FlowWriter:
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
        """Parks the parents, ancestors first, and then releases the jobs, all in one atomic step.

        Nothing is written when one of them does not stand where it was seen. The results are in
        the order of the arguments: -3 and -1 for those, 0 for the others. The target of a parent is
        ``waiting-children``, or where it was released to because no child was left to wait for.

        Costs about 30 µs of Redis's time for each job and child, and for a parent that is doomed a
        search of its queue's lists, O(n).

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
