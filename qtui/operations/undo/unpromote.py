"""Takes a promotion back, and takes that back: the jobs are promoted once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.page import short_row
from qtui.bullmq.reads.places import Places
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.promote import PromoteWriter
from qtui.bullmq.writers.unpromote import Promoted, UnpromoteWriter
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.promote.promote import PROMOTION_WIPES
from qtui.operations.supply.selection import Chosen
from qtui.operations.supply.snapshots import read_snapshots
from qtui.operations.undo.inverse import Deed, Expected, sender
from qtui.verbs import Verb

_WHY: Final = {
    "started": "has run since",
    "changed": "was changed since",
    "moved": "is no longer where the promotion put it",
}


class Unpromote:
    """Takes a promotion back: the jobs are delayed again, due when they were.

    Args:
        client: the server.
        header: the first line of the promotion's journal.
        writes: whether it may write.
    """

    effect = "unpromote"
    done = "back to delayed"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._places = Places(client, self._queue)
        self._writer = UnpromoteWriter(client) if writes else None

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now; assumes that one as the promotion left it still waits.

        Costs two round trips: an HMGET a job, and a ZMSCORE.
        """
        ids = [one.id for one in deeds]
        hashes = await read_whole(self._client, [self._queue.job(one) for one in ids], LIST_FIELDS)
        scores = await self._places.scores(JobState.DELAYED, ids)
        found = []
        for deed, values, score in zip(deeds, hashes, scores, strict=True):
            back = score is not None and score == deed.snapshot.score
            found.append(Expected(_result(deed, values, score), arrived=back))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they will be again; nothing is wiped but the place."""
        return snapshot_lines([one.snapshot._replace(place=one.target) for one in deeds], texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Moves the jobs back."""
        writer = sender(self._writer)
        unknown = [one.id for one in deeds if not one.target]
        scores = await self._places.scores(JobState.PRIORITIZED, unknown) if unknown else []
        ranked = {one for one, at in zip(unknown, scores, strict=True) if at is not None}
        jobs = [
            Promoted(
                job_id=one.id,
                score=one.snapshot.score or 0.0,
                place=one.target or ("prioritized" if one.id in ranked else "wait"),
                stamp=_row(one).stamp,
                delay=one.snapshot.fields.get("delay"),
            )
            for one in deeds
        ]
        return await writer.take_back(self._queue, jobs)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return _WHY.get(result.error, result.error)


def _row(deed: Deed) -> Row:
    """The job as it was before the promotion."""
    return short_row(deed.id, [deed.snapshot.fields.get(name) for name in LIST_FIELDS])


def _result(deed: Deed, values: Sequence[str | None], score: float | None) -> Result:
    if not any(value is not None for value in values):
        return Result(deed.id, Code.NO_SUCH_JOB)
    why = ""
    if short_row(deed.id, values).stamp != _row(deed).stamp:
        why = "started"
    elif score is not None:
        why = "moved"
    elif values[LIST_FIELDS.index("delay")] not in ("0", deed.snapshot.fields.get("delay")):
        # One that is as it was before the promotion was not set: Redis refused that.
        why = "changed"
    if why:
        return Result(deed.id, Code.NOT_IN_STATE, error=why)
    return Result(deed.id, Code.DONE, target=JobState.DELAYED.key)


class Repromote:
    """Takes back that a promotion was taken back: promotes the jobs again.

    Args:
        client: the server.
        header: the first line of that undo's journal.
        writes: whether it may write.
    """

    effect = Verb.PROMOTE.value
    done = "promoted again"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._writer = PromoteWriter(client) if writes else None

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now. Costs two round trips: an HMGET a job, and a ZMSCORE."""
        ids = [one.id for one in deeds]
        hashes = await read_whole(self._client, [self._queue.job(one) for one in ids], ["name"])
        scores = await Places(self._client, self._queue).scores(JobState.DELAYED, ids)
        found = []
        for deed, [name], score in zip(deeds, hashes, scores, strict=True):
            result = Result(deed.id, Code.NOT_IN_STATE, error="is not delayed as it was")
            if name is None:
                result = Result(deed.id, Code.NO_SUCH_JOB)
            elif score is not None and score == deed.snapshot.score:
                result = Result(deed.id, Code.DONE, target=deed.snapshot.place or "wait")
            found.append(Expected(result, arrived=name is not None and score is None))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns what the promotion wipes, as for any promotion."""
        chosen = Chosen(self._queue, JobState.DELAYED, tuple(map(_picked, deeds)))
        pages = read_snapshots(self._client, chosen, PROMOTION_WIPES)
        return b"".join([await page.lines(texts) async for page in pages])

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Promotes the jobs."""
        writer = sender(self._writer)
        return await writer.promote(self._queue, list(map(_picked, deeds)))

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return result.error


def _picked(deed: Deed) -> Picked:
    return Picked(deed.id, deed.snapshot.score)
