"""Reads what an edit of one job has to know: its fields in full, its state, its exact place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError, ResponseError

from qtui.bullmq.ask import ask, exact, score
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row, row
from qtui.bullmq.new_job.change import Edited
from qtui.bullmq.new_job.payload import digest_of
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.job import may_be_job
from qtui.bullmq.reads.lists import read_before
from qtui.bullmq.reads.reader import Reader

EDIT_FIELDS: Final = (
    *LIST_FIELDS,
    *("data", "returnvalue", "stacktrace", "stc", "defa", "parent", "rjk", "deid"),
)
"""The fields that are read: all that an edit, and a retry with it, may change, and what the plan
speaks of."""


@dataclass(frozen=True, slots=True)
class Editable:
    """A job as it was read for an edit."""

    queue: QueueKey
    fields: Mapping[str, str]
    """Those of `EDIT_FIELDS` that it has, by name."""
    row: Row
    state: JobState | None
    """None: it is in no state, though it has a hash."""
    score: float | None
    before: str
    """In a list: the id of the job that runs before it; empty if it is the next to run."""
    queued: Mapping[str, str] | None
    """In a list: ``paused`` if the queue is, and ``turn``, its score in ``priority`` (1.x to 3.x).
    None if it is in no list, or Redis refused to say."""
    unlocked: bool
    """Whether it is active, and no worker holds its lock."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.row.id

    @property
    def data(self) -> str:
        """Its data, JSON unless a client has written something else; empty if it has none."""
        return self.fields.get("data", "")

    @property
    def seen(self) -> Edited:
        """What it must still be when it is edited."""
        return Edited(
            job_id=self.id,
            state=self.state,
            score=self.score,
            stamp=self.row.stamp,
            digest=digest_of(self.data),
            priority=self.fields.get("priority", ""),
            delay=self.fields.get("delay", ""),
        )


async def read_editable(client: Client, queue: QueueKey, job_id: str) -> Editable | None:
    """Returns a job as an edit has to know it; None if there is none of this id.

    Costs four round trips and the bytes of its fields, however long they are; for a job in no
    sorted set an LPOS for each list, O(n), and one round trip more in a list.

    Raises:
        redis.exceptions.ResponseError: Redis refused to read the job or the states.
    """
    [values] = await read_whole(client, [queue.job(job_id)], EDIT_FIELDS)
    pairs = zip(EDIT_FIELDS, values, strict=True)
    fields = {name: value for name, value in pairs if value is not None}
    found = (await Reader(client).whereabouts(queue, [job_id], reasons=False))[job_id]
    if found.unknown:
        raise ResponseError(found.unknown)
    if not found.exists or (
        found.state is None and not may_be_job(job_id, marked="timestamp" in fields)
    ):
        return None
    before, queued, unlocked = "", None, False
    if found.state is not None and found.state.is_list:
        before = await read_before(client, queue.key(found.state.key), job_id)
        queued, unlocked = await _queued(client, queue, job_id)
        unlocked = unlocked and found.state is JobState.ACTIVE
    listed = row(job_id, values[: len(LIST_FIELDS)], found.score)
    return Editable(queue, fields, listed, found.state, found.score, before, queued, unlocked)


async def _queued(
    client: Client, queue: QueueKey, job_id: str
) -> tuple[Mapping[str, str] | None, bool]:
    """`Editable.queued`, and whether the job has no lock."""
    paused, turn, locks = await ask(
        client,
        [
            ("HEXISTS", queue.key("meta"), "paused"),
            ("ZSCORE", queue.key("priority"), job_id),
            ("EXISTS", queue.job(job_id, "lock")),
        ],
    )
    unlocked = locks == 0
    if isinstance(paused, RedisError) or isinstance(turn, RedisError):
        return None, unlocked
    found = {"paused": "1"} if paused == 1 else {}
    score_there = score(turn)
    if score_there is not None:
        found["turn"] = exact(score_there)
    return found, unlocked
