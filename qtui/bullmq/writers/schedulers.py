"""Writes schedulers and their iterations, by ``lua/reschedule.lua``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.script import Script, flag, script_text
from qtui.bullmq.writers.batch import Batch, results_of


class Leaving(StrEnum):
    """Which iteration may go."""

    PENDING = "pending"
    """From where it waits; one that runs or has finished stays."""
    UNBEGUN = "unbegun"
    """Only one that waits and that no worker has ever had."""
    LOST = "lost"
    """Only one that is in no state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goes:
    """The iteration that goes."""

    id: str
    leaving: Leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class Comes:
    """The iteration that comes. If it is the one that goes, only its place changes."""

    id: str
    place: str
    """``delayed``, ``prioritized``, ``wait`` or ``paused``; empty: its hash alone."""
    due: int = 0
    """When it is due, in ms since the epoch, if ``delayed``."""
    score: str = ""
    """Its score in a sorted set; empty: behind the others of its time."""
    before: str = ""
    """In a list the id of the job that was to run before it; empty if it was next."""
    was_paused: bool = False
    """Whether the queue was paused while it was there."""
    fields: Mapping[str, str] = field(default_factory=dict)
    logs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one scheduler, in one atomic step."""

    id: str
    seen: str
    """The score that it must have; empty: it must not exist."""
    wanted: str
    """The score that it gets; empty: none, it goes."""
    definition: Mapping[str, str] | None = None
    """What its hash holds afterwards; None: it stays as it is."""
    goes: Goes | None = None
    comes: Comes | None = None
    counts: bool = False
    """Whether the iteration that comes is a new job, counted as such."""


class SchedulerWriter:
    """Removes, revives and restores schedulers. Costs one EVALSHA a call."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("reschedule"))

    async def change(self, queue: QueueKey, change: Change) -> Batch:
        """Changes one scheduler and its iteration, in one atomic step.

        The target of the result is where the iteration went, or from where it was taken: a key's
        suffix; empty if there was none. Sending it again does no harm: its score is another then.

        Costs some 50 µs of Redis's time, and for an iteration that waits in a list a search of it.

        Raises:
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        arguments = [queue.key(""), change.id, change.seen, change.wanted]
        if change.definition is None:
            arguments.append("keep")
        else:
            arguments += (str(len(change.definition)), *_flat(change.definition))
        goes, comes = change.goes, change.comes
        arguments += ("", "") if goes is None else (goes.id, goes.leaving.value)
        if comes is None:
            arguments += ("", "", "", "", "", "", "0", "0")
        else:
            arguments += (comes.id, comes.place, str(comes.due), comes.score)
            arguments += (comes.before, flag(comes.was_paused))
            arguments += (str(len(comes.logs)), *comes.logs)
            arguments += (str(len(comes.fields)), *_flat(comes.fields))
        arguments.append(flag(change.counts))
        reply = await self._script.call(queue.script_keys(), arguments)
        return Batch(results_of([change.id], reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]
