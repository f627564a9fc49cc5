"""Takes the rerun of a flow back: parents first, then the jobs that were released to run.

A rerun of some hundred jobs is one atomic step; its undo is one for each queue and state. Between
two of them a job may start: it is left alone then, and runs. Its parent is where it was before the
rerun, so that it does not wait for it; the same is true after an undo that was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from qtui.bullmq.codes import Code, ForeignQueue, QueueGone, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.keys import split_job_key
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.unretry import WAITS
from qtui.operations.flow_rerun.rerun import BASES
from qtui.operations.journal.lines import Header, snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.undo.inverse import Deed, Expected
from qtui.operations.undo.unretry import Unretry

_PARENTS: Final = JobState.WAITING_CHILDREN


class Unrerun:
    """Takes a rerun back.

    A parent that waited before, for children or only to be failed, waits again as it did. Journals
    of before do not say since when one waited for children: that one stays as the rerun left it.

    Args:
        client: the server.
        header: the first line of the rerun's journal.
        writes: whether it may write.
    """

    effect = "unrerun"
    done = "back where it was"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._header = header
        self._writes = writes
        bases = header.options.get(BASES)
        known = bases if isinstance(bases, list) else []
        self._bases = sorted(filter(_is_text, known), key=len, reverse=True)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now. Costs two round trips for each queue and state."""
        found = {deed.id: _unsent(deed) for deed in deeds}
        for inverse, some in self._parts(deeds):
            seen = await inverse.look([self._by_id(deed) for deed in some])
            for deed, one in zip(some, seen, strict=True):
                found[deed.id] = one._replace(result=one.result._replace(job_id=deed.id))
        return [found[deed.id] for deed in deeds]

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they will be again, and where they wait now."""
        return snapshot_lines([one.snapshot._replace(place=one.target) for one in deeds], texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Moves the jobs back: parents, then the others, in one atomic step a queue and state."""
        results = {deed.id: _unsent(deed).result for deed in deeds}
        note, seconds = "", 0.0
        for inverse, some in self._parts(deeds):
            try:
                batch = await inverse.send([self._by_id(deed) for deed in some])
            except ForeignQueue as error:
                code = Code.NO_SUCH_JOB if isinstance(error, QueueGone) else Code.REFUSED
                batch = Batch([Result(deed.id, code, error=str(error)) for deed in some])
            for deed, one in zip(some, batch.results, strict=True):
                results[deed.id] = one._replace(job_id=deed.id)
            note, seconds = note or batch.note, seconds + batch.seconds
        return Batch([results[deed.id] for deed in deeds], note, seconds)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return Unretry(self._client, replace(self._header, state="failed"), False).why(result)

    def _parts(self, deeds: Sequence[Deed]) -> Iterator[tuple[Unretry, list[Deed]]]:
        """The jobs of each queue and state with what takes them back, those parked first.

        Consecutive ones: the order of a journal, ancestors first, is kept.
        """
        ordered = [one for one in deeds if _was_parked(one)]
        ordered += [one for one in deeds if not _was_parked(one)]
        part: list[Deed] = []
        for deed in ordered:
            if not _is_sent(deed):
                continue
            if part and self._kind(part[0]) != self._kind(deed):
                yield self._inverse(part[0]), part
                part = []
            part.append(deed)
        if part:
            yield self._inverse(part[0]), part

    def _inverse(self, deed: Deed) -> Unretry:
        base, state, parked = self._kind(deed)
        header = replace(self._header, queue=base, state=state.value)
        return Unretry(self._client, header, self._writes, parked=parked)

    def _kind(self, deed: Deed) -> tuple[str, JobState, bool]:
        """The queue, the state before, and whether the job needed more than a retry."""
        base, _ = self._split(deed.id)
        state = _state_before(deed)
        return base, state, _was_parked(deed) or state in WAITS

    def _by_id(self, deed: Deed) -> Deed:
        """The job by its id in its queue: a flow names it by its full key."""
        _, job_id = self._split(deed.id)
        return deed._replace(snapshot=deed.snapshot._replace(id=job_id))

    def _split(self, key: str) -> tuple[str, str]:
        """The base key and the id; a journal of an earlier qtui does not name its queues."""
        base = next((one for one in self._bases if key.startswith(f"{one}:")), None)
        return split_job_key(key) if base is None else (base, key[len(base) + 1 :])


def _is_text(one: object) -> bool:
    return isinstance(one, str)


def _was_parked(deed: Deed) -> bool:
    return deed.target == _PARENTS.key


def _state_before(deed: Deed) -> JobState:
    return JobState(deed.snapshot.state or JobState.FAILED)


def _is_sent(deed: Deed) -> bool:
    """Whether the journal says where exactly the job was, so that it can be there again."""
    state = _state_before(deed)
    return (state.is_list or deed.snapshot.score is not None) and (
        state.is_finished or state in WAITS
    )


def _unsent(deed: Deed) -> Expected:
    """What is said of a job that is not sent: in journals of before."""
    if _state_before(deed) is _PARENTS:
        return Expected(Result(deed.id, Code.DONE, target=_PARENTS.key), arrived=True)
    return Expected(Result(deed.id, Code.NOT_IN_STATE, error="it waited before the rerun too"))
