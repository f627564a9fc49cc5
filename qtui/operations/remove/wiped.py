"""What a removal wipes: the whole job, and the jobs below it that go with it. To lines and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.below import read_below
from qtui.bullmq.flow.family import Queues
from qtui.bullmq.flow.fields import Values
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, row
from qtui.bullmq.reads.scripted.list_places import ListPlace
from qtui.bullmq.reads.scripted.whole import (
    PLACE,
    Unread,
    Whole,
    of_members,
    place_texts,
    rest_of,
    score_text,
)
from qtui.bullmq.reads.scripted.wholes import Raw, Wholes
from qtui.bullmq.writers.batch import Picked
from qtui.bullmq.writers.remove import Below
from qtui.operations.journal.facts import Snapshot
from qtui.operations.supply.snapshots import Wiped

_WHY, _AHEAD, _BEHIND, _INDEX, _REST, _BELOW, _FIELDS = range(7)
"""The values of a job: why it can't be read whole, or None; its place in a list; what else there is
and the jobs below it, as JSON, or None; then the names of its fields, and then their values."""

REST: Final = "rest"
BELOW: Final = "below"
"""The members of ``whole`` in a journal's ``job`` line: `Whole.rest`, and the jobs below it, in the
order in which they are removed after it, as `Whole.members`; each only if there is any."""


@dataclass(frozen=True, slots=True)
class WipedJobs(Wiped):
    """What a removal wipes, see `qtui.operations.supply.snapshots.Wiped`."""

    state: JobState | None
    """None: jobs that are in no state."""
    children: bool
    """Whether the jobs below go too."""

    def reader(self, client: Client, queue: QueueKey) -> WholeReader:
        """Returns what reads whole jobs."""
        return WholeReader(client, queue, self.state, children=self.children)

    def snapshot(self, pick: Picked, values: Values) -> Snapshot:
        """Returns a job with all its fields; without ``whole`` if it could not be read whole."""
        why, ahead, behind, index, rest, below, *fields = values
        if why is not None:
            return Snapshot(pick.job_id, pick.score, {})
        parts: dict[str, object] = {}
        for name, text in zip(PLACE, (ahead, behind, index), strict=True):
            if text is not None:
                parts[name] = text
        if rest is not None:
            parts |= json.loads(rest)
        whole: dict[str, object] = {REST: parts} if parts else {}
        if below is not None:
            whole[BELOW] = json.loads(below)
        names, texts = fields[: len(fields) // 2], fields[len(fields) // 2 :]
        pairs = cast("dict[str, str]", dict(zip(names, texts, strict=True)))
        return Snapshot(pick.job_id, pick.score, pairs, whole=whole)


class WholeReader:
    """Reads whole jobs of one queue and state, and those below them if they go too."""

    def __init__(
        self, client: Client, queue: QueueKey, state: JobState | None, *, children: bool
    ) -> None:
        self._client = client
        self._queue = queue
        self._state = state
        self._wholes = Wholes(client, queue, state)
        self._queues = Queues(client, [queue]) if children else None

    async def first_of(self, ids: Sequence[str]) -> list[Values]:
        """Returns the first given jobs, in order; at least one.

        Costs what `Wholes` costs, and for jobs with children what `read_below` costs.

        Raises:
            redis.exceptions.RedisError: the server did not answer, or refused.
        """
        jobs = await self._wholes.raw_of(ids)
        ids, queues = ids[: len(jobs)], self._queues
        places = await self._wholes.places_of(ids)
        below = {} if queues is None else await self._below(queues, ids, jobs)
        return [
            _values(one, places.get(job_id), below.get(job_id, ()))
            for job_id, one in zip(ids, jobs, strict=True)
        ]

    async def _below(
        self, queues: Queues, ids: Sequence[str], jobs: Sequence[Raw | Unread]
    ) -> dict[str, list[Whole] | Unread]:
        """The jobs below those that have any."""
        tops = []
        for job_id, job in zip(ids, jobs, strict=True):
            if isinstance(job, Raw) and job.rest:
                top = Whole(self._queue, job_id, self._state, job.score, {}, job.rest)
                tops += [top] if top.children else []
        found = await read_below(self._client, queues, tops) if tops else []
        return {top.job_id: some for top, some in zip(tops, found, strict=True)}


def _values(job: Raw | Unread, place: ListPlace | None, below: Sequence[Whole] | Unread) -> Values:
    if isinstance(job, Unread):
        return _unreadable(job)
    if isinstance(below, Unread):
        return _unreadable(below)
    rest = json.dumps(job.rest) if job.rest else None
    members = json.dumps([one.members() for one in below]) if below else None
    return [None, *place_texts(place), rest, members, *job.fields, *job.fields.values()]


def _unreadable(why: Unread) -> Values:
    return [str(why), *[None] * (_FIELDS - 1)]


def unread(values: Values) -> str:
    """Returns why a job can't be read whole, so that its removal could not be undone; or empty."""
    return values[_WHY] or ""


def index_of(values: Values) -> int:
    """Returns how many members were between the tail of its list and a job; 0 if unknown."""
    return int(values[_INDEX] or 0)


def below_of(top: int, values: Values) -> list[Below]:
    """Returns the jobs that go with the one at position ``top``, each pinned to what was read."""
    text = values[_BELOW]
    if text is None:
        return []
    found = [one for one in map(of_members, json.loads(text)) if one is not None]
    return [
        Below(top, one.queue, one.state, Picked(one.job_id, _pin(one)))
        for one in found
        if one.state is not None
    ]


def _pin(job: Whole) -> float:
    if job.state is not None and not job.state.is_list:
        return float(job.score)
    return row(job.job_id, [job.fields.get(name) for name in LIST_FIELDS]).stamp


def removed_jobs(queue: QueueKey, state: JobState | None, job: Snapshot) -> list[Whole] | None:
    """Returns a removed job from its journal, then those that went with it, in that order.

    None if it was not read whole: it can't be restored.
    """
    whole = job.whole
    is_set = state is not None and not state.is_list
    if whole is None or (job.score is None and is_set):
        return None
    score = score_text(job.score) if is_set else ""
    top = Whole(queue, job.id, state, score, job.fields, rest_of(whole.get(REST)))
    below = whole.get(BELOW)
    return [top, *_members(below if isinstance(below, list) else [])]


def dependencies_of(job: Snapshot) -> Sequence[str]:
    """Returns the full keys of the children for which a removed job waited, from its journal."""
    found = rest_of((job.whole or {}).get(REST)).get("dependencies")
    return found if isinstance(found, list) else ()


def _members(written: Sequence[Mapping[str, object]]) -> list[Whole]:
    return [one for one in map(of_members, written) if one is not None]
