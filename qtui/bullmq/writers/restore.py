"""Puts removed jobs back as they were, by ``lua/restore.lua``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import split_job_key
from qtui.bullmq.reads.job import parent_of
from qtui.bullmq.reads.scripted.whole import Whole
from qtui.bullmq.script import Script, flag, script_text
from qtui.bullmq.writers.batch import LARGEST_BATCH, Batch, results_of

WHY: Final[Mapping[str, str]] = {
    "taken": "a job with this id is there now",
    "deduplication": "another job holds its deduplication id",
    "children": "it would wait for a child that never finishes",
}
"""In words what the script gives as a reason with -3."""

LARGEST_CALL: Final = 2_000_000
"""Most characters of jobs in one call, unless it is a single one."""


LONG_ENOUGH: Final = 800
"""Microseconds after which a call begins no more jobs."""


class RestoreWriter:
    """Restores removed jobs. Costs one EVALSHA a call (EVAL once after a script flush)."""

    def __init__(self, client: Client) -> None:
        self._script = Script(client, script_text("restore"))

    async def restore(self, families: Sequence[Sequence[Whole]]) -> Batch:
        """Puts jobs back where they were, in one atomic step, each only if nothing of it is there.

        A family, whose jobs go together, is at least one job, the top one last. In a long list a
        single job may take a while, so the call ends after some milliseconds: the results are those
        of the first families, of one at least. Call it again with the others.

        Pass them in the reverse order of their removal, so that a parent finds its children. The
        target of a job is the suffix of the key in which it is now: another one than before where
        its queue was paused or resumed since. A parent that was released waits again, if it has not
        run since. Emits the event ``undone``, which nothing of BullMQ's listens for.

        Costs some 20 µs of Redis's time a job; in the middle of a list that others use a search for
        its neighbours, O(n).

        Raises:
            ValueError: the batch is empty or larger than LARGEST_BATCH.
            QueueGone: no key of the queue of the first job is left; nothing was written.
            ForeignQueue: a Bull 3/4 or BullMQ Pro queue; nothing was written.
            redis.exceptions.RedisError: nothing was written if Redis answered with an error; if
                the connection was lost or timed out, the effect is unknown.
        """
        jobs = [job for family in families for job in family]
        if not 0 < len(jobs) <= LARGEST_BATCH:
            raise ValueError(f"{len(jobs)} jobs in one batch, 1 to {LARGEST_BATCH} are allowed")
        queue = jobs[0].queue
        arguments = [str(LONG_ENOUGH)]
        for family in families:
            for job in family:
                arguments += (flag(job is not family[-1]), *_arguments(job))
        others = sorted({job.queue.key("meta") for job in jobs if job.queue != queue})
        reply = await self._script.call([*queue.script_keys(), *others], arguments)
        ids = [job.job_id for job in jobs][: (len(reply) - 2) // 2]
        return Batch(results_of(ids, reply[:-1]), str(reply[0]), int(reply[-1]) / 1e6)


def _arguments(job: Whole) -> list[str]:
    parent_key = job.fields.get("parentKey", "")
    parent_base, parent_id = _parent(parent_key, job.fields.get("parent"))
    held = "held" in job.rest
    return [
        *(job.queue.key(""), job.job_id, job.state.key if job.state else "", job.score),
        *(job.text("ahead"), job.text("behind"), job.text("index")),
        *(flag(bool(job.text("paused"))), job.text("turn")),
        *(flag("waits" in job.rest), job.text("waits"), job.text("ended")),
        *(parent_key, parent_base, parent_id),
        *(job.fields.get("deid", "") if held else "", job.text("held")),
        *_counted(_flat(job.fields)),
        *_counted(job.elements("logs")),
        *_counted(job.elements("dependencies")),
        *_counted(_flat(job.pairs("processed"))),
        *_counted(_flat(job.pairs("failed"))),
        *_counted([one for pair in job.pairs("unsuccessful").items() for one in pair[::-1]]),
        *_counted(_flat(job.pairs("proto"))),
        *_counted(job.elements("stuck")),
    ]


def _parent(parent_key: str, written: str | None) -> tuple[str, str]:
    """A parent's base key with a colon, and its id; as ``lua/parts/lastchild.lua`` splits them."""
    base, job_id = (parent_of(parent_key, written) if parent_key else None) or ("", "")
    if f"{base}:{job_id}" != parent_key:
        base, job_id = split_job_key(parent_key)
    return (f"{base}:" if base else "", job_id)


def _flat(pairs: Mapping[str, str]) -> list[str]:
    return [one for pair in pairs.items() for one in pair]


def _counted(elements: Sequence[str]) -> list[str]:
    return [str(len(elements)), *elements]


def weight_of(job: Whole) -> int:
    """Returns about how many characters a job adds to a call."""
    parts = [one if isinstance(one, str) else "".join(one) for one in job.rest.values()]
    hashes = [part for part in job.rest.values() if isinstance(part, dict)]
    values = [value for fields in (job.fields, *hashes) for value in fields.values()]
    return sum(map(len, values)) + sum(map(len, parts))
