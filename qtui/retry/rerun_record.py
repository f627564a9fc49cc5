"""Begins the journal of a flow's rerun, and reads what a call of it wipes.

A flow spans queues, so in its journal ids are full keys; the header names the root's queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qtui.bullmq.ask import ask_all, texts
from qtui.bullmq.connection import Client
from qtui.bullmq.flow import Name
from qtui.bullmq.model import JobState
from qtui.retry.evidence import EVIDENCE
from qtui.retry.journal import Journal
from qtui.retry.journal_lines import Evidence, Header, Selection

if TYPE_CHECKING:
    from qtui.retry.rerun import Rerun

_CHUNK: Final = 100
"""Jobs whose evidence is read in one round trip."""


@dataclass(frozen=True, slots=True)
class RerunRecorder:
    """Where reruns are written down, and what is said of their origin."""

    folder: Path
    where: str
    """The server's address, without credentials."""
    how: str
    """The command or the key that began it."""

    def __call__(self, rerun: Rerun) -> Journal:
        """Begins a journal.

        Raises:
            JournalError: it can't be; nothing may be sent.
        """
        plan, root = rerun.plan, rerun.plan.lineage.root
        header = Header(
            where=self.where,
            queue=root.queue.base,
            prefix=root.queue.prefix,
            state=JobState.FAILED.value,
            selection=Selection("flow", plan.jobs),
            resets=asdict(rerun.resets),
            how=self.how,
            flow={"root": root.key, "start": plan.start.value},
        )
        return Journal.create(self.folder, header)


async def read_evidence(
    client: Client,
    names: Sequence[Name],
    pins: Sequence[float | None],
    states: Mapping[str, JobState | None],
) -> list[Evidence]:
    """What a rerun wipes of these jobs.

    Args:
        client: where to read.
        names: the jobs.
        pins: the score at which each was seen.
        states: where each was seen, by full key.

    Costs an HMGET for each job, one round trip for a hundred of them.
    """
    found: list[Evidence] = []
    for start in range(0, len(names), _CHUNK):
        some = names[start : start + _CHUNK]
        replies = await ask_all(client, [("HMGET", name.key, *EVIDENCE) for name in some])
        for name, reply, pin in zip(some, replies, pins[start:], strict=False):
            values = zip(EVIDENCE, texts(reply), strict=False)
            fields = {field: text for field, text in values if text is not None}
            state = states.get(name.key)
            other = "" if state in (None, JobState.FAILED) else str(state)
            found.append(Evidence(name.key, pin, fields, other))
    return found
