"""Edits one job, and on request retries it in the same step. An action for a campaign.

States: any. Written down: the fields as they were, the job's exact place, and what they become.
Script: `lua/edit.lua`. Forecast: `plan`. Inverse: `qtui.operations.undo.unedit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.connection.client import Client
from qtui.bullmq.flow.fields import Fields, family_of
from qtui.bullmq.model import JobState
from qtui.bullmq.new_job.change import Change
from qtui.bullmq.new_job.editable import EDIT_FIELDS, Editable, read_editable
from qtui.bullmq.new_job.payload import digest_of
from qtui.bullmq.writers.batch import Batch
from qtui.bullmq.writers.edit import EditWriter
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from qtui.operations.supply.single import Judged, SingleAction
from qtui.verbs import Verb

RETRIED: Final = "retry"
"""The member of `Snapshot.becomes` that says that the edit retries its job too."""

CHANGED: Final[Mapping[str, str]] = {
    "state": "it is not {state} any more",
    "started": "it has run since",
    "data": "its data has changed since",
    "priority": "its priority has changed since",
    "delay": "its delay has changed since",
    "parts": "only a delayed job has a delay that can be changed",
}
"""Why a job was left alone, by what the script found changed."""


def in_words(result: Result, state: JobState | None) -> Result:
    """Returns the result with the script's word for what has changed replaced by a sentence."""
    if result.code is not Code.NOT_IN_STATE or result.error not in CHANGED:
        return result
    return result._replace(error=CHANGED[result.error].format(state=state or "as it was"))


def becomes_of(change: Change) -> dict[str, str]:
    """Returns what an edit writes, for its line in the journal."""
    wanted = {"data": change.data, "priority": change.priority, "delay": change.delay}
    found = {name: text for name, text in wanted.items() if text is not None}
    return found | ({RETRIED: "1"} if change.retry else {})


def is_done(job: Editable, becomes: Mapping[str, str]) -> bool:
    """Whether a job has the fields that an edit writes."""
    return all(
        job.fields.get(name, "") == text for name, text in becomes.items() if name != RETRIED
    )


class Edit(SingleAction[Editable]):
    """The edit of one job.

    Args:
        client: where to read.
        writer: edits it.
        job: the job, pinned to what it was when it was read.
        change: what it is to become.
    """

    verb = Verb.EDIT

    def __init__(self, client: Client, writer: EditWriter, job: Editable, change: Change) -> None:
        super().__init__(job.queue, [job])
        self.job = job
        self.change = change
        self._client = client
        self._writer = writer

    def id_of(self, job: Editable) -> str:
        """Returns the job's id."""
        return job.id

    def header(self) -> Header:
        """Returns the first line of the journal."""
        change, state = self.change, self.job.state
        return Header(
            where="",
            queue=self.queue.base,
            prefix=self.queue.prefix,
            state=state.value if state else "",
            selection=WrittenSelection(kind="ids", jobs=1),
            action=self.verb.value,
            resets={
                "made": change.reset_attempts_made,
                "started": change.reset_attempts_started,
            },
            options={"fields": [name for name in becomes_of(change) if name != RETRIED]}
            | ({RETRIED: True} if change.retry else {}),
        )

    async def snapshot_of(self, job: Editable) -> Snapshot:
        """Returns the job's fields as they are, its exact place, and what they become.

        Of a job that is retried too it reads what its parent knows of it, as a retry does.
        """
        family = None
        if self.change.retry:
            fields = Fields(self._client, self.queue, EDIT_FIELDS, family=True)
            [values] = await fields.first_of([job.id])
            family = family_of(values[-1])
        return Snapshot(
            job.id,
            job.score,
            job.fields,
            family=family,
            place=job.before,
            becomes=becomes_of(self.change),
            queued=job.queued,
        )

    async def send(self, job: Editable) -> Batch:
        """Edits it, in one atomic step."""
        batch = await self._writer.edit(self.queue, job.seen, self.change)
        [result] = batch.results
        return Batch([in_words(result, job.state)], batch.note, batch.seconds)

    async def judge(self, job: Editable) -> Judged:
        """Reads the job: unmoved while all is as it was, and done where all is as wanted."""
        now = await read_editable(self._client, self.queue, job.id)
        if now is None:
            # Gone: it was edited, ran and was removed; or was removed before; or a restart lost it.
            return Judged(False, Result(job.id, Code.UNKNOWN))
        if now.seen == job.seen:
            return Judged(True, Result(job.id, Code.NOT_IN_STATE))
        if is_done(now, becomes_of(self.change)):
            place = now.state.key if now.state else ""
            return Judged(False, Result(job.id, Code.DONE, target=place))
        changed = "data" if digest_of(now.data) != job.seen.digest else "state"
        result = Result(job.id, Code.NOT_IN_STATE, error=changed)
        return Judged(False, in_words(result, job.state))
