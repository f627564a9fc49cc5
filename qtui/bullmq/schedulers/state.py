"""A scheduler with its iteration, whole: all that is needed to put both back as they were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from qtui.bullmq.ask import ask_all, fields_of, number, present, score, texts
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.lists import read_before
from qtui.bullmq.reads.reader import Whereabouts
from qtui.bullmq.schedulers.read import read_scheduler, written
from qtui.bullmq.schedulers.scheduler import Scheduler

MOST_LOGS: Final = 1000
"""Log lines of an iteration that are kept for an undo."""

_BESIDE: Final = ("dependencies", "processed", "failed", "unsuccessful")


class TooMuch(Exception):
    """There is more to an iteration than could be put back; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeIteration:
    """An iteration that has not begun, or is lost, as its keys hold it."""

    id: str
    place: str
    """``delayed``, ``prioritized``, ``wait`` or ``paused``; empty if it is in no state."""
    score: str = ""
    """Its score in a sorted set; journals of before have none for ``prioritized``."""
    before: str = ""
    """In a list the id of the job that was to run before it; empty if it was next, and in journals
    of before."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Its hash; empty if it has none."""
    logs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerState:
    """A scheduler as its keys hold it."""

    id: str
    score: str = ""
    """Its score in ``repeat``; empty if it is not there."""
    definition: Mapping[str, str] = field(default_factory=dict)
    """Its hash; empty if it has none."""
    iteration: WholeIteration | None = None
    """None: it has none that waits or is lost; it may run, or have finished."""
    paused: bool = False
    """Whether the queue was paused."""

    def fields(self) -> dict[str, str]:
        """Returns it as text by name, as a journal's line has it."""
        found = {"score": self.score, "definition": json.dumps(dict(self.definition))}
        one = self.iteration
        if one is not None:
            found |= {"iteration": one.id, "place": one.place, "delayed": one.score}
            found |= {"before": one.before} if one.before else {}
            found |= {"paused": "1"} if self.paused else {}
            found |= {"job": json.dumps(dict(one.fields)), "logs": json.dumps(one.logs)}
        return found

    @classmethod
    def of(cls, scheduler_id: str, fields: Mapping[str, str]) -> SchedulerState:
        """Returns what `fields` had; what is garbage there is left out."""
        one = None
        if fields.get("iteration"):
            one = WholeIteration(
                id=fields["iteration"],
                place=fields.get("place", ""),
                score=fields.get("delayed", ""),
                before=fields.get("before", ""),
                fields=_texts(fields.get("job")),
                logs=tuple(_list(fields.get("logs"))),
            )
        return cls(
            id=scheduler_id,
            score=fields.get("score", ""),
            definition=_texts(fields.get("definition")),
            iteration=one,
            paused=fields.get("paused") == "1",
        )


def _texts(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _list(text: str | None) -> list[str]:
    try:
        found = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


async def read_state(
    client: Client, queue: QueueKey, scheduler_id: str
) -> tuple[SchedulerState, Scheduler | None]:
    """Returns a scheduler whole, and what `read_scheduler` says of it; None if there is none.

    Costs what `read_scheduler` costs, and one round trip with both hashes and the log.

    Raises:
        TooMuch: its iteration has more log lines than `MOST_LOGS`, or children.
        redis.exceptions.ResponseError: Redis refused one of the reads.
    """
    one = await read_scheduler(client, queue, scheduler_id)
    if one is None:
        return SchedulerState(id=scheduler_id), None
    [definition] = await ask_all(client, [("HGETALL", queue.key(f"repeat:{scheduler_id}"))])
    known = fields_of(definition) or {}
    state = SchedulerState(id=scheduler_id, score=one.score, definition=known)
    if one.iteration is None or _has_started(one.iteration.place):
        return state, one
    whole = await _iteration(client, queue, one.iteration.id, one.iteration.place)
    return (
        SchedulerState(
            id=scheduler_id,
            score=one.score,
            definition=state.definition,
            iteration=whole,
            paused=one.paused,
        ),
        one,
    )


def _has_started(place: Whereabouts) -> bool:
    return place.state in (JobState.ACTIVE, JobState.WAITING_CHILDREN) or (
        place.state is not None and place.state.is_finished
    )


async def _iteration(
    client: Client, queue: QueueKey, job_id: str, place: Whereabouts
) -> WholeIteration:
    state = place.state
    ordered = JobState.DELAYED if state is None or state.is_list else state
    fields, lines, length, at, *beside = await ask_all(
        client,
        [
            ("HGETALL", queue.job(job_id)),
            ("LRANGE", queue.job(job_id, "logs"), 0, MOST_LOGS - 1),
            ("LLEN", queue.job(job_id, "logs")),
            ("ZSCORE", queue.key(ordered.key), job_id),
            *(("EXISTS", queue.job(job_id, one)) for one in _BESIDE),
        ],
    )
    if (number(length) or 0) > MOST_LOGS:
        raise TooMuch(f"its iteration has more than {MOST_LOGS} log lines")
    if any(one == 1 for one in beside):
        raise TooMuch("its iteration has children")
    before = ""
    if state is not None and state.is_list:
        before = await read_before(client, queue.key(state.key), job_id)
    return WholeIteration(
        id=job_id,
        place="" if state is None else state.key,
        score="" if score(at) is None else written(at),
        before=before,
        fields=fields_of(fields) or {},
        logs=tuple(present(texts(lines))),
    )


async def read_hash(client: Client, queue: QueueKey, job_id: str) -> dict[str, str]:
    """Returns a job's hash whole; empty if there is none. Costs one round trip."""
    [reply] = await ask_all(client, [("HGETALL", queue.job(job_id))])
    return fields_of(reply) or {}


async def read_score(client: Client, queue: QueueKey, scheduler_id: str) -> str:
    """Returns a scheduler's score in ``repeat``; empty if it is not there. Costs one round trip."""
    [reply] = await ask_all(client, [("ZSCORE", queue.key("repeat"), scheduler_id)])
    return written(reply)


async def taken_ids(client: Client, queue: QueueKey, ids: Sequence[str]) -> set[str]:
    """Returns those of the ids that a job has. Costs one round trip, an EXISTS an id."""
    replies = await ask_all(client, [("EXISTS", queue.job(one)) for one in ids])
    return {one for one, reply in zip(ids, replies, strict=True) if reply == 1}
