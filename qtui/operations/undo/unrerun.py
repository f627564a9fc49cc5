"""Takes the rerun of a flow back, parents first; and takes that back: the flow is rerun again.

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
from qtui.bullmq.flow.lineage import Node, read_nodes
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import JobState
from qtui.bullmq.writers.batch import Batch, Picked
from qtui.bullmq.writers.rerun import DOOMED, Mode, Parked, Released, RerunWriter
from qtui.bullmq.writers.unretry import WAITS
from qtui.operations.flow_rerun.plan import Start
from qtui.operations.flow_rerun.written import START, Names, read_lines, returned_children
from qtui.operations.journal.facts import Header
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.undo.inverse import Deed, Expected, sender
from qtui.operations.undo.unretry import Unretry, resets_of
from qtui.verbs import Verb

_PARENTS: Final = JobState.WAITING_CHILDREN

_MOVED: Final = "is no longer as the undo left it"
_ANOTHER: Final = "another job of the flow has changed"
_IN_VAIN: Final = "the child {} has finished, and does not run again with it"


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
        self._names = Names(header)

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
        base, _ = self._names.split(deed.id)
        state = _state_before(deed)
        return base, state, _was_parked(deed) or state in WAITS

    def _by_id(self, deed: Deed) -> Deed:
        """The job by its id in its queue: a flow names it by its full key."""
        _, job_id = self._names.split(deed.id)
        return deed._replace(snapshot=deed.snapshot._replace(id=job_id))


def _was_parked(deed: Deed) -> bool:
    return deed.target == _PARENTS.key


def _state_before(deed: Deed) -> JobState:
    """The state in which the rerun found a job."""
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


class Rererun:
    """Reruns jobs of a flow that went back, from the same point and with the same resets.

    As in any rerun, either all jobs of a call run again or none: parents must not wait for a child
    that has moved on, nor for one that has finished and was not asked for.

    Args:
        client: the server.
        header: the first line of that undo's journal.
        writes: whether it may write.
    """

    effect = Verb.RERUN.value
    done = "runs again"

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._names = Names(header)
        self._resets = resets_of(header)
        start = header.options.get(START)
        self._mode = Mode.START if start == Start.START.value else Mode.FAILURE
        # A rerun from the failure takes over the results of children that have completed.
        ends = {JobState.FAILED, JobState.COMPLETED}
        self._ends = ends if self._mode is Mode.START else {JobState.FAILED}
        self._writer = RerunWriter(client) if writes else None

    async def _nodes(self, deeds: Sequence[Deed]) -> list[Node]:
        return await read_nodes(self._client, [self._names.of(deed.id) for deed in deeds])

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now; costs what `read_nodes` costs.

        A parent that waited before does so after as well: whether it is done, the others tell.
        """
        nodes = await self._nodes(deeds)
        at_rest = await self._at_rest(deeds)
        ended = [
            node for one, node in zip(deeds, nodes, strict=True) if _state_before(one).is_finished
        ]
        done = any(map(_runs_again, ended))
        found = []
        for deed, node in zip(deeds, nodes, strict=True):
            result = Result(deed.id, Code.NOT_IN_STATE, error=_MOVED)
            waited = _state_before(deed) in WAITS
            arrived = done if waited else _runs_again(node)
            if node.row.missing:
                result = Result(deed.id, Code.NO_SUCH_JOB)
            elif deed.id in at_rest:
                words = _IN_VAIN.format(at_rest[deed.id])
                result = Result(deed.id, Code.NOT_IN_STATE, error=words)
            elif _is_as_it_was(deed, node) and not (waited and done):
                result = Result(deed.id, Code.DONE, target=deed.snapshot.place)
            found.append(Expected(result, arrived=arrived))
        return _all_or_none(found)

    async def _at_rest(self, deeds: Sequence[Deed]) -> dict[str, str]:
        """By parent a child that it would wait for in vain: finished, and not rerun with it."""
        waits_for = [
            (deed.id, child.name)
            for deed in deeds
            if (parent := self._parked(deed)) is not None
            for child in parent.children
            if child.score is None and not child.gone
        ]
        nodes = await read_nodes(self._client, [name for _, name in waits_for])
        found: dict[str, str] = {}
        for (job_id, _), node in zip(waits_for, nodes, strict=True):
            if node.state in self._ends:
                found.setdefault(job_id, node.key)
        return found

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns what the rerun wipes, as for any rerun."""
        parents = [parent for parent in map(self._parked, deeds) if parent is not None]
        found = await read_lines(
            self._client,
            await self._nodes(deeds),
            {parent.name.key: parent for parent in parents},
            {deed.id for deed in deeds},
        )
        return snapshot_lines(found, texts)

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Parks the parents and releases the others, in one atomic step."""
        writer = sender(self._writer)
        parents: list[Parked] = []
        released: dict[tuple[QueueKey, JobState], list[Picked]] = {}
        order: list[str] = []
        for deed in deeds:
            if (parent := self._parked(deed)) is not None:
                parents.append(parent)
                order.append(deed.id)
                continue
            name = self._names.of(deed.id)
            place = name.queue, _state_before(deed)
            released.setdefault(place, []).append(Picked(name.id, deed.snapshot.score))
        for (queue, _), jobs in released.items():
            order += [queue.job(one.job_id) for one in jobs]
        try:
            batch = await writer.rerun(
                parents,
                [Released(queue, state, tuple(jobs)) for (queue, state), jobs in released.items()],
                mode=self._mode,
                reset_attempts_made=self._resets.made,
                reset_attempts_started=self._resets.started,
            )
        except ForeignQueue as error:
            code = Code.NO_SUCH_JOB if isinstance(error, QueueGone) else Code.REFUSED
            return Batch([Result(deed.id, code, error=str(error)) for deed in deeds])
        results = {
            key: one._replace(job_id=key) for key, one in zip(order, batch.results, strict=True)
        }
        return Batch([results[deed.id] for deed in deeds], batch.note)

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return result.error or (_MOVED if result.code is Code.NOT_IN_STATE else "")

    def _parked(self, deed: Deed) -> Parked | None:
        """A parent as the script takes it; None for a job that needs only a retry."""
        snapshot, state = deed.snapshot, _state_before(deed)
        if snapshot.children is None:
            return None
        waits = state in WAITS
        return Parked(
            self._names.of(deed.id),
            DOOMED if waits and state is not _PARENTS else state.key,
            None if waits else snapshot.score,
            tuple(returned_children(snapshot, self._names, deed.goes_with)),
        )


def _all_or_none(found: Sequence[Expected]) -> list[Expected]:
    """As the script answers: if one of the jobs is left alone, so are the others."""
    if all(one.result.done or one.arrived for one in found):
        return list(found)
    refused = Result("", Code.REFUSED, error=_ANOTHER)
    return [
        one._replace(result=refused._replace(job_id=one.result.job_id)) if one.result.done else one
        for one in found
    ]


def _is_as_it_was(deed: Deed, node: Node) -> bool:
    """Whether a job is where the rerun found it."""
    state = _state_before(deed)
    if state in WAITS and state is not _PARENTS:
        return node.doomed
    return node.state is state and (not state.is_finished or node.row.score == deed.snapshot.score)


def _runs_again(node: Node) -> bool:
    """Whether a job that had finished waits, so that the rerun was carried out."""
    return node.state is not None and not node.state.is_finished and node.row.finished_on is None
