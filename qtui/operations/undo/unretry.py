"""Takes a retry back, and takes that back: the jobs are retried once more, as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.waiting import Child, read_unsuccessful, read_waited
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.job import parent_of
from qtui.bullmq.reads.page import short_row
from qtui.bullmq.reads.places import Places
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.retry import RetryWriter
from qtui.bullmq.writers.unretry import (
    COUNTERS,
    KEPT,
    LENGTH_ONLY,
    Retried,
    UnretryWriter,
    cleared_by_retry,
    fails_parent,
)
from qtui.operations.flow_rerun.written import kept_children
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.planning.plan import Resets
from qtui.operations.supply.selection import Chosen
from qtui.operations.supply.snapshots import read_snapshots
from qtui.operations.undo.inverse import Deed, Expected, read_ids, sender

_WHY: Final[Mapping[str, str]] = {
    "started": "has run since",
    "changed": "was changed since",
    "moved": "is no longer where the retry put it",
    "parent": "its parent waits for it to run again",
    "family": "the journal does not say what its parent knew of it",
}

_IN_PARENT: Final = (
    *('"fpof"', '"failParentOnFailure"', '"idof"', '"ignoreDependencyOnFailure"'),
    *('"cpof"', '"continueParentOnFailure"'),
)
"""Options, as in the JSON of a job, with which a parent may know of a child's failure."""


class Unretry:
    """Takes a retry back: the jobs return to the finish from which they were retried.

    Args:
        client: the server.
        header: the first line of the retry's journal.
        writes: whether it may write.
        parked: whether they are parents that needed more than a retry in a rerun; the state may
            be one in which they waited.
    """

    effect = "unretry"

    def __init__(
        self, client: Client, header: Header, writes: bool, *, parked: bool = False
    ) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._state = JobState(header.state)
        self._resets = resets_of(header)
        self._writer = UnretryWriter(client) if writes else None
        self._parked = parked
        resets = self._resets
        self._cleared = cleared_by_retry(
            self._state, made=resets.made, started=resets.started, parked=parked
        )

    @property
    def done(self) -> str:
        """What becomes of a job."""
        return f"back to {self._state}"

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now; assumes that one as the retry left it still waits.

        Costs two round trips: an HMGET a job, and a ZMSCORE; and what `read_waited` costs.
        """
        kept = [name for name in KEPT if name not in (*self._cleared, *LENGTH_ONLY)]
        names = [*self._cleared, *kept]
        keys = [self._queue.job(one.id) for one in deeds]
        hashes = await read_whole(self._client, keys, names)
        scores: Sequence[float | None] = [None] * len(deeds)
        if not self._state.is_list:
            places = Places(self._client, self._queue)
            scores = await places.scores(self._state, [one.id for one in deeds])
        found = []
        for deed, values, score in zip(deeds, hashes, scores, strict=True):
            now = dict(zip(names, values, strict=True))
            arrived = score is not None and score == deed.snapshot.score
            if self._state.is_list:
                before = deed.snapshot.fields
                arrived = all(now[name] == before.get(name) for name in self._cleared)
            result = self._result(deed, now)
            if arrived and result.done and any(now[name] is not None for name in self._cleared):
                result = Result(deed.id, Code.NOT_IN_STATE, error="moved")  # it is back already
            found.append(Expected(result, arrived=arrived))
        return await self._without_needed(deeds, found)

    async def _without_needed(
        self, deeds: Sequence[Deed], found: Sequence[Expected]
    ) -> list[Expected]:
        """The same, without the jobs that a parent needs."""
        done = [deed for deed, one in zip(deeds, found, strict=True) if one.result.done]
        needed = await read_needed(self._client, self._queue, self._state, done)
        return [
            one._replace(result=Result(deed.id, Code.NOT_IN_STATE, error="parent"))
            if deed.id in needed
            else one
            for deed, one in zip(deeds, found, strict=True)
        ]

    def _result(self, deed: Deed, now: Mapping[str, str | None]) -> Result:
        if not any(value is not None for value in now.values()):
            return Result(deed.id, Code.NO_SUCH_JOB)
        before = deed.snapshot.fields
        # One that is as it was before the retry was not cleared: Redis refused that.
        if any(now[name] not in (None, before.get(name)) for name in self._cleared):
            return Result(deed.id, Code.NOT_IN_STATE, error="started")
        changed = {name for name, value in now.items() if value != before.get(name)}
        changed -= set(self._cleared)
        if changed:
            why = "started" if changed & COUNTERS else "changed"
            return Result(deed.id, Code.NOT_IN_STATE, error=why)
        if family_before(deed, self._state) is None:
            return Result(deed.id, Code.REFUSED, error="family")
        return Result(deed.id, Code.DONE, target=self._state.key)

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they will be again, and where they wait now."""
        # A parent that waits for its children has to do so again when it is retried once more.
        unknown = [one.id for one in deeds if not one.target]
        waiting = dict[str, float | None]()
        if unknown:
            places = Places(self._client, self._queue)
            scores = await places.scores(JobState.WAITING_CHILDREN, unknown)
            waiting = dict(zip(unknown, scores, strict=True))
        jobs = [
            one.snapshot._replace(
                place=one.target if waiting.get(one.id) is None else _AFTER_CHILDREN
            )
            for one in deeds
        ]
        return snapshot_lines(jobs, texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Moves the jobs back."""
        writer = sender(self._writer)
        jobs, results = [], list[Result | None]()
        for deed in deeds:
            family = family_before(deed, self._state)
            score = deed.snapshot.score
            if family is None or (score is None and not self._state.is_list):
                results.append(Result(deed.id, Code.REFUSED, error="family"))
                continue
            results.append(None)
            fields = deed.snapshot.fields
            jobs.append(
                Retried(
                    job_id=deed.id,
                    score=score,
                    before=deed.snapshot.place,
                    place=deed.target,
                    fields=fields,
                    family=family,
                    lifo=short_row(deed.id, [fields.get(name) for name in LIST_FIELDS]).lifo,
                    children=kept_children(deed.snapshot),
                )
            )
        if not jobs:
            return Batch([one for one in results if one is not None])
        batch = await writer.take_back(
            self._queue,
            self._state,
            jobs,
            reset_attempts_made=self._resets.made,
            reset_attempts_started=self._resets.started,
            parked=self._parked,
        )
        sent = iter(batch.results)
        whole = [next(sent) if one is None else one for one in results]
        return Batch(whole, batch.note, batch.seconds)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return _WHY.get(result.error, result.error)


class Reretry:
    """Takes back that a retry was taken back: retries the jobs again, with the same resets.

    Args:
        client: the server.
        header: the first line of that undo's journal.
        writes: whether it may write.
    """

    effect = "retry"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._state = JobState(header.state)
        self._resets = resets_of(header)
        self._writer = RetryWriter(client) if writes else None

    @property
    def done(self) -> str:
        """What becomes of a job."""
        return "retried again"

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now.

        Costs two round trips: an HMGET a job, and a ZMSCORE; and for parents that waited for their
        children what `read_unsuccessful` costs.
        """
        parents = [one for one in deeds if one.snapshot.place == _AFTER_CHILDREN]
        failed = await _read_failed_children(self._client, self._queue, parents)
        keys = [self._queue.job(one.id) for one in deeds]
        hashes = await read_whole(self._client, keys, ["timestamp", "name", "finishedOn"])
        places = Places(self._client, self._queue)
        scores = await places.scores(self._state, [one.id for one in deeds])
        found = []
        for deed, values, score in zip(deeds, hashes, scores, strict=True):
            exists = any(value is not None for value in values)
            result = Result(deed.id, Code.NOT_IN_STATE, error="moved")
            if not exists:
                result = Result(deed.id, Code.NO_SUCH_JOB)
            elif score is not None and score == deed.snapshot.score:
                result = Result(deed.id, Code.DONE, target=_place(deed))
                if deed.id in failed:
                    result = Result(deed.id, Code.FAILED_CHILD, error=failed[deed.id])
            arrived = exists and score is None and values[2] is None
            found.append(Expected(result, arrived=arrived))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns what the retry wipes, as for any retry."""
        picks = tuple(Picked(one.id, one.snapshot.score) for one in deeds)
        lines = []
        async for page in read_snapshots(self._client, Chosen(self._queue, self._state, picks)):
            lines.append(await page.lines(texts))
        return b"".join(lines)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Retries the jobs; a parent in a call after that of its children, for which it waits."""
        writer = sender(self._writer)
        results, note, seconds = list[Result](), "", 0.0
        for some in self._calls(deeds):
            batch = await writer.retry(
                self._queue,
                self._state,
                [
                    Picked(one.id, one.snapshot.score, one.snapshot.place == _AFTER_CHILDREN)
                    for one in some
                ],
                reset_attempts_made=self._resets.made,
                reset_attempts_started=self._resets.started,
            )
            results += batch.results
            note, seconds = note or batch.note, seconds + batch.seconds
        return Batch(results, note, seconds)

    def _calls(self, deeds: Sequence[Deed]) -> Iterator[list[Deed]]:
        """Splits jobs, in their order, so that no parent is in a call with one of its children."""
        call: list[Deed] = []
        parents = set[str]()
        for deed in deeds:
            if self._queue.job(deed.id) in parents:
                yield call
                call, parents = [], set()
            call.append(deed)
            parents.add(deed.snapshot.fields.get("parentKey", ""))
        yield call

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return _WHY.get(result.error, result.error) if result.error != "moved" else ""


_AFTER_CHILDREN: Final = JobState.WAITING_CHILDREN.key


def _place(deed: Deed) -> str:
    return deed.snapshot.place or "wait"


def resets_of(header: Header) -> Resets:
    """Returns which counters a retry deleted."""
    return Resets(
        made=header.resets.get("made") is True, started=header.resets.get("started") is True
    )


def family_before(deed: Deed, state: JobState) -> Mapping[str, str] | None:
    """Returns what a job's parent held about it before its retry; None if that is not known.

    Older journals do not say. A completed child was in ``processed`` with its result, and a failed
    one without an option stayed in ``dependencies``; what became of one with an option depends on
    the release that failed it.
    """
    known, fields = deed.snapshot.family, deed.snapshot.fields
    if known is not None or "parentKey" not in fields or not state.is_finished:
        return known or {}
    if state is JobState.COMPLETED:
        return {"processed": fields.get("returnvalue", "null")}
    options = fields.get("parent", "") + fields.get("opts", "")
    return None if any(option in options for option in _IN_PARENT) else {}


async def read_needed(
    client: Client, queue: QueueKey, state: JobState, deeds: Sequence[Deed]
) -> set[str]:
    """Returns the ids of retried jobs for which a parent waits that `lua/unretry.lua` leaves to it.

    Not where the parent is taken back as well, which comes first. Costs what `read_waited` costs
    for the children of other parents.
    """
    children = [one for one in deeds if one.snapshot.fields.get("parentKey")]
    await read_ids(children)
    pairs = [(deed, one) for deed in children if (one := _child(queue, deed)) is not None]
    needed = set[str]()
    left: dict[str, int] = {}
    waited = await read_waited(client, [one for _, one in pairs])
    for (deed, one), many in zip(pairs, waited, strict=True):
        known, failed = family_before(deed, state) or {}, state is JobState.FAILED
        if not many:
            continue
        if known and not (failed and "unsuccessful" in known):
            if left.setdefault(one.parent, many) == 1:
                needed.add(deed.id)
            else:
                left[one.parent] -= 1
        elif failed and (known or fails_parent(deed.snapshot.fields)):
            needed.add(deed.id)
    return needed


def _child(queue: QueueKey, deed: Deed) -> Child | None:
    """A job with a parent that is not taken back as well."""
    fields = deed.snapshot.fields
    key = fields.get("parentKey", "")
    parent = parent_of(key, fields.get("parent")) if key else None
    if parent is None:
        return None
    base, parent_id = parent
    if deed.goes_with(key) or (base == queue.base and deed.goes_with(parent_id)):
        return None
    return Child(queue.job(deed.id), key, base, parent_id)


async def _read_failed_children(
    client: Client, queue: QueueKey, deeds: Sequence[Deed]
) -> dict[str, str]:
    """Returns by id of a parent a failed child with which it can't complete, if there is any.

    Not one that is taken back as well. Costs what `read_unsuccessful` costs.
    """
    await read_ids(deeds)
    start = queue.key("")
    known = await read_unsuccessful(client, [queue.job(one.id) for one in deeds])
    found: dict[str, str] = {}
    for deed, children in zip(deeds, known, strict=True):
        for key in children:
            if not (deed.goes_with(key) or deed.goes_with(key.removeprefix(start))):
                found.setdefault(deed.id, key)
    return found
