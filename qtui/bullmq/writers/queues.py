"""Writes what is done to a whole queue, a writer an action: pause, resume, limits, obliterate.

Each call is one short atomic step. What takes longer, such as joining two long lists, takes several
steps, and is safe to end after any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.script import Script, flag, script_text
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One limit that is replaced; None is no such limit."""

    name: str
    """A field of ``meta``: ``concurrency``, ``max`` or ``duration``; or a key: ``limiter``, or
    ``de:<id>`` for a deduplication id."""
    before: str | None
    after: str | None
    pinned: bool = True
    """Whether it is replaced only if it still is as ``before``."""
    expires_in: int | None = None
    """Milliseconds after which a key expires that is set."""

    @property
    def is_field(self) -> bool:
        """Whether it is a field of ``meta``, and not a key of its own."""
        return self.name in FIELDS


FIELDS: Final = ("concurrency", "max", "duration")
"""The limits in ``meta`` (≥5.9.0, and ≥5.60.0 for the last two)."""


class LimitsWriter:
    """Changes the limits of queues, by `lua/limits.lua`. Costs one EVALSHA a call."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("limits"))

    async def change(self, queue: QueueKey, settings: Sequence[Setting]) -> QueueStep:
        """Replaces some limits, all of them or none, and wakes the workers if jobs wait.

        The target is their names. A limit that is not what was seen ends the call with -3 and its
        name. Costs O(1) for each.

        Raises:
            QueueGone, ForeignQueue, redis.exceptions.RedisError: as for `PauseWriter.pause`.
        """
        keys, arguments = queue.script_keys(), [queue.key("")]
        for one in settings:
            arguments += ("field" if one.is_field else "key", one.name, flag(one.pinned))
            arguments += (_shown(one.before), _shown(one.after))
            arguments.append("" if one.expires_in is None else str(one.expires_in))
            if not one.is_field:
                keys.append(queue.key(one.name))
            if one.name.startswith("de:"):
                keys.append(queue.key(f"dn:{one.name[3:]}"))
        return _step(queue, await self._script.call(keys, arguments))


def _shown(value: str | None) -> str:
    return "" if value is None else f"={value}"


MOST_REMOVED: Final = 150
"""Jobs that one call of an obliteration removes: some 1.5 ms of Redis's time."""


class ObliterateWriter:
    """Removes whole queues, by `lua/obliterate.lua`. Costs one EVALSHA a call."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("obliterate"))

    async def remove_jobs(
        self, queue: QueueKey, *, force: bool, most: int = MOST_REMOVED
    ) -> QueueStep:
        """Pauses the queue, and removes some of its jobs and schedulers; repeat it while some left.

        The target is ``<jobs removed> <parents in other queues that run now>``. Active jobs whose
        lock a worker holds end it with `Code.REFUSED`, unless ``force`` is given. Costs about 8 µs
        of Redis's time a job.

        Raises:
            QueueGone, ForeignQueue, redis.exceptions.RedisError: as for `PauseWriter.pause`.
        """
        return await self._call(queue, "jobs", most, (), force=force)

    async def sweep(self, queue: QueueKey, keys: Sequence[str]) -> QueueStep:
        """Deletes keys of a queue that belong to no job in a state, unless jobs are left in one."""
        return await self._call(queue, "sweep", 0, keys, force=True)

    async def end(self, queue: QueueKey, keys: Sequence[str]) -> QueueStep:
        """Deletes the queue's own keys, unless jobs are left in one of its states."""
        return await self._call(queue, "end", 0, keys, force=True)

    async def _call(
        self, queue: QueueKey, mode: str, most: int, keys: Sequence[str], *, force: bool
    ) -> QueueStep:
        arguments = [queue.key(""), mode, flag(force), str(most), *keys]
        return _step(queue, await self._script.call([*queue.script_keys(), *keys], arguments))
