"""Takes a removal back: whole jobs return to where they were; and that back: removed once more."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final, TypeAlias

from qtui.bullmq.codes import NO_STATE, Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.reads.events.removals import removed_lately
from qtui.bullmq.reads.hashes import read_whole
from qtui.bullmq.reads.scripted.whole import Whole, of_members, rest_of
from qtui.bullmq.writers.batch import LARGEST_BATCH, Batch, Picked
from qtui.bullmq.writers.remove import Below, RemoveWriter
from qtui.bullmq.writers.restore import LARGEST_CALL, WHY, RestoreWriter, weight_of
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.remove.remove import CHILDREN
from qtui.operations.remove.wiped import (
    BELOW,
    REST,
    WipedJobs,
    below_of,
    dependencies_of,
    index_of,
    removed_jobs,
)
from qtui.operations.supply.pins import pins_of
from qtui.operations.supply.snapshots import SnapshotPage, read_picked
from qtui.operations.undo.inverse import Deed, Expected, read_ids, sender

_MOST_CHILDREN: Final = 1000
"""Those that are read for one look; of further ones only `send` finds out."""

_UNREAD: Final = "unread"
_DOUBTFUL: Final = "doubtful"
_WHY: Final = {
    **WHY,
    _UNREAD: "the journal does not hold the whole job",
    _DOUBTFUL: "nothing shows that it was removed: it may have run and been deleted at its end",
}


_Family: TypeAlias = tuple[str, list[Whole]]
"""A job's id; it, and those that went with it."""


class Restore:
    """Takes a removal back: the jobs, and those that went with them, return to their places.

    Args:
        client: the server.
        header: the first line of the removal's journal.
        writes: whether it may write.
    """

    effect = "restore"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._state = state_of(header)
        self._pins = pins_of(client, self._queue, self._state)
        self._writer = RestoreWriter(client) if writes else None
        self._back_below: set[str] = set()
        """Full keys of jobs that came back below others: their own turn finds them there."""

    @property
    def done(self) -> str:
        """What becomes of a job."""
        return f"back to {self._state or 'no state'}"

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns which jobs are gone still; does not look at all that `send` heeds.

        Costs what `Pins.rows` costs, and an HMGET for each child of parents.
        """
        ended = await _read_ended(self._client, self._queue, list(map(_waits_for, deeds)))
        rows = await self._pins.rows([one.id for one in deeds])
        doubtful = await self._doubtful(deeds)
        found = []
        for deed, row in zip(deeds, rows, strict=True):
            arrived = row.score is not None and row.score == deed.snapshot.score
            result = Result(deed.id, Code.DONE, target=_place_of(self._state))
            if self._jobs(deed) is None:
                result = Result(deed.id, Code.REFUSED, error=_UNREAD)
            elif row.score is not None or not row.missing:
                result = Result(deed.id, Code.NOT_IN_STATE, error="taken")
            elif deed.id in doubtful:
                result = Result(deed.id, Code.REFUSED, error=_DOUBTFUL)
            elif deed.id in ended:
                result = Result(deed.id, Code.NOT_IN_STATE, error="children")
            found.append(Expected(result, arrived=arrived))
        return found

    def after(self, deed: Deed) -> Sequence[str]:
        """Returns the children for which a job waited, even if they went in a call before it.

        It was read before they went, so they have to be there first.
        """
        start = self._queue.key("")
        children = dependencies_of(deed.snapshot)
        return [one.removeprefix(start) for one in children if one.startswith(start)]

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they will be again; nothing is wiped."""
        return snapshot_lines([one.snapshot for one in deeds], texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Restores the jobs, each with those that went with it in one step.

        In several calls where they are large, or where their places in a long list take a while.
        """
        writer = sender(self._writer)
        doubtful = await self._doubtful(deeds)
        results: dict[str, Result] = {}
        families: list[_Family] = []
        for deed in deeds:
            jobs = self._jobs(deed)
            if jobs is None or deed.id in doubtful:
                why = _UNREAD if jobs is None else _DOUBTFUL
                results[deed.id] = Result(deed.id, Code.REFUSED, error=why)
            else:
                families.append((deed.id, jobs))
        note, seconds = "", 0.0
        while families:
            call = next(_calls(families))
            batch = await writer.restore([jobs[::-1] for _, jobs in call])
            answers = deque(batch.results)
            for job_id, jobs in call:
                if not answers:
                    break  # the call has ended early
                *below, top = [answers.popleft() for _ in jobs]
                results[job_id] = self._found_back(top)
                pairs = zip(jobs[:0:-1], below, strict=True)
                self._back_below.update(job.key for job, result in pairs if result.done)
                families = families[1:]
            note, seconds = note or batch.note, seconds + batch.seconds
        return Batch([results[deed.id] for deed in deeds], note, seconds)

    def _found_back(self, result: Result) -> Result:
        """The result of a job; 1 for one that this undo has brought back below another."""
        if result.error != "taken" or self._queue.job(result.job_id) not in self._back_below:
            return result
        return Result(result.job_id, Code.DONE, target=_place_of(self._state))

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return _WHY.get(result.error, result.error)

    async def _doubtful(self, deeds: Sequence[Deed]) -> set[str]:
        """The jobs without a code that may not have been removed, but have run and been deleted."""
        open_ = {one.id for one in deeds if not one.target}
        if not open_:
            return open_
        return open_ - await removed_lately(self._client, self._queue, open_)

    def _jobs(self, deed: Deed) -> list[Whole] | None:
        return removed_jobs(self._queue, self._state, deed.snapshot)


def _waits_for(deed: Deed) -> tuple[Deed, list[str]]:
    """A job, and the children for which it is to wait: not those that went with it."""
    whole = deed.snapshot.whole or {}
    never = rest_of(whole.get(REST)).get("stuck") or ()
    below = whole.get(BELOW)
    known = map(of_members, below if isinstance(below, list) else [])
    without = {*never, *(one.key for one in known if one is not None)}
    return deed, [one for one in dependencies_of(deed.snapshot) if one not in without]


async def _read_ended(
    client: Client, queue: QueueKey, waits_for: Sequence[tuple[Deed, Sequence[str]]]
) -> set[str]:
    """Returns the ids of parents that would wait for a child that is gone, or has completed.

    Not for one that is taken back as well. Costs a round trip with an HMGET for each child.

    Args:
        client: where to read.
        queue: the queue of the parents.
        waits_for: the full keys of the children for which each is to wait.
    """
    await read_ids([deed for deed, keys in waits_for if keys])
    start = queue.key("")
    pairs = [
        (deed.id, key)
        for deed, keys in waits_for
        for key in keys
        if not (key.startswith(start) and deed.goes_with(key.removeprefix(start)))
    ][:_MOST_CHILDREN]
    names = ["timestamp", "finishedOn", "failedReason"]
    values = await read_whole(client, [key for _, key in pairs], names)
    return {
        job_id
        for (job_id, _), (added, finished, failed) in zip(pairs, values, strict=True)
        if added is None or (finished is not None and failed is None)
    }


def _place_of(state: JobState | None) -> str:
    return NO_STATE if state is None else state.key


def _calls(families: Sequence[_Family]) -> Iterator[list[_Family]]:
    """Splits jobs with those below them into calls of a bearable size; mostly one."""
    call: list[_Family] = []
    jobs = weight = 0
    for job_id, some in families:
        more = sum(map(weight_of, some))
        if call and (weight + more > LARGEST_CALL or jobs + len(some) > LARGEST_BATCH):
            yield call
            call, jobs, weight = [], 0, 0
        call.append((job_id, some))
        jobs, weight = jobs + len(some), weight + more
    if call:
        yield call


class Reremove:
    """Takes back that a removal was taken back: removes the jobs again.

    The jobs below go too if they did then.

    Args:
        client: the server.
        header: the first line of that undo's journal.
        writes: whether it may write.
    """

    effect = "remove"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._state = state_of(header)
        self._wiped = WipedJobs(self._state, header.options.get(CHILDREN) is True)
        self._reader = self._wiped.reader(client, self._queue)
        self._writer = RemoveWriter(client) if writes else None
        self._places: dict[str, int] = {}
        """How many members were between the tail of a list and each job, from its snapshot on."""

    @property
    def done(self) -> str:
        """What becomes of a job."""
        return "removed again"

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now; costs what `Pins.rows` costs."""
        pins = pins_of(self._client, self._queue, self._state)
        rows = await pins.rows([one.id for one in deeds])
        found = []
        for deed, row in zip(deeds, rows, strict=True):
            gone = row.missing and row.score is None
            result = Result(deed.id, Code.NO_SUCH_JOB if gone else Code.NOT_IN_STATE)
            if row.score is not None and row.score == deed.snapshot.score:
                result = Result(deed.id, Code.DONE, target="removed")
            found.append(Expected(result, arrived=gone))
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the whole jobs, as for any removal."""
        lines = b""
        async for page in self._read(deeds):
            lines += await page.lines(texts)
            if self._state is not None and self._state.is_list:
                pairs = zip(page.picks, page.values, strict=True)
                self._places |= {pick.job_id: index_of(values) for pick, values in pairs}
        return lines

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Removes the jobs."""
        writer = sender(self._writer)
        picks = [_picked(one) for one in deeds]
        below: list[Below] = []
        if self._wiped.children:
            values = [one async for page in self._read(deeds) for one in page.values]
            below = [job for top, one in enumerate(values) for job in below_of(top, one)]
        places = [self._places.pop(one.id, 0) for one in deeds]
        batch = await writer.remove(self._queue, self._state, picks, below, places=places)
        return Batch(batch.results[: len(picks)], batch.note, batch.seconds)

    def _read(self, deeds: Sequence[Deed]) -> AsyncGenerator[SnapshotPage]:
        return read_picked(self._reader, list(map(_picked, deeds)), self._wiped)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return result.error


def state_of(header: Header) -> JobState | None:
    """Returns the state from which the jobs of a removal were taken; None for no state."""
    return JobState(header.state) if header.state else None


def _picked(deed: Deed) -> Picked:
    return Picked(deed.id, deed.snapshot.score)
