"""Takes retries and reruns back: jobs that still wait return to where they were before.

By `lua/unretry.lua`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import Garbage, JobState, is_true
from qtui.bullmq.reads.job import parent_of
from qtui.bullmq.script import Script, flag, pin, script_text
from qtui.bullmq.writers.batch import LARGEST_BATCH, Batch, results_of

KEPT: Final = (
    *("timestamp", "name", "priority", "parentKey", "attemptsMade", "atm", "ats", "stc"),
    "stacktrace",
)
"""Fields that a retry leaves as they are, unless it resets a counter. A job in which one of them
has changed has run or was edited since."""

LENGTH_ONLY: Final = frozenset({"stacktrace"})
"""Those of `KEPT` that are compared by their length in bytes: a run that failed adds to it."""

WAITS: Final = frozenset(
    {JobState.WAITING_CHILDREN, JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED}
)
"""States in which a rerun may find a parent that waits, for children or to be failed."""

COUNTERS: Final = frozenset({"attemptsMade", "atm", "ats"})
"""Those of `KEPT` that a run changes."""

PARENT_KEYS: Final = ("processed", "unsuccessful", "failed")
"""The keys beside a parent in which a finished child may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChild:
    """A child that a rerun put right in its parent's keys, without running it again."""

    key: str
    """Its full key."""
    under_way: bool
    """Whether it had yet to end: if it has by now, its parent knows better."""
    held: Mapping[str, str]
    """What its parent's `PARENT_KEYS` held about it, and ``dependencies`` if it was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A job as it was before a retry, and where the retry put it."""

    job_id: str
    score: float | None
    """Its score in the state from which it was retried; None where that is a list."""
    place: str
    """``wait``, ``paused``, ``prioritized`` or ``waiting-children``; empty if that is not known."""
    fields: Mapping[str, str]
    """Its fields before the retry: `KEPT`, and those that the retry cleared."""
    family: Mapping[str, str]
    """What its parent's `PARENT_KEYS` held about it before the retry: a value or a score."""
    lifo: bool = False
    before: str = ""
    """In a list the id of the job that was to run before it; empty if it was next."""
    children: tuple[KeptChild, ...] = ()
    """Those of a rerun's parent that did not run again, and about which its keys were put right."""


def cleared_by_retry(
    state: JobState, *, made: bool, started: bool, parked: bool = False
) -> tuple[str, ...]:
    """Returns the fields that a retry from a state deletes; equals ``lua/parts/fields.lua``.

    A rerun deletes both results of the jobs that it has ``parked``.
    """
    results: tuple[str, ...] = ("failedReason",)
    if state is JobState.COMPLETED:
        results = ("returnvalue",)
    if parked:
        results = ("failedReason", "returnvalue")
    counters = ("atm", "attemptsMade") if made else ()
    ends = ("finishedOn", "processedOn", "defa")
    return (*ends, *results, *counters, *(("ats",) if started else ()))


class UnretryWriter:
    """Takes retries back. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("unretry"))

    async def take_back(
        self,
        queue: QueueKey,
        state: JobState,
        jobs: Sequence[Retried],
        *,
        reset_attempts_made: bool = False,
        reset_attempts_started: bool = False,
        parked: bool = False,
    ) -> Batch:
        """Moves retried jobs back to their finish, all of them in one atomic step.

        A job that has started, was changed, or is no longer where the retry put it, is left alone:
        code -3, with ``started``, ``changed``, ``moved`` or ``parent`` as the error. Emits the
        event ``undone``, which nothing of BullMQ's listens for.

        With ``parked`` they are parents that a rerun has changed: it parked them in
        ``waiting-children``, or they waited before. Only those may return to a state in which jobs
        wait. Their scores there, which only qtui reads, are as before too.

        Costs some 12 µs of Redis's time a job, and a search of the list it waits in, from the end
        where the retry put it: send the jobs that were retried last first.

        Raises:
            ValueError: jobs in such a state are not retried, or they are too many for one call.
            QueueGone: no key of the queue is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        if not (state.is_finished or (parked and state in WAITS)):
            raise ValueError(f"no retry takes {state} jobs")
        if len(jobs) > LARGEST_BATCH:
            raise ValueError(f"{len(jobs)} jobs in one batch, at most {LARGEST_BATCH} are allowed")
        arguments = unretry_arguments(
            queue,
            state,
            jobs,
            made=reset_attempts_made,
            started=reset_attempts_started,
            parked=parked,
        )
        reply = await self._script.call(queue.script_keys(), arguments)
        ids = [job.job_id for job in jobs]
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)


def unretry_arguments(
    queue: QueueKey,
    state: JobState,
    jobs: Sequence[Retried],
    *,
    made: bool,
    started: bool,
    parked: bool = False,
) -> list[str]:
    """Returns the ARGV of `lua/unretry.lua`."""
    cleared = cleared_by_retry(state, made=made, started=started, parked=parked)
    kept = [name for name in KEPT if name not in cleared]
    arguments = [queue.key(""), state.key, str(len(cleared)), *cleared, str(len(kept))]
    arguments += [f"#{name}" if name in LENGTH_ONLY else name for name in kept]
    for job in jobs:
        exact = job.before if state.is_list else pin(job.score)
        arguments += (job.job_id, exact, job.place, flag(job.lifo))
        arguments += [_value(job.fields.get(name)) for name in cleared]
        arguments += [_kept(name, job.fields.get(name)) for name in kept]
        arguments += _parent(job)
        arguments += _children(job.children)
    return arguments


def _value(text: str | None) -> str:
    return "" if text is None else f"={text}"


def _kept(name: str, text: str | None) -> str:
    if name not in LENGTH_ONLY:
        return _value(text)
    return f"={len((text or '').encode('utf-8', 'surrogateescape'))}"


def _parent(job: Retried) -> list[str]:
    """The parent's key, queue and id, what the job's failure does, and how the parent knew of it.

    All empty without a parent.
    """
    key = job.fields.get("parentKey", "")
    if not key:
        return [""] * (4 + len(PARENT_KEYS))
    base, parent_id = parent_of(key, job.fields.get("parent")) or ("", "")
    return [key, f"{base}:", parent_id, flag(fails_parent(job.fields)), *_held(job.family)]


def _held(keys: Mapping[str, str]) -> list[str]:
    return [_value(keys.get(name)) for name in PARENT_KEYS]


def _children(children: Sequence[KeptChild]) -> list[str]:
    found = [str(len(children))]
    for child in children:
        pending = flag("dependencies" in child.held)
        found += (child.key, flag(child.under_way), pending, *_held(child.held))
    return found


def fails_parent(fields: Mapping[str, str]) -> bool:
    """Whether a job's failure fails its parent: in ``parent`` since 5.x, before in ``opts``."""
    garbage = Garbage()
    held, options = (garbage.options(fields.get(name)) for name in ("parent", "opts"))
    said = (held.get("fpof"), options.get("fpof"), options.get("failParentOnFailure"))
    return any(map(is_true, said))
