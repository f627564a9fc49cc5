"""Resumes an undo whose process died or that was stopped, from its own journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from qtui.bullmq.codes import Code
from qtui.bullmq.connection.client import Client
from qtui.bullmq.connection.origin import Origin, origin_of
from qtui.operations.engine.campaign import Campaign
from qtui.operations.journal.reading import (
    JournalError,
    Progress,
    find,
    is_same_address,
    progress_of,
    summary,
)
from qtui.operations.journal.writing import Journal
from qtui.operations.resuming.interrupted import AllDone
from qtui.operations.resuming.same_server import check_is_here
from qtui.operations.undo.deeds import Deeds, read_deeds
from qtui.operations.undo.registry import refusal
from qtui.operations.undo.undo import Before, Undo
from qtui.verbs import Verb


@dataclass(frozen=True, slots=True)
class InterruptedUndo:
    """An interrupted undo, ready to be resumed; this process holds its journal open."""

    journal: Journal
    progress: Progress
    deeds: Deeds

    @classmethod
    def take(
        cls,
        folder: Path,
        name: str,
        where: str,
        origin: Origin | None = None,
        *,
        anyway: bool = False,
    ) -> InterruptedUndo:
        """Takes an undo over.

        Args:
            folder: where journals are.
            name: the undo's own id, or its beginning or end.
            where: the address of this connection.
            origin: the server there, to recognise an undo that ran under another address.
            anyway: whether to accept any address, since the user said that the data is the same.

        Raises:
            AllDone: it is done.
            OtherServer: it ran under another address, and its data may not be here.
            JournalError: it is no undo, it is running, or the journal of what it undoes is gone.
        """
        known = summary(folder, find(folder, name))
        if known.header.action != Verb.UNDO:
            raise JournalError(f"{known.id} is no undo: its action is {known.header.action}")
        if known.phase == "done":
            raise AllDone(f"{known.id} is complete: every job has a result")
        if not anyway and not is_same_address(known.header.where, where):
            check_is_here(progress_of(folder, known.id), where, origin)
        journal = Journal.resume(folder, known.id)
        try:
            progress = progress_of(folder, journal.id)
            only = [one.job_id for one in progress.chosen]
            deeds = read_deeds(folder, known.header.undoes, only)
            if reason := refusal(deeds.header):
                raise JournalError(f"{deeds.header.id}: {reason}")
        except JournalError:
            journal.close()
            raise
        return cls(journal, progress, deeds)

    async def campaign(self, client: Client) -> Campaign[Undo]:
        """Returns a campaign for the jobs that are left; closing it closes the journal."""
        progress = self.progress
        only = [one.job_id for one in progress.chosen]
        before = await asyncio.to_thread(self._before)
        campaign = Campaign(client, Undo(client, self.deeds, only, before))
        campaign.journal = self.journal
        campaign.origin = origin_of(progress.server)
        return campaign

    def _before(self) -> Before:
        progress = self.progress
        doubtful = {one.job_id for one in progress.doubtful}
        left, doubted, done = list[int](), list[int](), list[int]()
        for place, job_id in enumerate(self.deeds.ids()):
            if job_id in progress.retried:
                done.append(place)
            elif job_id in doubtful:
                doubted.append(place)
            elif job_id not in progress.decided:
                left.append(place)
        unknown = Counter({Code.UNKNOWN: progress.codes.get(Code.UNKNOWN, 0)})
        # The unknown jobs are read again, and counted then.
        return Before(left, doubted, done, Counter(progress.codes) - unknown)
