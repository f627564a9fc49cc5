"""Where a job is, to be shown there. No widgets."""

from __future__ import annotations

from dataclasses import dataclass

from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.reader import Reader, Whereabouts
from qtui.text import plain


@dataclass(frozen=True, slots=True)
class JobPlace:
    """A job that is to be shown in the inspector."""

    queue: QueueKey
    state: JobState
    job_id: str


async def find_place(client: Client, queue: QueueKey, job_id: str) -> JobPlace | str:
    """Returns where a job is; where it can't be shown, why, in a sentence.

    Costs what `Reader.whereabouts` costs.
    """
    where = (await Reader(client).whereabouts(queue, [job_id], reasons=False))[job_id]
    if where.state is None:
        return no_place(queue, job_id, where)
    return JobPlace(queue, where.state, job_id)


def no_place(queue: QueueKey, job_id: str, where: Whereabouts) -> str:
    """Returns in a sentence why a job can't be shown."""
    word = "is in no state" if where.exists else "is gone"
    if where.exists and where.unknown:
        word = f"exists; its state is unknown: {plain(where.unknown)}"
    return f"Job {plain(job_id)} in {plain(queue.name)} {word}."
