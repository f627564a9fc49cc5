"""Takes an edit back: the former data, priority and delay, and the place the job had.

Its effect is an edit too: what it writes is in its own journal, so it is undone by the same class.
An edit that retried its job is taken back in one step with its retry, and made again in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.fields import Fields, family_of
from qtui.bullmq.keys import QueueKey
from qtui.bullmq.model import LIST_FIELDS, JobState, Row
from qtui.bullmq.new_job.change import Change, Edited, Place
from qtui.bullmq.new_job.editable import EDIT_FIELDS, Editable, read_editable
from qtui.bullmq.new_job.payload import digest_of
from qtui.bullmq.reads.page import short_row
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.edit import EditWriter
from qtui.bullmq.writers.unedit import UneditWriter
from qtui.bullmq.writers.unretry import Retried
from qtui.operations.edit.edit import RETRIED
from qtui.operations.journal.facts import Header, Snapshot
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.texts import Texts
from qtui.operations.planning.plan import Resets
from qtui.operations.undo.inverse import Deed, Expected, sender
from qtui.operations.undo.unretry import family_before, read_needed, resets_of
from qtui.verbs import Verb

UNRETRIED: Final = "unretry"
"""The member of `Snapshot.becomes` that says that the undo takes a retry back too."""

_FIELDS: Final = ("data", "priority", "delay")
_WAITS: Final = (JobState.WAITING, JobState.PAUSED, JobState.PRIORITIZED)
_BY_KEY: Final[Mapping[str, JobState]] = {state.key: state for state in JobState}
_WHY: Final[Mapping[str, str]] = {
    "state": "is no longer where the edit left it",
    "moved": "is no longer where the edit left it",
    "started": "has run since",
    "changed": "was changed since",
    "data": "its data was changed since",
    "priority": "its priority was changed since",
    "delay": "its delay was changed since",
    "parent": "its parent waits for it to run again",
    "family": "the journal does not say what its parent knew of it",
}


@dataclass(frozen=True, slots=True)
class _Made:
    """An edit, by its journal."""

    deed: Deed
    state: JobState | None
    """The state in which the job was before."""

    @property
    def before(self) -> Mapping[str, str]:
        """The job's fields before."""
        return self.deed.snapshot.fields

    @property
    def written(self) -> dict[str, str]:
        """What was written, by field."""
        becomes = self.deed.snapshot.becomes or {}
        return {name: text for name, text in becomes.items() if name in _FIELDS}

    @property
    def after(self) -> dict[str, str]:
        """The fields that an edit may write, as they were left."""
        return {name: self.before.get(name, "") for name in _FIELDS} | self.written

    @property
    def retried(self) -> bool:
        """Whether the job was retried in the same step."""
        return RETRIED in (self.deed.snapshot.becomes or {})

    @property
    def unretried(self) -> bool:
        """Whether a retry was taken back in the same step."""
        return UNRETRIED in (self.deed.snapshot.becomes or {})

    @property
    def row(self) -> Row:
        """The job as it was before."""
        return short_row(self.deed.id, [self.before.get(name) for name in LIST_FIELDS])

    def left_in(self, now: JobState | None) -> JobState | None:
        """The state in which it was left; the one where it is now, if the code was not written."""
        if not self.deed.target:
            return now
        return _BY_KEY.get(self.deed.target, self.state)

    @property
    def former(self) -> dict[str, str]:
        """What takes the written fields back."""
        return {name: self.before.get(name, "") for name in self.written}

    def place(self) -> Place | None:
        """The exact place it had, if the edit moved it."""
        written, state = self.written, self.state
        moved = "delay" in written or ("priority" in written and state in _WAITS)
        if state is None or not moved:
            return None
        snapshot = self.deed.snapshot
        queued = snapshot.queued or {}
        return Place(
            state=state,
            score=snapshot.score,
            before=snapshot.place,
            was_paused="paused" in queued,
            turn=None if snapshot.queued is None else queued.get("turn", ""),
        )


class Unedit:
    """Takes an edit back, or an undo of one.

    Args:
        client: the server.
        header: the first line of its journal.
        writes: whether it may write.
    """

    effect = Verb.EDIT.value

    def __init__(self, client: Client, header: Header, writes: bool) -> None:
        self._client = client
        self._queue = QueueKey(header.queue, header.prefix)
        self._state = JobState(header.state) if header.state in set(JobState) else None
        self._resets = resets_of(header)
        self._edits = EditWriter(client) if writes else None
        self._unedits = UneditWriter(client) if writes else None

    @property
    def done(self) -> str:
        """What becomes of a job."""
        return "as it was before the edit"

    def _made(self, deed: Deed) -> _Made:
        state = deed.snapshot.state
        return _Made(deed, JobState(state) if state in set(JobState) else self._state)

    async def look(self, deeds: Sequence[Deed]) -> Sequence[Expected]:
        """Returns where the jobs are now.

        Costs what `read_editable` costs for each, and for one that was retried what `read_needed`
        does.
        """
        return [await self._look(self._made(deed)) for deed in deeds]

    async def _look(self, made: _Made) -> Expected:
        job_id = made.deed.id
        now = await read_editable(self._client, self._queue, job_id)
        if now is None:
            return Expected(Result(job_id, Code.NO_SUCH_JOB))
        if why := self._changed(made, now):
            arrived = self._arrived(made, now)
            return Expected(Result(job_id, Code.NOT_IN_STATE, error=why), arrived=arrived)
        if made.retried and made.state is not None:
            if family_before(made.deed, made.state) is None:
                return Expected(Result(job_id, Code.REFUSED, error="family"))
            if await read_needed(self._client, self._queue, made.state, [made.deed]):
                return Expected(Result(job_id, Code.NOT_IN_STATE, error="parent"))
        target = made.state.key if made.state and not made.unretried else ""
        return Expected(Result(job_id, Code.DONE, target=target))

    def _changed(self, made: _Made, now: Editable) -> str:
        """Why a job is not as the edit left it; empty if it is."""
        state = made.left_in(now.state)
        lists = {JobState.WAITING, JobState.PAUSED}
        if now.state is not state and not {now.state, state} <= lists:
            return "state"
        different = [name for name, text in made.after.items() if now.fields.get(name, "") != text]
        if different:
            return different[0]
        if made.retried:
            # One that is as it was before was not cleared: Redis refused that.
            before = made.deed.snapshot.fields.get("processedOn")
            return "" if now.fields.get("processedOn") in (None, before) else "started"
        if made.unretried:
            return "" if now.score == made.deed.snapshot.score else "state"
        return "" if now.row.stamp == made.row.stamp else "started"

    def _arrived(self, made: _Made, now: Editable) -> bool:
        """Whether a job is as it was before the edit."""
        if any(now.fields.get(name, "") != text for name, text in made.former.items()):
            return False
        if made.unretried:
            return now.state in _WAITS and "processedOn" not in now.fields
        same = now.row.stamp == made.row.stamp
        return same and (now.state is made.state or {now.state, made.state} <= set(_WAITS))

    async def snapshot(self, deeds: Sequence[Deed], texts: Texts | None) -> bytes:
        """Returns the jobs as they are, and what is written, so that the undo can be undone."""
        return snapshot_lines([await self._snapshot(self._made(deed)) for deed in deeds], texts)

    async def _snapshot(self, made: _Made) -> Snapshot:
        job_id, line = made.deed.id, made.deed.snapshot
        now = await read_editable(self._client, self._queue, job_id)
        if now is None:
            return Snapshot(job_id, None, {})
        state = now.state.value if now.state else ""
        if made.retried:
            # To make it again needs the finish to which the job returns.
            becomes = made.former | {UNRETRIED: "1"}
            return Snapshot(job_id, line.score, now.fields, state=state, becomes=becomes)
        if made.unretried:
            fields = Fields(self._client, self._queue, EDIT_FIELDS, family=True)
            [values] = await fields.first_of([job_id])
            family, becomes = family_of(values[-1]), made.former | {RETRIED: "1"}
            return Snapshot(
                job_id, now.score, now.fields, state=state, family=family, becomes=becomes
            )
        return Snapshot(
            job_id,
            now.score,
            now.fields,
            state=state,
            place=now.before,
            becomes=made.former,
            queued=now.queued,
        )

    async def send(self, deeds: Sequence[Deed]) -> Batch:
        """Takes the edits back, each in one atomic step."""
        batches = [await self._send(self._made(deed)) for deed in deeds]
        return Batch(
            [result for batch in batches for result in batch.results],
            next((batch.note for batch in batches if batch.note), ""),
            sum(batch.seconds for batch in batches),
        )

    async def _send(self, made: _Made) -> Batch:
        edits = sender(self._edits)
        if made.retried:
            return await self._take_retry_back(made)
        former, resets = made.former, self._resets if made.unretried else Resets()
        change = Change(
            data=former.get("data"),
            priority=former.get("priority"),
            delay=former.get("delay"),
            retry=made.unretried,
            reset_attempts_made=resets.made,
            reset_attempts_started=resets.started,
            place=made.place() if not made.unretried else None,
        )
        return await edits.edit(self._queue, await self._pinned(made), change)

    async def _pinned(self, made: _Made) -> Edited:
        """The job as the edit left it."""
        after, state = made.after, made.left_in(made.state)
        if not made.deed.target:  # the code was not written
            now = await read_editable(self._client, self._queue, made.deed.id)
            state = now.state if now else state
        finished = state is not None and state.is_finished
        return Edited(
            job_id=made.deed.id,
            state=self._state if made.unretried else state,
            score=made.deed.snapshot.score if finished or made.unretried else None,
            stamp=None if made.unretried else made.row.stamp,
            digest=digest_of(after["data"]),
            priority=after["priority"],
            delay=after["delay"],
        )

    async def _take_retry_back(self, made: _Made) -> Batch:
        deed, state = made.deed, made.state
        family = family_before(deed, state) if state is not None else None
        score = deed.snapshot.score
        if self._unedits is None or state is None or family is None or score is None:
            return Batch([Result(deed.id, Code.REFUSED, error="family")])
        former = made.former
        return await self._unedits.take_back(
            self._queue,
            state,
            Retried(
                job_id=deed.id,
                score=score,
                place=deed.target,
                fields={**made.before, **made.written},
                family=family,
                lifo=made.row.lifo,
            ),
            Edited(
                job_id=deed.id,
                state=state,
                score=score,
                digest=digest_of(made.after["data"]),
                priority=made.after["priority"],
                delay=made.after["delay"],
            ),
            Change(data=former.get("data"), priority=former.get("priority")),
            reset_attempts_made=self._resets.made,
            reset_attempts_started=self._resets.started,
        )

    def why(self, result: Result) -> str:
        """Returns in words why a job was left alone."""
        return _WHY.get(result.error, result.error)
